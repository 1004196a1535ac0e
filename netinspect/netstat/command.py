"""``netinspect netstat``: net-tools' netstat."""

from __future__ import annotations

from posix import geteuid

from ..engine.command import Command
from ..engine.options import Count, Flag, Group, Many, One, Option
from ..errors import ExitStatus, NetinspectError, UsageError
from ..nouns.sockets.listing import ALL_STATES, CONNECTED_STATES, LISTENING_STATES, Query, SocketListing
from .render import InternetRows, SctpRows, UnixRows, View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..engine.columns import Batch, Values
    from ..engine.names import HostNames

_PROTOCOLS = ("tcp", "sctp", "udp", "udplite", "raw")
"""In the order of the listing."""
_INTERNET_FAMILIES = ("inet", "inet6")
_ALIASES = {
    "ip": "inet",
    "tcpip": "inet",
    "ip6": "inet6",
    "appletalk": "ddp",
    "l2cap": "bluetooth",
    "rfcomm": "bluetooth",
}
_UNLISTED = {
    "ipx": "AF IPX",
    "ax25": "AF AX25",
    "x25": "AF X25",
    "netrom": "AF NETROM",
    "rose": "AF ROSE",
    "ddp": "AF DDP",
    "econet": "AF ECONET",
    "ash": "AF ASH",
    "bluetooth": "AF BLUETOOTH",
}
"""Families that no netlink reports, and the names by which net-tools says that the kernel lacks them."""
_SAID_WITH_VERBOSE = ("sctp", "ipx", "ax25", "x25", "netrom", "rose")

_NOT_ROOT = (
    "(Not all processes could be identified, non-owned process info",
    " will not be shown, you would have to be root to see it all.)",
)
"""net-tools' words."""
_NOT_ALMIGHTY = ("(Not all processes could be identified: reading the open files of some needs CAP_SYS_PTRACE.)",)

_INTERVAL = 1
"""Seconds between the listings of -c."""
_SHOWN_WHICH = {
    CONNECTED_STATES: "w/o servers",
    LISTENING_STATES: "only servers",
    CONNECTED_STATES | LISTENING_STATES: "servers and established",
}

_NOTES = (
    "Long addresses are truncated unless -W is given; ports and service names never are. Messages are those of the C "
    "locale.\n"
    "Unlike net-tools: control characters in names and paths are shown as escapes; paths with blanks are shown in "
    "full; an SCTP association has its own state; the timer of a connection request (SYN_RECV) counts every "
    "retransmission; addresses that end in .0 are looked up as hosts; what the kernel cannot list is reported on "
    "standard error and in the exit status, and the rest is listed.\n"
    "RefCnt is 2, plus 1 for each socket of this network namespace that is connected to it; net-tools also counts "
    "sockets of other namespaces, and system calls waiting for room in its queue.\n"
    "Ref is always 1 for IPv6 routes: the kernel's reference count has no netlink source. A route that a program added "
    "with protocol ra via a link-local address has the flag A as if the kernel had added it (a default route only if "
    "it expires): netlink does not show the difference.\n"
    "An IPv6 route through a next-hop object has a row for each next hop, and the flag ! where the object drops what "
    "it gets; net-tools shows the first next hop alone, and no flag."
)
FAMILIES = (*_INTERNET_FAMILIES, "unix", *_UNLISTED)


def _family(text: str) -> str:
    name = _ALIASES.get(text, text)
    if name not in FAMILIES:
        from ..engine.help import unknown

        raise unknown("address family", name, FAMILIES)
    return name


def _numeric(command: Netstat, text: str) -> None:
    command.numeric_hosts = command.numeric_ports = command.numeric_users = True


