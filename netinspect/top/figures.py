"""Figures as people read them on a screen: three digits and a unit, and bars for a history."""

from __future__ import annotations

from ..engine.addresses import endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIXES = "kMGTPE"
_BARS = "▁▂▃▄▅▆▇█"


def short(value: float) -> str:
    """A number in at most five characters: 0, 0.25, 999, 1.23k, 45.6M. Prefixes are of 1000."""
    if value < 0:
        return f"-{short(-value)}"
    if value < 999.5:
        return f"{value:.0f}" if value >= 99.95 or value == int(value) else f"{value:.3g}"
    for prefix in _PREFIXES:
        value /= 1000
        if value < 999.5 or prefix == _PREFIXES[-1]:
            break
    return (f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}") + prefix


def counted(number: int, name: str) -> str:
    """``1 flow``, ``1,234 flows``."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def end_text(address: str | None, port: int | None) -> str:
    """An end of a socket or a flow."""
    return "-" if address is None else endpoint(address, port)


def per_second(value: float | None, unit: str = "B") -> str:
    """A rate with its unit."""
    return "-" if value is None else f"{short(value)} {unit}/s"


def bars(values: Sequence[float | None], width: int) -> str:
    """The last values as bars, the tallest the largest; a blank where there was none."""
    shown = values[-width:]
    most = max((value for value in shown if value is not None), default=0) or 1
    return "".join(" " if value is None else _BARS[min(int(8 * max(value, 0) / most), 7)] for value in shown)
