"""The steps of a walk, and the end of it."""

from __future__ import annotations

from ...engine.quoting import nft_identifier, nft_string, shell_line
from ...engine.text import raw
from ...records import PathStep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .listing_stack import Stack
    from .walk_packet import Packet

PASSES, DROPPED, UNKNOWN, DELIVERED, LEAVES = "passes", "dropped", "unknown", "delivered", "leaves"
ARRIVES, FAILS = "arrives", "fails"
SPREAD = "which next hop a flow takes depends on a hash of it"
"""Why there are several ways by routes with several next hops."""


UNWRITABLE_ADVICE = "the command for it would have to name something that cannot be written in one"
_SPECIAL = frozenset("*?[]{}=\\")
_LONGEST_CHAIN = 29
_UNWRITABLE = "\0"
"""What no command line can have: one with it is none."""


def pasted(words: Sequence[str]) -> str:
    """A command line to paste; empty where a name in it cannot be written. Names are as records have them."""
    return shell_line([raw(word).decode("utf-8", "surrogateescape") for word in words]) or ""


def nft_name(name: str) -> str:
    """The name of a table or chain within a command that is given to ``pasted``."""
    return nft_identifier(name) or _UNWRITABLE


def nft_interface(name: str) -> str:
    """The name of an interface, quoted, within a command that is given to ``pasted``."""
    return nft_string(name) or _UNWRITABLE


def iptables_interface(name: str) -> str:
    """The name of an interface, as a word of iptables within a command that is given to ``pasted``.

    A plus sign at its end would stand for any text, and an exclamation mark for the opposite.
    """
    return _UNWRITABLE if name.endswith("+") or name == "!" else name


def iptables_chain(name: str) -> str:
    """The name of a chain, as a word of iptables within a command that is given to ``pasted``.

    nft(8) makes longer ones than iptables takes (linux/netfilter/x_tables.h: XT_EXTENSION_MAXNAMELEN).
    """
    return name if 0 < len(name.encode("utf-8", "surrogateescape")) < _LONGEST_CHAIN else _UNWRITABLE


def sysctl_set(setting: str, value: int) -> str:
    """The command that sets it; ``setting`` has slashes where an interface is named in it.

    sysctl(8) takes a setting for a pattern, and ends it at the first equals sign.
    """
    if _SPECIAL.isdisjoint(setting):
        return pasted(["sysctl", "-w", f"{setting}={value}"])
    path = pasted([f"/proc/sys/{setting}"])
    return path and f"echo {value} > {path}"


class Steps:
    """What a walk has found so far. ``home`` is the namespace in which fixes can be pasted."""

    def __init__(self, home: Stack, direction: str = "there") -> None:
        self.home = home
        self.direction = direction
        self.list: list[PathStep] = []
        self.outcome = UNKNOWN
        """dropped, delivered, leaves or unknown."""
        self.unknown: list[str] = []
        """What could not be known on the way."""
        self.facts: dict[str, Any] = {}
        """What the step that stops it knows beside its text."""
        self.stopped_in: Stack | None = None

    def passes(
        self, stack: Stack, stage: str, subject: object, packet: Packet, *evidence: str, why: str | None = None
    ) -> None:
        """A step that lets the packet on."""
        self._add(stack, stage, subject, PASSES, packet, evidence, why=why)

    def unknowable(self, stack: Stack, stage: str, subject: object, packet: Packet, *evidence: str, why: str) -> None:
        """A step whose outcome cannot be known; the walk goes on."""
        self.unknown.append(why)
        self._add(stack, stage, subject, UNKNOWN, packet, evidence, why=why)

    def dropped(
        self,
        stack: Stack,
        stage: str,
        subject: object,
        packet: Packet,
        cause: str,
        evidence: Sequence[str],
        why: str,
        fix: Sequence[str] | str = "",
        advice: str = "",
        **facts: Any,
    ) -> None:
        """The step at which it ends. ``fix`` is a command as words, or ready to paste."""
        command = fix if isinstance(fix, str) else pasted(fix)
        if fix and not command and not advice:
            advice = UNWRITABLE_ADVICE
        if command and stack is not self.home:
            # What is pasted runs here, not there.
            advice = self.run_in(stack, command) + (f"; {advice}" if advice else "")
            command = ""
        self.outcome = DROPPED
        self.stopped_in = stack
        self.facts = facts
        self._add(stack, stage, subject, DROPPED, packet, evidence, cause=cause, why=why, fix=command, advice=advice)

    def ends(
        self,
        stack: Stack,
        stage: str,
        subject: object,
        verdict: str,
        packet: Packet,
        *evidence: str,
        why: str | None = None,
    ) -> None:
        """The step at which it is delivered, or leaves what can be looked at."""
        self.outcome = verdict
        self.stopped_in = stack
        self._add(stack, stage, subject, verdict, packet, evidence, why=why)

    def run_in(self, stack: Stack, command: str) -> str:
        """A command within an advice, as ``pasted`` makes it: with where it is to be run, unless that is here."""
        if not command:
            return UNWRITABLE_ADVICE
        return command if stack is self.home else f"in namespace {stack.label}: {command}"

    @property
    def failure(self) -> PathStep | None:
        """The step that dropped it."""
        return self.list[-1] if self.list and self.outcome == DROPPED else None

    def _add(
        self,
        stack: Stack,
        stage: str,
        subject: object,
        verdict: str,
        packet: Packet,
        evidence: Sequence[str],
        **fields: Any,
    ) -> None:
        self.list.append(
            PathStep(
                len(self.list) + 1,
                self.direction,
                "here" if stack is self.home else stack.label,
                stage,
                str(subject),
                verdict,
                packet.record(),
                tuple(evidence),
                **fields,
            )
        )
