"""Who owns a socket: every process and descriptor that holds it, or why none is known.

sock_diag tells a socket's inode and never a process, so the descriptors of all processes are read (procfs.py) and
matched by inode. That takes a moment, and the listing another; a socket may come or go between the two. So rows stream
while their holders are known, and the few others wait for a second look at the end.
"""

from __future__ import annotations

import os
from _operator import add, not_
from itertools import compress, repeat

from ..batch import NONE, Constant
from ..procfs import cgroups, in_initial_pid_namespace, processes_hidden, program_name, socket_holders
from ..render.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from ..batch import Batch, Column
    from ..procfs import Holder
    from ..records import Process

KERNEL = "kernel"
ORPHANED = "orphaned"
NOT_ACCEPTED = "not accepted"
NO_PERMISSION = "no permission"
OTHER_PID_NAMESPACE = "other pid namespace"
GONE = "gone"

_UNACCEPTED_STATES = frozenset(("SYN_RECV", "NEW_SYN_RECV", "ESTABLISHED", "CLOSE_WAIT"))
"""States that a connection without an inode can only have on the way to accept(2): closing it leads out of them."""

_PROGRAM_WIDTH = 19
"""Bytes that netstat has for PID/Program name (net-tools' netstat.c: PROGNAME_WIDTH)."""


