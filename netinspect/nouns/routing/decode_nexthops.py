"""Next-hop objects (linux/nexthop.h: RTM_GETNEXTHOP, since Linux 5.3)."""

from __future__ import annotations

from struct import iter_unpack, pack
from sys import byteorder

from ...engine.netlink.messages import NLM_F_DUMP, attributes, malformed, message
from ...engine.rtnetlink import address_text
from ...records import NextHopMember, NextHopObject
from .decode_details import encapsulation_of, flags_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run
    from ...engine.rtnetlink import Names

RTM_NEWNEXTHOP, RTM_GETNEXTHOP = 104, 106
NHA_ID, NHA_GROUP, NHA_GROUP_TYPE, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY, NHA_ENCAP_TYPE, NHA_ENCAP = range(1, 9)
NHA_FDB = 11

_GROUP_TYPES = ("mpath", "resilient")
_BODY = 8


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
    inside = {
        kind: run.data[at : at + size]
        for kind, (at, size) in attributes(run.data, start + 16 + _BODY, start + run.length, run.operation).items()
    }
    number = {kind: int.from_bytes(raw, byteorder) for kind, raw in inside.items()}
    group = kind = None
    if NHA_GROUP in inside:
        members = inside[NHA_GROUP]
        # The upper bits of the weight came with Linux 6.12 (struct nexthop_grp: weight_high).
        group = tuple(
            NextHopMember(member, (low | high << 8) + 1)
            for member, low, high in iter_unpack("=IBBxx", members[: len(members) // 8 * 8])
        )
        of_kind = number.get(NHA_GROUP_TYPE, 0)
        kind = _GROUP_TYPES[of_kind] if of_kind < len(_GROUP_TYPES) else str(of_kind)
    return NextHopObject(
        number.get(NHA_ID, 0),
        address_text(inside[NHA_GATEWAY]) if NHA_GATEWAY in inside else None,
        names.interfaces[number[NHA_OIF]] if NHA_OIF in inside else None,
        NHA_BLACKHOLE in inside,
        NHA_FDB in inside,
        group,
        kind,
        names.protocols[protocol],
        names.scopes[scope],
        flags_of(flags),
        encapsulation_of(number[NHA_ENCAP_TYPE], inside.get(NHA_ENCAP, b""), names.interfaces)
        if NHA_ENCAP_TYPE in inside
        else None,
    )
