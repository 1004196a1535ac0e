"""What the rtnetlink families share (linux/rtnetlink.h): numbers, names of them, address and prefix text."""

from __future__ import annotations

from _socket import inet_ntop

from ..uapi.netlink import AF_INET, AF_INET6, AF_MPLS
from .addresses import IPv4Texts, IPv6Texts
from .columns import NONE, Array, Constant, Plain
from .netlink.attributes import Attributes
from .netlink.messages import HEADER_SIZE, malformed
from .prefixes import ipv4_texts, ipv6_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from .columns import Batch, Column
    from .netlink.attributes import Shape
    from .netlink.messages import Layout, Run

FAMILIES = {AF_INET: "inet", AF_INET6: "inet6", AF_MPLS: "mpls"}
FAMILY_NUMBERS = {name: number for number, name in FAMILIES.items()}


ROUTE_TYPES = (
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
    *(str(number) for number in range(12, 256)),
)
"""enum: RTN_*; also what the actions of policy rules are beside a look-up."""


class Names:
    """What numbers stand for in one network namespace: mappings, so that a column of names is one ``map``."""

    __slots__ = ("interfaces", "protocols", "scopes", "tables")

    def __init__(
        self,
        interfaces: Mapping[int, str],
        tables: Mapping[int, str],
        protocols: Mapping[int, str],
        scopes: Mapping[int, str],
    ) -> None:
        self.interfaces = interfaces
        self.tables = tables
        self.protocols = protocols
        self.scopes = scopes


class Message:
    """One message, for tables that are small: its fixed header and its attributes."""

    __slots__ = ("attributes", "body", "identity", "operation")

    def __init__(self, run: Run, start: int, body: int, shape: Shape) -> None:
        """``start`` is where it begins in the run, ``body`` the size of the header. Raises MalformedError."""
        data, end = run.data, start + run.length
        if run.length < HEADER_SIZE + body:
            raise malformed(f"{run.length} bytes where at least {HEADER_SIZE + body} were expected", run.operation)
        inside = start + HEADER_SIZE + body
        self.operation = run.operation
        self.body = data[start + HEADER_SIZE : inside]
        self.identity = hash(data[start + HEADER_SIZE : end])
        self.attributes = Attributes(data, run.operation, shape, inside, end)


def in_order(runs: Sequence[Run], kind: int, body: int, shape: Shape) -> Iterator[Message]:
    """The messages of one received buffer in the kernel's order. Raises MalformedError for another ``kind``."""
    places = []
    for run in runs:
        if run.kind != kind:
            raise malformed(f"a message of type {run.kind}, not {kind}", run.operation)
        starts = range(0, len(run.data), run.length)
        places += [(where, at, run) for where, at in zip(run.positions or starts, starts, strict=True)]
    places.sort(key=lambda found: found[0])
    for _, at, run in places:
        yield Message(run, at, body, shape)


def of_family(number: int, decode: Callable[[list[Run]], Batch | None]) -> Callable[[list[Run]], Batch | None]:
    """``decode`` for what is of one address family: a kernel that lacks it answers with all the others."""

    def chosen(runs: list[Run]) -> Batch | None:
        kept = []
        for run in runs:
            if run.length <= HEADER_SIZE:
                kept.append(run)  # too short for any family: malformed
            else:
                kept += [part for family, part in run.by_value(HEADER_SIZE) if family == number]
        return decode(kept) if kept else None

    return chosen


class CachedValues(dict["Any", "Any"]):
    """What is made of a value, once for each value, as long as there are few of them."""

    _KEPT = 4096

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, value: Any) -> Any:
        if len(self) >= self._KEPT:
            self.clear()
        made = self[value] = self._make(value)
        return made


def address_text(raw: bytes) -> str:
    """An IPv4 or IPv6 address by its bytes; others, as those of links, in hexadecimal with colons between."""
    if len(raw) == 4:
        return "%d.%d.%d.%d" % tuple(raw)
    return inet_ntop(AF_INET6, raw) if len(raw) == 16 else raw.hex(":")


def labels(raw: bytes) -> tuple[int, ...]:
    """A stack of MPLS labels, the outermost first (RFC 3032: the upper 20 bits of four bytes each)."""
    return tuple(int.from_bytes(raw[at : at + 4], "big") >> 12 for at in range(0, len(raw) - 3, 4))


class Texts:
    """Text for columns of addresses and prefixes: what lies in memory, to text, at some 100 ns each."""

    def __init__(self) -> None:
        self._ipv4 = IPv4Texts()
        self._ipv6 = IPv6Texts()

    def addresses(self, run: Run, place: tuple[int, int] | None) -> Column:
        """Addresses that are often equal; None where the messages have none."""
        if place is None:
            return NONE
        at, size = place
        if size == 4:
            return Constant(self._ipv4[run.words(at)[0]]) if run.same(at) else self._ipv4.column(run.words(at))
        if size != 16:
            return Array(list(map(address_text, run.unpack(at, f"{size}s"))))
        if all(run.same(word) for word in range(at, at + 16, 4)):
            return Constant(self._ipv6[run.data[at : at + 16]])
        return self._ipv6.column(run.unpack(at, "16s"))

    def prefixes(self, run: Run, place: tuple[int, int] | None, lengths: bytes, family: int) -> Column:
        """Prefixes, mostly different ones. Without an attribute the address is all zeros."""
        if place is None:
            zeros = "0.0.0.0" if family == AF_INET else "::"
            return Plain([zeros + slash[length] for length in lengths])
        return Plain(self._networks(run, place, lengths, family))

    def networks(self, run: Run, place: tuple[int, int] | None, family: int) -> Column:
        """The addresses alone."""
        if place is None:
            return Plain(["0.0.0.0" if family == AF_INET else "::"] * run.count)
        return Plain(self._networks(run, place, None, family))

    def _networks(self, run: Run, place: tuple[int, int], lengths: bytes | None, family: int) -> list[str]:
        at, size = place
        if size != (4 if family == AF_INET else 16):
            raise malformed(f"an address of {size} bytes", run.operation)
        return (ipv4_texts if family == AF_INET else ipv6_texts)(run, at, lengths)


slash = tuple(f"/{length}" for length in range(256))


def interfaces(run: Run, at: int | None, names: Mapping[int, str]) -> Column:
    """Names for the interface indices at ``at``, None for 0."""
    if at is None:
        return NONE
    indices = run.words(at)
    if run.same(at):
        return Constant(names[indices[0]] if indices[0] else None)
    if 0 in indices:
        return Array([names[index] if index else None for index in indices])
    return Array(list(map(names.__getitem__, indices)))


def by_bytes(run: Run, layout: Layout, kind: int, made: Mapping[bytes, Any]) -> Column:
    """What ``made`` makes of the payload of an attribute; None where the messages have none."""
    if kind not in layout:
        return NONE
    at, size = layout[kind]
    raws = [raw for (raw,) in run.rows(at, f"{size}s")]
    if raws == raws[:1] * len(raws):
        return Constant(made[raws[0]])
    return Array(list(map(made.__getitem__, raws)))


def named(values: bytes | list[int], names: Mapping[int, Any] | Sequence[Any]) -> Column:
    """A column of names for small numbers, a Constant where all are the same."""
    if values == values[:1] * len(values):
        return Constant(names[values[0]])
    return Array(list(map(names.__getitem__, values)))
