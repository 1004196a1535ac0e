"""Neighbours: what is known of the machines on the same links (netinspect neighbours)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Neighbour(NamedTuple):
    """An entry of ARP's table or IPv6's (rtnetlink(7): RTM_GETNEIGH). None: does not apply, or is not told."""

    family: Annotated[str, "inet or inet6"]
    address: Annotated[str, "the neighbour's address"]
    interface: Annotated[str, "link that it is on"]
    link_address: Annotated[str | None, "its link-layer address, where it is known"]
    state: Annotated[
        str,
        "incomplete (asked, no answer yet), reachable, stale (to be confirmed when used), delay, probe, failed, noarp, "
        "permanent, none",
    ]
    flags: Annotated[
        tuple[str, ...], "router, proxy, use, extern_learn, offload, sticky, managed, locked, ext_validated"
    ] = ()
    type: Annotated[str, "unicast, local, broadcast, anycast or multicast"] = "unicast"
    used: Annotated[float | None, "seconds since it was last used"] = None
    confirmed: Annotated[float | None, "seconds since it last proved to be there"] = None
    updated: Annotated[float | None, "seconds since its state or link-layer address last changed"] = None
    references: Annotated[int | None, "users of the entry at present"] = None
    probes: Annotated[int | None, "probes sent without an answer"] = None
    protocol: Annotated[str | None, "who made it, by rt_protos' name"] = None
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class NeighbourTable(NamedTuple):
    """One of the tables of neighbours, which all network namespaces share (`netinspect neighbours tables`).

    Counters are since the machine's start (linux/neighbour.h: struct ndt_stats).
    """

    name: Annotated[str, "arp_cache or ndisc_cache"]
    entries: Annotated[int, "entries now"]
    gc_thresh1: Annotated[int, "number of entries up to which none is removed for its age"]
    gc_thresh2: Annotated[int, "number of entries from which, after 5 seconds, old ones are removed"]
    gc_thresh3: Annotated[int, "limit: number of entries at which no new neighbour can be added"]
    used: Annotated[float, "percent of the limit that is used"]
    allocs: Annotated[int | None, "entries made"] = None
    destroys: Annotated[int | None, "entries removed"] = None
    hash_grows: Annotated[int | None, "times the table was enlarged"] = None
    res_failed: Annotated[int | None, "neighbours that did not answer"] = None
    lookups: Annotated[int | None, "look-ups"] = None
    hits: Annotated[int | None, "of these, found"] = None
    rcv_probes_mcast: Annotated[int | None, "multicast probes received (IPv6)"] = None
    rcv_probes_ucast: Annotated[int | None, "unicast probes received (IPv6)"] = None
    periodic_gc_runs: Annotated[int | None, "removals of old entries on time"] = None
    forced_gc_runs: Annotated[int | None, "removals because the table was full"] = None
    table_fulls: Annotated[int | None, "entries that could not be made since the table was full"] = None
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None
