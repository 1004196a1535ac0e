"""Links: network interfaces with all that is reported of them (linux/if_link.h: RTM_GETLINK; net/core/rtnetlink.c)."""

from __future__ import annotations

from _struct import pack

from ...engine.columns import NONE, Array, Column, Constant, Nested, interleaved
from ...engine.fields import place
from ...engine.netlink.attributes import ANY, NUMBER, Attributes, Shape
from ...engine.netlink.interfaces import BODY, DATA_SHAPE, INFO_SHAPE, WITHOUT_STATISTICS, indices, texts
from ...engine.netlink.messages import attribute, each_attribute, malformed, message
from ...engine.rtnetlink import CachedValues, address_text, by_bytes, interfaces, named
from ...engine.schema import Schema
from ...engine.text import text
from ...uapi.if_link import (
    IFLA_ADDRESS,
    IFLA_ALLMULTI,
    IFLA_ALT_IFNAME,
    IFLA_BROADCAST,
    IFLA_CARRIER,
    IFLA_CARRIER_CHANGES,
    IFLA_CARRIER_DOWN_COUNT,
    IFLA_CARRIER_UP_COUNT,
    IFLA_GRO_MAX_SIZE,
    IFLA_GROUP,
    IFLA_GSO_MAX_SEGS,
    IFLA_GSO_MAX_SIZE,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_LINKMODE,
    IFLA_MAP,
    IFLA_MASTER,
    IFLA_MAX_MTU,
    IFLA_MIN_MTU,
    IFLA_MTU,
    IFLA_NETNS_IMMUTABLE,
    IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES,
    IFLA_OPERSTATE,
    IFLA_PARENT_DEV_BUS_NAME,
    IFLA_PARENT_DEV_NAME,
    IFLA_PERM_ADDRESS,
    IFLA_PHYS_PORT_ID,
    IFLA_PHYS_PORT_NAME,
    IFLA_PHYS_SWITCH_ID,
    IFLA_PROMISCUITY,
    IFLA_PROP_LIST,
    IFLA_PROTO_DOWN,
    IFLA_PROTO_DOWN_REASON,
    IFLA_PROTO_DOWN_REASON_MASK,
    IFLA_PROTO_DOWN_REASON_VALUE,
    IFLA_QDISC,
    IFLA_STATS64,
    IFLA_TSO_MAX_SEGS,
    IFLA_TSO_MAX_SIZE,
    IFLA_TUN_TYPE,
    IFLA_TXQLEN,
    IFLA_VXLAN_LINK,
    IFLA_XDP,
)
from ...uapi.netlink import NLM_F_ACK, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETLINK, RTM_NEWLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ...engine.columns import Batch, Values
    from ...engine.netlink.messages import Layout, Run
    from ...records import XdpProgram


_FIRST_OF_DATA = 1
"""IFLA_VLAN_ID, IFLA_VXLAN_ID, IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE and IFLA_BOND_MODE are the first of their kinds."""
_OF_THEIR_OWN = frozenset(
    (
        *("bridge", "vxlan", "tun", "macvlan", "macvtap", "vlan", "bond", "vrf", "ipvlan", "ipvtap", "macsec", "hsr"),
        *("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan", "ipip", "sit", "ip6tnl", "vti", "vti6"),
        *("geneve", "xfrm"),
    )
)
"""Kinds of which decode_kinds tells more, and what it does not know."""
OTHER_KINDS = ("vlan", "bond", "bond_port", "vrf", "ipvlan", "tunnel", "macsec", "hsr", "xfrm")
"""Fields that decode_kinds fills, beside those of bridges, vxlan, tun and macvlan."""
_PORTS_OF_THEIR_OWN = frozenset(("bridge", "bond", "vrf"))
_MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
_IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}
_MODES = {
    "macvlan": _MACVLAN_MODES,
    "macvtap": _MACVLAN_MODES,
    "tun": {1: "tun", 2: "tap"},
    "ipvlan": _IPVLAN_MODES,
    "ipvtap": _IPVLAN_MODES,
    "bond": dict(
        enumerate(("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"))
    ),
}

