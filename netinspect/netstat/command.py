"""``netinspect netstat``: net-tools' netstat."""

from __future__ import annotations

from os import geteuid

from ..engine.options import Command, Group, Option
from ..errors import ExitStatus, NetinspectError, UsageError
from ..nouns.sockets.listing import ALL_STATES, CONNECTED_STATES, LISTENING_STATES, Listing, Query
from .render import InternetRows, SctpRows, UnixRows, View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..engine.columns import Batch, Values
    from ..engine.names import HostNames, ServiceNames
    from ..environment import Environment

COMMAND = Command(
    "netstat",
    "",
    "Lists sockets as net-tools' netstat does, line for line. Without options: the sockets of all families that are "
    "connected.",
    (
        Group(
            "Sockets",
            Option("t", "tcp", "TCP"),
            Option("u", "udp", "UDP"),
            Option("U", "udplite", "UDP-Lite"),
            Option("S", "sctp", "SCTP"),
            Option("w", "raw", "raw IP"),
            Option("x", "unix", "unix domain"),
            Option("l", "listening", "only sockets that listen, or have no peer"),
            Option("a", "all", "sockets in every state"),
        ),
        Group(
            "Address families",
            Option("4", "inet", "IPv4"),
            Option("", "ip", "the same"),
            Option("", "tcpip", "the same"),
            Option("6", "inet6", "IPv6"),
            Option(
                "A",
                "protocol",
                "address families, separated by commas: inet (or ip, tcpip), inet6 (or ip6), unix, ax25, netrom, rose, "
                "x25, ipx, ddp (or appletalk), econet, ash, bluetooth",
                "FAMILY",
            ),
        ),
        Group(
            "Families that are not listed, for want of a netlink source; said is whether this kernel has them",
            Option("", "ax25", "amateur radio AX.25"),
            Option("", "netrom", "amateur radio NET/ROM"),
            Option("", "rose", "amateur radio ROSE"),
            Option("", "x25", "X.25"),
            Option("", "ipx", "Novell IPX"),
            Option("", "ddp", "AppleTalk"),
            Option("", "appletalk", "the same"),
            Option("", "bluetooth", "Bluetooth"),
            Option("2", "l2cap", "Bluetooth L2CAP"),
            Option("f", "rfcomm", "Bluetooth RFCOMM"),
        ),
        Group(
            "Show",
            Option("p", "programs", "the first process that holds the socket"),
            Option("e", "extend", "user and inode; may be given twice, to the same effect"),
            Option("o", "timers", "TCP timers"),
            Option("Z", "context", "the SELinux security context of that process"),
            Option("W", "wide", "addresses whole, however long"),
            Option("T", "notrim", "the same, as older releases name it"),
            Option("n", "numeric", "no names at all: not for hosts, ports or users"),
            Option("", "numeric-hosts", "no host names"),
            Option("", "numeric-ports", "no names of ports"),
            Option("", "numeric-users", "no user names"),
            Option("N", "symbolic", "names of hardware: there are none in these tables"),
            Option("c", "continuous", "list again every second, until interrupted"),
            Option("v", "verbose", "say which families this kernel does not have, and what comes from procfs"),
            Option("d", "", "accepted, and without effect, as in net-tools"),
            Option("V", "version", "show the version and exit"),
        ),
        Group(
            "Other tables",
            Option("g", "groups", "multicast groups that interfaces receive"),
            Option("M", "masquerade", "connections that are translated (NAT), from connection tracking"),
            Option("s", "statistics", "counters of IP, ICMP, TCP, UDP and SCTP (with -t, -u, -w, -S: of these only)"),
            Option("r", "route", "routes; with -e their metrics instead of TCP's figures, with -ee both"),
            Option("F", "fib", "with -r: the routes (the default)"),
            Option("i", "interfaces", "interfaces that are up, with -a all; with -e all about each"),
            Option("I", "", "with -i, or alone: this interface", "NAME"),
            Option("C", "cache", "with -r: what was learned about single destinations, path MTUs and redirects"),
        ),
    ),
    "An address that is too long for its column is cut, unless -W is given; a port and the name of a service never "
    "are. Words are those of the C locale.\n"
    "Unlike net-tools: control characters in names and paths are shown as escapes, and paths with blanks whole; an "
    "association of SCTP has its own state; the timer of a connection request (SYN_RECV) counts every retransmission; "
    "addresses that end in .0 are looked up as hosts; what the kernel cannot list is said on standard error and in the "
    "exit status, while the rest is listed.\n"
    "RefCnt is 2, and 1 for each socket of this network namespace that is connected to it; net-tools also counts those "
    "of other namespaces, and system calls that wait for room in its queue.\n"
    "Of IPv6 routes Ref is always 1: the kernel's count of references to them has no netlink source. A route that a "
    "program made with the protocol ra, by way of a link-local address, has the flag A as if the kernel had made it "
    "(the default route only if it expires): netlink does not tell the difference.",
)

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
"""Families that no netlink tells, and the names by which net-tools says that the kernel lacks them."""
_SAID_WITH_VERBOSE = ("sctp", "ipx", "ax25", "x25", "netrom", "rose")

