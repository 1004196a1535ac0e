"""Packets that come in to a gateway while it is looked at, listened for where something asks for them."""

from __future__ import annotations

from ..path.listing_stack import inside_of
from .diagnose_capture import Heard, heard, wrong_checksums

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place
    from ..path.listing_stack import Stack
    from ..path.walk_packet import Packet
    from .diagnose_situation import Network

_SECONDS = 1.5
"""For how long packets are listened to, at most."""


class Hearing:
    """What is heard in one namespace. Nothing is listened to before it is asked for, and nothing is sent."""

    def __init__(self, place: Place, home: Stack, inside: Sequence[Network], sample: float) -> None:
        """``place`` is open. ``sample``: seconds, at most; 0 hears nothing."""
        self._place = place
        self._home = home
        self._inside = inside
        self._sample = sample
        self._begun: list[Heard] | None = None
        self._coming: list[Heard] = []
        self.packets: list[Heard] = []
        """Packets heard, where something is wrong with some."""
        self.wrong_checksums: list[Heard] = []
        """Packets heard whose checksum is wrong; looked for only where there are invalid ones."""
        self.off_path: list[Heard] = []
        """Packets heard that the reverse path filter drops, except forged ones; looked for only where some are."""

    def listen(self, *, dropped: bool) -> None:
        """Listens because counters say that something is wrong; ``dropped``: the reverse path filter drops some."""
        packets = heard(self._place, min(self._sample, _SECONDS))
        self.wrong_checksums = list(wrong_checksums(packets))
        self.packets = packets
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
        """First packets of flows that are heard coming in; waits for them once."""
        if self._begun is None:
            self._coming = heard(self._place, min(self._sample, _SECONDS)) if self._sample else []
            self._begun = [packet for packet in self._coming if packet.begins]
        return self._begun

    def coming(self) -> list[Heard]:
        """All packets that are heard coming in; waits for them once."""
        self.begun()
        return self._coming

    def attempts(self) -> list[Heard]:
        """Those from inside, for others than this machine."""
        networks = [(network.address, network.length, network.interface.name) for network in self._inside]
        return [
            packet
            for packet in self.begun()
            if not self._home.is_local(packet.destination)
            and any(
                name == packet.interface
                and (":" in text) == (":" in packet.source)
                and inside_of(packet.source, f"{text}/{length}")
                for text, length, name in networks
            )
        ]

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
            if self._home.tracked(packet.protocol, packet.source, packet.destination, packet.ports) is not None:
                return 0
            number += 1
        return number
