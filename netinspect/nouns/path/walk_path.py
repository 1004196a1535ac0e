"""A path: the packet there, its answer back, and how that ends."""

from __future__ import annotations

from ...engine.places import Place
from ...engine.prefixes import packed
from ...errors import UsageError
from .listing_segment import Segment
from .listing_stack import Stack, inside_of, is_link_local
from .listing_stacks import Stacks
from .walk import Walk
from .walk_packet import TCP, Packet
from .walk_steps import ARRIVES, DELIVERED, DROPPED, FAILS, LEAVES, SPREAD, UNKNOWN
from .walk_wire import group_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import PathStep
    from .filter_words import FlowWords
    from .listing_stack import Interface


class Path:
    """Both walks and what came of them."""

    def __init__(self, stacks: Stacks, home: Stack, packet: Packet, iif: Interface | None) -> None:
        self.home = home
        self.packet = packet
        self.iif = iif
        """The interface that it comes in by; None where it is sent here."""
        self.there = Walk(stacks, home)
        self.back: Walk | None = None
        self.verdict = UNKNOWN
        """arrives, leaves (this machine, and an answer would get back), fails or unknown."""
        self.failed: Walk | None = None
        """The walk that did not get through."""
        self.cause: str | None = None
        self.why = ""
        self.evidence: tuple[str, ...] = ()
        self.fix = self.advice = ""
        self.where: Stack = home

    @property
    def forks(self) -> list[tuple[int, int, str]]:
        """The way taken, how many there were and why, wherever there were several."""
        return [*self.there.forks, *(self.back.forks if self.back else ())]

    @property
    def steps(self) -> list[PathStep]:
        """All steps, numbered on, with the end."""
        found = [*self.there.list, *(self.back.list if self.back else ())]
        found = [step._replace(number=at) for at, step in enumerate(found, 1)]
        last = found[-1] if found else None
        from ...records import PathStep

        found.append(
            PathStep(
                len(found) + 1,
                self.failed.direction if self.failed else "back" if self.back else "there",
                last.netns if last else "here",
                "end",
                str(self.packet),
                self.verdict,
                (self.failed or self.back or self.there).last.record()
                if (self.failed or self.back or self.there).last
                else self.packet.record(),
                self.evidence,
                self.cause,
                self.why,
                self.fix,
                self.advice,
            )
        )
        return found


_MOST_WAYS = 16
"""Ways in which chance may fall that are followed."""


def walked(
    stacks: Stacks,
    home: Stack,
    packet: Packet,
    iif: Interface | None,
    *,
    sender: Stack | None = None,
    home_only: bool = False,
    invented: bool = False,
) -> list[Path]:
    """Walks a packet and its answer, once for each way in which chance may fall.

    It comes in by ``iif``, or is sent by ``sender``, by default from here. ``home_only``: what leaves this namespace is
    not followed. ``invented``: nobody has the source address, so that the answer is not followed out of it.
    """
    found: list[Path] = []
    choices: tuple[int, ...] | None = ()
    while choices is not None and len(found) < _MOST_WAYS:
        single = _path(stacks, home, packet, iif, sender, home_only, choices, invented or home_only)
        _doubted(single)
        found.append(single)
        forks = single.forks
        choices = None
        for at in range(len(forks) - 1, -1, -1):
            taken, ways, _ = forks[at]
            if taken + 1 < ways:
                choices = (*(fork[0] for fork in forks[:at]), taken + 1)
                break
    return found


def _only_bridged(stack: Stack, iif: Interface, packet: Packet) -> bool:
    """Whether both ends are on the wire of one interface: they talk to each other directly, past the routing here."""
    if stack.is_local(packet.destination) or stack.is_local(packet.source) or group_of(stack, iif, packet.destination):
        return False
    return all(
        any(length < 8 * len(packed(text)) and inside_of(wanted, f"{text}/{length}") for text, length in own)
        for own in (stack.networks(iif),)
        for wanted in (packet.source, packet.destination)
    )


def _sent_here(stacks: Stacks, stack: Stack, iif: Interface, packet: Packet) -> bool:
    """Whether the sender, where it can be looked at, has a route by this machine to what is on its own wire."""
    sender = next(iter(Segment(stacks, stack, iif).with_address(packet.source)), None)
    if sender is None:
        return False
    route = sender.stack.route(packet.destination, source=packet.source).route
    return route is not None and route.gateway is not None and stack.is_local(route.gateway)


