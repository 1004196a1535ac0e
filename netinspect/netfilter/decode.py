"""Tables, chains, rules, sets, objects and flowtables of nftables, as the kernel dumps them.

linux/netfilter/nf_tables.h. A rule keeps the message that it came in: its expressions are decoded when they are asked
for, since of thousands of rules few are looked at.
"""

from __future__ import annotations

from struct import Struct, pack

from ..engine.netlink.messages import attributes, each_attribute, malformed, message
from ..engine.text import text
from ..uapi import nf_tables as nft
from ..uapi.netlink import NLM_F_DUMP
from ..uapi.nf_tables import NFNL_SUBSYS_NFTABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Annotated, NamedTuple

    from ..engine.netlink.messages import Layout, Run
else:
    from ..startup import Annotated, NamedTuple

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
"""Families of tables as nft(8) has them (linux/netfilter.h: NFPROTO_*)."""
FAMILY_NUMBERS = {name: number for number, name in FAMILIES.items()}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
"""NF_INET_* and NF_BR_*; those of arp and netdev are others."""
_HOOKS_OF = {"netdev": ("ingress", "egress"), "arp": ("input", "output", "forward")}

_LARGEST = 64
_BODY = 4
"""struct nfgenmsg: family, version, and the generation's low 16 bits in network order."""
_START = 16 + _BODY
_HEADER = Struct("=HH")
_TRACKING = frozenset(("ct", "nat", "masq", "redir", "connlimit", "flow_offload", "synproxy"))
"""Expressions that need connection tracking."""
_TRACKING_COMPAT = frozenset(
    (
        *("MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP", "CONNMARK", "CT", "CONNSECMARK", "SYNPROXY"),
        *("conntrack", "state", "connmark", "connlimit", "connbytes", "connlabel", "helper", "CLUSTERIP", "cluster"),
    )
)
"""iptables' matches and targets that do, in rules of iptables-nft."""
_TRACKING_BYTES = tuple(name.encode() + b"\0" for name in (*sorted(_TRACKING), "target", "match"))

Key = tuple[str, str, str]
"""Family, table, and the name of a chain, set, object or flowtable in it."""


class Expression:
    """Attributes that are looked at by their types: one expression of a rule, by its name, or any other nest."""

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
        """An attribute that is a number in network order."""
        raw = self.raw(kind)
        return int.from_bytes(raw, "big") if raw else None

    def size(self, kind: int) -> int:
        """An attribute that is a number of bytes in registers: never more than they have (NFT_DATA_VALUE_MAXLEN)."""
        return min(self.number(kind) or 0, _LARGEST)

    def text(self, kind: int) -> str:
        """An attribute that is a name; "" where it is not there."""
        return text((self.raw(kind) or b"").split(b"\0", 1)[0])

    def value(self, kind: int) -> bytes | None:
        """An attribute that holds data (NFTA_DATA_VALUE)."""
        found = self.nested(kind)
        return found.raw(nft.NFTA_DATA_VALUE) if found else None

    def sized(self, kind: int, size: int) -> bytes:
        """An attribute that holds data of this size; zeros where it is not there. Raises NetlinkError."""
        value = self.value(kind) or bytes(size)
        if len(value) != size:
            raise malformed(f"data of {len(value)} bytes where {size} were expected", "reading nftables")
        return value

    def verdict(self, kind: int) -> tuple[int, str] | None:
        """An attribute that holds a verdict: its code, and the chain that it names, or ""."""
        found = self.nested(kind)
        inner = found.nested(nft.NFTA_DATA_VERDICT) if found else None
        if inner is None:
            return None
        code = int.from_bytes(inner.raw(nft.NFTA_VERDICT_CODE) or b"", "big", signed=True)
        return code, inner.text(nft.NFTA_VERDICT_CHAIN)

    def nested(self, kind: int) -> Expression | None:
        """The attributes inside an attribute."""
        if kind not in self.layout:
            return None
        at, length = self.layout[kind]
        return Expression(self.name, self.data, attributes(self.data, at, at + length))

    def members(self, kind: int) -> Iterator[Expression]:
        """The members of an attribute that is a list (NFTA_LIST_ELEM), each with its attributes."""
        if kind in self.layout:
            at, length = self.layout[kind]
            for _, start, size in each_attribute(self.data, at, at + length, "reading nftables"):
                yield Expression(self.name, self.data, attributes(self.data, start, start + size))

    def expressions(self, kind: int) -> list[Expression]:
        """An attribute that is a list of expressions."""
        return [_expression(member) for member in self.members(kind)]


