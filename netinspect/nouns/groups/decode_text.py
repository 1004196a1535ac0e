"""What of multicast memberships only procfs shows: /proc/net/igmp, igmp6, mcfilter, mcfilter6 and dev_mcast.

The formats are those of net/ipv4/igmp.c, net/ipv6/mcast.c and net/core/dev_addr_lists.c; no man page has them. Each
function takes the text of a file. Lines that make no sense are left out, and ``problem`` gets how many; without it
NetinspectError is raised. Only blanks, tabs and ends of lines part words: names may have other kinds of space in them.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop
from sys import byteorder

from ...errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeVar

    Row = TypeVar("Row")
    Problem = Callable[[str], object]

Key = tuple[int, str]
"""A group on an interface: index and address."""

USER_HZ = 100
"""Ticks a second of the kernel's interface (clock_t): timers are reported in them."""
_MAF_TIMER_RUNNING, _MAF_LAST_REPORTER = 0x01, 0x02
"""net/if_inet6.h: flags of a group in /proc/net/igmp6."""


class ProcfsGroup:
    """What procfs shows of a group on an interface. ``timer`` is in seconds; None where no report is due."""

    __slots__ = ("global_use", "interface", "reporter", "timer", "users", "version")

    def __init__(
        self,
        interface: str,
        users: int,
        version: str | None = None,
        timer: float | None = None,
        reporter: bool | None = None,
        global_use: bool | None = None,
    ) -> None:
        self.interface = interface
        self.users = users
        self.version = version
        self.timer = timer
        self.reporter = reporter
        self.global_use = global_use


def igmp(text: str, problem: Problem | None = None) -> dict[Key, ProcfsGroup]:
    """/proc/net/igmp: a line for each interface, with its IGMP version, and indented below it the groups."""
    found: dict[Key, ProcfsGroup] = {}
    index, interface, version = 0, "", None

    def take(line: str) -> None:
        nonlocal index, interface, version
        if not line.startswith("\t"):
            # "2<tab>eth0      :     1      V3": a name may itself have colons.
            number, rest = line.split("\t", 1)
            name, rest = rest.rsplit(":", 1)
            index, interface, version = int(number), name.rstrip(" "), f"IGMP{_words(rest)[1].lower()}"
            return
        group, users, timer, reporter = _words(line)
        running, left = timer.split(":")
        address = inet_ntop(AF_INET, int(group, 16).to_bytes(4, byteorder))
        found[index, address] = ProcfsGroup(
            interface,
            int(users),
            version,
            int(left, 16) / USER_HZ if int(running) else None,
            bool(int(reporter)),
        )

    _each("igmp", _lines(text)[1:], take, problem)
    return found


def igmp6(text: str, problem: Problem | None = None) -> dict[Key, ProcfsGroup]:
    """/proc/net/igmp6: index, interface, group, users, flags, timer. The version of MLD is not in it."""
    found: dict[Key, ProcfsGroup] = {}

    def take(line: str) -> None:
        index, interface, group, users, flags, left = _words(line)
        bits = int(flags, 16)
        timer = int(left) / USER_HZ if bits & _MAF_TIMER_RUNNING else None
        found[int(index), _ipv6(group)] = ProcfsGroup(
            interface, int(users), None, timer, bool(bits & _MAF_LAST_REPORTER), None
        )

    _each("igmp6", _lines(text), take, problem)
    return found


def link_layer(text: str, problem: Problem | None = None) -> dict[Key, ProcfsGroup]:
    """/proc/net/dev_mcast: index, interface, users, whether the address itself was asked for, address."""
    found: dict[Key, ProcfsGroup] = {}

    def take(line: str) -> None:
        index, interface, users, wanted, address = _words(line)
        octets = bytes.fromhex(address)
        found[int(index), octets.hex(":")] = ProcfsGroup(interface, int(users), global_use=bool(int(wanted)))

    _each("dev_mcast", _lines(text), take, problem)
    return found