def worst(paths: list[Path]) -> Path:
    """Of several paths the one to report: one that fails for a reason other than a limit or chance in a rule."""
    for path in paths:
        by_hash = [why == SPREAD for _, _, why in path.forks]
        if path.verdict == FAILS and (path.cause not in ("rule", "policy") or (by_hash and all(by_hash))):
            if len(paths) > 1:
                path.why += f" (one of {len(paths)} ways{f': {SPREAD}' if any(by_hash) else ', by chance'})"
            return path
    return paths[0]


_CERTAIN = frozenset(
    ("forwarding", "link-down", "no-carrier", "blackhole", "prohibit", "unreachable", "route-localnet", "loop", "ttl")
)
"""Causes that hold whatever rules do that cannot be evaluated."""


def _doubted(found: Path) -> None:
    """Takes back a verdict that rests on rules which could not be evaluated."""
    unknown = [*found.there.unknown, *(found.back.unknown if found.back else ())]
    if found.verdict != FAILS or not unknown or found.cause in _CERTAIN:
        return
    found.verdict = UNKNOWN
    found.why = f"{'; '.join(dict.fromkeys(unknown))}. Otherwise: {found.why}"
    found.fix = ""


def _path(
    stacks: Stacks,
    home: Stack,
    packet: Packet,
    iif: Interface | None,
    sender: Stack | None,
    home_only: bool,
    choices: tuple[int, ...],
    invented: bool,
) -> Path:
    found = Path(stacks, home, packet, iif)
    there = found.there
    there.choices, there.home_only = choices, home_only
    start = sender or home
    if iif is not None and _only_bridged(start, iif, packet) and not _sent_here(stacks, start, iif, packet):
        there.bridge(start, iif, packet)
    elif iif is not None:
        there.arrive(start, iif, packet)
    else:
        there.send(start, packet)
    if there.outcome == DROPPED:
        _failed(found, there)
        return found
    if there.to_many and there.outcome in (LEAVES, DELIVERED):
        found.verdict = UNKNOWN if there.unknown else LEAVES if there.outcome == LEAVES else ARRIVES
        found.why = "; ".join(there.unknown) or (
            "it is sent to everybody on the link; no answer comes from such an address, but from the hosts' own"
        )
    elif there.outcome in (DELIVERED, LEAVES) and there.last is not None:
        _answer(found, stacks, start, invented)
    else:
        found.why = "; ".join(there.unknown) or "its way is unknown"
    return found


def _answer(found: Path, stacks: Stacks, start: Stack, invented: bool) -> None:
    there = found.there
    back = found.back = Walk(stacks, found.home, there)
    back.choices, back.home_only = there.choices[len(there.forks) :], invented
    assert there.last is not None
    assert there.end is not None
    stack, interface = there.end
    answer = there.last.answer()
    if is_link_local(answer.destination):
        answer = answer.but(zone=interface)
    if there.outcome == DELIVERED:
        back.send(stack, answer)
    else:
        assert interface is not None
        back.arrive(stack, interface, answer)
    if back.outcome == DROPPED:
        _failed(found, back)
        if back.stopped_in is not found.home and _other_uplink(found):
            return
        if back.strangers and back.stopped_in is back.strangers[0][0]:
            _explain_stray(found, back.last or answer, found.packet.answer())
    elif back.outcome == UNKNOWN:
        found.why = "; ".join(back.unknown) or "the way of the reply is unknown"
    else:
        _judge(found, start)


def _judge(found: Path, start: Stack) -> None:
    """The reply has arrived: at the initiator, and as the reply to its packet?"""
    there, back = found.there, found.back
    assert back is not None
    assert back.last is not None
    assert back.end is not None
    expected = found.packet.answer()
    got = back.last
    stack, interface = back.end
    unknown = [*there.unknown, *back.unknown]
    if got.same_flow(expected) and (stack is start if found.iif is None else _reaches(found, stack, interface)):
        if back.outcome == LEAVES and _other_uplink(found):
            return
        found.verdict = UNKNOWN if unknown else LEAVES if there.outcome == LEAVES else ARRIVES
        if unknown:
            found.why = "; ".join(dict.fromkeys(unknown))
        elif there.outcome == LEAVES:
            out = there.end[1] if there.end else None
            found.why = (
                f"nothing on this machine stops it: it leaves by {out}, and an answer that comes back that way gets "
                "through. What is beyond cannot be seen from here"
            )
        else:
            found.why = "the packet arrives, and so does the answer to it"
        return
    if _other_uplink(found):
        return
    found.failed = back
    found.verdict = FAILS
    found.where = stack
    _explain_stray(found, got, expected)


