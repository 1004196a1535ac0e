"""Why a rule does not apply to a packet: not reached, passed over, or a condition of it that does not hold."""

from __future__ import annotations

from sys import byteorder

from ...netfilter.decode import expression as decoded
from ...netfilter.machine import BREAK, Machine, State
from ...netfilter.packet import UNKNOWN
from ...netfilter.programs import compiled
from ...uapi import nf_tables as nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...netfilter.decode import Chain, Expression, Rule
    from ...netfilter.evaluate import Outcome
    from ...netfilter.packet import Packet
    from .walk_rules import Rules

_META = {
    nft.NFT_META_MARK: "mark",
    nft.NFT_META_IIF: "incoming interface",
    nft.NFT_META_OIF: "outgoing interface",
    nft.NFT_META_IIFNAME: "incoming interface",
    nft.NFT_META_OIFNAME: "outgoing interface",
    nft.NFT_META_IIFGROUP: "incoming interface's group",
    nft.NFT_META_OIFGROUP: "outgoing interface's group",
    nft.NFT_META_IIFKIND: "incoming interface",
    nft.NFT_META_OIFKIND: "outgoing interface",
    nft.NFT_META_NFPROTO: "family",
    nft.NFT_META_PROTOCOL: "family",
    nft.NFT_META_L4PROTO: "protocol",
}
_CT = {
    nft.NFT_CT_STATE: "ct state",
    nft.NFT_CT_STATUS: "ct status",
    nft.NFT_CT_MARK: "ct mark",
    nft.NFT_CT_DIRECTION: "ct direction",
    nft.NFT_CT_ZONE: "ct zone",
}
_METERS = {
    "limit": "its limit does not hold at this rate",
    "quota": "its quota does not hold: it is used up, or not yet where it says over",
    "connlimit": "its ct count does not hold for the number of connections now",
}
_CONDITIONS = frozenset(("cmp", "range", "lookup", "match", *_METERS))
_DEPTH = 8


class Reason:
    """Why a rule does not apply."""

    __slots__ = ("decider", "held", "kind", "rule", "text")

    def __init__(self, kind: str, rule: Rule, text: str, decider: Rule | None = None, held: int = 0) -> None:
        self.kind = kind
        """hook, unreached, before, unknown, or what the condition is about: mark, source, outgoing interface …"""
        self.rule = rule
        """The rule that was hoped for."""
        self.text = text
        self.decider = decider
        """The rule that keeps it from that: itself, one that should lead to it, or one before it."""
        self.held = held
        """How many of its conditions hold before the one that does not."""


def why_not(rules: Rules, hook: str, packet: Packet, rule: Rule, outcome: Outcome | None) -> Reason | None:
    """Why a rule does not apply to a packet at a hook; None where it does. ``outcome``: how the packet passed it."""
    chain = rules.ruleset.chains.get((rule.family, rule.table, rule.chain))
    if chain is None:
        return None
    found = _own(rules, hook, packet, rule, rule)
    above = _reached(rules, hook, packet, rule, chain, 0)
    if above is not None and above.kind in ("hook", "unreached"):
        return above
    if found is not None or above is not None:
        return found or above
    return _before(rules, rule, outcome)


def holds(rules: Rules, hook: str, packet: Packet, rule: Rule) -> bool:
    """Whether all conditions of a rule itself hold, wherever it stands."""
    return _own(rules, hook, packet, rule, rule) is None


def _before(rules: Rules, rule: Rule, outcome: Outcome | None) -> Reason | None:
    """All its conditions hold: something had the last word before."""
    if outcome is None:
        return None
    for step in outcome.steps:
        if step.rule is rule:
            return None
    for step in outcome.steps:
        if step.rule is not None and step.verdict.name in ("accept", "return", "drop", "queue", "goto"):
            if step.chain.kind not in ("nat", None):
                continue
            text = f"the rule {rules.text(step.rule)} has the last word on it before"
            return Reason("before", rule, text, step.rule)
    return None


def _reached(rules: Rules, hook: str, packet: Packet, rule: Rule, chain: Chain, depth: int) -> Reason | None:
    """Whether the chain of a rule is called for the packet; None where it is."""
    if chain.hook is not None:
        if chain.hook == hook:
            return None
        text = f"its chain {chain} is called from the hook {chain.hook}, and this packet needs it at {hook}"
        return Reason("hook", rule, text)
    if depth > _DEPTH:
        return None
    reason: Reason | None = None
    callers = list(_callers(rules, chain))
    for caller in callers:
        above = rules.ruleset.chains.get((caller.family, caller.table, caller.chain))
        if above is None:
            continue
        found = _reached(rules, hook, packet, rule, above, depth + 1) or _own(rules, hook, packet, caller, rule)
        if found is None:
            return None
        reason = found if reason is None or reason.kind in ("hook", "unreached") else reason
    if not callers:
        return Reason("unreached", rule, f"nothing jumps to its chain {chain}: it is never reached")
    return reason


def _callers(rules: Rules, chain: Chain) -> Iterator[Rule]:
    """The rules that jump to a chain, by a verdict map as well."""
    ruleset = rules.ruleset
    name = chain.name.encode() + b"\0"
    for (family, table, _), found in ruleset.rules.items():
        if (family, table) != (chain.family, chain.table):
            continue
        for rule in found:
            if name in rule.data and b"immediate\0" in rule.data:
                for expression in rule.expressions:
                    verdict = expression.verdict(nft.NFTA_IMMEDIATE_DATA) if expression.name == "immediate" else None
                    if verdict is not None and verdict[1] == chain.name:
                        yield rule
                        break
            elif b"lookup\0" in rule.data:
                yield from _by_map(rules, rule, chain)


