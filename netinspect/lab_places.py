"""The namespaces of labs that are up, by name: ``lab:gateway/lan1``."""

from __future__ import annotations

import os

from .errors import NamespaceError, NetinspectError
from .lab_directory import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Labs:
    """The labs of this user, for `environment.KINDS`. The lab is loaded only where there may be one."""

    def find(self, name: str) -> str:
        """A path to the namespace of LAB/HOST. Raises NamespaceError, LabError where no such lab is up."""
        from .lab.registry import find

        lab, slash, host = name.partition("/")
        if not (lab and slash and host):
            raise NamespaceError(f"{f'lab:{name}'!r} names no host of a lab: write lab:LAB/HOST")
        return find(lab).path(host)

    def labels(self) -> Mapping[tuple[int, int], str]:
        """What the namespaces of all labs are called, by st_dev and st_ino."""
        found: dict[tuple[int, int], str] = {}
        if not any(name.endswith(".json") for name in names()):
            return found  # the lab takes 80 ms to load
        from .lab.registry import labs

        try:
            states = labs()
        except NetinspectError:
            return found  # the files are not to be trusted: `netinspect lab` says so
        for state in states:
            for host in state.hosts:
                try:
                    status = os.stat(state.path(host))
                except (OSError, NetinspectError):
                    continue  # it went just now, or is not ours to see
                found[status.st_dev, status.st_ino] = f"{state.name}/{host}"
        return found