class Netstat(Command):
    """One command line of ``netinspect netstat``."""

    name = "netstat"
    summary = (
        "Lists sockets as net-tools' netstat does, line for line. Without options: connected sockets of all families."
    )

    tables = Many[str]()
    """Tables other than those of sockets."""
    named = Many[str]()
    """Protocols."""
    in_order = Many[str]()
    """Address families, in the order given."""
    listening = Flag()
    everything = Flag()
    multicast = Flag()
    programs = Flag()
    extended = Count()
    timers = Flag()
    contexts = Flag()
    wide = Flag()
    numeric_hosts = Flag()
    numeric_ports = Flag()
    numeric_users = Flag()
    continuous = Flag()
    verbose = Flag()
    version = Flag()
    fib = Flag()
    cache = Flag()
    interface = One[str | None](None)
    """The only one that -i is to show."""

    groups = (
        Group(
            "Sockets",
            Option("t", "tcp", "TCP", to=named.constant("tcp")),
            Option("u", "udp", "UDP", to=named.constant("udp")),
            Option("U", "udplite", "UDP-Lite", to=named.constant("udplite")),
            Option("S", "sctp", "SCTP", to=named.constant("sctp")),
            Option("w", "raw", "raw IP", to=named.constant("raw")),
            Option("x", "unix", "unix domain", to=in_order.constant("unix")),
            Option("l", "listening", "only listening and unconnected sockets", to=listening.on),
            Option("a", "all", "sockets in every state", to=everything.on),
        ),
        Group(
            "Address families",
            Option("4", "inet", "IPv4", to=in_order.constant("inet")),
            Option("", "ip", "the same", to=in_order.constant("inet")),
            Option("", "tcpip", "the same", to=in_order.constant("inet")),
            Option("6", "inet6", "IPv6", to=in_order.constant("inet6")),
            Option(
                "A",
                "protocol",
                "address families, separated by commas: inet (or ip, tcpip), inet6 (or ip6), unix, ax25, netrom, rose, "
                "x25, ipx, ddp (or appletalk), econet, ash, bluetooth",
                "FAMILY",
                to=in_order.each(_family),
            ),
        ),
        Group(
            "Families that have no netlink source: not listed, only whether this kernel supports them",
            Option("", "ax25", "amateur radio AX.25", to=in_order.constant("ax25")),
            Option("", "netrom", "amateur radio NET/ROM", to=in_order.constant("netrom")),
            Option("", "rose", "amateur radio ROSE", to=in_order.constant("rose")),
            Option("", "x25", "X.25", to=in_order.constant("x25")),
            Option("", "ipx", "Novell IPX", to=in_order.constant("ipx")),
            Option("", "ddp", "AppleTalk", to=in_order.constant("ddp")),
            Option("", "appletalk", "the same", to=in_order.constant("ddp")),
            Option("", "bluetooth", "Bluetooth", to=in_order.constant("bluetooth")),
            Option("2", "l2cap", "Bluetooth L2CAP", to=in_order.constant("bluetooth")),
            Option("f", "rfcomm", "Bluetooth RFCOMM", to=in_order.constant("bluetooth")),
        ),
        Group(
            "Show",
            Option("p", "programs", "the first process that holds the socket", to=programs.on),
            Option("e", "extend", "user and inode; giving it twice has the same effect", to=extended.more),
            Option("o", "timers", "TCP timers", to=timers.on),
            Option("Z", "context", "the SELinux security context of that process", to=contexts.on),
            Option("W", "wide", "do not truncate addresses", to=wide.on),
            Option("T", "notrim", "the same, the name in older releases", to=wide.on),
            Option("n", "numeric", "show hosts, ports and users as numbers", to=_numeric),
            Option("", "numeric-hosts", "show addresses instead of host names", to=numeric_hosts.on),
            Option("", "numeric-ports", "show ports as numbers", to=numeric_ports.on),
            Option("", "numeric-users", "show users as numbers", to=numeric_users.on),
            Option("N", "symbolic", "hardware names; has no effect on these tables"),
            Option("c", "continuous", "repeat every second until interrupted", to=continuous.on),
            Option(
                "v",
                "verbose",
                "report families that this kernel does not support, and what is read from procfs",
                to=verbose.on,
            ),
            Option("d", "", "accepted without effect, as in net-tools"),
            Option("V", "version", "show the version and exit", to=version.on),
        ),
        Group(
            "Other tables",
            Option("g", "groups", "multicast group memberships of interfaces", to=multicast.on),
            Option(
                "M",
                "masquerade",
                "translated connections (NAT), from connection tracking",
                to=tables.constant("masquerade"),
            ),
            Option(
                "s",
                "statistics",
                "counters of IP, ICMP, TCP, UDP and SCTP (with -t, -u, -w, -S: of these only)",
                to=tables.constant("statistics"),
            ),
            Option(
                "r",
                "route",
                "routes; with -e metrics instead of TCP columns, with -ee both",
                to=tables.constant("route"),
            ),
            Option("F", "fib", "with -r: the routes (the default)", to=fib.on),
            Option(
                "i",
                "interfaces",
                "interfaces that are up, with -a all; with -e all details",
                to=tables.constant("interfaces"),
            ),
            Option("I", "", "only this interface; implies -i", "NAME", to=interface.value(str)),
            Option(
                "C",
                "cache",
                "with -r: the route cache, path MTUs and redirects learned for single destinations",
                to=cache.on,
            ),
        ),
    )
    notes = _NOTES

    def check(self) -> None:
        """Raises UsageError where more than one other table is wanted."""
        wanted = {*self.tables}
        if self.interface is not None:
            wanted.add("interfaces")
        if len(wanted) > 1:
            raise UsageError(f"netstat shows one of these at a time: {', '.join(sorted(wanted))}")
        self.table = next(iter(wanted), None)
        """The other table that is wanted; None for those of sockets."""
        self.families = {*self.in_order}
        named = [protocol for protocol in _PROTOCOLS if protocol in self.named]
        self.unrestricted = not named and not self.families and not self.multicast
        self.unix = self.unrestricted or "unix" in self.families
        self.protocols: Sequence[str] = named
        if not named and (self.unrestricted or not self.families.isdisjoint(_INTERNET_FAMILIES)):
            self.protocols = _PROTOCOLS
        self.internet = [family for family in _INTERNET_FAMILIES if family in self.families] or _INTERNET_FAMILIES
        self.states = CONNECTED_STATES
        if self.everything:
            self.states |= LISTENING_STATES
        elif self.listening:
            self.states = LISTENING_STATES

    def run(self) -> int:
        """Lists, and returns the exit status. Raises NetinspectError."""
        environment = self.environment
        if self.version:
            from .. import __version__

            environment.write(f"netinspect {__version__}\nnetstat as in net-tools 2.10\n".encode())
            return ExitStatus.OK
        if self.words:
            # net-tools does not even report it.
            environment.complain(f"netstat takes options only: {' '.join(self.words)!r} is ignored")
        if self.table == "statistics":
            from .command_statistics import statistics

            problems: list[str] = []
            environment.write(statistics(self.in_order, self.named, problems.append).encode())
            for text in problems:
                environment.complain(text)
            return ExitStatus.INCOMPLETE if problems else ExitStatus.OK
        once = self._other_table() or _Sockets(self).once
        status = once()
        while status == ExitStatus.OK and self.continuous:
            from time import sleep

            sleep(_INTERVAL)
            status = once()
        return status

    def _other_table(self) -> Callable[[], int] | None:
        """What lists a table other than those of sockets; None where none is wanted."""
        if self.table == "route":
            from .command_routes import Routes

            return Routes(self).once
        if self.table == "interfaces":
            from .command_interfaces import Interfaces

            return Interfaces(self).once
        if self.table == "masquerade":
            from .command_masquerade import Masquerade

            return Masquerade(self).once
        return None


