"""Chains and rules of nftables (linux/netfilter/nf_tables.h, linux/netfilter/nf_tables_compat.h)."""

from __future__ import annotations

from struct import pack

from ..engine.netlink.messages import NLM_F_DUMP, attributes, message
from ..engine.text import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..engine.netlink.messages import Layout, Run

NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_GETCHAIN = NFNL_SUBSYS_NFTABLES << 8 | 4
NFT_MSG_GETRULE = NFNL_SUBSYS_NFTABLES << 8 | 7

NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE = 1, 3, 4, 5, 7
NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY = 1, 2
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE, NFTA_RULE_EXPRESSIONS = 1, 2, 3, 4
NFTA_LIST_ELEM = 1
NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 2
NFTA_DATA_VALUE, NFTA_DATA_VERDICT = 1, 2
NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN = 1, 2
NFTA_TARGET_NAME, NFTA_MATCH_NAME = 1, 1

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""Families of tables as nft(8) has them (linux/netfilter.h: NFPROTO_*)."""
HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")

_BODY = 4
_TRACKING = frozenset(("ct", "nat", "masq", "redir", "connlimit", "flow_offload", "synproxy"))
"""Expressions that need connection tracking."""
_TRACKING_COMPAT = frozenset(
    (
        *("MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP", "CONNMARK", "CT", "CONNSECMARK", "SYNPROXY"),
        *("conntrack", "state", "connmark", "connlimit", "connbytes", "connlabel", "helper", "CLUSTERIP", "cluster"),
    )
)
"""iptables' matches and targets that do, in rules of iptables-nft."""


class Chain:
    """A chain. ``hook`` is None where it is no base chain."""

    __slots__ = ("family", "hook", "kind", "name", "policy", "priority", "table")

    def __init__(self, family: str, table: str, name: str) -> None:
        self.family = family
        self.table = table
        self.name = name
        self.kind: str | None = None
        """filter, nat or route."""
        self.hook: str | None = None
        self.priority = 0
        self.policy: str | None = None

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.name}"


class Expression:
    """One expression of a rule: its name, and the places of its attributes in ``data``."""

    __slots__ = ("data", "layout", "name")

    def __init__(self, name: str, data: bytes, layout: Layout) -> None:
        self.name = name
        self.data = data
        self.layout = layout

    def raw(self, kind: int) -> bytes | None:
        """An attribute."""
        if kind not in self.layout:
            return None
        at, length = self.layout[kind]
        return self.data[at : at + length]

    def number(self, kind: int) -> int | None:
        """An attribute that is a number."""
        raw = self.raw(kind)
        return int.from_bytes(raw, "big") if raw else None

    def text(self, kind: int) -> str:
        """An attribute that is a name."""
        return text((self.raw(kind) or b"").split(b"\0", 1)[0])

    def value(self, kind: int) -> bytes | None:
        """An attribute that holds data (NFTA_DATA_VALUE)."""
        found = self._inside(kind)
        return found.raw(NFTA_DATA_VALUE) if found else None

    def verdict(self, kind: int) -> tuple[int, str] | None:
        """An attribute that holds a verdict: its code, and the chain that it names, or ""."""
        found = self._inside(kind)
        inner = found._inside(NFTA_DATA_VERDICT) if found else None
        if inner is None:
            return None
        code = int.from_bytes(inner.raw(NFTA_VERDICT_CODE) or b"", "big", signed=True)
        return code, inner.text(NFTA_VERDICT_CHAIN)

    def _inside(self, kind: int) -> Expression | None:
        if kind not in self.layout:
            return None
        at, length = self.layout[kind]
        return Expression(self.name, self.data, attributes(self.data, at, at + length))


class Rule:
    """A rule: its expressions in order. ``handle`` is what `nft delete rule` takes."""

    __slots__ = ("chain", "expressions", "family", "handle", "table")

    def __init__(self, family: str, table: str, chain: str, handle: int, expressions: list[Expression]) -> None:
        self.family = family
        self.table = table
        self.chain = chain
        self.handle = handle
        self.expressions = expressions

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain} handle {self.handle}"


def chains_request() -> bytes:
    """A dump of the chains of all families."""
    return message(NFT_MSG_GETCHAIN, NLM_F_DUMP, pack("=BBH", 0, 0, 0))


def rules_request() -> bytes:
    """A dump of the rules of all families."""
    return message(NFT_MSG_GETRULE, NLM_F_DUMP, pack("=BBH", 0, 0, 0))


def chains(runs: Iterable[Run]) -> Iterator[Chain]:
    """The chains in the answer. Raises NetlinkError where it is malformed."""
    for family, found in _messages(runs):
        chain = Chain(family, found.text(NFTA_CHAIN_TABLE), found.text(NFTA_CHAIN_NAME))
        hook = found._inside(NFTA_CHAIN_HOOK)
        number = hook.number(NFTA_HOOK_HOOKNUM) if hook else None
        if hook and number is not None:
            chain.hook = "ingress" if family == "netdev" else HOOKS[number] if number < len(HOOKS) else f"hook {number}"
            chain.priority = int.from_bytes(hook.raw(NFTA_HOOK_PRIORITY) or b"", "big", signed=True)
            chain.kind = found.text(NFTA_CHAIN_TYPE)
            chain.policy = "drop" if found.number(NFTA_CHAIN_POLICY) == 0 else "accept"
        yield chain


def rules(runs: Iterable[Run]) -> Iterator[Rule]:
    """The rules in the answer, each chain's in order. Raises NetlinkError where it is malformed."""
    for family, found in _messages(runs):
        expressions = []
        if NFTA_RULE_EXPRESSIONS in found.layout:
            at, length = found.layout[NFTA_RULE_EXPRESSIONS]
            for start, end in _elements(found.data, at, at + length):
                inner = attributes(found.data, start, end)
                where, size = inner.get(NFTA_EXPR_DATA, (0, 0))
                single = Expression("", found.data, inner)
                expressions.append(
                    Expression(single.text(NFTA_EXPR_NAME), found.data, attributes(found.data, where, where + size))
                )
        handle = found.number(NFTA_RULE_HANDLE) or 0
        yield Rule(family, found.text(NFTA_RULE_TABLE), found.text(NFTA_RULE_CHAIN), handle, expressions)


def needs_tracking(chains: Iterable[Chain], rules: Iterable[Rule]) -> bool:
    """Whether one of these makes the kernel track connections."""
    return any(chain.kind == "nat" for chain in chains) or any(
        expression.name in _TRACKING
        or (expression.name in ("target", "match") and expression.text(NFTA_TARGET_NAME) in _TRACKING_COMPAT)
        for rule in rules
        for expression in rule.expressions
    )


def _messages(runs: Iterable[Run]) -> Iterator[tuple[str, Expression]]:
    """The family of each message, and its attributes."""
    for run in runs:
        for at in range(0, len(run.data), run.length):
            data = run.data[at : at + run.length]
            layout = attributes(data, 16 + _BODY, len(data), run.operation)
            yield FAMILIES.get(data[16]) or str(data[16]), Expression("", data, layout)


def _elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """The members of a list, all of one type: where the attributes of each begin and end."""
    while end - at >= 4:
        length = int.from_bytes(data[at : at + 2], "little" if _LITTLE else "big")
        if length < 4:
            return
        yield at + 4, at + length
        at += length + 3 & ~3


_LITTLE = pack("=H", 1) == b"\1\0"
