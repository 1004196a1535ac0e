"""Entries of the connection tracking table, from dumps or events.

linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h, nf_conntrack_tcp.h; net/netfilter/nf_conntrack_netlink.c.
Numbers are in network order unless noted otherwise.
"""

from __future__ import annotations

from _struct import iter_unpack, pack
from itertools import chain
from sys import byteorder

from ...engine.addresses import IPv4Texts, IPv6Texts
from ...engine.columns import NONE, Array, Column, Constant
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import Run, malformed
from ...engine.schema import Schema
from ...engine.text import text
from ...startup import array
from ...uapi.netlink import AF_INET, AF_INET6
from ...uapi.nfnetlink import (
    CTA_COUNTERS_BYTES,
    CTA_COUNTERS_ORIG,
    CTA_COUNTERS_PACKETS,
    CTA_COUNTERS_REPLY,
    CTA_HELP,
    CTA_HELP_NAME,
    CTA_ID,
    CTA_IP_V4_DST,
    CTA_IP_V4_SRC,
    CTA_IP_V6_DST,
    CTA_IP_V6_SRC,
    CTA_LABELS,
    CTA_MARK,
    CTA_PROTO_DST_PORT,
    CTA_PROTO_ICMP_CODE,
    CTA_PROTO_ICMP_ID,
    CTA_PROTO_ICMP_TYPE,
    CTA_PROTO_ICMPV6_ID,
    CTA_PROTO_NUM,
    CTA_PROTO_SRC_PORT,
    CTA_PROTOINFO,
    CTA_SECCTX,
    CTA_SECCTX_NAME,
    CTA_SEQ_ADJ_ORIG,
    CTA_SEQADJ_CORRECTION_POS,
    CTA_SEQADJ_OFFSET_AFTER,
    CTA_SEQADJ_OFFSET_BEFORE,
    CTA_STATUS,
    CTA_TIMEOUT,
    CTA_TIMESTAMP,
    CTA_TIMESTAMP_START,
    CTA_TIMESTAMP_STOP,
    CTA_TUPLE_IP,
    CTA_TUPLE_ORIG,
    CTA_TUPLE_PROTO,
    CTA_TUPLE_REPLY,
    CTA_TUPLE_ZONE,
    CTA_USE,
    CTA_ZONE,
)
from .decode_names import PROTOCOLS, STATES, STATUS_BITS, BitNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch, Values
    from ...engine.netlink.messages import Paths

FAMILIES = {AF_INET: "inet", AF_INET6: "inet6"}


_PROTOINFO_STATE = 1


def tuple_sizes(*around: int) -> dict[tuple[int, ...], int | tuple[int, ...]]:
    """The attributes of a tuple, which is inside ``around`` (CTA_TUPLE_*), with their sizes."""
    ip, protocol = (*around, CTA_TUPLE_IP), (*around, CTA_TUPLE_PROTO)
    return {
        **dict.fromkeys((around, ip, protocol), ANY),
        (*around, CTA_TUPLE_ZONE): 2,
        **dict.fromkeys([(*ip, kind) for kind in (CTA_IP_V4_SRC, CTA_IP_V4_DST)], (4,)),
        **dict.fromkeys([(*ip, kind) for kind in (CTA_IP_V6_SRC, CTA_IP_V6_DST)], (16,)),
        (*protocol, CTA_PROTO_NUM): 1,
        **dict.fromkeys([(*protocol, kind) for kind in (CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT)], 2),
        **dict.fromkeys([(*protocol, kind) for kind in (CTA_PROTO_ICMP_ID, CTA_PROTO_ICMPV6_ID)], 2),
        **dict.fromkeys([(*protocol, kind) for kind in (5, 6, 8, 9)], 1),  # type and code
    }


