"""Which entries of the connection tracking table are wanted: for the kernel to select, and to check its answer.

Kernels differ in what they select by, older ones ignore what they do not know, and some got it wrong: so every row is
checked here as well, whatever the kernel was asked.
"""

from __future__ import annotations

from _operator import and_, or_
from _socket import getservbyname

from ...engine.files import check_database
from ...engine.kernel_release import is_at_least
from ...engine.prefixes import packed, within
from ...engine.text import digits
from ...engine.text import number as number_of
from ...errors import UsageError
from ...uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC
from .decode_names import PROTOCOLS, STATES, STATUS_BITS
from .request import KernelFilter, status_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch

DIRECTIONS = ("", "reply_")
SIDES = ("source", "destination")
_FAMILIES = {"inet": AF_INET, "inet6": AF_INET6}
_MAXIMUM = 0xFFFFFFFF

STATE_NAMES = frozenset(name for names in STATES.values() for name in names)

Prefix = tuple[bytes, int]
"""An address and the number of its bits that count."""


class FlowFilter:
    """What is wanted: each part is empty where it does not matter. Several values of one part are alternatives."""

    def __init__(self) -> None:
        self.families: tuple[str, ...] = ()
        self.protocols: set[int] = set()
        self.addresses: dict[str, list[Prefix]] = {}
        """By field: source_address, reply_destination_address …"""
        self.ports: dict[str, set[int]] = {}
        """By field: source_port …"""
        self.either_ports: set[int] = set()
        """Ports of the original direction, source or destination."""
        self.states: set[str] = set()
        self.with_status: set[str] = set()
        self.without_status: set[str] = set()
        self.any_nat = False
        self.marks: list[tuple[int, int]] = []
        """Values and masks."""
        self.zones: set[int] = set()
        self.helpers: set[str] = set()
        self.minimum_bytes = 0

    def check(self) -> None:
        """Raises UsageError where there can be no such flow: all addresses of a flow are of one family."""
        if not self._possible_families():
            raise UsageError("IPv4 and IPv6 addresses: no flow has both")

    def checked(self, batch: Batch) -> Batch:
        """The rows of a batch that are wanted."""
        mask: list[Any] | None = None
        for condition in self._conditions():
            found = list(condition(batch))
            mask = found if mask is None else list(map(and_, mask, found))
        if mask is None or all(mask):
            return batch
        return batch.select(mask)

    def _conditions(self) -> Iterable[Callable[[Batch], Iterable[bool]]]:
        if self.families:
            yield _test("family", self.families.__contains__)
        if self.protocols:
            yield _test("protocol_number", self.protocols.__contains__)
        for field, prefixes in self.addresses.items():
            yield _test(field, _within(prefixes))
        for field, ports in self.ports.items():
            yield _test(field, ports.__contains__)
        if self.either_ports:
            ports = self.either_ports
            first, second = _test("source_port", ports.__contains__), _test("destination_port", ports.__contains__)
            yield lambda batch: map(or_, first(batch), second(batch))
        if self.states:
            yield _test("state", self.states.__contains__)
        if self.with_status or self.without_status:
            yield _test("status", self._has_status)
        if self.any_nat:
            yield _test("status", lambda status: "SRC_NAT" in status or "DST_NAT" in status)
        if self.marks:
            yield _test("mark", self._has_mark)
        if self.zones:
            in_zone = _test("zone", lambda zone: (zone or 0) in self.zones)
            if 0 in self.zones:
                # With a zone in one direction alone, the other is in zone 0 (net/netfilter: nf_ct_zone_id).
                one_way = _test("zone_direction", ("original", "reply").__contains__)
                yield lambda batch: map(or_, in_zone(batch), one_way(batch))
            else:
                yield in_zone
        if self.helpers:
            yield _test("helper", self.helpers.__contains__)
        if self.minimum_bytes:
            least = self.minimum_bytes
            yield lambda batch: [
                (sent or 0) + (received or 0) >= least
                for sent, received in zip(batch.values("bytes"), batch.values("reply_bytes"), strict=True)
            ]

    def _has_status(self, status: Sequence[str]) -> bool:
        return self.with_status.issubset(status) and self.without_status.isdisjoint(status)

    def _has_mark(self, mark: int | None) -> bool:
        return mark is not None and any(mark & mask == value & mask for value, mask in self.marks)

    def kernel(self) -> list[tuple[int, KernelFilter]]:
        """The dumps to ask for: address families, each with what the kernel is to select by."""
        wanted = KernelFilter()
        if len(self.protocols) == 1:
            (wanted.protocol,) = self.protocols
        # Before Linux 5.14 what is asked of the replies' tuple is compared with what is asked of the original one
        # (ctnetlink_filter_match), and an answer does not show it.
        directions = (wanted.original, wanted.reply) if is_at_least(5, 14) else (wanted.original,)
        for direction, prefix in zip(directions, DIRECTIONS, strict=False):
            for number, side in enumerate(SIDES):
                prefixes = self.addresses.get(f"{prefix}{side}_address", ())
                if len(prefixes) == 1 and prefixes[0][1] == 32 == 8 * len(prefixes[0][0]):
                    direction.addresses[number] = prefixes[0][0]
                ports = self.ports.get(f"{prefix}{side}_port", ())
                # A port is reported as one of a protocol: of TCP and UDP only, for others it would be ignored.
                if len(ports) == 1 and wanted.protocol is not None:
                    (direction.ports[number],) = ports
        if len(self.marks) == 1:
            (wanted.mark,) = self.marks
        if self.with_status or self.without_status:
            bits = status_bits(self.with_status)
            wanted.status = bits, bits | status_bits(self.without_status)
        if len(self.zones) == 1 and 0 not in self.zones:
            (wanted.zone,) = self.zones
        return [(family, wanted) for family in self._dumped_families(wanted)]

    def _possible_families(self) -> list[int]:
        families = [_FAMILIES[name] for name in self.families or _FAMILIES]
        for prefixes in self.addresses.values():
            sizes = {len(address) for address, _ in prefixes}
            families = [family for family in families if (4 if family == AF_INET else 16) in sizes]
        return families

    def _dumped_families(self, wanted: KernelFilter) -> list[int]:
        families = self._possible_families()
        if len(families) == 2 and not wanted.of_tuples:
            return [AF_UNSPEC]
        return families

    @property
    def empty(self) -> bool:
        """Whether everything is wanted."""
        return not list(self._conditions())


