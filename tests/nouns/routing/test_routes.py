"""Routes: against `ip`, against pyroute2's decoder on the same bytes, and under faults."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_kernel import attribute
from hypothesis import given
from hypothesis import strategies as st
from ip_routes import as_ip_has_it, by_ip, in_the_same_words, shared
from jsonschema import Draft202012Validator
from patience import standing_still
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from routing_state import build, raw_messages
from throwaway import Namespace

from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.messages import Answer
from netinspect.engine.places import Place
from netinspect.engine.rtnetlink import Names
from netinspect.errors import NetlinkError, UsageError
from netinspect.nouns.routing import decode as route
from netinspect.nouns.routing.decode_details import encapsulation_of
from netinspect.nouns.routing.listing import Prefix, Query, RouteListing
from netinspect.nouns.routing.names import RoutingNames
from netinspect.nouns.routing.render import details_text, encapsulation_text
from netinspect.records import Route
from netinspect.uapi.netlink import AF_INET, AF_INET6

FAMILIES = {"inet": AF_INET, "inet6": AF_INET6}


@pytest.fixture(scope="module")
def zoo() -> Iterator[Namespace]:
    """A namespace with routes of every kind."""
    namespace = Namespace()
    build(namespace)
    yield namespace
    namespace.close()


def routes(namespace: Namespace, query: Query) -> list[Route]:
    listing = RouteListing(query, (Place(namespace.path),))
    found = [record for batch in listing.batches() for record in batch]
    assert listing.problems == []
    return found


def steady(found: Route) -> Route:
    """The route without what goes down from one listing to the next."""
    return found._replace(expires=None if found.expires is None else 0.0)


@pytest.mark.parametrize(("family", "option"), [("inet", "-4"), ("inet6", "-6")])
def test_every_route_of_every_table_is_as_ip_shows_it(
    family: str, option: str, zoo: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    theirs, ours = standing_still(
        lambda: list(map(in_the_same_words, by_ip(zoo, option, "route", "show", "table", "all"))),
        lambda: list(map(as_ip_has_it, routes(zoo, Query((family,), table=None)))),
    )
    assert len(ours) > 15
    assert shared(ours, family) == shared(theirs, family)


def decoder() -> route.Decoder:
    class Numbers(dict[int, str]):
        def __missing__(self, number: int) -> str:
            return str(number)

    return route.Decoder(Names(Numbers(), Numbers(), Numbers(), Numbers()))


def decoded(message: bytes) -> Route:
    (found,) = decoder().batch(Answer(message, "testing").runs) or ()
    assert isinstance(found, Route)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_each_field_is_as_pyroute2_decodes_it(family: str, zoo: Namespace) -> None:
    messages = raw_messages(zoo, route.request(FAMILIES[family]))
    assert len(messages) > 15
    for message in messages:
        ours = decoded(message)
        theirs = rtmsg(message)
        theirs.decode()
        assert ours.type == route.ROUTE_TYPES[theirs["type"]]
        assert (ours.family, ours.protocol, ours.tos) == (family, str(theirs["proto"]), theirs["tos"])
        assert ours.scope == str(theirs["scope"])
        zeros = "::" if family == "inet6" else "0.0.0.0"
        assert ours.destination == f"{theirs.get_attr('RTA_DST') or zeros}/{theirs['dst_len']}"
        assert ours.table == str(theirs.get_attr("RTA_TABLE"))
        assert ours.interface == (str(theirs.get_attr("RTA_OIF")) if theirs.get_attr("RTA_OIF") else None)
        via = theirs.get_attr("RTA_VIA")
        assert ours.gateway == (via["addr"] if via else theirs.get_attr("RTA_GATEWAY"))
        assert ours.metric == (theirs.get_attr("RTA_PRIORITY") or 0)
        assert ours.preferred_source == theirs.get_attr("RTA_PREFSRC")
        assert ours.realms == theirs.get_attr("RTA_FLOW")
        check_metrics(ours.metrics, theirs.get_attr("RTA_METRICS"))
        check_next_hops(ours.next_hops, theirs.get_attr("RTA_MULTIPATH"))
        cache = theirs.get_attr("RTA_CACHEINFO")
        assert ours.expires == (cache["rta_expires"] / 100 if cache and cache["rta_expires"] else None)
        flags = theirs["flags"]
        assert ("onlink" in ours.flags, "dead" in ours.flags, "linkdown" in ours.flags) == tuple(
            bool(flags & bit) for bit in (4, 1, 16)
        )
        check_encapsulation(ours.encapsulation, theirs)


def check_metrics(ours: records.RouteMetrics | None, theirs: Any) -> None:
    assert (ours is None) == (theirs is None)
    if ours is None:
        return
    # This pyroute2 does not know the last one.
    names = {
        "UNKNOWN": "fastopen_no_cookie",
        "RTAX_CC_ALGO": "congctl",
        "RTAX_LOCK": "locked",
        "RTAX_FEATURES": "features",
    }
    for kind, value in theirs["attrs"]:
        name = names.get(kind, kind.removeprefix("RTAX_").lower())
        found = getattr(ours, name)
        if name == "locked":
            assert sum(1 << route_details_names().index(metric) for metric in found) == value
        elif name == "features":
            assert found == tuple(word for bit, word in ((1, "ecn"), (2, "sack")) if value & bit)
        elif kind == "UNKNOWN":
            assert found == 1
        else:
            assert found == value, name
    assert len(theirs["attrs"]) == sum(value not in (None, ()) for value in ours)


def route_details_names() -> tuple[str, ...]:
    from netinspect.nouns.routing.decode_details import _METRICS

    return _METRICS


def check_next_hops(ours: tuple[records.NextHop, ...] | None, theirs: Any) -> None:
    assert (ours is None) == (theirs is None)
    for hop, other in zip(ours or (), theirs or (), strict=True):
        via = other.get_attr("RTA_VIA")
        assert hop.gateway == (via["addr"] if via else other.get_attr("RTA_GATEWAY"))
        assert (hop.interface, hop.weight) == (str(other["oif"]), other["hops"] + 1)
        assert ("onlink" in hop.flags) == bool(other["flags"] & 4)


def check_encapsulation(ours: records.Encapsulation | None, theirs: Any) -> None:
    kind = theirs.get_attr("RTA_ENCAP_TYPE")
    assert (ours is None) == (kind is None)
    if ours is None:
        return
    from netinspect.nouns.routing.decode_details import _TYPES

    assert ours.type == _TYPES[kind]
    inside = theirs.get_attr("RTA_ENCAP")
    if ours.type == "seg6":
        header = inside.get_attr("SEG6_IPTUNNEL_SRH")
        assert (ours.mode, ours.segments) == (header["mode"], tuple(reversed(header["segs"])))
    if ours.type == "ip":
        assert ours.tunnel_id == 5
        assert (ours.source, ours.destination, ours.ttl, ours.tos) == ("1.2.3.3", "1.2.3.4", 9, 4)


def test_segment_routing_is_decoded_in_the_order_of_travel(zoo: Namespace) -> None:
    found = {one.destination: one.encapsulation for one in routes(zoo, Query(("inet6",))) if one.encapsulation}
    if "fd01::/64" in found:
        one = found["fd01::/64"]
        assert (one.type, one.mode, one.segments) == ("seg6", "encap", ("fd00::9", "fd00::8"))
    if "fd06::/64" in found:
        assert (found["fd06::/64"].action, found["fd06::/64"].segments) == ("End.B6.Encaps", ("fd00::9", "fd00::8"))
    if "fd04::/64" in found:
        assert (found["fd04::/64"].action, found["fd04::/64"].next_hop) == ("End.X", "fd00::2")


FILTERS: list[tuple[Query, Callable[[Route], bool]]] = [
    (Query(table=100), lambda one: one.table == "100"),
    (Query(table=70000), lambda one: one.table == "70000"),
    (Query(table=255), lambda one: one.table == "local"),
    (Query(table=None, protocol=2), lambda one: one.protocol == "kernel"),
    (Query(table=None, kind="blackhole"), lambda one: one.type == "blackhole"),
    (Query(kind="unicast", protocol=3), lambda one: (one.table, one.type, one.protocol) == ("main", "unicast", "boot")),
    (
        Query(table=None, interface="v1"),
        lambda one: one.interface == "v1" or any(hop.interface == "v1" for hop in one.next_hops or ()),
    ),
    (
        Query(table=None, equal={"gateway": "10.0.0.2"}),
        lambda one: one.gateway == "10.0.0.2" or any(hop.gateway == "10.0.0.2" for hop in one.next_hops or ()),
    ),
    (Query(table=None, equal={"scope": "link"}), lambda one: one.scope == "link"),
]


@pytest.mark.parametrize(("query", "selects"), FILTERS, ids=lambda value: "" if callable(value) else None)
def test_a_filter_selects_what_the_predicate_selects_of_all_routes(
    query: Query, selects: Callable[[Route], bool], zoo: Namespace
) -> None:
    everything = routes(zoo, Query(table=None))
    found = routes(zoo, query)
    assert found
    assert list(map(steady, found)) == list(map(steady, filter(selects, everything)))


def test_the_kernel_filters_by_table(zoo: Namespace) -> None:
    assert len(raw_messages(zoo, route.request(AF_INET, table=100))) == 1
    assert len(raw_messages(zoo, route.request(AF_INET, kind=6))) == 1


@pytest.mark.parametrize("mode", ["exact", "root", "match"])
@pytest.mark.parametrize(
    "prefix",
    ["10.41.0.0/25", "10.0.0.0/8", "10.41.0.1", "0.0.0.0/0", "10.9.7.7/32", "fd00::/8", "fd0d::1", "fd09::1:2", "::/0"],
)
def test_prefixes_select_as_in_ip(mode: str, prefix: str, zoo: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    ours = routes(zoo, Query(table=None, prefix=Prefix(prefix, mode)))
    option = "-6" if ":" in prefix else "-4"
    theirs = by_ip(zoo, option, "route", "show", "table", "all", mode, prefix)
    assert [as_ip_has_it(one)["dst"] for one in ours] == [row["dst"] for row in theirs]


@pytest.mark.parametrize(
    "text", ["10.41.0.0/25", "10.0.0.0/8", "10.0.0.0/7", "10.9.7.7/32", "0.0.0.0/0", "fd00::/8", "fd09::1:2", "::/0"]
)
def test_a_quick_look_leaves_out_routes_to_other_prefixes_alone(text: str, zoo: Namespace) -> None:
    """Of a large table most buffers are read no further than that."""
    messages = raw_messages(zoo, route.request(AF_INET6 if ":" in text else AF_INET))
    runs = [run for message in messages for run in Answer(message, "").runs]
    decoder = route.Decoder(
        Names(
            {n: f"if{n}" for n in range(1, 64)},
            RoutingNames("rt_tables"),
            RoutingNames("rt_protos"),
            RoutingNames("rt_scopes"),
        )
    )
    for mode in ("exact", "root", "match"):
        prefix = Prefix(text, mode)
        upper = prefix.upper_bytes()
        looked_at = [bool(not upper or route.may_lead_to(upper, run)) for run in runs]
        for run, might in zip(runs, looked_at, strict=True):
            batch = decoder.batch([run])
            assert batch is not None
            assert might or not prefix.chosen(batch).count
        assert all(looked_at) == (mode == "match" or text[-2:] == "/0" or (text, mode) == ("10.0.0.0/7", "root"))


def test_a_route_to_a_next_hop_group_shows_its_members(zoo: Namespace) -> None:
    found = {one.destination: one for one in routes(zoo, Query(("inet",)))}
    group = found["10.12.0.0/16"]
    assert group.next_hop_object is not None
    assert [(member.id, member.weight) for member in group.next_hop_object.group or ()] == [(5, 1), (7, 3)]
    assert [hop.gateway for hop in group.next_hops or ()] == ["10.0.0.2", "10.0.0.3"]
    assert found["10.12.1.0/24"].next_hop_object == records.NextHopObject(8, blackhole=True, interface="lo") or (
        found["10.12.1.0/24"].next_hop_object is not None and found["10.12.1.0/24"].next_hop_object.blackhole
    )


def test_next_hops_come_from_their_objects_if_routes_have_only_ids(zoo: Namespace) -> None:
    def compatible(on: str) -> None:
        with open("/proc/sys/net/ipv4/nexthop_compat_mode", "w") as file:
            file.write(on)

    zoo.call(lambda: compatible("0"))
    try:
        found = {one.destination: one for one in routes(zoo, Query(("inet",)))}
    finally:
        zoo.call(lambda: compatible("1"))
    assert (found["10.11.0.0/16"].gateway, found["10.11.0.0/16"].interface) == ("10.0.0.2", "v0")
    assert [(hop.gateway, hop.weight) for hop in found["10.12.0.0/16"].next_hops or ()] == [
        ("10.0.0.2", 1),
        ("10.0.0.3", 3),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["10.41.0.1"],
        ["10.9.1.1", "from", "10.0.0.1"],
        ["10.50.1.1", "from", "10.0.0.1", "mark", "5"],
        ["10.99.0.1", "oif", "v0"],
        ["fd09::1"],
        ["fd0d::1"],
    ],
    ids=" ".join,
)
def test_a_look_up_gives_the_answer_of_ip_with_its_rule_and_entry(
    words: list[str], zoo: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    zoo.run("ip", "rule", "add", "from", "10.0.0.0/8", "fwmark", "5", "lookup", "100", "pref", "500", check=False)
    (ours,) = json.loads(zoo.netinspect("routes", "get", *words, "-j").stdout)
    (theirs,) = by_ip(zoo, "route", "get", *words)
    assert ours["destination"].partition("/")[0] == theirs["dst"]
    assert ours["interface"] == theirs["dev"]
    assert ours["preferred_source"] in (theirs.get("prefsrc"), None)
    if words[0] != "fd09::1" and words[0] != "10.9.1.1":  # each request may be given another of several next hops
        assert ours["gateway"] == theirs.get("gateway")
    marked = "mark" in words
    assert ours["table"] == ("100" if marked else "main")
    assert ours["rule"]["priority"] == (500 if marked else 32766)
    matched = by_ip(zoo, "route", "get", "fibmatch", *words)[0]["dst"]
    assert ours["entry"].removesuffix("/32").removesuffix("/128").replace("0.0.0.0/0", "default") == matched


def test_a_lookup_without_a_route_names_the_reason(zoo: Namespace) -> None:
    for address, why in (("10.31.0.1", "unreachable"), ("10.32.0.1", "prohibit"), ("10.30.0.1", "blackhole")):
        result = zoo.netinspect("routes", "get", address, check=False)
        assert result.returncode == 1
        assert why in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_the_summary_counts_what_is_listed(zoo: Namespace) -> None:
    counts = json.loads(zoo.netinspect("routes", "summary", "-j").stdout)
    assert sum(row["routes"] for row in counts) == len(routes(zoo, Query(table=None)))
    assert "total" in zoo.netinspect("routes", "summary").stdout
    other = Namespace()
    rows = json.loads(zoo.netinspect("routes", "summary", "-j", "--netns", zoo.path, "--netns", other.path).stdout)
    other.close()
    assert [row for row in rows if row["netns"] == zoo.path] == [row | {"netns": zoo.path} for row in counts]
    assert {row["netns"] for row in rows} == {zoo.path, other.path}


def test_json_matches_the_schema_and_the_records(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("routes", "-t", "all", "-j").stdout)
    Draft202012Validator(array_schema(records.Route)).validate(rows)
    assert [row["destination"] for row in rows] == [one.destination for one in routes(zoo, Query(table=None))]
    lines = zoo.netinspect("routes", "-t", "all", "--format", "ndjson").stdout.splitlines()
    for one, other in zip(map(json.loads, lines), rows, strict=True):
        assert one | {"expires": None} == other | {"expires": None}
    assert len(zoo.netinspect("routes", "-t", "all", "-n").stdout.splitlines()) == len(rows) + 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["10.0.0.0/33"], "prefix"),
        (["nonsense"], "prefix"),
        (["-t", "nonsense"], "no table 'nonsense'"),
        (["--type", "nonsense"], "no type of route"),
        (["--protocol", "999"], "no protocol"),
        (["-i", "nonsense"], "no interface 'nonsense'"),
        (["get"], "takes an address"),
        (["get", "10.0.0.1", "mark"], "takes an address"),
        (["get", "10.0.0.1", "mark", "x"], "mark takes a number"),
        (["get", "10.0.0.1", "colour", "red"], "no selector"),
        (["--via", "x"], "not an address"),
        # No route could be so: an empty table would say that there is none by chance.
        (["-4", "match", "fd00::1"], "of another address family"),
        (["-6", "--via", "10.0.0.1"], "no IPv6 route has the IPv4 gateway"),
        (["10.0.0.0/8", "--source", "fd00::1"], "of another address family"),
        (["--columns", "nonsense"], "no field"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_usage_is_one_clear_line(arguments: list[str], complaint: str, zoo: Namespace) -> None:
    result = zoo.netinspect("routes", *arguments, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_table_is_reported(namespace: Namespace) -> None:
    result = namespace.netinspect("routes", "-t", "4711", "-n")
    assert "no table 4711" in result.stderr
    assert namespace.netinspect("routes", "-n").stderr == ""


@given(st.data())
def test_whatever_bytes_come_only_netlink_errors_do(data: st.DataObject) -> None:
    attributes = b"".join(
        struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)
        for kind, payload in data.draw(
            st.lists(st.tuples(st.integers(1, 31), st.binary(max_size=40)), max_size=6, unique_by=lambda pair: pair[0])
        )
    )
    family = data.draw(st.sampled_from([AF_INET, AF_INET6, 28, 99]))
    body = struct.pack("=BBBBBBBBI", family, *data.draw(st.tuples(*[st.integers(0, 255)] * 7)), 0)
    message = struct.pack("=IHHII", 16 + len(body) + len(attributes), 24, 2, 1, 0) + body + attributes
    try:
        batch = decoder().batch(Answer(message, "testing").runs)
        assert batch is not None
        list(batch)
        for field in (
            *("identity", "table_id", "destination_bits", "destination_upper"),
            *("destination_address", "destination_length"),
        ):
            list(batch.values(field))
    except NetlinkError:
        pass


def test_the_order_is_the_kernels_where_routes_of_many_shapes_alternate(zoo: Namespace) -> None:
    for family, number in FAMILIES.items():
        messages = raw_messages(zoo, route.request(number))
        expected = [decoded(message).destination for message in messages]
        assert [one.destination for one in routes(zoo, Query((family,), table=None))] == expected


def test_names_come_from_the_files_and_from_the_kernels_numbers(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rt_tables.d").mkdir()
    (tmp_path / "rt_tables").write_text("# comment\n100 mine\n0x65 hex\nbad line\n")
    (tmp_path / "rt_tables.d" / "more.conf").write_text("100 yours\n")
    (tmp_path / "rt_tables.d" / "more.off").write_text("101 off\n")
    monkeypatch.setattr("netinspect.nouns.routing.names.DIRECTORIES", (str(tmp_path),))
    names = RoutingNames("rt_tables")
    assert [names[number] for number in (254, 100, 101, 7)] == ["main", "yours", "hex", "7"]
    assert [names.number(name) for name in ("yours", "7", "main", "nobody")] == [100, 7, 254, None]


def test_a_socket_of_the_kernels_own_is_not_needed_for_addresses() -> None:
    assert Prefix("10/8").bits == int.from_bytes(socket.inet_aton("10.0.0.0"), "big")


def test_the_python_api_gives_the_same_records(zoo: Namespace) -> None:
    import netinspect

    found = list(netinspect.routes(table=100, netns=zoo.path))
    assert [one.destination for one in found] == ["10.50.0.0/16"]
    within = netinspect.routes(table=None, prefix="10.41.0.0/16", match="root", netns=zoo.path)
    assert {one.destination for one in within} == {"10.41.0.0/25", "10.41.0.1/32"}
    answer = netinspect.route_to("10.50.1.1", source="10.0.0.1", netns=zoo.path)
    assert answer.interface == "v0"
    assert {one.name for one in netinspect.links(kind="veth", netns=zoo.path)} == {"v0", "v1"}
    assert "10.0.0.1" in {one.address for one in netinspect.addresses(netns=zoo.path)}
    assert {one.family for one in netinspect.rules(families="inet", netns=zoo.path)} == {"inet"}
    assert list(netinspect.neighbours(states="permanent", netns=zoo.path)) == []
    assert {one.name for one in netinspect.neighbour_tables(netns=zoo.path)} == {"arp_cache", "ndisc_cache"}
    with pytest.raises(UsageError):
        netinspect.routes(families="ipx")


def test_the_table_of_a_vrf_behind_an_action_of_seg6_is_no_plain_table() -> None:
    raw = attribute(1, struct.pack("=I", 8)) + attribute(9, struct.pack("=I", 99)) + attribute(7, struct.pack("=I", 3))
    found = encapsulation_of(7, raw, {3: "dum0"})
    assert (found.table, found.vrf_table, found.raw) == (None, 99, None)
    assert encapsulation_text(found) == "encap seg6local action End.DT4 vrftable 99 dev dum0"


@pytest.mark.parametrize(
    ("told", "text"), [(None, ""), (True, "ttl-propagate enabled"), (False, "ttl-propagate disabled")]
)
def test_whether_the_time_to_live_goes_on_is_among_the_details(told: bool | None, text: str) -> None:
    assert details_text({"ttl_propagate": told}) == text


def test_a_trace_of_ioam6_is_shown_as_ip_shows_it() -> None:
    trace = bytes.fromhex("007b 2803 800000 00")
    head = attribute(1, b"\x02") + attribute(3, trace) + attribute(4, struct.pack("=I", 1))
    raw = head + attribute(5, struct.pack("=I", 5)) + attribute(2, bytes(15) + b"\x09")
    found = encapsulation_of(9, raw, {})
    assert found.raw is None
    text = "encap ioam6 freq 1/5 mode encap dst ::9 trace prealloc type 0x800000 ns 123 size 12"
    assert encapsulation_text(found) == text
    # Linux 5.15 has the trace where the mode is since.
    old = encapsulation_of(9, attribute(1, trace), {})
    assert encapsulation_text(old) == f"encap ioam6 data {attribute(1, trace).hex()}"
