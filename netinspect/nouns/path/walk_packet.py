"""A packet on its way, and what connection tracking of a namespace makes of it."""

from __future__ import annotations

from ...records import PathPacket
from .listing_stack import NUMBERS, WITH_PORTS, family_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .listing_stack import Interface

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
TTL = 64
"""net.ipv4.ip_default_ttl, and what most systems send."""


class Packet:
    """Its fields; they are not changed, ``but`` gives another. Ports are 0 where any will do."""

    __slots__ = (
        *("destination", "destination_port", "icmp", "mark", "protocol", "reply", "size", "source"),
        *("source_port", "tos", "ttl", "zone"),
    )

    def __init__(
        self,
        protocol: int,
        source: str,
        destination: str,
        source_port: int = 0,
        destination_port: int = 0,
        mark: int = 0,
        *,
        reply: bool = False,
        size: int = 60,
    ) -> None:
        self.protocol = protocol
        self.source = source
        self.source_port = source_port
        self.destination = destination
        self.destination_port = destination_port
        self.mark = mark
        self.reply = reply
        """Whether it answers another: TCP's SYN and ACK, an echo reply."""
        self.icmp: int | None = None
        """ICMP type; None: of an echo."""
        self.size = size
        """Bytes, with its IP header."""
        self.ttl: int | None = TTL
        """Its time to live, or hop limit; None where rules made it one that is not known."""
        self.tos: int | None = 0
        """Its type of service, or traffic class; None where rules made it one that is not known."""
        self.zone: Interface | None = None
        """The interface that the sender names with a link-local destination (``fe80::9%eth0``)."""

    @property
    def routed_by(self) -> int:
        """The type of service as rules and routes see it: without the bits of congestion notification (RFC 3168)."""
        return (self.tos or 0) & ~3

    @property
    def family(self) -> str:
        """inet or inet6."""
        return family_of(self.destination)

    @property
    def version(self) -> str:
        """ipv4 or ipv6, as sysctls call it."""
        return "ipv6" if self.family == "inet6" else "ipv4"

    @property
    def ports(self) -> tuple[int, int]:
        """Source and destination port."""
        return self.source_port, self.destination_port

    def but(self, **fields: Any) -> Packet:
        """The same with other values in some fields."""
        made = Packet.__new__(Packet)
        for name in Packet.__slots__:
            setattr(made, name, fields.get(name, getattr(self, name)))
        return made

    def answer(self) -> Packet:
        """The packet that answers it; it bears no mark yet."""
        return self.but(
            source=self.destination,
            source_port=self.destination_port,
            destination=self.source,
            destination_port=self.source_port,
            reply=not self.reply,
            mark=0,
            ttl=TTL,
            tos=0,
            zone=None,
        )

    def same_flow(self, other: Packet) -> bool:
        """Whether both have one tuple; a port of 0 fits any."""
        return (
            self.protocol == other.protocol
            and self.source == other.source
            and self.destination == other.destination
            and all(one == two or 0 in (one, two) for one, two in zip(self.ports, other.ports, strict=True))
        )

    def record(self) -> PathPacket:
        """As outputs have it."""
        return PathPacket(
            self.family,
            NUMBERS.get(self.protocol, str(self.protocol)),
            self.source,
            self.source_port or None,
            self.destination,
            self.destination_port or None,
            self.mark,
        )

    def __str__(self) -> str:
        protocol = NUMBERS.get(self.protocol, str(self.protocol)) + " " if self.protocol else ""
        with_ports = self.protocol in WITH_PORTS
        source, destination = (
            endpoint(self.source, self.source_port if with_ports else 0),
            endpoint(self.destination, self.destination_port if with_ports else 0),
        )
        return f"{protocol}{source} > {destination}"


def endpoint(address: str, port: int) -> str:
    """An address with its port, where it has one."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Tracked:
    """What connection tracking of a namespace holds of a flow while its packet passes."""

    __slots__ = (
        *("direction", "entry", "helper", "mark", "original", "state", "status", "translated", "zone"),
        *("zone_only", "nat_done"),
    )

    def __init__(self, original: Packet) -> None:
        self.original = original
        """The packet as it came to be tracked."""
        self.translated = original
        """The packet as NAT makes it."""
        self.state = "new"
        """new, established, related, invalid or untracked."""
        self.direction = "original"
        self.zone = 0
        self.zone_only: str | None = None
        """original or reply, where the zone counts in one direction only."""
        self.mark = 0
        self.status: set[str] = set()
        """snat, dnat … as far as set."""
        self.helper: str | None = None
        self.entry: Any = None
        """The flow in the table that the packet belongs to (a record), where there is one."""
        self.nat_done: set[str] = set()
        """source, destination: what has been decided for good."""
