"""Neighbours: machines on the same links (netinspect neighbours)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Neighbour(NamedTuple):
    """An entry of the ARP or IPv6 neighbour table (RTM_GETNEIGH). None: does not apply, or not reported."""

    family: Annotated[str, "inet or inet6"]
    address: Annotated[str, "the neighbour's address"]
    interface: Annotated[str, "interface it is on"]
    link_address: Annotated[str | None, "its link-layer address, if known"]
    state: Annotated[
        str,
        "incomplete (asked, no answer yet), reachable, stale (to be confirmed on use), delay, probe, failed, noarp, "
        "permanent, none",
    ]
    flags: Annotated[
        tuple[str, ...], "router, proxy, use, extern_learn, offload, sticky, managed, locked, ext_validated"
    ] = ()
    type: Annotated[str, "unicast, local, broadcast, anycast or multicast"] = "unicast"
    used: Annotated[float | None, "seconds since it was last used"] = None
    confirmed: Annotated[float | None, "seconds since it was last confirmed reachable"] = None
    updated: Annotated[float | None, "seconds since its state or link-layer address last changed"] = None
    references: Annotated[int | None, "references to the entry"] = None
    probes: Annotated[int | None, "unanswered probes sent"] = None
    protocol: Annotated[str | None, "who added it (rt_protos)"] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class NeighbourTable(NamedTuple):
    """One of the tables of neighbours, which all network namespaces share (`netinspect neighbours tables`).

    Counters are since the machine's start (linux/neighbour.h: struct ndt_stats).
    """

    name: Annotated[str, "arp_cache or ndisc_cache"]
    entries: Annotated[int, "entries now"]
    gc_thresh1: Annotated[int, "below this number of entries, none is removed for its age"]
    gc_thresh2: Annotated[int, "above this number of entries, those older than 5 seconds are removed"]
    gc_thresh3: Annotated[int, "limit: number of entries at which no new neighbour can be added"]
    used: Annotated[float, "percent of the limit in use"]
    allocs: Annotated[int | None, "entries made"] = None
    destroys: Annotated[int | None, "entries removed"] = None
    hash_grows: Annotated[int | None, "times the table was enlarged"] = None
    res_failed: Annotated[int | None, "neighbours that did not answer (failed)"] = None
    lookups: Annotated[int | None, "look-ups"] = None
    hits: Annotated[int | None, "of these, found"] = None
    rcv_probes_mcast: Annotated[int | None, "multicast probes received (IPv6)"] = None
    rcv_probes_ucast: Annotated[int | None, "unicast probes received (IPv6)"] = None
    periodic_gc_runs: Annotated[int | None, "periodic runs of the garbage collector"] = None
    forced_gc_runs: Annotated[int | None, "runs of the garbage collector because the table was full"] = None
    table_fulls: Annotated[int | None, "entries not created because the table was full"] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