_XDP_MODES = {1: "driver", 2: "generic", 3: "offload", 4: "multi"}
"""IFLA_XDP_ATTACHED."""
_XDP_PROGRAMS = {5: "driver", 6: "generic", 7: "offload"}
"""IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID."""
_XDP_ATTACHED, _XDP_PROG_ID = 2, 4
_XDP_SHAPE = Shape({_XDP_ATTACHED: NUMBER, _XDP_PROG_ID: NUMBER, **dict.fromkeys(_XDP_PROGRAMS, NUMBER)})

_REASONS_SHAPE = Shape({IFLA_PROTO_DOWN_REASON_VALUE: NUMBER}, (IFLA_PROTO_DOWN_REASON_MASK,))
_MODES_OF_LINKS = {0: None, 1: "dormant", 2: "testing"}
"""linux/if.h: IF_LINK_MODE_*."""
_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
"""linux/if.h: IF_OPER_*."""
_FLAGS = (
    *("up", "broadcast", "debug", "loopback", "pointopoint", "notrailers", "running", "noarp", "promisc", "allmulti"),
    *("master", "slave", "multicast", "portsel", "automedia", "dynamic", "lower_up", "dormant", "echo"),
)
"""linux/if.h: IFF_*, from the lowest bit."""
_TYPES = {
    1: "ether",
    24: "ieee1394",
    32: "infiniband",
    256: "slip",
    280: "can",
    290: "mctp",
    512: "ppp",
    519: "rawip",
    768: "ipip",
    769: "tunnel6",
    772: "loopback",
    776: "sit",
    778: "gre",
    779: "pimreg",
    801: "ieee802.11",
    802: "ieee802.11/prism",
    803: "ieee802.11/radiotap",
    804: "ieee802.15.4",
    823: "gre6",
    824: "netlink",
    825: "6lowpan",
    826: "vsockmon",
    0xFFFE: "none",
    0xFFFF: "void",
}
"""linux/if_arp.h: ARPHRD_*."""
_TUNNELS = frozenset((768, 776, 778))
"""Types whose addresses are IPv4 ones."""

# struct ifinfomsg: offsets behind the netlink header.
_SHAPE = Shape(
    {
        **dict.fromkeys((IFLA_ADDRESS, IFLA_BROADCAST, IFLA_PERM_ADDRESS), ANY),
        **dict.fromkeys((IFLA_IFNAME, IFLA_QDISC, IFLA_IFALIAS, IFLA_PARENT_DEV_NAME, IFLA_PARENT_DEV_BUS_NAME), ANY),
        **dict.fromkeys((IFLA_LINKINFO, IFLA_XDP, IFLA_PROP_LIST, IFLA_PROTO_DOWN_REASON), ANY),
        **dict.fromkeys((IFLA_PHYS_PORT_NAME, IFLA_PHYS_PORT_ID, IFLA_PHYS_SWITCH_ID), ANY),
        **dict.fromkeys((IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_TXQLEN, IFLA_GROUP, IFLA_PROMISCUITY), 4),
        **dict.fromkeys((IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES, IFLA_CARRIER_CHANGES, IFLA_LINK_NETNSID), 4),
        **dict.fromkeys((IFLA_GSO_MAX_SEGS, IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE), 4),
        **dict.fromkeys((IFLA_TSO_MAX_SIZE, IFLA_TSO_MAX_SEGS), 4),
        **dict.fromkeys((IFLA_CARRIER_UP_COUNT, IFLA_CARRIER_DOWN_COUNT), 4),
        **dict.fromkeys((IFLA_MIN_MTU, IFLA_MAX_MTU, IFLA_ALLMULTI), 4),
        **dict.fromkeys((IFLA_OPERSTATE, IFLA_CARRIER, IFLA_LINKMODE, IFLA_PROTO_DOWN, IFLA_NETNS_IMMUTABLE), 1),
        IFLA_MAP: 28,
        IFLA_STATS64: 8 * 23,
    },
    (
        *(7, 8, 9, 11, 12, 15),  # STATS, COST, PRIORITY, WIRELESS, PROTINFO, WEIGHT
        *(19, 21, 22, 24, 25, 26),  # NET_NS_PID, NUM_VF, VFINFO_LIST, VF_PORTS, PORT_SELF, AF_SPEC
        *(28, 29),  # NET_NS_FD, EXT_MASK
        *(42, 44, 45, 46, 49),  # PAD, EVENT, NEW_NETNSID, IF_NETNSID, NEW_IFINDEX
        *(62, 63, 64),  # DEVLINK_PORT, GSO_IPV4_MAX_SIZE, GRO_IPV4_MAX_SIZE
        *(65, 66, 68, 69),  # DPLL_PIN, MAX_PACING_OFFLOAD_HORIZON, HEADROOM, TAILROOM
    ),
)
_INSIDE = {
    IFLA_LINKINFO: "kind",
    IFLA_PROP_LIST: "alternative_names",
    IFLA_XDP: "xdp",
    IFLA_PROTO_DOWN_REASON: "protocol_down_reasons",
}
"""Attributes that have a shape of their own, and columns that are made of them."""
_TYPE, _INDEX, _FLAGS_AT = 18, 20, 24


