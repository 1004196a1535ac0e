"""``netinspect path --probe`` and ``--watch``: what happens to a packet, held against what was predicted."""

from __future__ import annotations

import sys
from errno import EPERM
from functools import partial
from random import randrange
from time import time

from ...engine.signals import Holding
from ...engine.text import printable
from ...errors import ExitStatus, NetinspectError, NetlinkError, UsageError
from ...records import PathEvent
from .events import FlowWatch
from .listing_stack import WITH_PORTS
from .walk_steps import ARRIVES, FAILS, LEAVES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...netfilter.trace import Event
    from .command import PathCommand
    from .events import Seen
    from .listing_stack import Interface, Stack
    from .listing_stacks import Stacks
    from .walk import Walk
    from .walk_packet import Packet
    from .walk_path import Path

_WAIT = 1.0
"""Seconds in which an injected packet's way and its answer are awaited."""
_PORTS = (33000, 60000)
_ETHERNET = 1
"""linux/if_arp.h: ARPHRD_ETHER"""
_STOPS = ("drop", "reject")


def run_observed(command: PathCommand) -> int:
    """Predicts, watches, and prints both. Raises NetinspectError."""
    from .listing_stacks import Stacks

    stacks = Stacks()
    try:
        place = command.places()[0]
        place.open()
        return _observed(command, stacks, stacks.of(place))
    finally:
        stacks.close()


def _observed(command: PathCommand, stacks: Stacks, home: Stack) -> int:
    if command.probe and not command.flow.source_port and command.flow.protocol in (None, *WITH_PORTS, 1, 58):
        # An unused flow: all reports about it are of our packet.
        command.flow.source_port = randrange(*_PORTS)
    found = command.walked(stacks, home)
    packet, iif = found.packet, found.iif
    if command.probe:
        _ask(command, home, packet, iif)
    writer = _Timeline(command, found)
    try:
        opened = FlowWatch(home.place, packet.record(), packet.protocol)
    except NetlinkError as error:
        if error.errno != EPERM:
            raise
        raise NetinspectError(
            "--probe and --watch need root (CAP_NET_ADMIN): they trace the rules of nftables"
        ) from None
    with Holding(vital=True), opened as watch:  # the end of the document
        for text in watch.missing:
            command.environment.complain(text)
        writer.began = time()
        if command.probe:
            how = _send(home, packet, iif)
            writer.add("there", "probe", str(packet), None, (how,), None, 0.0)
        seconds = command.duration or (_WAIT if command.probe else float("inf"))
        try:
            for seen in watch.seen(seconds):
                writer.take(seen)
        except BaseException:
            if not command.probe:
                writer.end()  # what has been seen until it was interrupted
            raise
    return writer.end()


def _ask(command: PathCommand, home: Stack, packet: Packet, iif: Interface | None) -> None:
    """Raises UsageError if the answer is no, or there is no terminal to ask."""
    if command.yes:
        return
    what = f"one packet, {packet}, {f'as received on {iif}' if iif else 'sent from here'}, in namespace {home.label}"
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"--probe sends {what}: confirm with --yes")
    sys.stderr.write(f"Send {printable(what)}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was sent")


def _send(home: Stack, packet: Packet, iif: Interface | None) -> str:
    """Injects the packet as received on that interface, or sends it; returns which. Raises NetinspectError."""
    from .request_frame import frame
    from .request_frame import packet as bytes_of

    ports = (packet.source_port, packet.destination_port)
    data = bytes_of(packet.protocol, packet.source, packet.destination, *ports)
    if iif is None:
        refused: str | None = home.place.call(partial(_send_raw, data, packet.destination))
        return "sent here" if refused is None else f"sending it was refused: {refused}"
    from ...engine.bpf.kernel import receive

    if iif.type_number != _ETHERNET:
        raise NetinspectError(f"{iif} is not an Ethernet interface: --probe cannot inject a frame there")
    link = bytes.fromhex((iif.address or "").replace(":", "")) or bytes(6)
    home.place.call(partial(receive, frame(data, link), iif.index))
    return f"injected on {iif}"


def _send_raw(data: bytes, destination: str) -> str | None:
    """What the kernel answers where it refuses: that is a part of what is asked."""
    from socket import AF_INET, AF_INET6, IPPROTO_RAW, SOCK_RAW, socket

    with socket(AF_INET6 if ":" in destination else AF_INET, SOCK_RAW, IPPROTO_RAW) as raw:
        try:
            raw.sendto(data, (destination, 0))
        except OSError as error:
            return error.strerror
    return None


