"""How multicast memberships look in a table."""

from __future__ import annotations

from .table import Column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..batch import Batch
    from ..records import GroupSocket

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def sources() -> Column:
    """The sources of the filter: + asked for, - refused."""
    return Column("Sources", _sources)


def _sources(batch: Batch) -> Iterable[str]:
    for included, excluded in zip(batch.values("included"), batch.values("excluded"), strict=True):
        marked = [f"+{source}" for source in included] + [f"-{source}" for source in excluded]
        yield ",".join(marked) or "-"


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
