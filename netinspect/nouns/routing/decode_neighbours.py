"""Neighbours (linux/neighbour.h: RTM_GETNEIGH; net/core/neighbour.c)."""

from __future__ import annotations

from _struct import pack

from ...engine.columns import NONE, Constant, interleaved
from ...engine.fields import bit_names, place
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import HEADER_SIZE, attribute, malformed, message
from ...engine.rtnetlink import FAMILIES, ROUTE_TYPES, CachedValues, Texts, address_text, interfaces, named
from ...engine.schema import Schema
from ...uapi.neighbour import (
    NDA_CACHEINFO,
    NDA_DST,
    NDA_FLAGS_EXT,
    NDA_IFINDEX,
    NDA_LLADDR,
    NDA_PROBES,
    NDA_PROTOCOL,
    NTF_PROXY,
)
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETNEIGH, RTM_NEWNEIGH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.columns import Batch, Values
    from ...engine.netlink.messages import Layout, Run
    from ...engine.rtnetlink import Names


STATES = {
    0x00: "none",
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    0x80: "permanent",
}
"""NUD_*."""
_FLAGS = ("use", "self", "master", "proxy", "extern_learn", "offload", "sticky", "router")
"""NTF_*, from the lowest bit."""
_MORE_FLAGS = ("managed", "locked", "ext_validated")
"""NTF_EXT_*, from the lowest bit."""
_TICKS = 100
"""USER_HZ."""

# struct ndmsg: offsets behind the netlink header.
_BODY = 12
_SHAPE = Shape(
    {NDA_DST: ANY, NDA_LLADDR: ANY, NDA_CACHEINFO: 16, NDA_PROBES: 4, NDA_PROTOCOL: 1, NDA_FLAGS_EXT: 4},
    # Of bridges' and VXLAN's forwarding entries: VLAN, PORT, VNI, IFINDEX, MASTER, LINK_NETNSID, SRC_VNI, NH_ID,
    # FDB_EXT_ATTRS; and masks of requests.
    (*range(5, 12), 13, 14, 16, 17),
)
_FAMILY, _INDEX, _STATE, _FLAGS_AT, _TYPE = 16, 20, 24, 26, 27


def request(family: int, *, interface: int = 0, proxies: bool = False) -> bytes:
    """A dump of one family's entries, or of the addresses answered for others, of one interface or of all."""
    payload = pack("=BxxxiHBB", family, 0, 0, NTF_PROXY if proxies else 0, 0)
    if interface:
        payload += attribute(NDA_IFINDEX, pack("=I", interface))
    return message(RTM_GETNEIGH, NLM_F_DUMP, payload)


class Decoder:
    """Decodes neighbours."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.texts = Texts()
        self.flags = CachedValues(lambda pair: _flags_of(*pair))
        self.states = CachedValues(lambda bits: STATES.get(bits) or _several(bits))

    def batch(self, runs: Sequence[Run]) -> Batch | None:
        """The neighbours of one received buffer, in order. Raises NetlinkError where messages are malformed."""
        parts: list[tuple[Batch, Sequence[int]]] = []
        for run in runs:
            if run.kind != RTM_NEWNEIGH:
                raise malformed(f"a message of type {run.kind} among neighbours", run.operation)
            for part, layout in run.by_layout(_BODY, _SHAPE):
                for family, same in part.by_value(_FAMILY):
                    if family in FAMILIES:  # others, as DECnet's of old, have no place here
                        batch = NEIGHBOUR.batch(same.count, self, same, layout)
                        parts.append((batch, same.positions or (0,)))
        return interleaved(parts) if parts else None


_STATE_BITS = {bit: name for bit, name in STATES.items() if bit}


def _several(bits: int) -> str:
    return "|".join(bit_names(bits, _STATE_BITS))


def _flags_of(low: int, more: int) -> tuple[str, ...]:
    found = [name for bit, name in enumerate(_FLAGS) if low >> bit & 1]
    found += [name for bit, name in enumerate(_MORE_FLAGS) if more >> bit & 1]
    unknown = more >> len(_MORE_FLAGS) << len(_MORE_FLAGS)
    return (*found, hex(unknown)) if unknown else tuple(found)


def _identities(_: Decoder, run: Run, layout: Layout) -> Values:
    """A hash of what an entry is reported by: interface, address, and whether it is a proxy's."""
    at, size = layout.get(NDA_DST, (HEADER_SIZE, 0))
    proxies = [flags & NTF_PROXY for flags in run.u8(_FLAGS_AT)]
    addresses = run.unpack(at, f"{size}s")
    return list(map(hash, zip(run.words(_INDEX), addresses, proxies, strict=True)))


def _link_addresses(_: Decoder, run: Run, layout: Layout) -> Values:
    """Of tunnels these are IP addresses: no other link has any of those lengths."""
    if NDA_LLADDR not in layout:
        return NONE
    at, size = layout[NDA_LLADDR]
    if size in (4, 16):
        return [address_text(raw) for (raw,) in run.rows(at, f"{size}s")]
    return [raw.hex(":") for (raw,) in run.rows(at, f"{size}s")]


def _flags(decoder: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, NDA_FLAGS_EXT, 4)
    more = [0] * run.count if at is None else run.u32(at)
    return [decoder.flags[pair] for pair in zip(run.u8(_FLAGS_AT), more, strict=True)]


def _ages(number: int) -> Callable[[Decoder, Run, Layout], Values]:
    """A field of struct nda_cacheinfo that is a time."""

    def column(_: Decoder, run: Run, layout: Layout) -> Values:
        at = place(run, layout, NDA_CACHEINFO, 16)
        return NONE if at is None else [ticks / _TICKS for ticks in run.words(at + 4 * number)]

    return column


def _numbers(kind: int, offset: int = 0) -> Callable[[Decoder, Run, Layout], Values]:
    def column(_: Decoder, run: Run, layout: Layout) -> Values:
        at = place(run, layout, kind, offset + 4)
        return NONE if at is None else run.u32(at + offset)

    return column


def _protocols(decoder: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, NDA_PROTOCOL, 1)
    return NONE if at is None else named(run.u8(at), decoder.names.protocols)


NEIGHBOUR = Schema(
    "Neighbour",
    {
        "family": lambda _, run, layout: Constant(FAMILIES[run.data[_FAMILY]]),
        "address": lambda decoder, run, layout: decoder.texts.addresses(run, layout.get(NDA_DST)),
        "interface": lambda decoder, run, layout: interfaces(run, _INDEX, decoder.names.interfaces),
        "link_address": _link_addresses,
        "state": lambda decoder, run, layout: list(map(decoder.states.__getitem__, run.u16(_STATE))),
        "flags": _flags,
        "type": lambda _, run, layout: named(run.u8(_TYPE), ROUTE_TYPES),
        "confirmed": _ages(0),
        "used": _ages(1),
        "updated": _ages(2),
        "references": _numbers(NDA_CACHEINFO, 12),
        "probes": _numbers(NDA_PROBES),
        "protocol": _protocols,
        "unknown_attributes": lambda _, run, layout: Constant(_SHAPE.unknown(layout)),
        "netns": NONE,
    },
    extra={"identity": _identities},
)
