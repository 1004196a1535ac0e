"""The checks of a gateway: each looks at the facts, and tells what breaks address translation, and why.

What they rest on: ip-sysctl and nf_conntrack-sysctl (Documentation/networking), nft(8), RFC 2663, RFC 4787, RFC 5382.
"""

from __future__ import annotations

from .diagnose_findings import NOTE, families, finding
from .diagnose_flows import accounting, counters, path_mtu, port_exhaustion, reverse_path, stale, table_size, unanswered
from .diagnose_rules import bypassed, forwarding, source_rules, untranslated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...records import Finding
    from .diagnose_situation import Situation


def diagnose(situation: Situation) -> Iterator[Finding]:
    """What every check finds, the gravest first within each."""
    for check in CHECKS:
        yield from check(situation)


def not_a_gateway(situation: Situation) -> Iterator[Finding]:
    """Nothing inside, or no way out: there is nothing to translate."""
    if not any(True for _ in families(situation)) and not situation.rules:
        up = sorted(found.name for found in situation.interfaces.values() if found.up)
        yield finding(
            situation,
            "gateway",
            NOTE,
            "this network namespace",
            [f"interfaces that are up: {', '.join(up) or 'none'}"],
            "it does not forward from a private network on one interface to a way out by another, and has no rule that "
            "translates: it is no gateway, or not set up yet",
            "ip address; ip route",
        )


CHECKS: tuple[Callable[[Situation], Iterator[Finding]], ...] = (
    not_a_gateway,
    forwarding,
    source_rules,
    untranslated,
    table_size,
    counters,
    port_exhaustion,
    reverse_path,
    unanswered,
    bypassed,
    path_mtu,
    stale,
    accounting,
)
"""All checks, in the order in which one would look."""
