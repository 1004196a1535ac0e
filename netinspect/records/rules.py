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
    priority: Annotated[int, "order: the rule with the lowest priority is tried first"]
    action: Annotated[str, "lookup, goto, nop, blackhole, unreachable or prohibit"]
    table: Annotated[str | None, "lookup: routing table, by name if it has one (rt_tables)"]
    source: Annotated[str | None, "source prefix"] = None
    destination: Annotated[str | None, "destination prefix"] = None
    inverted: Annotated[bool, "whether the rule is inverted (not)"] = False
    input_interface: Annotated[str | None, "incoming interface; lo: sent by this machine"] = None
    output_interface: Annotated[str | None, "interface that the sending socket is bound to"] = None
    mark: Annotated[int | None, "firewall mark"] = None
    mask: Annotated[int | None, "mask of the mark"] = None
    tos: Annotated[int | None, "type of service"] = None
    dscp: Annotated[int | None, "differentiated services code point"] = None
    ip_protocol: Annotated[int | None, "IP protocol number"] = None
    source_ports: Annotated[tuple[int, int] | None, "first and last source port"] = None
    destination_ports: Annotated[tuple[int, int] | None, "first and last destination port"] = None
    uids: Annotated[tuple[int, int] | None, "first and last user id of the sending socket"] = None
    tunnel_id: Annotated[int | None, "id of the tunnel that the packet came through"] = None
    l3mdev: Annotated[bool, "whether the table is that of the interface's VRF (l3mdev)"] = False
    goto: Annotated[int | None, "goto: priority of the rule to continue with"] = None
    suppress_prefix_length: Annotated[int | None, "routes with a prefix of at most this length are ignored"] = None
    suppress_interface_group: Annotated[int | None, "routes through interfaces of this group are ignored"] = None
    realms: Annotated[int | None, "routing realms, the source's in the upper 16 bits"] = None
    protocol: Annotated[str | None, "who added it (rt_protos)"] = None
    flags: Annotated[
        tuple[str, ...],
        "permanent, unresolved (no rule to go to), iif_detached, oif_detached (no such interface), find_saddr; "
        "others by number",
    ] = ()
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
    source_port_mask: Annotated[int | None, "mask of the source port; None: all bits"] = None
    destination_port_mask: Annotated[int | None, "mask of the destination port; None: all bits"] = None
    dscp_mask: Annotated[int | None, "mask of the code point; None: all bits"] = None
    flow_label: Annotated[int | None, "IPv6 flow label"] = None
    flow_label_mask: Annotated[int | None, "mask of the flow label; None: all bits"] = None
    unknown_attributes: Annotated[
        tuple[UnknownAttribute, ...],
        "conditions and actions that this release does not know",
    ] = ()
