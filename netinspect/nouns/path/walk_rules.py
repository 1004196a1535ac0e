"""The rules of a namespace on a packet's way: hook by hook, in the kernel's order, with connection tracking between.

Before connection tracking (priority -200) come the chains that may turn it off or choose a zone, behind it all others.
"""

from __future__ import annotations

from _socket import inet_ntop

from ...engine.prefixes import packed
from ...errors import NetinspectError, NetlinkError
from ...netfilter import packet as nf
from ...netfilter.context import Context, Route
from ...netfilter.decode import needs_tracking
from ...netfilter.evaluate import run_hook
from ...netfilter.ruleset import Ruleset, place_of, read
from ...netfilter.text import exactly
from ...netfilter.text import rule_text as words
from ...uapi.nf_tables import NFTA_CT_DIRECTION
from .walk_packet import ICMP, ICMPV6, TCP
from .walk_steps import nft_name, pasted
from .walk_tracking import track

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...netfilter.decode import Chain, Rule
    from ...netfilter.evaluate import Outcome
    from ...netfilter.machine import Action, Step
    from .listing_segment import Crossing
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet, Tracked

CONNTRACK = -200
"""linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK"""
_SYN, _SYN_ACK = 0x02, 0x12
_ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}
_DONE = {"source": 1 << 7, "destination": 1 << 8}
_STATUS = {"SEEN_REPLY": 1 << 1, "ASSURED": 1 << 2, "CONFIRMED": 1 << 3, "snat": 1 << 4, "dnat": 1 << 5}
"""linux/netfilter/nf_conntrack_common.h: IPS_*"""
_FAMILIES = {"inet": "ip", "inet6": "ip6"}
_CANDIDATES = tuple(
    name + b"\0"
    for name in (b"ct", b"nat", b"masq", b"redir", b"connlimit", b"flow_offload", b"synproxy", b"target", b"match")
)


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


