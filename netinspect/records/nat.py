"""Address translation (netinspect nat)."""

from __future__ import annotations

from .sockets import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Translation(NamedTuple):
    """One translated flow: who is inside, its destination, and what stands for it outside.

    Of a flow whose source is translated, inside is its source. Of one whose destination is translated (DNAT, redirect),
    inside is who really answers, and destination the other end, which knows only the outside address.
    """

    family: Annotated[str, "inet or inet6"]
    protocol: Annotated[str, "transport protocol; its number if unknown"]
    protocol_number: Annotated[int, "IP protocol number"]
    kind: Annotated[
        str,
        "masquerade or snat: the source is translated; dnat: the destination; redirect: the destination, to this "
        "machine; both",
    ]
    inside_address: Annotated[str | None, "inside host"]
    inside_port: Annotated[int | None, "its port, or ICMP identifier"]
    destination_address: Annotated[str | None, "its destination"]
    destination_port: Annotated[int | None, "its port, or ICMP identifier"]
    outside_address: Annotated[str | None, "outside address of the inside host"]
    outside_port: Annotated[int | None, "outside port, or ICMP identifier"]
    answering_address: Annotated[str | None, "the real responder: not the destination after DNAT"]
    answering_port: Annotated[int | None, "its port, or ICMP identifier"]
    double_nat: Annotated[
        bool,
        "the outside address is private or shared (RFC 1918, RFC 6598, RFC 4193) and the responder's is not: another "
        "translation must follow",
    ]
    hairpin: Annotated[
        bool,
        "initiator and responder are behind the same interface: an inside host uses the outside address of another, "
        "or its own",
    ]
    state: Annotated[str | None, "state of TCP, SCTP or DCCP as connection tracking sees it"]
    timeout: Annotated[int | None, "seconds until the entry expires if no packet is seen"]
    status: Annotated[tuple[str, ...], "status bits that are set (nf_conntrack_common.h: IPS_*)"]
    sent_packets: Annotated[int | None, "packets from inside to the destination; None while accounting is off"]
    sent_bytes: Annotated[int | None, "bytes from inside to the destination"]
    received_packets: Annotated[int | None, "packets from the destination to inside"]
    received_bytes: Annotated[int | None, "bytes from the destination to inside"]
    mark: Annotated[int | None, "connection mark"]
    zone: Annotated[int | None, "conntrack zone; None is the default zone, 0"]
    processes: Annotated[tuple[Process, ...], "processes that hold the socket, if an end is on this machine"] = ()
    id: Annotated[int | None, "the kernel's identifier of the entry"] = None
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class InsideHost(NamedTuple):
    """Translated flows of one inside host (netinspect nat hosts)."""

    inside_address: Annotated[str | None, "inside host"]
    flows: Annotated[int, "translated flows"]
    outside_addresses: Annotated[tuple[str, ...], "its outside addresses"]
    destinations: Annotated[int, "different destination addresses"]
    unreplied: Annotated[int, "flows without a reply"]
    sent_bytes: Annotated[int | None, "bytes from it; None while accounting is off"]
    received_bytes: Annotated[int | None, "bytes to it; None while accounting is off"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class OutsideAddress(NamedTuple):
    """Source ports in use of one outside address (netinspect nat outside).

    A port can be used once for each destination address and port: only flows to the same destination compete.
    """

    outside_address: Annotated[str | None, "outside address"]
    protocol: Annotated[str, "transport protocol"]
    flows: Annotated[int, "flows whose source is translated to it"]
    inside_hosts: Annotated[int, "different inside hosts"]
    destination_address: Annotated[str | None, "destination with most ports in use"]
    destination_port: Annotated[int | None, "its port"]
    ports_used: Annotated[int, "ports in use towards that destination"]
    ports: Annotated[int, "available ports: those of the rule, or 1024 to 65535"]
    percent: Annotated[float, "percent of them in use: at 100 further flows to that destination fail"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class Finding(NamedTuple):
    """Something that breaks address translation, or will (netinspect nat diagnose)."""

    check: Annotated[str, "name of the check"]
    severity: Annotated[str, "error: it breaks flows now; warning: it will, or may; note: worth knowing"]
    subject: Annotated[str, "what it concerns: an interface, an address, a rule, the table"]
    evidence: Annotated[tuple[str, ...], "observed facts, each with its source"]
    why: Annotated[str, "why it matters"]
    fix: Annotated[str, "a command that fixes it; empty if none is safe"]
    advice: Annotated[str, "what to do, or what to know before running the command: prose, not a command"] = ""
    netns: Annotated[str | None, "network namespace, if several are checked"] = None
