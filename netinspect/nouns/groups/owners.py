"""Which sockets joined a multicast group, and which get its datagrams.

sock_diag reports what a socket is bound to, and so whether datagrams of a group can reach it; what it joined it does
not report, except packet sockets. So the socket itself is asked: a copy of the descriptor (pidfd_getfd(2), which takes
the right to trace the process) answers getsockopt(2) for a group (RFC 3678). Nothing of the socket is changed by that;
but its port stays taken while there is a copy. So one socket at a time is asked, all questions at once, and none when
the users of every group are known already: many groups have no users but the kernel itself.
"""

from __future__ import annotations

from errno import EBADF, ENOSYS, EPERM, ESRCH
from itertools import chain

from ...engine.dumps import whole_list
from ...engine.namespaces import inside
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...errors import NetlinkError
from ...procfs import socket_protocol
from ...records import GroupSocket
from ...uapi.netlink import NETLINK_SOCK_DIAG
from ..sockets.listing import ALL_STATES, Query, SocketListing
from ..sockets.owners import Owners
from ..sockets.request_copies import Copy, own_namespace
from . import decode_packet as packet_memberships
from .owners_kernel import KernelUsers, key_of, users_in_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeVar

    from ...records import Membership, Process, Socket

    Answer = TypeVar("Answer")
    Joined = tuple[str, tuple[str, ...]]
    """The mode and the sources with which a socket joined."""
    Key = tuple[str, int, str]
    """Family, interface and group."""

_PROTOCOLS = ("udp", "udplite", "raw")
_OTHERS = ("tcp", "unix")
_UNBOUND = {
    **dict.fromkeys(("UDP", "UDPv6"), "udp"),
    **dict.fromkeys(("UDP-Lite", "UDPLITEv6"), "udplite"),
    **dict.fromkeys(("RAW", "RAWv6"), "raw"),
}
"""Names of struct proto: sockets that are bound to nothing, but may have joined a group all the same."""
_MAPPED = "::ffff:"
_ANY = {"inet": ("0.0.0.0", "::"), "inet6": ("::",)}
_REFUSALS = {
    EPERM: "needs CAP_SYS_PTRACE over their processes",
    ENOSYS: "needs pidfd_getfd(2), since Linux 5.6",
}


class _Answers:
    """What a socket has answered: by family, interface and group how it joined, None where it has not."""

    __slots__ = ("joined", "takes_all")

    def __init__(self) -> None:
        self.joined: dict[Key, Joined | None] = {}
        self.takes_all: dict[str, bool] = {}


class Holders:
    """Who holds which socket, of all namespaces: looked up once for a listing; and who asks the sockets."""

    def __init__(self) -> None:
        """Reads the descriptors of all processes."""
        self._owners = Owners()
        self._owners.scan()
        self._answers: dict[int, _Answers | None] = {}
        self._protocols: dict[int, str | None] = {}
        self.refusals: dict[str, int] = {}
        """How many sockets could not be asked, though who holds them is known, by the reason."""

    def unseen(self) -> list[str]:
        """Why not all sockets could be asked."""
        texts = [text] if (text := self._owners.not_seen()) else []
        texts += [
            f"{count} {'socket' if count == 1 else 'sockets'} could not be asked for their memberships ({reason})"
            for reason, count in self.refusals.items()
        ]
        return texts

    def processes(self, inode: int) -> tuple[Process, ...]:
        """Every process and descriptor that holds the socket."""
        return self._owners.processes(inode)

    def ask(self, inode: int, keys: Iterable[Key], families: Iterable[str] = ()) -> _Answers | None:
        """Asks a socket how it joined these, and whether it takes all groups of these families.

        None where that is not permitted, or it is gone.
        """
        answers = self._answers.get(inode)
        if answers is None and inode in self._answers:
            return None
        if answers is None:
            answers = _Answers()
        missing = [key for key in keys if key not in answers.joined]
        lacking = [family for family in families if family not in answers.takes_all]
        if missing or lacking:

            def questions(copy: Copy) -> bool:
                for family, index, group in missing:
                    answers.joined[family, index, group] = copy.source_filter(family, index, group)
                answers.takes_all.update((family, copy.takes_all(family)) for family in lacking)
                return True

            self._answers[inode] = answers if self._asked(inode, questions) else None
        return self._answers.get(inode)

    def _asked(self, inode: int, questions: Callable[[Copy], Answer]) -> Answer | None:
        """What the questions to a copy of the socket give; None where there is no copy to be had."""
        reason = None
        for process in self.processes(inode):
            if process.via is not None:
                reason = reason or f"held through {process.via}"
                continue
            try:
                with Copy.of(process) as copy:
                    if copy.inode() == inode:
                        return questions(copy)
            except OSError as error:
                if error.errno not in (ESRCH, EBADF):
                    reason = _REFUSALS.get(error.errno or 0) or error.strerror
        if reason is not None:
            self.refusals[reason] = self.refusals.get(reason, 0) + 1
        return None

    def unbound(self, known: Collection[int | None], namespace: bytes | None) -> Iterator[tuple[int, str]]:
        """Sockets over IP, with their protocols, of that namespace (own_namespace), except those that are known."""
        if namespace is None:
            return
        for inode, pid, descriptor in self._owners.descriptors():
            if inode in known:
                continue
            if inode not in self._protocols:
                self._protocols[inode] = _UNBOUND.get(socket_protocol(pid, descriptor) or "")
            protocol = self._protocols[inode]
            if protocol is not None and self._asked(inode, Copy.namespace) == namespace:
                yield inode, protocol