def request(*, master: int = 0, kind: str | None = None, statistics: bool = True) -> bytes:
    """A dump of all links, or of those of a master and of a kind, with their counters or without."""
    payload = bytes(BODY) + (b"" if statistics else WITHOUT_STATISTICS)
    if master:
        payload += attribute(IFLA_MASTER, pack("=I", master))
    if kind is not None:
        payload += attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, kind.encode("utf-8", "surrogateescape")))
    return message(RTM_GETLINK, NLM_F_DUMP, payload)


def single_request(index: int) -> bytes:
    """One link, and an acknowledgment behind it."""
    return message(RTM_GETLINK, NLM_F_ACK, pack("=BxHiII", 0, 0, index, 0, 0))


class Decoder:
    """Decodes links. ``names`` are those of interfaces by index: what is met is put into it."""

    def __init__(self, names: dict[int, str], groups: Mapping[int, str]) -> None:
        self.names = names
        self.groups = groups
        self.flags = CachedValues(_flags_of)
        self.details = CachedValues(_details_of)
        self.detailed: tuple[Run | None, Column] = None, NONE
        """The messages whose details were asked for last, and these: several columns are made of them."""
        self.kinds: CachedValues | None = None
        """What only links of one kind have, where it is asked for."""

    def batch(self, runs: Sequence[Run]) -> Batch | None:
        """The links of one received buffer, in order. Raises NetlinkError where messages are malformed."""
        parts: list[tuple[Batch, Sequence[int]]] = []
        for run in runs:
            if run.kind != RTM_NEWLINK:
                raise malformed(f"a message of type {run.kind} among links", run.operation)
            for part, layout in run.by_layout(BODY, _SHAPE):
                if IFLA_IFNAME not in layout:
                    raise malformed("a link without a name", run.operation)
                batch = LINK.batch(part.count, self, part, layout)
                for kind, field in _INSIDE.items():
                    if kind in layout:
                        batch.column(field)  # what is wrong inside shows now, and not once rows are out
                self.names.update(zip(batch.values("index"), batch.values("name"), strict=True))
                parts.append((batch, part.positions or (0,)))
        return interleaved(parts) if parts else None


def _flags_of(word: int) -> tuple[str, ...]:
    return tuple(
        _FLAGS[bit] if bit < len(_FLAGS) else hex(1 << bit) for bit in range(word.bit_length()) if word >> bit & 1
    )


def _details_of(raw: bytes) -> dict[str, Any]:
    """What IFLA_LINKINFO says, as fields of the record."""
    inside = Attributes(raw, "listing links", INFO_SHAPE)
    kind = inside.text(IFLA_INFO_KIND)
    found: dict[str, Any] = {"kind": kind, "port_kind": inside.text(IFLA_INFO_SLAVE_KIND)}
    port = inside.nested(IFLA_INFO_SLAVE_DATA, DATA_SHAPE)
    present = inside.nested(IFLA_INFO_DATA, DATA_SHAPE)
    read = IFLA_TUN_TYPE if kind == "tun" else _FIRST_OF_DATA
    unknown = [attribute._replace(inside=(IFLA_LINKINFO,)) for attribute in inside.unknown()]
    if kind not in _OF_THEIR_OWN:
        inner = present.unknown(())
        unknown += [attribute._replace(inside=(IFLA_LINKINFO, IFLA_INFO_DATA)) for attribute in inner]
    if found["port_kind"] not in _PORTS_OF_THEIR_OWN:
        inner = port.unknown(())
        unknown += [attribute._replace(inside=(IFLA_LINKINFO, IFLA_INFO_SLAVE_DATA)) for attribute in inner]
    found["unknown"] = tuple(unknown)
    if kind not in ("vlan", "vxlan", *_MODES):
        return found
    if kind == "vxlan":
        found["parent_index"] = present.number(IFLA_VXLAN_LINK)
    number = present.number(read)
    if number is not None:
        if kind in _MODES:
            found["mode"] = _MODES[kind].get(number, str(number))
        else:
            found["vlan_id" if kind == "vlan" else "vni"] = number
    return found


