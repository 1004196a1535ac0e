"""Links: against `ip -s link`, and against pyroute2's decoder on the same bytes; rates and the tree."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from routing_state import raw_messages
from throwaway import Namespace

from netinspect import records
from netinspect.collect.links import Listing, Query, difference
from netinspect.collect.places import Place
from netinspect.collect.rates import rates_between
from netinspect.decode import links
from netinspect.netlink.messages import Answer
from netinspect.records import Link, LinkStatistics
from netinspect.render.link_tree import tree
from netinspect.schema import array_schema

LINKS = """
link add v0 type veth peer name v1
link set v0 addrgenmode none
link set v1 addrgenmode none
link set v0 up
link set v1 up
link add br0 type bridge
link set br0 addrgenmode none
link set br0 up
link set v1 master br0
link add mv0 link v0 type macvlan mode bridge
link add vx0 type vxlan id 5 dstport 4789
link add ifb0 type ifb
tuntap add tap0 mode tap
link set tap0 group 7
link property add dev v0 altname a-name-that-is-longer-than-the-kernel-allowed altname another
link set v0 alias "a link of mine"
"""


@pytest.fixture(scope="module")
def zoo(request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace with links of many kinds; v2's other end is in another namespace."""
    namespace, other = Namespace(), Namespace()
    namespace.run("ip", "-force", "-batch", "-", input=LINKS, check=False)
    namespace.run("ip", "link", "add", "v2", "type", "veth", "peer", "name", "far", "netns", other.path)
    yield namespace
    namespace.close()
    other.close()


def listed(namespace: Namespace, query: Query | None = None) -> list[Link]:
    listing = Listing(query, (Place(namespace.path),))
    found = [one for batch in listing.batches() for one in batch]
    assert listing.problems == []
    return found


def by_ip(namespace: Namespace, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(namespace.run("ip", "-j", "-d", "-s", "-s", *arguments).stdout)
    return [row for row in found if row]


def test_every_link_is_as_ip_tells_it(zoo: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    for _ in range(10):  # now and then the kernel sends something of its own
        before, ours, theirs = by_ip(zoo, "link"), listed(zoo), by_ip(zoo, "link")
        if [row["stats64"] for row in before] == [row["stats64"] for row in theirs]:
            break
    assert [one.name for one in ours] == [row["ifname"] for row in theirs]
    for one, row in zip(ours, theirs, strict=True):
        assert one.index == row["ifindex"]
        assert one.mtu == row["mtu"]
        assert one.state == row["operstate"].lower()
        assert one.queue_discipline == row["qdisc"]
        assert one.master == row.get("master")
        assert one.kind == row.get("linkinfo", {}).get("info_kind")
        assert one.type == row["link_type"]
        assert (one.address, one.broadcast) == (row.get("address"), row.get("broadcast"))
        assert one.queue_length == row.get("txqlen", one.queue_length)
        assert (one.promiscuity, one.min_mtu, one.max_mtu) == (row["promiscuity"], row["min_mtu"], row["max_mtu"])
        assert (one.tx_queues, one.rx_queues) == (row["num_tx_queues"], row["num_rx_queues"])
        assert (one.gso_max_size, one.gso_max_segs) == (row["gso_max_size"], row["gso_max_segs"])
        assert one.alternative_names == tuple(row.get("altnames", ()))
        assert one.alias == row.get("ifalias")
        assert one.group == str(row["group"])
        shown = {flag.lower().replace("-", "_") for flag in row["flags"]} - {"no_carrier", "m_down"}
        assert set(one.flags) - {"running"} == shown
        if row.get("link") is not None:
            assert one.parent == row["link"]
        statistics = one.statistics
        assert statistics is not None
        received, sent = row["stats64"]["rx"], row["stats64"]["tx"]
        for field, name in (("packets", "packets"), ("bytes", "bytes"), ("errors", "errors"), ("dropped", "dropped")):
            assert getattr(statistics, f"rx_{field}") == received[name]
            assert getattr(statistics, f"tx_{field}") == sent[name]
        assert statistics.rx_crc_errors == received["crc_errors"]
        assert statistics.rx_missed_errors == received["missed_errors"]
        assert statistics.tx_carrier_errors == sent["carrier_errors"]
        assert one.carrier_changes == sent["carrier_changes"]


def test_each_field_is_as_pyroute2_decodes_it(zoo: Namespace) -> None:
    messages = raw_messages(zoo, links.request())
    assert len(messages) >= 7
    names = {int.from_bytes(message[20:24], "little"): f"if{number}" for number, message in enumerate(messages)}
    for message in messages:
        decoder = links.Decoder(dict(names), {number: str(number) for number in range(9)})
        (one,) = decoder.batch(Answer(message, "testing").runs) or ()
        theirs = ifinfmsg(message)
        theirs.decode()
        get = theirs.get_attr
        assert (one.index, one.name, one.mtu) == (theirs["index"], get("IFLA_IFNAME"), get("IFLA_MTU"))
        assert one.state == get("IFLA_OPERSTATE").lower()
        assert (one.address, one.broadcast) == (get("IFLA_ADDRESS"), get("IFLA_BROADCAST"))
        assert (one.queue_length, one.queue_discipline) == (get("IFLA_TXQLEN"), get("IFLA_QDISC"))
        assert (one.group, one.promiscuity) == (str(get("IFLA_GROUP")), get("IFLA_PROMISCUITY"))
        assert (one.tx_queues, one.rx_queues) == (get("IFLA_NUM_TX_QUEUES"), get("IFLA_NUM_RX_QUEUES"))
        assert (one.min_mtu, one.max_mtu) == (get("IFLA_MIN_MTU"), get("IFLA_MAX_MTU"))
        assert (one.carrier, one.carrier_changes) == (bool(get("IFLA_CARRIER")), get("IFLA_CARRIER_CHANGES"))
        assert (one.carrier_up_count, one.carrier_down_count) == (
            get("IFLA_CARRIER_UP_COUNT"),
            get("IFLA_CARRIER_DOWN_COUNT"),
        )
        assert one.alias == get("IFLA_IFALIAS")
        information = get("IFLA_LINKINFO")
        assert one.kind == (information.get_attr("IFLA_INFO_KIND") if information else None)
        assert one.port_kind == (information.get_attr("IFLA_INFO_SLAVE_KIND") if information else None)
        assert (one.master is None) == (get("IFLA_MASTER") is None)
        counters = get("IFLA_STATS64")
        assert one.statistics is not None
        for name, count in counters.items():
            if name in LinkStatistics._fields:
                assert getattr(one.statistics, name) == count, name


def test_details_of_kinds_are_told(zoo: Namespace) -> None:
    found = {one.name: one for one in listed(zoo)}
    assert found["vx0"].vni == 5
    assert (found["mv0"].mode, found["mv0"].parent) == ("bridge", "v0")
    assert (found["v1"].master, found["v1"].port_kind) == ("br0", "bridge")
    assert found["v2"].parent_namespace is not None
    assert found["v2"].parent == f"if{found['v2'].parent_index}"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (Query(kind="veth"), {"v0", "v1", "v2"}),
        (Query(master="br0"), {"v1"}),
        (Query(up=True), {"lo", "v0", "v1", "br0"}),
        (Query(("v0",)), {"v0"}),
        (Query(("another",)), {"v0"}),
        (Query(("v0", "lo")), {"v0", "lo"}),
    ],
    ids=str,
)
def test_selections(query: Query, names: set[str], zoo: Namespace) -> None:
    assert {one.name for one in listed(zoo, query)} == names


