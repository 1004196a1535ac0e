"""What rules see on a packet's way: the packet with what is known of it, interfaces, and facts of the namespace."""

from __future__ import annotations

from ...errors import NetlinkError
from ...netfilter import packet as nf
from ...netfilter.context import Context, Route
from .walk_packet import ICMP, ICMPV6, TCP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .listing_stack import Interface, Stack
    from .walk_packet import Packet, Tracked

_SYN, _SYN_ACK = 0x02, 0x12
_ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}
_NOT_BRIDGED: dict[str, Any] = {"physical_incoming": None, "physical_outgoing": None}
_OPTIONS = bytes.fromhex("020405b40402080a000000000000000001030307")
"""Of a SYN: segment size, SACK, timestamps, window scale, as Linux and most others send them."""
_DONE = {"source": 1 << 7, "destination": 1 << 8}
_STATUS = {"SEEN_REPLY": 1 << 1, "ASSURED": 1 << 2, "CONFIRMED": 1 << 3, "snat": 1 << 4, "dnat": 1 << 5}
"""linux/netfilter/nf_conntrack_common.h: IPS_*"""


class Facts(Context):
    """What rules ask of a namespace beside the packet."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._queues: frozenset[int] | nf.Unknown | None = None

    def address_type(self, address: str, device: nf.Interface | None) -> int | nf.Unknown:
        from ...engine.rtnetlink import ROUTE_TYPES

        stack = self._stack
        if stack.is_local(address) or address.startswith("127.") or address == "::1":
            owner = stack.owner(address)
            here = device is None or (owner is not None and owner.index == device.index)
            return ROUTE_TYPES.index("local" if here else "unicast")
        try:
            answer = stack.route(address)
        except NetlinkError:
            return nf.UNKNOWN
        kind = answer.type
        return ROUTE_TYPES.index(kind if kind in ("broadcast", "multicast", "anycast") else "unicast")

    def has_transparent_socket(self, packet: nf.Packet, address: str | None, port: int | None) -> bool | nf.Unknown:
        source, destination, protocol = packet.source, packet.destination, packet.protocol
        to = port or packet.destination_port
        if not (isinstance(source, str) and isinstance(destination, str)):
            return nf.UNKNOWN
        if not (isinstance(protocol, int) and isinstance(to, int) and packet.incoming is not None):
            return nf.UNKNOWN
        stack = self._stack
        iif = stack.interfaces.get(packet.incoming.index)
        own = stack.networks(iif) if iif is not None else []
        if address is None:  # net/ipv4/netfilter/nf_tproxy_ipv4.c: nf_tproxy_laddr4
            address = next((text for text, _ in own if (":" in text) == (":" in destination)), destination)
        source_port = packet.source_port if isinstance(packet.source_port, int) else 0
        try:
            found = stack.receiver(protocol, source, source_port or 1, address, to, iif)
        except NetlinkError:
            return nf.UNKNOWN
        if found is None:
            return False
        return nf.UNKNOWN if found.options is None else "transparent" in found.options

    def queue_served(self, first: int, last: int) -> bool | nf.Unknown:
        if self._queues is None:
            self._queues = queues_read(self._stack)
        if isinstance(self._queues, nf.Unknown):
            return nf.UNKNOWN
        return all(number in self._queues for number in range(first, last + 1))

    def next_route(self, packet: nf.Packet) -> Route | nf.Unknown | None:
        from ...engine.rtnetlink import ROUTE_TYPES

        if packet.outgoing is None:
            return None
        if not isinstance(packet.destination, str) or isinstance(packet.mark, nf.Unknown):
            return nf.UNKNOWN
        oif = self._stack.interfaces.get(packet.outgoing.index)
        try:
            route = self._stack.route(packet.destination, oif=oif, mark=packet.mark).route
        except NetlinkError:
            return nf.UNKNOWN
        if route is None:
            return nf.UNKNOWN
        return Route(ROUTE_TYPES.index(route.type), packet.outgoing, route.gateway)

    def reverse_route(
        self, address: str, source: str | None, mark: int, tos: int, device: nf.Interface | None
    ) -> Route | nf.Unknown | None:
        from ...engine.rtnetlink import ROUTE_TYPES

        oif = self._stack.interfaces.get(device.index) if device is not None else None
        try:
            answer = self._stack.route(address, oif=oif, mark=mark, matched=True)
        except NetlinkError:
            return nf.UNKNOWN
        # Where an interface is named and no route leads out of it, IPv4 answers as if the address were on its link.
        if answer.route is None or (oif is not None and ":" not in address and answer.entry is None):
            return None
        found = self._stack.named(answer.route.interface)
        return Route(
            ROUTE_TYPES.index(answer.route.type),
            interface_of(self._stack, found),
            answer.route.gateway,
        )


def queues_read(stack: Stack) -> frozenset[int] | nf.Unknown:
    """The queues of packets that programs read (net/netfilter/nfnetlink_queue.c: seq_show)."""
    from _functools import partial

    from ...engine.namespaces import inside
    from ...errors import NetinspectError
    from ...procfs import network_text

    try:
        text = inside(stack.place.descriptor, partial(network_text, "netfilter/nfnetlink_queue"))
    except NetinspectError:
        return nf.UNKNOWN  # only root may read it
    if text is None:
        return frozenset()  # the module is not loaded: no program can read one
    first = (line.split()[:1] for line in text.splitlines())
    return frozenset(int(column) for columns in first for column in columns if column.isdecimal())


def without_socket(packet: nf.Packet) -> nf.Packet:
    """What came in from a wire belongs to no socket yet (net/ipv4/ip_input.c: skb_orphan in ip_rcv_core)."""
    return packet.replace(uid=None, gid=None, cgroup=None, cgroup2=None)


def interface_of(stack: Stack, interface: Interface | None) -> nf.Interface | None:
    """An interface as rules see it."""
    if interface is None:
        return None
    bridge = stack.bridge_of(interface)
    return nf.Interface(
        interface.index,
        interface.name,
        interface.type_number,
        interface.group_number,
        interface.kind or "",
        bridge.name if bridge else None,
    )


def packet_seen(
    stack: Stack, packet: Packet, iif: Interface | None, oif: Interface | None, tracked: Tracked | None
) -> nf.Packet:
    """The packet as rules see it, with what is known of it."""
    fields: dict[str, Any] = {}
    if packet.protocol in _ECHO:
        fields["icmp_type"] = packet.icmp if packet.icmp is not None else _ECHO[packet.protocol][packet.reply]
        fields["icmp_code"] = 0
        fields["source_port"] = fields["destination_port"] = None
    else:
        fields["source_port"] = packet.source_port or nf.UNKNOWN
        fields["destination_port"] = packet.destination_port or nf.UNKNOWN
    if packet.protocol == TCP:
        fields["tcp_flags"] = _SYN_ACK if packet.reply else _SYN
        fields["tcp_options"] = _OPTIONS
    return nf.Packet(
        source=packet.source,
        destination=packet.destination,
        protocol=packet.protocol,
        ethertype=nf.ETH_P_IPV6 if packet.family == "inet6" else nf.ETH_P_IP,
        length=packet.size,
        tos=nf.UNKNOWN if packet.tos is None else packet.tos,
        ttl=nf.UNKNOWN if packet.ttl is None else packet.ttl,
        fragment=0x4000,
        mark=packet.mark,
        type=nf.PACKET_HOST,
        incoming=interface_of(stack, iif),
        outgoing=interface_of(stack, oif),
        ipsec=False,
        **({} if iif is not None and iif.kind == "bridge" else _NOT_BRIDGED),
        tracking=_tracking(tracked),
        **fields,
    )


def _tracking(tracked: Tracked | None) -> nf.Tracking | None:
    if tracked is None:
        return None
    if tracked.state == "untracked":
        return nf.UNTRACKED
    if tracked.state == "invalid":
        return nf.Tracking("invalid", nf.UNKNOWN, 0, 0, 0, None, None, None, 0)
    status = sum(_STATUS.get(bit, 0) for bit in tracked.status)
    status |= sum(_DONE[what] for what in tracked.nat_done)
    if tracked.direction == "reply" or tracked.state == "established":
        status |= _DONE["source"] | _DONE["destination"] | _STATUS["SEEN_REPLY"] | _STATUS["CONFIRMED"]
    original, reply = tracked.original, tracked.translated.answer()
    return nf.Tracking(
        tracked.state,
        tracked.direction,
        status,
        tracked.mark,
        tracked.zone,
        nf.Ends(original.source, original.destination, original.protocol, *original.ports),
        nf.Ends(reply.source, reply.destination, reply.protocol, *reply.ports),
        tracked.helper,
        0,
    )
