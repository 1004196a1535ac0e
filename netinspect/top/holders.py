"""Which process holds a socket, looked up beside the samples: reading all descriptors takes longer than a sample."""

from __future__ import annotations

from threading import Thread
from time import monotonic, thread_time

from ..nouns.sockets.owners import Owners

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Held = tuple[str, str | None]
    """The first holder, as ``812/sshd``, and its container's name."""

_PAUSE = 1.0
_SHARE = 12
"""A look is followed by a pause of so many times the processor time that it took."""
_STALE = 10.0
"""Seconds after which processes are looked at again though every socket has a holder: it may have another one."""


class Holders:
    """The holders of sockets by inode, as the last look found them."""

    def __init__(self) -> None:
        self.problem = ""
        """What could not be seen; empty where that is nothing."""
        self.missing = ""
        """Why containers have no names; empty where they have, or there are none."""
        self._held: dict[int, Held] = {}
        self._nobody: set[int] = set()
        """Sockets that no process was seen to hold: they are not looked for again at once."""
        self._looked = self._due = 0.0
        self._looking: Thread | None = None

    def of(self, inodes: Iterable[int]) -> list[Held | None]:
        """The holder of each socket, None where none is known, yet or at all. A look may be begun."""
        wanted = list(inodes)
        found = list(map(self._held.get, wanted))
        if monotonic() > self._due and self._looking is None:
            missing = {inode for inode, held in zip(wanted, found, strict=True) if held is None} - {0}
            if not missing <= self._nobody or monotonic() > self._looked + _STALE:
                self._looking = Thread(target=self._look, args=(missing,), daemon=True)
                self._looking.start()
        return found

    def _look(self, missing: set[int]) -> None:
        began = thread_time()
        try:
            owners = Owners()
            owners.scan()
            self._take(owners)
            self._nobody = missing.difference(self._held)
            self.problem = owners.not_seen()
            if any(about[1] is not None for about in self._held.values()):
                from ..engine.containers.names import known

                self.missing = known().missing()
        finally:
            self._looked = monotonic()
            self._due = self._looked + max(_PAUSE, _SHARE * (thread_time() - began))
            self._looking = None

    def _take(self, owners: Owners) -> None:
        abouts: dict[int, Held | None] = {}
        held: dict[int, Held] = {}
        for inode, pid, _ in owners.descriptors():
            if pid not in abouts:
                abouts[pid] = _about(owners, inode, pid)
            about = abouts[pid]
            if about is not None:
                held.setdefault(inode, about)
        self._held = held


def _about(owners: Owners, inode: int, pid: int) -> Held | None:
    for process in owners.processes(inode):
        if process.pid == pid:
            container = None
            if process.container is not None:
                from ..engine.containers.names import known

                container = known().name(process.container)
            return f"{pid}/{process.name}", container
    return None  # it has ended
