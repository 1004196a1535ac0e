"""What a rule's words are made with: what each register holds, and the words so far."""

from __future__ import annotations

from sys import byteorder

from ..engine.text import printable
from . import text_values as values
from .machine import register, verdict_of
from .text_values import Field, identifier, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .decode import Expression, Rule
    from .ruleset import Ruleset

    Statement = Callable[["Writer", Expression], None]
    """Writes one expression, or keeps what it loads for those that follow."""

FAMILY_NAMES = {2: "ip", 10: "ip6"}


class Term:
    """What a register holds: a field, or a value that a rule computes."""

    __slots__ = ("base", "field", "flip", "literal", "mask", "place", "swapped")

    def __init__(self, field: Field, literal: bytes | None = None, place: tuple[int, int, int] | None = None) -> None:
        self.field = field
        self.literal = literal
        self.place = place
        """Header, offset and size, of bytes of the packet."""
        self.mask: bytes | None = None
        self.flip: bytes | None = None
        self.swapped = False
        self.base = field

    def value(self, value: bytes) -> bytes:
        """A value beside this term, as the field has it."""
        return value[::-1] if self.swapped else value


class Writer:
    """Writes the statements of one rule."""

    def __init__(self, ruleset: Ruleset, rule: Rule, statements: Mapping[str, Statement]) -> None:
        """``statements``: by the kernel's name of an expression what writes it."""
        self.ruleset = ruleset
        self.rule = rule
        self.statements = statements
        self.terms: dict[int, Term] = {}
        self.words: list[str] = []
        self.network: str | None = rule.family if rule.family in ("ip", "ip6", "arp") else None
        self.protocol: int | None = None
        self.implied: dict[str, int] = {}
        """Where conditions stand that nft(8) adds by itself: by what they are about."""
        self.bound: tuple[int, Term, bytes] | None = None
        """A lower bound that has just been written, which may be the first half of a range."""

    def text(self) -> str:
        for expression in self.rule.expressions:
            write = self.statements.get(expression.name)
            if write is None:
                self.words.append(f"({expression.name})")
                values.EXACTNESS.lost = True
            else:
                write(self, expression)
        comment = self.rule.comment
        if comment is not None:
            self.words.append(f"comment {quoted(comment)}")
        return printable(" ".join([word for word in self.words if word]))

    def load(self, expression: Expression, kind: int, term: Term) -> None:
        self.terms[register(expression.number(kind))] = term

    def term(self, at: int) -> Term:
        return self.terms.get(at) or Term(Field(f"reg {at // 4}", "integer_hex", 4))

    def uses(self, term: Term) -> None:
        """Takes back the condition that this field implies."""
        field = term.field
        if field.protocol is not None and "protocol" in self.implied:
            self.words[self.implied.pop("protocol")] = ""
        if field.family is not None and "network" in self.implied:
            self.words[self.implied.pop("network")] = ""
        if field.name.startswith("ether ") and "link" in self.implied:
            self.words[self.implied.pop("link")] = ""

    def parts(self, at: int, length: int) -> list[Term]:
        """The terms of a key: one, or those of a concatenation, each at a multiple of four bytes."""
        found = []
        end = at + length
        while at < end:
            term = self.term(at)
            found.append(term)
            self.uses(term)
            size = term.field.size
            at += max(size + 3 & ~3, 4)
        return found

    def written(self, term: Term) -> str:
        """A term in words."""
        self.uses(term)
        if term.literal is not None:
            return self.shown(term.literal, term.field.type)
        name = term.field.name
        if term.mask is None:
            return name
        kind = term.field.type
        size = len(term.mask)
        mask, flip = int.from_bytes(term.mask, "big"), int.from_bytes(term.flip or b"", "big")
        full = (1 << 8 * size) - 1

        def shown(number: int) -> str:
            return self.shown(number.to_bytes(size, "big"), kind)

        if mask == full:
            return f"{name} ^ {shown(flip)}" if flip else name
        if not flip:
            return f"{name} & {shown(mask)}"
        if flip == full ^ mask:
            return f"{name} | {shown(flip)}"
        if not flip & mask:
            return f"{name} & {shown(mask | flip)} | {shown(flip)}"
        return f"{name} & {shown(mask)} ^ {shown(flip)}"

    def assigned(self, at: int, kind: str) -> str:
        """What a register holds, as something of type ``kind`` is set to it."""
        term = self.term(at)
        if term.literal is not None:
            return self.shown(term.literal, kind)
        return self.written(term)

    def shown(self, value: bytes, kind: str) -> str:
        """One value: an interface's index by its name."""
        if kind == "iface_index":
            index = int.from_bytes(value, byteorder)
            return quoted(self.ruleset.interface_name(index)) if index else "0"
        return values.value_text(value, kind)


def verdict_text(found: tuple[int, str]) -> str:
    verdict = verdict_of(*found)
    if verdict.chain:
        return f"{verdict.name} {identifier(verdict.chain)}"
    return verdict.name


def register_of(expression: Expression, kind: int) -> int | None:
    return register(expression.number(kind)) if kind in expression.layout else None
