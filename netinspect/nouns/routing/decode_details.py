"""Inside a route's attributes: metrics, next hops and encapsulation, from bytes to records.

Sources: linux/rtnetlink.h (RTAX_*, struct rtnexthop, struct rtvia), linux/lwtunnel.h, linux/mpls_iptunnel.h,
linux/seg6_iptunnel.h, linux/seg6_local.h, linux/rpl_iptunnel.h, linux/ip_tunnels.h.
"""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from ...engine.netlink.messages import attributes, malformed
from ...engine.rtnetlink import address_text, labels
from ...engine.text import text
from ...records import Encapsulation, NextHop, RouteMetrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

RTA_OIF, RTA_GATEWAY, RTA_FLOW, RTA_VIA, RTA_NEWDST, RTA_ENCAP_TYPE, RTA_ENCAP = 4, 5, 11, 18, 19, 21, 22

_RTAX_LOCK, _RTAX_FEATURES, _RTAX_CC_ALGO = 1, 12, 16
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
    """The flags of a route or next hop, in the lower byte RTNH_F_*, above RTM_F_*. Unknown bits are told as numbers."""
    names = [name for bit, name in enumerate(_HOP_FLAGS) if word >> bit & 1]
    known = _ANSWER_FLAGS if word & _CLONED else _ROUTE_FLAGS
    names += [name for bit, name in known.items() if word & bit]
    unknown = word & ~0x7F & ~sum(known)
    return (*names, hex(unknown)) if unknown else tuple(names)


def metrics_of(raw: bytes) -> RouteMetrics:
    """RTA_METRICS."""
    values: dict[str, Any] = {}
    for kind, (at, size) in attributes(raw, 0, len(raw), _OPERATION).items():
        if kind == _RTAX_CC_ALGO:
            values["congctl"] = text(raw[at : at + size].split(b"\0", 1)[0])
            continue
        number = int.from_bytes(raw[at : at + size], byteorder)
        if kind == _RTAX_LOCK:
            values["locked"] = tuple(name for bit, name in enumerate(_METRICS) if number >> bit & 1)
        elif kind == _RTAX_FEATURES:
            values["features"] = tuple(
                _FEATURES[bit] if bit < len(_FEATURES) else hex(1 << bit) for bit in range(32) if number >> bit & 1
            )
        elif kind < len(_METRICS):
            values[_METRICS[kind]] = number
    return RouteMetrics(**values)


def via_of(raw: bytes) -> str:
    """RTA_VIA: a gateway of another family than the route's (struct rtvia)."""
    return address_text(raw[2:])


def next_hops_of(raw: bytes, interfaces: Mapping[int, str]) -> tuple[NextHop, ...]:
    """RTA_MULTIPATH. Raises NetlinkError where it is malformed."""
    found = []
    at = 0
    while len(raw) - at >= 8:
        length, flags, more, index = unpack_from("=HBBi", raw, at)
        if length < 8 or at + length > len(raw):
            raise malformed(f"a next hop of {length} bytes with {len(raw) - at} left", _OPERATION)
        inside = {
            kind: raw[start : start + size]
            for kind, (start, size) in attributes(raw, at + 8, at + length, _OPERATION).items()
        }
        found.append(_next_hop(inside, flags, more + 1, interfaces[index] if index else None, interfaces))
        at += length + 3 & ~3
    return tuple(found)


def _next_hop(
    inside: dict[int, bytes], flags: int, weight: int, interface: str | None, interfaces: Mapping[int, str]
) -> NextHop:
    gateway = None
    if RTA_GATEWAY in inside:
        gateway = address_text(inside[RTA_GATEWAY])
    elif RTA_VIA in inside:
        gateway = via_of(inside[RTA_VIA])
    encapsulation = None
    if RTA_ENCAP_TYPE in inside:
        encapsulation = encapsulation_of(
            int.from_bytes(inside[RTA_ENCAP_TYPE], byteorder), inside.get(RTA_ENCAP, b""), interfaces
        )
    return NextHop(
        gateway,
        interface,
        weight,
        flags_of(flags),
        encapsulation,
        labels(inside[RTA_NEWDST]) if RTA_NEWDST in inside else None,
        int.from_bytes(inside[RTA_FLOW], byteorder) if RTA_FLOW in inside else None,
    )


