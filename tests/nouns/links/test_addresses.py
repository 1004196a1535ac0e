"""Addresses: against `ip addr`, and against pyroute2's decoder on the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from routing_state import SETUP, await_carrier, raw_messages
from throwaway import Namespace

from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.messages import Answer
from netinspect.engine.places import Place
from netinspect.engine.rtnetlink import Names
from netinspect.nouns.links import decode_addresses as interface_address
from netinspect.nouns.links.listing_addresses import AddressListing, Query
from netinspect.records import Address

ADDRESSES = """
address add 10.0.0.7/24 brd + dev v0 label v0:1
address add 10.0.0.5 peer 10.0.0.6/32 dev v0
address add 10.7.0.1/16 dev v1 scope link metric 77 valid_lft 500 preferred_lft 300
address add fd00::1/64 dev v0 nodad valid_lft 500 preferred_lft 300
address add fd00::2/64 dev v0 nodad noprefixroute home
address add fd00::3 peer fd00::4/64 dev v0 nodad
address add fe80::7/64 dev v1 nodad
"""


@pytest.fixture(scope="module")
def zoo() -> Iterator[Namespace]:
    namespace = Namespace()
    namespace.run("ip", "-batch", "-", input=SETUP + ADDRESSES)
    await_carrier(namespace, "v0", "v1")
    yield namespace
    namespace.close()


def listed(namespace: Namespace, query: Query | None = None) -> list[Address]:
    listing = AddressListing(query, (Place(namespace.path),))
    found = [one for batch in listing.batches() for one in batch]
    assert listing.problems == []
    return found


@pytest.mark.parametrize(("family", "option"), [("inet", "-4"), ("inet6", "-6")])
def test_every_address_is_as_ip_shows_it(family: str, option: str, zoo: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    rows: list[dict[str, Any]] = json.loads(zoo.run("ip", "-j", option, "address").stdout)
    theirs = {
        (row["ifname"], found["local"], found.get("address")): found
        for row in rows
        for found in row.get("addr_info", [])
    }
    ours = {(one.interface, one.address, one.peer): one for one in listed(zoo, Query((family,)))}
    assert ours.keys() == theirs.keys()
    for key, one in ours.items():
        row = theirs[key]
        assert (one.prefix_length, one.scope, one.label) == (row["prefixlen"], row["scope"], row.get("label"))
        assert (one.broadcast, one.metric) == (row.get("broadcast"), row.get("metric"))
        forever = 0xFFFFFFFF
        for ours_left, theirs_left in (
            (one.valid_lifetime, row["valid_life_time"]),
            (one.preferred_lifetime, row["preferred_life_time"]),
        ):
            assert abs((forever if ours_left is None else ours_left) - theirs_left) <= 10
        words = {"secondary", "dynamic", "noprefixroute", "home", "nodad", "tentative", "deprecated"}
        assert words.intersection(one.flags) == {word for word in words if row.get(word)}


def test_each_field_is_as_pyroute2_decodes_it(zoo: Namespace) -> None:
    class Numbers(dict[int, str]):
        def __missing__(self, number: int) -> str:
            return str(number)

    names = Names(Numbers(), Numbers(), Numbers(), Numbers())
    messages = raw_messages(zoo, interface_address.request(0))
    assert len(messages) >= 10
    for message in messages:
        (one,) = interface_address.batch(Answer(message, "testing").runs, names) or ()
        theirs = ifaddrmsg(message)
        theirs.decode()
        get = theirs.get_attr
        assert one.interface == str(theirs["index"])
        assert (one.prefix_length, one.scope) == (theirs["prefixlen"], str(theirs["scope"]))
        assert one.address == (get("IFA_LOCAL") or get("IFA_ADDRESS"))
        assert (one.peer or one.address) == get("IFA_ADDRESS")
        assert (one.broadcast, one.label) == (get("IFA_BROADCAST"), get("IFA_LABEL"))
        assert one.metric == get("IFA_RT_PRIORITY")
        cache = get("IFA_CACHEINFO")
        forever = 0xFFFFFFFF
        assert (forever if one.valid_lifetime is None else one.valid_lifetime) == cache["ifa_valid"]
        assert (forever if one.preferred_lifetime is None else one.preferred_lifetime) == cache["ifa_preferred"]
        assert ("permanent" in one.flags) == bool(get("IFA_FLAGS") & 0x80)
        assert ("dynamic" in one.flags) == ("permanent" not in one.flags)


def test_selections(zoo: Namespace) -> None:
    everything = listed(zoo)
    assert listed(zoo, Query(("inet",), interface="v0")) == [
        one for one in everything if (one.family, one.interface) == ("inet", "v0")
    ]
    assert {one.address for one in listed(zoo, Query(scope="host"))} == {"127.0.0.1", "::1"}
    text = zoo.netinspect("addresses", "v0", "-4").stdout
    assert "10.0.0.5 peer 10.0.0.6/32" in text
    assert zoo.netinspect("addresses", "nonsense", check=False).returncode == 2
    assert "no scope" in zoo.netinspect("addresses", "--scope", "nonsense", check=False).stderr


def test_json_matches_the_schema(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("addresses", "-j").stdout)
    Draft202012Validator(array_schema(records.Address)).validate(rows)
    assert len(rows) == len(listed(zoo))
