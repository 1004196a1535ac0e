"""Throwaway network namespaces for the tests: anonymous ones, which are gone when the last descriptor is closed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from netinspect.namespaces import inside

Result = TypeVar("Result")

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
NETINSPECT = (sys.executable, "-m", "netinspect")


def unshare(flags: int) -> None:
    """unshare(2); Python has it since 3.12 only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A network namespace of its own, with ``lo`` up, held by a descriptor of this process."""

    def __init__(self) -> None:
        opened: list[int | OSError] = []

        def make() -> None:
            try:
                unshare(CLONE_NEWNET)
                opened.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                opened.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(opened[0], OSError):
            raise opened[0]
        self.descriptor = opened[0]
        self.call(_loopback_up)

    @property
    def path(self) -> str:
        """A path that opens it, for ``--netns`` and nsenter(1)."""
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def call(self, action: Callable[[], Result]) -> Result:
        """Runs ``action`` in this thread inside the namespace: a socket opened there stays there."""
        return inside(self.descriptor, action)

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """A process inside the namespace."""
        return subprocess.Popen(["nsenter", f"--net={self.path}", *argv], text=True, **options)

    def run(self, *argv: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command inside the namespace to its end (20 s at most); its output is in the result."""
        result = subprocess.run(
            ["nsenter", f"--net={self.path}", *argv], capture_output=True, text=True, timeout=20, **options
        )
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(argv)}: exit status {result.returncode}\n{result.stderr}")
        return result

    def netinspect(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs our own command inside the namespace."""
        return self.run(*NETINSPECT, *arguments, check=check, **options)

    def close(self) -> None:
        """Lets go of the namespace; what still runs inside keeps it alive."""
        os.close(self.descriptor)


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        # SIOCSIFFLAGS with IFF_UP | IFF_RUNNING (netdevice(7)).
        fcntl.ioctl(opened, 0x8914, struct.pack("16sh22x", b"lo", 0x41))


def own_world() -> str | None:
    """Moves this process into namespaces of its own, so that no test sees or touches the host's.

    Root gets a network and a mount namespace, anybody else a user namespace as well. Returns why that failed.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            unshare(CLONE_NEWNET | CLONE_NEWNS)
        else:
            unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
            for name, value in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(value)
    except OSError as error:
        return (
            f"the tests need namespaces of their own: {error.strerror} (run as root, or allow user namespaces: "
            "sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
            "kernel.apparmor_restrict_unprivileged_userns)"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE: mounts stay here
    _loopback_up()
    return None
