"""What happens to the packets of one flow in one namespace: rules that they meet, their entry, and where they end."""

from __future__ import annotations

from select import POLLIN, poll
from time import monotonic, time

from ...errors import NetinspectError
from ...netfilter.trace import Trace
from ...netfilter.tracer import NAME, Tracer
from ..conntrack.events import Watch as Tracking
from ..conntrack.filter import FlowFilter
from ..conntrack.listing_state import why_nothing
from ..drops.events import Namespaces, Unavailable
from ..drops.events import Watch as Drops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Annotated, Any, NamedTuple

    from ...engine.places import Place
    from ...netfilter.trace import Event
    from ...records import Drop, FlowEvent, PathPacket
else:
    from ...startup import Annotated, NamedTuple

_QUIET = 0.05
"""Seconds between two looks at everything."""
_BUFFER = 1 << 20
_EVENTS = ("new", "update", "destroy")


class Seen(NamedTuple):
    """One event of the flow."""

    time: Annotated[float, "seconds since 1970"]
    back: Annotated[bool, "whether it belongs to a reply"]
    trace: Annotated[Event | None, "a rule, or the end of a chain"] = None
    entry: Annotated[FlowEvent | None, "a change of its entry"] = None
    drop: Annotated[Drop | None, "that the kernel dropped a packet of it"] = None


class FlowWatch:
    """Watches one flow. ``place`` is open. Close it, or use it as a context manager.

    All that it puts into the kernel is held by descriptors of this process: a table that belongs to one of its sockets,
    a BPF program, and sockets. Nothing of it outlives the process, however that ends.
    """

    def __init__(self, place: Place, packet: PathPacket, protocol: int) -> None:
        """Raises NetinspectError where rules cannot be traced. What else cannot be seen is in ``missing``."""
        self.missing: list[str] = []
        self._packet = packet
        self._closing: list[Any] = []
        self._answers: dict[int, bool] = {}
        self._tuples = {_ends(packet)}
        self._drops: Drops | None = None
        self._tracking: Tracking | None = None
        tracked = why_nothing(place) is None
        try:
            self._trace = Trace(place)
            self._closing.append(self._trace)
            self._watch_drops(place)
            if tracked:
                self._watch_entries(place)
            ends = (packet.source_address, packet.destination_address)
            ports = (packet.source_port or 0, packet.destination_port or 0)
            self._closing.append(Tracer(place, protocol, *ends, *ports, tracked=tracked))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> FlowWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes everything out of the kernel."""
        for each in reversed(self._closing):
            each.close()
        self._closing.clear()

    def _watch_drops(self, place: Place) -> None:
        try:
            self._drops = Drops(Namespaces([place], every=False))
        except Unavailable as error:
            self.missing.append(f"drop reasons: {error}")
            return
        self._closing.append(self._drops)

    def _watch_entries(self, place: Place) -> None:
        try:
            self._tracking = Tracking(place, FlowFilter(), _EVENTS, _BUFFER)
        except NetinspectError as error:
            self.missing.append(f"conntrack events: {error}")
            return
        self._closing.append(self._tracking)

    def seen(self, seconds: float) -> Iterator[Seen]:
        """The events of this many seconds, as they arrive."""
        ends = monotonic() + seconds
        waiting = poll()
        waiting.register(self._trace.fileno(), POLLIN)
        for other in (self._tracking, self._drops):
            if other is not None:
                waiting.register(other.fileno(), POLLIN)
        while True:
            left = ends - monotonic()
            waiting.poll(1000 * max(0.0, min(_QUIET, left)))
            yield from self._taken()
            if left <= 0:
                return

    def _taken(self) -> Iterator[Seen]:
        if self._tracking is not None:
            for batch in self._tracking.events():
                for flow in batch:
                    if self._is_of(flow):
                        yield Seen(flow.time, False, entry=flow)
        for event in self._trace.events():
            if not event.table.startswith(NAME):
                yield Seen(time(), self._answers_it(event), trace=event)
            elif event.kind == "rule":
                self._answers[event.id] = event.chain.endswith("_replies")
        if self._drops is not None:
            for drop in self._drops.pending():
                back = self._dropped(drop)
                if back is not None:
                    yield Seen(drop.time, back, drop=drop)

    def _answers_it(self, event: Event) -> bool:
        if event.tracking_direction is not None:
            return event.tracking_direction == "reply"
        return self._answers.get(event.id, False)

    def _is_of(self, flow: FlowEvent) -> bool:
        wanted = self._packet
        if flow.protocol != wanted.protocol:
            return False
        ends = (flow.source_address, flow.destination_address)
        if ends != (wanted.source_address, wanted.destination_address):
            return False
        for port, asked in ((flow.source_port, wanted.source_port), (flow.destination_port, wanted.destination_port)):
            if asked and port is not None and port != asked:
                return False
        # What the packets look like on the other side of a translation, and their answers.
        self._tuples.add((flow.reply_destination_address, flow.reply_destination_port, *_other(flow)))
        return True

    def _dropped(self, drop: Drop) -> bool | None:
        """Whether it is of an answer; None where it is of another flow."""
        if drop.protocol != self._packet.protocol:
            return None
        there = (drop.source_address, drop.source_port, drop.destination_address, drop.destination_port)
        back = (drop.destination_address, drop.destination_port, drop.source_address, drop.source_port)
        for known in self._tuples:
            for found, direction in ((there, False), (back, True)):
                if all(not want or have is None or have == want for have, want in zip(found, known, strict=True)):
                    return direction
        return None


def _ends(packet: PathPacket) -> tuple[str | None, int | None, str | None, int | None]:
    return packet.source_address, packet.source_port, packet.destination_address, packet.destination_port


def _other(flow: FlowEvent) -> tuple[str | None, int | None]:
    return flow.reply_source_address, flow.reply_source_port
