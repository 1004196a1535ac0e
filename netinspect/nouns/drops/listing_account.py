"""One account of every counter of drops, from the card to the socket, read twice: the fastest first.

Each layer is read from source of the value: the source is in every row. What cannot be read costs that layer.
"""

from __future__ import annotations

from _functools import partial
from functools import cache
from time import monotonic, sleep

from ...engine.addresses import endpoint
from ...engine.listing import BaseListing
from ...engine.namespaces import inside
from ...engine.netlink import interfaces
from ...engine.netlink.transport import Dump
from ...engine.places import InterfaceNames, Place, in_places
from ...engine.schema import rows_of
from ...engine.text import digits, number
from ...errors import NetinspectError
from ...netfilter import ruleset
from ...procfs import network_text
from ...records import DropCounter
from ...uapi import nf_tables as nft
from ...uapi.netlink import NETLINK_ROUTE
from ..sockets.listing import ALL_STATES, SocketListing
from ..sockets.listing import Query as SocketQuery
from ..sockets.owners import Owners
from ..statistics.counters import meaning
from ..statistics.listing import Query, figures
from . import listing_driver
from .listing_qdiscs import qdiscs_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch
    from ...netfilter.decode import Expression
    from ...records import Socket

    Key = tuple[str, str, str | None, str | None]
    """Layer, counter, object, and a key to distinguish counters of the same name."""

LAYERS = ("card", "link", "qdisc", "softnet", "ip", "netfilter", "conntrack", "transport", "socket")
"""In the order of a packet's way in."""

_SOCKETS = ("tcp", "udp", "udplite", "raw", "unix", "packet", "netlink", "mptcp", "sctp")
_SOFTNET = (
    ("dropped", 1, "packets dropped because the processor's queue was full", "net.core.netdev_max_backlog"),
    (
        "flow_limit_count",
        10,
        "packets of large flows, dropped before the processor's queue was full (flow limit)",
        "net.core.flow_limit_cpu_bitmap",
    ),
)
"""Columns of softnet_stat (net/core/net-procfs.c: softnet_seq_show)."""
_SOFTNET_CPU = 12
_QUEUES = (
    (
        "queue_dropped",
        5,
        "packets dropped because the queue to the program was full",
        "the program that reads the queue",
    ),
    ("user_dropped", 6, "packets that could not be delivered to the program", "the program's receive buffer"),
)
"""Columns of nfnetlink_queue (net/netfilter/nfnetlink_queue.c: seq_show)."""


_NF_DROP = 0
"""linux/netfilter.h"""


class _Figure:
    """A value, and what is reported of it."""

    __slots__ = ("look", "meaning", "source", "value")

    def __init__(self, value: int, source: str, meaning: str | None, look: str | None = None) -> None:
        self.value, self.source, self.meaning, self.look = value, source, meaning, look


@cache
def _known() -> dict[tuple[str, str], tuple[str, str]]:
    """By table and counter of the statistics: its layer, and what to look at."""
    import tomllib

    from ...engine.files import package_text

    data = tomllib.loads(package_text(__name__, "account.toml"))["layer"]
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for layer, tables in data.items():
        for table, counters in tables.items():
            found |= {(table, name): (layer, look) for name, look in counters.items()}
    return found


