"""The connection tracking table against conntrack(8), against pyroute2's decoder, and against what was put into it."""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from availability import unavailable
from conntrack_entries import ASSURED, CONFIRMED, LABELS, OF_EVERY_KIND, SEEN_REPLY, Entry, add
from conntrack_tables import like_conntrack, of_conntrack
from fake_kernel import FakeKernel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_budget import HEAVY
from jsonschema import Draft202012Validator
from throwaway import NETINSPECT, Namespace

from netinspect import records
from netinspect.engine import kernel_release
from netinspect.engine.cut import CutBatch
from netinspect.engine.json_schema import array_schema, schema
from netinspect.engine.netlink.gathering import gathered
from netinspect.engine.netlink.messages import Answer, Run, attribute, message
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.engine.places import Place
from netinspect.errors import ConntrackError, NetlinkError
from netinspect.nouns.conntrack.decode import Decoder, flow_body
from netinspect.nouns.conntrack.decode_names import STATUS_BITS
from netinspect.nouns.conntrack.filter import FlowFilter, mark_of, prefix_of
from netinspect.nouns.conntrack.listing import FlowListing
from netinspect.nouns.conntrack.request import request
from netinspect.records import Flow
from netinspect.uapi.netlink import NETLINK_NETFILTER

NESTED = 0x8000
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tracked() -> Iterator[Namespace]:
    """A namespace with an entry of every kind."""
    made = Namespace()
    global OF_EVERY_KIND
    if not Path("/proc/net/udplite").exists():  # nor are there ports of it (until Linux 7.0)
        OF_EVERY_KIND = tuple(entry for entry in OF_EVERY_KIND if entry.protocol != socket.IPPROTO_UDPLITE)
    refused = add(made, OF_EVERY_KIND)
    # A kernel may have no zones (CONFIG_NF_CONNTRACK_ZONES).
    assert all(entry.zone for entry in refused)
    OF_EVERY_KIND = tuple(entry for entry in OF_EVERY_KIND if entry not in refused)
    yield made
    made.close()


def flows(namespace: Namespace, wanted: FlowFilter | None = None) -> list[Flow]:
    listing = FlowListing(wanted, [Place(namespace.path)])
    found = [flow for batch in listing.batches() for flow in batch]
    assert not listing.problems
    return found


def test_every_kind_of_entry_is_what_conntrack_shows(tracked: Namespace, need: Callable[[str], None]) -> None:
    need("conntrack")
    theirs = {}
    before = {flow.id: flow.timeout for flow in flows(tracked)}
    for family in ("ipv4", "ipv6"):
        for line in tracked.run("conntrack", "-L", "-f", family, "-o", "extended,id").stdout.splitlines():
            parsed = of_conntrack(line)
            theirs[parsed["id"]] = parsed
    ours = {flow.id: like_conntrack(flow) for flow in flows(tracked)}
    assert len(ours) == len(OF_EVERY_KIND)
    assert ours.keys() == theirs.keys() == before.keys()
    for number, parsed in theirs.items():  # the seconds that are left run down
        assert before[number] >= parsed["timeout"] >= ours[number].pop("timeout")
        del parsed["timeout"]
        # The dump itself holds one entry or another (ctnetlink_dump_table).
        assert {parsed.pop("use"), ours[number].pop("use")} <= {1, 2}
    assert ours == theirs


def test_one_row_of_a_timed_listing_is_read_alone_and_the_same(tracked: Namespace) -> None:
    packed = struct.Struct(">4Q")
    batches = list(FlowListing(None, [Place(tracked.path)], timed=True).batches())
    for batch in batches:
        assert isinstance(batch, CutBatch)
        singles = [flow for row in range(len(batch)) for flow in batch.single(row)]
        assert [*filter(batch.has, Flow._fields)] == ["id"]  # nothing else is made of the other rows
        assert singles == list(batch)
        for flow, counters in zip(batch, batch.values("counters"), strict=True):
            known = flow.bytes, flow.reply_bytes, flow.packets, flow.reply_packets
            assert known == (4 * (None,) if counters is None else packed.unpack(counters))
    assert sum(map(len, batches)) == len(OF_EVERY_KIND)


