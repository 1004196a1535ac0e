"""Conditions on sockets."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ..engine.netlink.groups import SOCKET_ENDS
from ..engine.places import EveryPlace, Place
from ..engine.text import marked
from ..errors import NetinspectError
from ..nouns.sockets.filter import Expression, parse
from ..nouns.sockets.listing import ALL_STATES, Query, SocketListing
from ..nouns.sockets.listing import FAMILIES as FAMILIES
from ..nouns.sockets.listing_joined import Selection, joined
from ..uapi.netlink import NETLINK_SOCK_DIAG
from .conditions import UNREPORTED, Observation, shown
from .endpoint import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..records import Socket

PROTOCOLS = ("tcp", "udp", "unix")
_ESTABLISHED, _TIME_WAIT, _CLOSE, _LISTEN = 1 << 1, 1 << 6, 1 << 7, 1 << 10
_LISTENING = {"tcp": _LISTEN, "udp": _CLOSE, "unix": _LISTEN | _CLOSE}
_ONLY_BOUND = (("UNCONNECTED", "stream"), ("UNCONNECTED", "seqpacket"))
"""Unix sockets with a name on which nobody called listen(2); datagram sockets need no such call."""
_NAMESPACES_SEARCHED = 100


class Holders(NamedTuple):
    """Which processes must hold a socket: names may be patterns. Empty: it does not matter which."""

    names: tuple[str, ...] = ()
    pids: frozenset[int] = frozenset()

    @property
    def selection(self) -> Selection:
        """The selection of their sockets. A process that has ended holds none."""
        selection = Selection(processes=self.names)
        selection.pids = self.pids
        return selection

    def __str__(self) -> str:
        words = [f"a process named {name}" for name in self.names]
        words += [f"process {pid}" for pid in sorted(self.pids)]
        return " or ".join(words)


_ANYBODY = Holders()


def _rows(query: Query, places: Sequence[Place], *, owners: bool = False) -> tuple[list[Socket], Observation]:
    listing = SocketListing(query, places)
    batches = joined(listing, ("processes",), Selection()) if owners else listing.batches()
    rows: list[Socket] = list(chain.from_iterable(batches))
    return rows, Observation((), tuple(listing.problems), tuple(listing.notes))


def _held(rows: Sequence[Socket], seen: Observation, holders: Holders) -> Observation:
    """Those that the holders hold; if owners of others are unknown, that is a problem."""
    selection = holders.selection
    found = tuple(row for row in rows if selection.holds(row.processes or ()))
    hidden = any(not row.processes for row in rows)
    return seen._replace(found=found, problems=(*seen.problems, *seen.notes) if hidden else seen.problems)


def _owned(rows: Sequence[Socket]) -> list[Socket]:
    """The same with the processes that hold them."""
    from ..nouns.sockets.owners import Owners

    owners = Owners()
    if rows:
        owners.scan()
    return [row._replace(processes=owners.processes(row.inode)) for row in rows]


def _named(name: str, rows: Iterable[Socket]) -> list[Socket]:
    """The unix sockets of that name, as it is in the file system or as a listing shows it."""
    names = (name, marked(name))
    return [row for row in rows if row.local_address in names or _with_signs(row.local_address) in names]


def _with_signs(name: str | None) -> str | None:
    """An abstract name with each NUL as a ``@``, as ss(8) and /proc/net/unix have it."""
    return name and name.replace("\0", "@")


class _OfSockets:
    """A condition on the sockets of one protocol over these address families."""

    pause = UNREPORTED
    """The kernel does not report new sockets."""

    def __init__(self, protocol: str, families: tuple[str, ...] = FAMILIES) -> None:
        self.protocol = protocol
        self.families = families

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """The ends of sockets."""
        return {NETLINK_SOCK_DIAG: SOCKET_ENDS[self.protocol]} if self.protocol in SOCKET_ENDS else {}

    def _query(self, states: int, expression: Expression | None) -> Query:
        return Query((self.protocol,), self.families, states, explicit=True, expression=expression)


class Listening(_OfSockets):
    """A socket takes connections, or datagrams, that are sent to an address and port, or to a unix socket's name."""

    def __init__(
        self,
        protocol: str,
        target: Endpoint | str,
        families: tuple[str, ...] = FAMILIES,
        holders: Holders = _ANYBODY,
    ) -> None:
        """``target`` is a name for unix sockets."""
        super().__init__(protocol, families)
        self.target = target
        self.holders = holders

    def __str__(self) -> str:
        who = str(self.holders) if any(self.holders) else "somebody"
        return f"{who} listens on {self.protocol} {self.target}"

    def look(self, places: Sequence[Place]) -> Observation:
        """The sockets that listen there."""
        expression = None
        if isinstance(self.target, Endpoint):
            expression = parse(f"sport = :{self.target.port}")
        query = self._query(_LISTENING[self.protocol], expression)
        rows, seen = _rows(query, places)
        found = self._fitting(rows)
        if found and any(self.holders):
            # It takes long to find out who holds a socket: not before there is one.
            rows, seen = _rows(query, places, owners=True)
            return _held(self._fitting(rows), seen, self.holders)
        return seen._replace(found=found)

    def _fitting(self, rows: Iterable[Socket]) -> tuple[Socket, ...]:
        target = self.target
        if isinstance(target, Endpoint):
            return tuple(row for row in rows if target.reached_by(row))
        return tuple(row for row in _named(target, rows) if (row.state, row.type) not in _ONLY_BOUND)

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """Listeners that some part of the condition fits, and else all listeners."""
        query = Query((self.protocol,), states=_LISTENING[self.protocol])
        rows, _ = _rows(query, places)
        fitting = self._fitting(row for row in rows if row.family in ("unix", *self.families))
        if fitting:
            return shown("listening there, held by other processes:", _owned(fitting))
        lines = []
        if isinstance(self.target, Endpoint):
            port = self.target.port
            what = f"at {self.target}" if self.target.address else f"over {' or '.join(self.families)}"
            near = [row for row in rows if row.local_port == port]
            lines += shown(f"on that port, but not reachable {what}:", _owned(near))
            other = "udp" if self.protocol == "tcp" else "tcp"
            expression = parse(f"sport = :{port}")
            near, _ = _rows(Query((other,), states=_LISTENING[other], expression=expression), places)
            lines += shown(f"on that port, but {other}:", _owned(near))
        else:
            lines += shown("bound to that name:", _owned(_named(self.target, rows)))
        lines += shown("in other network namespaces:", self._elsewhere())
        return lines or shown("listening there:", rows) or [f"no {self.protocol} listener there"]

    def _elsewhere(self) -> list[Socket]:
        found: list[Socket] = []
        for place in EveryPlace()[:_NAMESPACES_SEARCHED]:
            try:
                found += self.look([place]).found
            except NetinspectError:
                continue  # this is only a hint
        return found


