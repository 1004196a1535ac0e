"""Sockets and what they carry: each, or added up by process, remote address, container or state."""

from __future__ import annotations

from _operator import add
from itertools import chain, repeat
from time import monotonic

from ..nouns.sockets.listing import ALL_STATES, Query, SocketListing
from ..nouns.sockets.listing_joined import Selection, joined
from ..nouns.sockets.listing_timed import TimedSockets
from ..records import GroupRates, SocketRates
from .figures import counted, end_text, per_second, short
from .frame import Column, Frame, Joined, added_up, nth, paced
from .holders import Holders
from .meter import Meter, added, total
from .rates import read_times
from .source import Line, Places, Source, explained, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from typing import Any

    from ..engine.columns import Batch
    from ..engine.places import Place
    from ..records import Socket

_COUNTERS = ("bytes_acked", "bytes_received", "total_retransmits")
_RATES = ("sent_rate", "received_rate", "retransmit_rate", "drop_rate")
_NESTED = ("rtt", "congestion_window")
_HELD = {"process": 0, "container": 1}


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else short(value)


_COLUMNS = (
    Column("protocol", "Proto", rank=6, least=3),
    Column("state", "State", rank=2, least=5, kind="state"),
    Column(
        "local", "Local", end_text, fields=("local_address", "local_port"), rank=0, least=12, usual=21, kind="address"
    ),
    Column(
        "remote",
        "Remote",
        end_text,
        fields=("remote_address", "remote_port"),
        rank=0,
        least=12,
        usual=21,
        kind="address",
    ),
    Column("rate", "Rate B/s", short, rank=0, right=True, least=6),
    Column("sent_rate", "Sent B/s", short, rank=4, right=True, least=6),
    Column("received_rate", "Recv B/s", short, rank=4, right=True, least=6),
    Column("retransmit_rate", "Retr/s", short, rank=5, right=True, least=5),
    Column("drop_rate", "Drop/s", short, rank=5, right=True, least=5),
    Column("rtt", "RTT ms", _milliseconds, rank=3, right=True, least=5),
    Column("congestion_window", "Cwnd", rank=7, right=True, least=4),
    Column("recv_queue", "Recv-Q", short, rank=6, right=True, least=5),
    Column("send_queue", "Send-Q", short, rank=6, right=True, least=5),
    Column("process", "Process", rank=1, least=8, most=32),
    Column("container", "Container", rank=7, least=9, most=24),
)
_GROUP_COLUMNS = (
    Column("sockets", "Sockets", rank=1, right=True, least=5),
    Column("new", "New", rank=4, right=True, least=3),
    Column("rate", "Rate B/s", short, rank=0, right=True, least=6),
    Column("sent_rate", "Sent B/s", short, rank=2, right=True, least=6),
    Column("received_rate", "Recv B/s", short, rank=2, right=True, least=6),
    Column("retransmit_rate", "Retr/s", short, rank=3, right=True, least=5),
    Column("drop_rate", "Drop/s", short, rank=3, right=True, least=5),
)
_SHARED = {"process": "process", "remote": "remote_address", "container": "container", "state": "state"}
"""By group, the field that its members share."""


