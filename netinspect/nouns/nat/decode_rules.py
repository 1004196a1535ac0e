"""What the rules of nftables translate, and which packets they apply to, as far as it can be read from them.

linux/netfilter/nf_tables.h; iptables-nft's targets keep the structs of linux/netfilter/nf_nat.h. A rule is a list of
expressions that load something into a register, compare it, and act.
"""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from ...uapi.nf_tables import (
    NFTA_BITWISE_DREG,
    NFTA_BITWISE_MASK,
    NFTA_BITWISE_SREG,
    NFTA_CMP_DATA,
    NFTA_CMP_OP,
    NFTA_CMP_SREG,
    NFTA_IMMEDIATE_DATA,
    NFTA_IMMEDIATE_DREG,
    NFTA_MASQ_REG_PROTO_MAX,
    NFTA_MASQ_REG_PROTO_MIN,
    NFTA_META_DREG,
    NFTA_META_KEY,
    NFTA_NAT_REG_ADDR_MAX,
    NFTA_NAT_REG_ADDR_MIN,
    NFTA_NAT_REG_PROTO_MAX,
    NFTA_NAT_REG_PROTO_MIN,
    NFTA_NAT_TYPE,
    NFTA_PAYLOAD_BASE,
    NFTA_PAYLOAD_DREG,
    NFTA_PAYLOAD_LEN,
    NFTA_PAYLOAD_OFFSET,
    NFTA_REDIR_REG_PROTO_MAX,
    NFTA_REDIR_REG_PROTO_MIN,
    NFTA_TARGET_INFO,
    NFTA_TARGET_NAME,
    NFTA_TARGET_REV,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...netfilter.decode import Chain, Expression, Rule

_META_IIF, _META_OIF, _META_IIFNAME, _META_OIFNAME, _META_NFPROTO, _META_L4PROTO = 4, 5, 6, 7, 15, 16
_META_NAMES = {
    _META_IIF: "in_index",
    _META_OIF: "out_index",
    _META_IIFNAME: "in",
    _META_OIFNAME: "out",
    _META_NFPROTO: "family",
    _META_L4PROTO: "protocol",
}
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_JUMP, _GOTO = -3, -4
_EQUAL = 0
_TARGETS = {"MASQUERADE": "masquerade", "SNAT": "snat", "DNAT": "dnat", "REDIRECT": "redirect"}
_HARMLESS = frozenset(
    ("counter", "immediate", "meta", "payload", "cmp", "bitwise", "nat", "masq", "redir", "log", "target")
)
_RANGE_MAP_IPS, _RANGE_PROTO_SPECIFIED = 1, 2
"""linux/netfilter/nf_nat.h: NF_NAT_RANGE_*"""


class Match:
    """One condition of a rule: ``what`` is in, out, source, destination, protocol, destination_port …"""

    __slots__ = ("bits", "equal", "value", "what")

    def __init__(self, what: str, value: bytes, bits: int, equal: bool) -> None:
        self.what = what
        self.value = value
        self.bits = bits
        """How many leading bits of an address count."""
        self.equal = equal


class NatRule:
    """A rule that translates, or that hinders it (``notrack``)."""

    __slots__ = ("addresses", "hooks", "kind", "matches", "ports", "rule", "uncertain")

    def __init__(self, rule: Rule, kind: str, hooks: frozenset[str]) -> None:
        self.rule = rule
        self.kind = kind
        """masquerade, snat, dnat, redirect, notrack or clamp (of TCP's maximum segment size)."""
        self.hooks = hooks
        """From which hooks the rule is reached."""
        self.matches: list[Match] = []
        self.uncertain = False
        """Whether it has conditions that are not understood here: sets, marks, times …"""
        self.addresses: tuple[bytes, bytes] | None = None
        """The first and the last address to translate to."""
        self.ports: tuple[int, int] | None = None
        """The first and the last port to translate to."""

    def family(self) -> int | None:
        """4 or 6 where it is for one of them only."""
        if self.rule.family in ("ip", "ip6"):
            return 4 if self.rule.family == "ip" else 6
        for match in self.matches:
            if match.what == "family" and match.equal:
                return {b"\x02": 4, b"\x0a": 6}.get(match.value)
        return None

    def protocols(self) -> tuple[str, ...] | None:
        """The transport protocols that it is for; None for all."""
        names = {6: "tcp", 17: "udp"}
        found = [
            names.get(match.value[0], str(match.value[0]))
            for match in self.matches
            if match.what == "protocol" and match.equal and len(match.value) == 1
        ]
        return tuple(found) or None

    def interfaces(self, direction: str) -> list[Match]:
        """What it says of the interface; ``direction`` is in or out."""
        return [match for match in self.matches if match.what in (direction, f"{direction}_index")]

    def __str__(self) -> str:
        return f"{self.kind} rule {self.rule}"


def nat_rules(chains: Iterable[Chain], rules: Iterable[Rule]) -> Iterator[NatRule]:
    """The rules that translate, turn tracking off, or clamp the segment size, with the hooks that lead to them."""
    rules = list(rules)
    hooks = _reached(list(chains), rules)
    for rule in rules:
        kind = kind_of(rule)
        if kind is not None:
            found = NatRule(rule, kind, hooks.get((rule.family, rule.table, rule.chain), frozenset()))
            _read(found)
            yield found


def _reached(chains: Sequence[Chain], rules: Sequence[Rule]) -> dict[tuple[str, str, str], frozenset[str]]:
    """From which hooks each chain is reached, by jumps as well."""
    reached = {(chain.family, chain.table, chain.name): {chain.hook} if chain.hook else set() for chain in chains}
    jumps = []
    for rule in rules:
        for expression in rule.expressions:
            verdict = expression.verdict(NFTA_IMMEDIATE_DATA) if expression.name == "immediate" else None
            if verdict is not None and verdict[0] in (_JUMP, _GOTO):
                jumps.append(((rule.family, rule.table, rule.chain), (rule.family, rule.table, verdict[1])))
    changed = True
    while changed:
        changed = False
        for origin, target in jumps:
            before = len(reached.setdefault(target, set()))
            reached[target] |= reached.get(origin, set())
            changed |= len(reached[target]) > before
    return {key: frozenset(hooks) for key, hooks in reached.items()}


def kind_of(rule: Rule) -> str | None:
    """What a rule does to flows: masquerade, snat, dnat, redirect, notrack or clamp; None: nothing of these."""
    for expression in rule.expressions:
        if expression.name == "masq":
            return "masquerade"
        if expression.name == "redir":
            return "redirect"
        if expression.name == "nat":
            return "dnat" if expression.number(NFTA_NAT_TYPE) else "snat"
        if expression.name == "notrack":
            return "notrack"
        if expression.name == "exthdr" and rule.expressions[-1] is expression:
            return "clamp"  # `tcp option maxseg size set` ends its rule
        if expression.name == "target":
            name = expression.text(NFTA_TARGET_NAME)
            if name in _TARGETS:
                return _TARGETS[name]
            if name == "TCPMSS":
                return "clamp"
            info = expression.raw(NFTA_TARGET_INFO)
            # struct xt_ct_target_info: flags, XT_CT_NOTRACK being the first.
            if name == "NOTRACK" or (name == "CT" and info and int.from_bytes(info[:2], byteorder) & 1):
                return "notrack"
    return None


def _read(found: NatRule) -> None:
    """Follows the expressions of a rule."""
    registers: dict[int, tuple[str, bytes]] = {}
    masks: dict[int, int] = {}
    for expression in found.rule.expressions:
        name = expression.name
        if name == "meta" and expression.number(NFTA_META_DREG) is not None:
            key = expression.number(NFTA_META_KEY) or 0
            registers[expression.number(NFTA_META_DREG) or 0] = (_META_NAMES.get(key, f"meta {key}"), b"")
        elif name == "payload":
            registers[expression.number(NFTA_PAYLOAD_DREG) or 0] = (_payload(expression, found.rule.family), b"")
        elif name == "bitwise":
            mask = expression.value(NFTA_BITWISE_MASK) or b""
            register = expression.number(NFTA_BITWISE_DREG) or 0
            registers[register] = registers.get(expression.number(NFTA_BITWISE_SREG) or 0, ("unknown", b""))
            masks[register] = int.from_bytes(mask, "big").bit_count()
        elif name == "immediate":
            registers[expression.number(NFTA_IMMEDIATE_DREG) or 0] = (
                "immediate",
                expression.value(NFTA_IMMEDIATE_DATA) or b"",
            )
        elif name == "cmp":
            _compare(found, expression, registers, masks)
        elif name in ("nat", "masq", "redir"):
            _translation(found, expression, registers)
        elif name == "target":
            _target(found, expression)
        if name not in _HARMLESS:
            found.uncertain = True


def _payload(expression: Expression, family: str) -> str:
    base = expression.number(NFTA_PAYLOAD_BASE)
    offset, length = expression.number(NFTA_PAYLOAD_OFFSET), expression.number(NFTA_PAYLOAD_LEN) or 0
    if base == _NETWORK_HEADER:
        # An IPv4 header has its addresses at 12 and 16, one of IPv6 at 8 and 24; a shorter prefix takes fewer bytes.
        if offset in (12, 16) and length <= 4:
            return "source" if offset == 12 else "destination"
        if offset in (8, 24):
            return "source" if offset == 8 else "destination"
        if (family, offset, length) == ("ip", 9, 1):
            return "protocol"
    if base == _TRANSPORT_HEADER and length == 2 and offset in (0, 2):
        return "source_port" if offset == 0 else "destination_port"
    return "unknown"


def _compare(
    found: NatRule, expression: Expression, registers: dict[int, tuple[str, bytes]], masks: dict[int, int]
) -> None:
    register = expression.number(NFTA_CMP_SREG) or 0
    what = registers.get(register, ("unknown", b""))[0]
    value = expression.value(NFTA_CMP_DATA) or b""
    operator = expression.number(NFTA_CMP_OP) or 0
    if what == "unknown" or what.startswith("meta ") or operator > 1:
        found.uncertain = True
        return
    found.matches.append(Match(what, value, masks.get(register, 8 * len(value)), operator == _EQUAL))


def _translation(found: NatRule, expression: Expression, registers: dict[int, tuple[str, bytes]]) -> None:
    def loaded(kind: int) -> bytes | None:
        register = expression.number(kind)
        return registers.get(register, ("", b""))[1] or None if register is not None else None

    first, last = {
        "nat": (NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_REG_PROTO_MAX),
        "masq": (NFTA_MASQ_REG_PROTO_MIN, NFTA_MASQ_REG_PROTO_MAX),
        "redir": (NFTA_REDIR_REG_PROTO_MIN, NFTA_REDIR_REG_PROTO_MAX),
    }[expression.name]
    if expression.name == "nat":
        low = loaded(NFTA_NAT_REG_ADDR_MIN)
        if low:
            found.addresses = (low, loaded(NFTA_NAT_REG_ADDR_MAX) or low)
    start = loaded(first)
    if start:
        end = loaded(last) or start
        found.ports = (int.from_bytes(start[:2], "big"), int.from_bytes(end[:2], "big"))


def _target(found: NatRule, expression: Expression) -> None:
    """The range of an iptables target: struct nf_nat_ipv4_multi_range_compat, or struct nf_nat_range."""
    info = expression.raw(NFTA_TARGET_INFO) or b""
    if found.kind not in _TARGETS.values():
        return
    if found.rule.family == "ip" and not expression.number(NFTA_TARGET_REV) and len(info) >= 20:
        flags = unpack_from("=I", info, 4)[0]
        low, high, first, last = info[8:12], info[12:16], info[16:18], info[18:20]
    elif len(info) >= 40:
        flags = unpack_from("=I", info)[0]
        size = 4 if found.rule.family == "ip" else 16
        low, high, first, last = info[4 : 4 + size], info[20 : 20 + size], info[36:38], info[38:40]
    else:
        return
    if flags & _RANGE_MAP_IPS:
        found.addresses = (low, high)
    if flags & _RANGE_PROTO_SPECIFIED:
        found.ports = (int.from_bytes(first, "big"), int.from_bytes(last, "big"))