def test_what_was_put_in_comes_out(tracked: Namespace) -> None:
    found = {
        (
            flow.source_address,
            flow.protocol_number,
            flow.source_port or flow.icmp_id,
            flow.reply_destination_address,
        ): flow
        for flow in flows(tracked)
    }
    for entry in OF_EVERY_KIND:
        port: int | None = entry.ports[0]
        if entry.protocol in (50, 253):
            port = None
        outside = entry.reply[1] if entry.reply else entry.source
        flow = found[entry.source, entry.protocol, port, outside]
        bits = {name for bit, name in enumerate(STATUS_BITS) if entry.status >> bit & 1}
        assert set(flow.status) - {"SRC_NAT_DONE", "DST_NAT_DONE"} == bits
        assert flow.mark == (entry.mark or 0)
        assert (flow.zone, flow.zone_direction) == (entry.zone, entry.zone_direction if entry.zone else None)


def test_each_protocol_has_the_name_that_is_known_or_its_number(tracked: Namespace) -> None:
    names = {flow.protocol_number: flow.protocol for flow in flows(tracked)}
    known = {
        1: "icmp",
        6: "tcp",
        17: "udp",
        47: "gre",
        50: "esp",
        58: "icmpv6",
        132: "sctp",
        136: "udplite",
        253: "253",
    }
    assert names == {entry.protocol: known[entry.protocol] for entry in OF_EVERY_KIND}


