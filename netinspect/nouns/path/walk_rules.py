"""The rules of a namespace on a packet's way: hook by hook, in the kernel's order, with connection tracking between.

Before connection tracking (priority -200) come the chains that may turn it off or choose a zone, behind it all others.
"""

from __future__ import annotations

from _socket import inet_ntop

from ...engine.prefixes import packed
from ...errors import NetinspectError, NetlinkError
from ...netfilter import packet as nf
from ...netfilter.evaluate import run_hook
from ...netfilter.ruleset import Ruleset, place_of, read
from ...netfilter.text import exactly
from ...netfilter.text import rule_text as words
from .walk_facts import Facts, packet_seen, without_socket
from .walk_opening import opening
from .walk_packet import ICMPV6, Packet
from .walk_tracking import track
from .walk_translation import restored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...netfilter.decode import Chain, Rule
    from ...netfilter.evaluate import Outcome
    from ...netfilter.machine import Action, Step
    from .listing_segment import Crossing
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Tracked

CONNTRACK = -200
"""linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK"""
_TRANSLATES = {"prerouting": -100, "output": -100, "postrouting": 100}
"""Where a hook translates (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC): chains behind that see the packet translated."""
_FAMILIES = {"inet": "ip", "inet6": "ip6"}


class Translation:
    """What rules want of a flow's addresses."""

    __slots__ = ("action", "address", "destination", "kind", "last", "port", "ports", "rule", "text", "unknown")

    def __init__(self, action: Action, packet: Packet, hook: str) -> None:
        self.action = action
        self.kind = action.kind
        self.rule: Rule = action.rule
        self.text = action.text
        netmap = action.kind == "netmap"
        self.destination = action.kind in ("dnat", "redirect") or (netmap and hook in ("prerouting", "output"))
        self.address = action.addresses[0] if action.addresses else None
        self.last = action.addresses[1] if action.addresses else None
        if netmap and self.address is not None and self.last is not None:
            self.address = mapped(packet.destination if self.destination else packet.source, self.address, self.last)
        self.ports = action.ports
        self.port = action.ports[0] if action.ports and self.destination else 0
        self.unknown = action.doubt is not None

    def source_port(self, port: int) -> int:
        """The source port that a flow gets: its own where the rule allows that."""
        if self.ports is None:
            return port
        first, last = self.ports
        return port if first <= port <= last else (first if first == last else 0)


def mapped(address: str, first: str, last: str) -> str:
    """An address in another prefix, from ``first`` to ``last``: its host part stays (net/netfilter/nf_nat_core.c)."""
    raw, low, high = (int.from_bytes(packed(text), "big") for text in (address, first, last))
    host = low ^ high
    size = 16 if ":" in first else 4
    return inet_ntop(10 if size == 16 else 2, (low & ~host | raw & host).to_bytes(size, "big"))