_SHAPE = Shape(
    {
        **tuple_sizes(CTA_TUPLE_ORIG),
        **tuple_sizes(CTA_TUPLE_REPLY),
        **dict.fromkeys([(kind,) for kind in (CTA_STATUS, CTA_TIMEOUT, CTA_MARK, CTA_USE, CTA_ID)], 4),
        (CTA_ZONE,): 2,
        **dict.fromkeys([(kind,) for kind in (CTA_PROTOINFO, CTA_HELP, CTA_SECCTX, CTA_TIMESTAMP, CTA_LABELS)], ANY),
        **dict.fromkeys([(kind,) for kind in (CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY, CTA_SEQ_ADJ_ORIG)], ANY),
        **{(CTA_PROTOINFO, kind): ANY for kind in STATES},
        **{(CTA_PROTOINFO, kind, _PROTOINFO_STATE): 1 for kind in STATES},
        (CTA_HELP, CTA_HELP_NAME): ANY,
        (CTA_SECCTX, CTA_SECCTX_NAME): ANY,
        **{(kind, what): 8 for kind in (CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY, CTA_TIMESTAMP) for what in (1, 2)},
        **{(CTA_SEQ_ADJ_ORIG, kind): 4 for kind in (1, 2, 3)},
    },
    (
        *((CTA_PROTOINFO, kind, what) for kind in STATES for what in range(2, 6)),  # scales, flags, roles, tags
        (CTA_HELP, 2),  # INFO, the helper's own
        *((kind, what) for kind in (CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY) for what in (3, 4, 5)),  # 32 bits, PAD
        *((6,), (13,), (14,), (16,)),  # NAT_SRC, NAT_DST, TUPLE_MASTER, SEQ_ADJ_REPLY
        *((17,), (21,), (23,), (24,)),  # NAT_SEQ_ADJ, MARK_MASK, LABELS_MASK, SYNPROXY
        *((25,), (26,), (27,)),  # FILTER, STATUS_MASK, TIMESTAMP_EVENT
        (CTA_TIMESTAMP, 3),  # PAD
    ),
)

_BODY = 4
"""struct nfgenmsg: family, version, resource id."""
_FAMILY = 16


def flow_body(family: int) -> bytes:
    """The fixed header of a request (struct nfgenmsg)."""
    return pack("=BBH", family, 0, 0)


class Decoder:
    """Decodes entries. Texts of addresses and bits are kept from one run to the next."""

    def __init__(self) -> None:
        self._ipv4 = IPv4Texts()
        self._ipv6 = IPv6Texts()
        self._status = BitNames(STATUS_BITS)

    def batches(self, run: Run) -> Iterator[Batch]:
        """The entries of a run. Raises NetlinkError where messages are malformed."""
        return (batch for batch, _ in self.placed(run))

    def placed(self, run: Run) -> Iterator[tuple[Batch, Sequence[int]]]:
        """The same, each batch with the positions of its messages, which ``run`` must know if they are asked for."""
        for part, paths in run.by_paths(_BODY, _SHAPE):
            for _, same in part.by_value(_FAMILY):
                yield self.batch(same, paths), same.positions or ()

    def batch(self, run: Run, paths: Paths) -> Batch:
        """The entries of a run whose attributes are all at the same places."""
        return FLOW.batch(run.count, self, run, paths)

    def address(self, run: Run, paths: Paths, direction: int, side: int) -> Column:
        """Address text. ``side`` is 0 for the source and 1 for the destination."""
        at = place(run, paths, (direction, CTA_TUPLE_IP, CTA_IP_V4_SRC + side), 4)
        if at is not None:
            if run.same(at):
                return Constant(self._ipv4[run.words(at)[0]])
            return self._ipv4.column(run.words(at))
        at = place(run, paths, (direction, CTA_TUPLE_IP, CTA_IP_V6_SRC + side), 16)
        return NONE if at is None else self._ipv6.column(run.unpack(at, "16s"))

    def status(self, run: Run, paths: Paths) -> Column:
        bits = attribute_be32(run, paths, CTA_STATUS)
        return Constant(self._status[0]) if bits is NONE else bits.map(self._status.__getitem__)


def _counters(run: Run, paths: Paths) -> Column:
    """Bytes and packets of both directions, in the order of COUNTERS: what stands still is compared as a whole."""
    places = [
        place(run, paths, (counters, kind), 8)
        for kind in (CTA_COUNTERS_BYTES, CTA_COUNTERS_PACKETS)
        for counters in (CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY)
    ]
    known = [at for at in places if at is not None]
    if len(known) < len(places):
        return NONE
    words = array("I", bytes(32 * run.count))
    for number, at in enumerate(known):
        words[2 * number :: 8], words[2 * number + 1 :: 8] = run.words(at), run.words(at + 4)
    return Array([*chain.from_iterable(iter_unpack("32s", words.tobytes()))])


def _read_at(run: Run) -> Column:
    from ...engine.netlink.timed import times_of

    times = times_of(run)
    return NONE if times is None else Array(times)


def place(run: Run, paths: Paths, path: tuple[int, ...], size: int) -> int | None:
    """Where that attribute is in each message, or None where there is none. Raises NetlinkError for a short one."""
    if path not in paths:
        return None
    at, length = paths[path]
    if length < size:
        named = "/".join(map(str, path))
        raise malformed(f"attribute {named} of {length} bytes where at least {size} were expected", run.operation)
    return at


