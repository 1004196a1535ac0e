"""What states and columns mean, and what to look at: the texts of ``netinspect explain``, and finding them.

The texts are in explanations.toml. What a field of a record is, its own documentation in records.py says.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_type_hints

from ..errors import UsageError
from ..records import Explanation, Socket

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT = "socket"
_COUNTED = "`netinspect conntrack stats` has it for each processor; `netinspect stats health` judges those of losses."
_COUNTERS_SOURCE = "linux/netfilter/nfnetlink_conntrack.h: CTA_STATS_*; conntrack(8): -S"
_ABSENT = "it does not apply, or the kernel did not report it"
_PLAIN = ("column", "TCP state", "state")
"""The kinds of what people ask for most: sockets come before what else has that name."""
_SOURCE = re.compile(r"\(((?:linux/|[a-z-]+\([1-9]\)|RFC |the kernel)[^()]*(?:\([1-9]\)[^()]*)*)\)", re.DOTALL)
"""Where a record is from, as its documentation has it."""
_REASONS = "nouns/drops/reasons.toml"
_REASONS_SOURCE = "linux/net/dropreason-core.h"


@cache
def explanations() -> tuple[Explanation, ...]:
    """All of them: states, columns in the order of the records, what only netstat shows, reasons of drops."""
    import tomllib

    from ..engine.files import package_text

    data = tomllib.loads(package_text(__name__, "explanations.toml"))
    columns, sources = data["column"], data["default_source"]
    fields = [
        _explanation({"source": sources.get(field.name.rpartition(".")[0] or _DEFAULT)} | columns[field.name], field)
        for field in _documented(Socket)
        if field.name in columns
    ]
    return (
        *map(_explanation, data["state"]),
        *fields,
        *map(_explanation, data["other"]),
        *_of_gateways(),
        *_drop_reasons(),
    )


def _of_gateways() -> Iterator[Explanation]:
    """The words of nat, conntrack, diagnose, path and drops, and the columns of all nouns but sockets."""
    import tomllib

    from ..engine.files import package_text

    gateway = tomllib.loads(package_text(__name__, "gateway.toml"))
    kinds = list(dict.fromkeys(word["kind"] for word in gateway["word"]))
    yield from map(_explanation, sorted(gateway["word"], key=lambda word: kinds.index(word["kind"])))
    yield from _columns(gateway["noun"])
    yield from _counters()
    yield from _columns(tomllib.loads(package_text(__name__, "nouns.toml"))["noun"])


def _columns(nouns: dict[str, Any]) -> Iterator[Explanation]:
    """The columns of these nouns, by their records."""
    from .. import records

    found = {record: list(_documented(getattr(records, record))) for record in nouns}
    # The same field of several records is reported once: a part as that of the record that it is of, where it has one.
    seen = {(field.name.rpartition(".")[2], field.meaning) for field in _documented(Socket)}
    whole: set[tuple[str, str]] = set()
    kept: dict[str, list[Explanation]] = {record: [] for record in nouns}
    for parts_too in (False, True):
        for record, noun in nouns.items():
            for field in found[record]:
                key = field.name.rpartition(".")[2], field.meaning
                if ("." in field.name) != parts_too or key in (seen if parts_too else whole):
                    continue
                seen.add(key)
                whole.add(key)
                source = field.source or noun["source"]
                texts = {"look": noun["look"], "source": source, "aliases": noun["aliases"].get(field.name, ())}
                kept[record].append(_explanation(texts, field)._replace(kind=noun["kind"]))
    for of_record in kept.values():
        yield from of_record


def _counters() -> Iterator[Explanation]:
    """The counters of connection tracking: what they count is theirs to say."""
    from ..nouns.conntrack.decode_statistics import COUNTERS, EXPECTATION_COUNTERS

    for name, meaning in (*COUNTERS.values(), *EXPECTATION_COUNTERS.values()):
        yield Explanation(name, "counter of connection tracking", (), meaning, None, _COUNTED, _COUNTERS_SOURCE)


def _drop_reasons() -> Iterator[Explanation]:
    """Why the kernel drops packets: the texts are those that `netinspect drops` shows."""
    import tomllib

    from ..engine.files import package_text

    for name, (meaning, look) in tomllib.loads(package_text(__name__.partition(".")[0], _REASONS))["reason"].items():
        yield Explanation(
            name=name,
            kind="reason of a drop",
            aliases=(f"SKB_DROP_REASON_{name}",),
            meaning=f"{meaning[0].upper()}{meaning[1:]}.",
            next=None,
            look=look,
            source=_REASONS_SOURCE,
        )


def lookup(name: str) -> list[Explanation]:
    """What goes by that name: a state or a column as netinspect, netstat or ss write it.

    Several may: ``rtt`` is a figure of TCP's and one of a congestion control's. Raises UsageError, with names that
    are spelled alike, where there is none.
    """
    by_key = _by_key()
    wanted = _key(name)
    found = list(by_key.get(wanted, ()))
    if wanted.startswith("tcp_"):  # TCP_CLOSE_WAIT is the kernel's own name
        found += by_key.get(wanted.removeprefix("tcp_"), ())
    prefix, dot, rest = wanted.partition(".")
    if not found and dot and prefix in by_key:  # a part of something that is explained by itself
        return lookup(rest)
    if found:
        return sorted(found, key=lambda explanation: (explanation.kind not in _PLAIN, explanation.name.count(".")))
    from difflib import get_close_matches

    alike = [by_key[key][0].name for key in get_close_matches(wanted, by_key, n=4, cutoff=0.6)]
    hint = f"did you mean {' or '.join(dict.fromkeys(alike))}?" if alike else "`netinspect explain` lists all names"
    error = UsageError(f"no state or column {name!r}: {hint}")
    error.slip = name, alike[:1]
    raise error


@cache
def _by_key() -> dict[str, list[Explanation]]:
    found: dict[str, list[Explanation]] = {}
    for explanation in explanations():
        for key in _keys(explanation):
            found.setdefault(key, []).append(explanation)
    return found


def parts(explanation: Explanation) -> list[Explanation]:
    """The fields of a field that is a record itself."""
    prefix = explanation.name + "."
    return [other for other in explanations() if other.name.startswith(prefix) and "." not in other.name[len(prefix) :]]


class _Documented(NamedTuple):
    """A field of a record, and what its documentation says."""

    name: str
    meaning: str
    absent: str | None
    source: str | None = None
    """Of a part: what its record says in parentheses, a header or a man page."""


def _explanation(data: dict[str, Any], field: _Documented | None = None) -> Explanation:
    return Explanation(
        name=field.name if field else data["name"],
        kind="column" if field else data["kind"],
        aliases=tuple(data.get("aliases", ())),
        meaning=data.get("meaning", field.meaning if field else ""),
        next=data.get("next"),
        look=data["look"],
        source=data["source"],
        absent=field.absent if field else None,
    )


def _documented(record: Any, prefix: str = "") -> Iterator[_Documented]:
    """The fields of a record with their documentation, each followed by its parts."""
    source = _SOURCE.search(record.__doc__ or "") if prefix else None
    for name, hint in get_type_hints(record, include_extras=True).items():
        kind, documentation = hint.__origin__, hint.__metadata__[0]
        absent = _absent(documentation, record.__doc__ or "") if type(None) in get_args(kind) else None
        yield _Documented(prefix + name, documentation, absent, source[1] if source else None)
        for inner in _records_in(kind):
            yield from _documented(inner, f"{prefix}{name}.")


def _absent(documentation: str, of_record: str) -> str:
    """When a field has no value: as its documentation says, else that of its record."""
    for text, before in ((documentation, "None "), (" ".join(of_record.split()), "None: ")):
        _, found, rest = text.partition(before)
        if found:
            return rest.partition(". ")[0].partition(";")[0].rstrip(".")
    return _ABSENT


def _records_in(kind: Any) -> list[Any]:
    if hasattr(kind, "_fields"):
        return [kind]
    return [record for argument in get_args(kind) for record in _records_in(argument)]


def _keys(explanation: Explanation) -> set[str]:
    names = [explanation.name, explanation.name.rpartition(".")[2], *explanation.aliases]
    return set(map(_key, names))


def _key(name: str) -> str:
    return name.strip().casefold().replace("-", "_").replace(" ", "_")
