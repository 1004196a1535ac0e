"""Inside a route's attributes: metrics, next hops and encapsulation, from bytes to records.

Sources: linux/rtnetlink.h (RTAX_*, struct rtnexthop, struct rtvia), linux/lwtunnel.h, linux/mpls_iptunnel.h,
linux/seg6_iptunnel.h, linux/seg6_local.h, linux/rpl_iptunnel.h, linux/ioam6_iptunnel.h, linux/ioam6.h,
linux/ip_tunnels.h.
"""

from __future__ import annotations

from _struct import unpack_from
from sys import byteorder

from ...engine.netlink.attributes import ADDRESS, ANY, NUMBER, Attributes, Shape
from ...engine.netlink.messages import malformed
from ...engine.rtnetlink import address_text, labels
from ...records import Encapsulation, NextHop, RouteMetrics
from ...uapi.rtnetlink import (
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTA_FLOW,
    RTA_GATEWAY,
    RTA_NEWDST,
    RTA_VIA,
    RTAX_CC_ALGO,
    RTAX_FEATURES,
    RTAX_LOCK,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


_HOP_SHAPE = Shape(
    {
        RTA_GATEWAY: ADDRESS,
        RTA_FLOW: (4,),
        RTA_VIA: 2,
        RTA_NEWDST: ANY,
        RTA_ENCAP_TYPE: (2,),
        RTA_ENCAP: ANY,
    }
)

_METRICS: tuple[str, ...] = (
    "unspec",
    "lock",
    "mtu",
    "window",
    "rtt",
    "rttvar",
    "ssthresh",
    "cwnd",
    "advmss",
    "reordering",
    "hoplimit",
    "initcwnd",
    "features",
    "rto_min",
    "initrwnd",
    "quickack",
    "congctl",
    "fastopen_no_cookie",
)
"""RTAX_*, by the names of ip-route(8)."""
_METRIC_NUMBERS = {
    name: kind for kind, name in enumerate(_METRICS) if kind not in (0, RTAX_LOCK, RTAX_FEATURES, RTAX_CC_ALGO)
}
_METRICS_SHAPE = Shape({kind: ANY if kind == RTAX_CC_ALGO else NUMBER for kind in range(1, len(_METRICS))})
_FEATURES = ("ecn", "sack", "timestamp", "allfrag", "tcp_usec_ts")

_HOP_FLAGS = ("dead", "pervasive", "onlink", "offload", "linkdown", "unresolved", "trap")
"""RTNH_F_*, from the lowest bit."""
_ROUTE_FLAGS = {
    0x100: "notify",
    0x200: "cloned",
    0x400: "equalize",
    0x800: "prefix",
    0x4000: "rt_offload",
    0x8000: "rt_trap",
    0x20000000: "rt_offload_failed",
}
"""RTM_F_*."""

_TYPES = ("none", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm")
"""enum lwtunnel_encap_types."""
_SEG6_MODES = ("inline", "encap", "l2encap", "encap.red", "l2encap.red")
_IOAM6_MODES = ("", "inline", "encap", "auto")
_SEG6_ACTIONS = (
    "unspec",
    "End",
    "End.X",
    "End.T",
    "End.DX2",
    "End.DX6",
    "End.DX4",
    "End.DT6",
    "End.DT4",
    "End.B6",
    "End.B6.Encaps",
    "End.BM",
    "End.S",
    "End.AS",
    "End.AM",
    "End.BPF",
    "End.DT46",
)
"""RFC 8986's names."""
_TUNNEL_FLAGS = (
    "csum",
    "routing",
    "key",
    "seq",
    "strict",
    "rec",
    "version",
    "no_key",
    "dont_fragment",
    "oam",
    "crit_opt",
    "geneve_opt",
    "vxlan_opt",
    "nocache",
    "erspan_opt",
    "gtp_opt",
)
"""linux/if_tunnel.h: TUNNEL_*, from the lowest bit, of a number in network order."""

_CLONED = 0x200
_ANSWER_FLAGS = {
    **{bit: name for bit, name in _ROUTE_FLAGS.items() if bit < 1 << 16},
    0x40000: "redirected",
    0x1000000: "doredirect",
    0x4000000: "directsrc",
    0x10000000: "broadcast",
    0x20000000: "multicast",
    0x40000000: "reject",
    0x80000000: "local",
}
"""What was looked up or learned has the flags of IPv4's routing cache above the 16th bit: linux/in_route.h: RTCF_*."""

_OPERATION = "reading a route"


def flags_of(word: int) -> tuple[str, ...]:
    """The flags of a route or next hop, in the lower byte RTNH_F_*, above RTM_F_*. Unknown bits are reported as
    numbers."""
    names = [name for bit, name in enumerate(_HOP_FLAGS) if word >> bit & 1]
    known = _ANSWER_FLAGS if word & _CLONED else _ROUTE_FLAGS
    names += [name for bit, name in known.items() if word & bit]
    unknown = word & ~0x7F & ~sum(known)
    return (*names, hex(unknown)) if unknown else tuple(names)


def metrics_of(raw: bytes) -> RouteMetrics:
    """RTA_METRICS. Raises MalformedError where it is malformed."""
    inside = Attributes(raw, _OPERATION, _METRICS_SHAPE)
    values: dict[str, Any] = {name: inside.number(kind) for name, kind in _METRIC_NUMBERS.items()}
    values["congctl"] = inside.text(RTAX_CC_ALGO)
    for field, kind, names in (("locked", RTAX_LOCK, _METRICS), ("features", RTAX_FEATURES, _FEATURES)):
        number = inside.number(kind)
        if number is not None:
            values[field] = tuple(
                names[bit] if bit < len(names) else hex(1 << bit) for bit in range(64) if number >> bit & 1
            )
    return RouteMetrics(**values, unknown_attributes=inside.unknown())


def via_of(raw: bytes) -> str:
    """RTA_VIA: a gateway of another family than the route's (struct rtvia)."""
    return address_text(raw[2:])


def next_hops_of(raw: bytes, interfaces: Mapping[int, str]) -> tuple[NextHop, ...]:
    """RTA_MULTIPATH. Raises NetlinkError where it is malformed."""
    found = []
    at = 0
    while len(raw) - at >= 8:
        length, flags, more, index = unpack_from("=HBBI", raw, at)
        if length < 8 or at + length > len(raw):
            raise malformed(f"a next hop of {length} bytes with {len(raw) - at} left", _OPERATION)
        inside = Attributes(raw, _OPERATION, _HOP_SHAPE, at + 8, at + length)
        found.append(_next_hop(inside, flags, more + 1, interfaces[index] if index else None, interfaces))
        at += length + 3 & ~3
    if at < len(raw):
        raise malformed(f"{len(raw) - at} bytes behind the last next hop", _OPERATION)
    return tuple(found)


def _next_hop(
    inside: Attributes, flags: int, weight: int, interface: str | None, interfaces: Mapping[int, str]
) -> NextHop:
    via, kind, new_labels = inside.raw(RTA_VIA), inside.number(RTA_ENCAP_TYPE), inside.raw(RTA_NEWDST)
    gateway = inside.address(RTA_GATEWAY) or (None if via is None else via_of(via))
    encapsulation = None if kind is None else encapsulation_of(kind, inside.raw(RTA_ENCAP) or b"", interfaces)
    return NextHop(
        gateway,
        interface,
        weight,
        flags_of(flags),
        encapsulation,
        None if new_labels is None else labels(new_labels),
        inside.number(RTA_FLOW),
        inside.unknown(),
    )


def encapsulation_of(kind: int, raw: bytes, interfaces: Mapping[int, str]) -> Encapsulation:
    """RTA_ENCAP of one type."""
    name = _TYPES[kind] if kind < len(_TYPES) else str(kind)
    reader, shape = _READERS.get(name, (None, _OPAQUE))
    inside = Attributes(raw, _OPERATION, shape)
    found = reader(inside, interfaces) if reader else {}
    if not found.pop("whole", reader is not None) or inside.unknown():
        found["raw"] = raw.hex()
    return Encapsulation(name, **found)


def _mpls(inside: Attributes, _: Mapping[int, str]) -> dict[str, Any]:
    """MPLS_IPTUNNEL_DST, MPLS_IPTUNNEL_TTL."""
    stack = inside.raw(1)
    return {"labels": None if stack is None else labels(stack), "ttl": inside.number(2)}


def _ip(inside: Attributes, _: Mapping[int, str]) -> dict[str, Any]:
    """LWTUNNEL_IP_*, and LWTUNNEL_IP6_*, whose numbers are the same."""
    flags = inside.big(6) or 0
    return {
        "tunnel_id": inside.big(1),
        "destination": inside.address(2),
        "source": inside.address(3),
        "ttl": inside.number(4),
        "tos": inside.number(5),
        "tunnel_flags": tuple(name for bit, name in enumerate(_TUNNEL_FLAGS) if flags >> bit & 1),
    }


def _segments(header: bytes) -> tuple[str, ...]:
    """The segment list of a routing header (RFC 8754: from the last to the first), in the order of travel."""
    if len(header) < 8 or len(header) < 24 + 16 * header[4]:
        raise malformed(f"a routing header of {len(header)} bytes", _OPERATION)
    return tuple(address_text(header[8 + 16 * at : 24 + 16 * at]) for at in reversed(range(header[4] + 1)))


def _seg6(inside: Attributes, _: Mapping[int, str]) -> dict[str, Any]:
    """SEG6_IPTUNNEL_SRH: the mode and the header."""
    raw = inside.raw(1)
    if raw is None:
        raise malformed("an encapsulation of type seg6 without a header", _OPERATION)
    mode, segments = int.from_bytes(raw[:4], byteorder), _segments(raw[4:])
    return {
        "mode": _SEG6_MODES[mode] if mode < len(_SEG6_MODES) else str(mode),
        "segments": segments,
        "whole": len(raw) <= 12 + 16 * len(segments),
    }


def _seg6local(inside: Attributes, interfaces: Mapping[int, str]) -> dict[str, Any]:
    """SEG6_LOCAL_*."""
    action, header = inside.number(1) or 0, inside.raw(2)
    interface = inside.number(7) or inside.number(6)
    return {
        "action": _SEG6_ACTIONS[action] if action < len(_SEG6_ACTIONS) else str(action),
        "segments": None if header is None else _segments(header),
        "table": inside.number(3),
        "vrf_table": inside.number(9),
        "next_hop": inside.address(4) or inside.address(5),
        "interface": interfaces[interface] if interface else None,
    }


def _rpl(inside: Attributes, _: Mapping[int, str]) -> dict[str, Any]:
    """RPL_IPTUNNEL_SRH: addresses in the order of travel, uncompressed (RFC 6554)."""
    raw = inside.raw(1) or b""
    return {"segments": tuple(address_text(raw[at : at + 16]) for at in range(8, len(raw) - 15, 16))}


def _ioam6(inside: Attributes, _: Mapping[int, str]) -> dict[str, Any]:
    """IOAM6_IPTUNNEL_*, with a struct ioam6_trace_hdr. In Linux 5.15 that is attribute 1, which is the mode since."""
    mode, trace = inside.raw(1) or b"", inside.raw(3) or b""
    if len(mode) != 1 or len(trace) < 8:
        return {"whole": False}
    number, first, of = mode[0], inside.number(4), inside.number(5)
    return {
        "mode": _IOAM6_MODES[number] if 0 < number < len(_IOAM6_MODES) else str(number),
        "source": inside.address(6),
        "destination": inside.address(2),
        "frequency": None if first is None or of is None else (first, of),
        "trace_type": int.from_bytes(trace[4:7], "big"),
        "trace_namespace": int.from_bytes(trace[:2], "big"),
        "trace_size": 4 * (trace[3] & 0x7F),
    }


def _xfrm(inside: Attributes, interfaces: Mapping[int, str]) -> dict[str, Any]:
    """LWT_XFRM_IF_ID, LWT_XFRM_LINK."""
    link = inside.number(2)
    return {"interface_id": inside.number(1), "interface": None if link is None else interfaces[link]}


_OPAQUE = Shape({})
_IP_SHAPE = Shape({1: (8,), 2: ADDRESS, 3: ADDRESS, 4: (1,), 5: (1,), 6: (2,)}, (7,))  # the last is PAD
_READERS: dict[str, tuple[Callable[[Attributes, Mapping[int, str]], dict[str, Any]], Shape]] = {
    "mpls": (_mpls, Shape({1: ANY, 2: (1,)})),
    "ip": (_ip, _IP_SHAPE),
    "ip6": (_ip, _IP_SHAPE),
    "seg6": (_seg6, Shape({1: ANY})),
    "seg6local": (_seg6local, Shape({1: (4,), 2: ANY, 3: (4,), 4: (4,), 5: (16,), 6: (4,), 7: (4,), 9: (4,)})),
    "rpl": (_rpl, Shape({1: ANY})),
    "ioam6": (_ioam6, Shape({1: ANY, 2: (16,), 3: ANY, 4: (4,), 5: (4,), 6: (16,)})),
    "xfrm": (_xfrm, Shape({1: (4,), 2: (4,)})),
}