def be32(run: Run, at: int) -> Column:
    """A column of 32-bit numbers; a Constant where they are all the same."""
    return Constant(int.from_bytes(run.data[at : at + 4], "big")) if run.same(at) else Array(run.be32(at))


def attribute_be32(run: Run, paths: Paths, *path: int) -> Column:
    at = place(run, paths, path, 4)
    return NONE if at is None else be32(run, at)


def attribute_be64(run: Run, paths: Paths, *path: int) -> Column:
    at = place(run, paths, path, 8)
    return NONE if at is None else Array(run.be64(at))


def attribute_be16(run: Run, paths: Paths, *path: int) -> Column:
    at = place(run, paths, path, 2)
    return NONE if at is None else Array(run.be16(at))


def attribute_u8(run: Run, paths: Paths, *path: int) -> Column:
    at = place(run, paths, path, 1)
    if at is None:
        return NONE
    values = run.u8(at)
    return Constant(values[0]) if values == values[:1] * run.count else Array(list(values))


def attribute_text(run: Run, paths: Paths, *path: int) -> Column:
    """A name that ends with a zero byte."""
    if path not in paths:
        return NONE
    at, length = paths[path]
    raw = run.unpack(at, f"{length}s")
    texts = {name: text(name.split(b"\0", 1)[0]) for name in set(raw)}
    return Array([texts[name] for name in raw])


def protocol_number(run: Run, paths: Paths, direction: int = CTA_TUPLE_ORIG) -> Column:
    return attribute_u8(run, paths, direction, CTA_TUPLE_PROTO, CTA_PROTO_NUM)


def protocol(run: Run, paths: Paths, direction: int = CTA_TUPLE_ORIG) -> Column:
    """Names, or numbers as text."""
    numbers = protocol_number(run, paths, direction)
    return NONE if numbers is NONE else numbers.map(lambda number: PROTOCOLS.get(number) or str(number))


def port(run: Run, paths: Paths, direction: int, kind: int) -> Column:
    return attribute_be16(run, paths, direction, CTA_TUPLE_PROTO, kind)


def _states(run: Run, paths: Paths) -> Column:
    for kind, names in STATES.items():
        at = place(run, paths, (CTA_PROTOINFO, kind, _PROTOINFO_STATE), 1)
        if at is not None:
            values = run.u8(at)
            known = {value: names[value] if value < len(names) else f"UNKNOWN_{value}" for value in set(values)}
            return Constant(known[values[0]]) if len(known) == 1 else Array(list(map(known.__getitem__, values)))
    return NONE


def _icmp(run: Run, paths: Paths, direction: int, kind: int) -> Column:
    """A field of ICMP, or the same of ICMPv6: their attributes are numbered alike, three apart."""
    attribute = attribute_be16 if kind == CTA_PROTO_ICMP_ID else attribute_u8
    column = attribute(run, paths, direction, CTA_TUPLE_PROTO, kind)
    return attribute(run, paths, direction, CTA_TUPLE_PROTO, kind + 3) if column is NONE else column


_ZONES = (
    ((CTA_ZONE,), "both"),
    ((CTA_TUPLE_ORIG, CTA_TUPLE_ZONE), "original"),
    ((CTA_TUPLE_REPLY, CTA_TUPLE_ZONE), "reply"),
)
"""A zone of one direction only is reported within that direction's tuple."""


def _zone(run: Run, paths: Paths) -> Column:
    for path, _ in _ZONES:
        if path in paths:
            return attribute_be16(run, paths, *path)
    return NONE


def _zone_direction(run: Run, paths: Paths) -> Column:
    return next((Constant(direction) for path, direction in _ZONES if path in paths), NONE)


def _labels(run: Run, paths: Paths) -> Column:
    """The bits of an array of unsigned long, in host order (net/netfilter/nf_conntrack_labels.h)."""
    if (CTA_LABELS,) not in paths:
        return NONE
    at, length = paths[(CTA_LABELS,)]
    raw = run.unpack(at, f"{length}s")
    known = {value: _bits_set(value) for value in set(raw)}
    return Array([known[value] for value in raw])


def _bits_set(raw: bytes) -> tuple[int, ...]:
    words = [int.from_bytes(raw[at : at + 8], byteorder) for at in range(0, len(raw), 8)]
    return tuple(64 * place + bit for place, word in enumerate(words) for bit in range(64) if word >> bit & 1)