class Established(_OfSockets):
    """Connections of these ends are established, ``least`` of them at least."""

    def __init__(
        self,
        protocol: str,
        filter: str,
        expression: Expression | None,
        families: tuple[str, ...] = FAMILIES,
        holders: Holders = _ANYBODY,
        least: int = 1,
    ) -> None:
        """``filter``: the ends, as ss(8) has them; empty for any connection."""
        super().__init__(protocol, families)
        self.filter = filter
        self.expression = expression
        self.holders = holders
        self.least = least

    def __str__(self) -> str:
        what = "a connection is" if self.least == 1 else f"{self.least} connections are"
        who = f", held by {self.holders}" if any(self.holders) else ""
        return f"{what} established ({self.protocol}{f': {self.filter}' if self.filter else ''}{who})"

    def look(self, places: Sequence[Place]) -> Observation:
        """The connections; none where there are fewer than asked for."""
        query = self._query(_ESTABLISHED, self.expression)
        rows, seen = _rows(query, places)
        if len(rows) >= self.least and any(self.holders):
            rows, seen = _rows(query, places, owners=True)
            seen = _held(rows, seen, self.holders)
        else:
            seen = seen._replace(found=tuple(rows))
        return seen if len(seen.found) >= self.least else seen._replace(found=())

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """The same ends in any state, and else all connections."""
        near, _ = _rows(self._query(ALL_STATES, self.expression), places)
        if near:
            return shown(f"{self.protocol} sockets that match, in any state:", _owned(near))
        rows, _ = _rows(Query((self.protocol,), states=ALL_STATES & ~_LISTEN), places)
        return shown("connections there:", rows) or [f"no {self.protocol} connections"]


class InUse(_OfSockets):
    """Sockets have this local address and port, or name, or these ends, in any state but TIME_WAIT.

    TIME_WAIT is the kernel's own: no process has that socket any more, and with SO_REUSEADDR the port can be bound.
    """

    def __init__(
        self,
        protocol: str,
        target: Endpoint | str,
        expression: Expression | None,
        families: tuple[str, ...] = FAMILIES,
    ) -> None:
        super().__init__(protocol, families)
        self.target = target
        self.expression = expression

    def __str__(self) -> str:
        return f"{self.protocol} {self.target} is in use"

    def look(self, places: Sequence[Place]) -> Observation:
        """Those sockets."""
        target, expression = self.target, self.expression
        if isinstance(target, Endpoint) and target.port is not None:
            expression = parse(f"sport = :{target.port}")
        rows, seen = _rows(self._query(ALL_STATES & ~_TIME_WAIT, expression), places)
        if isinstance(target, Endpoint):
            rows = [row for row in rows if target.reached_by(row)]
        elif expression is None:
            rows = _named(target, rows)
        return seen._replace(found=tuple(rows))

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """There is nothing near it."""
        return ["no such socket"]
