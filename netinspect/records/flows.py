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
    protocol: Annotated[str, "transport protocol: tcp, udp, icmp, icmpv6, sctp, dccp, gre …; its number where unknown"]
    protocol_number: Annotated[int, "IP protocol number"]
    state: Annotated[str | None, "TCP's, SCTP's or DCCP's state as connection tracking sees it, without prefix"] = None
    source_address: Annotated[str | None, "original direction: source address, as it was before translation"] = None
    source_port: Annotated[int | None, "original direction: source port"] = None
    destination_address: Annotated[str | None, "original direction: destination address, before translation"] = None
    destination_port: Annotated[int | None, "original direction: destination port"] = None
    reply_source_address: Annotated[str | None, "reply direction: source address: who really answers"] = None
    reply_source_port: Annotated[int | None, "reply direction: source port"] = None
    reply_destination_address: Annotated[str | None, "reply direction: destination address: where answers go"] = None
    reply_destination_port: Annotated[int | None, "reply direction: destination port"] = None
    icmp_type: Annotated[int | None, "ICMP type of the original direction"] = None
    icmp_code: Annotated[int | None, "ICMP code of the original direction"] = None
    icmp_id: Annotated[int | None, "ICMP query identifier of the original direction"] = None
    reply_icmp_type: Annotated[int | None, "ICMP type of the reply direction"] = None
    reply_icmp_code: Annotated[int | None, "ICMP code of the reply direction"] = None
    reply_icmp_id: Annotated[int | None, "ICMP query identifier of the reply direction: another one after NAT"] = None
    status: Annotated[
        tuple[str, ...], "status bits that are set (nf_conntrack_common.h: IPS_*, without IPS_); others in hexadecimal"
    ] = ()
    timeout: Annotated[int | None, "seconds until the entry expires if nothing more is seen; None where it is gone"] = (
        None
    )
    packets: Annotated[int | None, "packets of the original direction; None while accounting is off"] = None
    bytes: Annotated[int | None, "bytes of the original direction, IP headers included"] = None
    reply_packets: Annotated[int | None, "packets of the reply direction"] = None
    reply_bytes: Annotated[int | None, "bytes of the reply direction"] = None
    mark: Annotated[int | None, "connection mark; None where the kernel has none"] = None
    labels: Annotated[tuple[int, ...] | None, "numbers of the connection labels that are set"] = None
    zone: Annotated[int | None, "conntrack zone; None is the default zone, 0"] = None
    zone_direction: Annotated[str | None, "the zone is of both directions, original or reply only"] = None
    helper: Annotated[str | None, "connection tracking helper: ftp, sip …"] = None
    start: Annotated[int | None, "when it began, nanoseconds since 1970 (with nf_conntrack_timestamp=1)"] = None
    stop: Annotated[int | None, "when it ended, nanoseconds since 1970; only for what is gone"] = None
    security_context: Annotated[str | None, "security context, from a SECMARK rule"] = None
    use: Annotated[int | None, "references to the entry in the kernel"] = None
    id: Annotated[int | None, "the kernel's identifier of the entry, 32 bits"] = None
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class _FlowEventHead(NamedTuple):
    """What a FlowEvent has in front of the fields of a Flow, or otherwise."""

    event: Annotated[
        str,
        "new, update or destroy, as reported by the kernel; overrun: events were lost, and the current table "
        "follows; current: an entry of the table; resynced: its end; expect, expect-destroy: a connection "
        "that a helper expects, and no more",
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
    maximum: Annotated[int | None, "most entries that it may have (net.netfilter.nf_conntrack_max)"]
    percent: Annotated[float | None, "entries as a part of the maximum"]
    expectations: Annotated[int | None, "connections that helpers expect"] = None
    expectations_maximum: Annotated[int | None, "most of them (net.netfilter.nf_conntrack_expect_max)"] = None
    buckets: Annotated[int | None, "size of the hash table, which all namespaces share"] = None
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class ConntrackStatistic(NamedTuple):
    """One counter of connection tracking (netinspect conntrack stats; linux: CTA_STATS_*)."""

    counter: Annotated[str, "name, as conntrack -S has it"]
    cpu: Annotated[int | None, "processor; None for all of them together"]
    value: Annotated[int, "events since the namespace was made"]
    meaning: Annotated[str, "what it counts, and what an administrator should make of it"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class FlowGroup(NamedTuple):
    """Flows that have something in common, added up (netinspect conntrack top)."""

    group: Annotated[str, "what they have in common: an address, a port with its protocol, a state"]
    flows: Annotated[int, "entries"]
    packets: Annotated[int | None, "packets both ways; None while accounting is off"]
    bytes: Annotated[int | None, "bytes both ways; None while accounting is off"]
    unreplied: Annotated[int, "entries that no reply has been seen of"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None


class Expectation(NamedTuple):
    """A connection that a helper expects, such as an FTP data connection (netinspect conntrack expectations)."""

    family: Annotated[str, "inet or inet6"]
    protocol: Annotated[str, "transport protocol"]
    source_address: Annotated[str | None, "from where"]
    source_port: Annotated[int | None, "from which port; 0 is any"]
    destination_address: Annotated[str | None, "to where"]
    destination_port: Annotated[int | None, "to which port"]
    source_mask: Annotated[str | None, "bits of the source address that count"]
    source_port_mask: Annotated[int | None, "bits of the source port that count"]
    destination_mask: Annotated[str | None, "bits of the destination address that count"]
    destination_port_mask: Annotated[int | None, "bits of the destination port that count"]
    master_source_address: Annotated[str | None, "the connection that gave rise to it: source address"]
    master_source_port: Annotated[int | None, "the connection that gave rise to it: source port"]
    master_destination_address: Annotated[str | None, "the connection that gave rise to it: destination address"]
    master_destination_port: Annotated[int | None, "the connection that gave rise to it: destination port"]
    timeout: Annotated[int | None, "seconds until it expires"]
    helper: Annotated[str | None, "name of the helper"]
    flags: Annotated[tuple[str, ...], "PERMANENT, INACTIVE, USERSPACE; others in hexadecimal"]
    zone: Annotated[int | None, "conntrack zone; None is the default zone, 0"]
    id: Annotated[int | None, "the kernel's identifier"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class FlowRates(NamedTuple):
    """What happened to the connection tracking table in an interval (netinspect conntrack monitor)."""

    time: Annotated[float, "end of the interval, seconds since 1970"]
    seconds: Annotated[float, "length of the interval"]
    new: Annotated[int, "entries made"]
    updates: Annotated[int, "changes reported for entries"]
    destroyed: Annotated[int, "entries gone"]
    new_per_second: Annotated[float, "entries made, a second"]
    destroyed_per_second: Annotated[float, "entries gone, a second"]
    lost: Annotated[int, "events that the kernel could not deliver"]
    resyncs: Annotated[int, "how often the table was read again since events were lost"]
    flows: Annotated[int, "entries now, as the events and the table make it"]
    netns: Annotated[str | None, "network namespace, where several are watched"] = None