def _by_map(rules: Rules, rule: Rule, chain: Chain) -> Iterator[Rule]:
    for expression in rule.expressions:
        if expression.name != "lookup" or nft.NFTA_LOOKUP_DREG not in expression.layout:
            continue
        found = rules.ruleset.sets.get((rule.family, rule.table, expression.text(nft.NFTA_LOOKUP_SET)))
        elements = rules.ruleset.elements(found) if found is not None else None
        if elements is not None and any(
            element.verdict is not None and element.verdict[1] == chain.name for element in elements.all
        ):
            yield rule
            return


def _own(rules: Rules, hook: str, packet: Packet, rule: Rule, wanted: Rule) -> Reason | None:
    """The first condition of a rule that does not hold; None where all do."""
    machine = Machine(rules.ruleset, rules.facts, packet.family or "ip", hook)
    chain = rules.ruleset.chains[rule.family, rule.table, rule.chain]
    machine.begin(State(packet))
    machine.chain, machine.rule = chain, rule
    registers: dict[int, str] = {}
    leads = "" if rule is wanted else f"the rule that leads to it, {rules.text(rule)}: "
    held = 0
    for raw in _raws(rule):
        expression = decoded(raw)
        machine.made = []
        result = compiled(raw)(machine)
        what = _about(expression, registers)
        if machine.made:
            return Reason("unknown", wanted, f"{leads}{machine.made[0][2].reason}", rule, held)
        if result == BREAK:
            kind = what or expression.name
            if kind in _METERS:
                return Reason(kind, wanted, f"{leads}{_METERS[kind]}", rule, held)
            by_map = expression.name == "lookup"
            where = f"{' is not in its set or map' if by_map else ' is another than the rule wants'}"
            return Reason(kind, wanted, f"{leads}the {kind}{_value(kind, packet)}{where}", rule, held)
        if result:
            return None
        held += expression.name in _CONDITIONS
    return None


def _raws(rule: Rule) -> Iterator[bytes]:
    """The expressions of a rule as they lie, each as ``compiled`` takes it."""
    at, end = rule.place()
    while end - at >= 4:
        length = int.from_bytes(rule.data[at : at + 2], byteorder)
        if length < 4:
            return
        yield rule.data[at + 4 : at + length]
        at += length + 3 & ~3


def _about(expression: Expression, registers: dict[int, str]) -> str | None:
    """What a condition looks at; what is loaded is kept in ``registers``."""
    name = expression.name
    if name == "meta":
        register = expression.number(nft.NFTA_META_DREG)
        if register:
            registers[register] = _META.get(expression.number(nft.NFTA_META_KEY) or 0, "meta")
    elif name == "payload":
        register = expression.number(nft.NFTA_PAYLOAD_DREG)
        if register:
            registers[register] = _payload(expression)
    elif name == "ct":
        register = expression.number(1)
        if register:
            registers[register] = _CT.get(expression.number(2) or 0, "connection")
    elif name == "bitwise":
        source = expression.number(nft.NFTA_BITWISE_SREG) or 0
        registers[expression.number(nft.NFTA_BITWISE_DREG) or 0] = registers.get(source, "")
    elif name in ("fib", "socket", "rt", "numgen", "hash", "exthdr", "osf", "xfrm", "tunnel"):
        register = expression.number(1)
        if register:
            registers[register] = {"fib": "address's type or route"}.get(name, name)
    elif name == "cmp":
        return registers.get(expression.number(nft.NFTA_CMP_SREG) or 0)
    elif name == "range":
        return registers.get(expression.number(nft.NFTA_RANGE_SREG) or 0)
    elif name == "lookup":
        first = expression.number(nft.NFTA_LOOKUP_SREG) or 0
        return registers.get(first)
    elif name == "match":
        return f"iptables match {expression.text(nft.NFTA_MATCH_NAME)}"
    return None


def _payload(expression: Expression) -> str:
    base, offset = expression.number(nft.NFTA_PAYLOAD_BASE), expression.number(nft.NFTA_PAYLOAD_OFFSET)
    if base == 1:
        return {12: "source", 16: "destination", 8: "source", 24: "destination", 9: "protocol", 6: "protocol"}.get(
            offset or 0, "header"
        )
    if base == 2:
        return {0: "source port", 2: "destination port"}.get(offset or 0, "transport header")
    return "frame"


def _value(kind: str, packet: Packet) -> str:
    """What the packet has there."""
    value: object = UNKNOWN
    if kind.startswith("outgoing") and packet.outgoing is not None:
        value = packet.outgoing.name if "group" not in kind else f"{packet.outgoing.group}, of {packet.outgoing.name}"
    elif kind.startswith("incoming") and packet.incoming is not None:
        value = packet.incoming.name if "group" not in kind else f"{packet.incoming.group}, of {packet.incoming.name}"
    elif kind == "mark":
        value = hex(packet.mark) if isinstance(packet.mark, int) else UNKNOWN
    elif kind in ("source", "destination", "protocol"):
        value = getattr(packet, kind)
    elif kind in ("source port", "destination port"):
        value = getattr(packet, kind.replace(" ", "_"))
    return "" if value is UNKNOWN or value is None else f" ({value})"
