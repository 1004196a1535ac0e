"""Options that select entries of the connection tracking table: the same for all commands that list some."""

from __future__ import annotations

from ...engine.options import Attribute, Flag, Group, Option
from ...engine.output import ListingCommand
from .filter import FlowFilter
from .filter_select import SELECTORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.names import HostNames


_UNCOUNTED = (
    "packets and bytes are unknown: accounting was off when these flows began "
    "(`sysctl -w net.netfilter.nf_conntrack_acct=1` counts new ones)"
)
_UNTIMED = (
    "start times are unknown: timestamps were off when these flows began "
    "(`sysctl -w net.netfilter.nf_conntrack_timestamp=1` keeps those of new ones)"
)


class FlowCommand(ListingCommand):
    """A command whose options select entries."""

    settings = {"packets": _UNCOUNTED, "sent_packets": _UNCOUNTED, "start": _UNTIMED}
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


def select_group(views: Sequence[str] = ()) -> Group:
    """These options, for these views of the command; for all where none is given."""

    def option(short: str, long: str, help: str, value: str | None = None) -> Option:
        return Option(short, long, help, value, to=FlowCommand.wanted.change(SELECTORS[long]), views=views)

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
        option("w", "zone", "conntrack zone, of either direction; 0 is the default one", "ZONE"),
        option("", "helper", "with this helper", "NAME"),
        option("", "src-nat", "source address or port translated"),
        option("", "dst-nat", "destination address or port translated"),
        option("", "any-nat", "translated in any way"),
        option("", "assured", "not dropped early when the table is full"),
        option("", "unreplied", "no reply seen yet"),
        option("", "min-bytes", "at least NUMBER bytes in both directions together (needs accounting)", "NUMBER"),
    )
