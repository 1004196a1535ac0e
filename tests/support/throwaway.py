"""The suite's namespaces: hosts of a lab (netinspect.lab), and the world of its own that the suite as a whole is in."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from netinspect.lab.world import CLONE_NEWNET, CLONE_NEWNS, enter_user_namespace, loopback_up, refusal, unshare
from netinspect.testing import AssertingLab

Result = TypeVar("Result")

NETINSPECT = (sys.executable, "-m", "netinspect")


class Namespace:
    """A lab's only host: a network namespace with ``lo`` up. ``lab`` is an empty one; by default one is made."""

    def __init__(self, lab: AssertingLab | None = None) -> None:
        self.lab = lab or AssertingLab()
        self.host = self.lab.host("namespace")
        self.descriptor = self.host.namespace.descriptor

    @property
    def path(self) -> str:
        """A path that opens it, for ``--netns`` and nsenter(1)."""
        return self.host.path

    def call(self, action: Callable[[], Result]) -> Result:
        """Runs ``action`` in this thread inside the namespace: a socket opened there stays there."""
        return self.host.call(action)

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """A process inside the namespace, which ends with it."""
        return self.host.popen(argv, **options)

    def run(self, *argv: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command inside the namespace to its end; its output is in the result."""
        return self.host.run(*argv, check=check, **options)

    def netinspect(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs our own command inside the namespace."""
        return self.run(*NETINSPECT, *arguments, check=check, **options)

    def close(self) -> None:
        """Ends what still runs inside, and lets go of the namespace."""
        self.lab.close()


def own_world() -> str | None:
    """Moves this process into namespaces of its own, so that no test sees or touches the host's.

    Root gets a network and a mount namespace, anybody else a user namespace as well. Returns why that failed.
    """
    try:
        if os.geteuid() != 0:
            enter_user_namespace()
        unshare(CLONE_NEWNET | CLONE_NEWNS)
    except OSError as error:
        return refusal(error)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE: mounts stay here
    loopback_up()
    return None