def _detail(field: str) -> Callable[[Decoder, Run, Layout], Column]:
    def column(decoder: Decoder, run: Run, layout: Layout) -> Column:
        if decoder.detailed[0] is not run:
            decoder.detailed = run, by_bytes(run, layout, IFLA_LINKINFO, decoder.details)
        found = decoder.detailed[1]
        return found if found is NONE else found.map(lambda details: details.get(field))

    return column


def _kind_detail(field: str) -> Callable[[Decoder, Run, Layout], Values]:
    def column(decoder: Decoder, run: Run, layout: Layout) -> Values:
        if decoder.kinds is None:
            from .decode_kinds import kinds_of

            decoder.kinds = CachedValues(kinds_of)
        found = by_bytes(run, layout, IFLA_LINKINFO, decoder.kinds)
        return found if found is NONE else found.map(lambda details: details.get(field))

    return column


def _texts(kind: int) -> Callable[[Decoder, Run, Layout], Values]:
    return lambda decoder, run, layout: texts(run, layout, kind) if kind in layout else NONE


def _numbers(kind: int) -> Callable[[Decoder, Run, Layout], Values]:
    def column(decoder: Decoder, run: Run, layout: Layout) -> Values:
        at = place(run, layout, kind, 4)
        return NONE if at is None else run.u32(at)

    return column


def _addresses(kind: int) -> Callable[[Decoder, Run, Layout], Values]:
    def column(decoder: Decoder, run: Run, layout: Layout) -> Values:
        if kind not in layout:
            return NONE
        at, size = layout[kind]
        raws = [raw for (raw,) in run.rows(at, f"{size}s")]
        if size != 4:
            # Tunnels over IPv6 have addresses of 16 bytes, all others bytes with colons between.
            return [address_text(raw) if size == 16 else raw.hex(":") for raw in raws]
        types = run.u16(_TYPE)
        pairs = zip(types, raws, strict=True)
        return [address_text(raw) if number in _TUNNELS else raw.hex(":") for number, raw in pairs]

    return column


def _master(decoder: Decoder, run: Run, layout: Layout) -> Values:
    return interfaces(run, place(run, layout, IFLA_MASTER, 4), decoder.names)


def _parents(decoder: Decoder, run: Run, layout: Layout) -> Values:
    """Names of the links below; of those in another namespace only the index is known."""
    parents = _parent_indexes(decoder, run, layout)
    if parents is NONE:
        return NONE
    elsewhere = IFLA_LINK_NETNSID in layout
    return [
        None if not parent or parent == own else f"if{parent}" if elsewhere else decoder.names[parent]
        for parent, own in zip(parents.values(run.count), run.words(_INDEX), strict=True)
    ]


_vxlan_parents = _detail("parent_index")


def _parent_indexes(decoder: Decoder, run: Run, layout: Layout) -> Column:
    """IFLA_LINK; vxlan has the lower link in its own data, and in another namespace itself as IFLA_LINK."""
    at = place(run, layout, IFLA_LINK, 4)
    below = _vxlan_parents(decoder, run, layout)
    if at is None or below is NONE:
        return below if at is None else Array(run.u32(at))
    return Array([found or other for found, other in zip(below.values(run.count), run.words(at), strict=True)])


def _carriers(_: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, IFLA_CARRIER, 1)
    return NONE if at is None else list(map(bool, run.u8(at)))


