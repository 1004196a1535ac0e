"""What the checks of a gateway have in common: how a finding is made, and where there is anything to translate."""

from __future__ import annotations

from ...records import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import Flow
    from ..path.listing_stack import Interface
    from ..path.walk import Passed
    from ..path.walk_path import Path
    from .diagnose_situation import Network, Situation
    from .diagnose_traffic import Tally

ERROR, WARNING, NOTE = "error", "warning", "note"
VERSIONS = {"inet": "IPv4", "inet6": "IPv6"}
FORWARDING = {"inet": ("ipv4", "net.ipv4.ip_forward"), "inet6": ("ipv6", "net.ipv6.conf.all.forwarding")}
"""By family: its directory of sysctls, and the one that turns forwarding on everywhere."""


def finding(
    situation: Situation,
    check: str,
    severity: str,
    subject: str,
    evidence: Sequence[str],
    why: str,
    fix: str = "",
    advice: str = "",
) -> Finding:
    """A finding of that situation."""
    return Finding(check, severity, subject, tuple(evidence), why, fix, advice, situation.place.label)


def passed_here(situation: Situation, path: Path) -> Passed | None:
    """What the packet met in that namespace on its way there; None where it does not pass it."""
    return next((passed for passed in path.there.passed if passed.stack is situation.home), None)


def flow_text(flow: Flow) -> str:
    """One flow in a line: ``tcp 10.0.0.1:1 > 192.0.2.1:443 (replies to 203.0.113.1:1)``."""

    def end(address: str | None, port: int | None) -> str:
        host = f"[{address}]" if address and ":" in address else address or "?"
        return host if port is None else f"{host}:{port}"

    return (
        f"{flow.protocol} {end(flow.source_address, flow.source_port)} > "
        f"{end(flow.destination_address, flow.destination_port)} "
        f"(replies to {end(flow.reply_destination_address, flow.reply_destination_port)})"
    )


def examples(tally: Tally) -> list[str]:
    """The first flows of a kind, as evidence."""
    return [f"conntrack: {flow_text(flow)}" for flow in tally.examples]


def families(situation: Situation) -> Iterator[tuple[str, list[Network], list[Interface]]]:
    """The families in which this is a gateway: networks inside, a way out, and either forwarding or a rule."""
    for family in ("inet", "inet6"):
        networks = [network for network in situation.inside if network.family == family]
        if not networks or not situation.exits[family]:
            continue
        version, _ = FORWARDING[family]
        forwards = any(situation.own("forwarding", network.interface, version) for network in networks)
        if forwards or situation.source_rules(family):
            yield family, networks, situation.exits[family]