class Facts(Context):
    """What rules ask of a namespace beside the packet."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def address_type(self, address: str, device: nf.Interface | None) -> int | nf.Unknown:
        from ...engine.rtnetlink import ROUTE_TYPES

        stack = self._stack
        if stack.is_local(address) or address.startswith("127.") or address == "::1":
            owner = stack.owner(address)
            here = device is None or (owner is not None and owner.index == device.index)
            return ROUTE_TYPES.index("local" if here else "unicast")
        try:
            answer = stack.route(address)
        except NetlinkError:
            return nf.UNKNOWN
        kind = answer.type
        return ROUTE_TYPES.index(kind if kind in ("broadcast", "multicast", "anycast") else "unicast")

    def reverse_route(
        self, address: str, source: str | None, mark: int, tos: int, device: nf.Interface | None
    ) -> Route | nf.Unknown | None:
        from ...engine.rtnetlink import ROUTE_TYPES

        oif = self._stack.interfaces.get(device.index) if device is not None else None
        try:
            answer = self._stack.route(address, oif=oif, mark=mark, matched=True)
        except NetlinkError:
            return nf.UNKNOWN
        # Where an interface is named and no route leads out of it, IPv4 answers as if the address were on its link.
        if answer.route is None or (oif is not None and ":" not in address and answer.entry is None):
            return None
        found = self._stack.named(answer.route.interface)
        return Route(
            ROUTE_TYPES.index(answer.route.type),
            interface_of(self._stack, found),
            answer.route.gateway,
        )


def interface_of(stack: Stack, interface: Interface | None) -> nf.Interface | None:
    """An interface as rules see it."""
    if interface is None:
        return None
    bridge = stack.bridge_of(interface)
    return nf.Interface(
        interface.index,
        interface.name,
        interface.type_number,
        interface.group_number,
        interface.kind or "",
        bridge.name if bridge else None,
    )


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
        self.tracks = self._tracks()
        """Whether connections are tracked: only where a rule needs it."""
        self.template: tuple[int, str | None, str | None] = (0, None, None)
        """What the rules before connection tracking chose: zone, the direction it counts in, and the rule that turns
        tracking off."""
        self.translation: Translation | None = None
        """What the last hook wants of the flow's addresses."""

    def _tracks(self) -> bool:
        ruleset = self.ruleset
        if any("ip" in table for table in ruleset.unknown):
            return True
        if any(chain.kind == "nat" for chain in ruleset.chains.values()):
            return True
        likely = (
            rule for rules in ruleset.rules.values() for rule in rules if any(name in rule.data for name in _CANDIDATES)
        )
        return needs_tracking((), likely)

    def text(self, rule: Rule) -> str:
        """``ip nat postrouting handle 4: oifname "g1" masquerade``"""
        return f"{rule}: {words(self.ruleset, rule)}"

    def exact(self, rule: Rule) -> str:
        """The rule's words to be given to nft(8); empty where it would not make the same rule of them."""
        return exactly(self.ruleset, rule)

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
        """The chains behind connection tracking."""
        self.translation = None
        family = _FAMILIES[packet.family]
        chains = self.ruleset.base_chains(family, hook)
        if hook in ("prerouting", "output"):
            chains = [chain for chain in chains if place_of(chain) > CONNTRACK]
        else:
            self._say_unread(walk, hook, packet)
        return self._pass(walk, family, hook, packet, iif, oif, tracked, chains) if chains else packet

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
        name = "ip6tables" if packet.family == "inet6" else "iptables"
        setting = f"net.bridge.bridge-nf-call-{name}"
        if not stack.setting(setting):
            return on
        said = f"{setting} = 1: bridged frames pass the rules of IP"
        tracked = None
        walk.bridging = said
        try:
            on = self.early(walk, stack, "prerouting", on, part.bridge, None)
            if on is not None:
                tracked = track(walk, stack, on)
                on = self.late(walk, stack, "prerouting", on, part.bridge, None, tracked)
            if on is not None:
                on = self.late(walk, stack, "forward", on, part.bridge, part.bridge, tracked)
            if on is not None:
                on = self.late(walk, stack, "postrouting", on, part.bridge, part.bridge, tracked)
        finally:
            walk.bridging = None
        return on

    def _say_unread(self, walk: Walk, hook: str, packet: Packet) -> None:
        if self.unread is not None and (id(self), "") not in walk.told:
            walk.told.add((id(self), ""))
            walk.unknowable(
                self.stack, hook, "nftables", packet, self.unread, why=f"the rules could not be read: {self.unread}"
            )
        for table in self.ruleset.unknown:
            if (id(self), table) in walk.told or (packet.family == "inet6") != (" ip6 " in f" {table} "):
                continue
            walk.told.add((id(self), table))
            walk.unknowable(self.stack, hook, table, packet, why=f"the rules of {table} are not evaluated here")

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
        device: str | None = None,
    ) -> Packet | None:
        made = self.packet_of(packet, iif, oif, None if early else tracked)
        try:
            found = run_hook(self.ruleset, family, hook, made, self.facts, device=device, chains=chains)
        except NetlinkError as error:
            walk.unknowable(self.stack, hook, "nftables", packet, str(error), why=f"a set could not be asked: {error}")
            return packet
        outcome = walk.chosen(self.stack, hook, _distinct(found.outcomes))
        walk.asked.append((self.stack, hook, outcome))
        return self._taken(walk, hook, packet, outcome, early, tracked)

    def _taken(
        self, walk: Walk, hook: str, packet: Packet, outcome: Outcome, early: bool, tracked: Tracked | None
    ) -> Packet | None:
        """What an outcome makes of the packet."""
        stack = self.stack
        mark = outcome.packet.mark
        on = packet.but(mark=mark) if isinstance(mark, int) else packet
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
                walk.clamped.append((stack, action.text))
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
                direction = zone_direction(action.rule)
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
        said = [text for found in texts.values() for text in found]
        bridging = [walk.bridging] if walk.bridging else []
        if said or bridging:
            subject = ", ".join(texts) or "no rule applies"
            walk.passes(self.stack, hook, subject, packet, *bridging, *said)

    def _dropped(self, walk: Walk, hook: str, packet: Packet, outcome: Outcome) -> None:
        last = next((step for step in reversed(outcome.steps) if step.verdict.name == "drop"), None)
        applied = [f"rule: {self.text(step.rule)}" for step in outcome.steps if step.rule is not None][-4:]
        bridging = [walk.bridging] if walk.bridging else []
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
        else:
            evidence = [*bridging, *applied]
            why = (
                f"a rule of the chain {chain} drops it" if reject is None else f"a rule of the chain {chain} rejects it"
            )
            cause = "rule"
        for doubt in outcome.doubts:
            evidence.append(f"{doubt.kind}: {doubt.reason}")
        opened = opening(chain, hook, packet, walk)
        walk.dropped(
            self.stack,
            hook,
            str(chain),
            packet,
            cause,
            evidence,
            why,
            advice=f"if it should pass, a rule must accept it before{opened and f': {opened}'}",
            step=last,
            chain=chain,
            hook=hook,
            seen=packet,
            doubts=outcome.doubts,
        )

    # A packet as rules see it.

    def packet_of(
        self, packet: Packet, iif: Interface | None, oif: Interface | None, tracked: Tracked | None
    ) -> nf.Packet:
        """The packet with what is known of it."""
        fields: dict[str, Any] = {}
        if packet.protocol in _ECHO:
            fields["icmp_type"] = packet.icmp if packet.icmp is not None else _ECHO[packet.protocol][packet.reply]
            fields["icmp_code"] = 0
            fields["source_port"] = fields["destination_port"] = None
        else:
            fields["source_port"] = packet.source_port or nf.UNKNOWN
            fields["destination_port"] = packet.destination_port or nf.UNKNOWN
        if packet.protocol == TCP:
            fields["tcp_flags"] = _SYN_ACK if packet.reply else _SYN
            fields["tcp_options"] = b"\x02\x04\x05\xb4"
        return nf.Packet(
            source=packet.source,
            destination=packet.destination,
            protocol=packet.protocol,
            ethertype=nf.ETH_P_IPV6 if packet.family == "inet6" else nf.ETH_P_IP,
            length=packet.size,
            tos=0,
            ttl=64,
            fragment=0x4000,
            mark=packet.mark,
            type=nf.PACKET_HOST,
            incoming=interface_of(self.stack, iif),
            outgoing=interface_of(self.stack, oif),
            ipsec=False,
            tracking=self._tracking(tracked),
            **fields,
        )

    @staticmethod
    def _tracking(tracked: Tracked | None) -> nf.Tracking | None:
        if tracked is None:
            return None
        if tracked.state == "untracked":
            return nf.UNTRACKED
        if tracked.state == "invalid":
            return nf.Tracking("invalid", nf.UNKNOWN, 0, 0, 0, None, None, None, 0)
        status = sum(_STATUS.get(bit, 0) for bit in tracked.status)
        status |= sum(_DONE[what] for what in tracked.nat_done)
        if tracked.direction == "reply" or tracked.state == "established":
            status |= _DONE["source"] | _DONE["destination"] | _STATUS["SEEN_REPLY"] | _STATUS["CONFIRMED"]
        original, reply = tracked.original, tracked.translated.answer()
        return nf.Tracking(
            tracked.state,
            tracked.direction,
            status,
            tracked.mark,
            tracked.zone,
            nf.Ends(original.source, original.destination, original.protocol, *original.ports),
            nf.Ends(reply.source, reply.destination, reply.protocol, *reply.ports),
            tracked.helper,
            0,
        )


