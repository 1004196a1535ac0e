"""The walk: a packet from the interface that it comes in by, hook by hook, to where it stops or is taken.

Order and reasons are the kernel's: net/ipv4/ip_input.c, route.c, ip_forward.c, ip_output.c and their siblings of IPv6.
What the kernel can be asked for one packet, it is asked; only the rules are evaluated here.
"""

from __future__ import annotations

from errno import EACCES, EHOSTUNREACH, ENETUNREACH

from .listing_segment import Crossing, Segment, Wire, state_of
from .listing_stack import WITH_PORTS, Stacks, family_of, inside_of
from .walk_packet import ICMP, ICMPV6, TCP, UDP, Packet, Tracked, endpoint
from .walk_rules import Rules, Translation
from .walk_steps import DELIVERED, LEAVES, UNKNOWN, Steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...netfilter.evaluate import Outcome
    from ...records import Route
    from .listing_segment import End
    from .listing_stack import Answer, Interface, Stack

_MOST_HOPS = 32
_NO_ADDRESSES = frozenset(("tun", "wireguard", "ipip", "gre", "sit", "ip6tnl", "ppp", "vti", "xfrm"))
"""Kinds of links on which there is nobody to ask for a link-layer address."""
_LOCALNET = (
    "with it, whoever is on that link reaches the loopback addresses of this machine: redirect to the interface's own "
    "address, and have the program listen there, if that is not wanted"
)
_LOOSE = (
    "loose mode (2) still drops sources that no route leads to; it no longer drops forged sources of your other links"
)
_TOO_LARGE = (
    "larger packets that may not be fragmented are dropped here, and the sender is notified by ICMP: where that is "
    "filtered, connections hang once they send much"
)


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
        self.home_only = False
        """Whether what leaves the namespace in which it began is not followed."""
        self.told: set[tuple[int, str]] = set()
        """What cannot be evaluated, and was reported once."""
        self.bridging: str | None = None
        """What to say of rules that are passed since br_netfilter has bridged frames pass them."""
        self.marked: list[tuple[Stack, str, int, Outcome]] = []
        """Where rules changed the mark: namespace, hook, the new mark."""
        self.clamped: list[tuple[Stack, str]] = []
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
        at = len(self.forks)
        taken = self.choices[at] if at < len(self.choices) else 0
        outcome = ordered[min(taken, len(ordered) - 1)]
        doubt = next((doubt for found in ordered for doubt in found.doubts), None)
        self.forks.append((taken, len(ordered), doubt.reason if doubt else "rules"))
        if any(found.kind == "unknown" for found in outcome.doubts):
            self.unknown += [found.reason for found in outcome.doubts if found.kind == "unknown"]
        return outcome

    # Coming in.

    def arrive(self, stack: Stack, interface: Interface, packet: Packet) -> None:
        """The packet comes in by an interface that has addresses: no port of a bridge."""
        self.last, self.end = packet, (stack, interface)
        if len(self.passed) >= _MOST_HOPS:
            self.dropped(
                stack,
                "route",
                "the way",
                packet,
                "loop",
                [f"{_MOST_HOPS} routers passed"],
                "it goes in circles until its time to live is over: routes of two routers point at each other",
            )
            return
        passed = Passed(stack, interface)
        self.passed.append(passed)
        if not self._link(stack, interface, packet, "comes in by"):
            return
        rules = self.rules_of(stack)
        on = rules.ingress(self, stack, interface, packet)
        if on is None:
            return
        on = rules.early(self, stack, "prerouting", on, interface, None)
        if on is None:
            return
        passed.tracked = self.track(stack, on)
        translated = self._prerouting(stack, on, interface, passed.tracked)
        if translated is None:
            return
        self._route_in(stack, interface, translated, passed)

    def _link(self, stack: Stack, interface: Interface, packet: Packet, how: str) -> bool:
        evidence = f"link: {interface} is {'up' if interface.works else state_of(interface)}, mtu {interface.mtu}"
        if interface.works:
            self.passes(stack, "link", f"{how} {interface}", packet, evidence)
            return True
        if interface.up:
            why = f"{interface} has no carrier: the other end is down, or the cable is out"
            self.dropped(
                stack,
                "link",
                f"{interface} is {state_of(interface)}",
                packet,
                "no-carrier",
                [evidence],
                why,
                advice=f"look at the other end of {interface}",
                interface=interface,
            )
        else:
            why = f"{interface} is switched off"
            self.dropped(
                stack,
                "link",
                f"{interface} is {state_of(interface)}",
                packet,
                "link-down",
                [evidence],
                why,
                ["ip", "link", "set", "dev", interface.name, "up"],
                interface=interface,
            )
        return False

    def track(self, stack: Stack, packet: Packet) -> Tracked | None:
        """What connection tracking makes of it, before any rule that looks at states."""
        rules = self.rules_of(stack)
        if not rules.tracks:
            return None
        zone, zone_only, untracked = rules.template
        tracked = Tracked(packet)
        tracked.zone, tracked.zone_only = zone, zone_only
        if untracked is not None:
            tracked.state = "untracked"
            tracked.entry = untracked
            self._strange(stack, packet, "notrack", (untracked,))
            return tracked
        if self._of_earlier(stack, packet, tracked) or self._of_entry(stack, packet, tracked):
            return tracked
        if packet.reply and packet.protocol != UDP:
            tracked.state = "invalid"
            self.passes(
                stack,
                "conntrack",
                "invalid",
                packet,
                f"conntrack: no entry in zone {zone} has {packet}",
                why="an answer of no flow known here: it is invalid to connection tracking, and not translated",
            )
        return tracked

    def _of_earlier(self, stack: Stack, packet: Packet, tracked: Tracked) -> bool:
        """Whether it answers a packet whose way was walked before."""
        if self.before is None:
            return False
        for passed in self.before.passed:
            known = passed.tracked
            if passed.stack is not stack or known is None or known.state in ("untracked", "invalid"):
                continue
            if not known.translated.answer().same_flow(packet):
                continue
            expected = 0 if known.zone_only == "original" else known.zone
            zone = 0 if tracked.zone_only == "original" else tracked.zone
            if zone != expected:
                self._strange(
                    stack,
                    packet,
                    "zones",
                    (
                        f"rules put the flow into conntrack zone {known.zone}: {known.original}",
                        f"rules look for its answers in zone {zone}: {packet}",
                    ),
                )
                continue
            self._answers(tracked, known.original, known.translated)
            self.passes(stack, "conntrack", "answer", packet, f"conntrack: it answers {known.original}")
            tracked.status, tracked.mark = known.status, known.mark
            return True
        return False

    @staticmethod
    def _answers(tracked: Tracked, original: Packet, translated: Packet) -> None:
        tracked.state, tracked.direction = "established", "reply"
        tracked.original = original
        tracked.translated = translated

    def _of_entry(self, stack: Stack, packet: Packet, tracked: Tracked) -> bool:
        """Whether the table has an entry for it."""
        known = self._entry(stack, packet, tracked.zone)
        if known is None:
            return False
        tracked.entry = known
        original = Packet(
            packet.protocol,
            known.source_address,
            known.destination_address,
            known.source_port or 0,
            known.destination_port or 0,
        )
        translated = original.but(
            source=known.reply_destination_address,
            source_port=known.reply_destination_port or 0,
            destination=known.reply_source_address,
            destination_port=known.reply_source_port or 0,
        )
        tracked.mark = known.mark or 0
        tracked.status = {{"SRC_NAT": "snat", "DST_NAT": "dnat"}.get(bit, bit) for bit in known.status}
        tracked.helper = known.helper
        if original.same_flow(packet):
            tracked.original, tracked.translated = original, translated
            tracked.nat_done = {"source", "destination"}
            if "SEEN_REPLY" in known.status:
                tracked.state = "established"
        else:
            self._answers(tracked, original, translated)
        self.passes(
            stack,
            "conntrack",
            "entry",
            packet,
            f"conntrack: {known_text(known)}",
            why="its flow is known: its first packet decided on translation, and rules for it are not asked again",
        )
        return True

    def _entry(self, stack: Stack, packet: Packet, zone: int) -> Any:
        from ...errors import NetlinkError

        if packet.protocol not in WITH_PORTS or not (packet.source_port and packet.destination_port):
            return None
        try:
            return stack.tracked(packet.protocol, packet.source, packet.destination, packet.ports, zone)
        except NetlinkError:
            return None  # no privilege, or no ctnetlink: the walk says so with the rules

    def _strange(self, stack: Stack, packet: Packet, cause: str, evidence: tuple[str, ...]) -> None:
        """In a namespace that should know the answer, it does not."""
        if self.before is not None and any(passed.stack is stack for passed in self.before.passed):
            self.strangers.append((stack, cause, evidence))
            self.passes(
                stack,
                "conntrack",
                cause,
                packet,
                *evidence,
                why="it is not known as the answer, and not translated back",
            )

    def _prerouting(self, stack: Stack, packet: Packet, interface: Interface, tracked: Tracked | None) -> Packet | None:
        """The rest of prerouting: rules, and translation of the destination."""
        rules = self.rules_of(stack)
        on = rules.late(self, stack, "prerouting", packet, interface, None, tracked)
        if on is None or tracked is None or tracked.state in ("untracked", "invalid"):
            return on
        if tracked.direction == "reply":
            return self._restored(stack, "prerouting", on, tracked, "destination")
        if "destination" not in tracked.nat_done:
            wanted = rules.translation
            if wanted is not None:
                self._apply(stack, interface, None, tracked, wanted, on)
            tracked.nat_done.add("destination")
        return self._changed(stack, "prerouting", on, tracked, "destination")

    def _restored(self, stack: Stack, hook: str, packet: Packet, tracked: Tracked, what: str) -> Packet:
        """An answer gets back what its flow had changed."""
        if what == "destination":
            to = packet.but(
                destination=tracked.original.source,
                destination_port=tracked.original.source_port or packet.destination_port,
            )
            changed = to.destination != packet.destination or (to.destination_port != packet.destination_port)
        else:
            to = packet.but(
                source=tracked.original.destination, source_port=tracked.original.destination_port or packet.source_port
            )
            changed = to.source != packet.source or to.source_port != packet.source_port
        if changed:
            self.passes(stack, "nat", f"{what} translated back", to, f"conntrack: {packet} becomes {to}")
        return to

    def _changed(self, stack: Stack, hook: str, packet: Packet, tracked: Tracked, what: str) -> Packet:
        """A packet of the flow's first direction is translated as was decided."""
        made = tracked.translated
        if what == "destination":
            to = packet.but(
                destination=made.destination, destination_port=made.destination_port or packet.destination_port
            )
        else:
            to = packet.but(source=made.source, source_port=made.source_port or packet.source_port)
        if (to.source, to.source_port, to.destination, to.destination_port) != (
            packet.source,
            packet.source_port,
            packet.destination,
            packet.destination_port,
        ):
            said = f"conntrack: {packet} becomes {to}"
            self.passes(stack, "nat", f"{what} translated", to, said)
        return to

    def _apply(
        self,
        stack: Stack,
        iif: Interface | None,
        oif: Interface | None,
        tracked: Tracked,
        wanted: Translation,
        packet: Packet,
    ) -> None:
        """Takes a translation that rules decided on into the flow."""
        made = tracked.translated
        if wanted.destination:
            address = wanted.address
            if address is None:  # redirect: to the interface's own address, or loopback for what is sent here
                address = (
                    own_address(stack, iif, packet.family)
                    if iif
                    else ("::1" if packet.family == "inet6" else "127.0.0.1")
                )
            tracked.translated = made.but(
                destination=address or made.destination, destination_port=wanted.port or made.destination_port
            )
            tracked.status.add("dnat")
            return
        address = wanted.address
        if address is None and oif is not None:
            address = masquerade_address(stack, oif, packet, self.next_hop)
        tracked.translated = made.but(source=address or made.source, source_port=wanted.source_port(made.source_port))
        tracked.status.add("snat")

    # Routing.

    def _route_in(self, stack: Stack, iif: Interface, packet: Packet, passed: Passed) -> None:
        """The routing decision for a packet that came in, with the checks that go with it."""
        self.last = packet
        if not self._martian(stack, iif, packet):
            return
        answer = stack.route(
            packet.destination,
            source=packet.source,
            iif=iif,
            mark=packet.mark,
            protocol=packet.protocol,
            ports=packet.ports,
            matched=True,
        )
        local = answer.route is not None and answer.route.type in ("local", "broadcast", "multicast", "anycast")
        if (
            packet.family == "inet"
            and not local
            and answer.refused is None
            and answer.errno in (EHOSTUNREACH, ENETUNREACH)
            and not self._forwards(stack, iif, packet, answer)
        ):
            return
        if not self._reverse_path(stack, iif, packet, answer):
            return
        if answer.route is None:
            if not self._forwards(stack, iif, packet, answer):
                return
            self._refused(stack, packet, answer, iif)
            return
        if local:
            self.passes(
                stack,
                "route",
                f"for {stack.label if stack is not self.home else 'this machine'} itself",
                packet,
                route_text(answer),
            )
            self._input(stack, iif, packet, passed)
            return
        if not self._forwards(stack, iif, packet, answer):
            return
        self._forward(stack, iif, packet, answer, passed)

    def _martian(self, stack: Stack, iif: Interface, packet: Packet) -> bool:
        """Addresses that no packet from a wire may have (net/ipv4/route.c: ip_route_input_slow)."""
        if packet.family != "inet" or iif.loopback:
            return True
        localnet = max(
            stack.own("ipv4", "all", "route_localnet") or 0, stack.own("ipv4", iif.name, "route_localnet") or 0
        )
        setting = f"net.ipv4.conf.{iif}.route_localnet = {localnet}"
        if packet.destination.startswith("127.") and not localnet:
            self.dropped(
                stack,
                "route",
                f"martian destination {packet.destination}",
                packet,
                "route-localnet",
                [setting],
                f"packets that come in by {iif} may not go to 127.0.0.0/8 unless route_localnet is on: the destination "
                "is dropped as martian",
                ["sysctl", "-w", f"net/ipv4/conf/{iif}/route_localnet=1"],
                advice=_LOCALNET,
                interface=iif,
            )
            return False
        if packet.source.startswith("127.") and not localnet:
            self.dropped(
                stack,
                "route",
                f"martian source {packet.source}",
                packet,
                "martian",
                [setting],
                "a source in 127.0.0.0/8 may not come in from a wire",
            )
            return False
        accept = max(stack.own("ipv4", "all", "accept_local") or 0, stack.own("ipv4", iif.name, "accept_local") or 0)
        if stack.is_local(packet.source) and not accept:
            owner = stack.owner(packet.source)
            self.dropped(
                stack,
                "route",
                f"martian source {packet.source}",
                packet,
                "martian-source",
                [
                    f"address: {packet.source} on {owner} of {stack.label}",
                    f"net.ipv4.conf.{iif}.accept_local = {accept}",
                ],
                "its source is an address of the machine that it comes to: such packets are dropped as martians",
                advice="two machines have the same address, or the source is forged",
            )
            return False
        return True

    def _forwards(self, stack: Stack, iif: Interface, packet: Packet, answer: Answer) -> bool:
        """Whether packets for others are passed on at all."""
        version = packet.version
        if version == "ipv4":
            own, everywhere = stack.own("ipv4", iif.name, "forwarding"), stack.setting("net.ipv4.ip_forward")
            if own is None or own:
                self.passes(
                    stack,
                    "forward",
                    "forwarding",
                    packet,
                    f"net.ipv4.conf.{iif}.forwarding = {'?' if own is None else own}",
                )
                return True
            evidence = [f"net.ipv4.conf.{iif}.forwarding = 0"] + ([] if everywhere else ["net.ipv4.ip_forward = 0"])
            # Switched on everywhere, it is on for each interface too.
            fix = "net.ipv4.ip_forward=1" if not everywhere else f"net/ipv4/conf/{iif}/forwarding=1"
        else:
            on = stack.setting("net.ipv6.conf.all.forwarding")
            forced = stack.own("ipv6", iif.name, "force_forwarding")
            if on or forced or on is None:
                self.passes(
                    stack,
                    "forward",
                    "forwarding",
                    packet,
                    f"net.ipv6.conf.all.forwarding = {'?' if on is None else on}",
                )
                return True
            evidence, fix = ["net.ipv6.conf.all.forwarding = 0"], "net.ipv6.conf.all.forwarding=1"
            everywhere = on
        self.dropped(
            stack,
            "forward",
            f"forwarding on {iif}",
            packet,
            "forwarding",
            evidence,
            "packets that come in by this interface and are for somebody else are dropped",
            ["sysctl", "-w", fix],
            interface=iif,
            everywhere=not everywhere,
        )
        return False

    def _reverse_path(self, stack: Stack, iif: Interface, packet: Packet, answer: Answer) -> bool:
        """rp_filter (ip-sysctl: rp_filter; net/ipv4/fib_frontend.c: fib_validate_source)."""
        if packet.family != "inet" or iif.loopback:
            return True
        everywhere, own = stack.own("ipv4", "all", "rp_filter") or 0, stack.own("ipv4", iif.name, "rp_filter") or 0
        mode = max(everywhere, own)
        if not mode:
            return True
        marked = stack.own("ipv4", "all", "src_valid_mark") or stack.own("ipv4", iif.name, "src_valid_mark")
        back = stack.route(packet.source, mark=packet.mark if marked else 0)
        names = [name for name in route_interfaces(back.route) if name]
        setting = f"net.ipv4.conf.{iif}.rp_filter = {own}, all = {everywhere} ({'strict' if mode == 1 else 'loose'})"
        way = (
            f"route: {packet.source} is reached by {', '.join(names)}"
            if names
            else f"route: none leads to {packet.source}"
        )
        if iif.name in names or (mode == 2 and names):
            self.passes(stack, "rp_filter", iif, packet, setting, way)
            return True
        if answer.route is not None and answer.errno == 0:
            # The kernel let it pass: by a rule that looks at more than its source.
            self.passes(
                stack, "rp_filter", iif, packet, setting, way, "route: the kernel accepts the packet nevertheless"
            )
            return True
        others = {name for name in names if name != iif.name}
        why = (
            f"the reverse path filter drops it: it came in by {iif}, and answers to {packet.source} would leave by "
            f"{', '.join(sorted(others))}"
            if others
            else f"the reverse path filter drops it: there is no route back to {packet.source}"
        )
        loosen = "" if not others else ["sysctl", "-w", *([f"net/ipv4/conf/{iif}/rp_filter=2"])]
        self.dropped(
            stack,
            "rp_filter",
            f"rp_filter on {iif}",
            packet,
            "rp-filter",
            [setting, way],
            why,
            loosen,
            advice=_LOOSE if loosen else "",
            interface=iif,
            others=sorted(others),
        )
        return False

    def _refused(self, stack: Stack, packet: Packet, answer: Answer, iif: Interface | None) -> None:
        """There is no route, or one that refuses."""
        entry = answer.entry
        rule = f" (rule {rule_text(answer.rule)})" if answer.rule else ""
        if answer.refused:
            where = (
                f"route: {answer.refused} {entry.destination} in table {entry.table}{rule}"
                if entry
                else f"rule: {rule_text(answer.rule)}"
                if answer.rule
                else ""
            )
            fix: list[str] | str = ""
            if entry is not None:
                fix = [
                    "ip",
                    *(["-6"] if packet.family == "inet6" else []),
                    "route",
                    "del",
                    answer.refused,
                    entry.destination,
                    "table",
                    entry.table,
                ]
                if entry.metric:
                    fix += ["metric", str(entry.metric)]
            elif answer.rule is not None:
                fix = [
                    "ip",
                    *(["-6"] if packet.family == "inet6" else []),
                    "rule",
                    "del",
                    "pref",
                    str(answer.rule.priority),
                ]
            self.dropped(
                stack,
                "route",
                f"{answer.refused} {entry.destination if entry else packet.destination}",
                packet,
                answer.refused,
                [where],
                f"a {'route' if entry else 'rule'} of type {answer.refused} is for {packet.destination}: its packets "
                "are dropped"
                + {
                    "blackhole": " silently",
                    "prohibit": ", and the sender is notified (administratively prohibited)",
                }.get(answer.refused, ", and the sender is notified that the host is unreachable"),
                fix,
                advice="it may be there on purpose: see who made it (protocol) before it is removed" if fix else "",
                entry=entry,
            )
            return
        if answer.errno == EACCES:
            cause, why = "prohibit", "a rule or route of type prohibit is for it"
        else:
            cause, why = (
                "no-route",
                f"no route leads to {packet.destination}: there is no entry for it, and no default route",
            )
        evidence = [
            f"route: the kernel knows no route to {packet.destination}"
            + (f" with mark {packet.mark:#x}" if packet.mark else "")
        ]
        self.dropped(
            stack,
            "route",
            f"no route to {packet.destination}",
            packet,
            cause,
            evidence,
            why,
            advice=self._route_advice(stack, packet),
            address=packet.destination,
            iif=iif,
        )

    def _route_advice(self, stack: Stack, packet: Packet) -> str:
        version = "-6 " if packet.family == "inet6" else ""
        if self.before is not None:
            for passed in reversed(self.before.passed):
                # Who forwarded the packet here can take the answer.
                if passed.stack is stack or passed.oif is None:
                    continue
                for address, _ in passed.stack.networks(passed.oif):
                    if family_of(address) == packet.family and stack.on_link(address) is not None:
                        return f"in namespace {stack.label}: ip {version}route add {packet.destination} via {address}"
                break
        return f"add a route: ip {version}route add default via NEXT-HOP"

    # Local delivery.

    def _input(self, stack: Stack, iif: Interface, packet: Packet, passed: Passed) -> None:
        rules = self.rules_of(stack)
        tracked = passed.tracked
        on = rules.late(self, stack, "input", packet, iif, None, tracked)
        if on is None:
            return
        if tracked is not None and tracked.direction == "reply" and tracked.state == "established":
            on = self._restored(stack, "input", on, tracked, "source")
        self._socket(stack, iif, on)

    def _socket(self, stack: Stack, iif: Interface | None, packet: Packet) -> None:
        self.last, self.end = packet, (stack, iif)
        if self.before is not None:
            self._back_home(stack, packet)
            return
        if packet.protocol in (ICMP, ICMPV6):
            self.ends(stack, "socket", f"{stack.label}: answered by its kernel", DELIVERED, packet)
            return
        from ...errors import NetlinkError

        if packet.protocol not in (TCP, UDP, 136) or not packet.destination_port:
            self.ends(
                stack,
                "socket",
                stack.label,
                DELIVERED,
                packet,
                why="the receiving program is unknown: no port was given, or it cannot be looked up",
            )
            return
        try:
            found = stack.receiver(
                packet.protocol,
                packet.source,
                packet.source_port or 1,
                packet.destination,
                packet.destination_port,
                iif,
            )
        except NetlinkError as error:
            self.ends(stack, "socket", stack.label, DELIVERED, packet, why=f"the receiving socket is unknown: {error}")
            return
        if found is None:
            what = "the sender gets a reset" if packet.protocol == TCP else "the sender is notified by ICMP"
            self.dropped(
                stack,
                "socket",
                f"nobody listens on {endpoint(packet.destination, packet.destination_port)}",
                packet,
                "no-socket",
                [f"sock_diag: no socket of {stack.label} takes {packet}"],
                f"it arrives, and no program has that port open: {what}",
                advice=f"start the program, or have it listen on {packet.destination}",
                address=packet.destination,
                port=packet.destination_port,
            )
            return
        self.socket = found
        text = (
            f"sock_diag: {found.protocol} {found.state} {endpoint(found.local_address, found.local_port)}, inode "
            f"{found.inode}, uid {found.uid}"
        )
        self.ends(
            stack, "socket", f"{found.state} {endpoint(found.local_address, found.local_port)}", DELIVERED, packet, text
        )

    def _back_home(self, stack: Stack, packet: Packet) -> None:
        """An answer has arrived somewhere: is that who asked, and what it expects?"""
        assert self.before is not None
        self.ends(stack, "socket", f"arrives in {stack.label}", DELIVERED, packet)

    # Forwarding and sending.

    def _forward(self, stack: Stack, iif: Interface, packet: Packet, answer: Answer, passed: Passed) -> None:
        route = answer.route
        assert route is not None
        oif, next_hop = hop_of(stack, route, packet)
        self.passes(
            stack,
            "route",
            f"{'via ' + next_hop + ' ' if next_hop != packet.destination else ''}dev {oif}",
            packet,
            route_text(answer),
        )
        if oif is None:
            self.ends(
                stack, "route", route_text(answer), UNKNOWN, packet, why="the interface of the route is not known"
            )
            self.unknown.append("the interface of the route")
            return
        rules = self.rules_of(stack)
        on = rules.late(self, stack, "forward", packet, iif, oif, passed.tracked)
        if on is None:
            return
        self._mtu(stack, oif, route, on)
        passed.oif = oif
        self._postrouting(stack, iif, oif, next_hop, on, passed)

    def send(self, stack: Stack, packet: Packet, *, oif: Interface | None = None, uid: int | None = None) -> None:
        """The packet is sent by a program, or the kernel, of a namespace."""
        self.last, self.end = packet, (stack, None)
        passed = Passed(stack, None)
        self.passed.append(passed)
        rules = self.rules_of(stack)

        def look_up(wanted: Packet) -> Answer:
            return stack.route(
                wanted.destination,
                source=wanted.source if stack.is_local(wanted.source) else None,
                oif=oif,
                mark=wanted.mark,
                protocol=wanted.protocol,
                ports=wanted.ports,
                uid=uid,
                matched=True,
            )

        answer = look_up(packet)
        if answer.route is None:
            self._refused(stack, packet, answer, None)
            return
        if not packet.source and answer.route.preferred_source:
            packet = packet.but(source=answer.route.preferred_source)
        out, next_hop = hop_of(stack, answer.route, packet)
        self.passes(
            stack,
            "route",
            f"{'via ' + next_hop + ' ' if next_hop != packet.destination else ''}dev {out}",
            packet,
            route_text(answer),
        )
        on = rules.early(self, stack, "output", packet, None, out)
        if on is None:
            return
        passed.tracked = tracked = self.track(stack, on)
        on = rules.late(self, stack, "output", on, None, out, tracked)
        if on is None:
            return
        if tracked is not None and tracked.state not in ("untracked", "invalid"):
            if tracked.direction == "reply":
                # What was changed at the way in is changed back at the way out.
                on = self._restored(stack, "output", on, tracked, "destination")
            else:
                if "destination" not in tracked.nat_done and rules.translation is not None:
                    self._apply(stack, None, out, tracked, rules.translation, on)
                tracked.nat_done.add("destination")
                on = self._changed(stack, "output", on, tracked, "destination")
        if on.destination != packet.destination or on.mark != packet.mark:
            answer = look_up(on)  # net/netfilter: ip_route_me_harder
            if answer.route is None:
                self._refused(stack, on, answer, None)
                return
            out, next_hop = hop_of(stack, answer.route, on)
            self.passes(stack, "route", f"again: dev {out}", on, route_text(answer))
        route = answer.route
        assert route is not None
        if route.type == "local":
            loopback = next((found for found in stack.interfaces.values() if found.loopback), None)
            if loopback is not None:
                self._looped(stack, loopback, on, passed)
            return
        if out is None:
            self.unknown.append("the interface of the route")
            self.ends(stack, "route", route_text(answer), UNKNOWN, on, why="the interface of the route is not known")
            return
        self._mtu(stack, out, route, on)
        passed.oif = out
        self._postrouting(stack, None, out, next_hop, on, passed)

    def _looped(self, stack: Stack, loopback: Interface, packet: Packet, passed: Passed) -> None:
        """Sent to an own address: it leaves by lo and comes in there again."""
        on = self.rules_of(stack).late(self, stack, "postrouting", packet, None, loopback, passed.tracked)
        if on is None:
            return
        on = self.rules_of(stack).late(self, stack, "input", on, loopback, None, passed.tracked)
        if on is not None:
            self._socket(stack, loopback, on)

    def _mtu(self, stack: Stack, oif: Interface, route: Route, packet: Packet) -> None:
        learned = route.pmtu or (route.metrics.mtu if route.metrics else None)
        mtu = min(oif.mtu, learned) if learned else oif.mtu
        if self.narrow is None or mtu < self.narrow[0]:
            if self.narrow is not None or (
                self.passed and self.passed[-1].iif is not None and self.passed[-1].iif.mtu > mtu
            ):
                self.passes(
                    stack,
                    "mtu",
                    f"{mtu} bytes on {oif}",
                    packet,
                    f"mtu of {oif}: {oif.mtu}" + (f", learned: {learned}" if learned else ""),
                    why=_TOO_LARGE,
                )
            self.narrow = (mtu, stack, oif)

    def _postrouting(
        self, stack: Stack, iif: Interface | None, oif: Interface, next_hop: str, packet: Packet, passed: Passed
    ) -> None:
        rules = self.rules_of(stack)
        tracked = passed.tracked
        self.next_hop = passed.next_hop = next_hop
        passed.leaving = packet
        on = rules.late(self, stack, "postrouting", packet, iif, oif, tracked)
        if on is None:
            return
        if tracked is not None and tracked.state not in ("untracked", "invalid"):
            if tracked.direction == "reply":
                on = self._restored(stack, "postrouting", on, tracked, "source")
            else:
                if "source" not in tracked.nat_done and rules.translation is not None:
                    self._apply(stack, iif, oif, tracked, rules.translation, on)
                    if not self._free_port(stack, oif, tracked, rules.translation, on):
                        return
                tracked.nat_done.add("source")
                on = self._changed(stack, "postrouting", on, tracked, "source")
        if not self._link_out(stack, oif, on):
            return
        last = rules.egress(self, stack, oif, on)
        if last is None:
            return
        self._deliver(stack, oif, next_hop, last)

    def _free_port(self, stack: Stack, oif: Interface, tracked: Tracked, wanted: Translation, packet: Packet) -> bool:
        """Whether there is a port left among those that a rule allows."""
        if wanted.ports is None or packet.protocol not in WITH_PORTS or not packet.destination_port:
            return True
        from .listing_entries import ports_in_use

        first, last = wanted.ports
        outside = tracked.translated.source
        used = ports_in_use(
            stack.place, packet.protocol, packet.destination, packet.destination_port, outside, first, last
        )
        total = last - first + 1
        text = (
            f"conntrack: {len(used)} of {total} ports {first}-{last} of {outside} in use towards "
            f"{endpoint(packet.destination, packet.destination_port)}"
        )
        if len(used) < total:
            self.passes(stack, "nat", f"{total - len(used)} of {total} ports free", packet, text)
            return True
        self.dropped(
            stack,
            "nat",
            f"no free port of {outside}",
            packet,
            "ports",
            [text, f"rule: {self.rules_of(stack).text(wanted.rule)}"],
            f"the snat rule allows {total} port{'s' if total > 1 else ''}, and each is taken by a flow to the same "
            "destination: the first packet of a further one finds no free port and is dropped (insert_failed)",
            advice="a wider range of ports in the rule, or more outside addresses",
            outside=outside,
            used=len(used),
            total=total,
            rule=wanted.rule,
        )
        return False

    def _link_out(self, stack: Stack, oif: Interface, packet: Packet) -> bool:
        return self._link(stack, oif, packet, "goes out by")

    # The wire.

    def _deliver(self, stack: Stack, oif: Interface, next_hop: str, packet: Packet) -> None:
        """From an interface to the next machine: by neighbour and MAC address where these are known, else by who has
        the address."""
        self.last, self.end = packet, (stack, oif)
        if (
            self.home_only
            and stack is self.home
            and self.before is None
            and self._known_dead(stack, oif, next_hop, packet)
        ):
            return
        if self.home_only and stack is self.home:
            self.ends(stack, "wire", f"leaves by {oif}", LEAVES, packet)
            return
        segment = Segment(self.stacks, stack, oif)
        asks = not ("noarp" in oif.flags or "pointopoint" in oif.flags or oif.kind in _NO_ADDRESSES or oif.loopback)
        neighbour = stack.neighbour(oif, next_hop) if asks else None
        known = neighbour.link_address if neighbour and neighbour.state not in ("failed", "incomplete") else None
        said = (
            f"neighbour: {next_hop} dev {oif} {known or ''} {neighbour.state}".replace("  ", " ")
            if neighbour
            else f"neighbour: {next_hop} dev {oif} is not known yet"
        )
        owners = list(segment.with_address(next_hop))
        if len(owners) > 1:
            self.duplicates.append((next_hop, owners))
        end = None
        if known is not None:
            end = segment.with_link_address(known)
            if end is None and not segment.beyond:
                self.dropped(
                    stack,
                    "neighbour",
                    f"{next_hop} on {oif}",
                    packet,
                    "neighbour-wrong",
                    [said, *segment.dead],
                    f"nobody on that link has the MAC address {known}: the entry is wrong, or the machine is gone",
                    ["ip", "neigh", "del", next_hop, "dev", oif.name],
                    next_hop=next_hop,
                    interface=oif,
                )
                return
        elif owners:
            end = owners[0]
        elif not segment.beyond or (neighbour is not None and neighbour.state == "failed"):
            if not asks and segment.ends:
                end = segment.ends[0]
            else:
                who = (
                    ", ".join(
                        sorted(
                            {
                                f"{text} on {found.interface} of {found.stack.label}"
                                for found in segment.ends
                                for text, _ in found.stack.networks(found.interface)
                            }
                        )
                    )
                    or "nobody"
                )
                self.dropped(
                    stack,
                    "neighbour",
                    f"{next_hop} on {oif}",
                    packet,
                    "neighbour",
                    [said, *segment.dead, f"on the link of {oif}: {who}"],
                    f"nobody on the link of {oif} answers for {next_hop}: the machine is down or gone, or has another "
                    "address",
                    advice=f"look whether {next_hop} is up, and whether it is on the link of {oif}",
                    next_hop=next_hop,
                    interface=oif,
                )
                return
        if end is None:
            where = "; ".join(segment.beyond)
            if neighbour is not None and neighbour.state == "incomplete":
                self.unknown.append(f"{next_hop} has not answered on {oif} yet")
            self.ends(stack, "wire", f"leaves by {oif}", LEAVES, packet, *([said] if asks else []), f"beyond: {where}")
            return
        self.passes(
            stack,
            "neighbour",
            next_hop,
            packet,
            *([said] if asks else []),
            f"link: {end.interface} of {end.stack.label} takes it"
            + (f" ({end.interface.address})" if end.interface.address else ""),
        )
        self._along(end, known or end.interface.address, packet)

    def bridged(self, stack: Stack, interface: Interface, packet: Packet) -> None:
        """The packet goes from one neighbour on a wire to another: by a bridge here, or past this machine."""
        self.last, self.end = packet, (stack, interface)
        segment = Segment(self.stacks, stack, interface)
        first, end = (next(iter(segment.with_address(text)), None) for text in (packet.source, packet.destination))
        neighbour = stack.neighbour(interface, packet.destination)
        if end is None:
            self.unknown.append(f"where {packet.destination} is on the wire of {interface}")
            why = (
                f"{packet.source} and {packet.destination} are on one wire: they talk to each other directly, past the "
                "routing of this machine"
            )
            self.ends(stack, "wire", f"on the wire of {interface}", UNKNOWN, packet, why=why)
            return
        ports = [
            found.via[0].exit if found and found.via and isinstance(found.via[0], Crossing) else None
            for found in (first, end)
        ]
        known = neighbour.link_address if neighbour else None
        why = "they talk to each other directly: nothing is routed here"
        self.passes(stack, "wire", f"both are on the wire of {interface}", packet, why=why)
        if ports[1] is not None:
            crossing = Crossing(stack, interface, ports[0], ports[1])
            rest = type(end)(end.stack, end.interface, (crossing, *end.via[1:]))
            self._along(rest, known or end.interface.address, packet)
        else:
            self.arrive(end.stack, end.interface, packet)

    def _known_dead(self, stack: Stack, oif: Interface, next_hop: str, packet: Packet) -> bool:
        """Whether it is known already that the next hop does not answer."""
        neighbour = stack.neighbour(oif, next_hop)
        if neighbour is None or neighbour.state != "failed":
            return False
        self.dropped(
            stack,
            "neighbour",
            f"{next_hop} on {oif}",
            packet,
            "neighbour",
            [f"neighbour: {next_hop} dev {oif} failed"],
            f"{next_hop} does not answer on {oif}: the machine is down or gone, or has another address",
            advice=f"look whether {next_hop} is up, and whether it is on the link of {oif}",
            next_hop=next_hop,
            interface=oif,
        )
        return True

    def _along(self, end: End, link_address: str | None, packet: Packet) -> None:
        """Through bridges and veth pairs to the interface at the end."""
        for part in end.via:
            if isinstance(part, Wire):
                self.passes(
                    part.peer_stack,
                    "wire",
                    f"{part.interface} of {part.stack.label} > {part.peer} of {part.peer_stack.label}",
                    packet,
                )
            elif isinstance(part, Crossing):
                on = self._bridge(part, link_address, packet)
                if on is None:
                    return
                packet = on
        self.arrive(end.stack, end.interface, packet)

    def _bridge(self, part: Crossing, link_address: str | None, packet: Packet) -> Packet | None:
        """Over a bridge: its own rules, and those of IP where br_netfilter has frames pass them."""
        stack = part.stack
        evidence = []
        if part.exit is not None and link_address:
            port = stack.port_for(part.bridge, link_address)
            if port is None:
                evidence.append(f"fdb: {link_address} is not known on {part.bridge}: it goes out by every port")
            else:
                evidence.append(f"fdb: {link_address} is behind {port}")
        subject = f"{part.bridge}: {part.entry or part.bridge} > {part.exit or part.bridge}"
        self.passes(stack, "bridge", subject, packet, *evidence)
        return self.rules_of(stack).bridged(self, part, packet)


