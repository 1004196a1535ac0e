"""Where rules lead what is sent to a port of this machine: whoever holds such a port only keeps it taken."""

from __future__ import annotations

from posix import stat
from socket import IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, if_nameindex

from ...engine.places import Place
from ...errors import NetinspectError
from ...netfilter.context import Context
from ...netfilter.evaluate import run_hook
from ...netfilter.packet import ETH_P_IPV6, UNKNOWN, Interface, Packet, Tracking
from ...netfilter.ruleset import Ruleset, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PROTOCOLS = {"tcp": IPPROTO_TCP, "udp": IPPROTO_UDP, "sctp": IPPROTO_SCTP}
_LOCAL = 2
"""linux/rtnetlink.h: RTN_LOCAL"""
_MOST_INTERFACES = 16
"""By how many interfaces a packet is thought to come in."""


class _Here(Context):
    """Every address that is asked for is one of this machine."""

    def address_type(self, address: str, device: Interface | None) -> int:
        return _LOCAL


class _Inside:
    """A network namespace with its rules and interfaces."""

    def __init__(self, path: str) -> None:
        self.place = Place(path)
        self.ruleset = Ruleset()
        self.interfaces: list[Interface] = []
        with self.place:
            self.ruleset = read(self.place)
            found = self.place.call(if_nameindex)
            self.interfaces = [Interface(index, name) for index, name in found[:_MOST_INTERFACES]]


class Translations:
    """Asks the rules of network namespaces, each of which is read once."""

    def __init__(self) -> None:
        self._read: dict[tuple[int, int], _Inside | None] = {}

    def of(self, pid: int, protocol: str, address: str, port: int) -> tuple[str, int] | None:
        """The address and port that the rules of that process's network namespace translate this destination to.

        None where they do not, lead to several, or cannot be read. It does not matter where a packet comes from.
        """
        inside = self._inside(f"/proc/{pid}/ns/net")
        number = _PROTOCOLS.get(protocol)
        if inside is None or number is None:
            return None
        try:
            with inside.place:
                found = next(filter(None, _targets(inside, number, address, port)), ())
        except NetinspectError:
            return None
        return found[0] if len(found) == 1 else None

    def _inside(self, path: str) -> _Inside | None:
        try:
            status = stat(path)
        except OSError:
            return None
        key = status.st_dev, status.st_ino
        if key not in self._read:
            try:
                self._read[key] = _Inside(path)
            except (NetinspectError, OSError):
                self._read[key] = None
        return self._read[key]


def _targets(inside: _Inside, protocol: int, address: str, port: int) -> Iterator[list[tuple[str, int]]]:
    """Where rules lead to, as seen by each interface."""
    families = ("ip6",) if ":" in address and address != "::" else ("ip",) if "." in address else ("ip", "ip6")
    for family in families:
        chains = [chain for chain in inside.ruleset.base_chains(family, "prerouting") if chain.kind == "nat"]
        for interface in inside.interfaces if chains else ():
            packet = Packet(
                destination=UNKNOWN if address in ("0.0.0.0", "::") else address,
                protocol=protocol,
                destination_port=port,
                incoming=interface,
                tracking=Tracking("new", status=0),
            )
            if family == "ip6":
                packet = packet.replace(ethertype=ETH_P_IPV6)
            walk = run_hook(inside.ruleset, family, "prerouting", packet, _Here(), chains=chains)
            actions = [outcome.translation for outcome in walk.outcomes]
            yield list(
                dict.fromkeys(
                    (action.addresses[0], action.ports[0] if action.ports else port)
                    for action in actions
                    if action is not None and action.kind == "dnat" and action.addresses is not None
                )
            )
