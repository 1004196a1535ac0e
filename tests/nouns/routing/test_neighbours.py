"""Neighbours: against `ip neigh`, and against pyroute2's decoder on the same bytes; the tables themselves."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_kernel import attribute, message, runs_of
from jsonschema import Draft202012Validator
from patience import standing_still
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from routing_state import SETUP, await_carrier, raw_messages
from throwaway import Namespace

from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.messages import Answer
from netinspect.engine.places import Place
from netinspect.engine.rtnetlink import Names
from netinspect.nouns.routing import decode_neighbours as neighbour
from netinspect.nouns.routing.listing_neighbours import NeighbourListing, Query
from netinspect.records import Neighbour

NEIGHBOURS = """
neigh add 10.0.0.70 lladdr 02:00:00:00:00:01 dev v0 nud permanent
neigh add 10.0.0.71 lladdr 02:00:00:00:00:02 dev v0 nud reachable
neigh add 10.0.0.72 lladdr 02:00:00:00:00:03 dev v0 nud stale
neigh add 10.0.0.73 lladdr 02:00:00:00:00:04 dev v0 nud noarp
neigh add 10.0.0.74 lladdr 02:00:00:00:00:05 dev v0 extern_learn
neigh add 10.0.1.75 lladdr 02:00:00:00:00:06 dev v1 nud permanent protocol static
neigh add 10.0.0.76 lladdr 02:00:00:00:00:07 dev v0 use
neigh add proxy 10.0.0.88 dev v0
neigh add fd00::8 lladdr 02:00:00:00:00:08 dev v0 router nud permanent
neigh add fd00::9 lladdr 02:00:00:00:00:09 dev v0 nud stale
neigh add proxy fd00::88 dev v1
"""


@pytest.fixture(scope="module")
def zoo() -> Iterator[Namespace]:
    namespace = Namespace()
    namespace.run("ip", "-force", "-batch", "-", input=SETUP + NEIGHBOURS, check=False)
    await_carrier(namespace, "v0", "v1")
    yield namespace
    namespace.close()


def listed(namespace: Namespace, query: Query | None = None) -> list[Neighbour]:
    listing = NeighbourListing(query, (Place(namespace.path),))
    found = [one for batch in listing.batches() for one in batch]
    assert listing.problems == []
    return found


@pytest.mark.parametrize(("family", "option"), [("inet", "-4"), ("inet6", "-6")])
def test_every_neighbour_is_as_ip_shows_it(
    family: str, option: str, zoo: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")

    def ours_now() -> list[Neighbour]:
        return [
            one._replace(used=None, confirmed=None, updated=None)
            for one in listed(zoo, Query((family,), everything=True))
        ]

    def theirs_now() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Neighbour]]:
        rows = json.loads(zoo.run("ip", "-j", "-s", option, "neigh", "show", "nud", "all").stdout)
        proxies = json.loads(zoo.run("ip", "-j", option, "neigh", "show", "proxy").stdout)
        return rows, proxies, listed(zoo, Query((family,), everything=True))

    # One that is looked for fails after three seconds; one that is reachable is stale some time later.
    _, (rows, proxies, found) = standing_still(ours_now, theirs_now)
    ours = {(one.address, one.interface): one for one in found if "proxy" not in one.flags}
    theirs = {(row["dst"], row["dev"]): row for row in rows}
    assert ours.keys() == theirs.keys()
    assert ours
    for key, one in ours.items():
        row = theirs[key]
        assert (one.link_address, one.state.upper()) == (row.get("lladdr"), "|".join(row["state"]))
        assert ("router" in one.flags, "extern_learn" in one.flags) == ("router" in row, "extern_learn" in row)
        assert one.references == row.get("refcnt", one.references)
        assert abs((one.used or 0) - row["used"]) <= 10
    assert {(one.address, one.interface) for one in found if "proxy" in one.flags} == {
        (row["dst"], row["dev"]) for row in proxies
    }


def test_each_field_is_as_pyroute2_decodes_it(zoo: Namespace) -> None:
    class Numbers(dict[int, str]):
        def __missing__(self, number: int) -> str:
            return str(number)

    names = Names(Numbers(), Numbers(), Numbers(), Numbers())
    for family in (2, 10):
        messages = raw_messages(zoo, neighbour.request(family))
        assert messages
        for single in messages:
            (one,) = neighbour.Decoder(names).batch(Answer(single, "testing").runs) or ()
            theirs = ndmsg(single)
            theirs.decode()
            get = theirs.get_attr
            assert (one.address, one.link_address) == (get("NDA_DST"), get("NDA_LLADDR"))
            assert (one.interface, one.probes) == (str(theirs["ifindex"]), get("NDA_PROBES"))
            assert one.state == neighbour.STATES[theirs["state"]]
            assert ("router" in one.flags, "use" in one.flags) == (
                bool(theirs["flags"] & 0x80),
                bool(theirs["flags"] & 1),
            )
            cache = get("NDA_CACHEINFO")
            assert one.used == cache["ndm_used"] / 100
            assert one.confirmed == cache["ndm_confirmed"] / 100
            assert one.updated == cache["ndm_updated"] / 100
            assert one.references == cache["ndm_refcnt"]


def test_selections(zoo: Namespace) -> None:
    everything = listed(zoo, Query(everything=True))
    assert {one.address for one in listed(zoo, Query(states=["noarp"])) if one.family == "inet"} >= {"10.0.0.73"}
    assert {one.address for one in listed(zoo, Query(("inet",), interface="v1"))} == {
        one.address for one in everything if one.interface == "v1" and one.family == "inet" and one.state != "noarp"
    }
    assert "10.0.0.73" not in {one.address for one in listed(zoo)}
    assert "no state" in zoo.netinspect("neighbours", "--state", "nonsense", check=False).stderr
    assert zoo.netinspect("neighbours", "nonsense", check=False).returncode == 2


def test_json_matches_the_schema(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("neighbours", "-a", "-j").stdout)
    Draft202012Validator(array_schema(records.Neighbour)).validate(rows)
    assert len(zoo.netinspect("neighbours", "-a").stdout.splitlines()) == len(rows) + 1


def test_the_tables_show_how_full_they_are(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("neighbours", "tables", "-j").stdout)
    Draft202012Validator(array_schema(records.NeighbourTable)).validate(rows)
    tables = {row["name"]: row for row in rows}
    assert tables.keys() == {"arp_cache", "ndisc_cache"}
    arp = tables["arp_cache"]
    assert arp["entries"] >= 5
    assert arp["gc_thresh1"] <= arp["gc_thresh2"] <= arp["gc_thresh3"]
    assert arp["used"] == round(100 * arp["entries"] / arp["gc_thresh3"], 1)
    assert "arp_cache" in zoo.netinspect("neighbours", "tables").stdout


@pytest.mark.parametrize(
    ("bits", "text"), [(0x02, "reachable"), (0x42, "reachable|noarp"), (0x102, "reachable|0x100"), (0x100, "0x100")]
)
def test_no_bit_of_a_state_is_dropped(bits: int, text: str) -> None:
    names = Names(*[{number: str(number) for number in range(256)}] * 4)
    body = struct.pack("=BxxxiHBB", 2, 1, bits, 0, 1) + attribute(1, bytes((10, 0, 0, 1)))
    batch = neighbour.Decoder(names).batch(runs_of([message(28, body)]))
    assert batch is not None
    assert list(batch.values("state")) == [text]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (bytes((2, 0, 0, 0, 0, 1)), "02:00:00:00:00:01"),
        # Of gre and ip6gre: the other end of the tunnel.
        (bytes((10, 1, 0, 7)), "10.1.0.7"),
        (bytes((0xFD, 1, *[0] * 13, 7)), "fd01::7"),
    ],
)
def test_the_link_address_of_a_tunnels_neighbour_is_one_of_ip(raw: bytes, text: str) -> None:
    names = Names(*[{number: str(number) for number in range(256)}] * 4)
    body = struct.pack("=BxxxiHBB", 2, 1, 0x80, 0, 1) + attribute(1, bytes((10, 0, 0, 1))) + attribute(2, raw)
    batch = neighbour.Decoder(names).batch(runs_of([message(28, body)]))
    assert batch is not None
    assert list(batch.values("link_address")) == [text]
