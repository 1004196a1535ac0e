"""Policy rules: against `ip rule`, against pyroute2's decoder, and which of them decides."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_kernel import attribute, message, runs_of
from jsonschema import Draft202012Validator
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from routing_state import raw_messages
from throwaway import Namespace

from netinspect import records
from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.messages import Answer
from netinspect.engine.places import Place
from netinspect.engine.rtnetlink import Names
from netinspect.errors import MalformedError
from netinspect.nouns.routing import decode_rules as decode
from netinspect.nouns.routing.listing_matching import Flow, deciding_rule
from netinspect.nouns.routing.listing_rules import RuleListing
from netinspect.nouns.routing.render_rules import rule_text
from netinspect.records import Rule, UnknownAttribute
from netinspect.testing import LabFactory
from netinspect.uapi.rtnetlink import RTM_NEWRULE

RULES = """
rule add not from 10.0.0.0/8 fwmark 0x5/0xff sport 5-10 dport 7 ipproto tcp uidrange 0-5 iif lo oif no lookup 9 pref 500
rule add pref 600 goto 32766
rule add pref 650 goto 40000
rule add pref 700 lookup main suppress_prefixlength 0
rule add from 1.2.3.4 blackhole pref 710
rule add to 1.2.3.0/24 unreachable pref 720
rule add fwmark 0x7 prohibit pref 730
rule add tos 0x10 lookup 70000 pref 740
rule add fwmark 0/0xff lookup 7 pref 741
rule add not fwmark 0/0xffffffff lookup 7 pref 742
rule add fwmark 0x5/0 lookup 7 pref 743
rule add nop pref 744
rule add tun_id 77 lookup 7 pref 745
rule add from all to 10.0.0.0/0 lookup 7 realms 3/4 pref 746
rule add from 10.1.0.0/16 lookup 7 realms 9 pref 749
rule add uidrange 0-0 ipproto udp dport 1-65535 lookup 7 pref 747
rule add l3mdev pref 748
rule add from all lookup main suppress_ifgroup 7 pref 750 protocol static
"""
RULES_6 = "rule add from fd00::/8 to fd01::1 lookup 77 pref 800\nrule add iif lo lookup 78 pref 801\n"


@pytest.fixture(scope="module")
def zoo() -> Iterator[Namespace]:
    namespace = Namespace()
    namespace.run("ip", "-4", "-force", "-batch", "-", input=RULES, check=False)
    namespace.run("ip", "-6", "-batch", "-", input=RULES_6)
    yield namespace
    namespace.close()


def listed(namespace: Namespace, *families: str) -> list[Rule]:
    listing = RuleListing(families, (Place(namespace.path),))
    found = [one for batch in listing.batches() for one in batch]
    assert listing.problems == []
    return found


@pytest.mark.parametrize(("family", "option"), [("inet", "-4"), ("inet6", "-6")])
def test_rules_are_in_the_words_of_ip(family: str, option: str, zoo: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    theirs = [" ".join(line.split()) for line in zoo.run("ip", option, "rule").stdout.splitlines()]
    ours = [rule_text(one) for one in listed(zoo, family)]
    assert len(ours) > 4 or family == "inet6"
    # ip gives names to protocols, and has an order of its own for what it selects by.
    assert [sorted(words(line)) for line in ours] == [sorted(words(line)) for line in theirs]


def words(line: str) -> list[str]:
    line = line.replace("ipproto 6", "ipproto tcp").replace("ipproto 17", "ipproto udp").replace(" l3mdev", "")
    line = line.replace("/0x0", "/0")
    return line.replace(" proto static", "").split()


def test_json_of_ip_has_the_same_rules(zoo: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    theirs: list[dict[str, Any]] = json.loads(zoo.run("ip", "-j", "-4", "rule").stdout)
    ours = listed(zoo, "inet")
    assert [one.priority for one in ours] == [row["priority"] for row in theirs]
    assert [one.table for one in ours] == [None if "l3mdev" in row else row.get("table") for row in theirs]
    assert [one.inverted for one in ours] == ["not" in row for row in theirs]


def test_each_field_is_as_pyroute2_decodes_it(zoo: Namespace) -> None:
    class Numbers(dict[int, str]):
        def __missing__(self, number: int) -> str:
            return str(number)

    names = Names(Numbers(), Numbers(), Numbers(), Numbers())
    for family in (2, 10):
        for single in raw_messages(zoo, decode.request(family)):
            (one,) = decode.batch(Answer(single, "testing").runs, names) or ()
            theirs = fibmsg(single)
            theirs.decode()
            get = theirs.get_attr
            assert one.priority == (get("FRA_PRIORITY") or 0)
            assert one.source == (f"{get('FRA_SRC')}/{theirs['src_len']}" if get("FRA_SRC") else None)
            assert one.destination == (f"{get('FRA_DST')}/{theirs['dst_len']}" if get("FRA_DST") else None)
            assert one.table == (str(get("FRA_TABLE")) if theirs["action"] == 1 and not one.l3mdev else None)
            assert (one.input_interface, one.output_interface) == (get("FRA_IIFNAME"), get("FRA_OIFNAME"))
            assert (one.mark or 0, one.tos or 0) == (get("FRA_FWMARK") or 0, theirs["tos"])
            assert one.goto == get("FRA_GOTO")
            limit = get("FRA_SUPPRESS_PREFIXLEN")
            assert one.suppress_prefix_length == (None if limit == 0xFFFFFFFF else limit)
            assert one.protocol == str(get("FRA_PROTOCOL"))
            ports = get("FRA_SPORT_RANGE")
            assert one.source_ports == (tuple(map(int, ports.split(":"))) if ports else None)


def test_json_matches_the_schema(zoo: Namespace) -> None:
    rows = json.loads(zoo.netinspect("rules", "-j").stdout)
    Draft202012Validator(array_schema(records.Rule)).validate(rows)
    assert len(zoo.netinspect("rules").stdout.splitlines()) == len(rows) + 1
    assert zoo.netinspect("rules", "nonsense", check=False).returncode == 2


def rule(priority: int, **fields: Any) -> Rule:
    return Rule(**({"family": "inet", "priority": priority, "action": "lookup", "table": "main"} | fields))


def flow(**fields: Any) -> Flow:
    made = Flow("10.9.0.1")
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("rules", "found", "expected"),
    [
        ([rule(1, source="10.0.0.0/8"), rule(2)], flow(), 2),
        ([rule(1, source="10.0.0.0/8"), rule(2)], flow(source="10.1.1.1"), 1),
        ([rule(1, source="10.0.0.0/8", inverted=True), rule(2)], flow(source="10.1.1.1"), 2),
        ([rule(1, mark=5, mask=7), rule(2)], flow(mark=13), 1),
        ([rule(1, table="other"), rule(2)], flow(), 2),
        ([rule(1, suppress_prefix_length=16), rule(2)], flow(), 2),
        ([rule(1, suppress_prefix_length=15), rule(2)], flow(), 1),
        ([rule(1, action="goto", goto=3), rule(2), rule(3)], flow(), 3),
        ([rule(1, input_interface="lo"), rule(2)], flow(), 1),
        ([rule(1, input_interface="lo"), rule(2)], flow(input_interface="eth0"), 2),
        ([rule(1, uids=(5, 9)), rule(2)], flow(uid=9), 1),
        ([rule(1, destination_ports=(80, 80)), rule(2)], flow(destination_port=81), 2),
        ([rule(1, destination="10.9.0.0/16"), rule(2)], flow(), 1),
        ([rule(1, action="blackhole", table=None)], flow(), None),
        ([rule(1, destination_ports=(80, 80), destination_port_mask=0xFFF0), rule(2)], flow(destination_port=95), 1),
        ([rule(1, destination_ports=(80, 80), destination_port_mask=0xFFF0), rule(2)], flow(destination_port=96), 2),
        ([rule(1, dscp=8, dscp_mask=0x38), rule(2)], flow(tos=12 << 2), 1),
        ([rule(1, flow_label=5), rule(2)], flow(), 2),
        # Only a flow by an interface of a VRF comes to its table.
        ([rule(1, l3mdev=True, table=None), rule(2)], flow(), 2),
        ([rule(1, l3mdev=True, table=None), rule(2)], flow(vrf_table="other"), 2),
        ([rule(1, l3mdev=True, table=None), rule(2)], flow(vrf_table="main"), 1),
        ([rule(1, suppress_interface_group=7), rule(2)], flow(route_group=7), 2),
        ([rule(1, suppress_interface_group=7), rule(2)], flow(route_group=0), 1),
        # What it is for cannot be known: no guess where it would lead to the same table.
        ([rule(1, unknown_attributes=(UnknownAttribute(40, 4),)), rule(2)], flow(), None),
        ([rule(1, unknown_attributes=(UnknownAttribute(40, 4),), table="other"), rule(2)], flow(), 2),
    ],
)
def test_the_first_rule_for_the_flow_that_leads_to_the_table_decides(
    rules: list[Rule], found: Flow, expected: int | None
) -> None:
    decided = deciding_rule(rules, found, "main", 16)
    assert (decided.priority if decided else None) == expected


def rule_named(namespace: Namespace, *words: str) -> int:
    return int(json.loads(namespace.netinspect("routes", "get", *words, "--json").stdout)[0]["rule"]["priority"])


def test_rules_that_look_at_interfaces_decide_as_in_the_kernel(lab: LabFactory) -> None:
    namespace = Namespace(lab())
    for words in (
        "link add veth0 group 7 type veth peer name veth1",
        "link set veth0 up",
        "link set veth1 up",
        "address add 198.51.100.1/24 dev veth0",
        "-6 address add 2001:db8::1/64 dev veth0 nodad",
        "rule add pref 500 lookup main suppress_ifgroup 7",
        "-6 rule add pref 500 lookup main suppress_ifgroup 7",
        "rule add pref 600 lookup main suppress_ifgroup 8",
        "-6 rule add pref 600 lookup main suppress_ifgroup 8",
    ):
        namespace.run("ip", *words.split())
    assert rule_named(namespace, "198.51.100.2") == 600
    assert rule_named(namespace, "2001:db8::2") == 600
    if namespace.run("ip", "link", "add", "vrf0", "type", "vrf", "table", "100", check=False).returncode:
        return  # this kernel has no VRFs (CONFIG_NET_VRF); the guests of make test-kernels do
    namespace.run("ip", "link", "set", "vrf0", "up")
    namespace.run("ip", "link", "set", "veth1", "master", "vrf0")
    namespace.run("ip", "address", "add", "203.0.113.1/24", "dev", "veth1")
    namespace.run("ip", "rule", "add", "pref", "400", "l3mdev", check=False)
    (vrf,) = {one.priority for one in listed(namespace, "inet") if one.l3mdev and one.priority > 400} or {400}
    assert rule_named(namespace, "198.51.100.2") == 600
    assert rule_named(namespace, "203.0.113.2", "oif", "vrf0") in (400, vrf)
    assert rule_named(namespace, "203.0.113.2", "oif", "veth1") in (400, vrf)


def told(family: int, *pairs: tuple[int, bytes], flags: int = 0, length: int = 0) -> Rule:
    """What is made of a message about a rule for the table 100."""
    body = struct.pack("=BBBBBBBBI", family, length, 0, 0, 100, 0, 0, 1, flags)
    runs = runs_of([message(RTM_NEWRULE, body + b"".join(attribute(*pair) for pair in pairs))])
    numbers = {number: str(number) for number in range(256)}
    batch = decode.batch(runs, Names({}, numbers, numbers, numbers))
    assert batch is not None
    (made,) = batch
    assert isinstance(made, Rule)
    return made


@pytest.mark.parametrize(
    ("pairs", "flags", "text"),
    [
        ([(23, struct.pack("=HH", 1, 1)), (28, struct.pack("=H", 0xF))], 0, "0: from all sport 1/0xf lookup 100"),
        ([(24, struct.pack("=HH", 80, 80)), (29, b"\xff\xff")], 0, "0: from all dport 80 lookup 100"),
        ([(25, b"\x08"), (30, b"\x38")], 0, "0: from all dscp 8/0x38 lookup 100"),
        (
            [(26, b"\0\1\x20\x45"), (27, b"\0\x0f\xf0\xff")],
            0,
            "0: from all flowlabel 0x12045/0xff0ff lookup 100",
        ),
        ([(31, b"abcde"), (9, b"")], 0, "0: from all [attribute 31 of 5 bytes] [attribute 9 of 0 bytes] lookup 100"),
        ([(3, b"eth0\0")], 0x40008, "0: from all iif eth0 [detached] [flags 0x40000] lookup 100"),
    ],
)
def test_no_condition_of_a_rule_is_dropped(pairs: list[tuple[int, bytes]], flags: int, text: str) -> None:
    assert rule_text(told(10, *pairs, flags=flags)) == text


@pytest.mark.parametrize(
    ("pairs", "length"),
    [([(1, bytes(4))], 33), ([(1, bytes(16))], 0), ([(24, b"ab")], 0), ([(6, b"abc")], 0), ([(20, b"")], 0)],
)
def test_a_malformed_rule_is_a_malformed_error(pairs: list[tuple[int, bytes]], length: int) -> None:
    with pytest.raises(MalformedError):
        told(2, *pairs, length=length)