class Rules:
    """The rules of one namespace, and what the last hook made of a packet."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.facts = Facts(stack)
        self.unread: str | None = None
        self.ruleset = Ruleset()
        try:
            self.ruleset = read(stack.place)
        except NetinspectError as error:
            self.unread = str(error)
        self.tracks = self.ruleset.needs_tracking
        """Whether connections are tracked: only where a rule needs it."""
        self.template: tuple[int, str | None, str | None] = (0, None, None)
        """What the rules before connection tracking chose: zone, the direction it counts in, and the rule that turns
        tracking off."""
        self.rerouted = False
        """Whether a chain of type route changed what the packet that is being sent is routed by."""
        self.translation: Translation | None = None
        """What the last hook wants of the flow's addresses."""

    def text(self, rule: Rule) -> str:
        """``ip nat postrouting handle 4: oifname "g1" masquerade``"""
        return f"{rule}: {words(self.ruleset, rule)}"

    def exact(self, rule: Rule) -> str:
        """The rule's words to be given to nft(8); empty where it would not make the same rule of them.

        Empty for a rule of iptables too, in whose tables nft(8) is not to make rules.
        """
        chain = self.ruleset.chains.get((rule.family, rule.table, rule.chain))
        if chain is not None and self.ruleset.iptables(chain) is not None:
            return ""
        return exactly(self.ruleset, rule)

    def packet_of(
        self, packet: Packet, iif: Interface | None, oif: Interface | None, tracked: Tracked | None
    ) -> nf.Packet:
        """The packet as rules see it."""
        return packet_seen(self.stack, packet, iif, oif, tracked)

    # The hooks.

    def ingress(self, walk: Walk, stack: Stack, interface: Interface, packet: Packet) -> Packet | None:
        """The chains of netdev and inet at an interface's ingress."""
        return self._device(walk, "ingress", interface, packet)

    def egress(self, walk: Walk, stack: Stack, interface: Interface, packet: Packet) -> Packet | None:
        """The chains of netdev at an interface's egress."""
        return self._device(walk, "egress", interface, packet)

    def _device(self, walk: Walk, hook: str, interface: Interface, packet: Packet) -> Packet | None:
        chains = self.ruleset.base_chains("netdev", hook, interface.name)
        if not chains:
            return packet
        iif, oif = (interface, None) if hook == "ingress" else (None, interface)
        return self._pass(walk, "netdev", hook, packet, iif, oif, None, chains, device=interface.name)

    def early(
        self, walk: Walk, stack: Stack, hook: str, packet: Packet, iif: Interface | None, oif: Interface | None
    ) -> Packet | None:
        """The chains before connection tracking."""
        self.template = (0, None, None)
        self._say_unread(walk, hook, packet)
        family = _FAMILIES[packet.family]
        chains = [chain for chain in self.ruleset.base_chains(family, hook) if place_of(chain) <= CONNTRACK]
        return self._pass(walk, family, hook, packet, iif, oif, None, chains, early=True) if chains else packet

    def late(
        self,
        walk: Walk,
        stack: Stack,
        hook: str,
        packet: Packet,
        iif: Interface | None,
        oif: Interface | None,
        tracked: Tracked | None,
    ) -> Packet | None:
        """The chains behind connection tracking, to those that translate."""
        self.translation = None
        family = _FAMILIES[packet.family]
        last = _TRANSLATES.get(hook)
        chains = self.ruleset.base_chains(family, hook)
        if last is not None:
            chains = [chain for chain in chains if place_of(chain) <= last]
        if hook in ("prerouting", "output"):
            chains = [chain for chain in chains if place_of(chain) > CONNTRACK]
        else:
            self._say_unread(walk, hook, packet)
        return self._pass(walk, family, hook, packet, iif, oif, tracked, chains) if chains else packet

    def behind(
        self,
        walk: Walk,
        hook: str,
        packet: Packet,
        iif: Interface | None,
        oif: Interface | None,
        tracked: Tracked | None,
    ) -> Packet | None:
        """The chains of a hook behind those that translate: they see the packet as it has been translated."""
        family, last = _FAMILIES[packet.family], _TRANSLATES[hook]
        chains = [chain for chain in self.ruleset.base_chains(family, hook) if place_of(chain) > last]
        if not chains:
            return packet
        return self._pass(walk, family, hook, packet, iif, oif, tracked, chains, behind=True)

    def looped(self, walk: Walk, packet: Packet, loopback: Interface, tracked: Tracked | None) -> Packet | None:
        """The chains of prerouting for what this machine sent to itself: its flow is known, and translated, by then."""
        family = _FAMILIES[packet.family]
        chains = self.ruleset.base_chains(family, "prerouting")
        return self._pass(walk, family, "prerouting", packet, loopback, None, tracked, chains) if chains else packet

    def bridged(self, walk: Walk, part: Crossing, packet: Packet) -> Packet | None:
        """A frame over a bridge: the bridge's own chains, and IP's where br_netfilter passes it to them."""
        stack = self.stack
        on: Packet | None = packet
        hooks = ["prerouting", "input"] if part.exit is None else ["prerouting", "forward", "postrouting"]
        if part.entry is None:
            hooks = ["output", "postrouting"]
        for hook in hooks:
            chains = self.ruleset.base_chains("bridge", hook)
            if chains and on is not None:
                on = self._pass(walk, "bridge", hook, on, part.entry, part.exit, None, chains)
        if on is None or part.entry is None or part.exit is None:
            return on
        if stack.filtering_bridged(packet.family) is None:
            return on
        tracked = None
        walk.bridged_by = part.bridge
        try:
            on = self.early(walk, stack, "prerouting", on, part.bridge, None)
            if on is not None:
                tracked = track(walk, stack, on)
                on = self.late(walk, stack, "prerouting", on, part.bridge, None, tracked)
            if on is not None:
                on = self.behind(walk, "prerouting", on, part.bridge, None, tracked)
            if on is not None:
                on = self.late(walk, stack, "forward", on, part.bridge, part.bridge, tracked)
            if on is not None:
                on = self.late(walk, stack, "postrouting", on, part.bridge, part.bridge, tracked)
            if on is not None:
                on = self.behind(walk, "postrouting", on, part.bridge, part.bridge, tracked)
            if (
                on is not None
                and tracked is not None
                and (tracked.direction, tracked.state) == ("reply", "established")
            ):
                on = restored(walk, stack, on, tracked, "source")
        finally:
            walk.bridged_by = None
        return on

    def against_neighbours(self, interface: Interface, address: str) -> list[str]:
        """Rules and policies that keep answers of neighbours away: of the family arp, or of IPv6's input."""
        if ":" not in address:
            # What ARP carries is not evaluated: the rules that drop are named.
            return [
                f"nftables: {self.text(rule)}"
                for (family, _, _), found in self.ruleset.rules.items()
                if family == "arp"
                for rule in found
                if " drop" in f" {self.text(rule)}"
            ][:3]
        return [text for _, text in self.against_discovery(interface, address, 136)]

    def against_discovery(self, interface: Interface, address: str, kind: int) -> list[tuple[Chain, str]]:
        """The chains that drop a neighbour's solicitation (135) or advertisement (136), and by what.

        RFC 4861. Connection tracking leaves both alone (net/netfilter/nf_conntrack_proto_icmpv6.c).
        """
        own = next((text for text, _ in self.stack.networks(interface) if ":" in text), address)
        sent = Packet(ICMPV6, address, _solicited(own) if kind == 135 else own, reply=True)
        sent.icmp, sent.ttl = kind, 255
        made = packet_seen(self.stack, sent, interface, None, None).replace(tracking=nf.UNTRACKED)
        found: list[tuple[Chain, str]] = []
        for hook in ("prerouting", "input"):
            chains = self.ruleset.base_chains("ip6", hook)
            outcomes = run_hook(self.ruleset, "ip6", hook, made, self.facts, chains=chains).outcomes if chains else ()
            if not outcomes or any(outcome.verdict.name != "drop" for outcome in outcomes):
                continue
            last = outcomes[0].drop
            if last is not None:
                what = self.text(last.rule) if last.rule is not None else f"{last.chain}, hook {hook}, policy drop"
                found.append((last.chain, f"nftables: {what}"))
        return found

    def _say_unread(self, walk: Walk, hook: str, packet: Packet) -> None:
        if self.unread is not None and (id(self), "") not in walk.reported:
            walk.reported.add((id(self), ""))
            walk.unknowable(
                self.stack, hook, "nftables", packet, self.unread, why=f"the rules could not be read: {self.unread}"
            )
        for table in self.ruleset.unknown:
            if (id(self), table) in walk.reported or (packet.family == "inet6") != (" ip6 " in f" {table} "):
                continue
            walk.reported.add((id(self), table))
            walk.unknowable(self.stack, hook, table, packet, why=f"the rules of {table} could not be read")

    def _pass(
        self,
        walk: Walk,
        family: str,
        hook: str,
        packet: Packet,
        iif: Interface | None,
        oif: Interface | None,
        tracked: Tracked | None,
        chains: Sequence[Chain],
        *,
        early: bool = False,
        behind: bool = False,
        device: str | None = None,
    ) -> Packet | None:
        kinds = [chain.kind == "route" for chain in chains] if hook == "output" else []
        if True in kinds and False in kinds:
            # Only chains of type route have what they change routed again, so each kind is passed by itself.
            on: Packet | None = packet
            start = 0
            for end in range(1, len(chains) + 1):
                if on is not None and (end == len(chains) or kinds[end] is not kinds[start]):
                    part = chains[start:end]
                    on = self._pass(walk, family, hook, on, iif, oif, tracked, part, early=early, behind=behind)
                    start = end
            return on
        made = self.packet_of(packet, iif, oif, None if early else tracked)
        if iif is not None and hook != "input":
            made = without_socket(made)
        try:
            found = run_hook(self.ruleset, family, hook, made, self.facts, device=device, chains=chains)
        except NetlinkError as error:
            walk.unknowable(self.stack, hook, "nftables", packet, str(error), why=f"a set could not be asked: {error}")
            return packet
        outcome = walk.chosen(self.stack, hook, _distinct(found.outcomes, self.tracks))
        walk.asked.append((self.stack, f"{hook}, translated" if behind else hook, outcome))
        after = self._taken(walk, hook, packet, outcome, early, tracked)
        if after is not None and True in kinds:
            changed = (after.mark, after.tos) != (packet.mark, packet.tos)
            self.rerouted = self.rerouted or changed
        return after

    def _taken(
        self, walk: Walk, hook: str, packet: Packet, outcome: Outcome, early: bool, tracked: Tracked | None
    ) -> Packet | None:
        """What an outcome makes of the packet."""
        stack = self.stack
        mark = outcome.packet.mark
        on = packet.but(mark=mark) if isinstance(mark, int) else packet
        ttl = outcome.packet.ttl
        if ttl != packet.ttl:
            on = on.but(ttl=ttl if isinstance(ttl, int) else None)
            walk.lived.append((stack, outcome))
        tos = outcome.packet.tos
        if tos != packet.tos:
            on = on.but(tos=tos if isinstance(tos, int) else None)
        if not isinstance(mark, int):
            walk.unknowable(stack, hook, "mark", packet, why="the mark set by rules is unknown")
        self._say(walk, hook, on, outcome)
        name = outcome.verdict.name
        if name == "drop":
            self._dropped(walk, hook, on, outcome)
            return None
        if name != "accept":
            why = {
                "queue": f"rules hand it to a program (queue {outcome.verdict.detail}), which decides",
                "stolen": "rules take it out of the kernel's hands (fwd, synproxy or the like)",
            }.get(name, "the effect of the rules is unknown")
            walk.unknowable(stack, hook, str(outcome.verdict), on, *_reasons(outcome), why=why)
            if name == "stolen":
                walk.ends(stack, hook, str(outcome.verdict), "unknown", on, why=why)
                return None
        if on.mark != packet.mark:
            walk.marked.append((stack, hook, on.mark, outcome))
        for action in outcome.actions:
            if action.kind == "ct mark" and tracked is not None and action.number is not None:
                tracked.mark = action.number
            elif action.kind == "helper" and tracked is not None:
                tracked.helper = action.text.rpartition(" ")[2]
            elif action.kind == "clamp":
                walk.clamped.append((stack, action))
            elif action.kind == "zone" and action.number is None:
                reason = action.doubt.reason if action.doubt else "what it is set from"
                walk.unknowable(stack, hook, "ct zone", on, why=f"the conntrack zone set by rules is unknown: {reason}")
        if early:
            self._template(outcome)
        translation = outcome.translation
        self.translation = None if translation is None else Translation(translation, on, hook)
        return on

    def _template(self, outcome: Outcome) -> None:
        zone, direction, untracked = 0, None, None
        for action in outcome.actions:
            if action.kind == "notrack":
                untracked = f"rule: {self.text(action.rule)}"
            elif action.kind == "zone":
                zone = action.number or 0
                direction = (None, "original", "reply", None)[action.flags & 3]
        self.template = (zone, direction, untracked)

    def _say(self, walk: Walk, hook: str, packet: Packet, outcome: Outcome) -> None:
        """A step for each base chain in which a rule applied."""
        texts: dict[str, list[str]] = {}
        for step in outcome.steps:
            if step.rule is not None:
                may = f" (may: {step.doubt.reason})" if step.doubt else ""
                texts.setdefault(str(step.chain), []).append(f"rule: {self.text(step.rule)}{may}")
        if outcome.verdict.name == "drop":
            return
        lines = [text for found in texts.values() for text in found]
        bridging = self._bridging(walk, packet)
        if lines or bridging:
            subject = ", ".join(texts) or "no rule applies"
            walk.passes(self.stack, hook, subject, packet, *bridging, *lines)

    def _bridging(self, walk: Walk, packet: Packet) -> list[str]:
        """Why a frame that is only bridged passes these rules."""
        setting = self.stack.filtering_bridged(packet.family) if walk.bridged_by is not None else None
        return [f"{setting} = 1: bridged frames pass the rules of IP"] if setting else []

    def _dropped(self, walk: Walk, hook: str, packet: Packet, outcome: Outcome) -> None:
        last = outcome.drop
        applied = [f"rule: {self.text(step.rule)}" for step in outcome.steps if step.rule is not None][-4:]
        bridging = self._bridging(walk, packet)
        reject = outcome.action("reject")
        how = f"rejected ({reject.text})" if reject else "dropped"
        if last is None:
            walk.dropped(self.stack, hook, "rules", packet, "rule", [*bridging, *applied], f"it is {how} by a rule")
            return
        chain = last.chain
        if last.rule is None:
            evidence = [
                *bridging,
                f"chain: {chain}, hook {hook}, policy drop",
                *(applied or ["no rule of it applies to this packet"]),
            ]
            why = f"no rule of the chain {chain} accepts it, and the chain's policy is drop"
            cause = "policy"
        elif (queue := outcome.action("queue")) is not None and queue.rule is last.rule:
            number = queue.text.partition(" to ")[2]
            self._unread_queue(walk, hook, packet, chain, number, [*bridging, *applied])
            return
        else:
            evidence = [*bridging, *applied]
            why = (
                f"a rule of the chain {chain} drops it" if reject is None else f"a rule of the chain {chain} rejects it"
            )
            cause = "rule"
        for doubt in outcome.doubts:
            evidence.append(f"{doubt.kind}: {doubt.reason}")
        opened = opening(chain, hook, packet, walk)
        told = f": {walk.run_in(self.stack, opened)}" if opened else ""
        walk.dropped(
            self.stack,
            hook,
            str(chain),
            packet,
            cause,
            evidence,
            why,
            advice=f"if it should pass, a rule must accept it before{told}",
            step=last,
            chain=chain,
            hook=hook,
            seen=packet,
            doubts=outcome.doubts,
            bridge=walk.bridged_by,
        )

    def _unread_queue(
        self, walk: Walk, hook: str, packet: Packet, chain: Chain, queue: str, evidence: list[str]
    ) -> None:
        walk.dropped(
            self.stack,
            hook,
            f"queue {queue} of {chain}",
            packet,
            "queue",
            [*evidence, f"procfs: /proc/net/netfilter/nfnetlink_queue: no program reads queue {queue}"],
            f"a rule of the chain {chain} hands it to queue {queue}, which no program reads: it is dropped. What "
            "should decide (intrusion prevention, a filter) is not running",
            advice=f"start the program that reads queue {queue}; with `bypass` (iptables: --queue-bypass) packets pass "
            "the rule while it does not run",
        )


def _solicited(address: str) -> str:
    """The group in which who has an address is asked for (RFC 4291: solicited-node)."""
    return inet_ntop(10, packed("ff02::1:ff00:0")[:13] + packed(address)[13:])


def _reasons(outcome: Outcome) -> list[str]:
    return [f"{doubt.kind}: {doubt.reason}" for doubt in outcome.doubts]


def _distinct(outcomes: Iterable[Outcome], tracks: bool) -> list[Outcome]:
    """Those that differ in what matters for the rest of the way; ``tracks``: whether connections are tracked."""
    of_tracking = ("zone", "notrack") if tracks else ()
    found: dict[object, Outcome] = {}
    for outcome in outcomes:
        translation = outcome.translation
        key = (
            outcome.verdict.name,
            outcome.packet.mark,
            translation and (translation.kind, translation.addresses, translation.ports),
            tuple((action.kind, action.number) for action in outcome.actions if action.kind in of_tracking),
        )
        found.setdefault(key, outcome)
    return list(found.values())


def applied(outcome: Outcome) -> list[Step]:
    """The rules that applied."""
    return [step for step in outcome.steps if step.rule is not None]
