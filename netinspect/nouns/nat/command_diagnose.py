"""``netinspect nat diagnose``: findings, each with its evidence, why it matters, and what would put it right."""

from __future__ import annotations

from ...engine.terminal import report
from ...engine.text import printable
from ...errors import ExitStatus, NetinspectError
from ...records import Finding
from ..conntrack.filter import FlowFilter, prefix_of
from ..path.filter_words import FlowWords, flow_words
from .diagnose import diagnose
from .diagnose_findings import NOTE
from .diagnose_situation import Situation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .command import Nat


def show_findings(command: Nat) -> int:
    """Writes what is found, and returns the exit status."""
    findings: list[Finding] = []
    incomplete = False
    places = command.places()
    for place in places:
        try:
            place.open()
            words = flow_words(command.words) if command.words else None
            wanted = command.wanted if words is None else narrowed(command.wanted, words)
            situation = Situation(place, wanted, command.sample, asked=words is not None)
            try:
                findings += diagnose(situation, words)
            finally:
                situation.stacks.close()
        except NetinspectError as error:
            if len(places) == 1:
                raise
            command.environment.complain(f"namespace {place.label}: {error}")
            incomplete = True
        finally:
            place.close()
    _write(findings, command)
    if incomplete:
        return ExitStatus.INCOMPLETE
    return ExitStatus.FOUND if any(finding.severity != NOTE for finding in findings) else ExitStatus.OK


def narrowed(wanted: FlowFilter, words: FlowWords) -> FlowFilter:
    """The filter with what was reported of one flow. Raises UsageError."""
    if words.protocol is not None:
        wanted.protocols.add(words.protocol)
    for side in ("source", "destination"):
        address, port = getattr(words, side), getattr(words, f"{side}_port")
        if address is not None:
            wanted.addresses.setdefault(f"{side}_address", []).append(prefix_of(address))
        if port is not None:
            wanted.ports.setdefault(f"{side}_port", set()).add(port)
    return wanted


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
