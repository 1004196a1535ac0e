"""The SNMP MIBs of the current thread's network namespace, from procfs: they have no netlink source."""

from __future__ import annotations

from ...procfs import network_text
from . import decode_text as statistics_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode_text import Table


def _by_title(text: str, name: str) -> list[Table]:
    return statistics_text.by_title(statistics_text.columns(text, name))


def _single(title: str) -> Callable[[str, str], list[Table]]:
    return lambda text, name: [(title, statistics_text.columns(text, name))]


FILES: dict[str, Callable[[str, str], list[Table]]] = {
    "snmp": statistics_text.pairs,
    "netstat": statistics_text.pairs,
    "snmp6": _by_title,
    "sctp/snmp": _single("Sctp"),
    "xfrm_stat": _single("Xfrm"),
    "tls_stat": _single("Tls"),
    "sockstat": statistics_text.socket_counts,
    "sockstat6": statistics_text.socket_counts,
}
"""Files of /proc/net, and how each is read."""


def tables(file: str) -> list[Table]:
    """The tables of one of these files; none where this kernel lacks it. Raises NetinspectError."""
    text = network_text(file)
    return [] if text is None else FILES[file](text, file)


def of_interface(name: str) -> dict[str, int] | None:
    """IPv6's counters of one interface, by name; None where there is no such file. Raises NetinspectError."""
    file = f"dev_snmp6/{name}"
    text = network_text(file)
    return None if text is None else dict(statistics_text.columns(text, file))
