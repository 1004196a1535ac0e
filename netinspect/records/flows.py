"""Connection tracking (netinspect conntrack)."""

from __future__ import annotations

from ..startup import named_tuple
from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Flow(NamedTuple):
    """One entry of the connection tracking table (linux/netfilter/nfnetlink_conntrack.h: CTA_*).

    The reply direction is what answers look like on their way in: where it is not the original direction turned round,
    the flow is translated (NAT).
    """

    family: Annotated[str, "inet or inet6; unknown-N for another protocol family"]
    protocol: Annotated[str, "transport protocol: tcp, udp, icmp, icmpv6, sctp, dccp, gre …; its number if unknown"]
    protocol_number: Annotated[int, "IP protocol number"]
    state: Annotated[str | None, "state of TCP, SCTP or DCCP as connection tracking sees it, without prefix"] = None
    source_address: Annotated[str | None, "original direction: source address, before translation"] = None
    source_port: Annotated[int | None, "original direction: source port"] = None
    destination_address: Annotated[str | None, "original direction: destination address, before translation"] = None
    destination_port: Annotated[int | None, "original direction: destination port"] = None
    reply_source_address: Annotated[str | None, "reply direction: source address (the real responder)"] = None
    reply_source_port: Annotated[int | None, "reply direction: source port"] = None
    reply_destination_address: Annotated[str | None, "reply direction: destination address (where replies go)"] = None
    reply_destination_port: Annotated[int | None, "reply direction: destination port"] = None
    icmp_type: Annotated[int | None, "ICMP type of the original direction"] = None
    icmp_code: Annotated[int | None, "ICMP code of the original direction"] = None
    icmp_id: Annotated[int | None, "ICMP query identifier of the original direction"] = None
    reply_icmp_type: Annotated[int | None, "ICMP type of the reply direction"] = None
    reply_icmp_code: Annotated[int | None, "ICMP code of the reply direction"] = None
    reply_icmp_id: Annotated[int | None, "ICMP query identifier of the reply direction, which NAT may change"] = None
    status: Annotated[
        tuple[str, ...], "status bits that are set (nf_conntrack_common.h: IPS_*, without IPS_); others in hexadecimal"
    ] = ()
    timeout: Annotated[int | None, "seconds until the entry expires if no packet is seen; None if it is gone"] = None
    packets: Annotated[int | None, "packets of the original direction; None while accounting is off"] = None
    bytes: Annotated[int | None, "bytes of the original direction, IP headers included"] = None
    reply_packets: Annotated[int | None, "packets of the reply direction"] = None
    reply_bytes: Annotated[int | None, "bytes of the reply direction"] = None
    mark: Annotated[int | None, "connection mark; None if the kernel has none"] = None
    labels: Annotated[tuple[int, ...] | None, "numbers of the connection labels that are set"] = None
    zone: Annotated[int | None, "conntrack zone; None is the default zone, 0"] = None
    zone_direction: Annotated[str | None, "direction the zone applies to: both, original or reply"] = None
    helper: Annotated[str | None, "connection tracking helper: ftp, sip …"] = None
    start: Annotated[int | None, "start, nanoseconds since 1970 (with nf_conntrack_timestamp=1)"] = None
    stop: Annotated[int | None, "end, nanoseconds since 1970; only for ended flows"] = None
    security_context: Annotated[str | None, "security context, from a SECMARK rule"] = None
    use: Annotated[int | None, "kernel references to the entry"] = None
    id: Annotated[int | None, "kernel identifier of the entry, 32 bits"] = None
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class _FlowEventHead(NamedTuple):
    """What a FlowEvent has in front of the fields of a Flow, or otherwise."""

    event: Annotated[
        str,
        "new, update or destroy, as reported by the kernel; overrun: events were lost, and the current table "
        "follows; current: an entry of the table; resynced: its end; expect, expect-destroy: a connection that a "
        "helper expects, or no longer expects",
    ]
    time: Annotated[float, "when it was received, seconds since 1970"]
    lost: Annotated[int | None, "for overrun: how many events the kernel could not deliver"]
    # An overrun is of no flow.
    family: Annotated[str | None, "inet or inet6"]
    protocol: Annotated[str | None, "transport protocol"]
    protocol_number: Annotated[int | None, "IP protocol number"]


