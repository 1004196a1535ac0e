"""Routes (linux/rtnetlink.h: RTM_GETROUTE; net/ipv4/fib_semantics.c, net/ipv6/route.c, net/mpls/af_mpls.c)."""

from __future__ import annotations

from _struct import pack
from sys import byteorder

from ...engine.columns import NONE, Array, Batch, Constant, Plain, interleaved
from ...engine.fields import numbers, place
from ...engine.netlink.attributes import ADDRESS, ANY, Shape
from ...engine.netlink.messages import HEADER_SIZE, attribute, malformed, message
from ...engine.rtnetlink import FAMILIES, ROUTE_TYPES, CachedValues, Texts, by_bytes, interfaces, labels, named, slash
from ...engine.schema import Schema
from ...startup import array
from ...uapi.netlink import AF_INET, AF_INET6, AF_MPLS, NLM_F_DUMP
from ...uapi.rtnetlink import (
    RTA_CACHEINFO,
    RTA_DPORT,
    RTA_DST,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_FLOW,
    RTA_FLOWLABEL,
    RTA_GATEWAY,
    RTA_IIF,
    RTA_IP_PROTO,
    RTA_MARK,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_NEWDST,
    RTA_NH_ID,
    RTA_OIF,
    RTA_PREF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_SPORT,
    RTA_SRC,
    RTA_TABLE,
    RTA_TTL_PROPAGATE,
    RTA_UID,
    RTA_VIA,
    RTM_F_CLONED,
    RTM_F_PREFIX,
    RTM_GETROUTE,
    RTM_NEWROUTE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ...engine.columns import Column, Values
    from ...engine.netlink.messages import Layout, Run
    from ...engine.rtnetlink import Names


_PREFERENCES = ("medium", "high", "invalid", "low") * 64
"""linux/icmpv6.h: ICMPV6_ROUTER_PREF_*, which are the lowest two bits."""
_TICKS = 100
"""USER_HZ, in which expiry is reported, on every architecture but two old ones."""

# struct rtmsg: offsets behind the netlink header.
_BODY = 12
_SHAPE = Shape(
    {
        RTA_DST: ANY,
        **dict.fromkeys((RTA_SRC, RTA_GATEWAY, RTA_PREFSRC), ADDRESS),
        **dict.fromkeys((RTA_IIF, RTA_OIF, RTA_PRIORITY, RTA_FLOW, RTA_TABLE, RTA_MARK, RTA_UID, RTA_NH_ID), 4),
        **dict.fromkeys((RTA_METRICS, RTA_MULTIPATH, RTA_NEWDST, RTA_ENCAP), ANY),
        RTA_CACHEINFO: 16,
        RTA_VIA: 2,
        RTA_PREF: 1,
        RTA_ENCAP_TYPE: 2,
        RTA_TTL_PROPAGATE: 1,
    },
    # PROTOINFO, SESSION and MP_ALGO, which no kernel uses; MFC_STATS and EXPIRES of multicast; PAD; what was asked for.
    (10, 13, 14, 17, 23, 24, RTA_IP_PROTO, RTA_SPORT, RTA_DPORT, RTA_FLOWLABEL),
)
_BITS = {AF_INET: 32, AF_INET6: 128, AF_MPLS: 20}
_LENGTHS = {family: bytes(range(bits + 1)) for family, bits in _BITS.items()}
_TABLE_SIZE = 8
"""The attribute of the table."""
_INSIDE = {
    RTA_METRICS: "metrics",
    RTA_MULTIPATH: "next_hops",
    RTA_ENCAP_TYPE: "encapsulation",
    RTA_VIA: "gateway",
}
"""Attributes that have a shape of their own, and the columns that are made of them."""
_WITHOUT = {
    RTA_MULTIPATH: ("next_hops",),
    RTA_NH_ID: ("next_hop_id",),
    RTA_ENCAP_TYPE: ("encapsulation",),
    RTA_METRICS: ("metrics", "pmtu"),
    RTA_PREF: ("preference",),
    RTA_CACHEINFO: ("expires", "error"),
    RTA_FLOW: ("realms",),
    RTA_NEWDST: ("new_labels",),
    RTA_TTL_PROPAGATE: ("ttl_propagate",),
    RTA_IIF: ("input_interface",),
    RTA_MARK: ("mark",),
    RTA_UID: ("uid",),
    RTA_PREFSRC: ("preferred_source",),
}
"""Columns that are None without an attribute."""
_FAMILY, _DESTINATION_LENGTH, _SOURCE_LENGTH, _TOS = 16, 17, 18, 19
_TABLE, _PROTOCOL, _SCOPE, _TYPE, _FLAGS = 20, 21, 22, 23, 24


def request(
    family: int,
    *,
    table: int = 0,
    protocol: int = 0,
    kind: int = 0,
    interface: int = 0,
    exceptions: bool = False,
    advertised: bool = False,
) -> bytes:
    """A dump of one family's routes; what is not 0 is for the kernel to filter by (strict checking).

    ``exceptions`` asks for those instead of the routes (commit ee28906fd7a1 and others, Linux 5.3); ``advertised`` for
    the on-link prefixes that routers advertised (net/ipv6/route.c: RTF_PREFIX_RT).
    """
    flags = RTM_F_CLONED if exceptions else RTM_F_PREFIX if advertised else 0
    payload = pack("=BBBBBBBBI", family, 0, 0, 0, table if table < 256 else 0, protocol, 0, kind, flags)
    if table:
        payload += attribute(RTA_TABLE, pack("=I", table))
    if interface:
        payload += attribute(RTA_OIF, pack("=I", interface))
    return message(RTM_GETROUTE, NLM_F_DUMP, payload)


def get_request(
    family: int,
    destination: bytes,
    flags: int,
    *,
    source: bytes = b"",
    tos: int = 0,
    numbers: dict[int, int] | None = None,
) -> bytes:
    """A look-up of one address in the FIB. ``numbers`` are further attributes, 32 bits each, by their number; ports and
    the IP protocol have their own sizes.
    """
    bits = len(destination) * 8
    payload = pack("=BBBBBBBBI", family, bits, len(source) * 8, tos, 0, 0, 0, 0, flags)
    payload += attribute(RTA_DST, destination)
    if source:
        payload += attribute(RTA_SRC, source)
    for kind, number in (numbers or {}).items():
        if kind == RTA_IP_PROTO:
            payload += attribute(kind, pack("=B", number))
        elif kind in (RTA_SPORT, RTA_DPORT):
            payload += attribute(kind, pack(">H", number))
        else:
            payload += attribute(kind, pack("=I", number))
    return message(RTM_GETROUTE, 0, payload)


def may_lead_to(upper: bytes, run: Run) -> bool:
    """Whether any of the routes may have a destination that begins with these bytes: a quick look at a column of each.

    A destination comes first, or behind the table (IPv4); where it does not, as that of a default route, a closer look
    is due.
    """
    header = pack("=HH", 4 + _BITS.get(run.data[_FAMILY], 0) // 8, RTA_DST)
    for at in (HEADER_SIZE + _BODY, HEADER_SIZE + _BODY + _TABLE_SIZE):
        if all(run.u8(at + place).count(byte) == run.count for place, byte in enumerate(header)):
            return all(byte in run.u8(at + 4 + place) for place, byte in enumerate(upper))
    return True


class Decoder:
    """Decodes routes. What a table repeats, as next hops and metrics, is decoded once."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.texts = Texts()
        self._makers: dict[str, CachedValues] = {}

    def batch(self, runs: Sequence[Run]) -> Batch | None:
        """The routes of one received buffer, in the kernel's order. Raises NetlinkError where they are malformed."""
        parts: list[tuple[Batch, Sequence[int]]] = []
        kinds: set[int] = set()
        for run in runs:
            if run.kind != RTM_NEWROUTE:
                raise malformed(f"a message of type {run.kind} among routes", run.operation)
            for part, layout in run.by_layout(_BODY, _SHAPE):
                kinds.update(layout)
                for family, same in part.by_value(_FAMILY):
                    parts.append((self._part(family, same, layout), same.positions or (0,)))
        if len(parts) < 2:
            return parts[0][0] if parts else None
        parts.sort(key=lambda part: part[1][0])  # often that is all: as where the first route alone has another shape
        # Most of what a route may have, none has; and it is not worth asking each of many parts.
        absent = {field for kind, fields in _WITHOUT.items() if kind not in kinds for field in fields}
        whole = interleaved(parts)
        return Batch(ROUTE, whole.count, lambda name: NONE if name in absent else whole.column(name))

    def _part(self, family: int, run: Run, layout: Layout) -> Batch:
        if family not in FAMILIES:
            raise malformed(f"a route of address family {family}", run.operation)
        name = FAMILIES[family]
        size = layout.get(RTA_DST, (0, None))[1]
        if size is not None and (size % 4 if family == AF_MPLS else size * 8 != _BITS[family]):
            raise malformed(f"a destination of {size} bytes in a route of {name}", run.operation)
        # What is left without the lengths that there are: a fiftieth of the time of a maximum.
        longer = (run.u8(_DESTINATION_LENGTH) + run.u8(_SOURCE_LENGTH)).translate(None, _LENGTHS[family])
        if longer:
            raise malformed(f"a prefix of {max(longer)} bits in a route of {name}", run.operation)
        batch = ROUTE.batch(run.count, self, run, layout)
        for kind, field in _INSIDE.items():
            if kind in layout:
                batch.column(field)  # what is wrong inside shows now, and not once rows are out
        return batch

    def made(self, name: str) -> CachedValues:
        """What the details of a name are made with."""
        found = self._makers.get(name)
        if found is None:
            from . import decode_details as details

            names = self.names.interfaces
            makes: dict[str, Callable[[Any], Any]] = {
                "metrics": details.metrics_of,
                "next_hops": lambda raw: details.next_hops_of(raw, names),
                "encapsulation": lambda kind_raw: details.encapsulation_of(kind_raw[0], kind_raw[1], names),
                "via": details.via_of,
                "flags": details.flags_of,
                "labels": labels,
            }
            found = self._makers[name] = CachedValues(makes[name])
        return found


def _identities(_: Decoder, run: Run, layout: Layout) -> array[int]:
    """A hash of all but counters and clocks, and the little behind them: only what precedes it distinguishes routes.

    Of IPv4 the destination is one half of each, as it lies, so that nothing is done for each row where nothing else
    differs.
    """
    end = layout.get(RTA_CACHEINFO, (run.length, 0))[0]
    at, size = layout.get(RTA_DST, (0, 0))
    if size != 4:
        return array("q", list(map(hash, run.rows(HEADER_SIZE, f"{end - HEADER_SIZE}s"))))
    rows = run.rows(HEADER_SIZE, f"{at - HEADER_SIZE}s4x{end - at - 4}s")
    if _alike_but(run, at):
        hashes = array("q", [hash(next(rows))]) * run.count
    else:
        hashes = array("q", list(map(hash, rows)))
    halves = array("I", hashes.tobytes())
    halves[::2] = run.words(at)
    return array("q", halves.tobytes())


def _alike_but(run: Run, offset: int) -> bool:
    """Whether all messages are the same but for the 32-bit number at ``offset``."""
    words = array("I", run.data)
    words[offset // 4 :: run.length // 4] = array("I", bytes(4 * run.count))
    data = words.tobytes()
    return data == data[: run.length] * run.count


def _destinations(decoder: Decoder, run: Run, layout: Layout) -> Values:
    if run.data[_FAMILY] == AF_MPLS:
        if RTA_DST not in layout:
            return Constant("0")
        stacks = by_bytes(run, layout, RTA_DST, decoder.made("labels"))
        return Plain(["/".join(map(str, stack)) for stack in stacks.values(run.count)])
    return decoder.texts.prefixes(run, layout.get(RTA_DST), run.u8(_DESTINATION_LENGTH), run.data[_FAMILY])


def _destination_addresses(decoder: Decoder, run: Run, layout: Layout) -> Values:
    return decoder.texts.networks(run, layout.get(RTA_DST), run.data[_FAMILY])


def _destination_bits(_: Decoder, run: Run, layout: Layout) -> Values:
    if RTA_DST not in layout:
        return Constant(0)
    at, size = layout[RTA_DST]
    if size == 4:
        words = run.words(at)
        if byteorder == "little":
            words.byteswap()
        return words.tolist()
    return [int.from_bytes(raw, "big") for (raw,) in run.rows(at, f"{size}s")]


def _destination_uppers(decoder: Decoder, run: Run, layout: Layout) -> Values:
    """The upper 64 bits of IPv6 destinations, all bits of others."""
    at, size = layout.get(RTA_DST, (0, 0))
    if size != 16:
        return _destination_bits(decoder, run, layout)
    return run.be64(at)


def _sources(decoder: Decoder, run: Run, layout: Layout) -> Values:
    lengths = run.u8(_SOURCE_LENGTH)
    if RTA_SRC not in layout or not any(lengths):
        # In answers to look-ups the length is zero, and the address whole.
        return decoder.texts.addresses(run, layout.get(RTA_SRC))
    found = decoder.texts.addresses(run, layout[RTA_SRC])
    pairs = zip(found.values(run.count), lengths, strict=True)
    return [address + slash[length] for address, length in pairs]


def _gateways(decoder: Decoder, run: Run, layout: Layout) -> Values:
    if RTA_VIA in layout:
        return by_bytes(run, layout, RTA_VIA, decoder.made("via"))
    return decoder.texts.addresses(run, layout.get(RTA_GATEWAY))


def _interfaces(decoder: Decoder, run: Run, layout: Layout, kind: int) -> Values:
    return interfaces(run, place(run, layout, kind, 4), decoder.names.interfaces)


def _table_ids(_: Decoder, run: Run, layout: Layout) -> Column:
    at = place(run, layout, RTA_TABLE, 4)
    return Array(list(run.u8(_TABLE))) if at is None else numbers(run, at)


def _tables(decoder: Decoder, run: Run, layout: Layout) -> Values:
    return _table_ids(decoder, run, layout).map(decoder.names.tables.__getitem__)


def _metrics(_: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, RTA_PRIORITY, 4)
    return Constant(0) if at is None else numbers(run, at)


def _numbers(run: Run, layout: Layout, kind: int) -> Values:
    at = place(run, layout, kind, 4)
    return NONE if at is None else run.u32(at)


def _encapsulations(decoder: Decoder, run: Run, layout: Layout) -> Values:
    kind_at = place(run, layout, RTA_ENCAP_TYPE, 2)
    if kind_at is None:
        return NONE
    at, size = layout.get(RTA_ENCAP, (0, 0))
    made = decoder.made("encapsulation")
    raws = [raw for (raw,) in run.rows(at, f"{size}s")]
    return [made[kind, raw] for (kind,), raw in zip(run.rows(kind_at, "H"), raws, strict=True)]


def _flags(decoder: Decoder, run: Run) -> Values:
    if run.same(_FLAGS):
        word = run.words(_FLAGS)[0]
        return Constant(decoder.made("flags")[word] if word else ())
    return list(map(decoder.made("flags").__getitem__, run.words(_FLAGS)))


def _preferences(run: Run, layout: Layout) -> Values:
    at = place(run, layout, RTA_PREF, 1)
    return NONE if at is None else named(run.u8(at), _PREFERENCES)


def _expiries(run: Run, layout: Layout) -> Values:
    at = place(run, layout, RTA_CACHEINFO, 16)
    if at is None or (run.same(at + 8) and run.words(at + 8)[0] == 0):
        return NONE
    return [ticks / _TICKS if ticks else None for ticks in run.unpack(at + 8, "i")]


def _errors(run: Run, layout: Layout) -> Values:
    at = place(run, layout, RTA_CACHEINFO, 16)
    if at is None or (run.same(at + 12) and run.words(at + 12)[0] == 0):
        return NONE
    return [abs(error) if error else None for error in run.unpack(at + 12, "i")]


def _path_mtus(decoder: Decoder, run: Run, layout: Layout) -> Values:
    if not run.words(_FLAGS)[0] & RTM_F_CLONED or RTA_METRICS not in layout:
        return NONE
    at, size = layout[RTA_METRICS]
    made = decoder.made("metrics")
    return [made[raw].mtu for (raw,) in run.rows(at, f"{size}s")]


def _booleans(run: Run, layout: Layout, kind: int) -> Values:
    at = place(run, layout, kind, 1)
    return NONE if at is None else list(map(bool, run.u8(at)))


ROUTE = Schema(
    "Route",
    {
        "family": lambda _, run, layout: Constant(FAMILIES[run.data[_FAMILY]]),
        "type": lambda _, run, layout: named(run.u8(_TYPE), ROUTE_TYPES),
        "destination": _destinations,
        "gateway": _gateways,
        "interface": lambda decoder, run, layout: _interfaces(decoder, run, layout, RTA_OIF),
        "table": _tables,
        "protocol": lambda decoder, run, layout: named(run.u8(_PROTOCOL), decoder.names.protocols),
        "scope": lambda decoder, run, layout: named(run.u8(_SCOPE), decoder.names.scopes),
        "metric": _metrics,
        "preferred_source": lambda decoder, run, layout: decoder.texts.addresses(run, layout.get(RTA_PREFSRC)),
        "next_hops": lambda decoder, run, layout: (
            by_bytes(run, layout, RTA_MULTIPATH, decoder.made("next_hops")) if RTA_MULTIPATH in layout else NONE
        ),
        "next_hop_id": lambda _, run, layout: _numbers(run, layout, RTA_NH_ID),
        "encapsulation": _encapsulations,
        "metrics": lambda decoder, run, layout: (
            by_bytes(run, layout, RTA_METRICS, decoder.made("metrics")) if RTA_METRICS in layout else NONE
        ),
        "flags": lambda decoder, run, layout: _flags(decoder, run),
        "source": _sources,
        "tos": lambda _, run, layout: named(run.u8(_TOS), range(256)),
        "preference": lambda _, run, layout: _preferences(run, layout),
        "expires": lambda _, run, layout: _expiries(run, layout),
        "error": lambda _, run, layout: _errors(run, layout),
        "realms": lambda _, run, layout: _numbers(run, layout, RTA_FLOW),
        "new_labels": lambda decoder, run, layout: (
            by_bytes(run, layout, RTA_NEWDST, decoder.made("labels")) if RTA_NEWDST in layout else NONE
        ),
        "ttl_propagate": lambda _, run, layout: _booleans(run, layout, RTA_TTL_PROPAGATE),
        "input_interface": lambda decoder, run, layout: _interfaces(decoder, run, layout, RTA_IIF),
        "mark": lambda _, run, layout: _numbers(run, layout, RTA_MARK),
        "uid": lambda _, run, layout: _numbers(run, layout, RTA_UID),
        "pmtu": _path_mtus,
        "unknown_attributes": lambda _, run, layout: Constant(_SHAPE.unknown(layout)),
        # From other requests, and joins:
        **dict.fromkeys(("next_hop_object", "sockets", "rule", "entry", "netns"), NONE),
    },
    extra={
        "table_id": _table_ids,
        "protocol_id": lambda _, run, layout: list(run.u8(_PROTOCOL)),
        "destination_address": _destination_addresses,
        "destination_bits": _destination_bits,
        "destination_upper": _destination_uppers,
        "destination_length": lambda _, run, layout: run.u8(_DESTINATION_LENGTH),
        "identity": _identities,
    },
)
"""The columns of routes; ``identity`` identifies a route."""
