"""Which sockets joined a multicast group, and which get its datagrams.

sock_diag tells what a socket is bound to, and so whether datagrams of a group can reach it; what it joined it does not
tell, but for packet sockets. So the socket itself is asked: a copy of the descriptor (pidfd_getfd(2), which takes the
right to trace the process) answers getsockopt(2) for a group (RFC 3678). Nothing of the socket is changed by that.
"""

from __future__ import annotations

from itertools import chain

from ...engine.dumps import whole_list
from ...engine.namespaces import inside
from ...engine.netlink.transport import NETLINK_SOCK_DIAG, Dump
from ...engine.places import Place
from ...errors import NetlinkError
from ...procfs import socket_protocol
from ...records import GroupSocket
from ..sockets.listing import ALL_STATES, Listing, Query
from ..sockets.owners import Owners
from ..sockets.request_copies import Copy, namespace_cookie
from . import decode_packet as packet_memberships

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ...records import Membership, Process, Socket

_PROTOCOLS = ("udp", "udplite", "raw")
_OTHERS = ("tcp", "unix")
_UNBOUND = {
    **dict.fromkeys(("UDP", "UDPv6"), "udp"),
    **dict.fromkeys(("UDP-Lite", "UDPLITEv6"), "udplite"),
    **dict.fromkeys(("RAW", "RAWv6"), "raw"),
}
"""Names of struct proto: sockets that are bound to nothing, but may have joined a group all the same."""
_ANY = {"inet": ("0.0.0.0", "::"), "inet6": ("::",)}


_OF_THE_KERNEL = frozenset(
    ("224.0.0.1", "224.0.0.2", "224.0.0.106", "ff01::1", "ff01::2", "ff02::1", "ff02::2", "ff02::6a", "ff05::2")
)
"""Groups that the kernel itself joins: all systems; all routers where it forwards; all snooping switches on bridges."""
_SOLICITED_NODE = "ff02::1:ff"
_ADDRESSES_ALIKE = 2
"""Users of a neighbour discovery group: a link-local and a global address that end alike are one each."""


def _users_in_kernel(membership: Membership) -> int:
    """How many of the users of a group are no sockets."""
    if membership.group.startswith(_SOLICITED_NODE):
        return _ADDRESSES_ALIKE
    return int(membership.group in _OF_THE_KERNEL)


class Holders:
    """Who holds which socket, of all namespaces: looked up once for a listing, and the copies that are asked."""

    def __init__(self, notes: list[str]) -> None:
        """Reads the descriptors of all processes. Raises NetinspectError where /proc is not mounted."""
        self._owners = Owners()
        self._owners.scan()
        if self._owners.unreadable:
            notes.append(
                f"the open files of {self._owners.unreadable} processes may not be seen (it takes root with "
                "CAP_SYS_PTRACE): what they joined, and who they are, is not known"
            )
        self._copies: dict[int, Copy | None] = {}
        self._protocols: dict[int, str | None] = {}
        self.refused = 0
        """How many sockets could not be asked, though who holds them is known."""

    def close(self) -> None:
        """Closes the copies."""
        for copy in self._copies.values():
            if copy is not None:
                copy.close()
        self._copies.clear()

    def processes(self, inode: int) -> tuple[Process, ...]:
        """Every process and descriptor that holds the socket."""
        return self._owners.processes(inode)

    def copy(self, inode: int) -> Copy | None:
        """A copy of the socket; None where that is not permitted, or it is gone."""
        if inode not in self._copies:
            self._copies[inode] = self._copied(inode)
        return self._copies[inode]

    def _copied(self, inode: int) -> Copy | None:
        for process in self.processes(inode):
            copy = Copy.of(process)
            if copy is not None and copy.inode() == inode:
                return copy
            if copy is not None:
                copy.close()  # the descriptor is another socket by now
        self.refused += bool(self.processes(inode))
        return None

    def unbound(self, known: Collection[int | None], cookie: bytes | None) -> Iterator[tuple[int, str]]:
        """Sockets over IP, with their protocols, of the namespace with that cookie, but for those that are known."""
        for inode, pid, descriptor in self._owners.descriptors():
            if inode in known:
                continue
            if inode not in self._protocols:
                self._protocols[inode] = _UNBOUND.get(socket_protocol(pid, descriptor) or "")
            protocol = self._protocols[inode]
            copy = None if protocol is None or cookie is None else self.copy(inode)
            if protocol is not None and copy is not None and copy.namespace_cookie() == cookie:
                yield inode, protocol