def zone_direction(rule: Rule) -> str | None:
    """In which direction alone a rule's zone counts."""
    for expression in rule.expressions:
        if expression.name == "ct":
            number = expression.number(NFTA_CT_DIRECTION)
            if number is not None:
                return "reply" if number else "original"
    return None


def _reasons(outcome: Outcome) -> list[str]:
    return [f"{doubt.kind}: {doubt.reason}" for doubt in outcome.doubts]


def _distinct(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those that differ in what matters for the rest of the way."""
    found: dict[object, Outcome] = {}
    for outcome in outcomes:
        translation = outcome.translation
        key = (
            outcome.verdict.name,
            outcome.packet.mark,
            translation and (translation.kind, translation.addresses, translation.ports),
            tuple((action.kind, action.number) for action in outcome.actions if action.kind in ("zone", "notrack")),
        )
        found.setdefault(key, outcome)
    return list(found.values())


def uses_iptables(ruleset: Ruleset, chain: Chain) -> bool:
    """Whether a chain is iptables-nft's: it must not be changed behind its back."""
    names = {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}
    if chain.family not in ("ip", "ip6") or chain.table not in ("filter", "nat", "mangle", "raw", "security"):
        return False
    return any(
        other.hook is not None and other.name in names
        for other in ruleset.chains.values()
        if (other.family, other.table) == (chain.family, chain.table)
    )


def opening(chain: Chain, hook: str, packet: Packet, walk: Walk) -> str:
    """The command that lets exactly this packet pass a chain; of what is known of it."""
    rules = walk.rules_of(walk.last_stack)
    protocol = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp"}.get(packet.protocol)
    six = packet.family == "inet6"
    if uses_iptables(rules.ruleset, chain):
        command = ["ip6tables" if six else "iptables"]
        if chain.table != "filter":
            command += ["-t", chain.table]
        command += ["-I", chain.name, "-s", packet.source, "-d", packet.destination]
        if protocol:
            command += ["-p", protocol]
            if packet.reply and packet.source_port:
                command += ["--sport", str(packet.source_port)]
            elif packet.destination_port and not packet.reply:
                command += ["--dport", str(packet.destination_port)]
        return pasted([*command, "-j", "ACCEPT"])
    version = "ip6" if six else "ip"
    words = [f"{version} saddr {packet.source} {version} daddr {packet.destination}"]
    if protocol and packet.reply and packet.source_port:
        words.append(f"{protocol} sport {packet.source_port}")
    elif protocol and packet.destination_port and not packet.reply:
        words.append(f"{protocol} dport {packet.destination_port}")
    where = f"{chain.family} {nft_name(chain.table)} {nft_name(chain.name)}"
    return pasted(["nft", f"insert rule {where} {' '.join(words)} accept"])


def applied(outcome: Outcome) -> list[Step]:
    """The rules that applied."""
    return [step for step in outcome.steps if step.rule is not None]
