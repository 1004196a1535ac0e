"""``netinspect netstat -r``: the routing tables, and what is learned beside them (-C)."""

from __future__ import annotations

from ..engine.files import table_lines
from ..errors import ExitStatus, UsageError
from ..nouns.routing.listing import MAIN_TABLE, Query, RouteListing
from . import render_routes as layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..engine.columns import Batch
    from ..engine.names import HostNames
    from .command import Netstat

_IPV6_TABLES = (254, 255)
"""Tables that there are in any case: main and local."""
_NETWORKS_FILE = "/etc/networks"


class Routes:
    """What `netstat -r` shows, once or again and again; host names are kept from one time to the next."""

    def __init__(self, command: Netstat) -> None:
        """Raises UsageError for a family without routes."""
        self._environment = command.environment
        self._families = list(dict.fromkeys(command.in_order)) or ["inet"]
        for family in self._families:
            if family not in ("inet", "inet6"):
                raise UsageError(f"No routing for address family `{family}'.")
        self._cache = command.cache
        self._fib = command.fib or not self._cache
        # With -e netstat shows metrics instead of TCP's figures, with -ee both.
        self._level = {0: 2, 1: 1}.get(command.extended, 3)
        self._hosts: HostNames | None = None
        if not command.numeric_hosts:
            from ..engine.names import HostNames

            self._hosts = HostNames()
        self._problems: list[str] = []

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        self._problems = []
        if self._hosts is not None:
            self._hosts.restart()
        for family in self._families:
            if self._fib:
                self._table(family)
            if self._cache:
                self._cached(family)
        for text in self._problems:
            self._environment.complain(text)
        if self._hosts is not None and self._hosts.incomplete:
            self._environment.complain(self._hosts.TIMED_OUT)
        return ExitStatus.INCOMPLETE if self._problems else ExitStatus.OK

    def _table(self, family: str) -> None:
        """The routes of a family: for IPv4 those of the main table, for IPv6 of all tables, as in procfs."""
        if family == "inet6":
            self._write(layout.IPV6_TITLE + layout.IPV6_HEADING)
            advertised = Query(("inet6",), table=None, advertised=True)
            prefixes = {
                key
                for batch in self._listed(advertised)
                for key in zip(*map(batch.values, layout.ADVERTISED), strict=True)
            }
            self._ipv6(self._listed(Query(("inet6",), table=None)), prefixes)
            return
        self._write(layout.IPV4_TITLE + layout.ipv4_heading(self._level))
        networks = _network_names().get
        rows = layout.IPv4Rows(self._level, self._host, None if self._host is None else lambda net: networks(net, net))
        for batch in self._named(self._listed(Query(("inet",), table=MAIN_TABLE))):
            self._write(rows.text(batch))

    def _cached(self, family: str) -> None:
        """What was learned about single destinations, in the layout of the routing cache of old."""
        exceptions = self._named(self._listed(Query((family,), table=None, exceptions=True)))
        if family == "inet6":
            self._write(layout.IPV6_CACHE_TITLE + layout.IPV6_HEADING)
            rows = layout.IPv6Rows(self._host)
            for batch in exceptions:
                self._write(rows.text(batch))
            return
        self._write(layout.IPV4_CACHE_TITLE + layout.ipv4_heading(self._level, cache=True))
        for batch in exceptions:
            self._write("".join([layout.ipv4_cache_row(found, self._level, self._host) for found in batch]))

    def _ipv6(self, batches: Iterable[Batch], advertised: set[layout.Advertised]) -> None:
        rows = layout.IPv6Rows(self._host, advertised)
        waiting = sorted(_IPV6_TABLES)
        current: int | None = None
        default = False
        for table, batch in _by_table(self._named(batches)):
            if table != current:
                if current is not None and not default:
                    self._write(rows.null_row())
                current, default = table, False
                # The kernel goes by the low byte of a table's number; main and local are there even if empty.
                while waiting and waiting[0] & 0xFF < table & 0xFF:
                    waiting.pop(0)
                    self._write(rows.null_row())
                if table in waiting:
                    waiting.remove(table)
            self._write(rows.text(batch))
            default |= "::/0" in batch.values("destination")
        if current is not None and not default:
            self._write(rows.null_row())
        for _ in waiting:
            self._write(rows.null_row())

    def _listed(self, query: Query) -> Iterator[Batch]:
        listing = RouteListing(query)
        yield from listing.batches()
        self._problems += listing.problems

    @property
    def _host(self) -> Callable[[str], str] | None:
        return None if self._hosts is None else self._hosts.get

    def _named(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, each when the names of its addresses are known or given up. Networks are no hosts."""
        for batch in batches:
            if self._hosts is not None:
                whole = ("32", "128")
                destinations = (text.split("/") for text in batch.values("destination"))
                self._hosts.want([address for address, length in destinations if length in whole])
                self._hosts.want(batch.values("gateway"))
                self._hosts.settle()
            yield batch

    def _write(self, text: str) -> None:
        if text:
            self._environment.write(text.encode("utf-8", "backslashreplace"))


def _by_table(batches: Iterable[Batch]) -> Iterator[tuple[int, Batch]]:
    """The batches in parts of one table each."""
    for batch in batches:
        column = batch.column("table_id")
        if column.constant:
            yield column.value, batch
            continue
        for table in column.distinct():
            yield table, batch.select([other == table for other in batch.values("table_id")])


def _network_names() -> dict[str, str]:
    """Names of networks (networks(5)) by the address that the file has."""
    names: dict[str, str] = {}
    for line in table_lines(_NETWORKS_FILE):
        words = line.partition("#")[0].split()
        if len(words) >= 2:
            address = words[1] + ".0" * (3 - words[1].count("."))
            names.setdefault(address, words[0])
    return names
