"""How multicast memberships look in a table."""

from __future__ import annotations

from ...engine.table import Column, Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...engine.columns import Batch
    from ...records import GroupSocket, MulticastHop

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def sources() -> Column:
    """The sources of the filter: + asked for, - refused."""
    return Column("Sources", _sources)


def _sources(batch: Batch) -> Iterable[str]:
    for included, excluded in zip(batch.values("included"), batch.values("excluded"), strict=True):
        if included or excluded:
            yield ",".join([f"+{source}" for source in included] + [f"-{source}" for source in excluded])
        else:
            yield "-"


def yes_or_no(value: bool) -> str:
    """A flag in words."""
    return "yes" if value else "no"


def seconds(value: float) -> str:
    """A time span, in the two largest units."""
    if value < _MINUTE:
        return f"{value:.1f}s"
    whole = int(value)
    for size, unit, part, smaller in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part}{smaller}"
    return f"{whole}s"


def sockets_text(sockets: Sequence[GroupSocket]) -> str:
    """Who joined a group or gets its datagrams: ``udp *:5000 joined+receives users:(("avahi",pid=1,fd=3))``."""
    return "; ".join(map(_socket_text, sockets)) or "-"


def _socket_text(socket: GroupSocket) -> str:
    where = "unbound" if socket.local_address is None else f"{_host(socket.local_address)}:{socket.local_port or '*'}"
    if socket.protocol == "packet":
        where = "packet socket"
    relations = [name for name, holds in (("joined", socket.joined), ("receives", socket.receives)) if holds]
    if socket.joined is None:
        relations.append("joined?")
    words = [socket.protocol if socket.protocol != "packet" else "", where, "+".join(relations)]
    if socket.sources:
        words.append(f"{'only' if socket.filter_mode == 'include' else 'not'} {','.join(socket.sources)}")
    owners = ",".join(
        '("{}",pid={},fd={})'.format(process.name.replace('"', '\\"'), process.pid, process.fd)
        for process in socket.processes
    )
    words.append(f"users:({owners})" if owners else "")
    return " ".join(filter(None, words))


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else "*" if address == "0.0.0.0" else address


def hops_text(hops: Sequence[MulticastHop]) -> str:
    """Interfaces that datagrams go out on, with the TTL that they must have where it is not 1."""
    return ",".join(hop.interface + (f"(ttl {hop.ttl})" if hop.ttl > 1 else "") for hop in hops) or "-"


def words(values: Sequence[str]) -> str:
    """Several words in one cell."""
    return ",".join(values) or "-"


def routing_columns(view: str) -> list[Column]:
    """The columns of the tables of multicast routes, of the router's interfaces, and of bridges."""
    if view == "routes":
        return [
            Field("Table", "table", number=True),
            Field("Origin", "origin"),
            Field("Group", "group"),
            Field("In", "interface"),
            Field("Out", "outgoing", hops_text),
            Field("Resolved", "resolved", yes_or_no),
            Field("Packets", "packets", number=True),
            Field("Bytes", "bytes", number=True),
            Field("Wrong-In", "wrong_interface", number=True),
            Field("Idle", "idle", seconds),
        ]
    if view == "interfaces":
        return [
            Field("Family", "family"),
            Field("Table", "table", number=True),
            Field("Number", "number", number=True),
            Field("Interface", "interface"),
            Field("RX-Packets", "received_packets", number=True),
            Field("RX-Bytes", "received_bytes", number=True),
            Field("TX-Packets", "sent_packets", number=True),
            Field("TX-Bytes", "sent_bytes", number=True),
            Field("Local", "local"),
            Field("Remote", "remote"),
            Field("Flags", "flags", words),
            Field("Source", "source"),
        ]
    return [
        Field("Bridge", "bridge"),
        Field("Port", "port"),
        Field("Kind", "kind"),
        Field("Group", "group"),
        Field("Origin", "origin"),
        Field("VLAN", "vlan", number=True),
        Field("State", "state"),
        Field("Mode", "filter_mode"),
        Field("Sources", "sources", words),
        Field("Timer", "timer", seconds),
        Field("Protocol", "protocol"),
        Field("Flags", "flags", words),
    ]
