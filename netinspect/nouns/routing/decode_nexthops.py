"""Next-hop objects (linux/nexthop.h: RTM_GETNEXTHOP, since Linux 5.3)."""

from __future__ import annotations

from _struct import Struct, pack
from sys import byteorder

from ...engine.netlink.attributes import ADDRESS, ANY, Attributes, Shape
from ...engine.netlink.messages import malformed, message
from ...records import NextHopMember, NextHopObject
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.nexthop import (
    NHA_BLACKHOLE,
    NHA_ENCAP,
    NHA_ENCAP_TYPE,
    NHA_FDB,
    NHA_GATEWAY,
    NHA_GROUP,
    NHA_GROUP_TYPE,
    NHA_ID,
    NHA_OIF,
    NHA_OP_FLAG_RESP_GRP_RESVD_0,
    NHA_OP_FLAGS,
)
from ...uapi.rtnetlink import RTM_GETNEXTHOP, RTM_NEWNEXTHOP
from .decode_details import encapsulation_of, flags_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run
    from ...engine.rtnetlink import Names


_GROUP_TYPES = ("mpath", "resilient")
_BODY = 8
_MEMBER = Struct("=IBBxx")
_SHAPE = Shape(
    {
        **dict.fromkeys((NHA_ID, NHA_OIF, NHA_OP_FLAGS), (4,)),
        **dict.fromkeys((NHA_GROUP, NHA_BLACKHOLE, NHA_ENCAP, NHA_FDB), ANY),
        **dict.fromkeys((NHA_GROUP_TYPE, NHA_ENCAP_TYPE), (2,)),
        NHA_GATEWAY: ADDRESS,
    },
    # GROUPS and MASTER of requests; what of resilient groups and of statistics there is.
    (9, 10, 12, 13, 15, 16, 17),
)


def request() -> bytes:
    """A dump of all next-hop objects."""
    return message(RTM_GETNEXTHOP, NLM_F_DUMP, pack("=BBBBI", 0, 0, 0, 0, 0))


def objects(runs: Iterable[Run], names: Names) -> Iterator[NextHopObject]:
    """The objects. Raises NetlinkError where messages are malformed."""
    for run in runs:
        if run.kind != RTM_NEWNEXTHOP or run.length < 16 + _BODY:
            raise malformed(f"a message of type {run.kind} and {run.length} bytes", run.operation)
        for start in range(0, len(run.data), run.length):
            yield _object(run, start, names)


def _object(run: Run, start: int, names: Names) -> NextHopObject:
    _, scope, protocol = run.data[start + 16 : start + 19]
    flags = int.from_bytes(run.data[start + 20 : start + 24], byteorder)
    inside = Attributes(run.data, run.operation, _SHAPE, start + 16 + _BODY, start + run.length)
    group = kind = None
    if NHA_GROUP in inside:
        # The upper bits of the weight came with Linux 6.12 (struct nexthop_grp: weight_high). In a message of another
        # kernel whatever was in that memory stands there.
        upper = 0xFF if (inside.number(NHA_OP_FLAGS) or 0) & NHA_OP_FLAG_RESP_GRP_RESVD_0 else 0
        group = tuple(
            NextHopMember(member, (low | (high & upper) << 8) + 1)
            for member, low, high in inside.structs(NHA_GROUP, _MEMBER)
        )
        of_kind = inside.number(NHA_GROUP_TYPE) or 0
        kind = _GROUP_TYPES[of_kind] if of_kind < len(_GROUP_TYPES) else str(of_kind)
    interface, wrapping = inside.number(NHA_OIF), inside.number(NHA_ENCAP_TYPE)
    return NextHopObject(
        inside.number(NHA_ID) or 0,
        inside.address(NHA_GATEWAY),
        None if interface is None else names.interfaces[interface],
        NHA_BLACKHOLE in inside,
        NHA_FDB in inside,
        group,
        kind,
        names.protocols[protocol],
        names.scopes[scope],
        flags_of(flags),
        None if wrapping is None else encapsulation_of(wrapping, inside.raw(NHA_ENCAP) or b"", names.interfaces),
        unknown_attributes=inside.unknown(),
    )
