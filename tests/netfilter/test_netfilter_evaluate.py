"""Walks that are not certain, and what rules ask for beside a verdict, of packets that are made here."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from availability import unavailable
from throwaway import Namespace

from netinspect.engine.places import Place
from netinspect.netfilter.context import Context
from netinspect.netfilter.evaluate import Walk, run_hook
from netinspect.netfilter.packet import UNKNOWN, Interface, Packet, Tracking, Unknown
from netinspect.netfilter.ruleset import read

Need = Callable[[str], None]
Load = Callable[..., Callable[..., Walk]]

LAN, WAN = Interface(2, "lan", 1, 0, "veth", None), Interface(3, "wan", 1, 7, "veth", None)
SYN = Packet(
    "10.0.0.5",
    "192.0.2.9",
    6,
    40000,
    443,
    tcp_flags=2,
    tcp_options=bytes((2, 4, 5, 180)),
    length=44,
    ttl=64,
    tos=0,
    incoming=LAN,
    outgoing=WAN,
    uid=None,
    type=0,
)


@pytest.fixture
def load(namespace: Namespace, need: Need) -> Load:
    """Loads rules into a chain of table ``ip t``; returns what walks a packet through that hook."""
    need("nft")

    def make(*rules: str, hook: str = "forward", kind: str = "filter", before: str = "") -> Callable[..., Walk]:
        lines = ["add table ip t", before, f"add chain ip t c {{ type {kind} hook {hook} priority 0; }}"]
        namespace.run("nft", "-f", "-", input="\n".join([*lines, *(f"add rule ip t c {rule}" for rule in rules)]))

        def walk(packet: Packet, context: Context | None = None) -> Walk:
            with Place(namespace.path) as place:
                return run_hook(read(place), "ip", hook, packet, context)

        return walk

    return make


def verdicts(walk: Walk) -> list[tuple[str, str]]:
    return [(outcome.verdict.name, outcome.certainty) for outcome in walk.outcomes]


def test_a_limit_goes_both_ways(load: Load) -> None:
    walk = load("tcp dport 443 limit rate 5/second accept", "drop")(SYN)
    assert verdicts(walk) == [("accept", "may"), ("drop", "may")]
    assert "limit" in walk.outcome.doubts[0].reason


def test_what_does_not_matter_is_no_doubt(load: Load) -> None:
    walk = load("limit rate 5/second counter", "meta skuid 0 counter", "accept")(SYN.replace(uid=UNKNOWN))
    assert verdicts(walk) == [("accept", "yes")]
    assert [step.doubt is not None for step in walk.outcome.steps] == [True, True, False]


def test_the_same_question_has_one_answer(load: Load) -> None:
    walk = load("meta skuid 0 meta mark set 1", "meta skuid 0 drop", "accept")(SYN.replace(uid=UNKNOWN))
    assert {(outcome.verdict.name, outcome.packet.mark) for outcome in walk.outcomes} == {("drop", 1), ("accept", 0)}
    assert {outcome.certainty for outcome in walk.outcomes} == {"unknown"}


def test_an_unknown_address_may_be_in_a_set_and_out_of_it(load: Load) -> None:
    walk = load("ip saddr { 10.0.0.0/8, 192.168.0.1 } accept", "drop")
    assert verdicts(walk(SYN.replace(source=UNKNOWN))) == [("accept", "unknown"), ("drop", "unknown")]
    assert verdicts(walk(SYN)) == [("accept", "yes")]


def test_a_field_of_a_value_that_is_partly_known_is_certain(load: Load) -> None:
    walk = load("ip dscp ef accept", "tcp flags & (syn|ack) == syn drop", "accept")
    assert verdicts(walk(SYN.replace(tos=0, identification=UNKNOWN))) == [("drop", "yes")]


def test_balancing_is_every_way_with_its_translation(load: Load) -> None:
    walk = load("dnat to numgen random mod 2 map { 0 : 10.1.0.1, 1 : 10.1.0.2 }", hook="prerouting", kind="nat")(
        SYN.replace(tracking=Tracking("new", status=0), outgoing=None)
    )
    found = [outcome.translation for outcome in walk.outcomes]
    assert [(one.kind, one.addresses) for one in found if one] == [
        ("dnat", ("10.1.0.1", "10.1.0.1")),
        ("dnat", ("10.1.0.2", "10.1.0.2")),
    ]
    assert {outcome.certainty for outcome in walk.outcomes} == {"may"}


def test_only_the_first_packet_of_a_flow_meets_chains_that_translate(load: Load) -> None:
    walk = load("meta l4proto tcp masquerade to :1000-2000", hook="postrouting", kind="nat")
    action = walk(SYN.replace(tracking=Tracking("new", status=0))).outcome.translation
    assert action is not None
    assert (action.kind, action.ports) == ("masquerade", (1000, 2000))
    for tracking in (None, Tracking("established"), Tracking("untracked"), Tracking("new", status=1 << 7)):
        assert walk(SYN.replace(tracking=tracking)).outcome.steps == ()
    assert len(walk(SYN.replace(tracking=UNKNOWN)).outcomes) == 2


def test_what_becomes_of_the_packet(load: Load) -> None:
    walk = load(
        "meta mark set 0x10",
        "ct mark set meta mark",
        "tcp option maxseg size set 1300",
        "ip ttl set 9",
        "meta mark 0x10 reject with tcp reset",
    )(SYN.replace(tracking=Tracking("new", status=0, mark=0)))
    outcome = walk.outcome
    assert walk.certain
    assert outcome.verdict.name == "drop"
    assert (outcome.packet.mark, outcome.packet.ttl) == (16, 9)
    assert isinstance(outcome.packet.tracking, Tracking)
    assert outcome.packet.tracking.mark == 16
    assert outcome.packet.tcp_options == bytes((2, 4, 5, 20))
    clamp, reject = outcome.action("clamp"), outcome.action("reject")
    assert clamp is not None
    assert reject is not None
    assert (clamp.number, reject.text) == (1300, "reject with tcp reset")


def test_routes_are_asked_of_the_context(load: Load) -> None:
    class Local(Context):
        def address_type(self, address: str, device: Interface | None) -> int | Unknown:
            return 2 if address == "192.0.2.9" else 1

    walk = load("fib daddr type local accept", "drop")
    assert verdicts(walk(SYN, Local())) == [("accept", "yes")]
    assert verdicts(walk(SYN)) == [("accept", "unknown"), ("drop", "unknown")]


def test_an_unknown_extension_is_named(load: Load, namespace: Namespace, need: Need) -> None:
    need("iptables-nft")
    walk = load("accept")
    result = namespace.run(
        "iptables-nft", "-A", "FORWARD", "-m", "string", "--string", "x", "--algo", "bm", "-j", "DROP", check=False
    )
    if result.returncode:
        unavailable("the kernel has no match `string`")
    found = walk(SYN)
    assert sorted(verdicts(found)) == [("accept", "unknown"), ("drop", "unknown")]
    assert any("string" in doubt.reason for doubt in found.outcome.doubts)


@pytest.mark.parametrize(
    ("target", "marks"),
    [
        ("CONNMARK --restore-mark", (7, 7)),
        ("CONNMARK --save-mark", (1, 1)),
        ("CONNMARK --restore-mark --nfmask 0xf0 --ctmask 0xf", (6, 7)),
        ("CONNMARK --save-mark --nfmask 0xff --ctmask 0x3", (1, 5)),
        ("CONNMARK --set-xmark 0x10/0x1", (1, 22)),
        ("MARK --set-xmark 0x30/0x1", (48, 7)),
    ],
)
def test_marks_of_iptables(namespace: Namespace, need: Need, target: str, marks: tuple[int, int]) -> None:
    need("iptables-nft")
    namespace.run("iptables-nft", "-t", "mangle", "-A", "FORWARD", "-j", *target.split())
    with Place(namespace.path) as place:
        walk = run_hook(read(place), "ip", "forward", SYN.replace(mark=1, tracking=Tracking("new", status=0, mark=7)))
    after = walk.outcome.packet
    assert isinstance(after.tracking, Tracking)
    assert (after.mark, after.tracking.mark) == marks
    assert walk.certain


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("-m time --timestart 10:00 --timestop 11:00", "drop"),
        ("-m time --timestart 11:00 --timestop 12:00", "accept"),
        ("-m time --timestart 23:00 --timestop 11:00", "drop"),
        ("-m time --timestart 23:00 --timestop 11:00 --contiguous --weekdays Fri", "drop"),
        ("-m time --weekdays Sat", "drop"),
        ("-m time --weekdays Fri", "accept"),
        ("-m time --monthdays 28", "drop"),
        ("-m time --monthdays 27", "accept"),
        ("-m time --datestop 2026-11-28T10:00:00", "accept"),
        ("-m helper --helper ftp", "accept"),
        ("-m connlabel --label 1", "accept"),
        ("-m physdev --physdev-is-bridged", "accept"),
    ],
)
def test_matches_of_iptables(namespace: Namespace, need: Need, words: str, verdict: str) -> None:
    need("iptables-nft")

    class At(Context):
        def now(self) -> float:
            return 1795861800.0  # Saturday, 28 November 2026, 10:30 UTC

    if namespace.run("iptables-nft", "-A", "FORWARD", *words.split(), "-j", "DROP", check=False).returncode:
        unavailable(f"no match for {words}")
    packet = SYN.replace(tracking=Tracking("new", status=0, mark=0, labels=0), physical_incoming=None)
    with Place(namespace.path) as place:
        walk = run_hook(read(place), "ip", "forward", packet, At())
    assert verdicts(walk) == [(verdict, "yes")]


@pytest.mark.parametrize(
    ("target", "zone"), [("--zone 4", (4, 0)), ("--zone-orig 4", (4, 1)), ("--zone-reply mark", (9, 2))]
)
def test_zones_of_iptables(namespace: Namespace, need: Need, target: str, zone: tuple[int, int]) -> None:
    need("iptables-nft")
    namespace.run("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-j", "CT", *target.split())
    with Place(namespace.path) as place:
        action = run_hook(read(place), "ip", "prerouting", SYN.replace(mark=9, outgoing=None)).outcome.action("zone")
    assert action is not None
    assert (action.number, action.flags) == zone


def test_a_mark_by_hash_is_every_mark_that_it_may_be(namespace: Namespace, need: Need) -> None:
    need("iptables-nft")
    words = "HMARK --hmark-tuple src,dst --hmark-mod 3 --hmark-offset 10 --hmark-rnd 1"
    if namespace.run("iptables-nft", "-t", "mangle", "-A", "FORWARD", "-j", *words.split(), check=False).returncode:
        unavailable("the kernel has no target HMARK")
    with Place(namespace.path) as place:
        walk = run_hook(read(place), "ip", "forward", SYN)
    assert {outcome.packet.mark for outcome in walk.outcomes} == {10, 11, 12}