def _switches(kind: int) -> Callable[[Decoder, Run, Layout], Values]:
    def column(decoder: Decoder, run: Run, layout: Layout) -> Values:
        at = place(run, layout, kind, 1)
        return Constant(False) if at is None else list(map(bool, run.u8(at)))

    return column


def _link_modes(_: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, IFLA_LINKMODE, 1)
    return NONE if at is None else [_MODES_OF_LINKS.get(number, str(number)) for number in run.u8(at)]


def _reasons(_: Decoder, run: Run, layout: Layout) -> Column:
    found = by_bytes(run, layout, IFLA_PROTO_DOWN_REASON, CachedValues(_reasons_of))
    return Constant(()) if found is NONE else found


def _reasons_of(raw: bytes) -> tuple[int, ...]:
    value = Attributes(raw, "listing links", _REASONS_SHAPE).number(IFLA_PROTO_DOWN_REASON_VALUE) or 0
    return tuple(bit for bit in range(value.bit_length()) if value >> bit & 1)


def _identifiers(kind: int) -> Callable[[Decoder, Run, Layout], Values]:
    return lambda _, run, layout: by_bytes(run, layout, kind, CachedValues(bytes.hex))


def _states(_: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, IFLA_OPERSTATE, 1)
    return Constant("unknown") if at is None else [_STATES[n] if n < len(_STATES) else str(n) for n in run.u8(at)]


def _groups(decoder: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, IFLA_GROUP, 4)
    return NONE if at is None else named(run.u32(at), decoder.groups)


def _alternative_names(_: Decoder, run: Run, layout: Layout) -> Values:
    if IFLA_PROP_LIST not in layout:
        return Constant(())
    at, size = layout[IFLA_PROP_LIST]
    return [
        tuple(
            text(raw[start : start + length].split(b"\0", 1)[0])
            for kind, start, length in each_attribute(raw, 0, size, run.operation)
            if kind == IFLA_ALT_IFNAME
        )
        for (raw,) in run.rows(at, f"{size}s")
    ]


def _unknown_attributes(decoder: Decoder, run: Run, layout: Layout) -> Column:
    """Those of the link itself, and those inside IFLA_LINKINFO, for kinds that are not taken apart."""
    own = _SHAPE.unknown(layout)
    inside = by_bytes(run, layout, IFLA_LINKINFO, decoder.details)
    return Constant(own) if inside is NONE else inside.map(lambda details: own + details["unknown"])


def _xdp_of(raw: bytes) -> tuple[XdpProgram, ...] | None:
    inside = Attributes(raw, "listing links", _XDP_SHAPE)
    attached = inside.number(_XDP_ATTACHED)
    if not attached:
        return None
    from ...records import XdpProgram

    programs = [(mode, inside.number(kind)) for kind, mode in _XDP_PROGRAMS.items()]
    several = tuple(XdpProgram(mode, number) for mode, number in programs if number is not None)
    return several or (XdpProgram(_XDP_MODES.get(attached, str(attached)), inside.number(_XDP_PROG_ID)),)


def _mappings(_: Decoder, run: Run, layout: Layout) -> Values:
    """struct rtnl_link_ifmap as interrupt, base address, start and end of memory, and DMA channel."""
    at = place(run, layout, IFLA_MAP, 28)
    if at is None:
        return NONE
    return [(irq, base, start, end, dma) for start, end, base, irq, dma in run.rows(at, "QQQHB")]


def _statistics(_: Decoder, run: Run, layout: Layout) -> Values:
    at = place(run, layout, IFLA_STATS64, 8 * 23)
    if at is None:
        return NONE
    return Nested(_STATISTICS.batch(run.count, run, at, at + layout[IFLA_STATS64][1]))


def _counter(number: int) -> Callable[[Run, int, int], Values]:
    """A counter of struct rtnl_link_stats64; kernels add some at the end."""
    return lambda run, at, end: run.u64(at + 8 * number) if at + 8 * number + 8 <= end else NONE


_STATISTICS = Schema(
    "LinkStatistics",
    {
        name: _counter(number)
        for number, name in enumerate(
            (
                *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors"),
                *("rx_dropped", "tx_dropped", "multicast", "collisions"),
                *("rx_length_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors"),
                *("rx_fifo_errors", "rx_missed_errors"),
                *("tx_aborted_errors", "tx_carrier_errors", "tx_fifo_errors", "tx_heartbeat_errors"),
                *("tx_window_errors", "rx_compressed", "tx_compressed", "rx_nohandler", "rx_otherhost_dropped"),
            )
        )
    },
)


