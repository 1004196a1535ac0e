"""Routes that come and go while they are listed: no row twice, none lost without a word."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from threading import Thread

import pytest
from batches import batch_of
from fake_kernel import FakeKernel
from routing_state import many
from throwaway import Namespace

from netinspect.engine.columns import Batch
from netinspect.engine.dumps import ATTEMPTS, whole_table
from netinspect.engine.netlink.messages import Run, message
from netinspect.engine.netlink.transport import Dump
from netinspect.engine.places import Place
from netinspect.nouns.routing.listing import Query, RouteListing
from netinspect.uapi.netlink import NLM_F_DUMP_INTR, NLMSG_DONE

STABLE = 3000


@pytest.fixture(scope="module")
def busy() -> Iterator[Namespace]:
    namespace = Namespace()
    many(namespace, STABLE)
    yield namespace
    namespace.close()


def churn(namespace: Namespace, family: str) -> subprocess.Popen[str]:
    """A process that adds and removes routes between the others, thousands of times a second, for half a minute."""
    prefix, via = ("fd20:{:x}:ffff::/64", "fd00::9") if family == "-6" else ("{}.{}.{}.128/25", "10.0.0.9")
    lines = []
    for number in range(0, STABLE, 3):
        octets = (11, number >> 8 & 255, number & 255)
        where = prefix.format(number) if family == "-6" else prefix.format(*octets)
        lines += [f"route add {where} via {via}", f"route del {where} via {via}"]
    script = "\n".join(lines * 40)
    changing = namespace.popen(
        ["timeout", "30", "ip", family, "-force", "-batch", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert changing.stdin is not None

    def feed() -> None:
        try:
            changing.stdin.write(script)  # type: ignore[union-attr]
            changing.stdin.close()  # type: ignore[union-attr]
        except OSError:
            pass  # ended

    Thread(target=feed, daemon=True).start()
    return changing


@pytest.mark.parametrize(("option", "family"), [("-4", "inet"), ("-6", "inet6")])
def test_no_route_is_listed_twice_and_none_lost_silently(
    option: str, family: str, busy: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    quiet = {(one.destination, one.table, one.metric) for one in listed(busy, family)[0]}
    assert len(quiet) >= STABLE
    changing = churn(busy, option)
    try:
        for _ in range(8):
            found, problems = listed(busy, family)
            keys = [(one.destination, one.table, one.metric, one.gateway, one.interface) for one in found]
            assert len(keys) == len(set(keys))
            missing = quiet - {key[:3] for key in keys}
            assert not missing or problems
            if family == "inet":
                assert not problems
            else:
                assert all("the table changed during each" in problem for problem in problems)
    finally:
        changing.kill()
        changing.wait()


def listed(namespace: Namespace, family: str) -> tuple[list[object], list[str]]:
    listing = RouteListing(Query((family,), table=None), (Place(namespace.path),))
    return [one for batch in listing.batches() for one in batch], listing.problems


def dump_of(rows: Iterable[int], *, interrupted: bool) -> Dump:
    flags = NLM_F_DUMP_INTR if interrupted else 0
    buffers = [message(99, flags, number.to_bytes(4, sys.byteorder)) for number in rows]
    return Dump(FakeKernel([*buffers, message(NLMSG_DONE, 0, bytes(4))]), b"", "listing")


def decode(runs: list[Run]) -> Batch | None:
    numbers = [number for run in runs for number in run.u32(16)]
    return batch_of(len(numbers), {"identity": numbers}) if numbers else None


def listing(dumps: list[Dump], problems: list[str]) -> list[int]:
    waiting = iter(dumps)
    batches = whole_table("listing", lambda: next(waiting), decode, problems.append)
    return [number for batch in batches for number in batch.values("identity")]


def test_an_interrupted_dump_is_made_anew_and_adds_only_what_is_new() -> None:
    problems: list[str] = []
    dumps = [dump_of([1, 2, 3], interrupted=True), dump_of([2, 3, 4], interrupted=False)]
    assert listing(dumps, problems) == [1, 2, 3, 4]
    assert problems == []


def test_a_dump_that_stays_interrupted_is_reported_as_incomplete() -> None:
    problems: list[str] = []
    assert listing([dump_of([1], interrupted=True) for _ in range(ATTEMPTS)], problems) == [1]
    (problem,) = problems
    assert "the table changed during each" in problem


def test_once_a_change_was_heard_no_row_is_given_twice() -> None:
    class Heard:
        def heard(self) -> bool:
            return True

        def close(self) -> None:
            pass

    problems: list[str] = []
    dumps = iter(dump_of(rows, interrupted=False) for rows in ([1, 2, 1, 2, 3], [3, 4], [3, 4]))
    batches = whole_table("listing", lambda: next(dumps), decode, problems.append, lambda: Heard())  # type: ignore[arg-type,return-value]
    assert array("q", [number for batch in batches for number in batch.values("identity")]).tolist() == [1, 2, 3, 4]
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("dumps", "asked", "found", "whole"),
    [
        ([[1]], 1, [1], True),
        ([[1, 2, 3], [1, 2, 3]], 2, [1, 2, 3], True),
        ([[1, 3], [1, 2, 3], [1, 2, 3]], 3, [1, 3, 2], True),
        ([[1, 2, 2, 3], [1, 2, 3]], 2, [1, 2, 3], True),
        ([[1, 2], [1, 3], [1, 4]], 3, [1, 2, 3, 4], False),
    ],
    ids=["one buffer", "nothing new", "one was hidden", "one was repeated", "always new ones"],
)
def test_a_table_of_all_namespaces_is_read_until_nothing_new_comes(
    dumps: list[list[int]], asked: int, found: list[int], whole: bool
) -> None:
    """A change in another namespace moves the rows, and nobody hears it."""
    problems: list[str] = []
    made = 0

    def dump() -> Dump:
        nonlocal made
        made += 1
        return dump_of(dumps[made - 1], interrupted=False)

    batches = whole_table("listing", dump, decode, problems.append, shared=True)
    assert [number for batch in batches for number in batch.values("identity")] == found
    assert made == asked
    assert (problems == []) == whole
