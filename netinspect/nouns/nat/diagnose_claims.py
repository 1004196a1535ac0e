"""Who answers for an address of a link: another machine by turns, a program here, or this machine as a proxy."""

from __future__ import annotations

from _functools import partial
from sys import byteorder

from ...engine.namespaces import inside
from ...procfs import network_text
from ..routing.listing_neighbours import NeighbourListing
from ..routing.listing_neighbours import Query as NeighbourQuery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..path.listing_stack import Interface
    from .diagnose_situation import Situation

_VRRP = {"igmp": f"{int.from_bytes(bytes((224, 0, 0, 18)), byteorder):08X}", "igmp6": "ff02" + 26 * "0" + "12"}
"""224.0.0.18 and ff02::12, as files of /proc/net have them."""
_ARP = "0806"
"""Protocol of a packet socket that hears ARP (/proc/net/packet)."""


def shared(situation: Situation, on: Interface, address: str) -> list[str]:
    """What shows that another machine, or a program here, has an address of a link by turns, or answers for it."""
    found = []
    neighbour = situation.home.neighbour(on, address)
    if neighbour is not None and neighbour.link_address and neighbour.state not in ("failed", "incomplete"):
        found.append(f"neighbour: {address} is {neighbour.link_address} on {on}")
    file = "igmp6" if ":" in address else "igmp"
    if _VRRP[file] in (inside(situation.place.descriptor, partial(network_text, file)) or ""):
        found.append("multicast: the group of VRRP is joined: addresses move between routers")
    packets = inside(situation.place.descriptor, partial(network_text, "packet")) or ""
    if any(line.split()[3:4] == [_ARP] for line in packets.splitlines()[1:]):
        found.append("packet socket: a program of this machine hears ARP, and may answer for addresses")
    return found


def answers_for(situation: Situation, on: Interface, address: str) -> bool:
    """Whether an address of a link that this machine does not have is answered for there all the same.

    net/ipv4/arp.c, arp_process: only where another interface leads to it. net/ipv6/ndisc.c asks for the entry.
    """

    def switched(version: str, name: str) -> bool:
        return any(situation.home.own(version, where, name) for where in ("all", on.name))

    if ":" in address:
        return (on.name, address) in _proxied(situation) and switched("ipv6", "proxy_ndp")
    if switched("ipv4", "proxy_arp_pvlan"):
        return True
    way = situation.home.route_to(address)
    if way is None or way is on:
        return False
    return (on.name, address) in _proxied(situation) or switched("ipv4", "proxy_arp")


def _proxied(situation: Situation) -> set[tuple[str, str]]:
    """Interface and address of what is answered for by single entries (`ip neigh add proxy`)."""
    return {
        (found.interface, found.address)
        for batch in NeighbourListing(NeighbourQuery(everything=True), [situation.again()]).batches()
        for found in batch
        if "proxy" in found.flags
    }
