"""Addresses of interfaces (netinspect addresses)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Address(NamedTuple):
    """An address of an interface (rtnetlink(7): RTM_GETADDR). None: does not apply, or not reported."""

    family: Annotated[str, "inet or inet6"]
    interface: Annotated[str, "its interface"]
    address: Annotated[str, "the address"]
    prefix_length: Annotated[int, "prefix length"]
    scope: Annotated[str, "scope (rt_scopes): global, site, link, host or nowhere"]
    flags: Annotated[
        tuple[str, ...],
        "permanent, dynamic, secondary, temporary, tentative, dadfailed, deprecated, optimistic, nodad, home, "
        "mngtmpaddr, noprefixroute, autojoin, stable-privacy",
    ]
    peer: Annotated[str | None, "address of the other end of a point-to-point link"] = None
    broadcast: Annotated[str | None, "broadcast address"] = None
    anycast: Annotated[str | None, "anycast address"] = None
    label: Annotated[str | None, "label (IPv4), the name in ifconfig(8)"] = None
    valid_lifetime: Annotated[int | None, "seconds until it is removed; None: for ever"] = None
    preferred_lifetime: Annotated[int | None, "seconds until it is deprecated; None: for ever"] = None
    created: Annotated[float | None, "when it was added, seconds since boot"] = None
    updated: Annotated[float | None, "when it was last changed, seconds since boot"] = None
    metric: Annotated[int | None, "metric of the route to its prefix"] = None
    protocol: Annotated[str | None, "who added it: kernel_lo, kernel_ra, kernel_ll, or a number"] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()
