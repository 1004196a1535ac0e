"""The whole suite runs in namespaces of its own: see throwaway.py."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest
from availability import unavailable
from hypothesis import HealthCheck, settings
from kernel_lacks import lacking
from throwaway import Namespace, own_world

from netinspect.engine import answering

if TYPE_CHECKING:
    from netinspect.testing import LabFactory


def pytest_configure(config: pytest.Config) -> None:
    # A shell that runs the suite in the background ignores SIGINT, and so would each program that a test interrupts:
    # it would wait for ever. What has a handler here is at its default again in a program that is started.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    # Where ip, nft and the like are, which is not in everybody's PATH.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if os.geteuid():  # the lock of the legacy iptables is root's (iptables(8))
        os.environ.setdefault("XTABLES_LOCKFILE", f"{tempfile.gettempdir()}/netinspect-tests-{os.geteuid()}.lock")
    # No test depends on how fast the machine is. ``make examples`` tries many more.
    # The suite tries the same examples each time; `make examples` tries others, and many.
    asked = os.environ.get("NETINSPECT_EXAMPLES")
    settings.register_profile(
        "netinspect",
        deadline=None,
        max_examples=int(asked or 30),
        derandomize=asked is None,
        # How slow a machine is says nothing of the strategies.
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("netinspect")
    # A file system of this machine answers, however late the thread that asks it gets its turn.
    answering._LOOK = 60.0
    # A directory of this user's own: pytest's default, /tmp/pytest-of-NAME, takes root's name in a user namespace.
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="netinspect-tests-")
    # Where connection tracking is a module, its settings are there from now on, whichever test comes first.
    if os.geteuid() == 0 and shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", "nf_conntrack"], check=False, stderr=subprocess.DEVNULL)
    failure = own_world()
    if failure:
        pytest.exit(failure, returncode=1)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.option.basetemp, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    """A test whose rules the kernel refuses for want of a module is skipped, loudly, as by `unavailable`."""
    report: pytest.TestReport = yield
    if report.failed and call.excinfo is not None and not os.environ.get("NETINSPECT_NO_SKIP"):
        reason = lacking(call.excinfo.value)
        if reason is not None:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {reason}")
    return report


@pytest.fixture
def namespace(lab: LabFactory) -> Namespace:
    """A throwaway network namespace, of the plugin's making."""
    return Namespace(lab())


@pytest.fixture
def need() -> Callable[[str], None]:
    """Skips the test, loudly, where a peer's program is not installed; with NETINSPECT_NO_SKIP=1 (CI) it fails."""

    def check(program: str) -> None:
        if shutil.which(program) is None:
            unavailable(f"{program} is not installed")

    return check