def own_address(stack: Stack, interface: Interface | None, family: str) -> str | None:
    """The first address of an interface in a family."""
    if interface is None:
        return None
    return next(
        (
            text
            for text, _ in stack.networks(interface)
            if (":" in text) == (family == "inet6") and not text.startswith("fe80:")
        ),
        None,
    )


def masquerade_address(stack: Stack, oif: Interface, packet: Packet, next_hop: str | None) -> str | None:
    """What masquerade takes (net/ipv4/devinet.c: inet_select_addr; net/ipv6/addrconf.c: ipv6_dev_get_saddr)."""
    if packet.family == "inet6":
        answer = stack.route(packet.destination, oif=oif)
        return answer.route.preferred_source if answer.route else own_address(stack, oif, "inet6")
    networks = [(text, length) for text, length in stack.networks(oif) if ":" not in text]
    hop = next_hop or packet.destination
    for text, length in networks:
        if ":" not in hop and inside_of(hop, f"{text}/{length}"):
            return text
    return networks[0][0] if networks else None


def hop_of(stack: Stack, route: Route, packet: Packet) -> tuple[Interface | None, str]:
    """The interface and the next hop of a route that was given for one packet."""
    return stack.named(route.interface), route.gateway or packet.destination


def route_interfaces(route: Route | None) -> list[str | None]:
    """The interfaces of a route, of each of its next hops."""
    if route is None:
        return []
    return [route.interface, *(hop.interface for hop in route.next_hops or ())]


