"""Chains and rules of nftables, read over netlink: against nft(8), pyroute2's decoder, and what they mean."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from throwaway import Namespace

from netinspect.engine.netlink.messages import Answer, Run, attribute, message
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.engine.places import Place
from netinspect.errors import NetlinkError
from netinspect.netfilter import decode as nftables
from netinspect.netfilter.programs import compiled
from netinspect.netfilter.ruleset import read as ruleset_of
from netinspect.nouns.conntrack import decode_statistics as conntrack_statistics
from netinspect.nouns.nat.decode_rules import NatRule, nat_rules
from netinspect.uapi.netlink import NETLINK_NETFILTER
from netinspect.uapi.nf_tables import NFT_MSG_GETRULE

Need = Callable[[str], None]


def ask(namespace: Namespace, request: bytes) -> list[Run]:
    return list(Dump(namespace.call(lambda: connect(NETLINK_NETFILTER)), request, "testing"))


def read(namespace: Namespace) -> tuple[list[nftables.Chain], list[nftables.Rule]]:
    with Place(namespace.path) as place:
        ruleset = ruleset_of(place)
    return list(ruleset.chains.values()), list(ruleset.every_rule())


def tracks(namespace: Namespace) -> bool:
    with Place(namespace.path) as place:
        return ruleset_of(place).needs_tracking


def rules_of(namespace: Namespace, *lines: str, family: str = "ip") -> list[NatRule]:
    """What is understood of these rules, in postrouting."""
    commands = [
        f"add table {family} n",
        f"add chain {family} n p {{ type nat hook postrouting priority srcnat; }}",
        *(f"add rule {family} n p {line}" for line in lines),
    ]
    namespace.run("nft", "; ".join(commands))
    return list(nat_rules(*read(namespace)))


def test_chains_and_rules_are_those_that_nft_lists(namespace: Namespace, need: Need) -> None:
    need("nft")
    namespace.run(
        "nft",
        "add table inet a; add chain inet a in { type filter hook input priority 7; policy drop; };"
        "add chain inet a other; add rule inet a in tcp dport 22 counter jump other; add rule inet a other accept;"
        "add table ip b; add chain ip b pre { type nat hook prerouting priority dstnat; };"
        "add rule ip b pre tcp dport 80 dnat to 10.0.0.1:8080; add table ip6 c; add chain ip6 c x",
    )
    chains, rules = read(namespace)
    listed = json.loads(namespace.run("nft", "-j", "list", "ruleset").stdout)["nftables"]
    theirs = [
        (c["family"], c["table"], c["name"], c.get("type"), c.get("hook"), c.get("prio", 0), c.get("policy"))
        for c in (item["chain"] for item in listed if "chain" in item)
    ]
    ours = [(c.family, c.table, c.name, c.kind, c.hook, c.priority, c.policy) for c in chains]
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    handles = [(r["family"], r["table"], r["chain"], r["handle"]) for r in (i["rule"] for i in listed if "rule" in i)]
    assert [(rule.family, rule.table, rule.chain, rule.handle) for rule in rules] == handles


def test_pyroute2_reads_the_same_expressions(namespace: Namespace, need: Need) -> None:
    from pyroute2.netlink.nfnetlink.nftsocket import nft_rule_msg

    need("nft")
    rules_of(namespace, "oifname wan ip saddr 10.0.0.0/8 counter masquerade", "meta l4proto tcp snat to 192.0.2.1:1-2")
    checked = 0
    for run in ask(namespace, nftables.dump_request(NFT_MSG_GETRULE)):
        for at in range(0, len(run.data), run.length):
            data = run.data[at : at + run.length]
            (ours,) = nftables.rules([data])
            oracle = nft_rule_msg(data)
            oracle.decode()
            assert ours.table == oracle.get_attr("NFTA_RULE_TABLE")
            assert ours.chain == oracle.get_attr("NFTA_RULE_CHAIN")
            assert ours.handle == oracle.get_attr("NFTA_RULE_HANDLE")
            names = [item.get_attr("NFTA_EXPR_NAME") for item in oracle.get_attr("NFTA_RULE_EXPRESSIONS")]
            assert [expression.name for expression in ours.expressions] == names
            checked += 1
    assert checked == 2


def test_statistics_are_what_pyroute2_reads(namespace: Namespace) -> None:
    from pyroute2.netlink.nfnetlink.nfctsocket import nfct_stats_cpu

    runs = ask(namespace, conntrack_statistics.counters_request())
    ours = list(conntrack_statistics.counters(runs))
    assert [cpu for cpu, _ in ours] == list(range(len(ours)))
    singles = [run.data[at : at + run.length] for run in runs for at in range(0, len(run.data), run.length)]
    for (_, values), data in zip(ours, singles, strict=True):
        oracle = nfct_stats_cpu(data)
        oracle.decode()
        for name, value in values.items():
            assert value == oracle.get_attr(f"CTA_STATS_{name.upper()}")
    entries, maximum = conntrack_statistics.size(ask(namespace, conntrack_statistics.size_request()))
    assert entries == 0
    assert maximum is None or maximum > 0


@pytest.mark.parametrize(
    ("line", "kind", "addresses", "ports"),
    [
        ("masquerade", "masquerade", None, None),
        ("meta l4proto tcp masquerade to :1024-2000", "masquerade", None, (1024, 2000)),
        ("snat to 192.0.2.1", "snat", ("c0000201", "c0000201"), None),
        ("snat to 192.0.2.1-192.0.2.9", "snat", ("c0000201", "c0000209"), None),
        ("meta l4proto udp snat to 192.0.2.1:5000-5009", "snat", ("c0000201", "c0000201"), (5000, 5009)),
        ("meta l4proto udp snat to 192.0.2.1:53", "snat", ("c0000201", "c0000201"), (53, 53)),
    ],
)
def test_what_a_rule_translates_to(
    namespace: Namespace, need: Need, line: str, kind: str, addresses: tuple[str, str] | None, ports: Any
) -> None:
    need("nft")
    (rule,) = rules_of(namespace, line)
    assert (rule.kind, rule.hooks, rule.ports) == (kind, {"postrouting"}, ports)
    assert (None if rule.addresses is None else tuple(part.hex() for part in rule.addresses)) == addresses


@pytest.mark.parametrize(
    ("line", "expected", "uncertain"),
    [
        ("oifname wan", [("out", b"wan".ljust(16, b"\0"), True)], False),
        ("oifname != wan", [("out", b"wan".ljust(16, b"\0"), False)], False),
        ('oifname "ppp*"', [("out", b"ppp", True)], False),
        ("oif lo", [("out_index", struct.pack("=I", 1), True)], False),
        ("ip saddr 10.1.2.3", [("source", b"\x0a\1\2\3", True)], False),
        ("ip saddr 10.0.0.0/8", [("source", b"\x0a", True)], False),
        ("ip daddr != 10.0.0.0/12", [("destination", b"\x0a\0\0\0", False)], False),
        ("tcp dport 80", [("protocol", b"\6", True), ("destination_port", b"\0\x50", True)], False),
        ("ip saddr { 10.0.0.1, 10.0.0.9 }", [], True),
        ("meta mark 7", [], True),
        ("ct state new", [], True),
    ],
)
def test_which_packets_a_rule_is_for(
    namespace: Namespace, need: Need, line: str, expected: list[tuple[str, bytes, bool]], uncertain: bool
) -> None:
    need("nft")
    (rule,) = rules_of(namespace, f"{line} masquerade")
    assert [(match.what, match.value, match.equal) for match in rule.matches] == expected
    assert rule.uncertain == uncertain


def test_rules_behind_a_jump_have_the_hook_of_its_origin(namespace: Namespace, need: Need) -> None:
    need("nft")
    namespace.run(
        "nft",
        "add table inet n; add chain inet n post { type nat hook postrouting priority srcnat; };"
        "add chain inet n one; add chain inet n two; add chain inet n lonely;"
        "add rule inet n post jump one; add rule inet n one oifname wan goto two;"
        "add rule inet n two meta nfproto ipv6 masquerade; add rule inet n lonely masquerade",
    )
    found = {rule.rule.chain: rule for rule in nat_rules(*read(namespace))}
    assert found["two"].hooks == {"postrouting"}
    assert found["two"].family() == 6
    assert found["lonely"].hooks == frozenset()


def test_tracking_is_needed_by_what_uses_it(namespace: Namespace, need: Need) -> None:
    need("nft")
    assert not tracks(namespace)
    namespace.run("nft", "add table ip t; add chain ip t c; add rule ip t c tcp dport 1 counter accept")
    assert not tracks(namespace)
    namespace.run("nft", "add rule ip t c ct mark 1")
    assert tracks(namespace)


@pytest.mark.parametrize(
    ("arguments", "kind", "ports"),
    [
        (["-j", "MASQUERADE"], "masquerade", None),
        (["-p", "tcp", "-j", "MASQUERADE", "--to-ports", "1000-2000"], "masquerade", (1000, 2000)),
        (["-p", "tcp", "-j", "SNAT", "--to-source", "192.0.2.1:7-9"], "snat", (7, 9)),
    ],
)
def test_rules_of_iptables_nft(namespace: Namespace, need: Need, arguments: list[str], kind: str, ports: Any) -> None:
    need("iptables-nft")
    namespace.run("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.0/8", "-o", "wan+", *arguments)
    (rule,) = nat_rules(*read(namespace))
    assert (rule.kind, rule.ports, rule.hooks) == (kind, ports, {"postrouting"})
    found = {match.what: match for match in rule.matches}
    assert found["out"].value == b"wan"
    assert found["source"].value[:1] == b"\x0a"
    if kind == "snat":
        assert rule.addresses == (b"\xc0\0\2\1", b"\xc0\0\2\1")


def test_malformed_rules_are_one_clear_error() -> None:
    body = b"\2\0\0\0"
    for content in (struct.pack("=HH", 40, 1), attribute(4, struct.pack("=HHHH", 8, 1, 40, 1))):
        (run,) = Answer(message(0xA06, 0, body + content), "testing").runs
        with pytest.raises(NetlinkError, match="malformed"):
            [rule.expressions for rule in nftables.rules(nftables.in_order([run]))]


def test_a_shift_by_more_than_a_word_is_malformed() -> None:
    """The kernel takes none (nft_bitwise_init_shift)."""
    numbers = {1: 8, 2: 8, 3: 4, 6: 1}  # registers, length, NFT_BITWISE_LSHIFT
    data = b"".join(attribute(kind, struct.pack(">I", number)) for kind, number in numbers.items())
    for bits in (31, 32):
        shift = data + attribute(7, attribute(1, struct.pack("=I", bits)))
        expression = attribute(1, b"bitwise\0") + attribute(2, shift)
        if bits < 32:
            assert compiled(expression)
            continue
        with pytest.raises(NetlinkError, match="malformed"):
            compiled(expression)