def test_json_is_as_the_schema_says(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("links", "-j").stdout)
    jsonschema.validate(rows, array_schema(records.Link))
    rated = json.loads(zoo.netinspect("links", "--rates", "0.01", "-j", "lo").stdout)
    jsonschema.validate(rated, array_schema(records.Link))
    assert rated[0]["rates"]["rx_bits"] == 0


def test_rates_tell_what_was_sent_meanwhile(zoo: Namespace) -> None:
    sender = zoo.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    before = {one.name: one for one in listed(zoo)}["lo"].statistics
    with sender:
        for _ in range(10):
            sender.sendto(b"x" * 1000, ("127.0.0.1", 9))
    after = {one.name: one for one in listed(zoo)}["lo"].statistics
    assert before is not None
    assert after is not None
    rates = rates_between((100.0, before), (102.0, after))
    assert rates.interval == 2
    assert rates.tx_packets >= 5
    assert rates.tx_bits == 8 * (after.tx_bytes - before.tx_bytes) / 2


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 40))
def test_counters_of_64_bits_wrap(before: int, more: int) -> None:
    wrapped = (before + more) % (1 << 64)
    if before >= 1 << 32 or wrapped >= before:
        assert difference(wrapped, before) == more


@given(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1))
def test_counters_of_32_bits_wrap(before: int, more: int) -> None:
    assert difference((before + more) % (1 << 32), before) == more


def test_the_tree_draws_ports_and_what_is_on_top(zoo: Namespace) -> None:
    lines = zoo.netinspect("links", "--tree").stdout.splitlines()
    at = lines.index("br0 bridge up")
    assert lines[at + 1].startswith("└─ v1 veth up peer v0")
    at = lines.index("v0 veth up peer v1")
    assert lines[at + 1].startswith("└─ mv0 macvlan down mode bridge")
    assert any(line.startswith("v2 veth down peer if") and " in namespace " in line for line in lines)


def test_a_tree_with_a_ring_ends() -> None:
    def link(name: str, master: str) -> Link:
        return Link(1, name, "dummy", "up", (), 1500, master=master)

    assert tree([link("a", "b"), link("b", "a")]) == "a dummy up\n└─ b dummy up\n   └─ a dummy up\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "no interface 'nonsense'"),
        (["--master", "nonsense"], "no interface 'nonsense'"),
        (["--rates", "0"], "--rates takes a number"),
        (["--tree", "-j"], "--tree is a drawing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_usage_is_one_clear_line(arguments: list[str], complaint: str, zoo: Namespace) -> None:
    result = zoo.netinspect("links", *arguments, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_control_characters_in_names_do_not_reach_the_terminal(namespace: Namespace) -> None:
    # The kernel takes nearly every byte (net/core/dev.c: dev_valid_name).
    namespace.run("ip", "link", "add", "x\x1b[31m", "type", "ifb", check=False)
    namespace.run("ip", "link", "add", "type", "bridge", check=False)
    for arguments in (["links"], ["links", "--tree"], ["links", "-s"], ["netstat", "-ia"], ["netstat", "-iae"]):
        assert "\x1b" not in namespace.netinspect(*arguments).stdout
    json.loads(namespace.netinspect("links", "-j").stdout)
