"""``netinspect netstat -M``: translated connections."""

from __future__ import annotations

from ..errors import ExitStatus
from ..nouns.conntrack.filter import FlowFilter
from ..nouns.nat.listing import Listing
from .render_masquerade import EXTENDED_HEADING, HEADING, TITLE, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..engine.names import HostNames
    from ..environment import Environment
    from .command import Options

_FIELDS = ("inside_address", "destination_address")


class Masquerade:
    """The table, once or again and again; host names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._services: dict[str, dict[int, str]] = {}
        self._hosts: HostNames | None = None
        if not options.numeric("hosts"):
            from ..engine.names import HostNames

            self._hosts = HostNames()

    def once(self) -> int:
        """Lists once, and returns the exit status. Without any entry nothing is written, as in net-tools."""
        wanted = FlowFilter()
        wanted.families = tuple(self._options.internet)
        extended = self._options.extended > 0
        listing = Listing(wanted)
        batches = listing.batches()
        if self._hosts is not None:
            from ..engine.names import as_named

            self._hosts.restart()
            batches = as_named(batches, self._hosts, _FIELDS)
        heading = TITLE + (EXTENDED_HEADING if extended else HEADING)
        for batch in batches:
            rows = text(batch, self._host, self._port, extended=extended)
            self._environment.write((heading + rows).encode("utf-8", "backslashreplace"))
            heading = ""
        for line in listing.notes + listing.problems:
            self._environment.complain(line)
        return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK

    def _host(self, address: str) -> str:
        return address if self._hosts is None else self._hosts.get(address)

    def _port(self, protocol: str, port: int) -> str:
        if self._options.numeric("ports") or protocol not in ("tcp", "udp", "udplite", "sctp"):
            return str(port)
        names = self._services.get(protocol)
        if names is None:
            from ..engine.names import ServiceNames

            names = self._services[protocol] = ServiceNames(protocol, last=True)
        return names[port]