def test_labels_are_shown_by_number(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("nft")
    # The kernel keeps labels only where a rule of the namespace uses them.
    namespace.run("nft", "add table ip t; add chain ip t c; add rule ip t c ct label set 3")
    assert not add(namespace, [Entry("10.0.0.1", "10.0.0.2", labels=LABELS), Entry("10.0.0.3", "10.0.0.2")])
    found = {flow.source_address: flow.labels for flow in flows(namespace)}
    assert found["10.0.0.1"] == (0, 3, 69)
    assert not found["10.0.0.3"]


def test_pyroute2_decodes_the_same_bytes_to_the_same_values(tracked: Namespace) -> None:
    from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg

    opened = tracked.call(lambda: connect(NETLINK_NETFILTER))
    runs = list(Dump(opened, request(0), "testing"))
    decoder = Decoder()
    checked = 0
    for run in runs:
        for at in range(0, len(run.data), run.length):
            single = Run(run.data[at : at + run.length], run.kind, run.length, 1)
            flow = next(iter(next(decoder.batches(single))))
            oracle = nfct_msg(single.data)
            oracle.decode()
            for prefix, kind in (("", "CTA_TUPLE_ORIG"), ("reply_", "CTA_TUPLE_REPLY")):
                addresses = oracle.get_attr(kind).get_attr("CTA_TUPLE_IP")
                version = "V4" if flow.family == "inet" else "V6"
                assert getattr(flow, f"{prefix}source_address") == addresses.get_attr(f"CTA_IP_{version}_SRC")
                assert getattr(flow, f"{prefix}destination_address") == addresses.get_attr(f"CTA_IP_{version}_DST")
                protocol = oracle.get_attr(kind).get_attr("CTA_TUPLE_PROTO")
                assert flow.protocol_number == protocol.get_attr("CTA_PROTO_NUM")
                assert getattr(flow, f"{prefix}source_port") == protocol.get_attr("CTA_PROTO_SRC_PORT")
                assert getattr(flow, f"{prefix}destination_port") == protocol.get_attr("CTA_PROTO_DST_PORT")
                for name in ("ID", "TYPE", "CODE"):
                    theirs = protocol.get_attr(f"CTA_PROTO_ICMP_{name}")
                    if theirs is None:
                        theirs = protocol.get_attr(f"CTA_PROTO_ICMPV6_{name}")
                    assert getattr(flow, f"{prefix}icmp_{name.lower()}") == theirs
            bits = oracle.get_attr("CTA_STATUS")
            assert flow.status == tuple(name for bit, name in enumerate(STATUS_BITS) if bits >> bit & 1)
            for name in ("timeout", "mark", "use", "id"):
                assert getattr(flow, name) == oracle.get_attr(f"CTA_{name.upper()}")
            checked += 1
    assert checked == len(OF_EVERY_KIND)


def test_gathering_runs_changes_nothing_but_their_number(tracked: Namespace) -> None:
    runs = list(Dump(tracked.call(lambda: connect(NETLINK_NETFILTER)), request(0), "testing"))
    decoder = Decoder()

    def ids(several: list[Run]) -> list[int]:
        return sorted(flow.id for run in several for batch in decoder.batches(run) for flow in batch)

    assert ids(runs) == ids(list(gathered(runs)))
    assert len(list(gathered(runs * 50))) == len({(run.length, run.kind) for run in runs})


def entry_message(*attributes: bytes, family: int = 2) -> bytes:
    return message(0x100, 0, flow_body(family) + b"".join(attributes))


def nested(kind: int, *inside: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(inside))


def decoded(data: bytes) -> list[Flow]:
    return [flow for run in Answer(data, "testing").runs for batch in Decoder().batches(run) for flow in batch]


MALFORMED = {
    "an attribute that ends behind the message": message(0x100, 0, flow_body(2) + struct.pack("=HH", 60, 3) + bytes(4)),
    "an attribute shorter than its header": message(0x100, 0, flow_body(2) + struct.pack("=HH", 3, 3) + bytes(4)),
    "a nested attribute that ends behind its parent": entry_message(
        attribute(1 | NESTED, struct.pack("=HH", 40, 1) + bytes(4))
    ),
    "an address that is too short": entry_message(nested(1, nested(1, attribute(1, b"\1\2")))),
    "an IPv6 address that is too short": entry_message(nested(1, nested(1, attribute(3, bytes(8)))), family=10),
    "a port of one byte": entry_message(nested(1, nested(2, attribute(2, b"\1")))),
    "a status of two bytes": entry_message(attribute(3, b"\0\1")),
    "a counter of four bytes": entry_message(nested(9, attribute(1, bytes(4)))),
    "an empty state": entry_message(nested(4, nested(1, attribute(1, b"")))),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_entry_is_one_clear_error(what: str) -> None:
    with pytest.raises(NetlinkError, match="malformed netlink message"):
        decoded(MALFORMED[what])


@given(st.binary(max_size=120))
def test_no_bytes_make_the_decoder_fail_otherwise(rest: bytes) -> None:
    data = message(0x100, 0, flow_body(2) + rest + bytes(-len(rest) % 4))
    try:
        found = decoded(data)
    except NetlinkError:
        return
    assert [flow.family for flow in found] == ["inet"]


def test_deep_nesting_is_no_way_to_exhaust_the_stack() -> None:
    data = b""
    while len(data) < 60000:
        data = attribute(6 | NESTED, data)
    assert [flow.source_address for flow in decoded(entry_message(data))] == [None]


def test_unknown_bits_and_states_are_never_dropped() -> None:
    data = entry_message(attribute(3, struct.pack(">I", 1 << 31 | 2)), nested(4, nested(1, attribute(1, b"\x63"))))
    (flow,) = decoded(data)
    assert flow.status == ("SEEN_REPLY", "0x80000000")
    assert flow.state == "UNKNOWN_99"


# Filters -------------------------------------------------------------------------------------------------------------

ADDRESSES = ("10.0.0.0/30", "10.0.0.3", "10.0.1.2", "203.0.113.1", "fd00::1", "fd00::/126", "2001:db8::2", "0.0.0.0/0")


@st.composite
def filters(draw: Callable[..., Any]) -> FlowFilter:
    wanted = FlowFilter()
    if draw(st.booleans()):
        wanted.families = (draw(st.sampled_from(("inet", "inet6"))),)
    if draw(st.booleans()):
        wanted.protocols = draw(st.sets(st.sampled_from((6, 17, 1, 58, 132, 253)), min_size=1, max_size=2))
    fields = [f"{direction}{side}" for direction in ("", "reply_") for side in ("source", "destination")]
    if draw(st.booleans()):
        field = draw(st.sampled_from(fields))
        texts = draw(st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=2))
        wanted.addresses[f"{field}_address"] = [prefix_of(text) for text in texts]
    if draw(st.booleans()):
        field = draw(st.sampled_from(fields))
        wanted.ports[f"{field}_port"] = draw(
            st.sets(st.sampled_from((80, 53, 443, 1, 2, 1024)), min_size=1, max_size=2)
        )
    if draw(st.booleans()):
        name = draw(st.sampled_from(("ASSURED", "SEEN_REPLY", "CONFIRMED")))
        (wanted.with_status if draw(st.booleans()) else wanted.without_status).add(name)
    if draw(st.booleans()):
        wanted.marks = [mark_of(draw(st.sampled_from(("0", "1", "0x1234", "0x30/0xf0", "0xffffffff"))))]
    if draw(st.booleans()):
        wanted.zones = {draw(st.sampled_from((0, 7, 8, 9)))}
    if draw(st.booleans()):
        wanted.states = {draw(st.sampled_from(("ESTABLISHED", "TIME_WAIT")))}
    return wanted


def selects(wanted: FlowFilter, flow: Flow) -> bool:
    """The same filter once more, written as plainly as possible."""
    from ipaddress import ip_address, ip_network

    def within(text: str | None, prefixes: list[tuple[bytes, int]]) -> bool:
        networks = [ip_network((ip_address(packed), bits), strict=False) for packed, bits in prefixes]
        return any(ip_address(text) in network for network in networks)

    return (
        (not wanted.families or flow.family in wanted.families)
        and (not wanted.protocols or flow.protocol_number in wanted.protocols)
        and all(within(getattr(flow, field), prefixes) for field, prefixes in wanted.addresses.items())
        and all(getattr(flow, field) in ports for field, ports in wanted.ports.items())
        and wanted.with_status <= set(flow.status)
        and not wanted.without_status & set(flow.status)
        and (not wanted.marks or any(flow.mark & mask == value & mask for value, mask in wanted.marks))
        and (
            not wanted.zones
            or (flow.zone or 0) in wanted.zones
            or (0 in wanted.zones and flow.zone_direction in ("original", "reply"))
        )
        and (not wanted.states or flow.state in wanted.states)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters())
def test_a_filter_selects_matching_entries(tracked: Namespace, wanted: FlowFilter) -> None:
    everything = {flow.id: flow for flow in flows(tracked)}
    found = [flow.id for flow in flows(tracked, wanted)]
    assert sorted(found) == sorted(number for number, flow in everything.items() if selects(wanted, flow))


def test_the_kernel_does_the_filtering_where_it_can(tracked: Namespace) -> None:
    wanted = FlowFilter()
    wanted.protocols = {17}
    wanted.addresses["source_address"] = [prefix_of("10.0.0.3")]
    wanted.ports["destination_port"] = {53}
    ((family, kernel),) = wanted.kernel()
    runs = list(Dump(tracked.call(lambda: connect(NETLINK_NETFILTER)), request(family, kernel), "testing"))
    assert sum(run.count for run in runs) == 1


def test_replies_are_left_to_kernels_that_compare_them_right(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = FlowFilter()
    wanted.addresses["reply_source_address"] = [prefix_of("10.0.0.3")]
    asked = []
    for release in ("5.13.19-amd64", "5.14.0", "6.1.0-rc1"):
        monkeypatch.setattr(kernel_release.posix, "uname", lambda release=release: SimpleNamespace(release=release))
        ((_, kernel),) = wanted.kernel()
        asked.append(bool(kernel.reply))
    assert asked == [False, True, True]


def test_a_kernel_that_lacks_a_filter_is_asked_for_all() -> None:
    asked = []
    entry = entry_message(
        nested(
            1, nested(1, attribute(1, b"\x0a\0\0\1"), attribute(2, b"\x0a\0\0\2")), nested(2, attribute(1, b"\x06"))
        ),
        attribute(3, bytes(4)),
        attribute(12, bytes(4)),
    )
    done = message(3, 2, bytes(4))

    def answer(sent: bytes) -> list[bytes]:
        asked.append(sent)
        refusal = message(2, 0, struct.pack("=i", -22) + sent[:16])
        return [refusal] if len(asked) == 1 else [entry, done]

    class Fake(Place):
        def connect(self, protocol: int) -> Any:
            return FakeKernel(answer)

    wanted = FlowFilter()
    wanted.protocols = {6}
    wanted.families = ("inet",)
    assert [flow.protocol for batch in FlowListing(wanted, [Fake()]).batches() for flow in batch] == ["tcp"]
    assert asked[1] == request(2)


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"), [(1, "CAP_NET_ADMIN"), (93, "no ctnetlink"), (95, "no ctnetlink"), (22, "no ctnetlink")]
)
def test_a_refusal_explains_itself(number: int, text: str) -> None:
    class Refusing(Place):
        def connect(self, protocol: int) -> Any:
            return FakeKernel(lambda sent: [message(2, 0, struct.pack("=i", -number) + sent[:16])])

    with pytest.raises(ConntrackError, match=text):
        list(FlowListing(places=[Refusing()]).batches())


def test_without_privileges_it_is_one_line(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("setpriv")
    for view in ((), ("count",), ("stats",), ("top",), ("expectations",), ("events",), ("monitor",)):
        result = namespace.run(
            *("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"),
            *(*NETINSPECT, "conntrack", *view),
            check=False,
        )
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert "CAP_NET_ADMIN" in result.stderr


def test_a_namespace_that_tracks_nothing_has_a_note(namespace: Namespace, need: Callable[[str], None]) -> None:
    result = namespace.netinspect("conntrack")
    assert "nothing is tracked here" in result.stderr
    assert result.stdout.startswith("Protocol")
    need("nft")
    namespace.run("nft", "add table ip t; add chain ip t c; add rule ip t c ct state new")
    assert namespace.netinspect("conntrack").stderr == ""


# The command ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "record"),
    [
        ([], "Flow"),
        (["count"], "ConntrackCount"),
        (["stats"], "ConntrackStatistic"),
        (["top", "--by", "port"], "FlowGroup"),
        (["expectations"], "Expectation"),
        (["monitor", "--times", "1", "--interval", "0.05"], "FlowRates"),
        (["events", "--for", "0.05"], "FlowEvent"),
    ],
)
def test_json_follows_its_schema(tracked: Namespace, arguments: list[str], record: str) -> None:
    kind = getattr(records, record)
    document = json.loads(tracked.netinspect("conntrack", *arguments, "--json").stdout)
    Draft202012Validator(array_schema(kind)).validate(document)
    lines = tracked.netinspect("conntrack", *arguments, "--format", "ndjson").stdout.splitlines()
    for line in lines:
        Draft202012Validator(schema(kind)).validate(json.loads(line))
    if record not in ("FlowRates", "ConntrackStatistic"):
        assert len(lines) == len(document)


@pytest.mark.parametrize(
    "arguments", [["conntrack", "-n"], ["conntrack", "-n", "-p", "udp"], ["nat", "-n", "-p", "253"]]
)
def test_a_listing_loads_nothing_heavy(tracked: Namespace, arguments: list[str]) -> None:
    program = (
        "import sys; from netinspect.main import run; from netinspect.environment import of_process;"
        f"run({arguments!r}, of_process()); print(*sys.modules, file=sys.stderr)"
    )
    loaded = set(tracked.run(sys.executable, "-S", "-c", program, env={"PYTHONPATH": str(ROOT)}).stderr.split())
    assert "netinspect.nouns.conntrack.listing" in loaded
    assert loaded.isdisjoint(HEAVY), loaded & HEAVY


def test_the_columns_are_those_asked_for(tracked: Namespace) -> None:
    result = tracked.netinspect("conntrack", "--columns", "protocol,source_port,status", "--format", "csv")
    heading, *rows = result.stdout.splitlines()
    assert heading == "protocol,source_port,status"
    assert len(rows) == len(OF_EVERY_KIND)
    assert 'udp,5000,"[""SEEN_REPLY"",""CONFIRMED""]"' in rows


def test_a_table_shows_identifiers_of_icmp_and_sorts(tracked: Namespace) -> None:
    result = tracked.netinspect("conntrack", "-n", "--sort", "protocol,source_port")
    icmp = [line.split() for line in result.stdout.splitlines() if line.startswith("icmp ")]
    assert icmp[0][1] == "echo-request"
    assert "10.0.0.5 id 77" in result.stdout
    protocols = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    assert protocols == sorted(protocols)


def test_count_and_stats_are_conntracks(tracked: Namespace, need: Callable[[str], None]) -> None:
    need("conntrack")
    (count,) = json.loads(tracked.netinspect("conntrack", "count", "-j").stdout)
    assert count["entries"] == int(tracked.run("conntrack", "-C").stdout) == len(OF_EVERY_KIND)
    assert count["maximum"] > 0
    theirs: dict[str, int] = {}
    for line in tracked.run("conntrack", "-S").stdout.splitlines():
        for name, value in re.findall(r"([a-z_]+)=(\d+)", line):
            theirs[name] = theirs.get(name, 0) + int(value)
    statistics = json.loads(tracked.netinspect("conntrack", "stats", "-j").stdout)
    ours = {record["counter"]: record["value"] for record in statistics if record["cpu"] is None}
    assert all(
        sum(one["value"] for one in statistics if one["counter"] == name and one["cpu"] is not None) == total
        for name, total in ours.items()
    )
    for name in ("found", "invalid", "insert", "insert_failed", "drop", "early_drop", "error", "search_restart"):
        assert ours[name] == theirs[name]


def test_top_adds_up_by_what_is_asked(tracked: Namespace) -> None:
    groups = json.loads(tracked.netinspect("conntrack", "top", "--by", "protocol", "-j").stdout)
    expected: dict[str, int] = {}
    for flow in flows(tracked):
        expected[flow.protocol] = expected.get(flow.protocol, 0) + 1
    assert {group["group"]: group["flows"] for group in groups} == expected
    assert [group["flows"] for group in groups] == sorted(expected.values(), reverse=True)
    assert len(json.loads(tracked.netinspect("conntrack", "top", "--limit", "2", "-j").stdout)) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["-s", "10.0.0.1", "-d", "::1"],
        ["-4", "--source", "::1"],
        ["--source", "10.0.0"],
        ["--source", "10.0.0.0/33"],
        ["--port", "65536"],
        ["--protocol", "nosuch"],
        ["--mark", "x"],
        ["--state", "NOSUCH"],
        ["--status", "NOSUCH"],
        ["--status", "ASSURED,!ASSURED"],
        ["--zone", "-1"],
        ["--min-bytes", "many"],
        ["--limit", "3"],
        ["top", "--by", "colour"],
        ["events", "--event", "birth"],
        ["monitor", "--interval", "0"],
    ],
)
def test_bad_usage_is_one_line_and_status_2(namespace: Namespace, arguments: list[str]) -> None:
    result = namespace.netinspect("conntrack", *arguments, check=False)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_rows_of_several_namespaces_are_labelled(namespace: Namespace, tracked: Namespace) -> None:
    assert not add(namespace, [Entry("10.9.9.9", "10.0.0.2")])
    result = namespace.netinspect("conntrack", "-j", "--netns", namespace.path, "--netns", tracked.path)
    by_namespace: dict[str, int] = {}
    for flow in json.loads(result.stdout):
        by_namespace[flow["netns"]] = by_namespace.get(flow["netns"], 0) + 1
    assert by_namespace == {namespace.path: 1, tracked.path: len(OF_EVERY_KIND)}


