"""Policy rules (linux/fib_rules.h: RTM_GETRULE; net/core/fib_rules.c)."""

from __future__ import annotations

from _struct import Struct, pack, unpack

from ...engine.fields import bit_names
from ...engine.netlink.attributes import ADDRESS, ANY, NUMBER, Shape
from ...engine.netlink.messages import malformed, message
from ...engine.rtnetlink import FAMILIES, Message, address_text, in_order
from ...engine.schema import Schema
from ...records import Rule
from ...uapi.fib_rules import (
    FRA_DPORT_MASK,
    FRA_DPORT_RANGE,
    FRA_DSCP,
    FRA_DSCP_MASK,
    FRA_DST,
    FRA_FLOW,
    FRA_FLOWLABEL,
    FRA_FLOWLABEL_MASK,
    FRA_FWMARK,
    FRA_FWMASK,
    FRA_GOTO,
    FRA_IIFNAME,
    FRA_IP_PROTO,
    FRA_L3MDEV,
    FRA_OIFNAME,
    FRA_PAD,
    FRA_PRIORITY,
    FRA_PROTOCOL,
    FRA_SPORT_MASK,
    FRA_SPORT_RANGE,
    FRA_SRC,
    FRA_SUPPRESS_IFGROUP,
    FRA_SUPPRESS_PREFIXLEN,
    FRA_TABLE,
    FRA_TUN_ID,
    FRA_UID_RANGE,
)
from ...uapi.netlink import AF_INET, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETRULE, RTM_NEWRULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.columns import Batch
    from ...engine.netlink.messages import Run
    from ...engine.rtnetlink import Names


_ACTIONS = {0: "unspec", 1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
"""FR_ACT_*."""
_FLAGS = {0x1: "permanent", 0x4: "unresolved", 0x8: "iif_detached", 0x10: "oif_detached", 0x10000: "find_saddr"}
"""FIB_RULE_*."""
_INVERT = 0x2
_NONE = 0xFFFFFFFF
"""A suppressor that is not set."""
_BODY = 12
_PORTS, _UIDS = Struct("=HH"), Struct("=II")
_SHAPE = Shape(
    {
        **dict.fromkeys((FRA_DST, FRA_SRC), ADDRESS),
        **dict.fromkeys((FRA_IIFNAME, FRA_OIFNAME), ANY),
        **dict.fromkeys((FRA_GOTO, FRA_PRIORITY, FRA_FWMARK, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP), NUMBER),
        **dict.fromkeys((FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_L3MDEV, FRA_PROTOCOL), NUMBER),
        **dict.fromkeys((FRA_IP_PROTO, FRA_DSCP, FRA_FLOWLABEL, FRA_FLOWLABEL_MASK), NUMBER),
        **dict.fromkeys((FRA_SPORT_MASK, FRA_DPORT_MASK, FRA_DSCP_MASK), NUMBER),
        **dict.fromkeys((FRA_SPORT_RANGE, FRA_DPORT_RANGE), _PORTS.size),
        FRA_UID_RANGE: _UIDS.size,
    },
    (FRA_PAD,),
)


def request(family: int) -> bytes:
    """A dump of one family's rules (struct fib_rule_hdr)."""
    return message(RTM_GETRULE, NLM_F_DUMP, pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0))


RULE = Schema.of_fields("Rule", extra=("identity",))


def batch(runs: Sequence[Run], names: Names) -> Batch | None:
    """The rules of one received buffer, in order. Raises MalformedError where messages are malformed."""
    messages = list(in_order(runs, RTM_NEWRULE, _BODY, _SHAPE))
    if not messages:
        return None
    return RULE.rows([_rule(single, names) for single in messages], {"identity": [one.identity for one in messages]})


def _rule(single: Message, names: Names) -> Rule:
    family, destination_length, source_length, tos, table, _, _, action, flags = unpack("=BBBBBBBBI", single.body)
    if family not in FAMILIES:
        raise malformed(f"a rule of address family {family}", single.operation)
    attributes = single.attributes
    number = attributes.number
    mark, mask = number(FRA_FWMARK), number(FRA_FWMASK)
    l3mdev, goto, protocol = bool(number(FRA_L3MDEV)), number(FRA_GOTO), number(FRA_PROTOCOL)
    return Rule(
        family=FAMILIES[family],
        priority=number(FRA_PRIORITY) or 0,
        action=_ACTIONS.get(action, str(action)),
        table=names.tables[number(FRA_TABLE) or table] if action == 1 and not l3mdev else None,
        source=_prefix(single, FRA_SRC, family, source_length),
        destination=_prefix(single, FRA_DST, family, destination_length),
        inverted=bool(flags & _INVERT),
        input_interface=attributes.text(FRA_IIFNAME),
        output_interface=attributes.text(FRA_OIFNAME),
        # The kernel leaves out a mark of 0, which with a mask is a condition all the same (fib_nl_fill_rule).
        mark=mark or 0 if mark or mask else None,
        mask=mask if mark or mask else None,
        tos=tos or None,
        dscp=number(FRA_DSCP),
        ip_protocol=number(FRA_IP_PROTO),
        source_ports=attributes.struct(FRA_SPORT_RANGE, _PORTS),
        destination_ports=attributes.struct(FRA_DPORT_RANGE, _PORTS),
        uids=attributes.struct(FRA_UID_RANGE, _UIDS),
        tunnel_id=attributes.big(FRA_TUN_ID),
        l3mdev=l3mdev,
        goto=goto if action == 2 else None,
        suppress_prefix_length=_suppressor(number(FRA_SUPPRESS_PREFIXLEN)),
        suppress_interface_group=_suppressor(number(FRA_SUPPRESS_IFGROUP)),
        realms=number(FRA_FLOW),
        protocol=None if protocol is None else names.protocols[protocol],
        flags=bit_names(flags & ~_INVERT, _FLAGS),
        source_port_mask=number(FRA_SPORT_MASK),
        destination_port_mask=number(FRA_DPORT_MASK),
        dscp_mask=number(FRA_DSCP_MASK),
        flow_label=attributes.big(FRA_FLOWLABEL),
        flow_label_mask=attributes.big(FRA_FLOWLABEL_MASK),
        unknown_attributes=attributes.unknown(),
    )


def _prefix(single: Message, kind: int, family: int, length: int) -> str | None:
    raw = single.attributes.raw(kind)
    if raw is None:
        return None
    if len(raw) != (4 if family == AF_INET else 16) or length > 8 * len(raw):
        raise malformed(f"a prefix of {length} bits and {len(raw)} bytes", single.operation)
    return f"{address_text(raw)}/{length}"


def _suppressor(value: int | None) -> int | None:
    return None if value == _NONE else value