class GroupSockets:
    """The sockets of one namespace that may have to do with groups."""

    def __init__(self, place: Place, holders: Holders, problems: list[str], notes: list[str]) -> None:
        """Lists them. Raises NetlinkError where the kernel refuses."""
        # A listing closes its places when it is through, and this one is needed further.
        same = Place(None if place.descriptor is None else f"/proc/self/fd/{place.descriptor}")
        listing = Listing(Query(_PROTOCOLS, states=ALL_STATES), (same,))
        self._bound: list[Socket] = list(chain.from_iterable(listing.batches()))
        self._holders = holders
        problems += listing.problems
        notes += listing.notes
        self._place = place
        self._unbound: dict[int, str] | None = None
        self._packet = self._joined_by_packet_sockets(place, problems)

    def of(self, membership: Membership) -> tuple[GroupSocket, ...]:
        """The sockets that joined this group on this interface, or get its datagrams."""
        if membership.family == "link":
            key = membership.interface_index, membership.group
            inodes = self._packet.get(key, [])
            return tuple(
                GroupSocket("packet", None, None, True, True, None, (), inode, self._holders.processes(inode))
                for inode in inodes
            )
        found = [self._of_bound(membership, socket) for socket in self._bound]
        joined = sum(1 for socket in found if socket is not None and socket.joined)
        if membership.users is None or membership.users > joined + _users_in_kernel(membership):
            found += [self._of_unbound(membership, *item) for item in self._bound_to_nothing().items()]
        return tuple(socket for socket in found if socket is not None)

    def _bound_to_nothing(self) -> dict[int, str]:
        """Sockets that sock_diag does not list: looked for among all descriptors, where the others do not explain who
        has joined.
        """
        if self._unbound is None:
            known = {socket.inode for socket in self._bound}
            # Most sockets are of other kinds: a dump of them takes less time than looking at each.
            place = Place(None if self._place.descriptor is None else f"/proc/self/fd/{self._place.descriptor}")
            others = Listing(Query(_OTHERS, states=ALL_STATES), (place,))
            known.update(inode for batch in others.batches() for inode in batch.values("inode"))
            self._unbound = dict(self._holders.unbound(known, inside(self._place.descriptor, namespace_cookie)))
        return self._unbound

    def _of_bound(self, membership: Membership, socket: Socket) -> GroupSocket | None:
        fits = self._reachable(membership, socket)
        joined, mode, sources = self._asked(membership, socket.inode or 0)
        receives = fits and (bool(joined) or self._takes_all(membership, socket))
        if not joined and not receives:
            return None
        return GroupSocket(
            socket.protocol,
            socket.local_address,
            socket.local_port,
            joined,
            receives,
            mode,
            sources,
            socket.inode or 0,
            self._holders.processes(socket.inode or 0),
        )

    def _of_unbound(self, membership: Membership, inode: int, protocol: str) -> GroupSocket | None:
        joined, mode, sources = self._asked(membership, inode)
        if not joined:
            return None
        return GroupSocket(protocol, None, None, True, False, mode, sources, inode, self._holders.processes(inode))

    @staticmethod
    def _reachable(membership: Membership, socket: Socket) -> bool:
        """Whether the socket is bound to the group or to any address, and to that interface or to none."""
        if socket.interface not in (None, membership.interface):
            return False
        if socket.local_address == membership.group:
            return True
        if socket.local_address not in _ANY[membership.family]:
            return False
        return not (membership.family == "inet" and socket.family == "inet6" and socket.v6only)

    def _takes_all(self, membership: Membership, socket: Socket) -> bool:
        """Whether the socket gets groups that it has not joined itself: the default of IP_MULTICAST_ALL."""
        if membership.family == "inet" and socket.options is not None:
            return "mc_all" in socket.options
        copy = self._holders.copy(socket.inode or 0)
        return True if copy is None else copy.takes_all(membership.family)

    def _asked(self, membership: Membership, inode: int) -> tuple[bool | None, str | None, tuple[str, ...]]:
        """Whether the socket joined it, with which sources; None where it may not be asked."""
        copy = self._holders.copy(inode)
        if copy is None:
            return None, None, ()
        answer = copy.source_filter(membership.family, membership.interface_index, membership.group)
        return (False, None, ()) if answer is None else (True, *answer)

    @staticmethod
    def _joined_by_packet_sockets(place: Place, problems: list[str]) -> dict[tuple[int, str], list[int]]:
        operation = "listing what packet sockets joined"

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_SOCK_DIAG), packet_memberships.request(), operation)

        found: dict[tuple[int, str], list[int]] = {}
        try:
            for inode, index, group in whole_list(operation, dump, packet_memberships.memberships, problems.append):
                found.setdefault((index, group), []).append(inode)
        except NetlinkError:
            pass  # no packet_diag: the listing of sockets says so
        return found
