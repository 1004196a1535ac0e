"""What selects entries by a name and a text, as options and the words of a condition have them."""

from __future__ import annotations

from _functools import partial

from ...engine.options import converted, whole_number
from ...errors import UsageError
from .filter import FlowFilter, mark_of, port_of, prefix_of, protocol_of, state_of, status_of, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Selector = Callable[[FlowFilter, str], object]
    """Adds what an option says to a filter. Raises UsageError, Unfit."""


def _family(family: str) -> Selector:
    def add(wanted: FlowFilter, text: str) -> None:
        wanted.families += (family,)

    return add


def _addresses(field: str) -> Selector:
    return lambda wanted, text: wanted.addresses.setdefault(field, []).extend(map(prefix_of, text.split(",")))


def _ports(field: str) -> Selector:
    return lambda wanted, text: wanted.ports.setdefault(field, set()).update(map(port_of, text.split(",")))


def _status(wanted: FlowFilter, name: str, on: bool) -> None:
    (wanted.with_status if on else wanted.without_status).add(name)
    if wanted.with_status & wanted.without_status:
        raise UsageError(f"status {name} cannot be both set and not set")


def _bit(name: str, on: bool = True) -> Selector:
    return lambda wanted, text: _status(wanted, name, on)


def _bits(wanted: FlowFilter, text: str) -> None:
    for bit in text.split(","):
        _status(wanted, *status_of(bit))


def _any_translation(wanted: FlowFilter, text: str) -> None:
    wanted.any_nat = True


def _least_bytes(wanted: FlowFilter, text: str) -> None:
    wanted.minimum_bytes = whole_number(text)


SELECTORS: dict[str, Selector] = {
    "ipv4": _family("inet"),
    "ipv6": _family("inet6"),
    "protocol": lambda wanted, text: wanted.protocols.update(map(protocol_of, text.split(","))),
    "source": _addresses("source_address"),
    "destination": _addresses("destination_address"),
    "reply-source": _addresses("reply_source_address"),
    "reply-destination": _addresses("reply_destination_address"),
    "port": lambda wanted, text: wanted.either_ports.update(map(port_of, text.split(","))),
    "source-port": _ports("source_port"),
    "destination-port": _ports("destination_port"),
    "reply-source-port": _ports("reply_source_port"),
    "reply-destination-port": _ports("reply_destination_port"),
    "state": lambda wanted, text: wanted.states.update(map(state_of, text.split(","))),
    "status": _bits,
    "mark": lambda wanted, text: wanted.marks.extend(map(mark_of, text.split(","))),
    "zone": lambda wanted, text: wanted.zones.update(map(zone_of, text.split(","))),
    "helper": lambda wanted, text: wanted.helpers.update(text.split(",")),
    "src-nat": _bit("SRC_NAT"),
    "dst-nat": _bit("DST_NAT"),
    "any-nat": _any_translation,
    "assured": _bit("ASSURED"),
    "unreplied": _bit("SEEN_REPLY", False),
    "min-bytes": _least_bytes,
}
"""What each option does to the filter."""


def select(wanted: FlowFilter, name: str, text: str) -> None:
    """Adds what the option of that name says to a filter. Raises UsageError."""
    converted(name, partial(SELECTORS[name], wanted), text)
