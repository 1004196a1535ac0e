"""The flows of a gateway's conntrack table, sorted by what they show of its translation."""

from __future__ import annotations

from ...engine.columns import NONE
from ...engine.places import Place
from ...engine.prefixes import packed
from ..conntrack.listing import FlowListing
from .listing import SOURCE, Kinds, is_global, translations
from .listing_groups import outside_addresses
from .listing_state import ranges_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ...engine.columns import Batch
    from ...records import Flow, OutsideAddress
    from ..conntrack.filter import FlowFilter
    from .decode_rules import NatRule

_FAMILY = {False: "inet", True: "inet6"}
_EXAMPLES = 3
"""Flows kept as evidence of each kind."""
_WALKED = 12
"""Flows whose way is walked, at most."""
_KEPT = 16
"""Destinations that are kept for each outside address."""
_OVER = frozenset(("TIME_WAIT", "CLOSE", "LAST_ACK", "CLOSE_WAIT"))
"""TCP's states of flows that end, or have ended: they say nothing about now."""
_HELPED = frozenset(((6, 21), (6, 5060), (17, 5060), (17, 69), (6, 1723), (6, 6667), (17, 161)))
"""Protocol and port of what carries addresses or ports inside: FTP, SIP, TFTP, PPTP, IRC, SNMP."""
_UDP = 17


class Tally:
    """Flows of one kind: how many, and the first few."""

    def __init__(self) -> None:
        self.number = 0
        self.examples: list[Flow] = []

    def add_all(self, batch: Batch) -> None:
        """Counts all rows of a batch."""
        self.number += batch.count
        room = _EXAMPLES - len(self.examples)
        if room > 0 and batch.count:
            self.examples += batch.take(list(range(min(room, batch.count))))

    def add_rows(self, batch: Batch, rows: Sequence[int]) -> None:
        """Counts these rows of a batch."""
        self.number += len(rows)
        room = _EXAMPLES - len(self.examples)
        if room > 0 and rows:
            self.examples += batch.take(list(rows[:room]))

    def __bool__(self) -> bool:
        return self.number > 0


