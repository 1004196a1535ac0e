"""Translated flows: the entries of the connection tracking table whose two directions do not mirror each other."""

from __future__ import annotations

from _operator import ne, or_

from ...engine.columns import NONE, Constant
from ...engine.dumps import whole_list
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...engine.prefixes import packed, prefix
from ...engine.schema import Schema
from ...uapi.netlink import AF_UNSPEC, NETLINK_ROUTE
from ..conntrack import listing as flows
from ..conntrack.decode import FLOW
from ..links import decode_addresses as addresses
from ..routing.listing_lookup import Ways

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch, Column, Values
    from ..conntrack.filter import FlowFilter
    from .decode_rules import NatRule

SOURCE, DESTINATION = 1, 2
"""What is translated, as bits."""

_ENDS = {
    SOURCE: ("source", "destination", "reply_destination", "reply_source"),
    DESTINATION: ("reply_source", "source", "destination", "reply_source"),
    SOURCE | DESTINATION: ("source", "destination", "reply_destination", "reply_source"),
}
"""Which ends of the entry are inside, destination, outside and answering."""
_NAMES = ("inside", "destination", "outside", "answering")
_SAME = ("family", "protocol", "protocol_number", "state", "timeout", "status", "mark", "zone", "id", "netns")

_NOT_GLOBAL = tuple(
    map(
        prefix,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "255.255.255.255/32",
            "fc00::/7",
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
"""RFC 1918, RFC 6598, RFC 3927, RFC 1112, RFC 919, RFC 4193, RFC 4291."""
_SHIFTED = {
    size: [
        (8 * size - length, int.from_bytes(network, "big") >> (8 * size - length))
        for network, length in _NOT_GLOBAL
        if len(network) == size
    ]
    for size in (4, 16)
}
"""The same by the size of an address: by how many bits it is shifted, and what is left then. Each flow is asked of."""


class TranslationListing(BaseListing):
    """One listing: ``batches()`` streams it, and raises ConntrackError where there is no connection tracking."""

    def __init__(self, wanted: FlowFilter | None = None, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        super().__init__(places)
        self._flows = flows.FlowListing(wanted, places)
        self.problems = self._flows.problems
        self.notes = self._flows.notes

    def batches(self) -> Iterator[Batch]:
        yield from super().batches()
        self._flows.conclude()

    def _place(self, place: Place) -> Iterator[Batch]:
        kinds = Kinds(place, self.problems.append)
        seen = False
        for batch in self._flows.entries(place):
            seen = True
            yield from translations(batch, kinds)
        if not seen:
            self._flows.explain_nothing(place)


class Kinds:
    """What kind of translation an outside, or an answering, address is a sign of. Asked for only when needed."""

    def __init__(self, place: Place, problem: Callable[[str], object] = str) -> None:
        """``problem`` gets the rules that cannot be read: what they do is not known then."""
        self._place = place
        self._problem = problem
        self._local: frozenset[str] | None = None
        self._snat: dict[str, str] = {}
        self._masquerades: bool | None = None
        self._fixed: list[tuple[bytes, bytes]] = []
        self._ways = Ways(place)

    @property
    def local(self) -> frozenset[str]:
        """The addresses of this machine in that namespace."""
        if self._local is None:
            self._local = frozenset(local_addresses(self._place))
        return self._local

    def source(self, outside: str) -> str:
        """masquerade or snat: a rule that names the address decides; else, whether there is a rule that masquerades."""
        kind = self._snat.get(outside)
        if kind is None:
            kind = self._snat[outside] = self._source(outside)
        return kind

    def destination(self, answering: str) -> str:
        """redirect or dnat."""
        return "redirect" if answering in self.local else "dnat"

    def hairpin(self, source: str, answering: str) -> bool:
        """Whether, by the routes, the packet leaves by the interface it came in on."""
        if is_global(source) != is_global(answering):
            return False
        out = self._ways.interface(answering)
        return out is not None and out == self._ways.interface(source)

    def _source(self, outside: str) -> str:
        if self._masquerades is None:
            self._read_rules()
        address = packed(outside)
        if any(len(low) == len(address) and low <= address <= high for low, high in self._fixed):
            return "snat"
        return "masquerade" if self._masquerades and outside in self.local else "snat"

    def _missing(self, what: str) -> None:
        self._problem(f"whether flows are of kind masquerade or snat is not known: {what}")

    def _read_rules(self) -> None:
        from ...errors import NetinspectError
        from .listing_rules import rules_of

        self._masquerades = False
        rules: list[NatRule] = []
        try:
            rules += rules_of(self._place, self._missing)
        except NetinspectError:
            pass
        self._masquerades = any(rule.kind == "masquerade" for rule in rules)
        self._fixed = [rule.addresses for rule in rules if rule.kind == "snat" and rule.addresses is not None]


def local_addresses(place: Place, problem: Callable[[str], object] = str) -> list[str]:
    """The addresses of all interfaces; ``problem`` gets what is missing. Raises NetlinkError."""
    operation = "listing addresses"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), addresses.request(AF_UNSPEC), operation)

    return [text for _, text, _ in whole_list(operation, dump, lambda run: addresses.own_addresses((run,)), problem)]


_REPLY_ENDS = ("reply_source", "reply_destination")


def translations(batch: Batch, kinds: Kinds) -> Iterator[Batch]:
    """The translated flows of a batch of entries: those whose source, destination or both are."""
    if any(batch.column(f"{end}_address") is NONE for end in ("source", "destination", *_REPLY_ENDS)):
        return  # an entry without addresses shows no translation
    source = _differ(batch, "source", "reply_destination")
    destination = _differ(batch, "destination", "reply_source")
    if batch.column("icmp_id") is not NONE:
        # There is one identifier each way, and it goes with the source.
        source = list(map(or_, source, map(ne, batch.values("icmp_id"), batch.values("reply_icmp_id"))))
    codes = [first + 2 * second for first, second in zip(source, destination, strict=True)]
    for translated in _ENDS:
        if translated in codes:
            whole = codes.count(translated) == len(codes)
            found = batch if whole else batch.select([code == translated for code in codes])
            yield TRANSLATION.batch(found.count, found, translated, kinds)


def _differ(batch: Batch, one: str, other: str) -> list[bool]:
    addresses = map(ne, batch.values(f"{one}_address"), batch.values(f"{other}_address"))
    ports = map(ne, batch.values(f"{one}_port"), batch.values(f"{other}_port"))
    return list(map(or_, addresses, ports))


def _end(place: int, what: str) -> Callable[[Batch, int, Kinds], Column]:
    """What is at one of the four ends; where there are no ports, ICMP's identifier is."""

    def make(found: Batch, translated: int, _: Kinds) -> Column:
        end = _ENDS[translated][place]
        column = found.column(f"{end}_{what}")
        if column is not NONE or what != "port":
            return column
        return found.column("reply_icmp_id" if end.startswith("reply_") else "icmp_id")

    return make


def _counter(sent: bool, what: str) -> Callable[[Batch, int, Kinds], Column]:
    """What the inside end sent, or received: of a translated destination that is the one which answers."""

    def make(found: Batch, translated: int, _: Kinds) -> Column:
        return found.column(f"reply_{what}" if sent == (translated == DESTINATION) else what)

    return make


def _same(name: str) -> Callable[[Batch, int, Kinds], Column]:
    return lambda found, translated, kinds: found.column(name)


def _kinds(found: Batch, translated: int, kinds: Kinds) -> Values:
    if translated == SOURCE:
        return list(map(kinds.source, found.values("reply_destination_address")))
    if translated == DESTINATION:
        return list(map(kinds.destination, found.values("reply_source_address")))
    return Constant("both")


def _double(found: Batch, translated: int, _: Kinds) -> Values:
    ends = dict(zip(_NAMES, _ENDS[translated], strict=True))
    # Where the destination is translated as well, the packet goes to who answers, and perhaps never leaves.
    far = ends["destination" if translated == DESTINATION else "answering"]
    outside, there = found.values(f"{ends['outside']}_address"), found.values(f"{far}_address")
    return [not is_global(here) and is_global(other) for here, other in zip(outside, there, strict=True)]


def _hairpin(found: Batch, translated: int, kinds: Kinds) -> Values:
    if translated == SOURCE:
        return Constant(False)
    return list(map(kinds.hairpin, found.values("source_address"), found.values("reply_source_address")))


TRANSLATION = Schema(
    "Translation",
    {
        **{name: _same(name) for name in _SAME},
        "kind": _kinds,
        **{f"{end}_{what}": _end(place, what) for place, end in enumerate(_NAMES) for what in ("address", "port")},
        "double_nat": _double,
        "hairpin": _hairpin,
        **{
            f"{name}_{what}": _counter(name == "sent", what)
            for name in ("sent", "received")
            for what in ("packets", "bytes")
        },
        "processes": Constant(()),
    },
    extra={
        "icmp_id": NONE,  # which tables of flows show where there is not a port: here the port is it
        "owners": NONE,  # as a table shows ``processes``, which go with it
        "translated": lambda found, translated, kinds: Constant(translated),
        **{f"flow_{name}": _same(name) for name in FLOW.columns},
    },
)
"""The columns of translated flows: ``translated`` has the bits SOURCE and DESTINATION, and the entry's own fields have
``flow_`` before them.
"""


_known_global: dict[str, bool] = {}


def is_global(text: str) -> bool:
    """Whether an address is neither private, shared nor link-local, nor a group: it needs no further translation."""
    known = _known_global.get(text)
    if known is None:
        if len(_known_global) > 20_000:
            _known_global.clear()
        known = _known_global[text] = not _is_private(packed(text))
    return known


def _is_private(address: bytes) -> bool:
    number = int.from_bytes(address, "big")
    return any(number >> shift == network for shift, network in _SHIFTED[len(address)])