class _Timeline:
    """Events beside the prediction: both directions, in the namespace that was asked."""

    def __init__(self, command: PathCommand, found: Path) -> None:
        self._command = command
        self._found = found
        self.began = 0.0
        self._rows: list[PathEvent] = []
        self._due = {False: self._rules(found.there), True: self._rules(found.back)}
        self._met: set[tuple[bool, tuple[object, ...]]] = set()
        self._first: dict[bool, int] = {}
        """The trace of the first packet of each direction: of later ones nothing was predicted."""
        self._stopped: str | None = None
        self._entry = self._answered = self._anything = False
        self._differences = 0
        self._live = not command.probe and command.format == "table" and command.chosen is None

    def _rules(self, walk: Walk | None) -> dict[tuple[object, ...], str]:
        """The rules that are predicted to apply here, by place and verdict."""
        due: dict[tuple[object, ...], str] = {}
        for stack, hook, outcome in walk.asked if walk else ():
            if stack is not self._found.home or hook in ("ingress", "egress"):
                continue
            rules = walk.rules_of(stack) if walk else None
            for step in outcome.steps:
                if step.rule is not None and rules is not None:
                    due[step.chain.family, step.chain.table, step.chain.name, step.handle] = rules.text(step.rule)
        return due

    def add(
        self,
        direction: str,
        source: str,
        subject: str,
        verdict: str | None,
        evidence: tuple[str, ...],
        predicted: bool | None,
        when: float | None = None,
    ) -> None:
        """One more row."""
        elapsed = max(0.0, (time() if when is None else when) - self.began)
        row = PathEvent(round(elapsed, 6), direction, source, subject, verdict, evidence, predicted)
        if predicted is False:
            self._differences += 1
        self._rows.append(row)
        if self._live:
            self._write(row)

    def _write(self, row: PathEvent) -> None:
        self._command.environment.write((_line(row) + "\n").encode("utf-8", "backslashreplace"))

    def take(self, seen: Seen) -> None:
        """Adds an event."""
        self._anything = True
        direction = "back" if seen.back else "there"
        if seen.trace is not None:
            self._rule(seen.trace, direction, seen.back, seen.time)
        elif seen.entry is not None:
            self._flow(seen)
        elif seen.drop is not None:
            drop = seen.drop
            evidence = tuple(text for text in (drop.meaning, f"in {drop.place}", drop.look) if text)
            self._answered |= seen.back
            if not seen.back:
                self._stopped = self._stopped or drop.reason or drop.place
            self.add(direction, "drop", drop.reason or "dropped", "drop", evidence, self._fails(seen.back), seen.time)

    def _fails(self, back: bool) -> bool | None:
        """Whether that this direction is lost here was predicted."""
        found = self._found
        if found.verdict == FAILS:
            return found.failed is (found.back if back else found.there)
        return None if back or found.verdict not in (ARRIVES, LEAVES) else False

    def _rule(self, event: Event, direction: str, back: bool, when: float) -> None:
        related = event.tracking_state == "related"
        self._answered |= back and not related
        if not related:
            self._first.setdefault(back, event.id)
        # The kernel makes the number of where the packet is in memory, and that may be where the first one was: what is
        # sent when an answer has come is a later one.
        first = self._first.get(back) == event.id and not related and (back or True not in self._first)
        verdict = str(event.verdict)
        if event.kind != "rule":
            if event.kind == "policy":
                if verdict == "drop" and not back:
                    self._stopped = f"the policy of {event.family} {event.table} {event.chain}"
                wrong = first and verdict == "drop" and self._fails(back) is False
                subject = f"policy of {event.family} {event.table} {event.chain}"
                self.add(direction, "nftrace", subject, verdict, (), False if wrong else None, when)
            return
        key = (event.family, event.table, event.chain, event.handle)
        text = self._due[back].get(key)
        self._met.add((back, key))
        if any(word in verdict for word in _STOPS) and not back:
            self._stopped = text or f"{event.family} {event.table} {event.chain} handle {event.handle}"
        known = first and self._found.verdict != "unknown" and (self._due[back] or not back)
        subject = text or f"{event.family} {event.table} {event.chain} handle {event.handle}"
        marks: tuple[str, ...] = (f"mark {event.mark:#x}",) if event.mark else ()
        marks += ("an ICMP error about it",) if related else ()
        self.add(direction, "nftrace", subject, verdict, marks, (text is not None) if known else None, when)

    def _flow(self, seen: Seen) -> None:
        flow = seen.entry
        assert flow is not None
        self._entry = True
        replied = "SEEN_REPLY" in flow.status
        self._answered |= replied
        reply = (
            f"answers {_end(flow.reply_source_address, flow.reply_source_port)} > "
            f"{_end(flow.reply_destination_address, flow.reply_destination_port)}"
        )
        predicted = None
        if flow.event == "new":
            predicted = self._translated(flow)
        state = (flow.state,) if flow.state else ()
        self.add("there", "conntrack", flow.event, None, (*state, ",".join(flow.status), reply), predicted, seen.time)

    def _translated(self, flow: object) -> bool | None:
        """Whether the entry's answers are those of the packet as it was predicted to leave this namespace."""
        last = None
        for step in self._found.there.list:
            if step.netns == "here":
                last = step.packet
        if last is None or self._found.verdict == FAILS:
            return None
        pairs = (
            (last.destination_address, flow.reply_source_address),  # type: ignore[attr-defined]
            (last.destination_port, flow.reply_source_port),  # type: ignore[attr-defined]
            (last.source_address, flow.reply_destination_address),  # type: ignore[attr-defined]
        )
        return all(not want or have is None or want == have for want, have in pairs)

    def end(self) -> int:
        """Adds what did not happen, writes the whole, and returns the exit status."""
        found, probe = self._found, self._command.probe
        if probe or self._anything:
            for back, due in self._due.items():
                if back and not self._answered:
                    continue
                for key, text in due.items():
                    # The drop has been reported: later rules are not reached.
                    if (back, key) not in self._met and self._stopped is None and found.verdict != "unknown":
                        self.add("back" if back else "there", "prediction", text, "not seen", (), False)
            for step in (*found.there.list, *(found.back.list if found.back else ())):
                if step.stage == "socket" and step.direction == "there":
                    self.add("there", "socket", step.subject, step.verdict, step.evidence, None)
        outcome = self._outcome()
        self.add("there", "probe" if probe else "watch", outcome, None, (), self._agrees())
        self._show()
        if not self._anything and not probe:
            return ExitStatus.FAILED
        if self._differences:
            return ExitStatus.INCOMPLETE if found.verdict == "unknown" else ExitStatus.FOUND
        return ExitStatus.FOUND if self._stopped or found.verdict == FAILS else ExitStatus.OK

    def _outcome(self) -> str:
        if self._answered:
            return "it was answered"
        if self._stopped:
            return f"it was dropped: {self._stopped}"
        if self._entry:
            return "it got through, and no answer was seen"
        return "it was seen, and no answer" if self._anything else "nothing was seen of it"

    def _agrees(self) -> bool | None:
        verdict = self._found.verdict
        if verdict == FAILS:
            return not self._answered or self._found.failed is self._found.back
        if verdict == ARRIVES:
            return self._answered if self._command.probe or self._anything else None
        return not self._stopped if verdict == LEAVES and self._anything else None

    def _show(self) -> None:
        command, found = self._command, self._found
        if command.format != "table" or command.chosen is not None or command.sort:
            command.write_records(self._rows)
            return
        if not self._live:
            for row in self._rows:
                self._write(row)
        text = f"\nPredicted: {found.verdict}: {found.why}"
        last = self._rows[-1]
        text += f"\nSeen:      {last.subject}"
        if self._differences:
            text += f"\n{self._differences} of these differ from what was predicted"
        command.environment.write((printable_lines(text) + "\n").encode("utf-8", "backslashreplace"))


def printable_lines(text: str) -> str:
    """Lines, each of which is made fit for a terminal."""
    return "\n".join(printable(line) for line in text.split("\n"))


_MARKS = {True: "as predicted", False: "NOT AS PREDICTED", None: ""}


def _line(row: PathEvent) -> str:
    parts = [f"{row.time:9.6f} {row.direction:5} {row.source:10} {row.subject}"]
    if row.verdict and not row.subject.endswith(row.verdict):
        parts.append(f": {row.verdict}")
    if row.evidence:
        parts.append(f" ({'; '.join(row.evidence)})")
    if row.predicted is not None:
        parts.append(f"   [{_MARKS[row.predicted]}]")
    return printable("".join(parts))


def _end(address: str | None, port: int | None) -> str:
    host = f"[{address}]" if address and ":" in address else address or "?"
    return host if port is None else f"{host}:{port}"