_EXCLUSIVE = frozenset(("route", "interfaces", "masquerade", "statistics"))

_NOT_ROOT = (
    "(Not all processes could be identified, non-owned process info",
    " will not be shown, you would have to be root to see it all.)",
)
"""net-tools' words."""
_NOT_ALMIGHTY = ("(Not all processes could be identified: it takes CAP_SYS_PTRACE to see the open files of some.)",)

_INTERVAL = 1
"""Seconds between the listings of -c."""
_SHOWN_WHICH = {
    CONNECTED_STATES: "w/o servers",
    LISTENING_STATES: "only servers",
    CONNECTED_STATES | LISTENING_STATES: "servers and established",
}


class Options:
    """The command line, converted. Raises UsageError."""

    def __init__(self, arguments: Sequence[str]) -> None:
        found, operands = COMMAND.parse(arguments)
        chosen = {name for name, _ in found}
        self.interface = next((value for name, value in reversed(found) if name == "I"), None)
        """The only one that -i is to show."""
        if self.interface is not None:
            chosen.add("interfaces")
        if len(chosen & _EXCLUSIVE) > 1:
            raise UsageError(f"netstat shows one of these at a time: {', '.join(sorted(chosen & _EXCLUSIVE))}")
        self.operands = operands
        self.chosen = chosen
        self.extended = sum(name == "extend" for name, _ in found)
        """How often -e was given."""
        self.families: set[str] = set()
        self.in_order: list[str] = []
        """The families, in the order given."""
        for name, value in found:
            for family in value.split(",") if name == "protocol" and value is not None else (name,):
                self._take_family(_ALIASES.get(family, family), from_list=name == "protocol")
        self.named = [protocol for protocol in _PROTOCOLS if protocol in chosen]
        self.groups = "groups" in chosen
        everything = not self.named and not self.families and not self.groups
        self.unix = everything or "unix" in self.families
        self.protocols: Sequence[str] = self.named
        if not self.named and (everything or not self.families.isdisjoint(_INTERNET_FAMILIES)):
            self.protocols = _PROTOCOLS
        self.internet = [family for family in _INTERNET_FAMILIES if family in self.families] or _INTERNET_FAMILIES
        self.states = CONNECTED_STATES
        if "all" in chosen:
            self.states |= LISTENING_STATES
        elif "listening" in chosen:
            self.states = LISTENING_STATES
        self.verbose = everything and "verbose" in chosen

    def _take_family(self, name: str, from_list: bool) -> None:
        if name in _INTERNET_FAMILIES or name == "unix" or name in _UNLISTED:
            self.families.add(name)
            self.in_order.append(name)
        elif from_list:
            raise UsageError(f"no address family {name!r}: inet, inet6, unix, {', '.join(_UNLISTED)}")

    def numeric(self, what: str) -> bool:
        """Whether numbers are wanted instead of names, for hosts, ports or users."""
        return "numeric" in self.chosen or f"numeric-{what}" in self.chosen


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if "help" in options.chosen:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if "version" in options.chosen:
        from .. import __version__

        environment.write(f"netinspect {__version__}\nnetstat as in net-tools 2.10\n".encode())
        return ExitStatus.OK
    if options.operands:
        # net-tools does not even say so.
        environment.complain(f"netstat takes options only: {' '.join(options.operands)!r} is ignored")
    if "statistics" in options.chosen:
        from .command_statistics import statistics

        environment.write(statistics(options.in_order, options.chosen).encode())
        return ExitStatus.OK
    once = _other_table(options, environment) or _Netstat(options, environment).once
    status = once()
    while status == ExitStatus.OK and "continuous" in options.chosen:
        from time import sleep

        sleep(_INTERVAL)
        status = once()
    return status


def _other_table(options: Options, environment: Environment) -> Callable[[], int] | None:
    """What lists a table other than those of sockets; None where none is wanted."""
    if "route" in options.chosen:
        from .command_routes import Routes

        return Routes(options, environment).once
    if "interfaces" in options.chosen:
        from .command_interfaces import Interfaces

        return Interfaces(options, environment).once
    if "masquerade" in options.chosen:
        from .command_masquerade import Masquerade

        return Masquerade(options, environment).once
    return None


