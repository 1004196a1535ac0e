"""What an expression's names stand for on this system: hosts, services, cgroups, interfaces."""

from __future__ import annotations

import _socket
import posix

from ...engine.files import check_database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SOCK_STREAM = 1


def _within(directory: str, path: str) -> str | None:
    """The path as seen from a directory above it, ``.`` for that itself; None where it is not below."""
    above = directory.rstrip("/")
    if path.rstrip("/") == above:
        return "."
    return path[len(above) + 1 :] if path.startswith(f"{above}/") else None


class Lookups:
    """Asks the system. ``protocols`` are those whose services count (services(5)).

    ``interface_exists`` shows whether a name is one of an interface, so that a mistyped one is an error; without it all
    names are taken, and one that a network namespace does not have selects nothing there.
    """

    def __init__(
        self, protocols: Sequence[str] = ("tcp", "udp"), interface_exists: Callable[[str], bool] | None = None
    ) -> None:
        self._protocols = protocols
        self._interface_exists = interface_exists

    def addresses(self, host: str, families: Sequence[int]) -> list[bytes]:
        """The addresses of a host of these address families (getaddrinfo(3)), packed, each once.

        Raises OSError, whose ``strerror`` says why, where it has none.
        """
        failure = OSError(0, "it has no address")
        found: dict[bytes, None] = {}
        check_database("hosts")
        from ...engine.in_time import in_time

        for family in families:
            try:
                answers = in_time(_socket.getaddrinfo, host, None, family, _SOCK_STREAM)
            except (OSError, ValueError) as error:
                failure = error if isinstance(error, OSError) else OSError(0, "it is not a host name")
                continue
            for answer in answers:
                found[_socket.inet_pton(family, str(answer[4][0]).partition("%")[0])] = None
        if not found:
            raise failure
        return list(found)

    def ports(self, service: str) -> dict[str, int]:
        """The port of a service by protocol (getservbyname(3)); empty where there is no such service."""
        found = {}
        check_database("services")
        from ...engine.in_time import in_time

        for protocol in self._protocols:
            try:
                found[protocol] = in_time(_socket.getservbyname, service, protocol)
            except (OSError, ValueError):
                continue
        return found

    def interface_exists(self, name: str) -> bool:
        """Whether that is an interface's name, or may be."""
        return self._interface_exists is None or self._interface_exists(name)

    def cgroup_id(self, path: str) -> int:
        """The id of a cgroup: the inode number of its directory.

        The path is the one within the cgroup version 2 tree (as in /proc/PID/cgroup), or that of the directory. Raises
        OSError, whose ``strerror`` says why, where there is none.
        """
        from ...procfs import cgroup2_mounts

        failure = OSError(0, "no cgroup v2 file system with this cgroup is mounted")
        for root, directory in cgroup2_mounts():
            inside = _within(directory, path) or _within(root, path if path.startswith("/") else f"/{path}")
            if inside is None:
                continue
            try:
                # The dot is for directories only: a file of a cgroup is no cgroup.
                found = posix.stat(f"{directory}/{inside}/.")
                if found.st_dev == posix.stat(directory).st_dev:
                    return found.st_ino
                failure = OSError(0, f"it is outside {directory}")
            except (OSError, ValueError) as error:
                failure = error if isinstance(error, OSError) else OSError(0, "it is not a file name")
        raise failure
