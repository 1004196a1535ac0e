"""Policy rules (netinspect rules)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Rule(NamedTuple):
    """One rule of the routing policy (linux/fib_rules.h; ip-rule(8)). None: does not matter to the rule."""

    family: Annotated[str, "inet or inet6"]
    priority: Annotated[int, "place in the order: the rule with the lowest is tried first"]
    action: Annotated[str, "lookup, goto, nop, blackhole, unreachable or prohibit"]
    table: Annotated[str | None, "lookup: routing table, by rt_tables' name where it has one"]
    source: Annotated[str | None, "source prefix"] = None
    destination: Annotated[str | None, "destination prefix"] = None
    inverted: Annotated[bool, "whether the rule is for what does not match"] = False
    input_interface: Annotated[str | None, "interface that the packet came in by; lo: sent by this machine"] = None
    output_interface: Annotated[str | None, "interface that the sending socket is bound to"] = None
    mark: Annotated[int | None, "firewall mark"] = None
    mask: Annotated[int | None, "bits of the mark that count"] = None
    tos: Annotated[int | None, "type of service"] = None
    dscp: Annotated[int | None, "differentiated services code point"] = None
    ip_protocol: Annotated[int | None, "IP protocol number"] = None
    source_ports: Annotated[tuple[int, int] | None, "first and last source port"] = None
    destination_ports: Annotated[tuple[int, int] | None, "first and last destination port"] = None
    uids: Annotated[tuple[int, int] | None, "first and last user id of the sending socket"] = None
    tunnel_id: Annotated[int | None, "id of the tunnel that the packet came in by"] = None
    l3mdev: Annotated[bool, "whether the table is that of the VRF of the interface"] = False
    goto: Annotated[int | None, "goto: priority of the rule to go on with"] = None
    suppress_prefix_length: Annotated[
        int | None, "a route found by the rule does not count where its prefix is at most that long"
    ] = None
    suppress_interface_group: Annotated[
        int | None, "a route found by the rule does not count where its interface is of that group"
    ] = None
    realms: Annotated[int | None, "routing realms, the source's in the upper 16 bits"] = None
    protocol: Annotated[str | None, "who made it, by rt_protos' name"] = None
    flags: Annotated[
        tuple[str, ...],
        "permanent, unresolved (no rule to go to), iif_detached, oif_detached (no such interface), find_saddr; "
        "others by their number",
    ] = ()
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None
    source_port_mask: Annotated[int | None, "bits of the source port that count; None: all of them"] = None
    destination_port_mask: Annotated[int | None, "bits of the destination port that count; None: all of them"] = None
    dscp_mask: Annotated[int | None, "bits of the code point that count; None: all of them"] = None
    flow_label: Annotated[int | None, "IPv6 flow label"] = None
    flow_label_mask: Annotated[int | None, "bits of the flow label that count; None: all of them"] = None
    unknown_attributes: Annotated[
        tuple[UnknownAttribute, ...],
        "conditions and actions that this release does not know",
    ] = ()
