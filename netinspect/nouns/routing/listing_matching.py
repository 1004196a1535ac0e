"""Which policy rule led a look-up to the table in which it found its route."""

from __future__ import annotations

from ...engine.prefixes import packed, prefix, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...records import Rule


class Flow:
    """What rules look at (net/core/fib_rules.c: fib_rule_match). Addresses and names are text; 0 and None: unset."""

    __slots__ = (
        "destination",
        "destination_port",
        "input_interface",
        "ip_protocol",
        "mark",
        "output_interface",
        "route_group",
        "source",
        "source_port",
        "tos",
        "uid",
        "unknown",
        "vrf_table",
    )

    def __init__(self, destination: str) -> None:
        self.destination = destination
        self.source: str | None = None
        self.input_interface: str | None = None
        self.output_interface: str | None = None
        self.vrf_table: str | None = None
        """The table of the VRF that an interface above is, or is in."""
        self.route_group: int | None = None
        """The group of the interface that the route found leads out by; None where it is not known."""
        self.mark = self.tos = self.uid = self.ip_protocol = self.source_port = self.destination_port = 0
        self.unknown: frozenset[str] = frozenset()
        """What is not known of it: keys of ``ASKED``."""


ASKED: dict[str, tuple[str, str]] = {
    "source_port": ("source_ports", "its source port is not given"),
    "destination_port": ("destination_ports", "its destination port is not given"),
    "uid": ("uids", "the user who sends it is not known"),
    "flow_label": ("flow_label", "its flow label is not known"),
    "tunnel_id": ("tunnel_id", "the id of the tunnel that it comes through is not known"),
}
"""What may be unknown of a packet: the field of rules that looks at it, and why a rule cannot be decided then."""
NOBODY = 0xFFFFFFFF
"""The user of a look-up for what comes in by an interface (net/ipv4/route.c: inet_rtm_getroute, INVALID_UID)."""


def undecided(rule: Rule, flow: Flow) -> list[str]:
    """Why it may not be known whether the rule is for the flow."""
    found = [why for field, (column, why) in ASKED.items() if field in flow.unknown and getattr(rule, column)]
    return [*found, *(["it has conditions that this release does not know"] if rule.unknown_attributes else [])]


def asks_of_interfaces(rule: Rule) -> bool:
    """Whether it looks at more of the interfaces than their names (see listing_interfaces)."""
    return rule.l3mdev or rule.suppress_interface_group is not None


def matches(rule: Rule, flow: Flow) -> bool | None:
    """Whether the rule is for this flow; None where that cannot be known (see ``undecided``)."""
    unknown = flow.unknown
    uids, mask = rule.uids, 0xFFFFFFFF if rule.mask is None else rule.mask
    found = (
        (rule.source is None or (flow.source is not None and within(packed(flow.source), *prefix(rule.source))))
        and (rule.destination is None or within(packed(flow.destination), *prefix(rule.destination)))
        # What this machine sends counts as coming in by lo.
        and rule.input_interface in (None, flow.input_interface or "lo")
        and rule.output_interface in (None, flow.output_interface)
        and (rule.mark is None or (rule.mark ^ flow.mark) & mask == 0)
        and rule.tos in (None, flow.tos)
        and (rule.dscp is None or _equal(rule.dscp, flow.tos >> 2, rule.dscp_mask))
        and (uids is None or "uid" in unknown or uids[0] <= flow.uid <= uids[1])
        and rule.ip_protocol in (None, flow.ip_protocol)
        and ("source_port" in unknown or _port_within(flow.source_port, rule.source_ports, rule.source_port_mask))
        and (
            "destination_port" in unknown
            or _port_within(flow.destination_port, rule.destination_ports, rule.destination_port_mask)
        )
        # A look-up has no flow label.
        and (rule.flow_label is None or "flow_label" in unknown or _equal(rule.flow_label, 0, rule.flow_label_mask))
        and (rule.tunnel_id in (None, 0) or "tunnel_id" in unknown)
        and not (rule.l3mdev and flow.vrf_table is None)
    )
    # One condition that does not hold is enough; those that are not known count as held above.
    return None if found and undecided(rule, flow) else found != rule.inverted


def asked(rules: Iterable[Rule], flow: Flow) -> Iterator[tuple[Rule, bool | None]]:
    """The rules that are for the flow, in the order in which they are asked, or may be (None, see ``matches``)."""
    ordered = sorted(rules, key=lambda rule: rule.priority)
    at = 0
    while at < len(ordered):
        rule = ordered[at]
        at += 1
        matching = matches(rule, flow)
        if matching is False:
            continue
        yield rule, matching
        if matching and rule.action == "goto" and "unresolved" not in rule.flags:
            # Only forward, so this ends (fib_rules.c refuses to go back).
            at = max(at, next((n for n, other in enumerate(ordered) if other.priority == rule.goto), at))


def deciding_rule(rules: Iterable[Rule], flow: Flow, table: str, prefix_length: int | None) -> Rule | None:
    """The first rule for the flow that looks into ``table``: those before it found nothing.

    ``prefix_length`` is that of the route found, None where it is not known: a rule may pass over short ones. None
    where a rule that may be for the flow or not decides.
    """
    for rule, matching in asked(rules, flow):
        if rule.action == "goto" and matching is None:
            return None
        if rule.action == "lookup" and table_of(rule, flow) == table and not _suppressed(rule, flow, prefix_length):
            return rule if matching else None
    return None


def table_of(rule: Rule, flow: Flow) -> str | None:
    """The table that a rule for the flow leads to, where it leads to one."""
    return flow.vrf_table if rule.l3mdev else rule.table


def _suppressed(rule: Rule, flow: Flow, prefix_length: int | None) -> bool:
    """Whether the route found does not count for the rule (net/ipv4/fib_rules.c: fib4_rule_suppress)."""
    shortest, group = rule.suppress_prefix_length, rule.suppress_interface_group
    if shortest is not None and prefix_length is not None and prefix_length <= shortest:
        return True
    return group is not None and flow.route_group == group


def _port_within(port: int, ports: tuple[int, ...] | None, mask: int | None) -> bool:
    """A mask goes with a single port (net/core/fib_rules.c: fib_rule_port_match)."""
    if ports is None:
        return True
    return ports[0] <= port <= ports[1] if mask is None else _equal(port, ports[0], mask)


def _equal(value: int, due: int, mask: int | None) -> bool:
    return value == due if mask is None else (value ^ due) & mask == 0
