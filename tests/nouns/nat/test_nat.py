"""The masquerade table, in labs with real traffic: who is inside, whom it talks to, and what stands for it."""

from __future__ import annotations

import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import batch_of
from conntrack_entries import Entry, add
from conntrack_tables import flush, like_conntrack, of_conntrack
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from nat_lab import SERVER, SERVER6, Traffic, echo_request, lab_with_traffic, netinspect
from patience import eventually, until
from throwaway import NETINSPECT, Namespace

from netinspect import records
from netinspect.engine.columns import NONE
from netinspect.engine.json_schema import array_schema
from netinspect.lab import Lab
from netinspect.nouns.nat import listing_groups


class World:
    """The gateway lab with every kind of translation, and the ports that clients have."""

    def __init__(self, lab: Lab[Any], traffic: Traffic) -> None:
        self.lab = lab
        self.gateway = lab["gateway"]
        self.gateway.sysctl("net.netfilter.nf_conntrack_acct", 1)
        self.gateway.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
        for protocol in ("icmp", "udp"):  # half a minute, which may pass before the last test looks
            self.gateway.sysctl(f"net.netfilter.nf_conntrack_{protocol}_timeout", 600)
        flush(self.gateway)  # what was tracked before has no timestamp
        # Hairpin: lan1's own server, reached through the outside address.
        self.gateway.nat("dnat", into="lan", protocol="tcp", port=8080, to="192.168.1.11", to_port=80)
        self.gateway.nat("masquerade", out="lan", source="192.168.1.0/24")
        for address in (SERVER, SERVER6):
            traffic.listen("wan", address, 443)
            traffic.listen("wan", address, 80)
        traffic.listen("lan1", "192.168.1.11", 80)
        traffic.listen("lan1", "fd00:1::11", 80)
        traffic.listen("gateway", "192.168.1.1", 8081)
        self.masquerade = traffic.connect("lan1", SERVER, 443)
        self.masquerade6 = traffic.connect("lan1", SERVER6, 443)
        self.snat = traffic.connect("lan2", SERVER, 443)
        self.dnat = traffic.connect("wan", "203.0.113.1", 8080)
        self.redirect = traffic.connect("lan1", SERVER, 81)
        self.hairpin = traffic.connect("lan2", "203.0.113.1", 8080)
        # The gateway has taken this port itself: the one of lan1 must be shifted.
        self.own = traffic.connect("gateway", SERVER, 80, 5555)
        self.shifted = traffic.connect("lan1", SERVER, 80, 5555)
        traffic.raw("lan1", SERVER, 1, echo_request(0x1234))
        # Answered by an ICMP error: nobody listens there.
        traffic.datagram("lan1", SERVER, 9)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with lab_with_traffic("gateway") as (lab, traffic):
        made = World(lab, traffic)
        until(lambda: answered(made), "answer to the echo request and the datagram")
        yield made


def answered(world: World) -> bool:
    rows = table(world)
    return any(row["protocol"] == "udp" for row in rows) and any(
        row["protocol"] == "icmp" and "SEEN_REPLY" in row["status"] for row in rows
    )


