"""What joins add to a listing of sockets, and the selections that only they make possible."""

from __future__ import annotations

from ...engine.text import digits, raw
from ...errors import NetinspectError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from ...engine.columns import Batch, Values
    from ...records import Process
    from .listing import SocketListing
    from .owners import Owners


class Selection:
    """Sockets of these users, processes and containers: each empty where it does not matter."""

    __slots__ = ("_names", "containers", "pids", "uids")

    def __init__(
        self,
        pids: Sequence[int] = (),
        processes: Sequence[str] = (),
        users: Sequence[str | int] = (),
        containers: Sequence[str] = (),
    ) -> None:
        """``processes`` are patterns of names, ``users`` and ``containers`` names or ids.

        Raises UsageError for a user, a container or a process id that does not exist.
        """
        self.containers: Collection[str] = ()
        if containers:
            from .listing_containers import ids_of

            self.containers = ids_of(containers)
        if pids:
            from ...procfs import process_ids, processes_hidden

            missing = set(pids).difference(process_ids())
            if missing:
                hidden = ", or /proc hides it (proc(5): hidepid)" if processes_hidden() else ""
                raise UsageError(f"no process {min(missing)}{hidden}")
        self.pids = frozenset(pids)
        self._names: list[Callable[[str], object]] = []
        if processes:
            self._names = [_matching(pattern) for pattern in processes]
        self.uids = frozenset(map(_user_id, users))

    def holds(self, processes: Sequence[Process]) -> bool:
        """Whether one of these processes is asked for."""
        return not (self.pids or self._names) or any(self._selects(process.pid, process.name) for process in processes)

    def missed(self, owners: Owners) -> str:
        """Why sockets may be missing that processes of these hold; empty where none can be."""
        from ...procfs import UNREAD, command_name

        if self.containers and not (self.pids or self._names):
            return owners.not_seen()

        def may_select(pid: int) -> object:
            name = command_name(pid) or ""
            return self._selects(pid, name) or (bool(self._names) and name == UNREAD)

        return owners.not_seen_of(may_select, hidden=bool(self._names))

    def _selects(self, pid: int, name: str) -> bool:
        return pid in self.pids or any(matches(name) for matches in self._names)

    @property
    def by_owner(self) -> bool:
        """Whether it takes the owners to select."""
        return bool(self.pids or self._names or self.containers)


def _matching(pattern: str) -> Callable[[str], object]:
    """Whether a process's name is as the pattern has it, in which * is any text and ? any character."""
    from re import DOTALL, compile, escape

    fits = compile(escape(pattern).replace("\\*", ".*").replace("\\?", "."), DOTALL).fullmatch
    # A byte that is not UTF-8 is one character, in the command line as in the name.
    return lambda name: fits(
        name if name.isascii() and "\\" not in name else raw(name).decode("utf-8", "surrogateescape")
    )


def _user_id(user: str | int) -> int:
    if isinstance(user, int):
        return user
    number = digits(user)
    if number is not None:
        return number
    from pwd import getpwnam

    from ...engine.files import check_database
    from ...engine.in_time import in_time

    check_database("passwd")
    try:
        return in_time(getpwnam, user).pw_uid
    except (KeyError, ValueError, OSError):
        raise UsageError(f"no user {user!r}") from None


OWNER_FIELDS = frozenset(("processes", "owner_reason", "owners", "program", "container", "behind"))
PEER_FIELDS = frozenset(("peers", "peer_owners"))


def joined(listing: SocketListing, fields: Collection[str], selection: Selection) -> Iterator[Batch]:
    """The listing's batches with the columns that joins make, as far as ``fields`` asks for them, and the selection.

    Beside the record's fields there are columns for tables: ``owners`` and ``peer_owners`` as ss(8) writes them, and
    ``program`` as netstat(8) does.
    """
    batches = listing.batches()
    if selection.uids:
        uids = selection.uids
        batches = (batch.select([uid in uids for uid in batch.values("uid")]) for batch in batches)
    peers = not PEER_FIELDS.isdisjoint(fields)
    if peers or selection.by_owner or not OWNER_FIELDS.isdisjoint(fields):
        batches = _with_owners(listing, batches, selection, peers)
    makers: dict[str, Callable[[Batch], Values]] = {}
    if "user" in fields:
        makers["user"] = _users()
    if "cgroup" in fields:
        from .owners_cgroups import CgroupPaths

        makers["cgroup"] = CgroupPaths().column
    if makers:
        batches = (batch.joined(makers) for batch in batches)
    return batches


def _with_owners(
    listing: SocketListing, batches: Iterator[Batch], selection: Selection, peers: bool
) -> Iterator[Batch]:
    from .owners import Owners
    from .owners_kernel import tunnel_ports

    owners = Owners()
    owners.tunnel_ports = tunnel_ports(listing)
    owners.scan()
    if owners.problem and selection.by_owner:
        raise NetinspectError(owners.problem)  # there is nothing to select by
    found: dict[str, Callable[[Batch], Values]] = {}
    if peers:
        from .peers import Peers

        # The other end may well be a socket that was not asked for.
        other_ends = Peers(owners)
        everything = listing.everything()
        for batch in owners.joined(everything.batches(), everything.batches):
            other_ends.learn(batch)
        found = other_ends.columns
        owners.lacking = 0
    from .listing_containers import named_columns

    names, containers = named_columns(owners)
    found |= names
    for batch in owners.joined(batches, listing.again):
        if selection.by_owner:
            batch = batch.select([selection.holds(processes) for processes in batch.values("processes")])
        if selection.containers:
            batch = batch.select(containers(batch, selection.containers))
        yield batch.joined(found)
    if not selection.by_owner:
        if unseen := owners.not_seen():
            reported = listing.problems if owners.lacking else listing.notes
            reported.append(f"{unseen}: owners may be missing")
    elif missed := selection.missed(owners):
        listing.problems.append(f"{missed}: some of their sockets may be missing")


def _users() -> Callable[[Batch], Values]:
    from ...engine.names import UserNames

    names = UserNames()

    return lambda batch: batch.column("uid").map(names.__getitem__)