def _other_uplink(found: Path) -> bool:
    """Whether the answer leaves the machine by another interface than the address in it belongs to."""
    back, home = found.back, found.home
    assert back is not None
    passed = next((single for single in back.passed if single.stack is home), None)
    if passed is None or passed.oif is None or found.iif is None or passed.oif is found.iif:
        return False
    address = found.packet.destination
    if home.owner(address) is not found.iif:
        return False
    found.failed, found.verdict, found.where, found.cause = back, FAILS, home, "other-uplink"
    found.evidence = (
        f"the packet comes in by {found.iif}, for {address}, an address of that interface",
        f"the answer leaves by {passed.oif}, with {address} as its source",
    )
    found.why = (
        f"the answer bears the address of {found.iif} and leaves by {passed.oif}: the provider there drops sources "
        "that are not its own, and who asked gets no answer"
    )
    found.fix = ""
    found.advice = (
        f"have answers leave by the link that the packet came in by: a rule for the source ({address}) or a mark of "
        "the connection, with a table of its own"
    )
    return True


def _reaches(found: Path, stack: Stack, interface: Interface | None) -> bool:
    """Whether the answer got to where the packet came from: out of this machine, or to the machine there."""
    back = found.back
    assert back is not None
    if back.outcome == LEAVES:
        return stack is found.home and interface is not None
    # What came in from a wire is not from here, whatever it says.
    return stack is not found.home and stack.is_local(found.packet.source)


def _explain_stray(found: Path, got: Packet, expected: Packet) -> None:
    """The reply arrives elsewhere, or with another source: why?"""
    there, back = found.there, found.back
    assert back is not None
    stack = back.end[0] if back.end else found.home
    base = f"the answer is {got}, where {expected} is expected"
    for strange, cause, evidence in back.strangers:
        found.cause, found.evidence, found.where = cause, evidence, strange
        found.why = (
            "the answer is looked for in another conntrack zone than the flow is in: it belongs to no flow there, and "
            "is not translated back"
            if cause == "zones"
            else f"the answer is not tracked, and so not translated back: {base}"
        )
        return
    translating = [
        passed
        for passed in there.passed
        if passed.tracked is not None
        and passed.tracked.translated is not passed.tracked.original
        and not passed.tracked.translated.same_flow(passed.tracked.original)
    ]
    routed = [passed.stack for passed in back.passed]
    for passed in translating:
        if passed.stack not in routed:
            tracked = passed.tracked
            assert tracked is not None
            hairpin = passed.iif is not None and passed.iif is passed.oif
            found.where = passed.stack
            found.cause = "hairpin" if hairpin else "asymmetric"
            name = "here" if passed.stack is found.home else passed.stack.label
            found.evidence = (
                f"translated {name}: {tracked.original} becomes {tracked.translated}",
                f"the answer goes from {got.source} to {got.destination} and does not pass "
                f"{'this machine' if name == 'here' else name}",
            )
            if hairpin:
                found.why = (
                    "who asks and who answers are in the same network (hairpin): the answer goes directly, without "
                    "being translated back, from an address that was not asked, and is refused"
                )
            else:
                found.why = f"the answer takes another way and is not translated back: {base}"
            return
    found.cause = "stray"
    found.evidence = (base, f"it comes to {stack.label}")
    found.why = "the answer does not get to who asked"


def _failed(found: Path, walk: Walk) -> None:
    step = walk.failure
    assert step is not None
    found.failed, found.verdict = walk, FAILS
    found.cause, found.evidence = step.cause, step.evidence
    found.fix, found.advice = step.fix, step.advice
    found.where = walk.stopped_in or found.home
    whose = "the answer" if walk.before else "the packet"
    where = "" if found.where is found.home else f" in namespace {found.where.label}"
    found.why = f"{whose} stops{where} at {step.stage} ({step.subject}): {step.why}"


def asked(
    stacks: Stacks, home: Stack, flow: FlowWords, *, iif: str | None = None, mark: int = 0, sender: str | None = None
) -> Path:
    """The path of a packet that is asked for in words; ``iif`` and ``sender`` are names.

    Raises UsageError and NamespaceError.
    """
    from_stack: Stack | None = None
    if sender is not None:
        place = Place(sender, sender)
        place.open()
        from_stack = stacks.of(place)
    interface: Interface | None = None
    if iif is not None:
        interface = home.called(iif)
        if interface is None:
            raise UsageError(f"no interface {iif!r}")
    destination = flow.destination or ""
    zone, interface = _zone(from_stack or home, flow, destination, interface)
    source, interface = incoming(home, flow.source, destination, interface, from_stack)
    packet = Packet(
        TCP if flow.protocol is None else flow.protocol,
        source,
        destination,
        flow.source_port or 0,
        flow.destination_port or 0,
        mark,
    )
    packet.zone = zone
    return worst(walked(stacks, home, packet, interface, sender=from_stack))