def table(world: World, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(netinspect(world.gateway, "nat", "-j", *arguments).stdout)
    return found


def the_one(rows: list[dict[str, Any]], **values: Any) -> dict[str, Any]:
    found = [row for row in rows if all(row[name] == value for name, value in values.items())]
    assert len(found) == 1, (values, rows)
    return found[0]


def ends(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        (row[f"{name}_address"], row[f"{name}_port"]) for name in ("inside", "destination", "outside", "answering")
    )


def test_masquerade_shows_the_six_pieces_of_data(world: World) -> None:
    row = the_one(table(world), inside_port=world.masquerade[1], kind="masquerade", family="inet")
    server = (SERVER, 443)
    assert ends(row) == (world.masquerade, server, ("203.0.113.1", world.masquerade[1]), server)
    assert row["state"] == "ESTABLISHED"
    assert 0 < row["timeout"] <= 432000
    assert row["sent_packets"] >= 2
    assert row["sent_bytes"] >= 2 * 40
    assert row["received_packets"] >= 1


def test_masquerade_of_ipv6(world: World) -> None:
    row = the_one(table(world, "-6"), inside_port=world.masquerade6[1])
    assert row["kind"] == "masquerade"
    assert ends(row)[:3] == (world.masquerade6, (SERVER6, 443), ("2001:db8::1", world.masquerade6[1]))


def test_a_rule_that_names_the_address_is_snat(world: World) -> None:
    row = the_one(table(world), inside_address="192.168.1.12", kind="snat")
    assert ends(row)[2] == ("203.0.113.2", world.snat[1])


def test_dnat_has_the_server_inside_and_the_client_as_destination(world: World) -> None:
    row = the_one(table(world), kind="dnat")
    server = ("192.168.1.11", 80)
    assert ends(row) == (server, world.dnat, ("203.0.113.1", 8080), server)


def test_redirect_ends_on_this_machine_with_its_process(world: World) -> None:
    row = the_one(table(world, "-P"), kind="redirect")
    assert ends(row) == (("192.168.1.1", 8081), world.redirect, (SERVER, 81), ("192.168.1.1", 8081))
    assert row["processes"]
    assert {"pid", "name", "fd"} <= row["processes"][0].keys()


def test_hairpin_is_translated_both_ways(world: World) -> None:
    row = the_one(table(world), kind="both")
    assert ends(row)[0] == world.hairpin
    assert ends(row)[1] == ("203.0.113.1", 8080)
    assert row["outside_address"] == "192.168.1.1"
    assert ends(row)[3] == ("192.168.1.11", 80)


def test_a_port_that_is_taken_is_shifted(world: World) -> None:
    row = the_one(table(world), inside_port=5555)
    assert row["inside_address"] == "192.168.1.11"
    assert row["outside_address"] == "203.0.113.1"
    assert row["outside_port"] != 5555


def test_icmp_echo_and_what_an_icmp_error_answers(world: World) -> None:
    rows = table(world)
    echo = the_one(rows, protocol="icmp")
    assert (echo["inside_address"], echo["inside_port"]) == ("192.168.1.11", 0x1234)
    assert echo["outside_address"] == "203.0.113.1"
    assert "SEEN_REPLY" in echo["status"]
    refused = the_one(rows, protocol="udp", destination_port=9)
    assert refused["inside_address"] == "192.168.1.11"


def test_the_gateway_s_own_connections_are_not_translated(world: World) -> None:
    assert not [row for row in table(world) if row["inside_address"] == world.own[0]]


def assert_same(theirs: Callable[[], dict[int, dict[str, Any]]], ours: Callable[[], dict[int, dict[str, Any]]]) -> None:
    """Both show the same. Entries come and go, as those of a bridge's own queries; the time left of them runs down."""

    def check() -> None:
        before, found, after = theirs(), ours(), theirs()
        assert before.keys() == found.keys() == after.keys()
        for number, entry in found.items():
            # An answer starts the time anew.
            left = sorted((before[number].pop("timeout"), after[number].pop("timeout")))
            assert left[0] <= entry.pop("timeout") <= left[1]
        assert found == before == after

    eventually(check)


def test_conntrack_shows_the_same_value_for_value(world: World, need: Callable[[str], None]) -> None:
    need("conntrack")

    def theirs() -> dict[int, dict[str, Any]]:
        found = {}
        for family in ("ipv4", "ipv6"):
            listing = world.gateway.run("conntrack", "-L", "-f", family, "-o", "extended,id").stdout
            parsed = map(of_conntrack, re.sub(r" \[start=.*?\]| delta-time=\d+", "", listing).splitlines())
            found.update({entry["id"]: entry for entry in parsed})
        return found

    def ours() -> dict[int, dict[str, Any]]:
        found = {}
        for flow in json.loads(netinspect(world.gateway, "conntrack", "-j").stdout):
            flow["netns"] = None
            assert abs(flow["start"] / 1e9 - time.time()) < 600
            found[flow["id"]] = like_conntrack(records.Flow(**flow))
        return found

    assert_same(theirs, ours)


def test_the_command_s_json_follows_its_schema(world: World) -> None:
    for view, record in (("list", "Translation"), ("hosts", "InsideHost"), ("outside", "OutsideAddress")):
        document = json.loads(netinspect(world.gateway, "nat", view, "-j").stdout)
        assert document
        Draft202012Validator(array_schema(getattr(records, record))).validate(document)


def test_hosts_add_up_what_each_has(world: World) -> None:
    hosts = {row["inside_address"]: row for row in json.loads(netinspect(world.gateway, "nat", "hosts", "-j").stdout)}
    rows = table(world)
    for address, host in hosts.items():
        own = [row for row in rows if row["inside_address"] == address]
        assert host["flows"] == len(own)
        assert host["sent_bytes"] == sum(row["sent_bytes"] for row in own)
        assert set(host["outside_addresses"]) == {row["outside_address"] for row in own}
    assert hosts.keys() == {row["inside_address"] for row in rows}


def test_netstat_m_has_net_tools_layout(world: World) -> None:
    lines = netinspect(world.gateway, "netstat", "-Mn").stdout.splitlines()
    assert lines[0] == "IP masquerading entries"
    assert lines[1] == "prot   expire source               destination          ports"
    form = re.compile(r"^(\w+) +(\d+):(\d\d)\.\d\d (\S+) +(\S+) +(\d+) -> (\d+) \((\d+)\)$")
    found = [match.groups() for match in map(form.match, lines[2:]) if match]
    assert len(found) == len(lines) - 2 == len(table(world))
    port = str(world.masquerade[1])
    (row,) = [row for row in found if row[5] == port and ":" not in row[3]]
    assert (row[0], row[3], row[4], row[6], row[7]) == ("tcp", "192.168.1.11", SERVER, "443", port)
    (line,) = [line for line in lines if f"{port} -> 443" in line and SERVER in line]
    # The columns of net-tools: %-4s, %3ld:%02ld.%02ld, and two of %-20s.
    assert line[:3] == "tcp"
    assert line.index("192.168.1.11") == len("tcp 7199:59.00 ")
    assert line.index(SERVER) == line.index("192.168.1.11") + 21
    extended = netinspect(world.gateway, "netstat", "-Mne").stdout.splitlines()
    assert extended[1].split() == ["prot", "expire", "initseq", "delta", "prevd", "source", "destination", "ports"]
    assert len(extended[2].split()) == len(lines[2].split()) + 3


def test_netstat_m_of_one_family_and_of_nothing(world: World) -> None:
    assert "fd00:1::11" not in netinspect(world.gateway, "netstat", "-Mn4").stdout
    assert netinspect(world.lab["wan"], "netstat", "-Mn").stdout == ""


def test_both_gateways_of_a_carrier_show_what_conntrack_shows(need: Callable[[str], None]) -> None:
    need("conntrack")
    with lab_with_traffic("cgnat") as (lab, traffic):
        traffic.listen("server", SERVER, 443)
        for _ in range(3):
            traffic.connect("home", SERVER, 443)
        traffic.raw("home", SERVER, 1, echo_request(7))
        traffic.datagram("home", SERVER, 53)
        for name in ("cpe", "carrier"):

            def theirs(name: str = name) -> dict[int, dict[str, Any]]:
                listing = lab[name].run("conntrack", "-L", "-o", "extended,id").stdout
                return {entry["id"]: entry for entry in map(of_conntrack, listing.splitlines())}

            def ours(name: str = name) -> dict[int, dict[str, Any]]:
                flows = json.loads(netinspect(lab[name], "conntrack", "-j").stdout)
                assert len(flows) == 5
                return {flow["id"]: like_conntrack(records.Flow(**flow)) for flow in flows}

            assert_same(theirs, ours)


def test_double_nat_is_detected() -> None:
    with lab_with_traffic("cgnat") as (lab, traffic):
        traffic.listen("server", SERVER, 443)
        client = traffic.connect("home", SERVER, 443)
        (home,) = json.loads(netinspect(lab["cpe"], "nat", "-j").stdout)
        (carrier,) = json.loads(netinspect(lab["carrier"], "nat", "-j").stdout)
    assert (home["kind"], home["double_nat"]) == ("masquerade", True)
    assert ends(home)[0] == client
    assert home["outside_address"] == carrier["inside_address"] == "100.64.0.2"
    assert (carrier["kind"], carrier["double_nat"]) == ("snat", False)
    assert carrier["outside_address"] == "203.0.113.1"


def test_a_hairpin_is_called_so_and_nothing_has_to_translate_it_again(
    namespace: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    for name, address in (("in0", "192.168.7.1/24"), ("out0", "10.9.0.1/24")):
        namespace.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"x{name}")
        namespace.run("ip", "link", "set", name, "up")
        namespace.run("ip", "link", "set", f"x{name}", "up")
        namespace.run("ip", "addr", "add", address, "dev", name)
    entries = [
        Entry("192.168.7.2", "198.51.100.5", 6, (4000, 80), ("192.168.7.3", "192.168.7.1", 8080, 4000), state=3),
        Entry("192.168.7.2", "198.51.100.5", 6, (4001, 80), ("10.9.0.3", "10.9.0.1", 8080, 4001), state=3),
        Entry("192.168.7.2", "198.51.100.5", 6, (4002, 81), ("192.168.7.3", "192.168.7.2", 8080, 4002), state=3),
    ]
    assert not add(namespace, entries)
    found = {row["inside_port"]: row for row in json.loads(namespace.netinspect("nat", "-j").stdout)}
    found |= {row["destination_port"]: row for row in found.values() if row["kind"] == "dnat"}
    told = {
        port: (found[port]["kind"], found[port]["hairpin"], found[port]["double_nat"]) for port in range(4000, 4003)
    }
    assert told == {4000: ("both", True, False), 4001: ("both", False, False), 4002: ("dnat", True, False)}
    assert namespace.netinspect("nat", "-eH").stdout.count("hairpin") == 2


def test_a_listing_of_flows_asks_no_name_server(namespace: Namespace, tmp_path: Path) -> None:
    assert not add(namespace, [Entry("10.0.0.1", "192.0.2.1", 17, (4000, 9), ("192.0.2.1", "203.0.113.7", 9, 4000))])
    settings = tmp_path / "resolv.conf"
    settings.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 53))
        server.setblocking(False)
        for words, asked in ((["conntrack"], False), (["nat"], False), (["conntrack", "--resolve"], True)):
            argv = ["unshare", "--mount", "sh", "-c", script, str(settings), *NETINSPECT, *words]
            answer = namespace.run(*argv, check=not asked)
            assert "192.0.2.1" in answer.stdout
            try:
                assert server.recv(512), "no question at all"
                found = True
            except BlockingIOError:
                found = False
            assert found == asked, words


