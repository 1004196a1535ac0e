"""The Python API of connection tracking: what `netinspect conntrack` and `netinspect nat` list, as records."""

from __future__ import annotations

from ..nouns.conntrack import listing as entries
from ..nouns.conntrack.filter import FlowFilter, mark_of, port_of, prefix_of, protocol_of, state_of, status_of, zone_of
from ..nouns.nat import listing as nat
from .listed import Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Values = str | int | Iterable[str | int] | None


def flows(*, netns: str | Iterable[str] | None = None, all_netns: bool = False, **wanted: Values) -> Listed:
    """The entries of the connection tracking table, as Flow records, over ctnetlink.

    ``wanted`` selects: each is one value or several, of which any will do, as the options of `netinspect conntrack`
    take them.

    - ``families``: inet, inet6; ``protocols``: names or numbers; ``states``: of TCP, SCTP or DCCP
    - ``source``, ``destination``, ``reply_source``, ``reply_destination``: addresses or prefixes
    - ``source_port`` and so on; ``port``: source or destination of the original direction
    - ``status``: bits that must be set or, with ! before them, must not (all of them: ``["ASSURED", "!SRC_NAT"]``)
    - ``marks``: ``"0x1/0xff"``; ``zones``; ``helpers``; ``minimum_bytes``

    Raises UsageError for a value that makes no sense, and while iterating NamespaceError, ConntrackError (no
    permission, or no connection tracking in this kernel) and NetlinkError. All of them are NetinspectErrors.
    """
    return Listed(entries.Listing(_filter(wanted), places_of(netns, all_netns)))


def translations(*, netns: str | Iterable[str] | None = None, all_netns: bool = False, **wanted: Values) -> Listed:
    """The translated flows (NAT), as Translation records. Selects and raises as ``flows`` does."""
    return Listed(nat.Listing(_filter(wanted), places_of(netns, all_netns)))


_ADDRESSES = ("source", "destination", "reply_source", "reply_destination")
_PORTS = tuple(f"{end}_port" for end in _ADDRESSES)


def _filter(wanted: dict[str, Values]) -> FlowFilter:
    found = FlowFilter()
    for name, values in wanted.items():
        if values is None:
            continue
        texts = [str(value) for value in several(values)]
        if name == "families":
            found.families = _families(texts)
        elif name in _ADDRESSES:
            found.addresses[f"{name}_address"] = list(map(prefix_of, texts))
        elif name in _PORTS:
            found.ports[name] = set(map(port_of, texts))
        elif name == "port":
            found.either_ports = set(map(port_of, texts))
        elif name == "protocols":
            found.protocols = set(map(protocol_of, texts))
        elif name == "states":
            found.states = set(map(state_of, texts))
        elif name == "status":
            for status, on in map(status_of, texts):
                (found.with_status if on else found.without_status).add(status)
        elif name == "marks":
            found.marks = list(map(mark_of, texts))
        elif name == "zones":
            found.zones = set(map(zone_of, texts))
        elif name == "helpers":
            found.helpers = set(texts)
        elif name == "minimum_bytes":
            found.minimum_bytes = int(texts[0])
        else:
            raise TypeError(f"flows() got an unexpected keyword argument {name!r}")
    return found


def _families(texts: Sequence[str]) -> tuple[str, ...]:
    from ..errors import UsageError

    for text in texts:
        if text not in ("inet", "inet6"):
            raise UsageError(f"{text!r} is none of inet, inet6")
    return tuple(texts)