def _expression(found: Expression) -> Expression:
    """An expression, of the attributes NFTA_EXPR_*."""
    at, size = found.layout.get(nft.NFTA_EXPR_DATA, (0, 0))
    return Expression(found.text(nft.NFTA_EXPR_NAME), found.data, attributes(found.data, at, at + size))


def expression(data: bytes) -> Expression:
    """An expression, of the bytes inside its NFTA_LIST_ELEM. Raises NetlinkError."""
    return _expression(Expression("", data, attributes(data, 0, len(data))))


class Table(NamedTuple):
    """A table."""

    family: Annotated[str, "ip, ip6, inet, arp, bridge or netdev"]
    name: Annotated[str, "its name"]
    handle: Annotated[int, "its number: of two tables that of the later one is higher"]
    dormant: Annotated[bool, "its chains are not registered at their hooks"]
    owned: Annotated[bool, "it ends with the process that made it"]


class Chain(NamedTuple):
    """A chain."""

    family: Annotated[str, "its table's family"]
    table: Annotated[str, "its table"]
    name: Annotated[str, "its name"]
    handle: Annotated[int, "its number in the table"] = 0
    kind: Annotated[str | None, "filter, nat or route; None if it is not a base chain"] = None
    hook: Annotated[str | None, "where it is called from; None if it is not a base chain"] = None
    priority: Annotated[int, "chains of one hook are called in ascending order"] = 0
    policy: Annotated[str | None, "accept or drop: the verdict at its end"] = None
    devices: Annotated[tuple[str, ...], "interfaces whose ingress or egress it is; NAME* is a prefix"] = ()

    @property
    def key(self) -> Key:
        """What it is found by."""
        return self.family, self.table, self.name

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.name}"


class Rule:
    """A rule: its expressions in order. ``handle`` is what `nft delete rule` takes."""

    __slots__ = ("_expressions", "_found", "chain", "data", "family", "table")

    def __init__(self, family: str, table: str, chain: str, data: bytes) -> None:
        self.family = family
        self.table = table
        self.chain = chain
        self.data = data
        """The message."""
        self._found: Expression | None = None
        self._expressions: list[Expression] | None = None

    @property
    def found(self) -> Expression:
        """Its attributes, NFTA_RULE_*. Raises NetlinkError where they make no sense."""
        if self._found is None:
            self._found = Expression("", self.data, attributes(self.data, _START, len(self.data)))
        return self._found

    @property
    def handle(self) -> int:
        """Its number in the table."""
        return self.found.number(nft.NFTA_RULE_HANDLE) or 0

    @property
    def expressions(self) -> list[Expression]:
        """Its expressions. Raises NetlinkError where they make no sense."""
        if self._expressions is None:
            self._expressions = self.found.expressions(nft.NFTA_RULE_EXPRESSIONS)
        return self._expressions

    @property
    def comment(self) -> str | None:
        """What nft(8) keeps as its comment: type 0 of its user data (libnftnl/udata.h: NFTNL_UDATA_RULE_COMMENT)."""
        return comment(self.found.raw(nft.NFTA_RULE_USERDATA))

    def place(self) -> tuple[int, int]:
        """Where the list of its expressions begins and ends in ``data``."""
        data, at, end = self.data, _START, len(self.data)
        while end - at >= 4:
            length, kind = _HEADER.unpack_from(data, at)
            if length < 4:
                break
            if kind & 0x3FFF == nft.NFTA_RULE_EXPRESSIONS:
                return at + 4, min(at + length, end)
            at += length + 3 & ~3
        return end, end

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain} handle {self.handle}"


