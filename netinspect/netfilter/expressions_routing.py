"""Expressions that ask routing (nft_rt.c, nft_fib.c)."""

from __future__ import annotations

from _socket import inet_pton
from sys import byteorder

from ..uapi import nf_tables as nft
from .expressions import loading
from .machine import BREAK, CONTINUE, UNKNOWN_WHY, Doubt, Machine, register
from .packet import ETH_P_IPV6, UNKNOWN, Interface, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program

RTN_UNICAST, RTN_LOCAL = 1, 2


def _rt(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_RT_DREG))
    key = expression.number(nft.NFTA_RT_KEY) or 0
    what = {
        nft.NFT_RT_CLASSID: "the realm of its route",
        nft.NFT_RT_TCPMSS: "the segment size of its path",
        nft.NFT_RT_XFRM: "whether its route leads through IPsec",
    }.get(key, "its next hop")
    size, order = {nft.NFT_RT_NEXTHOP4: (4, ""), nft.NFT_RT_NEXTHOP6: (16, ""), nft.NFT_RT_TCPMSS: (2, byteorder)}.get(
        key, (1, "big") if key == nft.NFT_RT_XFRM else (4, byteorder)
    )

    def get(machine: Machine) -> int | bytes | Unknown | None:
        packet = machine.state.packet
        if key == nft.NFT_RT_CLASSID:
            return packet.realm
        if key == nft.NFT_RT_XFRM and packet.ipsec is False and packet.outgoing is not None:
            return 0
        route = machine.context.next_route(packet)
        if route is None or isinstance(route, Unknown):
            return route
        if key in (nft.NFT_RT_NEXTHOP4, nft.NFT_RT_NEXTHOP6):
            if packet.family != ("ip" if key == nft.NFT_RT_NEXTHOP4 else "ip6"):
                return None
            hop = route.gateway or packet.destination
            return inet_pton(10 if ":" in hop else 2, hop) if isinstance(hop, str) else UNKNOWN
        if key == nft.NFT_RT_TCPMSS:
            return segment_size(machine)
        return UNKNOWN

    return loading(at, size, order, get, what)


def segment_size(machine: Machine) -> int | Unknown:
    """The segment size that the path's MTU leaves, the lesser of both directions (nft_rt.c: get_tcpmss)."""
    packet = machine.state.packet
    route = machine.context.next_route(packet)
    if route is None or isinstance(route, Unknown) or route.mtu is None or not isinstance(packet.source, str):
        return UNKNOWN
    back = machine.context.reverse_route(packet.source, None, 0, 0, None)
    if isinstance(back, Unknown):
        return UNKNOWN
    mtus = [route.mtu]
    if back is not None:
        if back.mtu is None:
            return UNKNOWN
        mtus.append(back.mtu)
    return max(min(mtus) - (60 if packet.ethertype == ETH_P_IPV6 else 40), 0)


def _fib(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_FIB_DREG))
    result = expression.number(nft.NFTA_FIB_RESULT) or 0
    flags = expression.number(nft.NFTA_FIB_FLAGS) or 0
    which = "source" if flags & nft.NFTA_FIB_F_SADDR else "destination"
    if result == nft.NFT_FIB_RESULT_ADDRTYPE:
        what = f"the type of the {which} address"
    else:
        what = f"the route to the {which} address"
    doubt = Doubt(UNKNOWN_WHY, what)
    present = bool(flags & nft.NFTA_FIB_F_PRESENT)
    size = 16 if result == nft.NFT_FIB_RESULT_OIFNAME else 4

    def load(machine: Machine) -> int:
        packet = machine.state.packet
        if packet.family is None:
            # In netdev and bridge chains there are other frames, which have no route.
            return BREAK if machine.family in ("netdev", "bridge") else CONTINUE
        address = packet.source if which == "source" else packet.destination
        device = None
        if flags & nft.NFTA_FIB_F_IIF:
            device = packet.incoming
        elif flags & nft.NFTA_FIB_F_OIF:
            device = packet.outgoing
        if not isinstance(address, str):
            machine.store_unknown(at, size, doubt)
            return CONTINUE
        if result == nft.NFT_FIB_RESULT_ADDRTYPE:
            kind = machine.context.address_type(address, device)
            if isinstance(kind, Unknown):
                machine.store_unknown(at, 4, doubt)
            else:
                machine.store(at, kind.to_bytes(4, byteorder))
            return CONTINUE
        other = packet.destination if which == "source" else packet.source
        mark = packet.mark if flags & nft.NFTA_FIB_F_MARK else 0
        if isinstance(mark, Unknown):
            machine.store_unknown(at, size, doubt)
            return CONTINUE
        if machine.hook in ("prerouting", "ingress") and packet.incoming is not None and packet.incoming.name == "lo":
            found: Interface | None = packet.incoming
        else:
            tos = packet.tos if isinstance(packet.tos, int) else 0
            known = other if isinstance(other, str) else None
            route = machine.context.reverse_route(address, known, mark, tos, device)
            if isinstance(route, Unknown):
                machine.store_unknown(at, size, doubt)
                return CONTINUE
            # A route that is not to elsewhere counts as none (net/ipv4/netfilter/nft_fib_ipv4.c).
            found = route.device if route is not None and route.type == RTN_UNICAST else None
        if present:
            machine.store(at, b"\1" if found is not None else b"\0")
        elif result == nft.NFT_FIB_RESULT_OIFNAME:
            machine.store(at, (found.name if found is not None else "").encode()[:15].ljust(16, b"\0"))
        else:
            machine.store(at, (found.index if found is not None else 0).to_bytes(4, byteorder))
        return CONTINUE

    return load


COMPILERS: dict[str, Callable[[Expression], Program]] = {"rt": _rt, "fib": _fib}
