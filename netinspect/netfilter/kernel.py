"""Asks the kernel of a place what rules ask beyond the packet (linux/rtnetlink.h)."""

from __future__ import annotations

from _socket import inet_ntop, inet_pton
from errno import EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETUNREACH
from struct import pack, unpack_from

from ..engine.netlink.messages import attribute, attributes, message
from ..engine.netlink.transport import Dump
from ..engine.places import InterfaceNames
from ..errors import NetlinkError
from ..uapi.netlink import NETLINK_ROUTE, NLM_F_ACK
from ..uapi.rtnetlink import (
    RTA_DST,
    RTA_GATEWAY,
    RTA_MARK,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_VIA,
    RTAX_MTU,
    RTM_F_FIB_MATCH,
    RTM_GETROUTE,
)
from .context import Context, Route
from .packet import UNKNOWN, Interface, Packet, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.netlink.messages import Layout
    from ..engine.places import Place

_RTN_UNICAST, _RTN_LOCAL, _RTN_BROADCAST, _RTN_ANYCAST, _RTN_MULTICAST = 1, 2, 3, 4, 5
_RTN_BLACKHOLE, _RTN_UNREACHABLE, _RTN_PROHIBIT, _RTN_THROW = 6, 7, 8, 9
_REFUSALS = {
    EINVAL: _RTN_BLACKHOLE,
    EACCES: _RTN_PROHIBIT,
    EAGAIN: _RTN_THROW,
    ENETUNREACH: _RTN_UNREACHABLE,
    EHOSTUNREACH: _RTN_UNREACHABLE,
}
"""What a look-up that is refused found (net/ipv6/netfilter/nft_fib_ipv6.c)."""


class _Found:
    """The kernel's answer to RTM_GETROUTE."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.layout: Layout = attributes(data, 28, len(data), "asking for a route")
        self.type = data[23]
        self.index = self._number(RTA_OIF)

    def _number(self, kind: int) -> int | None:
        if kind not in self.layout:
            return None
        number: int = unpack_from("=I", self.data, self.layout[kind][0])[0]
        return number

    def indices(self) -> list[int]:
        """The interfaces that it uses: of several next hops, all of them."""
        if RTA_MULTIPATH not in self.layout:
            return [] if self.index is None else [self.index]
        at, length = self.layout[RTA_MULTIPATH]
        end, found = at + length, []
        while end - at >= 8:
            size, _, _, index = unpack_from("=HBBi", self.data, at)
            found.append(index)
            at += max(size, 8) + 3 & ~3
        return found

    def gateway(self) -> str | None:
        for kind, skipped in ((RTA_GATEWAY, 0), (RTA_VIA, 2)):
            if kind in self.layout:
                at, length = self.layout[kind]
                raw = self.data[at + skipped : at + length]
                return inet_ntop(2 if len(raw) == 4 else 10, raw)
        return None

    def mtu(self) -> int | None:
        if RTA_METRICS not in self.layout:
            return None
        at, length = self.layout[RTA_METRICS]
        inner = attributes(self.data, at, at + length)
        if RTAX_MTU not in inner:
            return None
        number: int = unpack_from("=I", self.data, inner[RTAX_MTU][0])[0]
        return number


class KernelContext(Context):
    """Asks for routes and types of addresses; each question once, so an instance is for one moment."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._names = InterfaceNames(place)
        self._asked: dict[object, _Found | int | None] = {}

    def interface(self, index: int) -> Interface:
        """An interface by its index, with its name."""
        return Interface(index, self._names[index])

    def address_type(self, address: str, device: Interface | None) -> int | Unknown:
        packed = _packed(address)
        six = len(packed) == 16
        if not six:
            if packed[0] == 0 or packed == b"\xff\xff\xff\xff":
                return _RTN_BROADCAST
            if packed[0] >> 4 == 0xE:
                return _RTN_MULTICAST
        found = self._ask(address, None, 0, 0, None, match=True)
        if found is None:
            return UNKNOWN
        if isinstance(found, int):
            return found if six else _RTN_UNICAST  # the table of local addresses has no refusals
        if six and packed[0] == 0xFF:
            return _RTN_MULTICAST
        # Only tables of local addresses have routes of these types, whatever table is reported: they may be merged.
        if device is not None and device.index not in found.indices():
            return _RTN_UNICAST
        return found.type if found.type in (_RTN_LOCAL, _RTN_BROADCAST, _RTN_ANYCAST) else _RTN_UNICAST

    def reverse_route(
        self, address: str, source: str | None, mark: int, tos: int, device: Interface | None
    ) -> Route | Unknown | None:
        six = ":" in address
        found = self._ask(address, source, mark, tos, device if six else None, match=True)
        if found is None:
            return UNKNOWN
        if isinstance(found, int):
            return None
        indices = found.indices()
        if device is not None:
            if device.index not in indices:
                return None
            return Route(found.type, device, found.gateway(), found.mtu())
        interface = self.interface(indices[0]) if indices else None
        return Route(found.type, interface, found.gateway(), found.mtu())

    def next_route(self, packet: Packet) -> Route | Unknown | None:
        if packet.outgoing is None:
            return None
        if not isinstance(packet.destination, str) or isinstance(packet.mark, Unknown):
            return UNKNOWN
        found = self._ask(packet.destination, None, packet.mark, 0, packet.outgoing, match=False)
        if found is None or isinstance(found, int):
            return UNKNOWN
        return Route(found.type, packet.outgoing, found.gateway(), found.mtu())

    def _ask(
        self, address: str, source: str | None, mark: int, tos: int, device: Interface | None, *, match: bool
    ) -> _Found | int | None:
        """The kernel's answer; the type of route (RTN_*) that a refusal means; None where it cannot be had."""
        index = device.index if device is not None else 0
        key = address, source, mark, tos, index, match
        if key not in self._asked:
            self._asked[key] = self._route(address, source, mark, tos, index, match=match)
        return self._asked[key]

    def _route(
        self, address: str, source: str | None, mark: int, tos: int, index: int, *, match: bool
    ) -> _Found | int | None:
        packed = _packed(address)
        family = 2 if len(packed) == 4 else 10
        flags = RTM_F_FIB_MATCH if match else 0
        body = pack("=8BI", family, 8 * len(packed), 0, tos & 0x1C if family == 2 else 0, 0, 0, 0, 0, flags)
        body += attribute(RTA_DST, packed)
        if mark:
            body += attribute(RTA_MARK, pack("=I", mark))
        if index:
            body += attribute(RTA_OIF, pack("=I", index))
        request = message(RTM_GETROUTE, NLM_F_ACK, body)
        try:
            for run in Dump(self._place.connect(NETLINK_ROUTE), request, "asking for a route"):
                return _Found(run.data[: run.length])
        except NetlinkError as error:
            return _REFUSALS.get(error.errno)
        return None


def _packed(address: str) -> bytes:
    return inet_pton(10 if ":" in address else 2, address)