if TYPE_CHECKING:

    class FlowEvent(Flow):
        """What happened to an entry of the connection tracking table (netinspect conntrack events)."""

        event: str
        time: float
        lost: int | None

else:
    FlowEvent = named_tuple(
        "FlowEvent",
        _FlowEventHead.__annotations__ | Flow.__annotations__ | _FlowEventHead.__annotations__,
        {
            "__module__": __name__,
            "__doc__": "What happened to an entry of the connection tracking table (netinspect conntrack events).",
            **dict.fromkeys(Flow._fields),
        },
    )


class ConntrackCount(NamedTuple):
    """How full the connection tracking table is (netinspect conntrack count)."""

    entries: Annotated[int, "entries of this namespace"]
    maximum: Annotated[int | None, "maximum number of entries (net.netfilter.nf_conntrack_max)"]
    percent: Annotated[float | None, "entries in percent of the maximum"]
    expectations: Annotated[int | None, "expected connections (helpers)"] = None
    expectations_maximum: Annotated[int | None, "maximum number of them (net.netfilter.nf_conntrack_expect_max)"] = None
    buckets: Annotated[int | None, "size of the hash table, shared by all namespaces"] = None
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class ConntrackStatistic(NamedTuple):
    """One counter of connection tracking (netinspect conntrack stats; linux: CTA_STATS_*)."""

    counter: Annotated[str, "name, as in conntrack -S"]
    cpu: Annotated[int | None, "processor; None for the sum"]
    value: Annotated[int, "events since the namespace was created"]
    meaning: Annotated[str, "what it counts, and what it means for an administrator"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class FlowGroup(NamedTuple):
    """Flows that have something in common, added up (netinspect conntrack top)."""

    group: Annotated[str, "value they share: an address, a port with its protocol, a state"]
    flows: Annotated[int, "entries"]
    packets: Annotated[int | None, "packets in both directions; None while accounting is off"]
    bytes: Annotated[int | None, "bytes in both directions; None while accounting is off"]
    unreplied: Annotated[int, "entries without a reply"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class Expectation(NamedTuple):
    """A connection that a helper expects, such as an FTP data connection (netinspect conntrack expectations)."""

    family: Annotated[str, "inet or inet6"]
    protocol: Annotated[str, "transport protocol"]
    source_address: Annotated[str | None, "from where"]
    source_port: Annotated[int | None, "source port; 0 is any"]
    destination_address: Annotated[str | None, "to where"]
    destination_port: Annotated[int | None, "destination port"]
    source_mask: Annotated[str | None, "mask of the source address"]
    source_port_mask: Annotated[int | None, "mask of the source port"]
    destination_mask: Annotated[str | None, "mask of the destination address"]
    destination_port_mask: Annotated[int | None, "bits of the destination port that count"]
    master_source_address: Annotated[str | None, "the connection that gave rise to it: source address"]
    master_source_port: Annotated[int | None, "the connection that gave rise to it: source port"]
    master_destination_address: Annotated[str | None, "master connection: destination address"]
    master_destination_port: Annotated[int | None, "master connection: destination port"]
    timeout: Annotated[int | None, "seconds until it expires"]
    helper: Annotated[str | None, "name of the helper"]
    flags: Annotated[tuple[str, ...], "PERMANENT, INACTIVE, USERSPACE; others in hexadecimal"]
    zone: Annotated[int | None, "conntrack zone; None is the default zone, 0"]
    id: Annotated[int | None, "kernel identifier"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class FlowRates(NamedTuple):
    """What happened to the connection tracking table in an interval (netinspect conntrack monitor)."""

    time: Annotated[float, "end of the interval, seconds since 1970"]
    seconds: Annotated[float, "length of the interval"]
    new: Annotated[int, "entries made"]
    updates: Annotated[int, "updates reported for entries"]
    destroyed: Annotated[int, "entries gone"]
    new_per_second: Annotated[float, "new entries per second"]
    destroyed_per_second: Annotated[float, "ended entries per second"]
    lost: Annotated[int, "events that the kernel could not deliver"]
    resyncs: Annotated[int, "how often the table was read again because events were lost"]
    flows: Annotated[int, "entries now, from the events and the table"]
    netns: Annotated[str | None, "network namespace, where several are watched"] = None