class Owners:
    """The holders of sockets, for one listing: ``scan``, then ``joined`` over its batches.

    The columns that ``joined`` adds are ``processes`` and ``owner_reason`` of the record and, for tables, ``owners``
    (as ss writes them, or the reason in parentheses) and ``program`` (as netstat writes it: "-" where unknown).
    """

    def __init__(self) -> None:
        self.refused: set[int] = set()
        """The ids of processes that did not let us see their descriptors; known after ``scan``."""
        self._holders: list[Holder] = []
        self._known: set[int] = set()
        self._gone: set[int] = set()
        self._tables: dict[str, tuple[dict[int, Any], int]] = {}
        """The values of each column by inode, and how many of the holders are in there."""
        self._columns: dict[str, Callable[[Batch], Column]] = {
            "processes": self._processes,
            "owner_reason": self._reasons,
            "owners": self._owners,
            "program": lambda batch: self.programs(list(batch.values("inode"))),
        }

    @property
    def unreadable(self) -> int:
        """How many processes did not let us see their descriptors."""
        return len(self.refused)

    def scan(self) -> None:
        """Reads the descriptors of all processes. Raises NetinspectError where /proc is not mounted."""
        holders, self.refused = socket_holders()
        self._add(holders)

    def joined(self, batches: Iterable[Batch], again: Callable[[], Iterable[Batch]]) -> Iterator[Batch]:
        """The same rows with their owners.

        Rows whose holders are known, or never will be, come as they come in. The others come last: their sockets may
        be younger than the scan, so all processes are looked at once more. ``again`` makes the same dump anew; it is
        called only where there still are sockets that nobody holds, to tell those that are gone from the kernel's own.
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
                yield batch.joined(self._columns)

    def processes(self, inode: int) -> tuple[Process, ...]:
        """Every process and descriptor that holds the socket."""
        found: tuple[Process, ...] = self._table("processes").get(inode, ())
        return found

    def texts(self, inodes: Iterable[int]) -> list[str]:
        """The holders of each socket as ss writes them, ``users:(("sshd",pid=812,fd=3))``; "" where none is known."""
        return list(map(self._table("owners").get, inodes, repeat("")))

    def programs(self, inodes: Iterable[int]) -> list[str]:
        """The first holder of each socket as netstat writes it, ``812/sshd`` in 19 bytes at most; "-" where unknown."""
        return list(map(self._table("program").get, inodes, repeat("-")))

    def held_by(self, matches: Callable[[int, str], bool]) -> set[int]:
        """Inodes of the sockets held by a process whose id and name match."""
        return {inode for holder in self._holders if matches(holder.pid, holder.name) for inode in holder.inodes}

    def descriptors(self) -> Iterator[tuple[int, int, int]]:
        """Inode, process and descriptor of every socket that is held, once for each descriptor."""
        for holder in self._holders:
            yield from zip(holder.inodes, repeat(holder.pid), holder.descriptors)

    def _add(self, holders: Iterable[Holder]) -> None:
        for holder in holders:
            self._holders.append(holder)
            self._known.update(holder.inodes)

    def _table(self, name: str) -> dict[int, Any]:
        """The values of one column by inode, made the first time they are asked for."""
        table, done = self._tables.get(name, ({}, 0))
        if done < len(self._holders):
            make, merge = _STYLES[name]
            for holder in self._holders[done:]:
                _insert(table, holder.inodes, make(holder), merge)
            self._tables[name] = table, len(self._holders)
        return table

    def _settled(self, batch: Batch) -> Sequence[bool] | None:
        """Which rows need no second look; None where that is all of them."""
        inodes = list(batch.values("inode"))
        unknown = set(inodes).difference(self._known, (0,))
        if not unknown:
            return None
        # A socket of ours, such as the one of the dump itself, is found by looking at this one process.
        self._add_only(unknown, socket_holders([os.getpid()])[0])
        settled = [inode in self._known or inode == 0 for inode in inodes]
        if "netlink" in batch.values("protocol"):
            settled = [row or not port for row, port in zip(settled, batch.values("local_port"), strict=True)]
        me = os.geteuid()
        if self.refused and me != 0:
            # Nobody but root finds the holder of another user's socket by looking again.
            settled = [row or uid not in (None, me) for row, uid in zip(settled, batch.values("uid"), strict=True)]
        return None if all(settled) else settled

    def _look_again(self, wanted: set[int], again: Callable[[], Iterable[Batch]]) -> None:
        holders, self.refused = socket_holders(threads=True)
        self._add_only(wanted, holders)
        missing = wanted - self._known
        if missing and self._out_of_sight() is None:
            self._gone = missing.difference(*(batch.values("inode") for batch in again()))

    def _add_only(self, wanted: set[int], holders: Iterable[Holder]) -> None:
        for holder in holders:
            mask = list(map(wanted.__contains__, holder.inodes))
            if any(mask):
                holder.descriptors = list(compress(holder.descriptors, mask))
                holder.inodes = list(compress(holder.inodes, mask))
                self._add((holder,))

    def _out_of_sight(self) -> str | None:
        """Why a holder may be there and not be seen."""
        if self.refused or processes_hidden():
            return NO_PERMISSION
        return None if in_initial_pid_namespace() else OTHER_PID_NAMESPACE

    def _processes(self, batch: Batch) -> Column:
        return list(map(self._table("processes").get, batch.values("inode"), repeat(())))

    def _reasons(self, batch: Batch) -> Column:
        inodes = list(batch.values("inode"))
        if self._known.issuperset(inodes):
            return NONE
        unseen = self._out_of_sight()
        rows = zip(inodes, batch.values("protocol"), batch.values("state"), batch.values("local_port"), strict=True)
        return [None if row[0] in self._known else self._reason(unseen, *row) for row in rows]

    def _reason(self, unseen: str | None, inode: int, protocol: str, state: str, port: int | None) -> str:
        if inode == 0:
            return NOT_ACCEPTED if state in _UNACCEPTED_STATES else ORPHANED
        if protocol == "netlink" and port == 0:
            return KERNEL
        return unseen or (GONE if inode in self._gone else KERNEL)

    def _owners(self, batch: Batch) -> Column:
        texts = self.texts(batch.values("inode"))
        reasons = self._reasons(batch)
        if isinstance(reasons, Constant):
            return texts
        return [text or f"({reason})" for text, reason in zip(texts, reasons, strict=True)]


def _insert(
    table: dict[int, Any], inodes: Sequence[int], values: Iterable[Any], merge: Callable[[Any, Any], Any]
) -> None:
    """Puts in a value for each inode, merged with the one that is there: most sockets have one holder, few several."""
    values = list(values)
    fresh = dict(zip(inodes, values, strict=False))
    if len(fresh) == len(values) and table.keys().isdisjoint(fresh):
        table.update(fresh)
        return
    for inode, value in zip(inodes, values, strict=False):
        table[inode] = merge(table[inode], value) if inode in table else value


def _process_values(holder: Holder) -> Iterable[tuple[Process]]:
    from ..records import Process

    pid, name, home = holder.pid, holder.name, _home(holder)
    return zip(map(Process, repeat(pid), repeat(name), holder.descriptors, *map(repeat, home)))


def _owner_values(holder: Holder) -> Iterable[str]:
    unit, container = _home(holder)
    where = f",container={container[:12]}" if container else f",unit={unit}" if unit else ""
    # A quote in a name must not end it: what follows could read as another holder.
    name = holder.name.replace('"', '\\"')
    before, after = printable(f'users:(("{name}",pid={holder.pid},fd='), printable(f"{where}))")
    return [f"{before}{descriptor}{after}" for descriptor in holder.descriptors]


def merged(text: str, *further: str) -> str:
    """The holders in several texts as one text of the same form."""
    return ",".join([text[:-1], *(other.removeprefix("users:(")[:-1] for other in further)]) + ")"


def _program_values(holder: Holder) -> Iterable[str]:
    name = program_name(holder.pid)
    if name is None:
        return ()  # it ended
    raw = f"{holder.pid}/{name}".encode()[:_PROGRAM_WIDTH]
    return repeat(printable(raw.decode("utf-8", "backslashreplace")), len(holder.inodes))


def _home(holder: Holder) -> tuple[str | None, str | None]:
    from .cgroups import unit_and_container

    return unit_and_container(cgroups(holder.pid))


_STYLES: dict[str, tuple[Callable[[Holder], Iterable[Any]], Callable[[Any, Any], Any]]] = {
    "processes": (_process_values, add),
    "owners": (_owner_values, merged),
    # netstat shows the first process that it meets.
    "program": (_program_values, lambda first, further: first),
}