LINK = Schema(
    "Link",
    {
        "index": lambda _, run, layout: indices(run),
        "name": _texts(IFLA_IFNAME),
        "kind": _detail("kind"),
        "state": _states,
        "flags": lambda decoder, run, layout: list(map(decoder.flags.__getitem__, run.words(_FLAGS_AT))),
        "mtu": _numbers(IFLA_MTU),
        "master": _master,
        "parent": _parents,
        "parent_index": _parent_indexes,
        "address": _addresses(IFLA_ADDRESS),
        "broadcast": _addresses(IFLA_BROADCAST),
        "permanent_address": _addresses(IFLA_PERM_ADDRESS),
        "type": lambda _, run, layout: [_TYPES.get(number, str(number)) for number in run.u16(_TYPE)],
        "queue_discipline": _texts(IFLA_QDISC),
        "queue_length": _numbers(IFLA_TXQLEN),
        "group": _groups,
        "alternative_names": _alternative_names,
        "alias": _texts(IFLA_IFALIAS),
        "carrier": _carriers,
        "carrier_changes": _numbers(IFLA_CARRIER_CHANGES),
        "carrier_up_count": _numbers(IFLA_CARRIER_UP_COUNT),
        "carrier_down_count": _numbers(IFLA_CARRIER_DOWN_COUNT),
        "promiscuity": _numbers(IFLA_PROMISCUITY),
        "allmulti": _numbers(IFLA_ALLMULTI),
        "min_mtu": _numbers(IFLA_MIN_MTU),
        "max_mtu": _numbers(IFLA_MAX_MTU),
        "tx_queues": _numbers(IFLA_NUM_TX_QUEUES),
        "rx_queues": _numbers(IFLA_NUM_RX_QUEUES),
        "gso_max_size": _numbers(IFLA_GSO_MAX_SIZE),
        "gso_max_segs": _numbers(IFLA_GSO_MAX_SEGS),
        "port_kind": _detail("port_kind"),
        "vlan_id": _detail("vlan_id"),
        "vni": _detail("vni"),
        "mode": _detail("mode"),
        "bridge": _kind_detail("bridge"),
        "bridge_port": _kind_detail("bridge_port"),
        "vxlan": _kind_detail("vxlan"),
        "tun": _kind_detail("tun"),
        **{field: _kind_detail(field) for field in ("macvlan", *OTHER_KINDS)},
        "parent_device": _texts(IFLA_PARENT_DEV_NAME),
        "parent_bus": _texts(IFLA_PARENT_DEV_BUS_NAME),
        "gro_max_size": _numbers(IFLA_GRO_MAX_SIZE),
        "tso_max_size": _numbers(IFLA_TSO_MAX_SIZE),
        "tso_max_segs": _numbers(IFLA_TSO_MAX_SEGS),
        "xdp": lambda _, run, layout: by_bytes(run, layout, IFLA_XDP, CachedValues(_xdp_of)),
        "link_mode": _link_modes,
        "protocol_down": _switches(IFLA_PROTO_DOWN),
        "protocol_down_reasons": _reasons,
        "physical_port": _texts(IFLA_PHYS_PORT_NAME),
        "physical_port_id": _identifiers(IFLA_PHYS_PORT_ID),
        "physical_switch": _identifiers(IFLA_PHYS_SWITCH_ID),
        "namespace_fixed": _switches(IFLA_NETNS_IMMUTABLE),
        "statistics": _statistics,
        "unknown_attributes": _unknown_attributes,
        **dict.fromkeys(("parent_namespace", "rates", "netns"), NONE),  # unless joined
    },
    extra={
        "identity": lambda _, run, layout: indices(run),
        "flag_bits": lambda _, run, layout: run.u32(_FLAGS_AT),
        "parent_nsid": _numbers(IFLA_LINK_NETNSID),
        "type_number": lambda _, run, layout: run.u16(_TYPE),
        "mapping": _mappings,
    },
)
"""The columns of links; ``parent_nsid`` is the number of the parent's network namespace in this one."""
