"""``netinspect nat diagnose``: findings, each with its evidence, why it matters, and what would put it right."""

from __future__ import annotations

from shlex import join

from ...engine.text import printable
from ...errors import ExitStatus, NetinspectError, UsageError
from ...records import Finding
from ..conntrack.filter import FlowFilter, port_of, prefix_of, protocol_of
from .diagnose import diagnose
from .diagnose_findings import NOTE, flow_text
from .diagnose_situation import Situation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .command import Nat


def show_findings(command: Nat) -> int:
    """Writes what is found, and returns the exit status."""
    wanted = narrowed(command.wanted, command.words)
    findings: list[Finding] = []
    incomplete = False
    places = command.places()
    for place in places:
        try:
            place.open()
            situation = Situation(place, wanted, command.sample)
            findings += diagnose(situation)
            if command.words:
                findings += _of_flow(situation, " ".join(command.words))
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


def narrowed(wanted: FlowFilter, words: Sequence[str]) -> FlowFilter:
    """The filter for one flow: ``[PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]]``. Raises UsageError."""
    words = list(words)
    if words and not any(mark in words[0] for mark in ".:"):
        wanted.protocols.add(protocol_of(words.pop(0)))
    if len(words) > 2:
        raise UsageError(f"a flow is [PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]], not {' '.join(words)!r}")
    for side, word in zip(("source", "destination"), words, strict=False):
        address, port = _split(word)
        wanted.addresses.setdefault(f"{side}_address", []).append(prefix_of(address))
        if port:
            wanted.ports.setdefault(f"{side}_port", set()).add(port_of(port))
    return wanted


def _split(word: str) -> tuple[str, str]:
    """An address and a port: IPv6 addresses with a port stand in brackets."""
    if word.startswith("["):
        address, _, port = word[1:].partition("]")
        return address, port.removeprefix(":")
    if word.count(":") == 1:
        address, _, port = word.partition(":")
        return address, port
    return word, ""


def _of_flow(situation: Situation, text: str) -> list[Finding]:
    """What there is to say of the one flow that was asked for."""
    matching = situation.matching
    label = situation.place.label
    if not matching:
        return [
            Finding(
                "flow",
                "error",
                text,
                (f"conntrack: no entry of {situation.count.entries} is of this flow",),
                "its packets do not come here, are dropped before they are tracked, or the entry has expired",
                join(["tcpdump", "-ni", "any", "host", _split(text.split()[-1])[0]]),
                label,
            )
        ]
    silent = [flow for flow in matching.examples if "SEEN_REPLY" not in flow.status]
    if silent:
        return [
            Finding(
                "flow",
                "error",
                text,
                tuple(f"conntrack: {flow_text(flow)}, without a reply" for flow in silent),
                "the flow is tracked, and no reply to it has been seen here",
                f"tcpdump -ni any host {silent[0].destination_address}",
                label,
            )
        ]
    evidence = tuple(f"conntrack: {flow_text(flow)}" for flow in matching.examples)
    return [Finding("flow", NOTE, text, evidence, "the flow is tracked, and replies to it are seen", "-", label)]


def _write(findings: Sequence[Finding], command: Nat) -> None:
    if command.format != "table" or command.chosen is not None or command.sort:
        command.write_records(findings)
        return
    blocks = [_block(finding, labelled=command.labelled) for finding in findings]
    text = "\n".join(blocks) or "nothing found that breaks address translation\n"
    command.environment.write(text.encode("utf-8", "backslashreplace"))


def cell(value: object) -> str:
    """A part of a finding in a table."""
    return "; ".join(value) if isinstance(value, tuple) else str(value)


def _block(finding: Finding, *, labelled: bool) -> str:
    where = f"{finding.netns}: " if labelled and finding.netns else ""
    lines = [f"{where}{finding.severity}: {finding.check}: {finding.subject}"]
    lines += [f"    seen: {text}" for text in finding.evidence]
    lines += [f"    why:  {finding.why}", f"    fix:  {finding.fix}"]
    return "\n".join(map(printable, lines)) + "\n"