class Traffic:
    """The flows of one namespace that a filter selects, read once. Raises NetinspectError."""

    def __init__(self, place: Place, wanted: FlowFilter, local: Collection[str], rules: Sequence[NatRule]) -> None:
        """``place`` is open. ``local``: its addresses. ``rules``: those that translate there."""
        self._place = place
        self._wanted = wanted
        self._local = local
        self._fixed = [rule.addresses for rule in rules if rule.kind == "snat" and rule.addresses is not None]
        """Ranges of addresses that rules translate to."""
        self.talked_to: dict[str, str] = {}
        """By family an address of the world that inside hosts talk to."""
        self.flows = 0
        """How many there are in the table."""
        self.matching = Tally()
        self.untranslated = Tally()
        """From an address that is not routed outside to one that is, untranslated."""
        self.stale = Tally()
        """Translated to an address that is neither of this machine nor named by a rule."""
        self.unanswered: dict[str, Tally] = {}
        """By outside address: flows of which no reply was seen."""
        self.silent: list[Flow] = []
        """Flows that no reply was seen of, one of a kind."""
        self.untouched: list[Flow] = []
        """Answered flows from private addresses to public ones that are not translated, of several sources."""
        self.went_out: list[Flow] = []
        """Answered flows of inside hosts, one of a kind: they got out once."""
        self.lasting: list[Flow] = []
        """Flows of UDP and connections that are being tried, one of a kind: they keep their translation as long as
        they send."""
        self.helped: list[Flow] = []
        """Flows of protocols that carry addresses inside, which a helper translates."""
        self.own_answered = False
        """Whether a flow that began here, to another machine, has an answer."""
        self._kinds: set[tuple[object, ...]] = set()
        self.reached: dict[str, set[str]] = {}
        """By outside address some destinations that answered it."""
        self.answered: set[str] = set()
        """Outside addresses for which there are replies, be it from before something changed."""
        self._heard: set[tuple[object, ...]] = set()
        self._unheard: set[tuple[object, ...]] = set()
        """Outside addresses that are not local, each with a service: with replies, and those without any."""
        self.aimed: set[str] = set()
        """Destinations that were translated: packets for them do come here."""
        self.zoned = False
        """Whether there are flows in zones."""
        ranges = ranges_of(rules, lambda: local)
        self.usage: list[OutsideAddress] = outside_addresses(self._sources(), {None: ranges})
        """What each outside address has in use; reading it sorts every flow on the way."""
        self.zone_mismatches = self._zone_mismatches() if self.zoned else []

    def _sources(self) -> Iterator[Batch]:
        """The flows whose source is translated; every flow is looked at on the way."""
        kinds = Kinds(self._place)
        for batch in FlowListing(self._wanted, [self._place]).entries(self._place):
            self.flows += batch.count
            self.zoned |= batch.column("zone") is not NONE
            self.matching.add_all(batch)
            self._consider(batch)
            yield from filter(_translates_source, translations(batch, kinds))

    def _consider(self, batch: Batch) -> None:
        """Sorts flows: a loop over columns, since tables have a hundred thousand rows and more."""
        local = self._local
        fields = (
            *("source_address", "destination_address", "reply_destination_address", "reply_source_address"),
            *("status", "state", "protocol_number", "destination_port", "reply_source_port"),
        )
        untranslated: list[int] = []
        stale: list[int] = []
        columns = list(zip(*map(batch.values, fields), strict=True))
        for at, (source, destination, outside, answering, status, state, protocol, port, inner) in enumerate(columns):
            if source is None or outside is None or destination is None:
                continue
            silent = "SEEN_REPLY" not in status
            if not silent and source in local and destination not in local:
                self.own_answered = True
            if not silent and source not in local and answering == destination and is_global(destination):
                self.talked_to.setdefault(_FAMILY[":" in destination], destination)
            # What a helper expected is translated as its first connection was, and no rule is asked.
            if state not in _OVER and "EXPECTED" not in status:
                if silent or state == "SYN_RECV":
                    self._live(batch, at, (protocol, destination, port, outside))
                if (protocol == _UDP or state == "SYN_SENT") and len(self.lasting) < _WALKED:
                    kind = (protocol, destination, port, outside, answering)
                    if kind not in self._kinds:
                        self._kinds.add(kind)
                        self.lasting += batch.take([at])
                if (protocol, port) in _HELPED or (inner != port and (protocol, inner) in _HELPED):
                    self._wants_helper(batch, at)
            if not silent and source not in local and destination not in local and not is_global(source):
                self._got_out(batch, at, (source, destination, protocol, port))
            if answering != destination and state not in _OVER:
                self.aimed.add(destination)
            if source == outside:
                if (
                    answering == destination
                    and not is_global(source)
                    and is_global(destination)
                    and source not in local
                    and destination not in local
                ):
                    untranslated.append(at)
                    if not silent and len(self.untouched) < _WALKED and ("untouched", source) not in self._kinds:
                        self._kinds.add(("untouched", source))
                        self.untouched += batch.take([at])
                continue
            if outside not in local:
                (self._unheard if silent else self._heard).add((outside, destination, protocol, port))
                if not _in_ranges(outside, self._fixed):
                    stale.append(at)
            if silent:
                self._unanswered(batch, at, outside)
            else:
                self.answered.add(outside)
                if len(reached := self.reached.setdefault(outside, set())) < _KEPT:
                    reached.add(destination)
        self.untranslated.add_rows(batch, untranslated)
        self.stale.add_rows(batch, stale)

    def still_answered(self, outside: str) -> bool:
        """Whether replies come to an outside address: none of its services that answered once is silent now."""
        lost = self._heard & self._unheard
        return outside in self.answered and not any(address == outside for address, *_ in lost)

    def _unanswered(self, batch: Batch, at: int, outside: str) -> None:
        self.unanswered.setdefault(outside, Tally()).add_rows(batch, [at])

    def _live(self, batch: Batch, at: int, kind: tuple[object, ...]) -> None:
        """One flow of a kind that gets no answer now: a way to be walked."""
        if kind not in self._kinds and len(self.silent) < _WALKED:
            self._kinds.add(kind)
            self.silent += batch.take([at])

    def _got_out(self, batch: Batch, at: int, kind: tuple[object, ...]) -> None:
        """One answered flow of an inside host and service."""
        key = ("out", *kind)
        if key not in self._kinds and len(self.went_out) < _WALKED:
            self._kinds.add(key)
            self.went_out += batch.take([at])

    def _wants_helper(self, batch: Batch, at: int) -> None:
        if len(self.helped) < _WALKED:
            self.helped += batch.take([at])

    def _zone_mismatches(self) -> list[tuple[Flow, Flow]]:
        """Flows without a reply whose replies are tracked as flows of their own, in another zone."""
        silent = {
            (flow.protocol, *_reply(flow)): flow
            for batch in FlowListing(self._wanted, [self._place]).entries(self._place)
            for flow in batch
            if "SEEN_REPLY" not in flow.status
        }
        found = []
        for batch in FlowListing(places=[self._place]).entries(self._place) if silent else ():
            for flow in batch:
                other = silent.get((flow.protocol, *_original(flow)))
                if other is not None and (other.zone or 0) != (flow.zone or 0):
                    found.append((other, flow))
        return found


def _translates_source(batch: Batch) -> bool:
    return bool(next(iter(batch.values("translated")), 0) & SOURCE)


def _original(flow: Flow) -> tuple[object, ...]:
    return flow.source_address, flow.source_port, flow.destination_address, flow.destination_port


def _reply(flow: Flow) -> tuple[object, ...]:
    return (
        flow.reply_source_address,
        flow.reply_source_port,
        flow.reply_destination_address,
        flow.reply_destination_port,
    )


def _in_ranges(text: str, ranges: Sequence[tuple[bytes, bytes]]) -> bool:
    address = packed(text)
    return any(len(low) == len(address) and low <= address <= high for low, high in ranges)
