"""Which containers processes are in."""

from __future__ import annotations

from ...procfs import cgroup_lines, cgroups, process_ids
from .cgroups import unit_and_container


class Homes(dict[int, tuple[str | None, str | None]]):
    """Unit and container of processes."""

    def __missing__(self, pid: int) -> tuple[str | None, str | None]:
        found = self[pid] = unit_and_container(cgroups(cgroup_lines(pid)))
        return found


def first_processes() -> dict[str, int]:
    """The process with the least id in each container."""
    homes = Homes()
    found: dict[str, int] = {}
    for pid in sorted(process_ids()):
        if (id := homes[pid][1]) is not None:
            found.setdefault(id, pid)
    return found
