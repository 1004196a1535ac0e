"""Packets that come in to a gateway while it is looked at, heard for as long as the sample lasts."""

from __future__ import annotations

from ..path.listing_stack import inside_of
from .diagnose_capture import Asked, Capture, Heard, wrong_checksums

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place
    from ...records import Flow
    from ..path.listing_stack import Interface, Stack
    from ..path.walk_packet import Packet
    from .diagnose_situation import Network


class Hearing:
    """What is heard in one namespace. Nothing is sent."""

    def __init__(self, place: Place, home: Stack, inside: Sequence[Network], sample: float) -> None:
        """``place`` is open; what comes in is heard from now on. ``sample``: seconds, at most; 0 hears nothing."""
        self._home = home
        self._inside = inside
        self._capture = Capture(place) if sample else None
        self._heard_on: dict[str, dict[str, None]] | None = None
        """By source the names of the interfaces that it was heard on."""
        self.wrong_checksums: list[Heard] = []
        """Packets heard whose checksum is wrong; looked for only where there are invalid ones."""
        self.off_path: list[Heard] = []
        """Packets heard that the reverse path filter drops, except forged ones; looked for only where some are."""

    def listen(self, seconds: float) -> None:
        """Waits some seconds, and hears what comes in meanwhile."""
        if self._capture is not None:
            self._capture.listen(seconds)

    def close(self) -> None:
        """Hears no more."""
        if self._capture is not None:
            self._capture.close()

    @property
    def packets(self) -> list[Heard]:
        """The packets for this machine's interfaces that were heard."""
        return self._capture.packets if self._capture is not None else []

    @property
    def passing(self) -> list[Heard]:
        """The packets for other machines that were heard."""
        return self._capture.passing if self._capture is not None else []

    @property
    def asked(self) -> list[Asked]:
        """The ARP requests, and neighbour solicitations, that were heard."""
        return self._capture.asked if self._capture is not None else []

    @property
    def moves(self) -> dict[bytes, list[str]]:
        """By MAC address the interfaces that it was heard on, in order."""
        return self._capture.moves if self._capture is not None else {}

    def heard_on(self, source: str) -> list[Interface]:
        """The interfaces with addresses on which packets or ARP requests from an address were heard."""
        if self._heard_on is None:
            self._heard_on = {}
            for packet in self.packets:
                self._heard_on.setdefault(packet.source, {})[packet.interface] = None
            for request in self.asked:
                self._heard_on.setdefault(request.source, {})[request.interface] = None
        found = []
        for name in self._heard_on.get(source, ()):
            on = self._home.named(name)
            on = on if on is None else self._home.bridge_of(on) or on
            if on is not None and on not in found:
                found.append(on)
        return found

    def explain(self, *, dropped: bool) -> None:
        """Looks for what counters say is wrong; ``dropped``: the reverse path filter drops some."""
        packets = self.packets
        self.wrong_checksums = list(wrong_checksums(packets))
        if not dropped:
            return
        inside_networks = [(network.address, network.length, network.interface.name) for network in self._inside]
        seen = set()
        everywhere = self._home.own("ipv4", "all", "rp_filter") or 0
        for packet in packets:
            key = packet.interface, packet.source
            if key in seen or ":" in packet.source:
                continue
            seen.add(key)
            mode = max(everywhere, self._home.own("ipv4", packet.interface, "rp_filter") or 0)
            way = self._home.route_to(packet.source)
            if mode != 1 or (way is not None and way.name == packet.interface) or self._home.is_local(packet.source):
                continue
            if any(
                inside_of(packet.source, f"{text}/{length}") for text, length, _ in inside_networks if ":" not in text
            ):
                continue  # an inside address from elsewhere: forged, and rightly dropped
            self.off_path.append(packet)

    def begun(self) -> list[Heard]:
        """First packets of flows that were heard coming in."""
        return [packet for packet in self.packets if packet.begins]

    def has_entry(self, packet: Heard) -> bool:
        """Whether connection tracking has an entry for a packet by now."""
        return self._home.tracked(packet.protocol, packet.source, packet.destination, packet.ports) is not None

    def interface(self, packet: Heard) -> Interface | None:
        """The interface with addresses that a packet comes in by: of a port its bridge."""
        found = self._home.named(packet.interface)
        return found if found is None else self._home.bridge_of(found) or found

    def attempts(self) -> list[Heard]:
        """First packets from inside, for others than this machine; of those that a bridge gives on, one each."""
        networks = [(network.address, network.length, network.interface.name) for network in self._inside]
        found = [(packet, packet.interface) for packet in self.packets if packet.begins]
        given_on = {(packet.data[4:6], packet.source, packet.destination, packet.ports) for packet, _ in found}
        for packet in self.passing:
            on = self.interface(packet)
            if packet.begins and on is not None and on.name != packet.interface:
                key = packet.data[4:6], packet.source, packet.destination, packet.ports
                if key not in given_on and self._home.on_link(packet.destination) is not on:
                    found.append((packet, on.name))
        return [
            packet
            for packet, interface in found
            if not self._home.is_local(packet.destination)
            and any(
                name == interface
                and (":" in text) == (":" in packet.source)
                and inside_of(packet.source, f"{text}/{length}")
                for text, length, name in networks
            )
        ]

    def bridged(self) -> list[Heard]:
        """First packets that come in by a port of a bridge, for another host of its network."""
        found = []
        for packet in self.passing:
            on = self.interface(packet)
            if (
                packet.begins
                and on is not None
                and on.name != packet.interface
                and self._home.on_link(packet.source) is on
                and self._home.on_link(packet.destination) is on
                and not self._home.is_local(packet.destination)
            ):
                found.append(packet)
        return found

    def only_bridged(self, flow: Flow) -> bool:
        """Whether packets like a flow's, of its host to its service, are for another machine where they are heard."""

        def same(packet: Heard) -> bool:
            return (packet.protocol, packet.source, packet.destination, packet.ports[1]) == (
                *(flow.protocol_number, flow.source_address, flow.destination_address, flow.destination_port or 0),
            )

        return any(map(same, self.passing)) and not any(
            same(packet) for packet in self.packets if self.interface(packet) is self._home.named(packet.interface)
        )

    def lost(self, wanted: Packet) -> int:
        """How many first packets of a flow were heard, where none of them got an entry."""
        number = 0
        for packet in self.begun():
            if (packet.protocol, packet.source, packet.destination, packet.ports[1]) != (
                wanted.protocol,
                wanted.source,
                wanted.destination,
                wanted.destination_port,
            ):
                continue
            if self.has_entry(packet):
                return 0
            number += 1
        return number