def test_ports_of_a_rule_are_what_there_is(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("nft")
    namespace.run(
        "nft",
        "add table ip n; add chain ip n p { type nat hook postrouting priority srcnat; };"
        "add rule ip n p meta l4proto tcp snat to 203.0.113.7:2000-2009",
    )
    entries = [
        Entry("10.0.0.1", "192.0.2.1", 6, (4000 + n, 80), ("192.0.2.1", "203.0.113.7", 80, 2000 + n), state=3)
        for n in range(8)
    ]
    entries += [Entry("10.0.0.2", "192.0.2.9", 6, (4000, 80), ("192.0.2.9", "203.0.113.7", 80, 2000), state=3)]
    assert not add(namespace, entries)
    (usage,) = json.loads(namespace.netinspect("nat", "outside", "-j").stdout)
    assert (usage["outside_address"], usage["flows"], usage["inside_hosts"]) == ("203.0.113.7", 9, 2)
    assert (usage["destination_address"], usage["destination_port"]) == ("192.0.2.1", 80)
    assert (usage["ports_used"], usage["ports"], usage["percent"]) == (8, 10, 80.0)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "more"], ["--sample", "1"], ["diagnose", "a", "b", "c", "d"]]
)
def test_bad_usage_is_one_line_and_status_2(namespace: Namespace, arguments: list[str]) -> None:
    result = namespace.netinspect("nat", *arguments, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


_ADDRESSES = st.sampled_from(["203.0.113.1", "203.0.113.2"])
_PORTS = st.one_of(st.none(), st.sampled_from([80, 1023, 1024, 40_000, 40_001, 65_535]))


@given(
    st.lists(
        st.lists(st.tuples(_ADDRESSES, _PORTS, st.sampled_from(["192.0.2.1", "192.0.2.2"]), _PORTS), min_size=1),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
    st.booleans(),
)
def test_ports_in_use_are_counted_once_where_they_are_not_unique(
    batches: list[list[tuple[str, int | None, str, int | None]]], zoned: bool, named: bool
) -> None:
    """In one zone no two entries have the same reply tuple; of several zones some have."""
    ranges = {"203.0.113.1": (40_000, 40_001)} if named else {}
    if not zoned:
        known: dict[tuple[str, int | None, str, int | None], None] = {}
        batches = [[row for row in rows if row not in known and known.setdefault(row) is None] for rows in batches]
    outside = listing_groups._Outside()
    for rows in filter(None, batches):
        names = ("outside_address", "outside_port", "answering_address", "answering_port")
        columns: dict[str, Any] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        columns |= {"inside_address": ["10.0.0.1"] * len(rows), "zone": [5] * len(rows) if zoned else NONE}
        outside.add(batch_of(len(rows), columns, "Translation"), "tcp")
    found = {record.outside_address: record for record in outside.records(None, "tcp", ranges)}
    uses = {row for rows in batches for row in rows}
    for address, record in found.items():
        first, last = ranges.get(address, listing_groups.PORTS)
        counts = Counter({(there, port): 0 for known, _, there, port in uses if known == address})
        counts.update(
            (there, end) for known, port, there, end in uses if known == address and first <= (port or 0) <= last
        )
        assert record.ports_used == max(counts.values())
        assert record.flows == sum(row[0] == address for rows in batches for row in rows)
