"""The walk: a packet from the interface that it comes in by, hook by hook, to where it stops or is taken.

Order and reasons are the kernel's: net/ipv4/ip_input.c, route.c, ip_forward.c, ip_output.c and their siblings of IPv6.
What the kernel can be asked for one packet, it is asked; only the rules are evaluated here.
"""

from __future__ import annotations

from .walk_decision import decided, is_local, well_formed
from .walk_leaving import forwarded, may_leave, postrouted, sent
from .walk_local import delivered, taken
from .walk_rules import Rules
from .walk_steps import Steps
from .walk_tracking import track
from .walk_translation import translated
from .walk_wire import bridged, from_port, link_works, transmitted, turned_back

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...netfilter.evaluate import Outcome
    from ...netfilter.machine import Action
    from .listing_segment import End
    from .listing_stack import Interface, Stack
    from .listing_stacks import Stacks
    from .walk_leaving import Leaving
    from .walk_packet import Packet, Tracked
    from .walk_wire import Arrival

_MOST_HOPS = 32


class Passed:
    """A namespace that a packet was routed through or sent from."""

    __slots__ = ("iif", "leaving", "next_hop", "oif", "stack", "tracked")

    def __init__(self, stack: Stack, iif: Interface | None) -> None:
        self.stack = stack
        self.iif = iif
        self.oif: Interface | None = None
        self.next_hop: str | None = None
        self.tracked: Tracked | None = None
        self.leaving: Packet | None = None
        """The packet as it comes to postrouting."""


