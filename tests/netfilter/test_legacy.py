"""Tables of legacy iptables, read with getsockopt(2): from the program, and constructed."""

from __future__ import annotations

import shutil
import struct
from typing import Any

import pytest
from availability import unavailable
from throwaway import Namespace

from netinspect.engine.places import Place
from netinspect.errors import MalformedError, NetlinkError
from netinspect.netfilter import legacy
from netinspect.netfilter.evaluate import run_hook
from netinspect.netfilter.packet import Interface, Packet, Tracking
from netinspect.netfilter.ruleset import read
from netinspect.nouns.nat.decode_rules import nat_rules
from netinspect.nouns.nat.listing import Kinds
from netinspect.nouns.nat.listing_rules import rules_of
from netinspect.procfs import legacy_tables


def entry(name: bytes, info: bytes = b"", *, target_offset: int = 112, next_offset: int | None = None) -> bytes:
    """A struct ipt_entry without conditions, and its target."""
    info += bytes(-len(info) % 8)
    size = 32 + len(info)
    following = 112 + size if next_offset is None else next_offset
    return bytes(88) + struct.pack("=HH20x", target_offset, following) + struct.pack("=H29sB", size, name, 0) + info


SNAT = struct.pack("=II4s4sHH", 1, 1, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9]), 0, 0)
ERROR = b"ERROR".ljust(32, b"\0")
ACCEPT, DROP, RETURN = (struct.pack("=i4x", code) for code in (-2, -1, -5))


def decoded(entries: bytes, policy_at: int = -1) -> legacy.Table:
    reader = legacy._Reader("ip", "nat", "legacy-nat", "testing", {0: "PREROUTING"}, frozenset((policy_at,)))
    return reader.read(entries)


def test_what_rules_do_is_shown_with_their_chains() -> None:
    table = entry(b"MASQUERADE", bytes(20))
    policy_at = len(table)
    table += entry(b"", DROP) + entry(b"ERROR", b"mine".ljust(32, b"\0"))
    table += entry(b"SNAT", SNAT) + entry(b"WEIRD", b"12345678") + entry(b"", RETURN) + entry(b"ERROR", ERROR)
    found = decoded(table, policy_at)
    assert [(rule.chain, rule.handle, rule.expressions[0].text(1)) for rule in found.rules] == [
        ("PREROUTING", 1, "MASQUERADE"),
        ("mine", 1, "SNAT"),
        ("mine", 2, "WEIRD"),
    ]
    assert [(chain.name, chain.hook, chain.policy) for chain in found.chains] == [
        ("PREROUTING", "prerouting", "drop"),
        ("mine", None, None),
    ]
    masquerade, snat = nat_rules(found.chains, found.rules)
    assert (masquerade.kind, masquerade.addresses) == ("masquerade", None)
    assert (snat.kind, snat.addresses) == ("snat", (bytes([192, 0, 2, 1]), bytes([192, 0, 2, 9])))


@pytest.mark.parametrize(
    "table",
    [
        entry(b"SNAT", SNAT, target_offset=0),
        entry(b"SNAT", SNAT, target_offset=600),
        entry(b"SNAT", SNAT, next_offset=0),
        entry(b"SNAT", SNAT, next_offset=4000),
        entry(b"", struct.pack("=i4x", 77)),
    ],
)
def test_an_entry_whose_lengths_make_no_sense_is_malformed(table: bytes) -> None:
    with pytest.raises(MalformedError):
        decoded(table)


def test_a_table_that_is_replaced_while_it_is_read_is_read_again(monkeypatch: Any) -> None:
    rules = entry(b"MASQUERADE", bytes(20))
    answers: list[bytes | OSError] = []

    def ask(opened: Any, level: int, option: int, request: bytes) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    info = legacy._INFO.pack(b"nat", 1, *[0] * 5, *[9999] * 5, 1, len(rules))
    answers += [info, OSError(11, "again"), info, legacy._ENTRIES.pack(b"nat", len(rules)) + rules]
    monkeypatch.setattr(legacy, "_ask", ask)
    assert [rule.chain for rule in legacy.read("ip", "nat").rules] == ["PREROUTING"]
    answers += [OSError(1, "Operation not permitted")]
    with pytest.raises(NetlinkError, match=r"legacy iptables .* Operation not permitted"):
        legacy.read("ip", "nat")


