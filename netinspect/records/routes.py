"""Routes (netinspect routes)."""

from __future__ import annotations

from .rules import Rule
from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Encapsulation(NamedTuple):
    """What a route wraps packets in (linux/lwtunnel.h; ip-route(8): encap). None: does not apply to this type."""

    type: Annotated[str, "mpls, ip, ip6, seg6, seg6local, bpf, ila, rpl, ioam6 or xfrm (or its number)"]
    labels: Annotated[tuple[int, ...] | None, "mpls: labels to push, the outermost first"] = None
    ttl: Annotated[
        int | None, "mpls, ip, ip6: time to live, or hop limit; None or 0: inherited from the inner packet"
    ] = None
    tunnel_id: Annotated[int | None, "ip, ip6: tunnel id"] = None
    source: Annotated[str | None, "ip, ip6, ioam6: outer source address"] = None
    destination: Annotated[str | None, "ip, ip6, ioam6: outer destination address"] = None
    tos: Annotated[int | None, "ip, ip6: outer type of service, or traffic class"] = None
    tunnel_flags: Annotated[tuple[str, ...] | None, "ip, ip6: key, csum, seq … (linux/if_tunnel.h)"] = None
    mode: Annotated[
        str | None, "seg6: inline, encap, l2encap, encap.red or l2encap.red; ioam6: inline, encap or auto"
    ] = None
    segments: Annotated[tuple[str, ...] | None, "seg6, seg6local, rpl: segments in the order of travel"] = None
    action: Annotated[str | None, "seg6local: action on arriving packets, such as End.X"] = None
    table: Annotated[int | None, "seg6local: routing table of the action"] = None
    next_hop: Annotated[str | None, "seg6local: next hop of the action"] = None
    interface: Annotated[str | None, "seg6local, xfrm: interface of the action"] = None
    interface_id: Annotated[int | None, "xfrm: interface id"] = None
    raw: Annotated[str | None, "the attributes in hexadecimal, if the other fields do not show all of them"] = None
    vrf_table: Annotated[int | None, "seg6local: table of the VRF of the action"] = None
    frequency: Annotated[tuple[int, int] | None, "ioam6: K and N: K of N packets get a trace"] = None
    trace_type: Annotated[int | None, "ioam6: what each node writes into the trace: 24 bits (RFC 9197)"] = None
    trace_namespace: Annotated[int | None, "ioam6: IOAM namespace of the trace"] = None
    trace_size: Annotated[int | None, "ioam6: room for the trace, bytes"] = None