class _Sockets:
    """What a run of the command shows, once or again and again; host names are kept from one time to the next."""

    def __init__(self, command: Netstat) -> None:
        """Raises NetinspectError where contexts are wanted that are not to be had."""
        self._command = command
        self._environment = command.environment
        self._problems: list[str] = []
        self._hosts: HostNames | None = None
        self._view = View(
            wide=command.wide,
            extended=command.extended > 0,
            programs=command.programs or command.contexts,
            contexts=command.contexts,
            timers=command.timers,
        )
        if not command.numeric_ports:
            from ..engine.names import Services

            self._view.service = Services(last=True).name
        if not command.numeric_hosts:
            from ..engine.names import HostNames

            self._hosts = HostNames()
            self._view.host = self._hosts.get
        if self._view.extended and not command.numeric_users:
            from ..engine.names import UserNames

            self._view.user = UserNames().__getitem__
        if self._view.contexts:
            from ..nouns.sockets.owners_contexts import selinux_enabled

            if not selinux_enabled():
                raise NetinspectError("SELinux is not enabled on this machine")

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        command, which = self._command, _SHOWN_WHICH[self._command.states]
        self._problems = []
        if self._hosts is not None:
            self._hosts.restart()
        owners = self._owners()
        if command.protocols:
            self._write(self._view.internet_heading(which))
            for protocol in command.protocols:
                self._list_internet(protocol, owners)
        if command.multicast:
            from .command_groups import list_groups

            problems, notes = list_groups(command.internet, self._hosts, self._write)
            self._problems += problems
            self._report_fallbacks(notes)
        if command.unix:
            self._write(self._view.unix_heading(which))
            self._list_unix(owners)
        if self._reports_families or not command.families.isdisjoint(_UNLISTED):
            self._report_unlisted()
        for text in self._problems:
            self._environment.complain(text)
        if self._hosts is not None and self._hosts.incomplete:
            self._environment.complain(self._hosts.TIMED_OUT)
        return ExitStatus.INCOMPLETE if self._problems else ExitStatus.OK

    def _list_internet(self, protocol: str, owners: dict[str, Callable[[Batch], Values]]) -> None:
        command, view = self._command, self._view
        listing = SocketListing(
            Query(
                (protocol,),
                command.internet,
                ALL_STATES if protocol == "sctp" else command.states,
                explicit=bool(command.named),
                tcp_info=view.timers and protocol == "tcp",
            )
        )
        makers = dict(owners)
        if view.extended and protocol == "tcp":
            from ..nouns.sockets.owners_requests import RequestUsers

            listeners = Query((protocol,), command.internet, LISTENING_STATES)
            makers["uid"] = RequestUsers(lambda: SocketListing(listeners).batches()).column
        batches = listing.batches()
        if protocol == "sctp":
            from .command_sctp import as_net_tools

            batches = as_net_tools(batches, command.states)
        if makers:
            batches = (batch.joined(makers) for batch in batches)
        if self._hosts is not None:
            from ..engine.names import as_named

            batches = as_named(batches, self._hosts)
        rows = SctpRows(view) if protocol == "sctp" else InternetRows(protocol, view)
        for batch in batches:
            if batch.count:
                self._write(rows.text(batch))
        self._take_over(listing)

    def _list_unix(self, owners: dict[str, Callable[[Batch], Values]]) -> None:
        from ..nouns.sockets.owners_references import with_references

        listing = SocketListing(Query(("unix",), states=ALL_STATES))
        rows = UnixRows(self._view)
        for batch in with_references(listing.batches()):
            batch = self._selected(batch)
            if batch.count:
                self._write(rows.text(batch.joined(owners)))
        self._take_over(listing)

    def _selected(self, batch: Batch) -> Batch:
        """The unix sockets that are listed: all but those that listen, or only these."""
        states = self._command.states
        if states == CONNECTED_STATES | LISTENING_STATES:
            return batch
        wanted = states == LISTENING_STATES
        return batch.select([(state == "LISTEN") is wanted for state in batch.values("state")])

    def _owners(self) -> dict[str, Callable[[Batch], Values]]:
        """What makes the columns about the holders of sockets."""
        if not self._view.programs:
            return {}
        from ..nouns.sockets.owners import Owners

        owners = Owners()
        owners.scan()
        if owners.problem or owners.unseen.failed:
            self._problems.append(owners.not_seen())
        elif owners.not_seen():
            self._environment.complain(*(_NOT_ROOT if geteuid() != 0 else _NOT_ALMIGHTY))
        makers: dict[str, Callable[[Batch], Values]] = {"program": owners.listed_programs}
        if self._view.contexts:
            from ..nouns.sockets.owners_contexts import contexts

            makers["context"] = lambda batch: contexts(owners, batch.values("inode"))
        return makers

    def _report_unlisted(self) -> None:
        """Says which of the families that were asked for there are not, or are not to be had from netlink."""
        from ..procfs import has_protocol

        if self._reports_families:
            for name in _SAID_WITH_VERBOSE:
                if not has_protocol(name):
                    self._environment.complain(_lacking(name))
        for name in _UNLISTED:
            if name in self._command.families:
                known_as = ("l2cap", "rfcomm") if name == "bluetooth" else (name,)
                there = any(map(has_protocol, known_as))
                self._problems.append(
                    f"sockets of {_UNLISTED[name]} are not listed: they have no netlink source, only files in /proc/net"
                    if there
                    else _lacking(name)
                )

    def _take_over(self, listing: SocketListing) -> None:
        self._problems += listing.problems
        if "raw" in listing.query.protocols:
            self._report_fallbacks(listing.notes)
        else:  # net-tools lists these protocols whether or not they were named
            self._problems += listing.notes

    def _report_fallbacks(self, notes: Sequence[str]) -> None:
        """Reports what was read from procfs; nothing is missing, so only with -v."""
        if self._command.verbose:
            for text in notes:
                self._environment.complain(text)

    def _write(self, text: str) -> None:
        self._environment.write(text.encode("utf-8", "backslashreplace"))

    @property
    def _reports_families(self) -> bool:
        """Whether it is reported which families this kernel lacks."""
        return self._command.verbose and self._command.unrestricted


def _lacking(family: str) -> str:
    return f"no support for `{_UNLISTED.get(family, 'AF INET (sctp)')}' on this system"


COMMAND = Netstat
