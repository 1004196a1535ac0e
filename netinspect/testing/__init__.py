"""The pytest plugin: fixtures that make throwaway networks, and hosts that can be asserted about.

Loading it costs next to nothing: what it needs is imported when a test asks for ``lab``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
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
    yield from _factory(request, request.path.parent)


@pytest.fixture(scope="module")
def module_lab(request: pytest.FixtureRequest) -> Iterator[LabFactory]:
    """Makes labs as ``lab`` does, which stay for all tests of the module."""
    yield from _factory(request, request.path.parent)


@pytest.fixture(scope="session")
def session_lab(request: pytest.FixtureRequest) -> Iterator[LabFactory]:
    """Makes labs as ``lab`` does, which stay for all tests; topology files are relative to pytest's root directory."""
    yield from _factory(request, request.config.rootpath)


def _factory(request: pytest.FixtureRequest, directory: Path) -> Iterator[LabFactory]:
    from .labs import LabFactory

    factory = LabFactory(directory)
    request.node.stash[_FACTORY] = factory
    yield factory
    factory.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds to a failure what the labs looked like that the test may have used: sockets, routes and flows."""
    report = yield
    if call.when == "call":
        factories = [node.stash[_FACTORY] for node in item.listchain() if _FACTORY in node.stash]
        for made in (made for factory in factories for made in factory.labs):
            if report.failed:
                report.sections.append((f"lab {made.name}", made.at_failure or _looks(made)))
            made.at_failure = None
    return report


def _looks(made: AssertingLab) -> str:
    try:
        return made.snapshot()
    except Exception as error:  # the test may have broken the very things that looking needs
        return f"cannot be looked at: {error!r}"


def __getattr__(name: str) -> object:
    if name in ("AssertingHost", "AssertingLab", "LabFactory"):
        from . import labs

        return getattr(labs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["AssertingHost", "AssertingLab", "LabFactory", "lab", "module_lab", "session_lab"]