class GroupSockets:
    """The sockets of one namespace that may have to do with these groups."""

    def __init__(
        self,
        place: Place,
        holders: Holders,
        memberships: Collection[Membership],
        problems: list[str],
        notes: list[str],
    ) -> None:
        """Lists and asks them. Raises NetlinkError where the kernel refuses."""
        # A listing closes its places when it is through, and this one is needed further.
        same = Place(None if place.descriptor is None else f"/proc/self/fd/{place.descriptor}")
        listing = SocketListing(Query(_PROTOCOLS, states=ALL_STATES), (same,))
        self._bound: list[Socket] = list(chain.from_iterable(listing.batches()))
        self._holders = holders
        problems += listing.problems
        notes += listing.notes
        self._place = place
        self._packet = self._joined_by_packet_sockets(place, problems)
        self._joined: dict[int, dict[Key, Joined]] = {}
        """By inode, what each socket joined."""
        self._refused: set[int] = set()
        self._unbound: dict[int, str] = {}
        self._kernels = KernelUsers(place)
        self.unexplained: dict[Key, int | None] = {}
        """How many users of each membership are not known; None where it is not even known how many there are."""
        self._find([row for row in memberships if row.family != "link"])

    def _find(self, memberships: Collection[Membership]) -> None:
        kernels = self._kernels
        for row in memberships:
            least = kernels.at_least(key_of(row))
            if row.users is None or row.users > least:
                self.unexplained[key_of(row)] = None if row.users is None else row.users - least
        groups = {group for _, _, group in self.unexplained}
        # Those that are bound to a group joined it, as a rule.
        for socket in sorted(self._bound, key=lambda socket: socket.local_address not in groups):
            self._ask(socket.inode or 0)
        if self.missing():  # else a user may be the kernel's own: no reason to look at all descriptors
            self._unbound = self._bound_to_nothing()
            for inode in self._unbound:
                self._ask(inode)

    def _ask(self, inode: int) -> None:
        if not self.unexplained:
            return
        answers = self._holders.ask(inode, list(self.unexplained))
        if answers is None:
            self._refused.add(inode)
            return
        for key, users in list(self.unexplained.items()):
            joined = answers.joined.get(key)
            if joined is None:
                continue
            self._joined.setdefault(inode, {})[key] = joined
            if users is not None:
                if users <= 1:
                    del self.unexplained[key]
                else:
                    self.unexplained[key] = users - 1

    def missing(self) -> list[Key]:
        """The memberships that some socket joined which is not known."""
        return [
            key
            for key, users in self.unexplained.items()
            if users is None or users + self._kernels.at_least(key) > users_in_kernel(key[2])
        ]

    def filters(self, membership: Membership) -> list[Joined]:
        """How each of the sockets that are known to have joined it did so."""
        key = key_of(membership)
        return [joined[key] for joined in self._joined.values() if key in joined]

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
        found += [self._of_unbound(membership, *item) for item in self._unbound.items()]
        return tuple(socket for socket in found if socket is not None)

    def _bound_to_nothing(self) -> dict[int, str]:
        """Sockets that sock_diag does not list: looked for among all descriptors, where the others do not explain who
        has joined.
        """
        known = {socket.inode for socket in self._bound}
        # Most sockets are of other kinds: a dump of them takes less time than looking at each.
        place = Place(None if self._place.descriptor is None else f"/proc/self/fd/{self._place.descriptor}")
        others = SocketListing(Query(_OTHERS, states=ALL_STATES), (place,))
        known.update(inode for batch in others.batches() for inode in batch.values("inode"))
        return dict(self._holders.unbound(known, inside(self._place.descriptor, own_namespace)))

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
        address = socket.local_address or ""
        if membership.family == "inet":
            address = address.removeprefix(_MAPPED)  # bound through IPv6 to an IPv4 address
        if address == membership.group:
            return True
        if address not in _ANY[membership.family]:
            return False
        return not (membership.family == "inet" and socket.family == "inet6" and socket.v6only)

    def _takes_all(self, membership: Membership, socket: Socket) -> bool:
        """Whether the socket gets groups that it has not joined itself: the default of IP_MULTICAST_ALL."""
        if membership.family == "inet" and socket.options is not None:
            return "mc_all" in socket.options
        answers = self._holders.ask(socket.inode or 0, (), (membership.family,))
        return True if answers is None else answers.takes_all[membership.family]

    def _asked(self, membership: Membership, inode: int) -> tuple[bool | None, str | None, tuple[str, ...]]:
        """Whether the socket joined it, with which sources; None where it may not be asked."""
        key = key_of(membership)
        answer = self._joined.get(inode, {}).get(key)
        if answer is not None:
            return (True, *answer)
        return (None if inode in self._refused and key in self.unexplained else False), None, ()

    @staticmethod
    def _joined_by_packet_sockets(place: Place, problems: list[str]) -> dict[tuple[int, str], list[int]]:
        operation = "listing memberships of packet sockets"

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_SOCK_DIAG), packet_memberships.request(), operation)

        found: dict[tuple[int, str], list[int]] = {}
        try:
            for inode, index, group in whole_list(operation, dump, packet_memberships.memberships, problems.append):
                found.setdefault((index, group), []).append(inode)
        except NetlinkError:
            pass  # no packet_diag: the listing of sockets reports it
        return found
