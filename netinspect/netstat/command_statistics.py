"""``netinspect netstat -s``: the counters of the SNMP MIBs."""

from __future__ import annotations

from ..errors import NetinspectError
from ..nouns.statistics.listing_mibs import tables
from .render_statistics import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PROTOCOLS = ("raw", "tcp", "udp", "sctp")
_FILES = {"inet": ("snmp", "netstat", "sctp/snmp"), "inet6": ("snmp6", "snmp")}


def statistics(families: Sequence[str], named: Sequence[str]) -> str:
    """The counters of one family, IPv4 where none is named, of the named protocols; none is all of them.

    Raises NetinspectError for a family that has no counters, and where procfs cannot be read.
    """
    family = ",".join(families) or "inet"
    if family not in _FILES:
        raise NetinspectError(f"No statistics support for specified address family: {family}")
    protocols = {*named} or set(_PROTOCOLS)
    found = [table for file in _FILES[family] for table in tables(file)]
    if family == "inet6":
        # TCP counts both families together; net-tools shows it with each.
        found = [table for table in found if "6" in table[0] or table[0].startswith("Tcp")]
    return text(found, protocols)