def rule_text(rule: Any) -> str:
    """A policy rule in ip-rule(8)'s words."""
    parts = [f"{rule.priority}:", "not" if rule.inverted else "", f"from {rule.source or 'all'}"]
    parts += [f"to {rule.destination}" if rule.destination else "", f"fwmark {rule.mark:#x}" if rule.mark else ""]
    parts += [f"iif {rule.input_interface}" if rule.input_interface else ""]
    parts += [f"lookup {rule.table}" if rule.action == "lookup" else rule.action]
    return " ".join(part for part in parts if part)


def route_text(answer: Answer) -> str:
    """The answer of the routing tables in a line."""
    route, entry = answer.route, answer.entry
    if route is None:
        return "route: none"
    what = entry.destination if entry else route.destination
    text = f"route: {route.type if route.type != 'unicast' else ''} {what}".replace("  ", " ")
    if route.gateway:
        text += f" via {route.gateway}"
    text += f" dev {route.interface} table {(entry or route).table}"
    return text + (f" (rule {rule_text(answer.rule)})" if answer.rule else "")


def known_text(known: Any) -> str:
    """An entry of the table in a line."""
    state = f" {known.state}" if known.state else ""
    replies = f"replies to {endpoint(known.reply_destination_address, known.reply_destination_port or 0)}"
    return (
        f"{known.protocol} {endpoint(known.source_address, known.source_port or 0)} > "
        f"{endpoint(known.destination_address, known.destination_port or 0)} ({replies}){state} "
        f"[{' '.join(known.status)}]" + (f" zone {known.zone}" if known.zone else "")
    )