class Account(BaseListing):
    """The counters, largest rate first, then by their values; those that are 0 only with ``zeros``."""

    def __init__(self, places: Sequence[Place] = (), seconds: float | None = 1.0, *, zeros: bool = False) -> None:
        """``seconds`` lie between the two readings; None: they are read once, and there are no rates."""
        super().__init__(places)
        self._seconds = seconds
        self._zeros = zeros
        self._before: dict[str | None, tuple[float, dict[Key, _Figure]]] = {}

    def batches(self) -> Iterator[Batch]:
        """The rows. Raises NamespaceError, NetinspectError."""
        if self._seconds is not None:
            for _ in in_places(self.places, self._first, lambda _: None):
                pass
            sleep(self._seconds)
            self.problems.clear()
            self.notes.clear()
        batches = list(in_places(self.places, self._place, self.problems.append))
        rows: list[DropCounter] = [row for batch in batches for row in batch]
        if rows:
            order = {layer: number for number, layer in enumerate(LAYERS)}
            rows.sort(key=lambda row: (-(row.rate or 0), -row.value, order[row.layer], row.counter))
            yield rows_of(rows)

    def _first(self, place: Place) -> Iterator[Batch]:
        self._before[place.label] = monotonic(), self._read(place)
        return iter(())

    def _place(self, place: Place) -> Iterator[Batch]:
        now = self._read(place)
        begun, before = self._before.get(place.label, (None, {}))
        elapsed = None if begun is None else monotonic() - begun
        rows = []
        holders: Owners | None = None
        for key, figure in now.items():
            if not figure.value and not self._zeros:
                continue
            rate = None
            if elapsed is not None:
                earlier = before.get(key)
                # A new or restarted counter counts from 0.
                risen = figure.value - (earlier.value if earlier is not None else 0)
                rate = round((risen if risen >= 0 else figure.value) / elapsed, 3)
            layer, counter, of, inode = key
            if inode is not None:
                if holders is None:
                    holders = Owners()
                    holders.scan()
                named = [f"{process.name or '?'}/{process.pid}" for process in holders.processes(int(inode))]
                of = " ".join([of or "-", *dict.fromkeys(named)])
            rows.append(DropCounter(layer, counter, of, figure.value, rate, figure.meaning, figure.look, figure.source))
        if rows:
            yield rows_of(rows)

    def _read(self, place: Place) -> dict[Key, _Figure]:
        found: dict[Key, _Figure] = {}
        reads: tuple[Callable[[Place], dict[Key, _Figure]], ...] = (
            self._statistics,
            self._drivers,
            self._qdiscs,
            self._softnet,
            self._rules,
            self._queues,
            self._sockets,
        )
        for read in reads:
            try:
                found |= read(place)
            except NetinspectError as error:
                if str(error) not in self.problems:
                    self.problems.append(str(error))
        return found

    def _statistics(self, place: Place) -> dict[Key, _Figure]:
        known = _known()
        tables = tuple({table for table, _ in known})
        found: dict[Key, _Figure] = {}
        for (table, counter, interface), figure in figures(Query(tables), place, self.problems, self.notes).items():
            short = counter.removeprefix(table) if table.endswith("6") else counter
            if table in ("Ip6", "Icmp6") and interface is not None:
                continue  # these are parts of the namespace's
            if (table, short) in known:
                layer, look = known[table, short]
                key = layer, f"{table}.{short}", interface, None
                found[key] = _Figure(figure.value, figure.source, meaning(table, counter).meaning, look)
        return found

    def _drivers(self, place: Place) -> dict[Key, _Figure]:
        names = [str(name) for _, name in _named(place)]
        counted = inside(place.descriptor, partial(listing_driver.counters, names))
        text = "a driver counter, by the driver's name"
        return {
            ("card", name, interface, None): _Figure(value, "ethtool", text, "the driver's documentation; ethtool -S")
            for (interface, name), value in counted.items()
        }

    def _qdiscs(self, place: Place) -> dict[Key, _Figure]:
        names = InterfaceNames(place)
        text, look = (
            "packets that the queueing discipline dropped",
            "tc -s qdisc show dev IF: limits; a saturated link",
        )
        return {
            ("qdisc", f"{row.kind}.drops", f"{names[row.interface]} {row.handle} {row.parent}", None): _Figure(
                row.drops, "rtnetlink", text, look
            )
            for row in qdiscs_of(place, self.problems.append)
        }

    def _softnet(self, place: Place) -> dict[Key, _Figure]:
        # It is of the whole machine, whatever the namespace: it is reported for one.
        if place is not self.places[0]:
            return {}
        found: dict[Key, _Figure] = {}
        for row, line in enumerate((place.call(partial(network_text, "softnet_stat")) or "").splitlines()):
            values = [number(f"0x{column}") for column in line.split()]
            if None in values:
                self._malformed("softnet_stat")
                continue
            cpu = values[_SOFTNET_CPU] if len(values) > _SOFTNET_CPU else row
            for name, column, what, look in _SOFTNET:
                if column < len(values):
                    key = "softnet", name, f"cpu {cpu} (whole machine)", None
                    found[key] = _Figure(values[column] or 0, "procfs: /proc/net/softnet_stat", what, look)
        return found

    def _queues(self, place: Place) -> dict[Key, _Figure]:
        text = place.call(partial(network_text, "netfilter/nfnetlink_queue")) or ""
        found: dict[Key, _Figure] = {}
        for line in text.splitlines():
            columns = line.split()
            for name, column, what, look in _QUEUES:
                value = digits(columns[column]) if column < len(columns) else None
                if value is None:
                    self._malformed("netfilter/nfnetlink_queue")
                else:
                    key = "netfilter", name, f"queue {columns[0]}", None
                    source = "procfs: /proc/net/netfilter/nfnetlink_queue"
                    found[key] = _Figure(value, source, what, look)
        return found

    def _malformed(self, file: str) -> None:
        problem = f"/proc/net/{file}: a malformed line is left out"
        if problem not in self.problems:
            self.problems.append(problem)

    def _rules(self, place: Place) -> dict[Key, _Figure]:
        """Rules with a counter that drop or reject."""
        try:
            rules = ruleset.read(place)
        except NetinspectError as error:
            self.notes.append(f"counters of rules are left out: {error}")
            return {}
        found: dict[Key, _Figure] = {}
        uncounted = 0
        for listed in rules.rules.values():
            for rule in listed:
                packets, drops = None, False
                for expression in rule.expressions:
                    if expression.name == "counter":
                        raw = expression.raw(nft.NFTA_COUNTER_PACKETS)
                        packets = int.from_bytes(raw or b"", "big")
                    elif expression.name == "reject" or _is_drop(expression):
                        drops = True
                    elif expression.name == "target":
                        drops = expression.text(nft.NFTA_TARGET_NAME) in ("DROP", "REJECT")
                if drops and packets is None:
                    uncounted += 1
                elif drops and packets is not None:
                    text = f"packets that matched the rule: {rules.text(rule)}"
                    key = "netfilter", "rule", str(rule), None
                    found[key] = _Figure(
                        packets, "nf_tables", text, "nft list ruleset; netinspect drops reason NETFILTER_DROP"
                    )
        if uncounted:
            note = f"rules that drop and have no counter: {uncounted}; `netinspect drops` sees their packets"
            if note not in self.notes:
                self.notes.append(note)
        return found

    def _sockets(self, place: Place) -> dict[Key, _Figure]:
        query = SocketQuery(_SOCKETS, states=ALL_STATES, memory=True)
        found: dict[Key, _Figure] = {}
        listing = SocketListing(query, (place,))
        text = "packets that this socket dropped: its receive buffer was full, or its filter refused them"
        label, place.label = place.label, None
        try:
            for batch in listing._place(place):
                drops = [*batch.values("drops")]
                if not any(drops):
                    continue
                for socket in batch.select(drops):
                    if socket.memory is not None and socket.memory.drops:
                        key = "socket", f"{socket.protocol}.drops", _name(socket), str(socket.inode)
                        found[key] = _Figure(
                            socket.memory.drops, "sock_diag", text, f"netinspect sockets -m: inode {socket.inode}"
                        )
        finally:
            place.label = label
        self.problems += [problem for problem in listing.problems if problem not in self.problems]
        return found


def _is_drop(expression: Expression) -> bool:
    verdict = expression.verdict(nft.NFTA_IMMEDIATE_DATA) if expression.name == "immediate" else None
    return verdict is not None and verdict[0] == _NF_DROP


def _name(socket: Socket) -> str:
    ends = [endpoint(socket.local_address, socket.local_port), endpoint(socket.remote_address, socket.remote_port)]
    unbound = ("", "*", "0.0.0.0:0", "[::]:0", "*:0")
    return " > ".join([end for number, end in enumerate(ends) if not number or end not in unbound])


def _named(place: Place) -> list[tuple[int, str]]:
    dump = Dump(place.connect(NETLINK_ROUTE), interfaces.dump_request(), "naming interfaces")
    return list(interfaces.names(dump))