class Walk(Steps):
    """One packet's way. ``before`` is the walk of the packet that it answers."""

    def __init__(self, stacks: Stacks, home: Stack, before: Walk | None = None) -> None:
        super().__init__(home, "back" if before else "there")
        self.stacks = stacks
        self.before = before
        self.passed: list[Passed] = []
        self.asked: list[tuple[Stack, str, Outcome]] = []
        """Every hook that was passed, and how."""
        self.last: Packet | None = None
        """The packet as it was at the end."""
        self.socket: Any = None
        """What takes it."""
        self.strangers: list[tuple[Stack, str, tuple[str, ...]]] = []
        """Answers: namespaces in which it was not known as one, why, and what shows that."""
        self.narrow: tuple[int, Stack, Interface] | None = None
        """The smallest MTU on the way, and where."""
        self.end: tuple[Stack, Interface | None] | None = None
        self.next_hop: str | None = None
        """The router that it was last sent to."""
        self.to_many = False
        """Whether it left as multicast or broadcast."""
        self.depth = 0
        """Tunnels that its packet is in."""
        self.carries = False
        """Whether its packet carries another: a tunnel's other end takes it, and no program."""
        self.home_only = False
        """Whether what leaves the namespace in which it began is not followed."""
        self.reported: set[tuple[int, str]] = set()
        """What cannot be evaluated, and was reported once."""
        self.bridged_by: Interface | None = None
        """The bridge, while rules of IP are passed since br_netfilter has its frames pass them."""
        self.marked: list[tuple[Stack, str, int, Outcome]] = []
        """Where rules changed the mark: namespace, hook, the new mark."""
        self.lived: list[tuple[Stack, Outcome]] = []
        """Where rules changed the time to live."""
        self.clamped: list[tuple[Stack, Action]] = []
        """Where the segment size of TCP is clamped."""
        self.choices: Sequence[int] = ()
        """Which way is taken where there are several, in order; the first where nothing is reported."""
        self.forks: list[tuple[int, int, str]] = []
        """The way taken, how many there were, and why there are several."""
        self.last_stack = home
        self.duplicates: list[tuple[str, list[End]]] = []

    def rules_of(self, stack: Stack) -> Rules:
        """The rules of a namespace, read once."""
        found = self.stacks.rules.get(id(stack))
        if found is None:
            found = self.stacks.rules[id(stack)] = Rules(stack)
        assert isinstance(found, Rules)
        return found

    def outcome_of(self, stack: Stack, hook: str) -> Outcome | None:
        """How the packet last passed a hook of a namespace."""
        return next((found for where, at, found in reversed(self.asked) if where is stack and at == hook), None)

    def chosen(self, stack: Stack, hook: str, outcomes: Sequence[Outcome]) -> Outcome:
        """The way to take: those that end it come last, since a limit or chance lets most pass."""
        self.last_stack = stack
        if len(outcomes) == 1:
            return outcomes[0]
        ordered = sorted(outcomes, key=lambda outcome: outcome.verdict.name != "accept")
        doubt = next((doubt for found in ordered for doubt in found.doubts), None)
        outcome = ordered[self.forked(stack, len(ordered), doubt.reason if doubt else "rules")]
        if any(found.kind == "unknown" for found in outcome.doubts):
            self.unknown += [found.reason for found in outcome.doubts if found.kind == "unknown"]
        return outcome

    def forked(self, stack: Stack, ways: int, why: str) -> int:
        """Which of several ways is taken in this walk, and notes that there are others."""
        self.last_stack = stack
        at = len(self.forks)
        taken = min(self.choices[at], ways - 1) if at < len(self.choices) else 0
        self.forks.append((taken, ways, why))
        return taken

    # Each stage returns the packet after it, or None if it ends there.

    def arrive(self, stack: Stack, interface: Interface, packet: Packet) -> None:
        """The packet comes in by an interface that has addresses: no port of a bridge."""
        on = from_port(self, stack, interface, packet)
        if on is not None:
            self._on((stack, interface, on))

    def bridge(self, stack: Stack, interface: Interface, packet: Packet) -> None:
        """The packet goes from one neighbour on the wire of an interface to another."""
        self._on(bridged(self, stack, interface, packet))

    def send(self, stack: Stack, packet: Packet) -> None:
        """The packet is sent by a program, or the kernel, of a namespace."""
        self.last, self.end = packet, (stack, None)
        passed = Passed(stack, None)
        self.passed.append(passed)
        leaving = sent(self, passed, packet)
        if leaving is None:
            return
        if leaving.route.type == "local":
            self._loop(passed, leaving.packet)
        else:
            self._on(self._leave(passed, leaving))

    def _on(self, arrival: Arrival | None) -> None:
        """On from namespace to namespace."""
        while arrival is not None:
            arrival = self._through(*arrival)

    def _through(self, stack: Stack, iif: Interface, packet: Packet) -> Arrival | None:
        """Through a namespace; where the packet comes in next."""
        self.last, self.end = packet, (stack, iif)
        if len(self.passed) >= _MOST_HOPS:
            self._circles(stack, packet)
            return None
        passed = Passed(stack, iif)
        self.passed.append(passed)
        on = self._prerouting(passed, iif, packet)
        answer = None if on is None else decided(self, stack, iif, on)
        if on is None or answer is None:
            return None
        if is_local(answer):
            self.to_many = answer.type in ("broadcast", "multicast")
            delivered(self, passed, iif, on)
            return None
        if turned_back(self, stack, iif, packet, on, answer.route):
            return None
        leaving = forwarded(self, passed, on, answer)
        return None if leaving is None else self._leave(passed, leaving)

    def _circles(self, stack: Stack, packet: Packet) -> None:
        why = "it goes in circles until its time to live is over: routes of two routers point at each other"
        self.dropped(stack, "route", "the way", packet, "loop", [f"{_MOST_HOPS} routers passed"], why)

    def _prerouting(self, passed: Passed, iif: Interface, packet: Packet) -> Packet | None:
        stack, rules = passed.stack, self.rules_of(passed.stack)
        if not link_works(self, stack, iif, packet, "comes in by"):
            return None
        on = rules.ingress(self, stack, iif, packet)
        if on is not None and not well_formed(self, stack, iif, on):
            return None
        if on is not None:
            on = rules.early(self, stack, "prerouting", on, iif, None)
        if on is None:
            return None
        passed.tracked = track(self, stack, on)
        on = rules.late(self, stack, "prerouting", on, iif, None, passed.tracked)
        if on is not None:
            on = translated(self, stack, on, passed.tracked, "destination", iif, None)
        return None if on is None else rules.behind(self, "prerouting", on, iif, None, passed.tracked)

    def _leave(self, passed: Passed, leaving: Leaving) -> Arrival | None:
        """Out of a namespace; where the packet comes in next."""
        if not may_leave(self, passed, leaving):
            return None
        stack, oif = passed.stack, leaving.oif
        on = postrouted(self, passed, leaving)
        if on is None or oif is None or not link_works(self, stack, oif, on, "goes out by"):
            return None
        on = self.rules_of(stack).egress(self, stack, oif, on)
        return None if on is None else transmitted(self, stack, oif, leaving.next_hop, on)

    def _loop(self, passed: Passed, packet: Packet) -> None:
        """Sent to an own address: it leaves by lo and comes in there again."""
        stack, rules = passed.stack, self.rules_of(passed.stack)
        loopback = next((found for found in stack.interfaces.values() if found.loopback), None)
        if loopback is None:
            return
        tracked = passed.tracked
        on = rules.late(self, stack, "postrouting", packet, None, loopback, tracked)
        if on is not None:
            on = translated(self, stack, on, tracked, "source", None, loopback)
        if on is not None:
            on = rules.behind(self, "postrouting", on, None, loopback, tracked)
        if on is not None and link_works(self, stack, loopback, on, "comes back by"):
            on = rules.egress(self, stack, loopback, on)
            if on is not None:
                on = rules.ingress(self, stack, loopback, on)
            if on is not None:
                on = rules.looped(self, on, loopback, tracked)
            if on is not None:
                on = rules.late(self, stack, "input", on, loopback, None, tracked)
            if on is not None:
                taken(self, stack, loopback, on)
