"""Addresses of interfaces (netinspect addresses)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Address(NamedTuple):
    """An address of an interface (rtnetlink(7): RTM_GETADDR). None: does not apply, or is not told."""

    family: Annotated[str, "inet or inet6"]
    interface: Annotated[str, "interface that has it"]
    address: Annotated[str, "the address"]
    prefix_length: Annotated[int, "bits of the network's prefix"]
    scope: Annotated[str, "global, site, link, host or nowhere, by rt_scopes' names"]
    flags: Annotated[
        tuple[str, ...],
        "permanent, dynamic, secondary, temporary, tentative, dadfailed, deprecated, optimistic, nodad, home, "
        "mngtmpaddr, noprefixroute, autojoin, stable-privacy",
    ]
    peer: Annotated[str | None, "address of the other end of a point-to-point link"] = None
    broadcast: Annotated[str | None, "broadcast address"] = None
    anycast: Annotated[str | None, "anycast address"] = None
    label: Annotated[str | None, "label (IPv4), by which ifconfig(8) calls it"] = None
    valid_lifetime: Annotated[int | None, "seconds until it is removed; None: for ever"] = None
    preferred_lifetime: Annotated[int | None, "seconds until it is deprecated; None: for ever"] = None
    created: Annotated[float | None, "seconds from the machine's start to when it was made"] = None
    updated: Annotated[float | None, "seconds from the machine's start to when it was last changed"] = None
    metric: Annotated[int | None, "metric of the route to its prefix"] = None
    protocol: Annotated[str | None, "who made it: kernel_lo, kernel_ra, kernel_ll, or a number"] = None
    netns: Annotated[str | None, "network namespace, where more than the current one was asked for"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()
