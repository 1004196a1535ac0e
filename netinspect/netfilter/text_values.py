"""What values are called in nft(8)'s language: addresses, ports, marks, states, and the fields of headers."""

from __future__ import annotations

from _socket import inet_ntop
from sys import byteorder

from ..engine.quoting import nft_identifier
from ..uapi import nf_tables as nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple

PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipencap",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    46: "rsvp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "ipv6-icmp",
    89: "ospf",
    94: "ipip",
    103: "pim",
    108: "comp",
    112: "vrrp",
    132: "sctp",
    136: "udplite",
    139: "hip",
    0: "ip",
    43: "ipv6-route",
    44: "ipv6-frag",
    59: "ipv6-nonxt",
}
"""As /etc/protocols commonly has them, and nft(8) lists them."""
_ETHERTYPES = {0x0800: "ip", 0x0806: "arp", 0x86DD: "ip6", 0x8100: "8021q", 0x88A8: "8021ad"}
_ICMP = {
    0: "echo-reply",
    3: "destination-unreachable",
    4: "source-quench",
    5: "redirect",
    8: "echo-request",
    9: "router-advertisement",
    10: "router-solicitation",
    11: "time-exceeded",
    12: "parameter-problem",
    13: "timestamp-request",
    14: "timestamp-reply",
    15: "info-request",
    16: "info-reply",
    17: "address-mask-request",
    18: "address-mask-reply",
}
_ICMPV6 = {
    1: "destination-unreachable",
    2: "packet-too-big",
    3: "time-exceeded",
    4: "parameter-problem",
    128: "echo-request",
    129: "echo-reply",
    130: "mld-listener-query",
    131: "mld-listener-report",
    132: "mld-listener-done",
    133: "nd-router-solicit",
    134: "nd-router-advert",
    135: "nd-neighbor-solicit",
    136: "nd-neighbor-advert",
    137: "nd-redirect",
    143: "mld2-listener-report",
}
_DSCP = {
    **{8 * number: f"cs{number}" for number in range(8)},
    **{8 * one + 2 * two: f"af{one}{two}" for one in range(1, 5) for two in range(1, 4)},
    46: "ef",
}
FLAGS = {
    "ct_state": {1: "invalid", 2: "established", 4: "related", 8: "new", 64: "untracked"},
    "ct_status": {
        1: "expected",
        2: "seen-reply",
        4: "assured",
        8: "confirmed",
        16: "snat",
        32: "dnat",
        512: "dying",
    },
    "tcp_flag": {1: "fin", 2: "syn", 4: "rst", 8: "psh", 16: "ack", 32: "urg", 64: "ecn", 128: "cwr"},
}
"""Types whose values are bits."""
_NAMED: dict[str, dict[int, str]] = {
    "nf_proto": {2: "ipv4", 10: "ipv6", 3: "arp", 7: "bridge"},
    "inet_proto": PROTOCOLS,
    "ether_type": _ETHERTYPES,
    "icmp_type": _ICMP,
    "icmpv6_type": _ICMPV6,
    "icmp_code": {0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable"},
    "icmpv6_code": {0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable"},
    "arp_op": {1: "request", 2: "reply", 3: "rrequest", 4: "rreply"},
    "ct_dir": {0: "original", 1: "reply"},
    "pkt_type": {0: "host", 1: "broadcast", 2: "multicast", 3: "other"},
    "devgroup": {0: '"default"'},
    "dscp": _DSCP,
    "ecn": {0: "not-ect", 1: "ect1", 2: "ect0", 3: "ce"},
    "iface_type": {1: "ether", 512: "ppp", 772: "loopback", 65534: "none"},
    "fib_addrtype": {
        0: "unspec",
        1: "unicast",
        2: "local",
        3: "broadcast",
        4: "anycast",
        5: "multicast",
        6: "blackhole",
        7: "unreachable",
        8: "prohibit",
    },
    "day": dict(enumerate(("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"))),
}
HOST_ORDER = frozenset(
    (
        *("mark", "iface_index", "iface_type", "devgroup", "uid", "gid", "realm", "classid", "ct_state", "ct_status"),
        *("host_integer", "fib_addrtype", "ct_label", "cgroupsv2", "time", "hour"),
    )
)
"""Types whose values lie in the machine's order."""
_TYPES = (
    *("invalid", "verdict", "nf_proto", "bitmask", "integer", "string", "ll_addr", "ipv4_addr", "ipv6_addr"),
    *("ether_addr", "ether_type", "arp_op", "inet_proto", "inet_service", "icmp_type", "tcp_flag", "dccp_pkttype"),
    *("mh_type", "time", "mark", "iface_index", "iface_type", "realm", "classid", "uid", "gid", "ct_state"),
    *("ct_dir", "ct_status", "icmpv6_type", "ct_label", "pkt_type", "icmp_code", "icmpv6_code", "icmpx_code"),
    *("devgroup", "dscp", "ecn", "fib_addrtype", "boolean", "ct_event", "ifname", "igmp_type", "time", "hour"),
    *("day", "cgroupsv2"),
)
"""By nft(8)'s numbers, which sets keep (libnftables's enum datatypes)."""


class Field(NamedTuple):
    """A field of a header, or anything else that a rule looks at."""

    name: Annotated[str, "in nft(8)'s words"]
    type: Annotated[str, "nft(8)'s type of it"]
    size: Annotated[int, "bytes in the register"]
    protocol: Annotated[int | None, "the protocol that the field is of, which nft(8) does not say beside it"] = None
    mask: Annotated[int, "bits of the bytes that the field has; 0: all"] = 0
    family: Annotated[str | None, "ip or ip6 where it is of such a packet alone"] = None


def type_names(number: int) -> list[str]:
    """The types of a set's key: of a concatenation each, six bits apiece."""
    names = []
    while number:
        kind = number & 63
        names.append(_TYPES[kind] if kind < len(_TYPES) else "integer")
        number >>= 6
    names.reverse()
    return names or ["integer"]


class _Exactness:
    """Whether what is being written means to nft(8) what the rule says: see `exactly` in text.py."""

    lost = False


EXACTNESS = _Exactness()


def quoted(text: str) -> str:
    """A string of nft(8)'s, whose language has no way to write a quotation mark in one."""
    if '"' in text or not text.isprintable():
        EXACTNESS.lost = True
    return '"' + text.replace('"', "'") + '"'


def identifier(name: str) -> str:
    """The name of a chain, set or object: quoted where it would not be read as one."""
    plain = name.replace("_", "a").replace("-", "a").replace(".", "a").replace("/", "a")
    if nft_identifier(name) is None:
        EXACTNESS.lost = True
    return name if plain.isascii() and plain.isalnum() and not name[0].isdigit() else quoted(name)


def value_text(value: bytes, kind: str) -> str:
    """One value."""
    size = len(value)
    if kind == "ipv4_addr" and size == 4:
        return inet_ntop(2, value)
    if kind == "ipv6_addr" and size == 16:
        return inet_ntop(10, value)
    if kind in ("ether_addr", "ll_addr"):
        return value.hex(":")
    if kind in ("ifname", "string"):
        name = value.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        whole = b"\0" in value or size == 16
        if whole and name.endswith("*"):
            EXACTNESS.lost = True  # in what nft(8) lists, too, it looks like a wildcard
        return quoted(name if whole else f"{name}*")
    number = int.from_bytes(value, byteorder if kind in HOST_ORDER else "big")
    if kind == "boolean":
        return "exists" if number else "missing"
    if kind in FLAGS:
        return flags_text(number, kind)
    if kind in _NAMED and number in _NAMED[kind]:
        return _NAMED[kind][number]
    if kind in ("mark", "dscp"):
        return f"0x{number:0{8 if kind == 'mark' else 2}x}"
    if kind in ("bitmask", "integer_hex"):
        return f"0x{number:x}"
    if kind == "hour":
        return quoted(f"{number // 3600:02d}:{number // 60 % 60:02d}")
    if kind == "ct_label":
        return ",".join([str(bit) for bit in range(128) if number >> bit & 1]) or "0"
    if kind == "integer" and size > 8:
        return f"0x{number:x}"
    return str(number)


def flags_text(number: int, kind: str, separator: str = ",") -> str:
    """Names of bits."""
    names = [name for bit, name in FLAGS[kind].items() if number & bit]
    rest = number & ~sum(FLAGS[kind])
    if rest or not names:
        names.append(f"0x{rest:x}")
    return separator.join(names)


_Fields = tuple[tuple[int, int, str, str], ...]
_IP: _Fields = (
    *((0, 1, "version", "integer"), (1, 1, "dscp", "dscp"), (2, 2, "length", "integer"), (4, 2, "id", "integer")),
    *((6, 2, "frag-off", "integer"), (8, 1, "ttl", "integer"), (9, 1, "protocol", "inet_proto")),
    *((10, 2, "checksum", "integer"), (12, 4, "saddr", "ipv4_addr"), (16, 4, "daddr", "ipv4_addr")),
)
_IP6: _Fields = (
    *((4, 2, "length", "integer"), (6, 1, "nexthdr", "inet_proto"), (7, 1, "hoplimit", "integer")),
    *((8, 16, "saddr", "ipv6_addr"), (24, 16, "daddr", "ipv6_addr"), (1, 3, "flowlabel", "integer")),
)
_ARP: _Fields = (
    *((0, 2, "htype", "integer"), (2, 2, "ptype", "ether_type"), (4, 1, "hlen", "integer")),
    *((5, 1, "plen", "integer"), (6, 2, "operation", "arp_op"), (8, 6, "saddr ether", "ether_addr")),
    *((14, 4, "saddr ip", "ipv4_addr"), (18, 6, "daddr ether", "ether_addr"), (24, 4, "daddr ip", "ipv4_addr")),
)
_ETHER = ((0, 6, "daddr", "ether_addr"), (6, 6, "saddr", "ether_addr"), (12, 2, "type", "ether_type"))
_PORTS = ((0, 2, "sport", "inet_service"), (2, 2, "dport", "inet_service"))
_TRANSPORT = {
    6: (
        *_PORTS,
        *((4, 4, "sequence", "integer"), (8, 4, "ackseq", "integer"), (13, 1, "flags", "tcp_flag")),
        *((14, 2, "window", "integer"), (16, 2, "checksum", "integer"), (18, 2, "urgptr", "integer")),
    ),
    17: (*_PORTS, (4, 2, "length", "integer"), (6, 2, "checksum", "integer")),
    132: (*_PORTS, (4, 4, "vtag", "integer"), (8, 4, "checksum", "integer")),
    33: _PORTS,
    136: _PORTS,
    1: (
        *((0, 1, "type", "icmp_type"), (1, 1, "code", "icmp_code"), (2, 2, "checksum", "integer")),
        *(
            (4, 2, "id", "integer"),
            (6, 2, "sequence", "integer"),
            (4, 4, "gateway", "integer"),
            (6, 2, "mtu", "integer"),
        ),
    ),
    58: (
        *((0, 1, "type", "icmpv6_type"), (1, 1, "code", "icmpv6_code"), (2, 2, "checksum", "integer")),
        *((4, 2, "id", "integer"), (6, 2, "sequence", "integer"), (4, 4, "mtu", "integer")),
    ),
}
_TRANSPORT_NAMES = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp", 136: "udplite", 1: "icmp", 58: "icmpv6"}
PARTS: dict[tuple[str, int, int, int], tuple[str, int, str]] = {
    ("ip", 0, 1, 0xF0): ("version", 4, "integer"),
    ("ip", 0, 1, 0x0F): ("hdrlength", 0, "integer"),
    ("ip", 1, 1, 0xFC): ("dscp", 2, "dscp"),
    ("ip", 1, 1, 0x03): ("ecn", 0, "ecn"),
    ("ip6", 0, 1, 0xF0): ("version", 4, "integer"),
    ("ip6", 0, 2, 0x0FC0): ("dscp", 6, "dscp"),
    ("ip6", 1, 1, 0x30): ("ecn", 4, "ecn"),
    ("ip6", 1, 3, 0x0FFFFF): ("flowlabel", 0, "integer"),
    ("tcp", 12, 1, 0xF0): ("doff", 4, "integer"),
    ("vlan", 14, 2, 0x0FFF): ("id", 0, "integer"),
    ("vlan", 14, 1, 0xE0): ("pcp", 5, "integer"),
    ("vlan", 14, 1, 0x10): ("dei", 4, "integer"),
}
"""Fields that are a part of their bytes: header, offset, size and mask, to name, shift and type."""


def header_field(base: int, offset: int, size: int, network: str | None, protocol: int | None) -> Field:
    """What bytes of a header are called; ``network`` and ``protocol`` are those that the rule has asked for before."""
    if base == nft.NFT_PAYLOAD_NETWORK_HEADER and network in ("ip", "ip6", "arp"):
        for at, length, name, kind in {"ip": _IP, "ip6": _IP6, "arp": _ARP}[network]:
            if at == offset and length == size:
                family = network if network in ("ip", "ip6") else None
                return Field(f"{network} {name}", kind, size, family=family)
            # A prefix of whole bytes is compared in fewer of them.
            if at == offset and kind in ("ipv4_addr", "ipv6_addr") and size < length:
                return Field(f"{network} {name}", f"{kind} prefix", size, family=network)
    if base == nft.NFT_PAYLOAD_TRANSPORT_HEADER:
        fields = _TRANSPORT.get(protocol, ()) if protocol is not None else _PORTS
        for at, length, name, kind in fields:
            if at == offset and length == size:
                header = _TRANSPORT_NAMES[protocol] if protocol is not None else "th"
                family = {1: "ip", 58: "ip6"}.get(protocol or 0)
                return Field(f"{header} {name}", kind, size, protocol, family=family)
        if protocol not in _TRANSPORT and offset == 0 and size == 4:
            return Field("th sport . th dport", "integer", size)
        if protocol not in _TRANSPORT and (offset, size) in ((0, 2), (2, 2)):
            return Field("th sport" if offset == 0 else "th dport", "inet_service", size)
    if base == nft.NFT_PAYLOAD_LL_HEADER:
        for at, length, name, kind in _ETHER:
            if at == offset and length == size:
                return Field(f"ether {name}", kind, size)
        if (offset, size) == (16, 2):
            return Field("vlan type", "ether_type", size)
    name = ("ll", "nh", "th", "ih")[min(base, 3)]
    header = _header(base, network, protocol)
    if any(key[:3] == (header, offset, size) for key in PARTS):
        of = protocol if base == nft.NFT_PAYLOAD_TRANSPORT_HEADER else None
        family = network if base == nft.NFT_PAYLOAD_NETWORK_HEADER else None
        return Field(f"@{name},{8 * offset},{8 * size}", "integer_hex", size, of, family=family)
    return Field(f"@{name},{8 * offset},{8 * size}", "integer_hex", size)


def _header(base: int, network: str | None, protocol: int | None) -> str:
    return {0: "vlan", 1: network or "", 2: _TRANSPORT_NAMES.get(protocol or -1, "")}.get(base, "")


def part_of(
    base: int, offset: int, size: int, mask: int, network: str | None, protocol: int | None
) -> tuple[str, int, str] | None:
    """The field that a mask takes of bytes of a header: its words, its shift and its type."""
    header = _header(base, network, protocol)
    found = PARTS.get((header, offset, size, mask))
    return None if found is None else (f"{header} {found[0]}", found[1], found[2])


META = {
    nft.NFT_META_LEN: ("meta length", "host_integer", 4),
    nft.NFT_META_PROTOCOL: ("meta protocol", "ether_type", 2),
    nft.NFT_META_PRIORITY: ("meta priority", "classid", 4),
    nft.NFT_META_MARK: ("meta mark", "mark", 4),
    nft.NFT_META_IIF: ("iif", "iface_index", 4),
    nft.NFT_META_OIF: ("oif", "iface_index", 4),
    nft.NFT_META_IIFNAME: ("iifname", "ifname", 16),
    nft.NFT_META_OIFNAME: ("oifname", "ifname", 16),
    nft.NFT_META_IFTYPE: ("meta iiftype", "iface_type", 2),
    nft.NFT_META_OIFTYPE: ("meta oiftype", "iface_type", 2),
    nft.NFT_META_SKUID: ("meta skuid", "uid", 4),
    nft.NFT_META_SKGID: ("meta skgid", "gid", 4),
    nft.NFT_META_NFTRACE: ("meta nftrace", "integer", 1),
    nft.NFT_META_RTCLASSID: ("meta rtclassid", "realm", 4),
    nft.NFT_META_SECMARK: ("meta secmark", "host_integer", 4),
    nft.NFT_META_NFPROTO: ("meta nfproto", "nf_proto", 1),
    nft.NFT_META_L4PROTO: ("meta l4proto", "inet_proto", 1),
    nft.NFT_META_BRI_IIFNAME: ("meta ibrname", "ifname", 16),
    nft.NFT_META_BRI_OIFNAME: ("meta obrname", "ifname", 16),
    nft.NFT_META_PKTTYPE: ("meta pkttype", "pkt_type", 1),
    nft.NFT_META_CPU: ("meta cpu", "host_integer", 4),
    nft.NFT_META_IIFGROUP: ("iifgroup", "devgroup", 4),
    nft.NFT_META_OIFGROUP: ("oifgroup", "devgroup", 4),
    nft.NFT_META_CGROUP: ("meta cgroup", "host_integer", 4),
    nft.NFT_META_PRANDOM: ("meta random", "integer", 4),
    nft.NFT_META_SECPATH: ("meta secpath", "boolean", 1),
    nft.NFT_META_IIFKIND: ("meta iifkind", "ifname", 16),
    nft.NFT_META_OIFKIND: ("meta oifkind", "ifname", 16),
    nft.NFT_META_BRI_IIFPVID: ("meta ibrpvid", "host_integer", 2),
    nft.NFT_META_BRI_IIFVPROTO: ("meta ibrvproto", "ether_type", 2),
    nft.NFT_META_TIME_NS: ("meta time", "time", 8),
    nft.NFT_META_TIME_DAY: ("meta day", "day", 1),
    nft.NFT_META_TIME_HOUR: ("meta hour", "hour", 4),
    nft.NFT_META_SDIF: ("meta sdif", "iface_index", 4),
    nft.NFT_META_SDIFNAME: ("meta sdifname", "ifname", 16),
}
CT = {
    nft.NFT_CT_STATE: ("state", "ct_state", 4),
    nft.NFT_CT_DIRECTION: ("direction", "ct_dir", 1),
    nft.NFT_CT_STATUS: ("status", "ct_status", 4),
    nft.NFT_CT_MARK: ("mark", "mark", 4),
    nft.NFT_CT_SECMARK: ("secmark", "host_integer", 4),
    nft.NFT_CT_EXPIRATION: ("expiration", "host_integer", 4),
    nft.NFT_CT_HELPER: ("helper", "string", 16),
    nft.NFT_CT_L3PROTOCOL: ("l3proto", "nf_proto", 1),
    nft.NFT_CT_SRC: ("saddr", "ipv4_addr", 16),
    nft.NFT_CT_DST: ("daddr", "ipv4_addr", 16),
    nft.NFT_CT_PROTOCOL: ("protocol", "inet_proto", 1),
    nft.NFT_CT_PROTO_SRC: ("proto-src", "inet_service", 2),
    nft.NFT_CT_PROTO_DST: ("proto-dst", "inet_service", 2),
    nft.NFT_CT_LABELS: ("label", "ct_label", 16),
    nft.NFT_CT_PKTS: ("packets", "host_integer", 8),
    nft.NFT_CT_BYTES: ("bytes", "host_integer", 8),
    nft.NFT_CT_AVGPKT: ("avgpkt", "host_integer", 8),
    nft.NFT_CT_ZONE: ("zone", "host_integer", 2),
    nft.NFT_CT_EVENTMASK: ("event", "host_integer", 4),
    nft.NFT_CT_SRC_IP: ("ip saddr", "ipv4_addr", 4),
    nft.NFT_CT_DST_IP: ("ip daddr", "ipv4_addr", 4),
    nft.NFT_CT_SRC_IP6: ("ip6 saddr", "ipv6_addr", 16),
    nft.NFT_CT_DST_IP6: ("ip6 daddr", "ipv6_addr", 16),
    nft.NFT_CT_ID: ("id", "host_integer", 4),
}