def _test(field: str, wanted: Callable[[Any], bool]) -> Callable[[Batch], Iterable[bool]]:
    """A test of one column, made once for each value."""
    known = _Known(wanted)
    return lambda batch: map(known.__getitem__, batch.values(field))


class _Known(dict["Any", bool]):
    def __init__(self, decide: Callable[[Any], bool]) -> None:
        super().__init__()
        self._decide = decide

    def __missing__(self, value: Any) -> bool:
        if len(self) > 50_000:
            self.clear()
        known = self[value] = self._decide(value)
        return known


def _within(prefixes: Sequence[Prefix]) -> Callable[[str | None], bool]:
    def decide(text: str | None) -> bool:
        if text is None:
            return False
        address = packed(text)
        return any(within(address, network, bits) for network, bits in prefixes)

    return decide


def prefix_of(text: str) -> Prefix:
    """An address, or a prefix ``ADDRESS/LENGTH``. Raises UsageError."""
    address, slash, length = text.strip("[]").partition("/")
    try:
        network = packed(address)
    except (OSError, ValueError):
        raise UsageError(f"{text!r} is not an address or prefix, as in 10.0.0.0/8 or 2001:db8::1") from None
    bits = 8 * len(network)
    if slash:
        given = digits(length)
        if given is None or given > bits:
            raise UsageError(f"{text!r}: a prefix length is 0 to {bits}")
        bits = given
    return network, bits


def port_of(text: str) -> int:
    """A port, by number or by the name of a service (services(5)). Raises UsageError."""
    port = digits(text)
    if port is not None and port < 65536:
        return port
    check_database("services")
    from ...engine.in_time import in_time

    try:
        return in_time(getservbyname, text)
    except (OSError, ValueError):
        raise UsageError(f"{text!r} is neither a port, 0 to 65535, nor a service name") from None


def protocol_of(text: str) -> int:
    """An IP protocol, by number or name. Raises UsageError."""
    protocol = digits(text)
    if protocol is not None and protocol < 256:
        return protocol
    for number, name in PROTOCOLS.items():
        if name == text.lower():
            return number
    raise UsageError(f"no protocol {text!r}: a number, 0 to 255, or one of {', '.join(PROTOCOLS.values())}")


def mark_of(text: str) -> tuple[int, int]:
    """``VALUE`` or ``VALUE/MASK``, decimal or hexadecimal after 0x. Raises UsageError."""
    value, slash, mask_text = text.partition("/")
    mark, bits = number_of(value), number_of(mask_text) if slash else _MAXIMUM
    if mark is None or bits is None or mark > _MAXIMUM or bits > _MAXIMUM:
        raise UsageError(f"{text!r} is not a 32-bit mark, decimal or hexadecimal, as in 0x1/0xff")
    return mark, bits


def state_of(text: str) -> str:
    """A state of TCP, SCTP or DCCP as connection tracking has them. Raises UsageError."""
    name = text.upper().replace("-", "_")
    if name not in STATE_NAMES:
        from ...engine.help import unknown

        raise unknown("state", text, sorted(STATE_NAMES))
    return name


def status_of(text: str) -> tuple[str, bool]:
    """A status bit, and whether it must be set: ``!ASSURED`` must not. Raises UsageError."""
    name = text.lstrip("!").upper().replace("-", "_")
    if name not in STATUS_BITS:
        raise UsageError(f"no status {text!r}: {', '.join(STATUS_BITS)}, or with ! before it: not set")
    return name, not text.startswith("!")


def zone_of(text: str) -> int:
    """A conntrack zone. Raises UsageError."""
    zone = digits(text)
    if zone is not None and zone < 65536:
        return zone
    raise UsageError(f"{text!r} is not a conntrack zone, 0 to 65535")
