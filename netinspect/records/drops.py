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
    place: Annotated[str, "function of the kernel that dropped it, and how far inside; an address where unknown"]
    interface: Annotated[str | None, "interface that it was on: received, or about to be sent"] = None
    interface_index: Annotated[int | None, "index of that interface"] = None
    received_on: Annotated[str | None, "interface that it came in by; None: it was made here"] = None
    family: Annotated[
        str | None, "inet, inet6, arp, or the Ethernet type as 0x88cc; unix or netlink: a message of such a socket"
    ] = None
    protocol: Annotated[str | None, "tcp, udp, icmp, icmpv6 …, or a number"] = None
    source_address: Annotated[str | None, "where it is from; of ARP, the address of who asks or answers"] = None
    source_port: Annotated[int | None, "port, of TCP, UDP, SCTP and DCCP"] = None
    destination_address: Annotated[str | None, "where it was to go; of ARP, the address that is asked for"] = None
    destination_port: Annotated[int | None, "port"] = None
    icmp_type: Annotated[int | None, "ICMP and ICMPv6: type"] = None
    icmp_code: Annotated[int | None, "ICMP and ICMPv6: code"] = None
    tcp_flags: Annotated[tuple[str, ...], "fin, syn, rst, psh, ack, urg, ece, cwr"] = ()
    ttl: Annotated[int | None, "time to live, or hop limit"] = None
    length: Annotated[int | None, "bytes"] = None
    mark: Annotated[int | None, "firewall mark; None where it has none"] = None
    inode: Annotated[int | None, "inode of the socket that it was from, or for"] = None
    processes: Annotated[tuple[Process, ...], "processes that hold that socket"] = ()
    rule: Annotated[str | None, "firewall rule that drops such a packet now, if known"] = None
    packets: Annotated[int, "packets: 1, or what a counter rose by"] = 1
    meaning: Annotated[str | None, "what the reason means; None where this version does not know it"] = None
    look: Annotated[str | None, "what to look at"] = None
    source: Annotated[str, "source: bpf, drop_monitor, or the counter that rose"] = "bpf"
    namespace_inode: Annotated[int | None, "inode of the network namespace that it was in"] = None
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None


class DropCount(NamedTuple):
    """Packets that were dropped alike: for one reason, in one place, on one interface (netinspect drops count)."""

    packets: Annotated[int, "how many"]
    rate: Annotated[float, "packets/s, over the time of counting"]
    reason: Annotated[str | None, "the kernel's reason, as for a drop"]
    place: Annotated[str, "function of the kernel that dropped them, and how far inside"]
    interface: Annotated[str | None, "interface that they were on"] = None
    rule: Annotated[str | None, "firewall rule that drops the last one now, if known"] = None
    last: Annotated[str | None, "the last one: protocol, addresses and ports"] = None
    processes: Annotated[tuple[Process, ...], "processes that hold the socket of the last one"] = ()
    meaning: Annotated[str | None, "what the reason means"] = None
    look: Annotated[str | None, "what to look at"] = None
    source: Annotated[str, "source: bpf, drop_monitor, or the counter that rose"] = "bpf"
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None


class DropCounter(NamedTuple):
    """A counter of packets that were dropped, from the card to the socket (netinspect drops account)."""

    layer: Annotated[str, "card, link, qdisc, softnet, ip, netfilter, conntrack, transport or socket"]
    counter: Annotated[str, "its name, as the kernel has it, with its table before it"]
    of: Annotated[str | None, "interface, queue, processor or socket that it is of; None: of the whole namespace"]
    value: Annotated[int, "packets since it began"]
    rate: Annotated[float | None, "packets/s, over the interval of measuring"]
    meaning: Annotated[str | None, "what it counts; None where this version does not know it"]
    look: Annotated[str | None, "what to look at"]
    source: Annotated[str, "where it was read: rtnetlink, ethtool, ctnetlink, nf_tables, sock_diag, or procfs: file"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
