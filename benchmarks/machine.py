"""What the figures were taken on, so that others know what to compare with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cases import words

_VERSIONS = ("ss -V", "ip -V", "netstat --version", "conntrack --version")


def description() -> dict[str, str]:
    """Processor, memory, kernel, Python, and the peers' versions."""
    kernel = re.match(r"[\d.]+", platform.release())
    found = {
        "processor": f"{_field('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) >> 20} GiB",
        "kernel": f"Linux {kernel[0].rstrip('.') if kernel else platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for command in _VERSIONS:
        found[command.split()[0]] = _version(command)
    for package in ("netinspect", "pyroute2", "psutil"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def load() -> str:
    """How busy the machine is with other things."""
    return f"load average {os.getloadavg()[0]:.1f}"


def _field(path: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.*)$", Path(path).read_text(), re.MULTILINE)
    return match[1] if match else "unknown"


def _version(command: str) -> str:
    command_words = words(command)
    if command_words is None:
        return "not installed"
    result = subprocess.run(command_words, capture_output=True, text=True, check=False)
    match = re.search(r"(?:iproute2-|net-tools |v)([\d.]+\d)", result.stdout + result.stderr)
    return match[1] if match else "unknown"
