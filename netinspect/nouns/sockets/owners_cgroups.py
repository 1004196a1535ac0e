"""The path behind the id of a control group, which sock_diag tells of a socket (linux/inet_diag.h)."""

from __future__ import annotations

import posix

from ...procfs import cgroup2_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.columns import Batch, Values

DELETED = "(deleted)"
HIDDEN = "(not visible)"

_ROOT_ID = 1
"""Id of the topmost cgroup of the system; a cgroup namespace has another one at its top."""


class CgroupPaths(dict[int, str]):
    """Path of each cgroup v2 by its id (linux/inet_diag.h: INET_DIAG_CGROUP_ID), as /proc/PID/cgroup writes it.

    The id is the inode number of the group's directory. The tree is walked when the first id is asked for, and again
    for a column with an id that was not there. An id that the tree does not have is "(deleted)", or "(not visible)"
    where only a part of the tree can be seen.
    """

    def __init__(self, mounts: Sequence[tuple[str, str]] | None = None) -> None:
        """``mounts`` has the cgroup at the root of each mount, and its directory: without it, those of this system."""
        super().__init__()
        self._mounts = mounts
        self._missing = HIDDEN

    def column(self, batch: Batch) -> Values:
        """The paths of a batch's ``cgroup_id``."""
        ids = batch.column("cgroup_id")
        missing = set(ids.distinct()).difference(self, (None,))
        if missing:
            self._walk()
            for number in missing.difference(self):
                self[number] = self._missing
        return ids.map(self.get)

    def __missing__(self, number: int) -> str:
        self._walk()
        return self.setdefault(number, self._missing)

    def _walk(self) -> None:
        mounts = cgroup2_mounts() if self._mounts is None else self._mounts
        unread = False
        for root, directory in mounts:
            try:
                top = posix.stat(directory).st_ino
            except OSError:
                continue
            if top == _ROOT_ID:
                self._missing = DELETED
            self[top] = root
            waiting = [(directory, root.rstrip("/"))]
            while waiting:
                directory, path = waiting.pop()
                try:
                    with posix.scandir(directory) as entries:
                        for entry in entries:
                            if entry.is_dir(follow_symlinks=False):
                                self[entry.inode()] = below = f"{path}/{entry.name}"
                                waiting.append((entry.path, below))
                except FileNotFoundError:
                    continue  # removed just now
                except OSError:
                    unread = True  # at a path that is too long, say
        if unread:
            self._missing = HIDDEN
