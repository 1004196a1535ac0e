"""Expressions that load facts beside the packet's bytes: interfaces, mark, clock, socket, tunnel (nft_meta.c …)."""

from __future__ import annotations

from sys import byteorder

from ..uapi import nf_tables as nft
from .expressions import IFNAMSIZ, hexadecimal, loading, number_at
from .expressions_chance import chance
from .machine import BREAK, CONTINUE, UNKNOWN_WHY, Doubt, Machine, register
from .packet import TCP, UNKNOWN, Interface, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program

_FAMILY_NUMBERS = {"ip": 2, "ip6": 10, "arp": 3, "bridge": 7, "netdev": 5}


def _meta(expression: Expression) -> Program:
    key = expression.number(nft.NFTA_META_KEY) or 0
    at = register(expression.number(nft.NFTA_META_DREG))
    if key not in _META:
        what = f"meta key {key}"
        doubt = Doubt(UNKNOWN_WHY, what)

        def leave_open(machine: Machine) -> int:
            machine.store_unknown(at, 4, doubt)
            return CONTINUE

        return leave_open
    size, order, get, what = _META[key]
    if what == "random":
        return chance(at, 0, 1 << 32, "it is random (meta random)")
    return loading(at, size, order, get, what)


def _name(interface: Interface | Unknown | None) -> bytes | Unknown:
    if isinstance(interface, Unknown):
        return interface
    return (interface.name if interface is not None else "").encode("utf-8", "surrogateescape")[:15].ljust(16, b"\0")


def _of(name: str, field: str) -> Callable[[Machine], int | Unknown | None]:
    """A field of an interface; None where there is none."""

    def get(machine: Machine) -> int | Unknown | None:
        interface = getattr(machine.state.packet, name)
        value: int | Unknown | None = getattr(interface, field) if interface is not None else None
        return value

    return get


def _kind(name: str) -> Callable[[Machine], bytes | Unknown | None]:
    def get(machine: Machine) -> bytes | Unknown | None:
        interface = getattr(machine.state.packet, name)
        if interface is None:
            return None
        kind = interface.kind
        return kind.encode()[:15].ljust(16, b"\0") if isinstance(kind, str) else kind

    return get


def _bridge(name: str) -> Callable[[Machine], bytes | Unknown | None]:
    def get(machine: Machine) -> bytes | Unknown | None:
        interface = getattr(machine.state.packet, name)
        if interface is None or interface.bridge is None:
            return None
        bridge = interface.bridge
        return bridge.encode()[:15].ljust(16, b"\0") if isinstance(bridge, str) else bridge

    return get


def _index(name: str) -> Callable[[Machine], int]:
    def get(machine: Machine) -> int:
        interface = getattr(machine.state.packet, name)
        return interface.index if interface is not None else 0

    return get


def _field(name: str) -> Callable[[Machine], int | Unknown | None]:
    def get(machine: Machine) -> int | Unknown | None:
        value: int | Unknown | None = getattr(machine.state.packet, name)
        return value

    return get


def _type(machine: Machine) -> int | Unknown | None:
    # Not that of the incoming interface, but of the one that the packet is at (skb->dev).
    packet = machine.state.packet
    if machine.hook == "output":
        return UNKNOWN
    interface = packet.outgoing if machine.hook in ("postrouting", "egress") else packet.incoming
    return interface.type if interface is not None else None


def _length(machine: Machine) -> int | Unknown:
    # At egress the frame's header is a part of it already.
    length = machine.state.packet.length
    return length + 14 if machine.hook == "egress" and isinstance(length, int) else length


def _protocol(machine: Machine) -> int | Unknown | None:
    if machine.state.packet.family is None and not isinstance(machine.state.packet.ethertype, Unknown):
        return None
    return machine.state.packet.protocol


def _nfproto(machine: Machine) -> int:
    # Chains of inet at ingress are reported the packet's own family (net/netfilter/nft_chain_filter.c).
    family = machine.family
    if machine.chain.family == "inet" and family == "netdev":
        family = machine.state.packet.family or family
    return _FAMILY_NUMBERS[family]


def _local_time(machine: Machine) -> float:
    return machine.context.now()


