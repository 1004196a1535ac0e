"""Links: against `ip -s link`, and against pyroute2's decoder on the same bytes; rates and the tree."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from patience import standing_still
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from routing_state import raw_messages
from throwaway import Namespace

from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.messages import Answer
from netinspect.engine.places import Place
from netinspect.nouns.links import decode as links
from netinspect.nouns.links.listing import LinkListing, Query, difference
from netinspect.nouns.links.listing_rates import rates_between
from netinspect.nouns.links.render_tree import tree
from netinspect.records import Link, LinkStatistics

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
    listing = LinkListing(query, (Place(namespace.path),))
    found = [one for batch in listing.batches() for one in batch]
    assert listing.problems == []
    return found


def by_ip(namespace: Namespace, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(namespace.run("ip", "-j", "-d", "-s", "-s", *arguments).stdout)
    return [row for row in found if row]


def test_every_link_is_as_ip_shows_it(zoo: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    # Now and then the kernel sends something of its own.
    _, (ours, theirs) = standing_still(
        lambda: [(row["stats64"], row["operstate"]) for row in by_ip(zoo, "link")],
        lambda: (listed(zoo), by_ip(zoo, "link")),
    )
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
        assert (one.tx_queues, one.rx_queues) == (row["num_tx_queues"], row.get("num_rx_queues"))
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


KINDS = """
link add v0 type veth peer name v1
link add br1 type bridge stp_state 1 forward_delay 400 ageing_time 12300 mcast_querier 1 group_fwd_mask 8
link set v1 master br1
link set v1 type bridge_slave cost 7 hairpin on isolated on mcast_to_unicast on learning off priority 5
link add mv0 link v0 type macvlan mode source bcqueuelen 77
link set mv0 type macvlan macaddr add 02:00:00:00:00:01
link set mv0 type macvlan macaddr add 02:00:00:00:00:02
link add mt0 link v0 type macvtap mode vepa
link add vx0 type vxlan id 42 dev v0 group 239.1.1.1 dstport 4789 ttl 5
link add vx1 type vxlan id 43 remote fd00::9 local fd00::1 dstport 8472 nolearning ageing 100 maxaddress 9 df set
link add vx2 type vxlan external srcport 5000 6000 proxy l2miss
tuntap add tap0 mode tap user 0
tuntap add tun0 mode tun multi_queue
"""


@pytest.fixture(scope="module")
def kinds() -> Iterator[Namespace]:
    """Links of kinds with many settings."""
    namespace = Namespace()
    namespace.run("ip", "-force", "-batch", "-", input=KINDS, check=False)
    yield namespace
    namespace.close()


FIELDS: dict[str, dict[str, str]] = {
    "bridge": {
        "forward_delay": "forward_delay",
        "hello_time": "hello_time",
        "max_age": "max_age",
        "ageing_time": "ageing_time",
        "stp_state": "spanning_tree",
        "priority": "priority",
        "vlan_filtering": "vlan_filtering",
        "vlan_protocol": "vlan_protocol",
        "bridge_id": "bridge_id",
        "root_id": "root_id",
        "root_port": "root_port",
        "root_path_cost": "root_path_cost",
        "topology_change": "topology_change",
        "topology_change_detected": "topology_change_detected",
        "vlan_default_pvid": "vlan_default_pvid",
        "vlan_stats_enabled": "vlan_statistics",
        "vlan_stats_per_port": "vlan_statistics_per_port",
        "group_fwd_mask": "group_forward_mask",
        "group_addr": "group_address",
        "mcast_snooping": "multicast_snooping",
        "no_linklocal_learn": "no_link_local_learning",
        "mcast_vlan_snooping": "multicast_vlan_snooping",
        "mcast_router": "multicast_router",
        "mcast_query_use_ifaddr": "multicast_query_use_address",
        "mcast_querier": "multicast_querier",
        "mcast_hash_max": "multicast_hash_maximum",
        "mcast_last_member_cnt": "multicast_last_member_count",
        "mcast_startup_query_cnt": "multicast_startup_query_count",
        "mcast_last_member_intvl": "multicast_last_member_interval",
        "mcast_membership_intvl": "multicast_membership_interval",
        "mcast_querier_intvl": "multicast_querier_interval",
        "mcast_query_intvl": "multicast_query_interval",
        "mcast_query_response_intvl": "multicast_query_response_interval",
        "mcast_startup_query_intvl": "multicast_startup_query_interval",
        "mcast_stats_enabled": "multicast_statistics",
        "mcast_igmp_version": "igmp_version",
        "mcast_mld_version": "mld_version",
        "nf_call_iptables": "netfilter_ipv4",
        "nf_call_ip6tables": "netfilter_ipv6",
        "nf_call_arptables": "netfilter_arp",
        **dict.fromkeys(("hello_timer", "tcn_timer", "topology_change_timer", "gc_timer", "mcast_hash_elasticity"), ""),
    },
    "bridge_port": {
        "state": "state",
        "priority": "priority",
        "cost": "cost",
        "hairpin": "hairpin",
        "guard": "bpdu_guard",
        "root_block": "root_block",
        "fastleave": "fast_leave",
        "learning": "learning",
        "flood": "unicast_flood",
        "id": "id",
        "no": "number",
        "designated_port": "designated_port",
        "designated_cost": "designated_cost",
        "bridge_id": "designated_bridge",
        "root_id": "designated_root",
        "proxy_arp": "proxy_arp",
        "proxy_arp_wifi": "proxy_arp_wifi",
        "multicast_router": "multicast_router",
        "mcast_flood": "multicast_flood",
        "bcast_flood": "broadcast_flood",
        "mcast_to_unicast": "multicast_to_unicast",
        "neigh_suppress": "neighbour_suppression",
        "group_fwd_mask": "group_forward_mask",
        "vlan_tunnel": "vlan_tunnel",
        "isolated": "isolated",
        "locked": "locked",
        "mab": "mac_authentication_bypass",
        **dict.fromkeys(("hold_timer", "message_age_timer", "forward_delay_timer", "topology_change_ack"), ""),
        **dict.fromkeys(("config_pending", "group_fwd_mask_str"), ""),
    },
    "vxlan": {
        "group": "remote",
        "group6": "remote",
        "remote": "remote",
        "remote6": "remote",
        "local": "local",
        "local6": "local",
        "port": "port",
        "port_range": "source_ports",
        "learning": "learning",
        "proxy": "proxy",
        "l2miss": "l2_miss",
        "l3miss": "l3_miss",
        "ttl": "ttl",
        "df": "dont_fragment",
        "ageing": "ageing",
        "limit": "limit",
        "external": "external",
        "udp_csum": "udp_checksum",
        "udp_zero_csum6_tx": "udp_zero_checksum6_transmit",
        "udp_zero_csum6_rx": "udp_zero_checksum6_receive",
        "localbypass": "local_bypass",
        # Fields of the link itself.
        **dict.fromkeys(("id", "link"), ""),
    },
    "tun": {
        "user": "owner",
        "group": "group",
        "pi": "packet_information",
        "vnet_hdr": "virtio_header",
        "multi_queue": "multi_queue",
        "persist": "persistent",
        "numqueues": "queues",
        "numdisabled": "disabled_queues",
        "type": "",
    },
    "macvlan": {
        "bcqueuelen": "broadcast_queue_length",
        "usedbcqueuelen": "broadcast_queue_length_used",
        "macaddr_data": "sources",
        **dict.fromkeys(("mode", "macaddr_count"), ""),
    },
}
"""The keys of `ip -d -j link` and our fields; "": timers that go on by themselves, and what other fields tell."""


def in_our_words(name: str, value: Any) -> Any:
    if name == "port_range":
        return (value["low"], value["high"])
    if name == "macaddr_data":
        return tuple(value)
    if name == "user":
        return 0 if value == "root" else value
    if name in ("bridge_id", "root_id"):  # ip leaves out zeros
        priority, _, address = value.partition(".")
        return f"{priority}." + ":".join(part.zfill(2) for part in address.split(":"))
    if name.endswith(("_delay", "_time", "_age", "_intvl")):
        return value / 100
    return int(value, 16) if name in ("id", "no", "group_fwd_mask") else value


def test_fields_of_some_kinds_are_as_ip_shows_them(kinds: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    kinds.run("ip", "link", "set", "vx0", "protodown", "on")
    kinds.run("ip", "link", "set", "vx0", "protodown_reason", "17", "on")
    kinds.run("ip", "link", "set", "v0", "mode", "dormant")
    ours = {one.name: one for one in listed(kinds)}
    assert [one.name for one in ours.values() if one.protocol_down_reasons] == ["vx0"]
    assert ours["vx0"].protocol_down_reasons == (17,)
    seen = set()
    for row in by_ip(kinds, "link"):
        one, details = ours[row["ifname"]], row.get("linkinfo", {})
        assert one.protocol_down == row.get("proto_down", False) == (one.name == "vx0")
        assert (one.link_mode or "default").upper() == row["linkmode"]
        assert (one.tso_max_size, one.gro_max_size) == (row.get("tso_max_size"), row.get("gro_max_size"))
        assert one.parent == row.get("link", details.get("info_data", {}).get("link"))
        kind = {"macvtap": "macvlan"}.get(details.get("info_kind"), details.get("info_kind"))
        for field, data in ((kind, details.get("info_data")), ("bridge_port", details.get("info_slave_data"))):
            if not data:
                assert field not in FIELDS or (field == "bridge_port" and one.bridge_port is None)
                continue
            seen.add(field)
            for name, value in data.items():
                known = FIELDS[field][name]
                if known:
                    assert getattr(getattr(one, field), known) == in_our_words(name, value), (one.name, name)
    # On some machines only root may make these.
    tunnels = os.access("/dev/net/tun", os.R_OK | os.W_OK)
    assert seen == set(FIELDS) - (set() if tunnels else {"tun"})
    assert (ours["vx0"].parent, ours["vx0"].parent_index) == ("v0", ours["v0"].index)
    assert ours["mt0"].mode == "vepa"
    if tunnels:
        assert (ours["tap0"].mode, ours["tun0"].mode) == ("tap", "tun")
    rows = json.loads(kinds.netinspect("links", "-j").stdout)
    Draft202012Validator(array_schema(Link)).validate(rows)
    other = Namespace()
    kinds.run("ip", "link", "add", "vx9", "type", "vxlan", "id", "44", "dev", "v0", "dstport", "4790")
    kinds.run("ip", "link", "set", "vx9", "netns", other.path)
    (moved,) = [one for one in listed(other) if one.name == "vx9"]
    other.close()
    assert (moved.parent, moved.parent_index) == (f"if{ours['v0'].index}", ours["v0"].index)
    assert moved.parent_namespace is not None
    table = kinds.netinspect("links", "--columns", "name,vxlan,bridge").stdout
    assert "remote:239.1.1.1" in table


def test_each_field_is_as_pyroute2_decodes_it(zoo: Namespace) -> None:
    messages = raw_messages(zoo, links.request())
    assert len(messages) >= 7
    names = {int.from_bytes(message[20:24], sys.byteorder): f"if{number}" for number, message in enumerate(messages)}
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


def test_details_of_kinds_are_shown(zoo: Namespace) -> None:
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


def test_json_matches_the_schema(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("links", "-j").stdout)
    Draft202012Validator(array_schema(records.Link)).validate(rows)
    rated = json.loads(zoo.netinspect("links", "--rates", "0.01", "-j", "lo").stdout)
    Draft202012Validator(array_schema(records.Link)).validate(rated)
    assert rated[0]["rates"]["rx_bits"] == 0


def test_rates_show_what_was_sent_meanwhile(zoo: Namespace) -> None:
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
        (["--kind", "nonsense"], "no kind of link 'nonsense'"),
        (["--kind", "bonds", "-j"], "no kind of link 'bonds'"),
        (["--rates", "0"], "--rates takes a number"),
        (["--tree", "-j"], "--tree draws a tree"),
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


def test_undecoded_details_of_a_kind_are_in_the_record_but_not_noted() -> None:
    from fake_kernel import attribute, message, runs_of

    from netinspect.environment import Environment
    from netinspect.nouns.links.command import Links
    from netinspect.nouns.links.decode import Decoder
    from netinspect.records import UnknownAttribute

    info = attribute(1, b"batadv\0") + attribute(2, attribute(30, bytes(4)))
    body = bytes(4) + (5).to_bytes(4, sys.byteorder) + bytes(8) + attribute(3, b"bat0\0") + attribute(18, info)
    batch = Decoder({}, {0: "default"}).batch(runs_of([message(16, body)]))
    assert batch is not None
    assert list(batch.values("unknown_attributes")) == [(UnknownAttribute(30, 4, (18, 2)),)]
    complaints: list[bytes] = []
    command = Links.read([], Environment(len, complaints.append, False, 80))
    assert command is not None
    command.write([batch])
    assert complaints == []


def test_ports_of_hardware_have_their_names() -> None:
    from fake_kernel import attribute, message, runs_of

    about = (
        attribute(38, b"p1s0\0")
        + attribute(34, b"\x00\xab")
        + attribute(36, bytes.fromhex("0200ff"))
        + attribute(67, b"\1")
    )
    body = bytes(4) + (5).to_bytes(4, sys.byteorder) + bytes(8) + attribute(3, b"swp1\0") + about
    (one,) = links.Decoder({}, {0: "default"}).batch(runs_of([message(16, body)])) or ()
    assert (one.physical_port, one.physical_port_id, one.physical_switch) == ("p1s0", "00ab", "0200ff")
    assert (one.namespace_fixed, one.protocol_down, one.link_mode) == (True, False, None)


def test_a_kind_longer_than_the_kernel_takes_is_bad_usage(namespace: Namespace) -> None:
    result = namespace.netinspect("links", "--kind", "x" * 70_000, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("netinspect: a name of 70000 bytes")
