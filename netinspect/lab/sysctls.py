"""Sysctls of a host."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .errors import LabError


def write_sysctls(settings: Mapping[str, str]) -> None:
    """Writes sysctls in the current namespace. Raises LabError for one that is unknown or not allowed."""
    for name, value in settings.items():
        path = "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))
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
