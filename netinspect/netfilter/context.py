"""What rules ask beyond the packet: routes, types of addresses, sockets, the clock."""

from __future__ import annotations

from .packet import UNKNOWN, Interface, Packet, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Route(NamedTuple):
    """What a look-up in the routing tables found."""

    type: Annotated[int, "linux/rtnetlink.h: RTN_*"]
    device: Annotated[Interface | None, "the interface that it leads to"]
    gateway: Annotated[str | None, "next hop; None where it is the destination itself"] = None
    mtu: Annotated[int | None, "MTU of the path"] = None


class Context:
    """Answers UNKNOWN to everything: a subclass answers what it can. Addresses are text."""

    def address_type(self, address: str, device: Interface | None) -> int | Unknown:
        """Of what type an address is (RTN_*), only as one of ``device`` where that is not None."""
        return UNKNOWN

    def reverse_route(
        self, address: str, source: str | None, mark: int, tos: int, device: Interface | None
    ) -> Route | Unknown | None:
        """Where packets to ``address`` would go, by ``device`` alone where that is not None; None: nowhere."""
        return UNKNOWN

    def next_route(self, packet: Packet) -> Route | Unknown | None:
        """The route that a packet has been given; None before the routing."""
        return UNKNOWN

    def has_transparent_socket(self, packet: Packet, address: str | None, port: int | None) -> bool | Unknown:
        """Whether a transparent socket would take a packet that is sent to this address and port instead."""
        return UNKNOWN

    def queue_served(self, first: int, last: int) -> bool | Unknown:
        """Whether programs read all queues of packets from ``first`` to ``last``."""
        return UNKNOWN

    def now(self) -> float:
        """Seconds since 1970 for rules that look at the time."""
        from time import time

        return time()
