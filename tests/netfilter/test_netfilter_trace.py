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


def test_walks_are_what_the_kernel_traces(lab: LabFactory, need: Need) -> None:
    need("nft")
    router = Router(lab(), SEED)
    wrong = []
    try:
        for _ in range(max(PAIRS // _PACKETS, 1)):
            families = router.load()
            ways = ["forward", "forward", "forward", "input", "output"]
            ways += ["bridge"] * 3 if "bridge" in families else ["bridge"]
            ways += ["arp"]
            for _ in range(_PACKETS):
                difference = router.pair(ways)
                if difference is not None:
                    wrong.append(difference)
    finally:
        router.close()
    print(f"{PAIRS} pairs, {router.uncertain} of them uncertain; {dict(router.seen)}")
    print("refused:", router.rejected.most_common(30))
    assert not wrong, f"{len(wrong)} differ\n" + "\n\n".join(wrong[:3])
