"""``netinspect stats health``: what an administrator should look at first."""

from __future__ import annotations

from ...engine.schema import rows_of
from ...engine.table import Field
from ...errors import ExitStatus
from .listing_health import OK, Health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.table import Column
    from ...environment import Environment
    from ...records import HealthCheck
    from .command import Options

_WIDEST = 100


def health(options: Options, environment: Environment) -> int:
    """Looks once, or twice with --rates. Raises NetinspectError."""
    looked = Health(options.output.places(environment), seconds=options.seconds, since=options.sample())
    found = looked.checks()
    writer = options.output.writer(options.fields, lambda: _columns(options), environment)
    if found:
        for batch in options.output.sorted([rows_of(found)]):
            writer.add(batch)
    writer.end()
    if options.output.format == "table" and options.output.columns is None:
        environment.write(_advice(found, min(environment.columns, _WIDEST)).encode())
    for text in looked.notes + looked.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if looked.problems else ExitStatus.OK


def _columns(options: Options) -> list[Column]:
    if options.output.columns is not None:
        return [Field(field, field) for field in options.fields]
    shown: list[Column] = [
        Field("State", "state"),
        Field("Check", "check"),
        Field("Value", "value", "{:g}".format),
        Field("Warning", "warning", "{:g}".format),
        Field("Critical", "critical", "{:g}".format),
        Field("Unit", "unit"),
        Field("Found", "found"),
    ]
    if "netns" in options.fields:
        shown.insert(0, Field("Namespace", "netns"))
    return shown


def _advice(found: Iterable[HealthCheck], width: int) -> str:
    """What to do about all that is not well, and why that is judged so."""
    from textwrap import fill

    lines: list[str] = []
    for name, check in {check.check: check for check in found if check.state not in (OK, "unknown")}.items():
        lines += ["", f"{name}:"]
        for label, text in (("", check.advice), ("Threshold: ", check.reason)):
            lines.append(fill(label + text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))
    return "\n".join(lines) + "\n" if lines else ""