class NextHop(NamedTuple):
    """One of the next hops of a route (linux/rtnetlink.h: struct rtnexthop)."""

    gateway: Annotated[str | None, "gateway; None if the destination is on the link"]
    interface: Annotated[str | None, "output interface"]
    weight: Annotated[int, "share of the flows, relative to the weights of the other next hops"] = 1
    flags: Annotated[tuple[str, ...], "onlink, dead, linkdown, pervasive, offload, trap, unresolved"] = ()
    encapsulation: Annotated[Encapsulation | None, "encapsulation of packets"] = None
    new_labels: Annotated[tuple[int, ...] | None, "MPLS: labels that replace the incoming one"] = None
    realms: Annotated[int | None, "routing realms, the source's in the upper 16 bits"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class RouteMetrics(NamedTuple):
    """What a route sets for the connections that use it (linux/rtnetlink.h: RTAX_*). None: not set."""

    mtu: Annotated[int | None, "path MTU, bytes"] = None
    window: Annotated[int | None, "largest TCP window to advertise, bytes"] = None
    rtt: Annotated[int | None, "initial round-trip time, in eighths of a millisecond"] = None
    rttvar: Annotated[int | None, "initial round-trip time variance, in quarters of a millisecond"] = None
    ssthresh: Annotated[int | None, "initial slow start threshold, segments"] = None
    cwnd: Annotated[int | None, "upper limit of the congestion window, segments"] = None
    advmss: Annotated[int | None, "maximum segment size to advertise, bytes"] = None
    reordering: Annotated[int | None, "initial reordering, segments"] = None
    hoplimit: Annotated[int | None, "hop limit, or time to live, of packets sent"] = None
    initcwnd: Annotated[int | None, "initial congestion window, segments"] = None
    features: Annotated[tuple[str, ...] | None, "ecn, sack, timestamp, allfrag, tcp_usec_ts"] = None
    rto_min: Annotated[int | None, "minimum retransmission timeout, milliseconds"] = None
    initrwnd: Annotated[int | None, "initial receive window, segments"] = None
    quickack: Annotated[int | None, "whether acknowledgments are sent without delay"] = None
    congctl: Annotated[str | None, "congestion control algorithm"] = None
    fastopen_no_cookie: Annotated[int | None, "whether TCP Fast Open needs no cookie"] = None
    locked: Annotated[
        tuple[str, ...] | None, "locked metrics, such as mtu, which path MTU discovery then does not change"
    ] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class NextHopObject(NamedTuple):
    """A next hop that lives on its own and that routes refer to (linux/nexthop.h; ip-nexthop(8))."""

    id: Annotated[int, "its number"]
    gateway: Annotated[str | None, "gateway"] = None
    interface: Annotated[str | None, "output interface"] = None
    blackhole: Annotated[bool, "whether it drops packets (blackhole)"] = False
    fdb: Annotated[bool, "whether it is for a bridge's forwarding database, not for routes"] = False
    group: Annotated[tuple[NextHopMember, ...] | None, "members of a group"] = None
    group_type: Annotated[str | None, "mpath or resilient"] = None
    protocol: Annotated[str, "who made it, by rt_protos' name"] = "unspec"
    scope: Annotated[str, "as in Route"] = "global"
    flags: Annotated[tuple[str, ...], "as in NextHop"] = ()
    encapsulation: Annotated[Encapsulation | None, "encapsulation of packets"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class NextHopMember(NamedTuple):
    """A member of a group of next hops."""

    id: Annotated[int, "its number"]
    weight: Annotated[int, "share of the flows, relative to the weights of the other members"]


class AffectedSocket(NamedTuple):
    """A socket whose packets a route exception applies to."""

    protocol: Annotated[str, "as in Socket"]
    local_address: Annotated[str, "as in Socket"]
    local_port: Annotated[int | None, "as in Socket"]
    remote_port: Annotated[int | None, "as in Socket"]
    inode: Annotated[int, "as in Socket"]


class Route(NamedTuple):
    """One route, of any table (rtnetlink(7): RTM_GETROUTE). None: does not apply, or is not set."""

    family: Annotated[str, "inet, inet6 or mpls"]
    type: Annotated[
        str,
        "unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat or xresolve",
    ]
    destination: Annotated[str, "prefix, such as 10.0.0.0/8; 0.0.0.0/0 and ::/0 are the default routes; mpls: label"]
    gateway: Annotated[str | None, "gateway; may be IPv6 on an IPv4 route"]
    interface: Annotated[str | None, "output interface"]
    table: Annotated[str, "routing table, by name if it has one (rt_tables)"]
    protocol: Annotated[str, "who added it (rt_protos): kernel, boot, static, ra, dhcp, bird …"]
    scope: Annotated[str, "scope of the destination (rt_scopes): global, site, link, host, nowhere"]
    metric: Annotated[int, "priority: the kernel uses the route to a prefix with the lowest metric"]
    preferred_source: Annotated[str | None, "preferred source address of packets from this machine"]
    next_hops: Annotated[tuple[NextHop, ...] | None, "all next hops, if there are several"] = None
    next_hop_id: Annotated[int | None, "next-hop object that the route refers to"] = None
    next_hop_object: Annotated[NextHopObject | None, "that object"] = None
    encapsulation: Annotated[Encapsulation | None, "encapsulation of packets"] = None
    metrics: Annotated[RouteMetrics | None, "settings for connections that use the route"] = None
    flags: Annotated[
        tuple[str, ...],
        "onlink, dead, linkdown, pervasive, unresolved, offload, trap, rt_offload, rt_trap, rt_offload_failed, "
        "cloned, notify; answers of `routes get`, and exceptions: redirected, doredirect, directsrc, broadcast, "
        "multicast, local",
    ] = ()
    source: Annotated[str | None, "source prefix that the route is for (IPv6)"] = None
    tos: Annotated[int, "type of service that the route is for (IPv4); 0 is any"] = 0
    preference: Annotated[str | None, "router preference (RFC 4191): low, medium or high (IPv6)"] = None
    expires: Annotated[float | None, "seconds until the route expires"] = None
    error: Annotated[int | None, "errno with which the route refuses packets"] = None
    realms: Annotated[int | None, "routing realms, the source's in the upper 16 bits"] = None
    new_labels: Annotated[tuple[int, ...] | None, "mpls: labels that replace the incoming one; empty: pop"] = None
    ttl_propagate: Annotated[bool | None, "mpls: whether the time to live is copied to the inner packet"] = None
    input_interface: Annotated[str | None, "input interface, in answers to `routes get iif`"] = None
    mark: Annotated[int | None, "firewall mark, in answers to `routes get`"] = None
    uid: Annotated[int | None, "user id, in answers to `routes get`"] = None
    pmtu: Annotated[int | None, "exceptions: learned path MTU, bytes"] = None
    sockets: Annotated[tuple[AffectedSocket, ...] | None, "exceptions: sockets with that destination, if requested"] = (
        None
    )
    rule: Annotated[Rule | None, "`routes get`: the matching rule"] = None
    entry: Annotated[str | None, "`routes get`: the matching prefix in the table"] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class RouteCount(NamedTuple):
    """How many routes there are of one kind (`netinspect routes summary`)."""

    family: Annotated[str, "as in Route"]
    table: Annotated[str, "as in Route"]
    protocol: Annotated[str, "as in Route"]
    type: Annotated[str, "as in Route"]
    routes: Annotated[int, "how many"]
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