def _zone(
    sender: Stack, flow: FlowWords, destination: str, iif: Interface | None
) -> tuple[Interface | None, Interface | None]:
    """The interface that a link-local destination is meant on by who sends it, and the one that it comes in by.

    Raises UsageError.
    """
    if flow.zone is None and not is_link_local(destination):
        return None, iif
    named = sender.called(flow.zone) if flow.zone is not None else None
    if flow.zone is not None and named is None:
        raise UsageError(f"no interface {flow.zone!r}")
    source = flow.source
    if source is not None and "/" not in source and not sender.is_local(source):
        return None, iif or named  # it comes from a neighbour, by that interface
    if named is None and iif is None:
        able = [
            found
            for found in sender.interfaces.values()
            if found.works and not found.loopback and any(is_link_local(text) for text, _ in sender.networks(found))
        ]
        if len(able) != 1:
            raise UsageError(f"{destination} is on each link of its own: name the interface ({destination}%INTERFACE)")
        named = able[0]
    return named, iif


def incoming(
    home: Stack, source: str | None, destination: str, iif: Interface | None, sender: Stack | None
) -> tuple[str, Interface | None]:
    """Source address and incoming interface of a packet, where they are not given. Raises UsageError."""
    if source is not None and "/" in source:
        source = host_of(home, source)
    if sender is not None:
        if source is None:
            answer = sender.route(destination)
            source = answer.route.preferred_source if answer.route else None
            if source is None:
                raise UsageError(f"namespace {sender.label} has no route to {destination}: name the source address")
        return source, None
    if source is None:
        return _somebody(home, destination, iif)
    if (":" in source) != (":" in destination):
        raise UsageError(f"{source} and {destination} are of two address families")
    if iif is None and not home.is_local(source):
        iif = _way_to(home, source)
        owner = home.owner(destination)
        if owner is not None and owner is not iif and not owner.loopback and home.on_link(source) is None:
            iif = owner  # from far away, to an address of another uplink: it comes in by that
        if iif is None:
            raise UsageError(f"no route leads to {source}: name the interface that the packet comes in by (--iif)")
    return source, iif


def _way_to(home: Stack, source: str) -> Interface | None:
    """The interface that leads to a source: its own link, where only the default route does, or one by a router."""
    routed, on = home.route_to(source), home.on_link(source)
    if on is None or routed is on or not on.works:
        return routed or on
    entry = home.route(source, matched=True).entry
    return on if routed is None or (entry and (entry.gateway or entry.destination.endswith("/0"))) else routed


def host_of(home: Stack, prefix: str) -> str:
    """A host of a network: the second address, unless that is our own."""
    from _socket import inet_ntop

    network, _, length = prefix.partition("/")
    raw = packed(network)
    width = 8 * len(raw)
    if int(length) >= width:
        return network
    first = int.from_bytes(raw, "big") >> (width - int(length)) << (width - int(length))
    candidates = [
        inet_ntop(10 if width == 128 else 2, (first + offset).to_bytes(len(raw), "big")) for offset in (2, 3, 1)
    ]
    return next((text for text in candidates if not home.is_local(text)), network)


def _somebody(home: Stack, destination: str, iif: Interface | None) -> tuple[str, Interface | None]:
    """A packet from any source: from outside if the destination is here or inside, else from an inside network."""
    version6 = ":" in destination
    default = home.route("2001:db8::1" if version6 else "192.0.2.1").route
    outside = home.named(default.interface) if default is not None else None
    from_outside = home.is_local(destination) or home.route_to(destination) is not outside
    if from_outside and outside is not None and iif in (None, outside) and default is not None and default.gateway:
        return default.gateway, outside
    leaves_by = None if home.is_local(destination) else home.route_to(destination)
    for candidate in home.interfaces.values():
        if candidate.loopback or not candidate.up or candidate is leaves_by or iif not in (None, candidate):
            continue
        for text, length in home.networks(candidate):
            if (":" in text) == version6 and not text.startswith("fe80:") and length < 8 * (16 if version6 else 4):
                return host_of(home, f"{text}/{length}"), candidate
    raise UsageError("name the source address: it is not clear who would send this")