class Set(NamedTuple):
    """A set or map; its elements are read when they are needed."""

    family: Annotated[str, "its table's family"]
    table: Annotated[str, "its table"]
    name: Annotated[str, "its name; __set0 and the like are those within a rule"]
    flags: Annotated[int, "NFT_SET_*"]
    key_type: Annotated[int, "nft(8)'s number of the type of its keys; six bits for each part of a concatenation"]
    key_length: Annotated[int, "bytes of a key"]
    data_type: Annotated[int, "nft(8)'s number of the type that a map maps to; 0xffffff00 is a verdict"]
    data_length: Annotated[int, "bytes of what a map maps to"]
    fields: Annotated[tuple[int, ...], "bytes of each part of a concatenation with intervals; empty for others"]
    size: Annotated[int | None, "maximum number of elements; None if unlimited"]
    timeout: Annotated[int | None, "milliseconds that an element lives"]
    number: Annotated[int | None, "number of elements, if the kernel reports it (Linux 6.16)"]
    expressions: Annotated[bool, "its elements have counters, limits or the like"]
    object_type: Annotated[int | None, "NFT_OBJECT_* that a map maps to"]
    raw: Annotated[tuple[bytes, bytes], "table and name as the kernel has them, for asking about its elements"]

    @property
    def key(self) -> Key:
        """What it is found by."""
        return self.family, self.table, self.name

    @property
    def anonymous(self) -> bool:
        """Whether it is written within a rule."""
        return bool(self.flags & nft.NFT_SET_ANONYMOUS)


class Element(NamedTuple):
    """An element of a set or map."""

    key: Annotated[bytes, "its key, or where an interval begins; empty for the one that stands for all others"]
    end: Annotated[bytes | None, "the last key of an interval of a concatenation"]
    flags: Annotated[int, "NFT_SET_ELEM_*"]
    data: Annotated[bytes | None, "what a map maps it to"]
    verdict: Annotated[tuple[int, str] | None, "the verdict that a map maps it to, with its chain"]
    object: Annotated[str, "the name of the object that a map maps it to"]
    expressions: Annotated[tuple[str, ...], "names of the expressions that are evaluated for it: counter, limit …"]


class Object(NamedTuple):
    """A named object: counter, quota, limit, ct helper …"""

    family: Annotated[str, "its table's family"]
    table: Annotated[str, "its table"]
    name: Annotated[str, "its name"]
    kind: Annotated[int, "NFT_OBJECT_*"]
    data: Annotated[Expression | None, "its attributes"]


class Flowtable(NamedTuple):
    """A flowtable: its flows pass by the rules."""

    family: Annotated[str, "its table's family"]
    table: Annotated[str, "its table"]
    name: Annotated[str, "its name"]
    priority: Annotated[int, "its priority at ingress"]
    devices: Annotated[tuple[str, ...], "interfaces that it is for"]


