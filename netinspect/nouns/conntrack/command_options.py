"""Options that select entries of the connection tracking table: the same for all commands that list some."""

from __future__ import annotations

from _functools import partial

from ...engine.options import Attribute, Flag, Group, Option, converted, whole_number
from ...engine.output import ListingCommand
from ...errors import UsageError
from .filter import FlowFilter, mark_of, port_of, prefix_of, protocol_of, state_of, status_of, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.names import HostNames

    Selector = Callable[[FlowFilter, str], object]
    """Adds what an option says to a filter. Raises UsageError, Unfit."""


class FlowCommand(ListingCommand):
    """A command whose options select entries."""

    wanted = Attribute(FlowFilter)
    resolve = Flag()

    def new_hosts(self) -> HostNames:
        """What looks up names: hosts(5) alone, unless --resolve asks for more.

        The queries of a resolver are flows themselves: they would become entries of the table that is listed.
        """
        from ...engine.names import HostNames, HostsFile

        return HostNames() if self.resolve else HostNames(resolve=HostsFile())

    @property
    def whole_first(self) -> bool:  # type: ignore[override]
        """With --resolve the table is read first: what the look-ups add to it is not in it."""
        return self.resolve

    def check(self) -> None:
        """Raises UsageError for addresses that no flow has together."""
        super().check()
        self.wanted.check()


RESOLVE = Option(
    "",
    "resolve",
    "look up host names in the DNS as well, not in /etc/hosts alone: the queries become entries of the table",
    to=FlowCommand.resolve.on,
)


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


_SELECTORS: dict[str, Selector] = {
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
    converted(name, partial(_SELECTORS[name], wanted), text)


def select_group(views: Sequence[str] = ()) -> Group:
    """These options, for these views of the command; for all where none is given."""

    def option(short: str, long: str, help: str, value: str | None = None) -> Option:
        return Option(short, long, help, value, to=FlowCommand.wanted.change(_SELECTORS[long]), views=views)

    return Group(
        "Select (options may be repeated or take several values separated by commas; any of them matches)",
        option("4", "ipv4", "IPv4 only"),
        option("6", "ipv6", "IPv6 only"),
        option("p", "protocol", "transport protocol, by name or number", "PROTOCOL"),
        option("s", "source", "source of the original direction: an address or a prefix", "ADDRESS"),
        option("d", "destination", "destination of the original direction", "ADDRESS"),
        option("r", "reply-source", "source of the reply direction", "ADDRESS"),
        option("q", "reply-destination", "destination of the reply direction", "ADDRESS"),
        option("", "port", "source or destination port of the original direction", "PORT"),
        option("", "source-port", "source port of the original direction", "PORT"),
        option("", "destination-port", "destination port of the original direction", "PORT"),
        option("", "reply-source-port", "source port of the reply direction", "PORT"),
        option("", "reply-destination-port", "destination port of the reply direction", "PORT"),
        option("", "state", "state of TCP, SCTP or DCCP", "NAME"),
        option(
            "u", "status", "all of these status bits set or, with ! before it, not set: ASSURED,!SEEN_REPLY", "NAME"
        ),
        option("m", "mark", "connection mark", "VALUE[/MASK]"),
        option("w", "zone", "conntrack zone; 0 is the default one", "ZONE"),
        option("", "helper", "with this helper", "NAME"),
        option("", "src-nat", "source address or port translated"),
        option("", "dst-nat", "destination address or port translated"),
        option("", "any-nat", "translated in any way"),
        option("", "assured", "not dropped early when the table is full"),
        option("", "unreplied", "no reply seen yet"),
        option("", "min-bytes", "at least NUMBER bytes in both directions together (needs accounting)", "NUMBER"),
    )
