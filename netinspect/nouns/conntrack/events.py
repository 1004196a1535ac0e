"""What happens to the connection tracking table, as it happens, and the table again where events were lost."""

from __future__ import annotations

from time import time

from ...engine.columns import NONE, Constant, interleaved
from ...engine.dumps import Faults, sound
from ...engine.netlink.subscription import Subscription
from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_NETFILTER
from .decode import Decoder
from .decode_events import ENTRY_EVENTS, EVENT_GROUPS, FLOW_EVENT, event_runs
from .decode_expectations import placed as expectations
from .listing import FlowListing
from .request import explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ...engine.columns import Batch, Values
    from ...engine.places import Place
    from .filter import FlowFilter

_EXPECTED = (
    *("family", "protocol", "source_address", "source_port", "destination_address", "destination_port"),
    *("timeout", "helper", "zone", "id", "unknown_attributes"),
)
OPERATION = "watching conntrack events"


class Watch:
    """The events of one namespace. ``place`` must be open; ``close`` when done."""

    def __init__(self, place: Place, wanted: FlowFilter, events: Collection[str], buffer: int) -> None:
        """``events`` are names among EVENT_GROUPS. Raises ConntrackError and NetlinkError."""
        self.place = place
        self.wanted = wanted
        groups = [EVENT_GROUPS[name] for name in EVENT_GROUPS if name in events]
        try:
            self._subscription = Subscription(place.connect(NETLINK_NETFILTER), groups, buffer, OPERATION)
        except NetlinkError as error:
            raise explained(error) from None
        self._decoder = Decoder()
        self._faults = Faults()
        self._reported_faults = 0

    def fileno(self) -> int:
        """The descriptor, for poll(2)."""
        return self._subscription.fileno()

    def close(self) -> None:
        """Ends it."""
        self._subscription.close()

    @property
    def lost(self) -> int:
        """Events that the kernel could not deliver, or that are malformed, in all."""
        return self._subscription.lost + self._faults.count

    def events(self) -> Iterator[Batch]:
        """The events that are there, in order: those of a batch are of several kinds. Raises NetlinkError."""
        for messages in self._subscription.pending():
            now = Constant(time())
            parts: list[tuple[Batch, Sequence[int]]] = []
            for event, run in event_runs(messages, OPERATION):
                if event in ENTRY_EVENTS:
                    for batch, where in sound(run, self._decoder.placed, self._faults):
                        parts.append((self._of(batch, event, now), where))
                else:
                    for batch, where in sound(run, expectations, self._faults):
                        parts.append((self._expected(batch, event, now), where))
            if parts:
                found = self.wanted.checked(interleaved(parts))
                if found.count:
                    yield found

    def _expected(self, batch: Batch, event: str, now: Constant) -> Batch:
        """What a helper expects, with the columns of an entry that it has: its answers are not known yet."""
        same = {name: batch.column(name) for name in _EXPECTED}
        columns: dict[str, Values] = {**same, "event": Constant(event), "time": now, "status": Constant(())}
        return FLOW_EVENT.given(batch.count, {**columns, **self._labelled()})

    def newly_lost(self) -> int:
        """How many events were lost since this was last asked: after ``events`` has ended."""
        malformed = self._faults.count - self._reported_faults
        self._reported_faults = self._faults.count
        return self._subscription.newly_lost() + malformed

    def table(self) -> Iterator[Batch]:
        """The entries as they are now. Events that are received later are of what came after, or are in it already."""
        for batch in FlowListing(self.wanted, [self.place]).entries(self.place):
            yield self._of(batch, "current", Constant(time()))

    def resync(self, lost: int) -> Iterator[Batch]:
        """What makes the picture true again: how many events were lost, the whole table, and its end."""
        yield self.overrun(lost)
        yield from self.table()
        yield self._reported("resynced", None)

    def overrun(self, lost: int) -> Batch:
        """An additional event with the number of lost events."""
        return self._reported("overrun", lost)

    def _of(self, batch: Batch, event: str, now: Constant) -> Batch:
        columns: dict[str, Values] = {"event": Constant(event), "time": now, "lost": NONE, **self._labelled()}
        return batch.joined({name: lambda _, column=column: column for name, column in columns.items()}, FLOW_EVENT)  # type: ignore[misc]

    def _reported(self, event: str, lost: int | None) -> Batch:
        columns = {"event": event, "time": time(), "lost": lost, "status": (), "unknown_attributes": ()}
        constants = {name: Constant(value) for name, value in columns.items()}
        return FLOW_EVENT.given(1, {**constants, **self._labelled()})

    def _labelled(self) -> dict[str, Values]:
        return {} if self.place.label is None else {"netns": Constant(self.place.label)}