def _day(machine: Machine) -> int:
    # The kernel counts in UTC, from Sunday: 1 January 1970 was a Thursday.
    return (int(machine.context.now()) // 86400 + 4) % 7


_META: dict[int, tuple[int, str, Callable[[Machine], int | bytes | bool | Unknown | None], str]] = {
    nft.NFT_META_LEN: (4, byteorder, _length, "the packet's length"),
    nft.NFT_META_PROTOCOL: (2, "big", _field("ethertype"), "the frame's type"),
    nft.NFT_META_PRIORITY: (4, byteorder, _field("priority"), "the packet's priority"),
    nft.NFT_META_MARK: (4, byteorder, _field("mark"), "the packet's mark"),
    nft.NFT_META_IIF: (4, byteorder, _index("incoming"), ""),
    nft.NFT_META_OIF: (4, byteorder, _index("outgoing"), ""),
    nft.NFT_META_IIFNAME: (16, "", lambda machine: _name(machine.state.packet.incoming), ""),
    nft.NFT_META_OIFNAME: (16, "", lambda machine: _name(machine.state.packet.outgoing), ""),
    nft.NFT_META_IFTYPE: (2, byteorder, _type, "the type of the packet's interface"),
    nft.NFT_META_OIFTYPE: (2, byteorder, _of("outgoing", "type"), "the type of the outgoing interface"),
    nft.NFT_META_SKUID: (4, byteorder, _field("uid"), "the user of the packet's socket"),
    nft.NFT_META_SKGID: (4, byteorder, _field("gid"), "the group of the packet's socket"),
    nft.NFT_META_RTCLASSID: (4, byteorder, _field("realm"), "the realm of the packet's route"),
    nft.NFT_META_NFPROTO: (1, "big", _nfproto, ""),
    nft.NFT_META_L4PROTO: (1, "big", _protocol, "the packet's protocol"),
    nft.NFT_META_BRI_IIFNAME: (16, "", _bridge("incoming"), "the bridge of the incoming interface"),
    nft.NFT_META_BRI_OIFNAME: (16, "", _bridge("outgoing"), "the bridge of the outgoing interface"),
    nft.NFT_META_PKTTYPE: (1, "big", _field("type"), "whether the frame is for this host, broadcast or multicast"),
    nft.NFT_META_IIFGROUP: (4, byteorder, _of("incoming", "group"), "the group of the incoming interface"),
    nft.NFT_META_OIFGROUP: (4, byteorder, _of("outgoing", "group"), "the group of the outgoing interface"),
    nft.NFT_META_CGROUP: (4, byteorder, _field("cgroup"), "the control group of the packet's socket"),
    nft.NFT_META_PRANDOM: (4, byteorder, lambda machine: 0, "random"),
    nft.NFT_META_SECPATH: (1, "big", _field("ipsec"), "whether it came by IPsec"),
    nft.NFT_META_IIFKIND: (16, "", _kind("incoming"), "the kind of the incoming interface"),
    nft.NFT_META_OIFKIND: (16, "", _kind("outgoing"), "the kind of the outgoing interface"),
    nft.NFT_META_TIME_NS: (8, byteorder, lambda machine: int(machine.context.now() * 1e9), "the time"),
    nft.NFT_META_TIME_DAY: (1, "big", _day, "the day"),
    nft.NFT_META_TIME_HOUR: (4, byteorder, lambda machine: int(machine.context.now()) % 86400, "the hour"),
}
"""Bytes, their order, what is loaded, and what it is called where it is not known."""


def _socket(expression: Expression) -> Program:
    key = expression.number(nft.NFTA_SOCKET_KEY) or 0
    at = register(expression.number(nft.NFTA_SOCKET_DREG))
    what = ("whether a transparent socket takes it", "the mark of its socket", "whether its socket is bound to any")
    doubt = Doubt(UNKNOWN_WHY, what[key] if key < 3 else "the control group of its socket")
    size = {nft.NFT_SOCKET_MARK: 4, nft.NFT_SOCKET_CGROUPV2: 8}.get(key, 1)

    def load(machine: Machine) -> int:
        level = expression.number(nft.NFTA_SOCKET_LEVEL)
        if key == nft.NFT_SOCKET_TRANSPARENT:
            found = machine.context.has_transparent_socket(machine.state.packet, None, None)
            if not isinstance(found, Unknown):
                machine.store(at, bytes((found,)))
                return CONTINUE
        if key == nft.NFT_SOCKET_CGROUPV2 and machine.state.packet.cgroup2 is None:
            return BREAK
        machine.store_unknown(at, size, doubt)
        return machine.maybe(doubt, (doubt.reason, level))

    return load


def _osf(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_OSF_DREG))
    doubt = Doubt(UNKNOWN_WHY, "the fingerprint of the sender's operating system (osf)")

    def load(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and packet.protocol != TCP:
            return BREAK
        if isinstance(packet.tcp_flags, int) and not packet.tcp_flags & 2:
            return BREAK
        machine.store_unknown(at, IFNAMSIZ, doubt)
        return CONTINUE

    return load


def _xfrm(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_XFRM_DREG))
    outwards = bool((expression.raw(nft.NFTA_XFRM_DIR) or b"\0")[0])
    doubt = Doubt(UNKNOWN_WHY, "the state of IPsec that it came by or goes out by")

    def load(machine: Machine) -> int:
        if not outwards and machine.state.packet.ipsec is False:
            return BREAK
        machine.store_unknown(at, 16, doubt)
        return machine.maybe(doubt, (doubt.reason, outwards))

    return load


def _tunnel(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_TUNNEL_DREG))
    doubt = Doubt(UNKNOWN_WHY, "the tunnel that it came by or goes out by")

    def load(machine: Machine) -> int:
        machine.store_unknown(at, 4, doubt)
        return machine.maybe(doubt, doubt.reason)

    return load


def _meta_set(expression: Expression) -> Program:
    """Sets something of the packet: mark, priority, type."""
    key = expression.number(nft.NFTA_META_KEY) or 0
    at = register(expression.number(nft.NFTA_META_SREG))

    def act(machine: Machine) -> int:
        value, doubt = number_at(machine, at, 1 if key in (nft.NFT_META_PKTTYPE, nft.NFT_META_NFTRACE) else 4)
        new = UNKNOWN if value is None else value
        if key == nft.NFT_META_MARK:
            machine.change(mark=new)
            machine.act("mark", f"mark set {hexadecimal(value)}", number=value, doubt=doubt)
        elif key == nft.NFT_META_PRIORITY:
            machine.change(priority=new)
            machine.act("priority", f"priority set {hexadecimal(value)}", number=value, doubt=doubt)
        elif key == nft.NFT_META_PKTTYPE:
            machine.change(type=new)
            machine.act("type", f"packet type set {value}", number=value, doubt=doubt)
        elif key == nft.NFT_META_NFTRACE:
            machine.act("trace", "traced from here", number=value)
        else:
            machine.act("meta", f"meta key {key} set", number=value, doubt=doubt)
        return CONTINUE

    return act


COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "meta": _meta,
    "socket": _socket,
    "osf": _osf,
    "xfrm": _xfrm,
    "tunnel": _tunnel,
}
SETTERS: dict[str, tuple[int, Callable[[Expression], Program]]] = {"meta": (nft.NFTA_META_SREG, _meta_set)}
