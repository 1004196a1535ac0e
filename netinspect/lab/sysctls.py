"""Sysctls of a host."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from .errors import LabError


def _path(name: str) -> str:
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def read_sysctls(names: Iterable[str]) -> dict[str, str]:
    """The values of sysctls in the current namespace, without those that cannot be read."""
    found = {}
    for name in names:
        with suppress(OSError), open(_path(name)) as file:
            found[name] = file.read().strip()
    return found


def write_sysctls(settings: Mapping[str, str]) -> None:
    """Writes sysctls in the current namespace. Raises LabError for one that is unknown or not allowed."""
    for name, value in settings.items():
        path = _path(name)
        try:
            with open(path, "w") as file:
                file.write(value)
        except FileNotFoundError:
            if name.startswith("net.ipv6.") and not os.path.isdir("/proc/sys/net/ipv6"):
                continue  # a kernel without IPv6
            why = ": the module br_netfilter is not loaded" if name.startswith("net.bridge.") else " in this namespace"
            raise LabError(f"no sysctl {name}{why}") from None
        except OSError as error:
            raise LabError(f"setting {name}={value}: {error.strerror}") from None
