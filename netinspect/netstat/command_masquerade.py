"""``netinspect netstat -M``: translated connections."""

from __future__ import annotations

from ..errors import ExitStatus
from ..nouns.conntrack.filter import FlowFilter
from ..nouns.nat.listing import TranslationListing
from .render_masquerade import EXTENDED_HEADING, HEADING, TITLE, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.names import HostNames
    from .command import Netstat

_FIELDS = ("inside_address", "destination_address")


class Masquerade:
    """The table, once or again and again; host names are kept from one time to the next."""

    def __init__(self, command: Netstat) -> None:
        from ..engine.names import Services

        self._command = command
        self._environment = command.environment
        self._services = Services(last=True)
        self._hosts: HostNames | None = None
        if not command.numeric_hosts:
            from ..engine.names import HostNames

            self._hosts = HostNames()

    def once(self) -> int:
        """Lists once, and returns the exit status. Without any entry nothing is written, as in net-tools."""
        wanted = FlowFilter()
        wanted.families = tuple(self._command.internet)
        extended = self._command.extended > 0
        listing = TranslationListing(wanted)
        batches = listing.batches()
        if self._hosts is not None:
            from ..engine.names import as_named

            self._hosts.restart()
            # All entries first: the look-ups' own flows are not to be among them.
            batches = as_named(list(batches), self._hosts, _FIELDS)
        heading = TITLE + (EXTENDED_HEADING if extended else HEADING)
        for batch in batches:
            rows = text(batch, self._host, self._port, extended=extended)
            self._environment.write((heading + rows).encode("utf-8", "backslashreplace"))
            heading = ""
        for line in listing.notes + listing.problems:
            self._environment.complain(line)
        if self._hosts is not None and self._hosts.incomplete:
            self._environment.complain(self._hosts.TIMED_OUT)
        return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK

    def _host(self, address: str) -> str:
        return address if self._hosts is None else self._hosts.get(address)

    def _port(self, protocol: str, port: int) -> str:
        if self._command.numeric_ports or protocol not in ("tcp", "udp", "udplite", "sctp"):
            return str(port)
        return self._services.name(protocol, port)
