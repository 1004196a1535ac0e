"""The grammar of filter expressions (see the package): text to conditions, by recursive descent."""

from __future__ import annotations

from . import filter_values as values
from .filter_conditions import EVERY, LOCAL, REMOTE, And, Autobound, Cgroup, Condition, Expression, Not, Or
from .filter_lookups import Lookups
from .filter_scan import BadValueError, Scanner, Token, Value, quoted
from .filter_states import ALL, STATE_NAMES, state_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_AND = frozenset(("and", "&", "&&"))
_OR = frozenset(("or", "|", "||"))
_NOT = frozenset(("not", "!"))
_COMPARISONS = {
    **dict.fromkeys(("=", "==", "eq"), "="),
    **dict.fromkeys(("!=", "ne", "neq"), "!="),
    **dict.fromkeys(("<", "lt"), "<"),
    **dict.fromkeys((">", "gt"), ">"),
    **dict.fromkeys(("<=", "le", "leq"), "<="),
    **dict.fromkeys((">=", "ge", "geq"), ">="),
}
_OPPOSITES = {"!=": "=", "<": ">=", ">": "<="}
_ENDS = {"sport": LOCAL, "dport": REMOTE, "src": LOCAL, "dst": REMOTE}
_SUBJECTS = (*_ENDS, "dev", "fwmark", "cgroup", "autobound")
_STATE_WORDS = frozenset(("state", "exclude", "excl"))
_RESERVED = _AND | _OR | _NOT | _STATE_WORDS | frozenset(_SUBJECTS) | frozenset(_COMPARISONS)

_DEPTH = 100
"""Parentheses within parentheses: more would need too much of Python's stack."""


def parse(text: str, *, family: str | None = None, lookups: Lookups | None = None) -> Expression:
    """What a filter expression means; an empty one holds for every socket.

    ``family`` is that of hosts and ports that name none, where only one family is listed at all: ``unix``, ``packet``,
    ``netlink`` or ``vsock``; None means IP, of both versions. Raises FilterError for a bad expression. Names of hosts
    and services are looked up right here.
    """
    return _Parser(text, family, lookups or Lookups()).expression()


class _Parser:
    def __init__(self, text: str, family: str | None, lookups: Lookups) -> None:
        self._scanner = Scanner(text)
        self._family = family
        self._lookups = lookups
        self._depth = 0

    def expression(self) -> Expression:
        selected = self._states()
        condition = self._some() if self._scanner.peek().text else EVERY
        token = self._scanner.peek()
        if token.text == ")":
            raise self._scanner.error("')' without '('", token.start)
        if token.text in _STATE_WORDS:
            raise self._scanner.error(f"'{token.text}' must come before all conditions", token.start)
        if token.text:
            raise self._scanner.error("expected 'and', 'or' or another condition", token.start)
        return Expression(selected, condition)

    def _states(self) -> int | None:
        """The leading ``state`` and ``exclude``: the first says where to begin, with none or with all."""
        selected: int | None = None
        while (token := self._scanner.peek()).text in _STATE_WORDS:
            self._scanner.take()
            value = self._value(token, "a state name")
            named = state_bits(value.text)
            if named is None:
                raise self._scanner.error(
                    f"no state {quoted(value.text)}; states are {', '.join(STATE_NAMES)}", value.places[0]
                )
            if token.text == "state":
                selected = (selected or 0) | named
            else:
                selected = (ALL if selected is None else selected) & ~named
        return selected

    def _some(self) -> Condition:
        parts = [self._every()]
        while self._scanner.peek().text in _OR:
            self._scanner.take()
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _every(self) -> Condition:
        parts = [self._one()]
        while True:
            word = self._scanner.peek().text
            if word in _AND:
                self._scanner.take()
            elif word not in _SUBJECTS and word not in _NOT and word != "(":
                return parts[0] if len(parts) == 1 else And(tuple(parts))
            parts.append(self._one())

    def _one(self) -> Condition:
        negated = False
        while self._scanner.peek().text in _NOT:
            self._scanner.take()
            negated = not negated
        token = self._scanner.peek()
        if token.text == "(":
            condition = self._parenthesis()
        elif token.text in _SUBJECTS:
            condition = self._subject(self._scanner.take())
        elif token.text in _STATE_WORDS:
            raise self._scanner.error(f"'{token.text}' must come before all conditions", token.start)
        else:
            what = f"expected a condition ({', '.join(_SUBJECTS)}, not or a parenthesis)"
            raise self._scanner.error(f"{what} instead of {quoted(token.text)}" if token.text else what, token.start)
        return Not(condition) if negated else condition

    def _parenthesis(self) -> Condition:
        opening = self._scanner.take()
        self._depth += 1
        if self._depth > _DEPTH:
            raise self._scanner.error(f"more than {_DEPTH} nested parentheses", opening.start)
        condition = self._some()
        token = self._scanner.peek()
        if token.text != ")":
            raise self._scanner.error("expected 'and', 'or', another condition or ')'", token.start)
        self._scanner.take()
        self._depth -= 1
        return condition

    def _subject(self, subject: Token) -> Condition:
        """What follows sport, dport, src, dst, dev, fwmark or cgroup."""
        word = subject.text
        if word == "autobound":
            return Autobound()
        operator = self._scanner.peek()
        sign = _COMPARISONS.get(operator.text, "")
        if sign:
            self._scanner.take()
            if word not in ("sport", "dport") and sign not in ("=", "!="):
                raise self._scanner.error(f"'{word}' is compared with = and != only", operator.start)
        if word in ("sport", "dport"):
            value = self._value(subject, "a port")
            comparison = _OPPOSITES.get(sign, sign or "=")
            condition = self._read(value, lambda text: self._port(_ENDS[word], comparison, text))
        elif word in ("src", "dst"):
            value = self._value(subject, "an address")
            condition = self._read(value, lambda text: values.host(_ENDS[word], text, self._family, self._lookups))
        elif word == "dev":
            value = self._value(subject, "an interface")
            condition = self._read(value, lambda text: values.interface(text, self._lookups))
        elif word == "fwmark":
            condition = self._read(self._value(subject, "a mark"), values.mark)
        else:
            condition = self._cgroup(self._value(subject, "a cgroup path"))
        return Not(condition) if sign in _OPPOSITES else condition

    def _port(self, side: str, comparison: str, text: str) -> Condition:
        return values.port(side, comparison, text, self._family, self._lookups)

    def _value(self, subject: Token, what: str) -> Value:
        """The value that belongs to ``subject``; what stood between them is in the message where there is none."""
        token = self._scanner.peek()
        value = self._scanner.value()
        written = self._scanner.text[token.start : self._scanner.at]
        if not written or written[0] in "=<>!" or written in _RESERVED:
            before = " ".join(self._scanner.text[subject.start : token.start].split())
            raise self._scanner.error(f"expected {what} after {quoted(before)}", token.start)
        return value

    def _read(self, value: Value, reader: Callable[[str], Condition]) -> Condition:
        try:
            return reader(value.text)
        except BadValueError as error:
            raise self._scanner.error(error.reason, value.places[error.index]) from None

    def _cgroup(self, value: Value) -> Cgroup:
        try:
            return Cgroup(value.text, self._lookups.cgroup_id(value.text))
        except OSError as error:
            reason = error.strerror or str(error)
            raise self._scanner.error(f"cgroup {quoted(value.text)}: {reason}", value.places[0]) from None
