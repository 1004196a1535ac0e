"""Walks through random rulesets against the kernel's own trace of packets that are sent for real."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

from traced_router import Router

from netinspect.errors import NetlinkError
from netinspect.netfilter.decode import Rule
from netinspect.netfilter.evaluate import run_hook
from netinspect.netfilter.packet import Packet
from netinspect.testing import LabFactory

Need = Callable[[str], None]

PAIRS = int(os.environ.get("NETINSPECT_TRACED_PAIRS", "150"))
SEED = int(os.environ.get("NETINSPECT_TRACED_SEED", "1"))
_PACKETS = 25
"""Packets that each ruleset is tried with."""


def traced(router: Router, pairs: int, load: Callable[[], list[str]]) -> None:
    """Compares this many packets, a few for each ruleset."""
    wrong = []
    try:
        for _ in range(max(pairs // _PACKETS, 1)):
            families = load()
            ways = ["forward", "forward", "forward", "input", "output", "arp", "bridge"]
            ways += ["bridge"] * 2 if "bridge" in families else []
            for _ in range(_PACKETS):
                difference = router.pair(ways)
                if difference is not None:
                    wrong.append(difference)
    finally:
        router.close()
    print(f"{sum(router.pairs.values())} pairs {dict(router.pairs)}, {router.uncertain} of them with open decisions")
    print(f"steps: {dict(router.seen)}")
    print(f"{len(router.rejected)} lines refused")
    assert not wrong, f"{len(wrong)} differ\n" + "\n\n".join(wrong[:3])


def test_walks_through_rules_of_nft_are_what_the_kernel_traces(lab: LabFactory, need: Need) -> None:
    need("nft")
    router = Router(lab(), SEED)
    traced(router, PAIRS, router.load)


def test_walks_through_rules_of_iptables_are_what_the_kernel_traces(lab: LabFactory, need: Need) -> None:
    need("nft")
    need("iptables-nft")
    router = Router(lab(), SEED)
    traced(router, PAIRS // 3, router.load_iptables)


def test_malformed_rules_are_a_netlink_error_or_a_walk(lab: LabFactory, need: Need) -> None:
    need("nft")
    router = Router(lab(), SEED)
    random = Random(SEED)
    packet = Packet("10.1.0.1", "10.2.0.1", 6, 1, 22)
    tried = 0
    try:
        router.load()
        whole = dict(router.ruleset.rules)
        for key, rules in whole.items():
            chain = router.ruleset.chains[key]._replace(kind="filter", hook="forward", policy="accept")
            for rule in rules:
                start, end = rule.place()
                data = bytearray(rule.data)
                for _ in range(3):
                    data[random.randrange(start, end)] = random.choice((0, 1, 2, 4, 8, 255, random.randrange(256)))
                changed = Rule(rule.family, rule.table, rule.chain, bytes(data))
                router.ruleset.rules[key] = [changed]
                tried += 1
                for act in (
                    lambda changed=changed: router.ruleset.text(changed),
                    lambda chain=chain: run_hook(router.ruleset, "ip", "forward", packet, chains=[chain]),
                ):
                    try:
                        act()
                    except NetlinkError:
                        continue
    finally:
        router.close()
    assert tried
