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
        int | None, "mpls, ip, ip6: time to live, or hop limit; None or 0 where it is the inner packet's"
    ] = None
    tunnel_id: Annotated[int | None, "ip, ip6: tunnel id"] = None
    source: Annotated[str | None, "ip, ip6: outer source address"] = None
    destination: Annotated[str | None, "ip, ip6: outer destination address"] = None
    tos: Annotated[int | None, "ip, ip6: outer type of service, or traffic class"] = None
    tunnel_flags: Annotated[tuple[str, ...] | None, "ip, ip6: key, csum, seq … (linux/if_tunnel.h)"] = None
    mode: Annotated[str | None, "seg6: inline, encap, l2encap, encap.red or l2encap.red"] = None
    segments: Annotated[tuple[str, ...] | None, "seg6, seg6local, rpl: segments in the order of travel"] = None
    action: Annotated[str | None, "seg6local: what is done to a packet that arrives, as End.X"] = None
    table: Annotated[int | None, "seg6local: table for the lookup behind the action"] = None
    next_hop: Annotated[str | None, "seg6local: next hop of the action"] = None
    interface: Annotated[str | None, "seg6local, xfrm: interface of the action"] = None
    interface_id: Annotated[int | None, "xfrm: interface id"] = None
    raw: Annotated[str | None, "the attributes in hexadecimal, if the other fields do not show all of them"] = None
    vrf_table: Annotated[int | None, "seg6local: table of the VRF that the packet goes on in"] = None


class NextHop(NamedTuple):
    """One of the next hops of a route (linux/rtnetlink.h: struct rtnexthop)."""

    gateway: Annotated[str | None, "address of the next router; None where the destination is on the link"]
    interface: Annotated[str | None, "interface to send through"]
    weight: Annotated[int, "share of the flows, relative to the other next hops' weights"] = 1
    flags: Annotated[tuple[str, ...], "onlink, dead, linkdown, pervasive, offload, trap, unresolved"] = ()
    encapsulation: Annotated[Encapsulation | None, "what packets are wrapped in"] = None
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
    cwnd: Annotated[int | None, "clamp of the congestion window, segments"] = None
    advmss: Annotated[int | None, "maximum segment size to advertise, bytes"] = None
    reordering: Annotated[int | None, "initial reordering, segments"] = None
    hoplimit: Annotated[int | None, "hop limit, or time to live, of what is sent"] = None
    initcwnd: Annotated[int | None, "initial congestion window, segments"] = None
    features: Annotated[tuple[str, ...] | None, "ecn, sack, timestamp, allfrag, tcp_usec_ts"] = None
    rto_min: Annotated[int | None, "smallest retransmission timeout, milliseconds"] = None
    initrwnd: Annotated[int | None, "initial receive window, segments"] = None
    quickack: Annotated[int | None, "whether acknowledgments are not delayed"] = None
    congctl: Annotated[str | None, "congestion control algorithm"] = None
    fastopen_no_cookie: Annotated[int | None, "whether TCP Fast Open goes without a cookie"] = None
    locked: Annotated[tuple[str, ...] | None, "metrics that must not be changed, as mtu by path MTU discovery"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class NextHopObject(NamedTuple):
    """A next hop that lives on its own and that routes refer to (linux/nexthop.h; ip-nexthop(8))."""

    id: Annotated[int, "its number"]
    gateway: Annotated[str | None, "address of the next router"] = None
    interface: Annotated[str | None, "interface to send through"] = None
    blackhole: Annotated[bool, "whether packets are dropped"] = False
    fdb: Annotated[bool, "whether it serves a bridge's forwarding database, and no route"] = False
    group: Annotated[tuple[NextHopMember, ...] | None, "the members, where it is a group"] = None
    group_type: Annotated[str | None, "mpath or resilient"] = None
    protocol: Annotated[str, "who made it, by rt_protos' name"] = "unspec"
    scope: Annotated[str, "as in Route"] = "global"
    flags: Annotated[tuple[str, ...], "as in NextHop"] = ()
    encapsulation: Annotated[Encapsulation | None, "what packets are wrapped in"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class NextHopMember(NamedTuple):
    """A member of a group of next hops."""

    id: Annotated[int, "its number"]
    weight: Annotated[int, "share of the flows, relative to the other members' weights"]


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
    destination: Annotated[str, "prefix, as 10.0.0.0/8; 0.0.0.0/0 and ::/0 are the default routes; mpls: label"]
    gateway: Annotated[str | None, "address of the next router; may be IPv6 on an IPv4 route"]
    interface: Annotated[str | None, "interface to send through"]
    table: Annotated[str, "routing table, by rt_tables' name where it has one"]
    protocol: Annotated[str, "who made it, by rt_protos' name: kernel, boot, static, ra, dhcp, bird …"]
    scope: Annotated[str, "how far the destination is, by rt_scopes' name: global, site, link, host, nowhere"]
    metric: Annotated[int, "priority: of routes to one prefix the one with the lowest is used"]
    preferred_source: Annotated[str | None, "source address for what this machine sends"]
    next_hops: Annotated[tuple[NextHop, ...] | None, "all next hops, where there are several"] = None
    next_hop_id: Annotated[int | None, "next-hop object that the route refers to"] = None
    next_hop_object: Annotated[NextHopObject | None, "that object"] = None
    encapsulation: Annotated[Encapsulation | None, "what packets are wrapped in"] = None
    metrics: Annotated[RouteMetrics | None, "what the route sets for connections"] = None
    flags: Annotated[
        tuple[str, ...],
        "onlink, dead, linkdown, pervasive, unresolved, offload, trap, rt_offload, rt_trap, rt_offload_failed, "
        "cloned, notify; answers of `routes get`, and exceptions: redirected, doredirect, directsrc, broadcast, "
        "multicast, local",
    ] = ()
    source: Annotated[str | None, "source prefix that the route is for (IPv6)"] = None
    tos: Annotated[int, "type of service that the route is for (IPv4); 0 is any"] = 0
    preference: Annotated[str | None, "router preference (RFC 4191): low, medium or high (IPv6)"] = None
    expires: Annotated[float | None, "seconds until the route is gone"] = None
    error: Annotated[int | None, "errno that packets are refused with"] = None
    realms: Annotated[int | None, "routing realms, the source's in the upper 16 bits"] = None
    new_labels: Annotated[tuple[int, ...] | None, "mpls: labels that replace the incoming one; none: it is popped"] = (
        None
    )
    ttl_propagate: Annotated[bool | None, "mpls: whether the time to live goes on to the inner packet"] = None
    input_interface: Annotated[str | None, "interface that packets come in by, in answers to `routes get iif`"] = None
    mark: Annotated[int | None, "firewall mark, in answers to `routes get`"] = None
    uid: Annotated[int | None, "user id, in answers to `routes get`"] = None
    pmtu: Annotated[int | None, "exceptions: path MTU that was learned, bytes"] = None
    sockets: Annotated[
        tuple[AffectedSocket, ...] | None, "exceptions: sockets with that destination, where asked for"
    ] = None
    rule: Annotated[Rule | None, "`routes get`: the rule that led to the table"] = None
    entry: Annotated[str | None, "`routes get`: the prefix in that table that gave the answer"] = None
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class RouteCount(NamedTuple):
    """How many routes there are of one kind (`netinspect routes summary`)."""

    family: Annotated[str, "as in Route"]
    table: Annotated[str, "as in Route"]
    protocol: Annotated[str, "as in Route"]
    type: Annotated[str, "as in Route"]
    routes: Annotated[int, "how many"]
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None
