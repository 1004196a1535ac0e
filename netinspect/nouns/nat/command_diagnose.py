"""``netinspect nat diagnose``: findings, each with its evidence, why it matters, and what would put it right."""

from __future__ import annotations

from ...engine.terminal import report
from ...engine.text import printable
from ...errors import ExitStatus, NetinspectError
from ...records import Finding
from ..path.filter_words import flow_words
from .diagnose import diagnosed
from .diagnose_findings import NOTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .command import Nat


def show_findings(command: Nat) -> int:
    """Writes what is found, and returns the exit status."""
    findings: list[Finding] = []
    incomplete = False
    places = command.places()
    command.environment.doing = f"watching flows for {command.sample:g} s and following packets"
    for place in places:
        try:
            place.open()
            words = flow_words(command.words) if command.words else None
            findings += diagnosed(place, words, command.wanted, command.sample)
        except NetinspectError as error:
            if len(places) == 1:
                raise
            command.environment.complain(f"namespace {place.label}: {error}")
            incomplete = True
        finally:
            place.close()
    if findings or not incomplete or command.format != "table":
        _write(findings, command)
    if incomplete:
        return ExitStatus.INCOMPLETE
    return ExitStatus.FOUND if any(finding.severity != NOTE for finding in findings) else ExitStatus.OK


def _write(findings: Sequence[Finding], command: Nat) -> None:
    if command.format != "table" or command.chosen is not None or command.sort:
        command.write_records(findings)
        return
    blocks = [_block(finding, labelled=command.labelled) for finding in findings]
    text = "\n".join(blocks) or "nothing found that breaks address translation\n"
    report(command, text)


def cell(value: object) -> str:
    """A part of a finding in a table."""
    return "; ".join(value) if isinstance(value, tuple) else str(value)


def _block(finding: Finding, *, labelled: bool) -> str:
    where = f"{finding.netns}: " if labelled and finding.netns else ""
    lines = [f"{where}{finding.severity}: {finding.check}: {finding.subject}"]
    lines += [f"    seen: {text}" for text in finding.evidence]
    lines.append(f"    why:  {finding.why}")
    if finding.fix:
        lines.append(f"    fix:  {finding.fix}")
    if finding.advice:
        lines.append(f"    advice: {finding.advice}")
    return "\n".join(map(printable, lines)) + "\n"
