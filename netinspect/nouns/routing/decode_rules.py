"""Policy rules (linux/fib_rules.h: RTM_GETRULE; net/core/fib_rules.c)."""

from __future__ import annotations

from struct import pack, unpack
from sys import byteorder

from ...engine.columns import Batch
from ...engine.netlink.messages import NLM_F_DUMP, malformed, message
from ...engine.rtnetlink import FAMILIES, Message, address_text, in_order
from ...engine.text import text
from ...records import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.netlink.messages import Run
    from ...engine.rtnetlink import Names

RTM_NEWRULE, RTM_GETRULE = 32, 34

FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY = 1, 2, 3, 4, 6
FRA_FWMARK, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE = range(10, 16)
FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV, FRA_UID_RANGE, FRA_PROTOCOL, FRA_IP_PROTO = 16, 17, 19, 20, 21, 22
FRA_SPORT_RANGE, FRA_DPORT_RANGE, FRA_DSCP = 23, 24, 25

_ACTIONS = {0: "unspec", 1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
"""FR_ACT_*."""
_FLAGS = {0x1: "permanent", 0x4: "unresolved", 0x8: "iif_detached", 0x10: "oif_detached"}
_INVERT = 0x2
_NONE = 0xFFFFFFFF
"""A suppressor that is not set."""
_BODY = 12


def request(family: int) -> bytes:
    """A dump of one family's rules (struct fib_rule_hdr)."""
    return message(RTM_GETRULE, NLM_F_DUMP, pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0))


class RuleBatch(Batch):
    """Rules as columns."""

    __slots__ = ()
    record = "Rule"


def batch(runs: Sequence[Run], names: Names) -> RuleBatch | None:
    """The rules of one received buffer, in order. Raises NetlinkError where messages are malformed."""
    messages = list(in_order(runs, RTM_NEWRULE, _BODY))
    if not messages:
        return None
    found = RuleBatch.from_records([_rule(single, names) for single in messages])
    identities = [single.identity for single in messages]
    made = found.joined({"identity": lambda _: identities})
    assert isinstance(made, RuleBatch)
    return made


def _rule(single: Message, names: Names) -> Rule:
    family, destination_length, source_length, tos, table, _, _, action, flags = unpack("=BBBBBBBBI", single.body)
    if family not in FAMILIES:
        raise malformed(f"a rule of address family {family}", single.operation)
    inside = single.attributes
    number = {kind: int.from_bytes(raw, byteorder) for kind, raw in inside.items() if len(raw) <= 8}
    mark, mask = number.get(FRA_FWMARK), number.get(FRA_FWMASK)
    suppressed = [number.get(kind, _NONE) for kind in (FRA_SUPPRESS_PREFIXLEN, FRA_SUPPRESS_IFGROUP)]
    return Rule(
        FAMILIES[family],
        number.get(FRA_PRIORITY, 0),
        _ACTIONS.get(action, str(action)),
        names.tables[number.get(FRA_TABLE, table)] if action == 1 and not number.get(FRA_L3MDEV) else None,
        f"{address_text(inside[FRA_SRC])}/{source_length}" if FRA_SRC in inside else None,
        f"{address_text(inside[FRA_DST])}/{destination_length}" if FRA_DST in inside else None,
        bool(flags & _INVERT),
        _name(inside.get(FRA_IIFNAME)),
        _name(inside.get(FRA_OIFNAME)),
        mark if mark or mask else None,
        mask if mark or mask else None,
        tos or None,
        number.get(FRA_DSCP),
        number.get(FRA_IP_PROTO),
        _range(inside.get(FRA_SPORT_RANGE), "=HH"),
        _range(inside.get(FRA_DPORT_RANGE), "=HH"),
        _range(inside.get(FRA_UID_RANGE), "=II"),
        int.from_bytes(inside[FRA_TUN_ID], "big") if FRA_TUN_ID in inside else None,
        bool(number.get(FRA_L3MDEV)),
        number.get(FRA_GOTO) if action == 2 else None,
        None if suppressed[0] == _NONE else suppressed[0],
        None if suppressed[1] == _NONE else suppressed[1],
        number.get(FRA_FLOW),
        names.protocols[number[FRA_PROTOCOL]] if FRA_PROTOCOL in number else None,
        tuple(name for bit, name in _FLAGS.items() if flags & bit),
    )


def _name(raw: bytes | None) -> str | None:
    return None if raw is None else text(raw.split(b"\0", 1)[0])


def _range(raw: bytes | None, layout: str) -> tuple[int, ...] | None:
    return None if raw is None else tuple(unpack(layout, raw))
