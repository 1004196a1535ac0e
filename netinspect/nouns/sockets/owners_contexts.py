"""SELinux: the security contexts of the processes that hold sockets."""

from __future__ import annotations

from ...procfs import exists, security_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .owners import Owners

_SELINUX = "/sys/fs/selinux/enforce"


def selinux_enabled() -> bool:
    """Whether SELinux is there: its file system is mounted (selinux(8))."""
    return exists(_SELINUX)


def contexts(owners: Owners, inodes: Iterable[int]) -> list[str]:
    """The context of the first process that holds each socket; "-" where none is known."""
    known: dict[int, str] = {}
    found = []
    for inode in inodes:
        holders = owners.processes(inode)
        text = "-"
        if holders:
            pid = holders[0].pid
            text = known.get(pid) or known.setdefault(pid, security_context(pid) or "-")
        found.append(text)
    return found
