"""The other end of a connection, where it is on this machine, and who holds it.

The two ends of a connection have each other's addresses and ports: what is local to one is remote to the other. That is
so on loopback, and between network namespaces joined by veth, bridges and routers, unless NAT is in between. A datagram
socket without a peer is the other end of those in its namespace that are connected to it. Unix sockets report the inode
of their peer.

Within a namespace every socket that shares the other end is given (SO_REUSEPORT). Where the same addresses and ports
are found in several other namespaces nothing shows which of them belong together, and no peer is given.
"""

from __future__ import annotations

from .owners import NOT_ACCEPTED, ORPHANED, merged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch, Values
    from ...records import Process
    from .owners import Owners

    Ends = tuple[str, str | None, int | None, str | None, int | None]

_FIELDS = ("protocol", "local_address", "local_port", "remote_address", "remote_port")
_PROTOCOLS = frozenset(("tcp", "mptcp", "udp", "udplite", "sctp", "dccp"))
_DATAGRAMS = frozenset(("udp", "udplite"))
_MAPPED = "::ffff:"
_LINK_LOCAL = ("fe8", "fe9", "fea", "feb")
_LOOPBACK = "lo"


class _Socket:
    """What is kept of a socket that may be the other end of others; ``reason`` says why nobody is known to hold it."""

    __slots__ = ("inode", "interface", "netns", "reason", "v6only")

    def __init__(
        self, inode: int, reason: str | None, netns: str | None, interface: str | None, v6only: bool | None
    ) -> None:
        self.inode = inode
        self.reason = reason
        self.netns = netns
        self.interface = interface
        self.v6only = v6only


class Peers:
    """Finds the other ends among the sockets of a listing: first ``learn`` all of it, then add ``columns`` to it.

    The columns are ``peers`` of the record, None where no other end was found and empty where nobody is known to hold
    it, and ``peer_owners`` for tables: as ss writes owners, or the reason in parentheses, or "" for no other end.
    """

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._connected: dict[Ends, list[_Socket]] = {}
        self._receivers: dict[Ends, list[_Socket]] = {}
        self._unix: dict[int, _Socket] = {}
        self.columns: dict[str, Callable[[Batch], Values]] = {"peers": self._peers, "peer_owners": self._texts}

    def learn(self, batch: Batch) -> None:
        """Takes in sockets that have the columns which Owners adds. A socket left out is no other socket's peer."""
        fields = ("inode", "owner_reason", "netns", "interface", "v6only")
        sockets = map(_Socket, *map(batch.values, fields))
        for ends, socket in zip(_ends(batch), sockets, strict=True):
            if ends[0] == "unix":
                self._unix[socket.inode] = socket
            elif ends[0] not in _PROTOCOLS:
                continue
            elif ends[4]:
                self._connected.setdefault(ends, []).append(socket)
            elif ends[0] in _DATAGRAMS:
                self._receivers.setdefault((*ends[:3], None, None), []).append(socket)

    def _peers(self, batch: Batch) -> Values:
        return [None if found is None else self._processes(found) for found in self._found(batch)]

    def _processes(self, sockets: Sequence[_Socket]) -> tuple[Process, ...]:
        return sum((self._owners.processes(socket.inode) for socket in sockets), ())

    def _texts(self, batch: Batch) -> Values:
        return ["" if found is None else self._text(found) for found in self._found(batch)]

    def _text(self, sockets: Sequence[_Socket]) -> str:
        held = list(filter(None, self._owners.texts(socket.inode for socket in sockets)))
        return merged(*held) if held else f"({sockets[0].reason})"

    def _found(self, batch: Batch) -> Iterator[Sequence[_Socket] | None]:
        fields = ("netns", "interface", "peer_inode", "shutdown")
        for ends, netns, interface, peer, shutdown in zip(_ends(batch), *map(batch.values, fields), strict=True):
            if ends[0] == "unix":
                yield None if peer is None else [self._unix_peer(peer, shutdown)]
            elif ends[0] in _PROTOCOLS and ends[4]:
                yield self._here(ends, netns, interface) or self._elsewhere(ends, netns)
            else:
                yield None

    def _unix_peer(self, inode: int, shutdown: str | None) -> _Socket:
        # A peer without an inode waits to be accepted, or has been closed, which shuts this end down.
        unheld = ORPHANED if shutdown == "both" else NOT_ACCEPTED
        return self._unix.get(inode) or _Socket(inode, unheld, None, None, None)

    def _here(self, ends: Ends, netns: str | None, interface: str | None) -> Sequence[_Socket] | None:
        """The other ends in the same namespace."""
        protocol, local_address, local_port, remote_address, remote_port = ends
        reversed_ends = (protocol, remote_address, remote_port, local_address, local_port)
        found = [socket for socket in self._connected.get(reversed_ends, ()) if socket.netns == netns]
        if found:
            if (remote_address or "").startswith(_LINK_LOCAL):
                # Such an address may be used on every interface. Two interfaces joined to each other are possible too.
                return [socket for socket in found if socket.interface == interface] or found
            return found
        if protocol not in _DATAGRAMS:
            return None
        for address in _receiving(remote_address or ""):
            found = [
                socket
                for socket in self._receivers.get((protocol, address, remote_port, None, None), ())
                if socket.netns == netns
                and socket.interface in (None, interface, _LOOPBACK)
                and not (socket.v6only and address == "::" and ":" not in (remote_address or ""))
            ]
            if found:
                return found
        return None

    def _elsewhere(self, ends: Ends, netns: str | None) -> Sequence[_Socket] | None:
        """The other ends in another namespace, where only one has them, and only one has this end."""
        protocol, local_address, local_port, remote_address, remote_port = ends
        if _is_loopback(local_address or "") or _is_loopback(remote_address or ""):
            return None
        found = self._connected.get((protocol, remote_address, remote_port, local_address, local_port), ())
        theirs = {socket.netns for socket in found}
        ours = {socket.netns for socket in self._connected.get(ends, ())} | {netns}
        return found if len(theirs) == len(ours) == 1 else None


def _ends(batch: Batch) -> Iterator[Ends]:
    """What connects two sockets, the addresses in the form that both families share."""
    protocols, *ends = map(batch.values, _FIELDS)
    ends[0] = map(_plain, ends[0])
    ends[2] = map(_plain, ends[2])
    return zip(protocols, *ends, strict=True)


def _plain(address: str | None) -> str | None:
    """An IPv6 socket has IPv4 addresses as ``::ffff:192.0.2.1`` (RFC 4291, 2.5.5.2)."""
    if address is not None and address.startswith(_MAPPED) and "." in address:
        return address[len(_MAPPED) :]
    return address


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _receiving(address: str) -> tuple[str, ...]:
    """To what a socket may be bound that receives what is sent to an address, the closest first.

    A wildcard counts for loopback only: of any other address it is not certain that it is one of this namespace's.
    """
    if not _is_loopback(address):
        return (address,)
    return (address, "::") if ":" in address else (address, "0.0.0.0", "::")
