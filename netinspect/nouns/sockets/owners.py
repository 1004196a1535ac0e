"""Who owns a socket: every process and descriptor that holds it, or why none is known.

sock_diag reports a socket's inode and never a process, so the descriptors of all processes are read
(engine/descriptors.py) and matched by inode. That takes a moment, and the listing another; a socket may come or go
between the two. So rows stream while their holders are known, and the few others wait for a second, closer look at the
end: at threads with descriptors of their own, io_urings, and descriptors that are on their way.
"""

from __future__ import annotations

import posix
from _operator import and_, not_, or_, rshift
from itertools import chain, compress, repeat

from ...engine.columns import NONE
from ...engine.descriptors import Holder, Unseen, socket_holders
from ...engine.rows import literal
from ...engine.text import in_quotes, printable
from ...engine.text import text as decoded
from ...errors import NetinspectError
from ...procfs import (
    cgroup_lines,
    cgroups,
    command_name,
    descriptors_in_flight,
    has_ended,
    in_initial_pid_namespace,
    processes_hidden,
    program_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from typing import Any

    from ...engine.columns import Batch, Values
    from ...records import Process

    Table = dict[Any, Any]
else:
    Table = dict

KERNEL = "kernel"
ORPHANED = "orphaned"
NOT_ACCEPTED = "not accepted"
IN_FLIGHT = "in flight"
"""A descriptor waits in the queue of a unix socket (unix(7): SCM_RIGHTS), which its holder may receive it from."""
MAYBE_IN_FLIGHT = "in flight or kernel"
"""Descriptors are on their way in unix sockets, and not all of them could be looked at."""
NO_PERMISSION = "no permission"
UNREADABLE = "unreadable"
OTHER_PID_NAMESPACE = "other pid namespace"
GONE = "gone"

_UNACCEPTED_STATES = frozenset(("SYN_RECV", "NEW_SYN_RECV", "ESTABLISHED", "CLOSE_WAIT"))
"""States that a connection without an inode can only have on the way to accept(2): closing it leads out of them."""

_PROGRAM_WIDTH = 19
"""Bytes that netstat has for PID/Program name (net-tools' netstat.c: PROGNAME_WIDTH)."""

_MOST_LOOKED_INTO = 100_000
"""Held sockets that are looked at for descriptors on their way, at 6 µs each."""

HELPERS = frozenset(
    (
        *("docker-proxy", "dockerd", "conmon", "rootlesskit", "rootlesskit-doc"),
        *("rootlessport", "rootlessport-ch", "exe", "slirp4netns", "pasta", "pasta.avx2"),
    )
)
"""Names (comm, cut to 15 bytes) of processes that hold the ports of containers: see owners_published."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/@:")
"""Characters that need no quotes."""

_SHIFT = 32
_DESCRIPTOR = (1 << _SHIFT) - 1
_NOBODY = -1


class Owners:
    """The holders of sockets, for one listing: ``scan``, then ``joined`` over its batches.

    The columns that ``joined`` adds are ``processes`` and ``owner_reason`` of the record and, for tables, ``owners``
    (as ss writes them, or the reason in parentheses) and ``program`` (as netstat writes it: "-" where unknown).
    """

    def __init__(self) -> None:
        self.unseen = Unseen()
        """The processes whose descriptors are not known; known after ``scan``."""
        self.problem: str | None = None
        """Why nothing could be read at all: /proc is not mounted, say."""
        self.lacking = 0
        """How many of the sockets that were ``joined`` have no holder since something could not be seen."""
        self._pids: list[int] = []
        """The processes that hold sockets. A process's number is its place in here."""
        self._ways: list[str | None] = []
        """How each of them holds them, where these are no descriptors of the whole process."""
        self._told: list[tuple[bytes, int] | None] = []
        """The name and the group of each of them, where who found it knew: see ``Holder``."""
        self._members: dict[int, int] = {}
        """A process of each group."""
        self._first: dict[int, int] = {}
        """By inode, its first holder: the number of the process, shifted left, and the descriptor.

        One integer for a socket, for there may be very many; more is made only for those that are listed.
        """
        self._further: dict[int, list[int]] = {}
        """By inode, the other holders of a socket that has several."""
        self.tunnel_ports: Callable[[str | None], Container[int | None]] = lambda netns: ()
        """The UDP ports of the tunnels in a namespace, by its label: the kernel's own sockets."""
        self._waiting: set[int] = set()
        """The sockets that are known to be on their way, and that nobody has received."""
        self._gone: set[int] = set()
        self._in_flight = False
        self._looked_closely = False
        self._abouts = _Made(self._about)
        self._forms = _Made(self._form)
        self._forms[_NOBODY] = "%.0s"  # nothing, whatever it is given
        self._helpers: dict[int, tuple[int, str]] = {}
        """Id and name of each process of HELPERS that was asked for, by its number."""
        self._programs = _Made(self._program)
        self._programs[_NOBODY] = "-"
        self._homes = _Made(_home)
        self._shared_homes: dict[int, tuple[str | None, str | None]] = {}
        self._columns: dict[str, Callable[[Batch], Values]] = {
            "processes": self._processes,
            "owner_reason": self._reasons,
            "owners": self._owners,
            "program": lambda batch: self.programs(list(batch.values("inode"))),
        }

    def scan(self) -> None:
        """Reads the descriptors of all processes. What cannot be read is in ``unseen`` and ``problem``."""
        self._add(self._holders())

    def _holders(self, pids: Iterable[int] | None = None, *, deep: bool = False) -> list[Holder]:
        try:
            holders, unseen = socket_holders(pids, deep=deep)
        except NetinspectError as error:
            self.problem = str(error)
            return []
        if pids is None:
            self.unseen = unseen
        return holders

    def not_seen(self) -> str:
        """What may hold sockets and was not seen; empty where that is nothing."""
        return _sentence(self.problem, self.unseen.texts(), hidden=True)

    def not_seen_of(self, selects: Callable[[int], object], *, hidden: bool) -> str:
        """The same of the processes that ``selects`` takes; ``hidden``: they may be among those that /proc hides."""
        pids = {pid for pid in (*self.unseen.refused, *self.unseen.failed) if selects(pid)}
        return _sentence(self.problem, self.unseen.texts(pids), hidden=hidden)

    def joined(self, batches: Iterable[Batch], again: Callable[[], Iterable[Batch]]) -> Iterator[Batch]:
        """The same rows with their owners.

        Rows whose holders are known, or never will be, come as they come in. The others come last: their sockets may be
        younger than the scan, so all processes are looked at once more. ``again`` makes the same dump anew; it is
        called only where there still are sockets that nobody holds, to distinguish those that are gone from the
        kernel's own.
        """
        waiting: list[Batch] = []
        for batch in batches:
            settled = self._settled(batch)
            if settled is None:
                yield batch.joined(self._columns)
                continue
            if any(settled):
                yield batch.select(settled).joined(self._columns)
            waiting.append(batch.select(list(map(not_, settled))))
        if waiting:
            self._look_again({inode for batch in waiting for inode in batch.values("inode")}, again)
            for batch in waiting:
                reasons = self._reason_texts(batch) or ()
                self.lacking += sum(reason in (NO_PERMISSION, UNREADABLE) for reason in reasons)
                yield batch.joined(self._columns)

    def processes(self, inode: int) -> tuple[Process, ...]:
        """Every process and descriptor that holds the socket."""
        self._forget_ended((inode,))
        found: tuple[Process, ...]
        (found,) = self._records((inode,))
        return found

    def texts(self, inodes: Iterable[int]) -> list[str]:
        """The holders of each socket as ss writes them, ``users:(("sshd",pid=812,fd=3))``; "" where none is known."""
        inodes = list(inodes)
        self._forget_ended(inodes)
        return self._owner_texts(inodes)

    def programs(self, inodes: Iterable[int]) -> list[str]:
        """The first holder of each socket as netstat writes it, ``812/sshd`` in 19 bytes at most; "-" where unknown."""
        inodes, programs = list(inodes), self._programs
        found = [programs[holder >> _SHIFT] for holder in map(self._first.get, inodes, repeat(_NOBODY))]
        for row in self._shared(inodes):
            if found[row] == "-":  # it ended
                others = (programs[holder >> _SHIFT] for holder in self._further[inodes[row]])
                found[row] = next((program for program in others if program != "-"), "-")
        return found

    def listed_programs(self, batch: Batch) -> list[str]:
        """The programs of a batch in its order: where one is missing that may be found, there is one closer look."""
        inodes = list(batch.values("inode"))
        programs = self.programs(inodes)
        if "-" in programs and not self._looked_closely:
            me = posix.geteuid()
            everybody = me == 0 or not self.unseen.refused
            rows = zip(programs, inodes, batch.values("uid"), strict=True)
            if any(inode and program == "-" and (everybody or uid in (None, me)) for program, inode, uid in rows):
                self.look_closely()
                programs = self.programs(inodes)
        return programs

    def held_by_helpers(self, batch: Batch) -> dict[int, tuple[int, str]]:
        """The rows of sockets whose first holder is one of HELPERS, with its id and name."""
        wanted = self._helpers
        if not wanted:
            return {}
        holders = map(rshift, map(self._first.get, batch.values("inode"), repeat(_NOBODY)), repeat(_SHIFT))
        return {row: wanted[number] for row, number in enumerate(holders) if number in wanted}

    def descriptors(self) -> Iterator[tuple[int, int, int]]:
        """Inode, process and descriptor of every socket that is held, once for each descriptor of a whole process."""
        further = ((inode, holder) for inode, holders in self._further.items() for holder in holders)
        # Taken at once: those that have ended are removed from it by who asks for their names meanwhile.
        for inode, holder in list(chain(self._first.items(), further)):
            if self._ways[holder >> _SHIFT] is None:
                yield inode, self._pids[holder >> _SHIFT], holder & _DESCRIPTOR

    def _add(self, holders: list[Holder], wanted: Container[int] | None = None) -> None:
        """Takes holders in, and out of that list: of these sockets only, where they are given."""
        first = self._first
        holders.reverse()
        while holders:
            holder = holders.pop()  # which frees what the last one had
            inodes, descriptors = holder.inodes, holder.descriptors
            if wanted is not None:
                mask = [inode in wanted for inode in inodes]
                inodes, descriptors = list(compress(inodes, mask)), list(compress(descriptors, mask))
            number = len(self._pids)
            self._pids.append(holder.pid)
            self._ways.append(holder.via)
            if holder.name is None:
                self._told.append(None)
            else:
                self._told.append((holder.name, holder.group))
                self._members[holder.group] = holder.pid
            values = list(map((number << _SHIFT).__or__, descriptors))
            fresh = dict(zip(inodes, values, strict=True))
            if len(fresh) == len(values) and first.keys().isdisjoint(fresh):
                first.update(fresh)  # most sockets have one holder
                continue
            for inode, value in zip(inodes, values, strict=True):
                if inode in first:
                    self._further.setdefault(inode, []).append(value)
                else:
                    first[inode] = value

    def _shared(self, inodes: Sequence[int]) -> list[int]:
        """The rows whose sockets have several holders."""
        further = self._further
        return [row for row, inode in enumerate(inodes) if inode in further] if further else []

    def _forget_ended(self, inodes: Sequence[int]) -> None:
        """Reads the names of all that hold these sockets; those that have none any more have ended."""
        numbers = set(map(rshift, map(self._first.get, inodes, repeat(_NOBODY)), repeat(_SHIFT)))
        for row in self._shared(inodes):
            numbers.update(holder >> _SHIFT for holder in self._further[inodes[row]])
        numbers.discard(_NOBODY)
        ended = {number for number in numbers if self._abouts[number] is None}
        for inode in inodes if ended else ():
            if inode in self._first:
                holders = [self._first.pop(inode), *self._further.pop(inode, ())]
                holders = [holder for holder in holders if holder >> _SHIFT not in ended]
                if holders:
                    self._first[inode] = holders[0]
                if holders[1:]:
                    self._further[inode] = holders[1:]

    def _settled(self, batch: Batch) -> Sequence[bool] | None:
        """Which rows need no second look; None where that is all of them."""
        inodes = list(batch.values("inode"))
        self._forget_ended(inodes)
        unknown = set(inodes).difference(self._first, (0,))
        if not unknown:
            return None
        # A socket of ours, such as the one of the dump itself, is found by looking at this one process.
        self._add(self._holders([posix.getpid()]), unknown)
        settled = [inode in self._first or inode == 0 for inode in inodes]
        if "netlink" in batch.values("protocol"):
            settled = [row or not port for row, port in zip(settled, batch.values("local_port"), strict=True)]
        me = posix.geteuid()
        if self.unseen.refused and me != 0:
            # Only root can find the holder of another user's socket by looking again.
            theirs = [uid not in (None, me) for uid in batch.values("uid")]
            self.lacking += sum(other and not row for row, other in zip(settled, theirs, strict=True))
            settled = list(map(or_, settled, theirs))
        return None if all(settled) else settled

    def _look_again(self, wanted: set[int], again: Callable[[], Iterable[Batch]]) -> None:
        # Where the kernel lists all at once, most that is younger is found for a fraction of a closer look.
        for deep in (False, True) if self._members else (True,):
            self._add(self._holders(deep=deep), wanted.difference(self._first))
            self._forget_ended(list(wanted))
            missing = wanted.difference(self._first)
            if not missing:
                break
        if missing:
            listed: set[int] = set()
            other: set[int] = set()
            for batch in again():
                listed.update(batch.values("inode"))
                if "unix" not in batch.values("protocol"):
                    other.update(batch.values("inode"))
            self._gone = missing - listed
            if missing != self._gone:
                self._look_on_the_way(missing - self._gone, other)

    def look_closely(self) -> None:
        """Looks, once, for holders of sockets that seem to have none: young ones, threads, io_urings."""
        if not self._looked_closely:
            self._looked_closely = True
            holders = self._holders(deep=True)
            held = {inode for holder in holders for inode in holder.inodes}
            self._add(holders, held.difference(self._first))

    def _look_on_the_way(self, wanted: set[int], other: set[int]) -> None:
        """Looks for these sockets in the queues of unix sockets, which those of ``other`` are not."""
        held = [found for found in self.descriptors() if found[0] not in other]
        if len(held) > _MOST_LOOKED_INTO:
            self._in_flight = True
            return
        for _, pid, descriptor in held:
            if descriptors_in_flight(pid, descriptor):
                from ...records import Process
                from .request_copies import Copy

                try:
                    with Copy.of(Process(pid, "", descriptor)) as copy:
                        inodes, whole = copy.on_their_way()
                except OSError:
                    inodes, whole = [], False
                self._in_flight |= not whole
                self._add([Holder(pid, [descriptor] * len(inodes), inodes, IN_FLIGHT)], wanted)
                self._waiting.update(wanted.intersection(inodes))

    def _out_of_sight(self) -> str | None:
        """Why a holder may be there and not be seen."""
        if self.unseen.refused:
            return NO_PERMISSION
        if self.problem or self.unseen.failed:
            return UNREADABLE
        if processes_hidden():
            return NO_PERMISSION
        return None if in_initial_pid_namespace() else OTHER_PID_NAMESPACE

    def _processes(self, batch: Batch) -> Values:
        return self._records(list(batch.values("inode")))

    def _records(self, inodes: Sequence[int]) -> list[tuple[Process, ...]]:
        from ...records import Process

        abouts, ways = self._abouts, self._ways

        def record(holder: int) -> Process:
            number = holder >> _SHIFT
            pid, name, unit, container = abouts[number]
            return Process(pid, name, holder & _DESCRIPTOR, unit, container, ways[number])

        firsts = map(self._first.get, inodes, repeat(_NOBODY))
        found: list[tuple[Process, ...]] = [() if holder == _NOBODY else (record(holder),) for holder in firsts]
        for row in self._shared(inodes):
            found[row] += tuple(map(record, self._further[inodes[row]]))
        return found

    def _reasons(self, batch: Batch) -> Values:
        reasons = self._reason_texts(batch)
        return NONE if reasons is None else reasons

    def _reason_texts(self, batch: Batch) -> list[str | None] | None:
        """Why a socket has no known holder; None if all have holders."""
        inodes = list(batch.values("inode"))
        received = self._first.keys() - self._waiting if self._waiting else self._first
        if all(map(received.__contains__, inodes)):
            return None
        unseen = self._out_of_sight()
        fields = ("protocol", "state", "local_port", "netns")
        rows = zip(inodes, *map(batch.values, fields), strict=True)
        return [None if row[0] in received else self._reason(unseen, *row) for row in rows]

    def _reason(
        self, unseen: str | None, inode: int, protocol: str, state: str, port: int | None, netns: str | None
    ) -> str:
        if inode == 0:
            return NOT_ACCEPTED if state in _UNACCEPTED_STATES else ORPHANED
        if inode in self._waiting:
            return IN_FLIGHT
        if protocol == "netlink" and port == 0:
            return KERNEL
        if inode in self._gone:
            return GONE
        if (unseen or self._in_flight) and protocol == "udp" and port in self.tunnel_ports(netns):
            return KERNEL
        return unseen or (MAYBE_IN_FLIGHT if self._in_flight else KERNEL)

    def _owners(self, batch: Batch) -> Values:
        texts = self._owner_texts(list(batch.values("inode")))
        reasons = self._reason_texts(batch)
        if reasons is None:
            return texts
        return [text or f"({reason})" for text, reason in zip(texts, reasons, strict=True)]

    def _owner_texts(self, inodes: Sequence[int]) -> list[str]:
        found = self._holder_texts(map(self._first.get, inodes, repeat(_NOBODY)))
        for row in self._shared(inodes):
            found[row] = merged(found[row], *self._holder_texts(self._further[inodes[row]]))
        return found

    def _holder_texts(self, holders: Iterable[int]) -> list[str]:
        found = list(holders)
        if not found:
            return []
        # No form has the character that is between them: one format for all is quicker than one for each.
        forms = map(self._forms.__getitem__, map(rshift, found, repeat(_SHIFT)))
        return ("\0".join(forms) % tuple(map(and_, found, repeat(_DESCRIPTOR)))).split("\0")

    def _about(self, number: int) -> tuple[int, str, str | None, str | None] | None:
        """The process with that number: id, name, unit and container. None where it has ended."""
        pid, told = self._pids[number], self._told[number]
        if told is None:
            name = command_name(pid)
        else:
            name = None if has_ended(pid) else decoded(told[0])
        if name is None:
            return None
        if name in HELPERS:
            self._helpers[number] = pid, name
        return pid, name, *(self._homes[cgroup_lines(pid)] if told is None else self._home_in_group(pid, told[1]))

    def _home_in_group(self, pid: int, group: int) -> tuple[str | None, str | None]:
        """The unit and the container of a process, which all of its group had when they were found.

        One may have moved since. So two are asked, and where they differ, each that there is.
        """
        home = self._shared_homes.get(group)
        if home is None:
            lines = cgroup_lines(pid)
            home = self._homes[lines]
            other = self._members[group]
            if lines and other != pid and cgroup_lines(other) == lines:
                self._shared_homes[group] = home
        return home

    def _form(self, number: int) -> str:
        """What ss writes of that process, with ``%d`` for a descriptor."""
        pid, name, unit, container = self._abouts[number]
        where = f",container={_called(container)}" if container else f",unit={unit}" if unit else ""
        if way := self._ways[number]:
            where = f",via={way}{where}"
        # A quote in a name must not end it: what follows could read as another holder.
        return f'users:(("{literal(in_quotes(name))}",pid={pid},fd=%d{literal(where)}))'.replace("\0", r"\x00")

    def _program(self, number: int) -> str:
        pid = self._pids[number]
        name = program_name(pid)
        if name is None:
            return "-"  # it ended
        return printable(f"{pid}/{name}".encode()[:_PROGRAM_WIDTH].decode("utf-8", "backslashreplace"))


class _Made(Table):
    """Values that are made when they are first asked for."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        value = self[key] = self._make(key)
        return value


def merged(text: str, *further: str) -> str:
    """The holders in several texts as one text of the same form."""
    return ",".join([text[:-1], *(other.removeprefix("users:(")[:-1] for other in further)]) + ")"


def _called(container: str) -> str:
    """A container's name as it stands in the text of a holder, where a comma or a bracket would end it."""
    from ...engine.containers.names import known

    name = known().name(container)
    return name if _PLAIN.issuperset(name) else f'"{in_quotes(name)}"'


def _sentence(problem: str | None, texts: list[str], *, hidden: bool) -> str:
    if problem is not None:
        return problem
    if hidden and processes_hidden():
        texts.append("/proc hides processes of others (proc(5): hidepid)")
    return "; ".join(texts)


def _home(lines: bytes) -> tuple[str | None, str | None]:
    from ...engine.containers.cgroups import unit_and_container

    return unit_and_container(cgroups(lines))
