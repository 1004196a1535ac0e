"""``netinspect stats health``: what an administrator should look at first."""

from __future__ import annotations

from ...engine.table import Field
from .listing_health import OK, Health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.table import Column
    from ...records import HealthCheck
    from .command import Stats

_WIDEST = 100


def health(command: Stats) -> int:
    """Looks once, or twice with --rates. Raises NetinspectError."""
    looked = Health(command.places(), seconds=command.interval, since=command.sample())
    found = looked.checks()
    command.write_records(found)
    if command.format == "table" and command.chosen is None:
        width = min(command.environment.columns, _WIDEST)
        command.environment.write(_advice(found, width).encode())
    return command.ended(looked)


def health_columns() -> list[Column]:
    """The columns of a table of checks."""
    return [
        Field("State", "state"),
        Field("Check", "check"),
        Field("Value", "value", "{:g}".format),
        Field("Warning", "warning", "{:g}".format),
        Field("Critical", "critical", "{:g}".format),
        Field("Unit", "unit"),
        Field("Found", "found"),
    ]


def _advice(found: Iterable[HealthCheck], width: int) -> str:
    """Advice for all checks that are not ok, with the reason for the thresholds."""
    from textwrap import fill

    lines: list[str] = []
    for name, check in {check.check: check for check in found if check.state not in (OK, "unknown")}.items():
        lines += ["", f"{name}:"]
        for label, text in (("", check.advice), ("Threshold: ", check.reason)):
            lines.append(fill(label + text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    return "\n".join(lines) + "\n" if lines else ""
