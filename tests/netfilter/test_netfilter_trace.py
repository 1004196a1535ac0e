"""Walks through random rulesets against the kernel's own trace of packets that are sent for real."""

from __future__ import annotations

import os
from collections.abc import Callable

from traced_router import Router

from netinspect.testing import LabFactory

Need = Callable[[str], None]

PAIRS = int(os.environ.get("NETINSPECT_TRACED_PAIRS", "150"))
SEED = int(os.environ.get("NETINSPECT_TRACED_SEED", "1"))
_PACKETS = 25
"""Packets that each ruleset is tried with."""


def traced(router: Router, pairs: int, load: Callable[[], list[str]]) -> None:
    """Compares so many packets, a few to each ruleset."""
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