def test_idle_namespaces_are_reported_in_one_line(namespace: Namespace) -> None:
    other = Namespace()
    result = namespace.netinspect("conntrack", "--netns", namespace.path, "--netns", other.path)
    assert result.stderr.startswith(f"netinspect: in 2 namespaces ({namespace.path}, {other.path}) nothing is tracked")
    assert result.stderr.count("\n") == 1
    other.close()


def test_a_large_table_of_mixed_shapes_comes_whole(namespace: Namespace) -> None:
    rng = random.Random(1)
    entries = [
        Entry(
            f"10.1.{number // 250}.{number % 250}",
            "10.0.1.1",
            rng.choice((6, 17, 1)),
            (1000 + number, 80),
            status=SEEN_REPLY | CONFIRMED | rng.choice((0, ASSURED)),
        )
        for number in range(2000)
    ]
    entries = [entry._replace(state=3) if entry.protocol == 6 else entry for entry in entries]
    assert not add(namespace, entries)
    expected = sorted((entry.source, entry.protocol) for entry in entries)
    assert sorted((flow.source_address, flow.protocol_number) for flow in flows(namespace)) == expected
    rows = namespace.netinspect("conntrack", "-n").stdout.splitlines()[1:]
    assert len(rows) == len(entries)


@pytest.mark.parametrize(
    ("command", "setting"), [("nat -nc", "acct"), ("conntrack -nc", "acct"), ("conntrack -ne", "timestamp")]
)
def test_columns_that_a_setting_leaves_empty_have_their_reason(
    namespace: Namespace, command: str, setting: str
) -> None:
    masquerade = Entry("10.0.0.3", "10.0.1.2", 17, (5000, 53), reply=("10.0.1.2", "203.0.113.1", 53, 6000))
    later = masquerade._replace(source="10.0.0.4", reply=("10.0.1.2", "203.0.113.1", 53, 6001))
    if namespace.run("sysctl", "-qw", f"net.netfilter.nf_conntrack_{setting}=0", check=False).returncode:
        unavailable("this user may not set connection tracking")
    assert not add(namespace, [masquerade])

    def reasons(*format: str) -> list[str]:
        shown = namespace.run(*NETINSPECT, *command.split(), *format)
        assert "10.0.0.3" in shown.stdout
        return [line for line in shown.stderr.splitlines() if f"net.netfilter.nf_conntrack_{setting}=1" in line]

    assert len(reasons()) == 1
    assert not reasons("--format", "ndjson")
    namespace.run("sysctl", "-qw", f"net.netfilter.nf_conntrack_{setting}=1")
    assert not add(namespace, [later])
    assert not reasons()