def _of_direction(prefix: str, direction: int, counters: int) -> dict[str, Callable[[Decoder, Run, Paths], Values]]:
    """The makers of the fields that exist for each direction."""

    def address(side: int) -> Callable[[Decoder, Run, Paths], Values]:
        return lambda decoder, run, paths: decoder.address(run, paths, direction, side)

    def of_port(kind: int) -> Callable[[Decoder, Run, Paths], Values]:
        return lambda decoder, run, paths: port(run, paths, direction, kind)

    def icmp(kind: int) -> Callable[[Decoder, Run, Paths], Values]:
        return lambda decoder, run, paths: _icmp(run, paths, direction, kind)

    def counter(kind: int) -> Callable[[Decoder, Run, Paths], Values]:
        return lambda decoder, run, paths: attribute_be64(run, paths, counters, kind)

    return {
        f"{prefix}source_address": address(0),
        f"{prefix}source_port": of_port(CTA_PROTO_SRC_PORT),
        f"{prefix}destination_address": address(1),
        f"{prefix}destination_port": of_port(CTA_PROTO_DST_PORT),
        f"{prefix}icmp_id": icmp(CTA_PROTO_ICMP_ID),
        f"{prefix}icmp_type": icmp(CTA_PROTO_ICMP_TYPE),
        f"{prefix}icmp_code": icmp(CTA_PROTO_ICMP_CODE),
        f"{prefix}packets": counter(CTA_COUNTERS_PACKETS),
        f"{prefix}bytes": counter(CTA_COUNTERS_BYTES),
    }


FLOW = Schema(
    "Flow",
    {
        "family": lambda decoder, run, paths: Constant(
            FAMILIES.get(run.data[_FAMILY]) or f"unknown-{run.data[_FAMILY]}"
        ),
        "protocol": lambda decoder, run, paths: protocol(run, paths),
        "protocol_number": lambda decoder, run, paths: protocol_number(run, paths),
        "state": lambda decoder, run, paths: _states(run, paths),
        "status": lambda decoder, run, paths: decoder.status(run, paths),
        "timeout": lambda decoder, run, paths: attribute_be32(run, paths, CTA_TIMEOUT),
        "mark": lambda decoder, run, paths: attribute_be32(run, paths, CTA_MARK),
        "labels": lambda decoder, run, paths: _labels(run, paths),
        "zone": lambda decoder, run, paths: _zone(run, paths),
        "zone_direction": lambda decoder, run, paths: _zone_direction(run, paths),
        "helper": lambda decoder, run, paths: attribute_text(run, paths, CTA_HELP, CTA_HELP_NAME),
        "start": lambda decoder, run, paths: attribute_be64(run, paths, CTA_TIMESTAMP, CTA_TIMESTAMP_START),
        "stop": lambda decoder, run, paths: attribute_be64(run, paths, CTA_TIMESTAMP, CTA_TIMESTAMP_STOP),
        "security_context": lambda decoder, run, paths: attribute_text(run, paths, CTA_SECCTX, CTA_SECCTX_NAME),
        "use": lambda decoder, run, paths: attribute_be32(run, paths, CTA_USE),
        "id": lambda decoder, run, paths: attribute_be32(run, paths, CTA_ID),
        **_of_direction("", CTA_TUPLE_ORIG, CTA_COUNTERS_ORIG),
        **_of_direction("reply_", CTA_TUPLE_REPLY, CTA_COUNTERS_REPLY),
        "unknown_attributes": lambda decoder, run, paths: Constant(_SHAPE.unknown(paths)),
        "netns": NONE,
    },
    extra={
        # For rates: when the kernel read the entry, in seconds of time.monotonic, where the listing asked for it.
        "read_at": lambda decoder, run, paths: _read_at(run),
        # For rates as well: all counters in one value, four numbers of 64 bits in network order.
        "counters": lambda decoder, run, paths: _counters(run, paths),
        # For netstat -M: how TCP's sequence numbers of the original direction are shifted, and from which one on.
        "sequence_position": lambda decoder, run, paths: attribute_be32(
            run, paths, CTA_SEQ_ADJ_ORIG, CTA_SEQADJ_CORRECTION_POS
        ),
        "sequence_before": lambda decoder, run, paths: attribute_be32(
            run, paths, CTA_SEQ_ADJ_ORIG, CTA_SEQADJ_OFFSET_BEFORE
        ),
        "sequence_after": lambda decoder, run, paths: attribute_be32(
            run, paths, CTA_SEQ_ADJ_ORIG, CTA_SEQADJ_OFFSET_AFTER
        ),
    },
)
"""The columns of entries of the table."""