@pytest.mark.parametrize(("program", "family"), [("iptables-legacy", "ip"), ("ip6tables-legacy", "ip6")])
def test_rules_are_those_that_the_program_made(namespace: Namespace, program: str, family: str) -> None:
    low, high, inside = ("192.0.2.1", "192.0.2.9", "127.0.0.1") if family == "ip" else ("fd00::1", "fd00::9", "::1")
    if shutil.which(program) is None:
        unavailable(f"{program} is not installed")
    if namespace.run(program, "-t", "nat", "-N", "mine", check=False).returncode:
        unavailable("this kernel has no legacy iptables (CONFIG_IP_NF_IPTABLES_LEGACY)")
    for words in (
        "-A POSTROUTING -o eth9 -p tcp -j MASQUERADE",
        f"-A mine -j SNAT --to-source {low}-{high}",
        "-A POSTROUTING -j mine",
        "-A OUTPUT -p tcp -j REDIRECT --to-ports 8080",
    ):
        namespace.run(program, "-t", "nat", *words.split())
    assert f"{family} nat" in namespace.call(legacy_tables)
    place = Place(namespace.path)
    rules = rules_of(place)
    found = {(rule.rule.chain, rule.kind) for rule in rules}
    assert found == {("OUTPUT", "redirect"), ("POSTROUTING", "masquerade"), ("mine", "snat")}
    kinds = Kinds(Place(namespace.path))
    assert (kinds.source(inside), kinds.source("198.51.100.1")) == ("masquerade", "snat")


def legacy_rules(namespace: Namespace, *rules: str) -> None:
    if shutil.which("iptables-legacy") is None:
        unavailable("iptables-legacy is not installed")
    if namespace.run("iptables-legacy", "-L", check=False).returncode:
        unavailable("this kernel has no legacy iptables (CONFIG_IP_NF_IPTABLES_LEGACY)")
    for words in rules:
        namespace.run("iptables-legacy", *words.split())


def packet() -> Packet:
    return Packet(
        protocol=6,
        source="10.0.0.2",
        destination="198.51.100.1",
        source_port=40000,
        destination_port=443,
        incoming=Interface(2, "g0"),
        outgoing=Interface(3, "g1"),
        tracking=Tracking(state="new"),
    )


@pytest.mark.parametrize(
    ("rules", "verdict", "applied"),
    [
        ("-A FORWARD -i g0 -p tcp -j DROP", "drop", ["FORWARD 1"]),
        ("-A FORWARD ! -i g0 -p tcp -j DROP", "accept", []),
        ("-A FORWARD -i g+ -o g1 -s 10.0.0.0/23 ! -d 10.0.0.0/8 -p tcp --dport 400:500 -j DROP", "drop", ["FORWARD 1"]),
        ("-A FORWARD -p udp -j DROP; -A FORWARD -m conntrack --ctstate NEW -j DROP", "drop", ["FORWARD 2"]),
        ("-N a; -A FORWARD -j a; -A a -p tcp; -A a -j RETURN; -P FORWARD DROP", "drop", ["FORWARD 1", "a 1", "a 2"]),
        ("-N a; -A FORWARD -g a; -A FORWARD -j DROP; -A a -p udp -j DROP", "accept", ["FORWARD 1"]),
        ("-A FORWARD -p tcp -j REJECT --reject-with tcp-reset", "drop", ["FORWARD 1"]),
        ("-A FORWARD -s 10.0.0.2 -j ACCEPT; -P FORWARD DROP", "accept", ["FORWARD 1"]),
    ],
)
def test_rules_of_legacy_iptables_are_evaluated(
    namespace: Namespace, rules: str, verdict: str, applied: list[str]
) -> None:
    legacy_rules(namespace, *rules.split("; "))
    ruleset = read(Place(namespace.path))
    assert ruleset.unknown == ()
    (outcome,) = run_hook(ruleset, "ip", "forward", packet()).outcomes
    assert outcome.verdict.name == verdict
    steps = [f"{step.chain.name} {step.handle}" for step in outcome.steps if step.rule is not None]
    assert steps == applied
    assert {step.chain.table for step in outcome.steps} <= {"legacy-filter"}


def test_a_table_of_nft_with_that_name_is_told_from_it(namespace: Namespace) -> None:
    legacy_rules(namespace, "-A FORWARD -j DROP")
    namespace.run("nft", "add table ip legacy-filter")
    ruleset = read(Place(namespace.path))
    assert ruleset.legacy == {("ip", "legacy-filter-2"): "filter"}
    forward = ruleset.chains["ip", "legacy-filter-2", "FORWARD"]
    assert ruleset.iptables(forward) == ("iptables-legacy", "filter")
    assert forward.policy == "accept"
