"""Route exceptions: `routes cache` and `netstat -rC`, after a router reported packets as too big."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from routing_state import Routers

from netinspect.engine.places import Place
from netinspect.nouns.routing.listing import Query, RouteListing


@pytest.fixture
def routers(need: Callable[[str], None]) -> Iterator[Routers]:
    need("ip")
    made = Routers()
    yield made
    made.close()


def test_learned_path_mtus_are_listed_with_the_sockets_that_they_affect(routers: Routers) -> None:
    sockets = routers.provoke()
    try:
        rows = json.loads(routers.here.netinspect("routes", "cache", "-j").stdout)
        found = {row["destination"]: row for row in rows}
        assert {row: found[row]["pmtu"] for row in found} == {"10.2.0.1/32": 1400, "fd02::1/128": 1400}
        for opened, destination, gateway in zip(
            sockets, ("10.2.0.1/32", "fd02::1/128"), ("10.1.0.2", "fd01::2"), strict=True
        ):
            row = found[destination]
            assert (row["gateway"], row["interface"]) == (gateway, "near")
            assert "cloned" in row["flags"]
            assert 0 < row["expires"] <= 600
            assert [(one["protocol"], one["local_port"], one["remote_port"]) for one in row["sockets"]] == [
                ("udp", opened.getsockname()[1], 4242)
            ]
        table = routers.here.netinspect("routes", "cache", "-n").stdout
        assert "1400" in table
        assert "sockets: udp" in table
    finally:
        for opened in sockets:
            opened.close()


def test_the_cache_is_what_ip_calls_so(routers: Routers) -> None:
    for opened in routers.provoke():
        opened.close()
    for option, family in (("-4", "inet"), ("-6", "inet6")):
        theirs = json.loads(routers.here.run("ip", "-j", option, "route", "show", "cache").stdout)
        listing = RouteListing(Query((family,), table=None, exceptions=True), (Place(routers.here.path),))
        ours = [one for batch in listing.batches() for one in batch]
        assert [one.destination.partition("/")[0] for one in ours] == [row["dst"] for row in theirs]
        assert [one.pmtu for one in ours] == [row["metrics"][0]["mtu"] for row in theirs]


def test_ordinary_listings_have_no_exceptions(routers: Routers) -> None:
    for opened in routers.provoke():
        opened.close()
    listing = RouteListing(Query(table=None), (Place(routers.here.path),))
    destinations = [one.destination for batch in listing.batches() for one in batch]
    assert destinations
    assert not {"10.2.0.1/32", "fd02::1/128"}.intersection(destinations)


def test_netstat_shows_them_in_the_layout_of_the_routing_cache(routers: Routers) -> None:
    for opened in routers.provoke():
        opened.close()
    title, heading, row = routers.here.netinspect("netstat", "-rnC").stdout.splitlines()
    assert title == "Kernel IP routing cache"
    assert heading.split() == ["Source", "Destination", "Gateway", "Flags", "MSS", "Window", "irtt", "Iface"]
    assert row == "0.0.0.0         10.2.0.1        10.1.0.2        GM     1400 0          0 near"
    lines = routers.here.netinspect("netstat", "-6rnC").stdout.splitlines()
    assert lines[0] == "Kernel IPv6 routing cache"
    assert lines[2].split() == ["fd02::1/128", "fd01::2", "UGCem", "1024", "1", "0", "near"]