class _Netstat:
    """What a run of the command shows, once or again and again; host names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        """Raises NetinspectError where contexts are wanted that are not to be had."""
        self._options = options
        self._environment = environment
        self._problems: list[str] = []
        self._hosts: HostNames | None = None
        self._services: dict[str, ServiceNames] = {}
        chosen = options.chosen
        self._view = View(
            wide=not chosen.isdisjoint(("wide", "notrim")),
            extended="extend" in chosen,
            programs=not chosen.isdisjoint(("programs", "context")),
            contexts="context" in chosen,
            timers="timers" in chosen,
            service=None if options.numeric("ports") else self._service,
        )
        if not options.numeric("hosts"):
            from ..engine.names import HostNames

            self._hosts = HostNames()
            self._view.host = self._hosts.get
        if self._view.extended and not options.numeric("users"):
            from ..engine.names import UserNames

            self._view.user = UserNames().__getitem__
        if self._view.contexts:
            from ..nouns.sockets.owners_contexts import selinux_enabled

            if not selinux_enabled():
                raise NetinspectError("SELinux is not enabled on this machine")

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        options, which = self._options, _SHOWN_WHICH[self._options.states]
        self._problems = []
        if self._hosts is not None:
            self._hosts.restart()
        owners = self._owners()
        if options.protocols:
            self._write(self._view.internet_heading(which))
            for protocol in options.protocols:
                self._list_internet(protocol, owners)
        if options.groups:
            from .command_groups import list_groups

            problems, notes = list_groups(options.internet, self._hosts, self._write)
            self._problems += problems
            self._tell_fallbacks(notes)
        if options.unix:
            self._write(self._view.unix_heading(which))
            self._list_unix(owners)
        if options.verbose or not options.families.isdisjoint(_UNLISTED):
            self._tell_unlisted()
        for text in self._problems:
            self._environment.complain(text)
        return ExitStatus.INCOMPLETE if self._problems else ExitStatus.OK

    def _list_internet(self, protocol: str, owners: dict[str, Callable[[Batch], Values]]) -> None:
        options, view = self._options, self._view
        listing = Listing(
            Query(
                (protocol,),
                options.internet,
                options.states,
                explicit=bool(options.named),
                tcp_info=view.timers and protocol == "tcp",
            )
        )
        makers = dict(owners)
        if view.extended and protocol == "tcp":
            from ..nouns.sockets.owners_requests import RequestUsers

            listeners = Query((protocol,), options.internet, LISTENING_STATES)
            makers["uid"] = RequestUsers(lambda: Listing(listeners).batches()).column
        batches = listing.batches()
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

        listing = Listing(Query(("unix",), states=ALL_STATES))
        rows = UnixRows(self._view)
        for batch in with_references(listing.batches()):
            batch = self._selected(batch)
            if batch.count:
                self._write(rows.text(batch.joined(owners)))
        self._take_over(listing)

    def _selected(self, batch: Batch) -> Batch:
        """The unix sockets that are listed: all but those that listen, or only these."""
        states = self._options.states
        if states == CONNECTED_STATES | LISTENING_STATES:
            return batch
        wanted = states == LISTENING_STATES
        return batch.select([(state == "LISTEN") is wanted for state in batch.values("state")])

    def _owners(self) -> dict[str, Callable[[Batch], Values]]:
        """What makes the columns about the holders of sockets."""
        if not self._view.programs:
            return {}
        from ..nouns.sockets.owners import Owners
        from ..procfs import processes_hidden

        owners = Owners()
        owners.scan()
        if owners.unreadable or processes_hidden():
            self._environment.complain(*(_NOT_ROOT if geteuid() != 0 else _NOT_ALMIGHTY))
        makers: dict[str, Callable[[Batch], Values]] = {
            "program": lambda batch: owners.programs(batch.values("inode")),
        }
        if self._view.contexts:
            from ..nouns.sockets.owners_contexts import contexts

            makers["context"] = lambda batch: contexts(owners, batch.values("inode"))
        return makers

    def _tell_unlisted(self) -> None:
        """Says which of the families that were asked for there are not, or are not to be had from netlink."""
        from ..procfs import has_protocol

        if self._options.verbose:
            for name in _SAID_WITH_VERBOSE:
                if not has_protocol(name):
                    self._environment.complain(_lacking(name))
        for name in _UNLISTED:
            if name in self._options.families:
                known_as = ("l2cap", "rfcomm") if name == "bluetooth" else (name,)
                there = any(map(has_protocol, known_as))
                self._problems.append(
                    f"sockets of {_UNLISTED[name]} are not listed: no netlink tells them, only files in /proc/net"
                    if there
                    else _lacking(name)
                )

    def _take_over(self, listing: Listing) -> None:
        self._problems += listing.problems
        if "raw" in listing.query.protocols:
            self._tell_fallbacks(listing.notes)
        else:  # net-tools lists these protocols whether or not they were named
            self._problems += listing.notes

    def _tell_fallbacks(self, notes: Sequence[str]) -> None:
        """Says what was taken from procfs, as net-tools takes everything: nothing is missing, so -v alone tells."""
        if "verbose" in self._options.chosen:
            for text in notes:
                self._environment.complain(text)

    def _write(self, text: str) -> None:
        self._environment.write(text.encode("utf-8", "backslashreplace"))

    def _service(self, protocol: str, port: int) -> str:
        names = self._services.get(protocol)
        if names is None:
            from ..engine.names import ServiceNames

            names = self._services[protocol] = ServiceNames(protocol, last=True)
        return names[port]


def _lacking(family: str) -> str:
    return f"no support for `{_UNLISTED.get(family, 'AF INET (sctp)')}' on this system"
