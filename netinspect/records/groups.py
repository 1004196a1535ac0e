"""Multicast groups, multicast routing and the bridge's forwarding of groups (netinspect groups)."""

from __future__ import annotations

from .sockets import Process
from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class GroupSocket(NamedTuple):
    """A socket that joined a group on an interface, or that gets the datagrams of that group which come in there."""

    protocol: Annotated[str, "udp, udplite, raw or packet"]
    local_address: Annotated[str | None, "bound address; None if not bound"]
    local_port: Annotated[int | None, "bound port; for raw sockets, the IP protocol"]
    joined: Annotated[bool | None, "whether this socket joined the group there; None without permission to query it"]
    receives: Annotated[bool, "whether datagrams to the group and its port reach it, apart from its source filter"]
    filter_mode: Annotated[str | None, "its source filter: include (only these sources) or exclude (all but them)"]
    sources: Annotated[tuple[str, ...], "sources of its source filter"]
    inode: Annotated[int, "inode number"]
    processes: Annotated[tuple[Process, ...], "every process and descriptor that holds it"]


class Membership(NamedTuple):
    """A multicast group that an interface receives."""

    interface: Annotated[str, "interface"]
    interface_index: Annotated[int, "index of the interface"]
    family: Annotated[str, "inet, inet6, or link for the link layer"]
    group: Annotated[str, "address of the group"]
    name: Annotated[str | None, "what the group is registered for (IANA, IEEE 802), or its range"] = None
    users: Annotated[int | None, "sockets and kernel users that joined it there"] = None
    filter_mode: Annotated[
        str | None,
        "filter mode of all users together: exclude (all but the excluded sources), include (only the included "
        "sources); None if unknown",
    ] = None
    included: Annotated[tuple[str, ...], "sources that some user includes"] = ()
    excluded: Annotated[
        tuple[str, ...], "sources not taken: every user that takes others excludes them, and none includes them"
    ] = ()
    version: Annotated[str | None, "version used towards queriers: IGMPv1, IGMPv2, IGMPv3, MLDv1, MLDv2"] = None
    querier: Annotated[
        str | None, "bridges: the current querier, the bridge itself included (0.0.0.0 or :: if it has no address)"
    ] = None
    reporter: Annotated[bool | None, "whether this host was the last to report the group"] = None
    timer: Annotated[float | None, "seconds until the next report; None if none is due"] = None
    age: Annotated[float | None, "seconds since the interface joined it"] = None
    global_use: Annotated[
        bool | None, "link layer: whether the address itself was requested, for example by an administrator"
    ] = None
    sockets: Annotated[tuple[GroupSocket, ...] | None, "who joined or receives it; None if not requested"] = None
    source: Annotated[str, "source: rtnetlink or procfs, and what procfs and the joined sockets added"] = "rtnetlink"
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class GroupEvent(NamedTuple):
    """An interface joined or left a group (netinspect groups watch)."""

    time: Annotated[float, "time of the report or sample, seconds since 1970"]
    event: Annotated[str, "join, leave, or lost: events that the kernel could not deliver, followed by what is new"]
    interface: Annotated[str | None, "interface"]
    interface_index: Annotated[int | None, "index of the interface"]
    family: Annotated[str | None, "inet, inet6, or link for the link layer"]
    group: Annotated[str | None, "address of the group"]
    name: Annotated[str | None, "what the group is registered for"]
    source: Annotated[str, "rtnetlink: reported by the kernel; sampled: found by polling"]
    netns: Annotated[str | None, "network namespace, where several are watched"] = None


class MulticastHop(NamedTuple):
    """An interface that a multicast route sends out on."""

    interface: Annotated[str, "interface"]
    ttl: Annotated[int, "datagrams with a lower time to live (hop limit) are not forwarded here"]


class MulticastRoute(NamedTuple):
    """One entry of a multicast routing table (ipmr, ip6mr), as a routing daemon put it in."""

    family: Annotated[str, "inet or inet6"]
    table: Annotated[int, "routing table"]
    origin: Annotated[str, "sender, or any for all (*, G)"]
    group: Annotated[str, "address of the group"]
    interface: Annotated[str | None, "incoming interface; None while unresolved"]
    outgoing: Annotated[tuple[MulticastHop, ...], "outgoing interfaces"]
    resolved: Annotated[bool, "whether the daemon has resolved the route; until then packets are queued"]
    packets: Annotated[int | None, "packets forwarded"]
    bytes: Annotated[int | None, "bytes forwarded"]
    wrong_interface: Annotated[int | None, "packets that came in on another interface"]
    idle: Annotated[float | None, "seconds since it was last used"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class MulticastInterface(NamedTuple):
    """An interface of the multicast router (VIF in IPv4, MIF in IPv6)."""

    family: Annotated[str, "inet or inet6"]
    table: Annotated[int, "routing table"]
    number: Annotated[int, "its number, as used by routing daemons"]
    interface: Annotated[str, "interface"]
    flags: Annotated[tuple[str, ...], "tunnel, source_route, register; others in hexadecimal"]
    received_packets: Annotated[int, "packets that came in"]
    received_bytes: Annotated[int, "bytes that came in"]
    sent_packets: Annotated[int, "packets that went out"]
    sent_bytes: Annotated[int, "bytes that went out"]
    local: Annotated[str | None, "IPv4: local end"]
    remote: Annotated[str | None, "IPv4: remote end of a tunnel"]
    source: Annotated[str, "rtnetlink or procfs"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class BridgeGroup(NamedTuple):
    """One entry of a bridge's multicast forwarding (MDB), or a port that a multicast router is behind."""

    bridge: Annotated[str, "bridge"]
    kind: Annotated[str, "group, or router: a port that receives all groups"]
    port: Annotated[str, "bridge port, or the bridge itself: this host"]
    family: Annotated[str | None, "inet, inet6, or link"]
    group: Annotated[str | None, "address of the group"]
    origin: Annotated[str | None, "source it is for; None is any"]
    vlan: Annotated[int | None, "VLAN"]
    state: Annotated[str | None, "temporary (learnt), permanent; for a router disabled, query, permanent, temporary"]
    flags: Annotated[
        tuple[str, ...], "offload, fast_leave, added_by_star_ex, blocked, offload_failed; others in hexadecimal"
    ]
    filter_mode: Annotated[str | None, "include or exclude, if ports use IGMPv3 or MLDv2"]
    sources: Annotated[tuple[str, ...], "sources of that filter, included or excluded"]
    timer: Annotated[float | None, "seconds until it expires"]
    protocol: Annotated[str | None, "who added it: kernel, static, zebra …"]
    netns: Annotated[str | None, "network namespace, where several are listed"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()