class Sockets(Source):
    """The tab of the sockets."""

    title = "Sockets"
    groups = ("", *_SHARED)
    sort = "rate"
    hint = "as in `netinspect sockets`: dst 10.0.0.0/8 and sport = :443"

    def __init__(
        self,
        places: Places,
        query: Callable[[str], Query],
        words: Callable[[str], Sequence[str]],
        selection: Selection | None = None,
        *,
        where: Sequence[str] = (),
        labelled: bool = False,
        text: str = "",
    ) -> None:
        """``query`` makes a query of a filter, and raises UsageError; ``words`` are the same `top` with a filter."""
        super().__init__(places, where, labelled=labelled)
        self._asked = query
        self._words = words
        self._selection = selection or Selection()
        self._query = query(text)
        self.filter = text
        self._meter = Meter()
        self._holders = Holders()

    def select(self, text: str) -> None:
        """Takes a filter. Raises UsageError."""
        self._query = self._asked(text)
        self.filter = text

    def restart(self) -> None:
        """The next sample has no rates."""
        self._meter = Meter()

    def shown(self, group: str) -> Sequence[Column]:
        """A socket, or what the group adds up."""
        return (Column("group", group.capitalize(), rank=0, least=12), *_GROUP_COLUMNS) if group else _COLUMNS

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Rates, and what they depend on."""
        each = (("rtt", "RTT", "ms"), ("congestion_window", "Cwnd", "segments"), ("queue", "Queues", "B"))
        return (("rate", "Rate", "B/s"), *(() if group else each))

    def sample(self, group: str) -> Frame:
        """Raises NetinspectError."""
        listing = TimedSockets(self._query, self._begin())
        began = monotonic()
        selection = self._selection
        selects = selection.by_owner or selection.uids
        batches = list(paced(joined(listing, (), selection) if selects else listing.batches()))
        self.problems, self.notes = listing.problems, listing.notes
        frame = self._frame(batches, began)
        if self._holders.problem:
            self.notes.append(f"{self._holders.problem}: processes may be missing")
        if self._holders.missing:
            self.notes.append(self._holders.missing)
        return _grouped(frame, group, self._meter.fresh) if group else frame

    def _frame(self, batches: Sequence[Batch], began: float) -> Frame:
        found = Joined(batches)
        times = [*chain.from_iterable(map(read_times, batches))]
        values: dict[str, Sequence[Any]] = {}

        def nested(name: str) -> list[Any]:
            return [*chain.from_iterable(_member(batch, name) for batch in paced(batches))]

        cookies, inodes = found.column("cookie"), found.column("inode")
        keys: list[Hashable] = cookies
        if self.labelled:
            values["netns"] = found.column("netns")
            keys = [*zip(values["netns"], cookies, strict=True)]
        if None in cookies:  # procfs, which stands in for a lacking sock_diag, has none
            keys = [key if cookie else (key, inode) for key, cookie, inode in zip(keys, cookies, inodes, strict=True)]
        rates = self._meter.rates(keys, times, [*map(nested, _COUNTERS), found.column("drops")], began)
        blank: list[float | None] = [None] * len(keys)
        values |= zip(_RATES, rates or repeat(blank), strict=False)
        values["rate"] = added(values["sent_rate"], values["received_rate"]) if rates else blank
        held = self._holders.of(inodes)

        def make(name: str) -> Sequence[Any]:
            if name in _NESTED:
                return nested(name)
            if name == "queue":
                return [*map(add, found.column("recv_queue"), found.column("send_queue"))]
            if name in _HELD:
                return [None if holder is None else holder[_HELD[name]] for holder in held]
            return found.column(name)

        def peek(name: str, row: int) -> Any:
            if name in _NESTED:
                batch, at = found.at(row)
                return nth(_member(batch, name), at)
            if name == "queue":
                return found.value("recv_queue", row) + found.value("send_queue", row)
            if name in _HELD:
                holder = held[row]
                return None if holder is None else holder[_HELD[name]]
            return found.value(name, row)

        facts = [counted(len(keys), "socket")]
        if rates and (carried := total(values["rate"])) is not None:
            facts.append(per_second(carried))
        frame = Frame(keys, values, make, peek, seconds=began if rates else None, facts=facts)
        frame.compared = self._meter.compared
        return frame

    def command(self, group: str, sort: str) -> list[str]:
        """The same as a table of one sample."""
        by = ["--by", group] if group else []
        known = (GroupRates if group else SocketRates)._fields
        for column in self.columns(group):
            if column.name == sort.removeprefix("-") and column.fields[0] in known:
                descending = column.right != sort.startswith("-")
                by += ["--sort", f"{'-' * descending}{column.fields[0]}"]
        first, second, third, *more = self._words(self.filter)
        return [first, second, third, *by, *more]

    def command_of(self, frame: Frame, row: int, group: str) -> list[str]:
        """The socket, with all that is known of it."""
        if group:
            return self.command(group, "")
        protocol = frame.value(row, "protocol")
        option = {"tcp": "-t", "udp": "-u"}.get(protocol, f"--{protocol}")
        ends = self._ends(frame, row)  # unix sockets have none
        words = ["netinspect", "sockets", option, *self.place_words(frame, row), "-anoimep"]
        return [*words, ends] if ends else words

    def _ends(self, frame: Frame, row: int, *, other: bool = False) -> str:
        """The filter for one socket, or for the other end of its connection."""
        ends = [(frame.value(row, f"{end}_address"), frame.value(row, f"{end}_port")) for end in ("local", "remote")]
        if other:
            ends.reverse()
        said = []
        for word, (address, port) in zip(("src", "dst"), ends, strict=True):
            if address is not None and port:
                said.append(f"{word} {f'[{address}]' if ':' in address else address}:{port}")
            elif address not in (None, "0.0.0.0", "::", "*"):
                said.append(f"{word} {address}")
        return " and ".join(said)

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """The whole record, who holds it, the other end, and what its state means. Raises NetinspectError."""
        if group:
            name = str(frame.value(row, "group"))
            return [Line(f"Explain {name}", kind="heading"), *explained(name)] if group == "state" else []
        protocol, inode = frame.value(row, "protocol"), frame.value(row, "inode")
        cookie = frame.value(row, "cookie")
        found = [
            socket
            for socket in self._found(self._ends(frame, row), protocol, [self.place_of(frame, row)])
            if socket.cookie == cookie
        ]
        lines: list[Line] = [Line("Held by", kind="heading")]
        if not found:
            lines.append(Line("", "The socket has ended.", kind="text"))
        for socket in found:
            lines += _holders_of(socket)
            if socket.user is not None:
                lines.append(Line("User", f"{socket.user} ({socket.uid})"))
        lines += self._other_end(frame, row, protocol, inode)
        state = str(frame.value(row, "state"))
        lines += [Line(f"Explain {state}", kind="heading"), *explained(state)]
        for socket in found:
            lines += [Line("All there is", kind="heading"), *fields_of(socket)]
        return lines

    def _other_end(self, frame: Frame, row: int, protocol: str, inode: int) -> list[Line]:
        if frame.value(row, "remote_port") in (None, 0) or frame.value(row, "remote_address") is None:
            return []
        here = self.place_of(frame, row)
        places = [*self.places.now()] if self.labelled else [here]
        found = [
            socket
            for socket in self._found(self._ends(frame, row, other=True), protocol, places)
            if socket.inode != inode or not inode
        ]
        lines = [Line("Other end", kind="heading")]
        if not found:
            lines.append(Line("", "It is not on this machine, or in a namespace that is not looked into.", kind="text"))
        for socket in found:
            inside = f" in {socket.netns}" if socket.netns else ""
            ends = f"{end_text(socket.local_address, socket.local_port)} > "
            ends += end_text(socket.remote_address, socket.remote_port)
            lines.append(Line("Socket", f"{socket.protocol} {socket.state} {ends}{inside}"))
            lines.append(Line("Queues", f"{socket.recv_queue} B to be read, {socket.send_queue} B not acknowledged"))
            lines += _holders_of(socket)
        return lines

    def _found(self, text: str, protocol: str, places: Sequence[Place]) -> list[Socket]:
        asked = self._asked(text)
        query = Query(
            [protocol], states=ALL_STATES, explicit=True, expression=asked.expression, tcp_info=True, memory=True
        )
        fields = ("processes", "owner_reason", "user", "container", "behind")
        return [socket for batch in joined(SocketListing(query, places), fields, Selection()) for socket in batch]


def _member(batch: Batch, name: str) -> Iterable[Any]:
    nested = batch.column("tcp_info").nested
    return repeat(None, len(batch)) if nested is None else nested.values(name)


def _grouped(frame: Frame, by: str, fresh: Iterable[int]) -> Frame:
    """The rates added up by what sockets share, in each namespace."""
    missing = {"process": "(unknown)", "container": "(none)"}.get(by, "-")
    names = [missing if value is None else value for value in frame.column(_SHARED[by])]
    new = [0] * frame.count
    for row in fresh:
        new[row] = 1
    values: dict[str, Sequence[Any]] = {field: frame.column(field) for field in ("rate", *_RATES)}
    values["new"] = new
    if "netns" in frame:
        values["netns"] = frame.column("netns")
    return added_up(names, values, frame.facts, "sockets", frame.seconds)


def _holders_of(socket: Socket) -> list[Line]:
    lines = []
    for process in (*(socket.processes or ()), *(socket.behind or ())):
        unit = f", unit {process.unit}" if process.unit else ""
        lines.append(Line("Process", f"{process.pid}/{process.name}, descriptor {process.fd}{unit}"))
    if not lines:
        lines.append(Line("Process", socket.owner_reason or "unknown"))
    if socket.container:
        lines.append(Line("Container", socket.container))
    return lines
