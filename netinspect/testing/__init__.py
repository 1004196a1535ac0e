"""The pytest plugin: a fixture ``lab`` that makes throwaway networks, and hosts that can be asserted about.

Loading it costs next to nothing: what it needs is imported when a test asks for ``lab``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .labs import AssertingHost, AssertingLab, LabFactory

_FACTORY: pytest.StashKey[LabFactory] = pytest.StashKey()


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LabFactory]:
    """Makes labs for one test: ``lab("gateway")``, ``lab("my.toml", size=3)``, or ``lab()`` to build one by hand.

    They are taken down after the test, with all that runs in them. As an ordinary user they are in a user namespace;
    this process stays where it is.
    """
    from .labs import LabFactory

    factory = LabFactory(request.path.parent)
    request.node.stash[_FACTORY] = factory
    yield factory
    factory.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to a failure what the test's labs looked like: sockets, routes and flows."""
    report = yield
    factory = item.stash.get(_FACTORY, None)
    if factory is not None and report.failed and call.when == "call":
        report.sections += [(f"lab {made.name}", made.at_failure or made.snapshot()) for made in factory.labs]
    return report


def __getattr__(name: str) -> object:
    if name in ("AssertingHost", "AssertingLab", "LabFactory"):
        from . import labs

        return getattr(labs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["AssertingHost", "AssertingLab", "LabFactory", "lab"]
