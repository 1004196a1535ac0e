"""Asks the kernel of a place what rules ask beyond the packet (linux/rtnetlink.h)."""

from __future__ import annotations

from _socket import inet_ntop, inet_pton
from errno import EACCES, EAGAIN, EHOSTUNREACH, EINVAL, ENETUNREACH
from struct import Struct, pack

from ..engine.netlink.attributes import ADDRESS, ANY, Attributes, Shape
from ..engine.netlink.messages import attribute, malformed, message
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
    from collections.abc import Iterator

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


_METRICS = Shape({RTAX_MTU: 4})
_ROUTE = Shape({RTA_OIF: 4, RTA_GATEWAY: ADDRESS, RTA_VIA: ANY, RTA_MULTIPATH: ANY, RTA_METRICS: ANY})
_HEADER = 16 + 12
"""struct nlmsghdr and struct rtmsg."""
_HOP = Struct("=HBBi")
"""struct rtnexthop: its length with its attributes, flags, weight, interface."""


class Found:
    """The kernel's answer to RTM_GETROUTE. Raises MalformedError."""

    __slots__ = ("_attributes", "indices", "mtu", "type")

    def __init__(self, data: bytes) -> None:
        operation = "asking for a route"
        if len(data) < _HEADER:
            raise malformed(f"a route of {len(data)} bytes", operation)
        found = self._attributes = Attributes(data, operation, _ROUTE, _HEADER)
        self.type = data[23]
        index = found.number(RTA_OIF, signed=True)
        self.indices: list[int] = [] if index is None else [index]
        """The interfaces that it uses: of several next hops, all of them."""
        hops = found.raw(RTA_MULTIPATH)
        if hops is not None:
            self.indices = list(_hops(hops, operation))
        self.mtu = found.nested(RTA_METRICS, _METRICS).number(RTAX_MTU)

    def gateway(self) -> str | None:
        """The next hop."""
        via = self._attributes.raw(RTA_VIA)
        if RTA_GATEWAY in self._attributes or via is None:
            return self._attributes.address(RTA_GATEWAY)
        raw = via[2:]
        if len(raw) not in ADDRESS:
            raise malformed(f"a next hop of {len(raw)} bytes", self._attributes.operation)
        return inet_ntop(2 if len(raw) == 4 else 10, raw)


def _hops(raw: bytes, operation: str) -> Iterator[int]:
    at = 0
    while len(raw) - at >= _HOP.size:
        size, _, _, index = _HOP.unpack_from(raw, at)
        if size < _HOP.size:
            raise malformed(f"a next hop of {size} bytes", operation)
        yield index
        at += size + 3 & ~3


class KernelContext(Context):
    """Asks for routes and types of addresses; each question once, so an instance is for one moment."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._names = InterfaceNames(place)
        self._asked: dict[object, Found | int | None] = {}

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
        if device is not None and device.index not in found.indices:
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
        indices = found.indices
        if device is not None:
            if device.index not in indices:
                return None
            return Route(found.type, device, found.gateway(), found.mtu)
        interface = self.interface(indices[0]) if indices else None
        return Route(found.type, interface, found.gateway(), found.mtu)

    def next_route(self, packet: Packet) -> Route | Unknown | None:
        if packet.outgoing is None:
            return None
        if not isinstance(packet.destination, str) or isinstance(packet.mark, Unknown):
            return UNKNOWN
        found = self._ask(packet.destination, None, packet.mark, 0, packet.outgoing, match=False)
        if found is None or isinstance(found, int):
            return UNKNOWN
        return Route(found.type, packet.outgoing, found.gateway(), found.mtu)

    def _ask(
        self, address: str, source: str | None, mark: int, tos: int, device: Interface | None, *, match: bool
    ) -> Found | int | None:
        """The kernel's answer; the type of route (RTN_*) that a refusal means; None where it cannot be had."""
        index = device.index if device is not None else 0
        key = address, source, mark, tos, index, match
        if key not in self._asked:
            self._asked[key] = self._route(address, source, mark, tos, index, match=match)
        return self._asked[key]

    def _route(
        self, address: str, source: str | None, mark: int, tos: int, index: int, *, match: bool
    ) -> Found | int | None:
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
                return Found(run.data[: run.length])
        except NetlinkError as error:
            return _REFUSALS.get(error.errno)
        return None


def _packed(address: str) -> bytes:
    return inet_pton(10 if ":" in address else 2, address)
