"""Rules in nft's words, against nft(8) itself."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from throwaway import Namespace

from netinspect.engine.places import Place
from netinspect.netfilter.ruleset import read

Need = Callable[[str], None]

RULES = """\
ip saddr 10.0.0.1 accept
ip saddr 10.0.0.0/8 ip daddr != 192.168.0.0/12 drop
ip saddr 10.1.2.0/24 counter
ip daddr 10.0.0.1-10.0.0.9 return
ip saddr { 10.0.0.0/24, 10.1.0.1, 10.2.0.1-10.2.0.7 } accept
tcp dport 22 accept
tcp dport != { 22, 80, 1000-2000 } drop
udp sport 1024-65535 accept
th dport 53 accept
tcp flags syn accept
tcp flags syn / syn,ack drop
tcp flags ! ack drop
tcp option maxseg size 1400
tcp option maxseg size set 1300
tcp option maxseg size set rt mtu
ct state established,related accept
ct state invalid drop
ct state new tcp dport 22 ct mark set 0x00000001
ct status dnat accept
ct original ip saddr 10.0.0.0/8
ct mark 0x00000001 meta mark set ct mark
ct direction reply accept
meta mark 0x00000001 accept
meta mark & 0x000000ff == 0x00000010 accept
meta mark set meta mark | 0x00000004
meta mark set meta mark & 0x000000ff | 0x00000100
meta l4proto { tcp, udp } accept
meta l4proto gre accept
iifname "lo" accept
iifname "eth*" oifname != "wan" drop
iif "lo" accept
iifgroup 5 drop
meta skuid 1000 accept
meta pkttype broadcast drop
icmp type echo-request limit rate 5/second accept
icmpv6 type { nd-neighbor-solicit, nd-router-advert } accept
ip6 saddr fd00::/8 accept
ip6 daddr fd00::1 tcp dport 443 drop
ip dscp ef accept
ip ttl < 5 drop
ip protocol gre accept
tcp dport vmap { 22 : accept, 80 : jump other }
ip saddr . tcp dport { 10.0.0.1 . 22, 10.0.0.2 . 80 } accept
ip saddr . tcp dport vmap { 10.0.0.1 . 22 : drop }
ip saddr @addresses drop
ip saddr . tcp dport @services accept
meta mark set ip saddr map { 10.0.0.1 : 0x00000001, 10.0.0.2 : 0x00000002 }
meta mark set jhash ip saddr mod 4 seed 0x1
numgen inc mod 2 vmap { 0 : accept, 1 : drop }
fib daddr type local accept
fib saddr . iif oif missing drop
update @seen { ip saddr timeout 1m }
counter name "hits" accept
quota over 1000 bytes drop
ct count over 10 drop
log prefix "in: " level info
log group 3
jump other
goto other
reject with tcp reset
reject with icmpx admin-prohibited
ip saddr 10.0.0.1 comment "from the office"
limit rate over 10 mbytes/second drop
ether saddr 02:00:00:00:00:01 accept
"""
"""Rules as nft(8) lists them."""
TRANSLATIONS = """\
oifname "wan" masquerade
masquerade fully-random
meta l4proto tcp masquerade to :1024-2048
snat ip to 192.0.2.1
snat ip to 192.0.2.1-192.0.2.9 random,persistent
"""
DESTINATIONS = """\
tcp dport 80 dnat ip to 10.0.0.1:8080
dnat ip to 10.0.0.1
dnat ip6 to fd00::1
tcp dport 443 dnat ip6 to [fd00::1]:8443
tcp dport 80 redirect to :8080
redirect
"""


def listed(namespace: Namespace) -> dict[tuple[str, str, str, int], str]:
    """What nft(8) lists, by family, table, chain and handle."""
    found = {}
    where: list[str] = []
    chain = ""
    for line in namespace.run("nft", "-a", "list", "ruleset").stdout.splitlines():
        if match := re.match(r"table (\w+) (\w+)", line):
            where = [match[1], match[2]]
        elif match := re.match(r"\tchain (\S+)", line):
            chain = match[1]
        elif (match := re.match(r"\t\t(.*) # handle (\d+)", line)) and chain:
            found[where[0], where[1], chain, int(match[2])] = match[1]
    return found


def test_rules_are_written_as_nft_lists_them(namespace: Namespace, need: Need) -> None:
    need("nft")
    lines = [
        "add table inet t; add chain inet t other; add counter inet t hits",
        "add set inet t addresses { type ipv4_addr; flags interval; }",
        "add set inet t services { type ipv4_addr . inet_service; }",
        "add set inet t seen { type ipv4_addr; size 100; flags dynamic,timeout; }",
    ]
    for hook, rules in (("forward", RULES), ("postrouting", TRANSLATIONS), ("prerouting", DESTINATIONS)):
        kind = "filter" if hook == "forward" else "nat"
        lines.append(f"add chain inet t {hook} {{ type {kind} hook {hook} priority 0; }}")
        lines += [f"add rule inet t {hook} {rule}" for rule in rules.splitlines()]
    namespace.run("nft", "-f", "-", input="\n".join(lines))
    theirs = listed(namespace)
    with Place(namespace.path) as place:
        ruleset = read(place)
        ours = {(*key, rule.handle): ruleset.text(rule) for key, rules in ruleset.rules.items() for rule in rules}
    assert len(ours) == len((RULES + TRANSLATIONS + DESTINATIONS).splitlines())
    different = {key: (ours[key], theirs[key]) for key in ours if _sorted(ours[key]) != _sorted(theirs[key])}
    assert not different, "\n".join([f"{ours}\n{theirs}" for ours, theirs in different.values()])


def _sorted(text: str) -> str:
    """Concatenations come in the order of a hash."""
    if " . " not in text:
        return text
    return re.sub(r"\{ (.*?) \}", lambda match: "{ " + ", ".join(sorted(match[1].split(", "))) + " }", text)


def test_hostile_names_stay_in_their_line(namespace: Namespace, need: Need) -> None:
    need("nft")
    namespace.run(
        "nft",
        'add table ip t; add chain ip t c; add rule ip t c iifname "a;\x1b[31m\\"b" accept comment "x\x1b[2J\u202ey"',
        check=False,
    )
    namespace.run("nft", 'add table ip u; add chain ip u c; add rule ip u c log prefix "\x1b]0;x\x07 drop"')
    with Place(namespace.path) as place:
        ruleset = read(place)
        texts = [ruleset.text(rule) for rules in ruleset.rules.values() for rule in rules]
    assert texts
    assert all(text.isprintable() for text in texts)


@pytest.mark.parametrize("count", [5000])
def test_elements_of_a_large_set_are_asked_for_singly(namespace: Namespace, need: Need, count: int) -> None:
    need("nft")
    addresses = [f"10.{number >> 8}.{number & 255}.0-10.{number >> 8}.{number & 255}.99" for number in range(count)]
    namespace.run("nft", "add table ip t; add set ip t large { type ipv4_addr; flags interval; }")
    for first in range(0, count, 1000):  # what an ordinary user's socket takes at once
        elements = ", ".join(addresses[first : first + 1000])
        namespace.run("nft", "-f", "-", input=f"add element ip t large {{ {elements} }}")
    with Place(namespace.path) as place:
        ruleset = read(place)
        found = ruleset.sets["ip", "t", "large"]
        assert ruleset.elements(found) is None
        assert ruleset.find(found, bytes((10, 3, 7, 50))) is not None
        assert ruleset.find(found, bytes((10, 3, 7, 100))) is None
        assert ruleset.find(found, bytes((11, 3, 7, 50))) is None
