"""Tables in which routes of many shapes alternate, larger than one answer of the kernel's."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator

import pytest
from batches import batch_of
from fake_kernel import FakeKernel
from ip_routes import as_ip_has_it, by_ip, in_the_same_words, shared
from routing_state import await_carrier
from throwaway import Namespace

from netinspect.engine.columns import Batch
from netinspect.engine.dumps import whole_table
from netinspect.engine.netlink import ahead
from netinspect.engine.netlink.messages import Run, message
from netinspect.engine.netlink.transport import Dump
from netinspect.nouns.routing.listing import Query, RouteListing
from netinspect.uapi.netlink import NLMSG_DONE

ROUTES = 3000


@pytest.fixture(scope="module")
def mixed() -> Iterator[Namespace]:
    namespace = Namespace()
    for line in ("link add a0 type veth peer b0", "link set a0 up", "link set b0 up"):
        namespace.run("ip", *line.split())
    namespace.run("ip", "address", "add", "10.0.0.1/16", "dev", "a0")
    namespace.run("ip", "address", "add", "fd00::1/64", "dev", "a0", "nodad")
    for option, prefix, host in (("-4", "32.{}.{}.0/24", "10.0.0.{}"), ("-6", "2001:db8:{:x}:{:x}::/64", "fd00::{:x}")):
        lines = [shape(number, prefix.format(number >> 8, number & 255), host) for number in range(ROUTES)]
        namespace.run("ip", option, "-batch", "-", input="\n".join(lines) + "\n")
    await_carrier(namespace, "a0", "b0")
    yield namespace
    namespace.close()


def shape(number: int, prefix: str, host: str) -> str:
    """What `ip` adds a route by, with more or fewer attributes."""
    words = [f"route add {prefix}"]
    words += [f"metric {number % 50 + 1}"] if number % 2 else []
    words += [f"src {host.format(1)}"] if number % 3 == 0 else []
    words += [f"mtu {1300 + number % 8 * 10}"] if number % 5 == 0 else []
    words += [f"proto {3 + number % 3}"]
    if number % 7 == 0:
        words += [
            f"nexthop via {host.format(2)} dev a0",
            f"nexthop via {host.format(3)} dev a0 weight {1 + number % 3}",
        ]
    else:
        words += ["dev a0"] if number % 11 == 0 else [f"via {host.format(2 + number % 5)} dev a0"]
    return " ".join(words)


@pytest.mark.parametrize(("option", "family"), [("-4", "inet"), ("-6", "inet6")])
def test_all_routes_are_as_ip_shows_them_in_the_same_order(
    option: str, family: str, mixed: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    ours = mixed.call(lambda: [one for batch in RouteListing(Query((family,))).batches() for one in batch])
    theirs = by_ip(mixed, option, "route")
    assert len(ours) >= ROUTES
    assert shared(list(map(as_ip_has_it, ours)), family) == shared(list(map(in_the_same_words, theirs)), family)


@pytest.mark.parametrize("layout", ["-4n", "-6n"])
def test_the_table_has_a_row_for_each(layout: str, mixed: Namespace) -> None:
    lines = mixed.netinspect("routes", layout).stdout.splitlines()[1:]
    prefixes = [line.split()[0] for line in lines if line.startswith(("32.", "2001:"))]
    assert len(prefixes) == len(set(prefixes)) == ROUTES


def test_netstat_shows_each_route_with_its_first_next_hop(mixed: Namespace, need: Callable[[str], None]) -> None:
    need("netstat")
    assert mixed.netinspect("netstat", "-rn").stdout == mixed.run("netstat", "-rn").stdout


class _Changes:
    """Hears of a change at one of the answers behind the first."""

    def __init__(self, when: int) -> None:
        self._left = when

    def heard(self) -> bool:
        self._left -= 1
        return self._left == 0

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("when", "free"), [(1, True), (2, True), (3, True), (1, False), (2, False)])
def test_duplicates_of_a_changing_table_are_dropped_across_merged_answers(
    when: int, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "processor_free", lambda: free)  # if not, all answers behind the second are one

    def single(value: int) -> bytes:
        return message(24, 0, value.to_bytes(4, sys.byteorder) + bytes(4 * (value % 3)))

    told = [[1, 2, 3], [4, 5, 6], [2, 3, 7, 8], [1, 9, 10]]
    calm = [list(range(1, 12))]
    attempts = iter([told, calm])
    changes = iter([_Changes(when), _Changes(0)])

    def dump() -> Dump:
        buffers = [b"".join(map(single, answer)) for answer in next(attempts)]
        return Dump(FakeKernel([*buffers, message(NLMSG_DONE, 0, bytes(4))]), b"", "testing")

    def decode(runs: list[Run]) -> Batch | None:
        values = [value for run in runs for value in run.u32(16)]
        return batch_of(len(values), {"identity": values}) if values else None

    problems: list[str] = []
    batches = whole_table("testing", dump, decode, problems.append, lambda: next(changes))  # type: ignore[arg-type,return-value]
    given = array("q", [identity for batch in batches for identity in batch.values("identity")])
    assert sorted(given) == list(range(1, 12))
    assert not problems
