"""Dropped packets (netinspect drops)."""

from __future__ import annotations

from .sockets import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Drop(NamedTuple):
    """A packet that the kernel dropped (linux/net/dropreason-core.h). None: does not apply, or is not known."""

    time: Annotated[float, "when, in seconds since 1970"]
    reason: Annotated[str | None, "the kernel's reason: NO_SOCKET, NETFILTER_DROP …; None before Linux 5.17"]
    place: Annotated[str, "kernel function that dropped it, with the offset; an address if unknown"]
    interface: Annotated[str | None, "interface it was received on, or about to be sent on"] = None
    interface_index: Annotated[int | None, "index of that interface"] = None
    received_on: Annotated[str | None, "interface it came in on; None: locally generated"] = None
    family: Annotated[
        str | None,
        "inet, inet6, arp, or the Ethernet type, such as 0x88cc; unix or netlink: a message on such a socket",
    ] = None
    protocol: Annotated[str | None, "tcp, udp, icmp, icmpv6 …, or a number"] = None
    source_address: Annotated[str | None, "source address; ARP: the sender's address"] = None
    source_port: Annotated[int | None, "source port (TCP, UDP, SCTP, DCCP)"] = None
    destination_address: Annotated[str | None, "destination address; ARP: the target address"] = None
    destination_port: Annotated[int | None, "port"] = None
    icmp_type: Annotated[int | None, "ICMP and ICMPv6: type"] = None
    icmp_code: Annotated[int | None, "ICMP and ICMPv6: code"] = None
    tcp_flags: Annotated[tuple[str, ...], "fin, syn, rst, psh, ack, urg, ece, cwr"] = ()
    ttl: Annotated[int | None, "time to live, or hop limit"] = None
    length: Annotated[int | None, "bytes"] = None
    mark: Annotated[int | None, "firewall mark; None if not set"] = None
    inode: Annotated[int | None, "inode of the sending or receiving socket"] = None
    processes: Annotated[tuple[Process, ...], "processes that hold that socket"] = ()
    rule: Annotated[str | None, "firewall rule that would drop such a packet now, if known"] = None
    packets: Annotated[int, "packets: 1, or the increase of a counter"] = 1
    meaning: Annotated[str | None, "meaning of the reason; None if this release does not know it"] = None
    look: Annotated[str | None, "what to look at"] = None
    source: Annotated[str, "source: bpf, drop_monitor, or the counter that rose"] = "bpf"
    namespace_inode: Annotated[int | None, "inode of its network namespace"] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None


class DropCount(NamedTuple):
    """Packets that were dropped alike: for one reason, in one place, on one interface (netinspect drops count)."""

    packets: Annotated[int, "how many"]
    rate: Annotated[float, "packets/s over the counting time"]
    reason: Annotated[str | None, "the kernel's reason, as for a drop"]
    place: Annotated[str, "kernel function that dropped them, with the offset"]
    interface: Annotated[str | None, "their interface"] = None
    rule: Annotated[str | None, "firewall rule that would drop the last one now, if known"] = None
    last: Annotated[str | None, "the last packet: protocol, addresses and ports"] = None
    processes: Annotated[tuple[Process, ...], "processes that hold the last packet's socket"] = ()
    meaning: Annotated[str | None, "what the reason means"] = None
    look: Annotated[str | None, "what to look at"] = None
    source: Annotated[str, "source: bpf, drop_monitor, or the counter that rose"] = "bpf"
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None


class DropCounter(NamedTuple):
    """A counter of packets that were dropped, from the card to the socket (netinspect drops account)."""

    layer: Annotated[str, "card, link, qdisc, softnet, ip, netfilter, conntrack, transport or socket"]
    counter: Annotated[str, "the kernel's name for it, after the name of its table"]
    of: Annotated[str | None, "its interface, queue, processor or socket; None: the whole namespace"]
    value: Annotated[int, "packets since it began"]
    rate: Annotated[float | None, "packets/s over the interval"]
    meaning: Annotated[str | None, "what it counts; None if this release does not know it"]
    look: Annotated[str | None, "what to look at"]
    source: Annotated[str, "source: rtnetlink, ethtool, ctnetlink, nf_tables, sock_diag, or procfs: file"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