def encapsulation_of(kind: int, raw: bytes, interfaces: Mapping[int, str]) -> Encapsulation:
    """RTA_ENCAP of one type."""
    name = _TYPES[kind] if kind < len(_TYPES) else str(kind)
    try:
        inside = {kind: raw[at : at + size] for kind, (at, size) in attributes(raw, 0, len(raw), _OPERATION).items()}
        reader = _READERS.get(name)
        found = reader(inside, interfaces) if reader else {}
    except (IndexError, ValueError):
        raise malformed(f"an encapsulation of type {name}", _OPERATION) from None
    if not found.pop("whole", reader is not None):
        found["raw"] = raw.hex()
    return Encapsulation(name, **found)


def _host(raw: bytes) -> int:
    return int.from_bytes(raw, byteorder)


def _mpls(inside: dict[int, bytes], _: Mapping[int, str]) -> dict[str, Any]:
    """MPLS_IPTUNNEL_DST, MPLS_IPTUNNEL_TTL."""
    return {"labels": labels(inside[1]) if 1 in inside else None, "ttl": inside[2][0] if 2 in inside else None}


def _ip(inside: dict[int, bytes], _: Mapping[int, str]) -> dict[str, Any]:
    """LWTUNNEL_IP_*, and LWTUNNEL_IP6_*, whose numbers are the same."""
    flags = int.from_bytes(inside.get(6, b""), "big")
    return {
        "tunnel_id": int.from_bytes(inside[1], "big") if 1 in inside else None,
        "destination": address_text(inside[2]) if 2 in inside else None,
        "source": address_text(inside[3]) if 3 in inside else None,
        "ttl": inside[4][0] if 4 in inside else None,
        "tos": inside[5][0] if 5 in inside else None,
        "tunnel_flags": tuple(name for bit, name in enumerate(_TUNNEL_FLAGS) if flags >> bit & 1),
        "whole": 8 not in inside,
    }


def _segments(header: bytes) -> tuple[str, ...]:
    """The segment list of a routing header (RFC 8754: from the last to the first), in the order of travel."""
    count = header[4] + 1
    return tuple(address_text(header[8 + 16 * at : 24 + 16 * at]) for at in reversed(range(count)))


def _seg6(inside: dict[int, bytes], _: Mapping[int, str]) -> dict[str, Any]:
    """SEG6_IPTUNNEL_SRH: the mode and the header."""
    raw = inside.get(1, b"")
    mode = _host(raw[:4])
    return {
        "mode": _SEG6_MODES[mode] if mode < len(_SEG6_MODES) else str(mode),
        "segments": _segments(raw[4:]),
        "whole": len(raw) <= 12 + 16 * (raw[8] + 1),
    }


def _seg6local(inside: dict[int, bytes], interfaces: Mapping[int, str]) -> dict[str, Any]:
    """SEG6_LOCAL_*."""
    action = _host(inside.get(1, b""))
    interface = inside.get(7) or inside.get(6)
    table = inside.get(3) or inside.get(9)
    hop = inside.get(4) or inside.get(5)
    return {
        "action": _SEG6_ACTIONS[action] if action < len(_SEG6_ACTIONS) else str(action),
        "segments": _segments(inside[2]) if 2 in inside else None,
        "table": _host(table) if table else None,
        "next_hop": address_text(hop) if hop else None,
        "interface": interfaces[_host(interface)] if interface else None,
        "whole": inside.keys() <= {1, 2, 3, 4, 5, 6, 7, 9},
    }


def _rpl(inside: dict[int, bytes], _: Mapping[int, str]) -> dict[str, Any]:
    """RPL_IPTUNNEL_SRH: addresses in the order of travel, uncompressed (RFC 6554)."""
    raw = inside.get(1, b"")
    return {"segments": tuple(address_text(raw[at : at + 16]) for at in range(8, len(raw) - 15, 16))}


def _xfrm(inside: dict[int, bytes], interfaces: Mapping[int, str]) -> dict[str, Any]:
    """LWT_XFRM_IF_ID, LWT_XFRM_LINK."""
    return {
        "interface_id": _host(inside[1]) if 1 in inside else None,
        "interface": interfaces[_host(inside[2])] if 2 in inside else None,
    }


_READERS: dict[str, Callable[[dict[int, bytes], Mapping[int, str]], dict[str, Any]]] = {
    "mpls": _mpls,
    "ip": _ip,
    "ip6": _ip,
    "seg6": _seg6,
    "seg6local": _seg6local,
    "rpl": _rpl,
    "xfrm": _xfrm,
}
