"""The nested fields of a link as text, and the columns of its counters and rates."""

from __future__ import annotations

from ...engine.table import Column
from ...engine.text import unknown_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ...engine.columns import Batch
    from ...records import LinkRates, LinkStatistics, XdpProgram

_COUNTERS = {
    "RX Packets": "rx_packets",
    "RX Bytes": "rx_bytes",
    "RX Errors": "rx_errors",
    "RX Dropped": "rx_dropped",
    "TX Packets": "tx_packets",
    "TX Bytes": "tx_bytes",
    "TX Errors": "tx_errors",
    "TX Dropped": "tx_dropped",
    "Multicast": "multicast",
}
_SUMS = frozenset(_COUNTERS.values())
_RATES = {
    "RX bit/s": "rx_bits",
    "TX bit/s": "tx_bits",
    "RX Packets/s": "rx_packets",
    "TX Packets/s": "tx_packets",
    "RX Drops/s": "rx_dropped",
    "TX Drops/s": "tx_dropped",
    "RX Errors/s": "rx_errors",
    "TX Errors/s": "tx_errors",
}


def statistics_text(statistics: LinkStatistics) -> str:
    """The counters that are not zero."""
    return " ".join(f"{name}:{count}" for name, count in statistics._asdict().items() if count) or "0"


def _breakdown(statistics: LinkStatistics) -> str:
    """The counters that are not zero, without those that have columns of their own."""
    counters = statistics._asdict().items()
    return " ".join(f"{name}:{count}" for name, count in counters if count and name not in _SUMS) or "-"


def rates_text(rates: LinkRates) -> str:
    """All rates: ``rx_bits:1200 tx_bits:0 …``."""
    return " ".join(f"{name}:{value:g}" for name, value in rates._asdict().items())


def xdp_text(programs: tuple[XdpProgram, ...]) -> str:
    """As ``driver id 12``."""
    return ", ".join(f"{program.mode} id {program.id}" for program in programs)


def rate_text(value: float) -> str:
    """A rate with a unit that suits it: ``1.25G``."""
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.4g}{unit}"
        value /= 1000
    return f"{value:.4g}T"


def parent_texts(batch: Batch) -> Iterable[str]:
    """The other link, with the namespace that it is in: ``if3 in container``."""
    for parent, namespace in zip(batch.values("parent"), batch.values("parent_namespace"), strict=True):
        yield "-" if parent is None else f"{parent} in {namespace}" if namespace else parent


def statistics_columns() -> list[Column]:
    """A column for each of the main counters, and one for the kinds of errors."""
    columns = [_nested_column(title, "statistics", field, str) for title, field in _COUNTERS.items()]
    return [*columns, Column("Errors by Kind", _breakdowns)]


def rate_columns() -> list[Column]:
    """A column for each rate."""
    return [_nested_column(title, "rates", field, rate_text) for title, field in _RATES.items()]


def _nested_column(title: str, nested: str, field: str, show: Callable[[Any], str]) -> Column:
    def texts(batch: Batch) -> Iterable[str]:
        records = batch.column(nested).nested
        if records is not None:
            return map(show, records.values(field))
        return _map(batch, nested, lambda record: show(getattr(record, field)))

    return Column(title, texts, right=True)


def _breakdowns(batch: Batch) -> Iterable[str]:
    from ...records import LinkStatistics

    records = batch.column("statistics").nested
    kinds = [field for field in LinkStatistics._fields if field not in _SUMS]
    if records is not None and not any(any(records.values(field)) for field in kinds):
        return ["-"] * batch.count
    return _map(batch, "statistics", _breakdown)


def _map(batch: Batch, field: str, show: Callable[[Any], str]) -> Iterable[str]:
    return ["-" if record is None else show(record) for record in batch.values(field)]


def settings_text(settings: Any) -> str:
    """What is reported of a link's kind: ``priority:32768 vlan_filtering:False …``."""
    values = settings._asdict()
    unknown = map(unknown_text, values.pop("unknown_attributes"))
    return " ".join([*(f"{name}:{value}" for name, value in values.items() if value is not None), *unknown]) or "-"


TEXTS: dict[str, Callable[[Any], str]] = {
    "flags": ",".join,
    "alternative_names": lambda names: ",".join(names) or "-",
    "statistics": statistics_text,
    "rates": rates_text,
    "xdp": xdp_text,
    **dict.fromkeys(
        (
            *("bridge", "bridge_port", "vxlan", "tun", "macvlan", "vlan", "bond", "bond_port", "vrf", "ipvlan"),
            *("tunnel", "macsec", "hsr", "xfrm"),
        ),
        settings_text,
    ),
}
"""The text of a field that is not a plain one."""