def fields(found: Set, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The parts of two keys of a concatenation: each begins at a multiple of four bytes."""
    at = 0
    for length in found.fields or (found.key_length,):
        yield start[at : at + length], end[at : at + length]
        at += length + 3 & ~3


def comment(userdata: bytes | None, kind: int = 0) -> str | None:
    """The text of one type in nft(8)'s user data: type and length, a byte each, then as many bytes."""
    at = 0
    while userdata and at + 2 <= len(userdata):
        length = userdata[at + 1]
        if userdata[at] == kind:
            return text(userdata[at + 2 : at + 2 + length].split(b"\0", 1)[0])
        at += 2 + length
    return None


def dump_request(kind: int, payload: bytes = b"") -> bytes:
    """A dump of all families: ``kind`` is NFT_MSG_GET*."""
    return message(NFNL_SUBSYS_NFTABLES << 8 | kind, NLM_F_DUMP, pack("=BBH", 0, 0, 0) + payload)


def tables(messages: Iterable[bytes]) -> Iterator[Table]:
    """The tables in the answer. Raises NetlinkError where it is malformed."""
    for family, found in _found(messages):
        flags = found.number(nft.NFTA_TABLE_FLAGS) or 0
        yield Table(
            family,
            found.text(nft.NFTA_TABLE_NAME),
            found.number(nft.NFTA_TABLE_HANDLE) or 0,
            bool(flags & nft.NFT_TABLE_F_DORMANT),
            bool(flags & nft.NFT_TABLE_F_OWNER),
        )


def chains(messages: Iterable[bytes]) -> Iterator[Chain]:
    """The chains in these messages. Raises NetlinkError where one is malformed."""
    for family, found in _found(messages):
        table, name = found.text(nft.NFTA_CHAIN_TABLE), found.text(nft.NFTA_CHAIN_NAME)
        handle = found.number(nft.NFTA_CHAIN_HANDLE) or 0
        hook = found.nested(nft.NFTA_CHAIN_HOOK)
        number = hook.number(nft.NFTA_HOOK_HOOKNUM) if hook else None
        if hook is None or number is None:
            yield Chain(family, table, name, handle)
            continue
        hooks = _HOOKS_OF.get(family, HOOKS)
        yield Chain(
            family,
            table,
            name,
            handle,
            found.text(nft.NFTA_CHAIN_TYPE),
            hooks[number] if number < len(hooks) else f"hook {number}",
            int.from_bytes(hook.raw(nft.NFTA_HOOK_PRIORITY) or b"", "big", signed=True),
            "drop" if found.number(nft.NFTA_CHAIN_POLICY) == 0 else "accept",
            _devices(hook, nft.NFTA_HOOK_DEVS, nft.NFTA_HOOK_DEV),
        )


def _devices(hook: Expression, many: int, single: int | None = None) -> tuple[str, ...]:
    """The interfaces of a hook."""
    found = []
    if many in hook.layout:
        at, length = hook.layout[many]
        for kind, start, size in each_attribute(hook.data, at, at + length, "reading nftables"):
            name = text(hook.data[start : start + size].split(b"\0", 1)[0])
            found.append(f"{name}*" if kind == nft.NFTA_DEVICE_PREFIX else name)
    elif single is not None and single in hook.layout:
        found.append(hook.text(single))
    return tuple(found)


def rules_by_chain(messages: Iterable[bytes]) -> dict[Key, list[Rule]]:
    """The rules of each chain in order. Raises NetlinkError where a message is malformed.

    Table and chain are the first two attributes of each message (net/netfilter/nf_tables_api.c:
    nf_tables_fill_rule_info); their bytes identify the chain, so most rules need not be decoded here.
    """
    groups: dict[bytes, tuple[list[Rule], Key]] = {}
    unpack = _HEADER.unpack_from
    for data in messages:
        if len(data) < _START + 8:
            raise malformed(f"a rule of {len(data)} bytes", "reading nftables")
        second = _START + (unpack(data, _START)[0] + 3 & ~3)
        if len(data) < second + 4:
            raise malformed(f"a rule of {len(data)} bytes", "reading nftables")
        head = data[16:17] + data[_START : second + unpack(data, second)[0]]
        try:
            found, key = groups[head]
        except KeyError:
            (rule,) = rules((data,))
            found, key = groups[head] = ([], (rule.family, rule.table, rule.chain))
        found.append(Rule(*key, data))
    result: dict[Key, list[Rule]] = {}
    for found, key in groups.values():
        result.setdefault(key, []).extend(found)
    return result


def rules(messages: Iterable[bytes]) -> Iterator[Rule]:
    """The rules in these messages. Raises NetlinkError where one is malformed."""
    for family, found in _found(messages):
        yield Rule(family, found.text(nft.NFTA_RULE_TABLE), found.text(nft.NFTA_RULE_CHAIN), found.data)


def sets(messages: Iterable[bytes]) -> Iterator[Set]:
    """The sets and maps in the answer. Raises NetlinkError where it is malformed."""
    for family, found in _found(messages):
        description = found.nested(nft.NFTA_SET_DESC)
        fields: list[int] = []
        if description is not None:
            fields = [part.size(nft.NFTA_SET_FIELD_LEN) for part in description.members(nft.NFTA_SET_DESC_CONCAT)]
        yield Set(
            family,
            found.text(nft.NFTA_SET_TABLE),
            found.text(nft.NFTA_SET_NAME),
            found.number(nft.NFTA_SET_FLAGS) or 0,
            found.number(nft.NFTA_SET_KEY_TYPE) or 0,
            found.size(nft.NFTA_SET_KEY_LEN),
            found.number(nft.NFTA_SET_DATA_TYPE) or 0,
            found.size(nft.NFTA_SET_DATA_LEN),
            tuple(fields),
            description.number(nft.NFTA_SET_DESC_SIZE) if description else None,
            found.number(nft.NFTA_SET_TIMEOUT),
            found.number(nft.NFTA_SET_COUNT),
            nft.NFTA_SET_EXPR in found.layout or nft.NFTA_SET_EXPRESSIONS in found.layout,
            found.number(nft.NFTA_SET_OBJ_TYPE),
            (found.raw(nft.NFTA_SET_TABLE) or b"", found.raw(nft.NFTA_SET_NAME) or b""),
        )


def elements(messages: Iterable[bytes]) -> Iterator[Element]:
    """The elements in the answer. Raises NetlinkError where it is malformed."""
    for _, found in _found(messages):
        for member in found.members(nft.NFTA_SET_ELEM_LIST_ELEMENTS):
            evaluated = member.expressions(nft.NFTA_SET_ELEM_EXPRESSIONS)
            single = member.nested(nft.NFTA_SET_ELEM_EXPR)
            if single is not None:
                evaluated.append(_expression(single))
            yield Element(
                member.value(nft.NFTA_SET_ELEM_KEY) or b"",
                member.value(nft.NFTA_SET_ELEM_KEY_END),
                member.number(nft.NFTA_SET_ELEM_FLAGS) or 0,
                member.value(nft.NFTA_SET_ELEM_DATA),
                member.verdict(nft.NFTA_SET_ELEM_DATA),
                member.text(nft.NFTA_SET_ELEM_OBJREF),
                tuple([part.name for part in evaluated]),
            )


def elements_of(found: Set, messages: Iterable[bytes]) -> Iterator[Element]:
    """The elements of a set, whose keys and values are as long as the set's. Raises NetlinkError where one is not."""
    for element in elements(messages):
        for raw, size in ((element.key, found.key_length), (element.end, found.key_length)):
            if raw and len(raw) != size:
                raise malformed(f"a key of {len(raw)} bytes in a set of keys of {size}", "reading nftables")
        if element.data is not None and len(element.data) != found.data_length:
            raise malformed(f"{len(element.data)} bytes in a map to {found.data_length}", "reading nftables")
        yield element


def objects(messages: Iterable[bytes]) -> Iterator[Object]:
    """The named objects in the answer. Raises NetlinkError where it is malformed."""
    for family, found in _found(messages):
        yield Object(
            family,
            found.text(nft.NFTA_OBJ_TABLE),
            found.text(nft.NFTA_OBJ_NAME),
            found.number(nft.NFTA_OBJ_TYPE) or 0,
            found.nested(nft.NFTA_OBJ_DATA),
        )


def flowtables(messages: Iterable[bytes]) -> Iterator[Flowtable]:
    """The flowtables in the answer. Raises NetlinkError where it is malformed."""
    for family, found in _found(messages):
        hook = found.nested(nft.NFTA_FLOWTABLE_HOOK)
        raw = hook.raw(nft.NFTA_FLOWTABLE_HOOK_PRIORITY) if hook else None
        yield Flowtable(
            family,
            found.text(nft.NFTA_FLOWTABLE_TABLE),
            found.text(nft.NFTA_FLOWTABLE_NAME),
            int.from_bytes(raw or b"", "big", signed=True),
            _devices(hook, nft.NFTA_FLOWTABLE_HOOK_DEVS) if hook else (),
        )


def generation(messages: Iterable[bytes]) -> int:
    """The number of the ruleset's generation, which changes with it. Raises NetlinkError where it is malformed."""
    for _, found in _found(messages):
        return found.number(nft.NFTA_GEN_ID) or 0
    return 0


def needs_tracking(rule: Rule) -> bool:
    """Whether a rule makes the kernel track connections. Raises NetlinkError where it is malformed."""
    if not any(name in rule.data for name in _TRACKING_BYTES):
        return False  # most rules need not be decoded
    return any(
        expression.name in _TRACKING
        or (expression.name in ("target", "match") and expression.text(nft.NFTA_TARGET_NAME) in _TRACKING_COMPAT)
        for expression in rule.expressions
    )


def in_order(runs: Iterable[Run]) -> Iterator[bytes]:
    """The messages of one dump in the kernel's order: runs of one received buffer are put together by their positions.

    A buffer's first message is at position 0, and positions are reported wherever messages of several shapes alternate.
    """
    waiting: list[tuple[int, bytes]] = []
    for run in runs:
        starts = range(0, len(run.data), run.length)
        places = starts if run.positions is None else run.positions
        if waiting and (run.positions is None or places[0] == 0):
            yield from (data for _, data in sorted(waiting))
            waiting = []
        data = run.data
        waiting += [(where, data[at : at + run.length]) for where, at in zip(places, starts, strict=True)]
    yield from (data for _, data in sorted(waiting))


def _found(messages: Iterable[bytes]) -> Iterator[tuple[str, Expression]]:
    """The family of each message, and its attributes."""
    for data in messages:
        if len(data) < _START:
            raise malformed(f"a message of {len(data)} bytes", "reading nftables")
        layout = attributes(data, _START, len(data), "reading nftables")
        yield FAMILIES.get(data[16]) or str(data[16]), Expression("", data, layout)
