"""Options that select entries of the connection tracking table: the same for all commands that list some."""

from __future__ import annotations

from ...engine.options import Group, Option
from ...errors import UsageError
from .filter import FlowFilter, mark_of, port_of, prefix_of, protocol_of, state_of, status_of, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SELECT = Group(
    "Select (each may be given more than once, or several values with commas: any of them)",
    Option("4", "ipv4", "IPv4 only"),
    Option("6", "ipv6", "IPv6 only"),
    Option("p", "protocol", "transport protocol, by name or number", "PROTOCOL"),
    Option("s", "source", "source of the original direction: an address or a prefix", "ADDRESS"),
    Option("d", "destination", "destination of the original direction", "ADDRESS"),
    Option("r", "reply-source", "source of the reply direction", "ADDRESS"),
    Option("q", "reply-destination", "destination of the reply direction", "ADDRESS"),
    Option("", "port", "source or destination port of the original direction", "PORT"),
    Option("", "source-port", "source port of the original direction", "PORT"),
    Option("", "destination-port", "destination port of the original direction", "PORT"),
    Option("", "reply-source-port", "source port of the reply direction", "PORT"),
    Option("", "reply-destination-port", "destination port of the reply direction", "PORT"),
    Option("", "state", "state of TCP, SCTP or DCCP", "NAME"),
    Option("u", "status", "all of these status bits set or, with ! before it, not set: ASSURED,!SEEN_REPLY", "NAME"),
    Option("m", "mark", "connection mark", "VALUE[/MASK]"),
    Option("w", "zone", "conntrack zone; 0 is the default one", "ZONE"),
    Option("", "helper", "with this helper", "NAME"),
    Option("", "src-nat", "source address or port translated"),
    Option("", "dst-nat", "destination address or port translated"),
    Option("", "any-nat", "translated in any way"),
    Option("", "assured", "will not be thrown out when the table is full"),
    Option("", "unreplied", "no reply seen yet"),
    Option("", "min-bytes", "at least so many bytes in both directions (accounting must be on)", "NUMBER"),
)

_FLAGS = {
    "src-nat": ("SRC_NAT", True),
    "dst-nat": ("DST_NAT", True),
    "assured": ("ASSURED", True),
    "unreplied": ("SEEN_REPLY", False),
}
_ADDRESSES = ("source", "destination", "reply-source", "reply-destination")


class FlowOptions:
    """These options, converted to a filter."""

    def __init__(self) -> None:
        self.wanted = FlowFilter()

    def take(self, name: str, value: str) -> bool:
        """Takes one option; False where it is none of these. Raises UsageError."""
        wanted = self.wanted
        if name in ("ipv4", "ipv6"):
            wanted.families += ("inet" if name == "ipv4" else "inet6",)
        elif name in _ADDRESSES:
            field = name.replace("-", "_") + "_address"
            wanted.addresses.setdefault(field, []).extend(map(prefix_of, value.split(",")))
        elif name == "port":
            wanted.either_ports.update(map(port_of, value.split(",")))
        elif name.removesuffix("-port") in _ADDRESSES:
            wanted.ports.setdefault(name.replace("-", "_"), set()).update(map(port_of, value.split(",")))
        elif name in _FLAGS:
            self._status(*_FLAGS[name])
        elif name == "status":
            for text in value.split(","):
                self._status(*status_of(text))
        elif name == "any-nat":
            wanted.any_nat = True
        elif name == "mark":
            wanted.marks += map(mark_of, value.split(","))
        elif name == "min-bytes":
            wanted.minimum_bytes = _whole_number(value)
        elif name in _SETS:
            attribute, convert = _SETS[name]
            getattr(wanted, attribute).update(map(convert, value.split(",")))
        else:
            return False
        return True

    def _status(self, name: str, on: bool) -> None:
        (self.wanted.with_status if on else self.wanted.without_status).add(name)
        if self.wanted.with_status & self.wanted.without_status:
            raise UsageError(f"status {name} cannot be set and not set")


_SETS: dict[str, tuple[str, Callable[[str], object]]] = {
    "protocol": ("protocols", protocol_of),
    "state": ("states", state_of),
    "zone": ("zones", zone_of),
    "helper": ("helpers", str),
}


def _whole_number(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise UsageError(f"--min-bytes takes a whole number, not {value!r}")
    return int(value)