class SourceFilter:
    """The sources of one group on one interface: how many users ask for each, and how many refuse it."""

    __slots__ = ("excluded", "included")

    def __init__(self) -> None:
        self.included: dict[str, int] = {}
        self.excluded: dict[str, int] = {}

    def mode(self, users: int | None) -> str | None:
        """What the users want together: exclude as soon as one of them takes all sources but some; None: unknown.

        The kernel reports counts for each source, not how many users have which mode.
        """
        if self.excluded or not self.included:
            return "exclude"
        if users is None:
            return None
        if max(self.included.values()) >= users:
            return "include"
        # A user that includes counts for one source at least.
        return "exclude" if sum(self.included.values()) < users else None

    def refused(self, users: int | None) -> tuple[str, ...] | None:
        """The sources that are not taken: no user includes them, and every one that takes all but some excludes them.

        The kernel compares the users that exclude a source with all that exclude any (ip_check_mc_rcu in
        net/ipv4/igmp.c, inet6_mc_check in net/ipv6/mcast.c), and does not report how many these are. None where the
        counts leave it open.
        """
        if not self.excluded:
            return ()
        if users is None:
            return None
        most = users - max(self.included.values(), default=0)
        least = max(users - sum(self.included.values()), *self.excluded.values())
        found = []
        for source, count in self.excluded.items():
            if source in self.included or count < least:
                continue
            if count < most:
                return None
            found.append(source)
        return tuple(found)


def source_filters(text: str, family: str, problem: Problem | None = None) -> dict[Key, SourceFilter]:
    """/proc/net/mcfilter or mcfilter6: index, interface, group, source, users that include it, that exclude it."""
    found: dict[Key, SourceFilter] = {}
    address: Callable[[str], str] = _ipv4 if family == "inet" else _ipv6

    def take(line: str) -> None:
        index, _, group, source, includes, excludes = _words(line)
        filters = found.setdefault((int(index), address(group)), SourceFilter())
        if int(includes):
            filters.included[address(source)] = int(includes)
        if int(excludes):
            filters.excluded[address(source)] = int(excludes)

    _each("mcfilter" if family == "inet" else "mcfilter6", _lines(text)[1:], take, problem)
    return found


def without_filters(groups: Iterable[Key], filters: Mapping[Key, SourceFilter]) -> set[Key]:
    """The groups, in the order of /proc/net/igmp or igmp6, whose filters are not among those of mcfilter or mcfilter6.

    The kernel looks for the first filter among the newest groups of all interfaces, and goes on from there: up to that
    interface it tells of no other group (igmp_mcf_get_first in net/ipv4/igmp.c, igmp6_mcf_get_first in
    net/ipv6/mcast.c). The newest group is an interface's first.
    """
    first = next(iter(filters), (None, None))[0]
    left_out: set[Key] = set()
    newest = None
    for index, group in groups:
        if index == first:
            break
        if index == newest:
            left_out.add((index, group))
        newest = index
    return left_out


def multicast_interfaces(text: str, family: str) -> Iterator[tuple[int, str, tuple[int, ...], int]]:
    """/proc/net/ip_mr_vif or ip6_mr_vif: number, interface, bytes and packets in and out, and flags."""
    for line in _lines(text)[1:]:
        try:
            number, *words = _words(line)
            yield int(number), words[0], tuple(map(int, words[1:5])), int(words[5], 16)
        except (ValueError, IndexError) as error:
            raise _senseless("ip_mr_vif" if family == "inet" else "ip6_mr_vif", error) from None


def _each(name: str, lines: Iterable[str], take: Callable[[str], None], problem: Problem | None) -> None:
    senseless = 0
    for line in lines:
        try:
            take(line)
        except (ValueError, IndexError, OverflowError, OSError) as error:
            if problem is None:
                raise _senseless(name, error) from None
            senseless += 1
    if senseless and problem is not None:
        problem(f"/proc/net/{name}: {senseless} malformed lines are left out")


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _words(line: str) -> list[str]:
    return list(filter(None, line.replace("\t", " ").split(" ")))


def _senseless(name: str, error: Exception) -> NetinspectError:
    return NetinspectError(f"/proc/net/{name}: malformed line: {error}")


def _ipv4(digits: str) -> str:
    """mcfilter writes numbers: 0xef010101."""
    return inet_ntop(AF_INET, int(digits, 16).to_bytes(4, "big"))


def _ipv6(digits: str) -> str:
    return inet_ntop(AF_INET6, bytes.fromhex(digits))
