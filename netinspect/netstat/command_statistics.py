"""``netinspect netstat -s``: the counters of the SNMP MIBs."""

from __future__ import annotations

from ..errors import NetinspectError
from ..nouns.statistics.listing_mibs import tables
from .render_statistics import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PROTOCOLS = ("raw", "tcp", "udp", "sctp")
_FILES = {"inet": ("snmp", "netstat", "sctp/snmp"), "inet6": ("snmp6", "snmp")}


def statistics(families: Sequence[str], named: Sequence[str], problem: Callable[[str], object]) -> str:
    """The counters of one family, IPv4 where none is named, of the named protocols; none is all of them.

    ``problem`` is called for each file that cannot be read. Raises NetinspectError for a family that has no counters,
    and where no file can be read.
    """
    family = ",".join(families) or "inet"
    if family not in _FILES:
        raise NetinspectError(f"No statistics support for specified address family: {family}")
    protocols = {*named} or set(_PROTOCOLS)
    found = []
    failures: list[NetinspectError] = []
    for file in _FILES[family]:
        try:
            found += tables(file)
        except NetinspectError as error:
            failures.append(error)
    if failures and not found:
        raise failures[0]
    for failure in failures:
        problem(str(failure))
    if family == "inet6":
        # TCP counts both families together; net-tools shows it with each.
        found = [table for table in found if "6" in table[0] or table[0].startswith("Tcp")]
    return text(found, protocols)
