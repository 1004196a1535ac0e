"""In nft(8)'s words: look-ups in sets and maps, their elements, and what a rule puts into them."""

from __future__ import annotations

from sys import byteorder

from ..uapi import nf_tables as nft
from . import text_values as values
from .machine import register
from .text_conditions import interval
from .text_values import Field, identifier, quoted
from .text_writer import Term, Writer, register_of, verdict_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Element, Expression, Set
    from .text_writer import Statement

_SHOWN = 16
"""Elements of a set within a rule that are shown."""


def _lookup(writer: Writer, expression: Expression) -> None:
    name = expression.text(nft.NFTA_LOOKUP_SET)
    found = writer.ruleset.sets.get((writer.rule.family, writer.rule.table, name))
    at = register(expression.number(nft.NFTA_LOOKUP_SREG))
    terms = writer.parts(at, found.key_length if found is not None else 1)
    key = " . ".join([key_name(writer, term) for term in terms])
    inverted = "!= " if (expression.number(nft.NFTA_LOOKUP_FLAGS) or 0) & 1 else ""
    shown = f"@{identifier(name)}"
    if found is not None and found.anonymous:
        shown = elements_text(writer, found, terms)
    if nft.NFTA_LOOKUP_DREG not in expression.layout:
        writer.words.append(f"{key} {inverted}{shown}")
        return
    target = register(expression.number(nft.NFTA_LOOKUP_DREG))
    if target < 0:
        writer.words.append(f"{key} vmap {shown}")
        return
    kind = values.type_names(found.data_type)[0] if found is not None else "integer"
    size = found.data_length if found is not None else 4
    writer.terms[target] = Term(Field(f"{key} map {shown}", kind, size))


def key_name(writer: Writer, term: Term) -> str:
    if term.mask is not None and term.place is not None and not int.from_bytes(term.flip or b"", "big"):
        mask = int.from_bytes(term.mask, "big")
        part = values.part_of(*term.place, mask, writer.network, writer.protocol)
        if part is not None:
            return part[0]
    return writer.written(term)


def elements_text(writer: Writer, found: Set, terms: list[Term]) -> str:
    """The elements of a set within a rule."""
    elements = writer.ruleset.elements(found)
    if elements is None:
        return f"@{identifier(found.name)}"
    shown = []
    ordered = elements.ordered
    for at, element in enumerate(ordered):
        if element.flags & nft.NFT_SET_ELEM_INTERVAL_END:
            continue
        after = ordered[at + 1].key if at + 1 < len(ordered) else None
        size = len(element.key)
        end = int.from_bytes(after, "big") - 1 if after is not None else (1 << 8 * size) - 1
        last = max(end.to_bytes(size, "big"), element.key) if end >= 0 else element.key
        text = _name_interval(writer, terms[0], element.key, last)
        shown.append(text + _mapped(writer, found, element))
    others = [element for element in elements.all if not element.flags and element not in ordered]
    if len(terms) == 1:
        # As nft(8) lists them; those of a concatenation in the kernel's order.
        host = terms[0].field.type in values.HOST_ORDER and byteorder == "little"
        others.sort(key=lambda element: element.key[::-1] if host else element.key)
    for element in others:
        if element.key:
            shown.append(_key_text(writer, element, terms) + _mapped(writer, found, element))
    if elements.default is not None:
        shown.append("*" + _mapped(writer, found, elements.default))
    if len(shown) > _SHOWN:
        shown = [*shown[:_SHOWN], f"… {len(shown) - _SHOWN} more"]
    return "{ " + ", ".join(shown) + " }"


def _name_interval(writer: Writer, term: Term, first: bytes, last: bytes) -> str:
    if term.field.type == "ifname":
        name = first.rstrip(b"\0")
        if first == last or last == name.ljust(len(last), b"\xff"):
            return quoted(name.decode("utf-8", "backslashreplace") + ("" if first == last else "*"))
        return f"{first.hex()}-{last.hex()}"
    if term.field.type in ("mark", "iface_index", "devgroup", "uid", "gid", "host_integer", "hour"):
        first, last = first[::-1] if not term.swapped else first, last[::-1] if not term.swapped else last
    return interval(writer, term, first, last, prefix=True)


def _key_text(writer: Writer, element: Element, terms: list[Term]) -> str:
    parts = []
    at = 0
    for term in terms:
        size = term.field.size
        first = element.key[at : at + size]
        last = element.end[at : at + size] if element.end is not None else first
        parts.append(
            interval(writer, term, first, last, prefix=True) if first != last else _single(writer, term, first)
        )
        at += max(size + 3 & ~3, 4)
    return " . ".join(parts)


def _single(writer: Writer, term: Term, value: bytes) -> str:
    if term.mask is not None and term.place is not None:
        part = values.part_of(*term.place, int.from_bytes(term.mask, "big"), writer.network, writer.protocol)
        if part is not None:
            return writer.shown((int.from_bytes(value, "big") >> part[1]).to_bytes(len(value), "big"), part[2])
    return writer.shown(term.value(value), term.field.type)


def _mapped(writer: Writer, found: Set, element: Element) -> str:
    if element.verdict is not None:
        return f" : {verdict_text(element.verdict)}"
    if element.object:
        return f" : {quoted(element.object)}"
    if element.data is None or not found.flags & nft.NFT_SET_MAP:
        return ""
    kinds = values.type_names(found.data_type)
    if len(kinds) == 1:
        return f" : {writer.shown(element.data, kinds[0])}"
    sizes = {"ipv4_addr": 4, "ipv6_addr": 16, "inet_service": 2, "inet_proto": 1, "mark": 4}
    parts, at = [], 0
    for kind in kinds:
        parts.append(writer.shown(element.data[at : at + sizes.get(kind, 4)], kind))
        at += sizes.get(kind, 4) + 3 & ~3
    return f" : {' . '.join(parts)}"


def _dynset(writer: Writer, expression: Expression) -> None:
    name = expression.text(nft.NFTA_DYNSET_SET_NAME)
    found = writer.ruleset.sets.get((writer.rule.family, writer.rule.table, name))
    word = ("add", "update", "delete")[min(expression.number(nft.NFTA_DYNSET_OP) or 0, 2)]
    at = register(expression.number(nft.NFTA_DYNSET_SREG_KEY))
    key = " . ".join([key_name(writer, term) for term in writer.parts(at, found.key_length if found else 1)])
    timeout = expression.number(nft.NFTA_DYNSET_TIMEOUT)
    if timeout:
        key += f" timeout {_duration(timeout)}"
    inner = Writer(writer.ruleset, writer.rule, writer.statements)
    parts = expression.expressions(nft.NFTA_DYNSET_EXPRESSIONS)
    single = expression.nested(nft.NFTA_DYNSET_EXPR)
    if single is not None and not parts:
        from .decode import Expression as Nest

        data = single.nested(nft.NFTA_EXPR_DATA)
        if data is not None:
            parts = [Nest(single.text(nft.NFTA_EXPR_NAME), data.data, data.layout)]
    for part in parts:
        if part.name in writer.statements:
            writer.statements[part.name](inner, part)
    key += "".join([f" {words}" for words in inner.words])
    data_at = register_of(expression, nft.NFTA_DYNSET_SREG_DATA)
    if data_at is not None and found is not None:
        key += f" : {writer.assigned(data_at, values.type_names(found.data_type)[0])}"
    writer.words.append(f"{word} @{identifier(name)} {{ {key} }}")


def _duration(milliseconds: int) -> str:
    words = ""
    for size, unit in ((86400000, "d"), (3600000, "h"), (60000, "m"), (1000, "s"), (1, "ms")):
        count, milliseconds = divmod(milliseconds, size)
        words += f"{count}{unit}" if count else ""
    return words


_OBJECTS = {
    1: "counter",
    2: "quota",
    3: "ct helper",
    4: "limit",
    5: "ct count",
    7: "ct timeout",
    8: "meta secmark",
    9: "ct expectation",
    10: "synproxy",
}
"""By type of an object what nft(8) calls it (linux/netfilter/nf_tables.h: NFT_OBJECT_*)."""


def _objref(writer: Writer, expression: Expression) -> None:
    if nft.NFTA_OBJREF_SET_NAME in expression.layout:
        name = expression.text(nft.NFTA_OBJREF_SET_NAME)
        found = writer.ruleset.sets.get((writer.rule.family, writer.rule.table, name))
        at = register(expression.number(nft.NFTA_OBJREF_SET_SREG))
        terms = writer.parts(at, found.key_length if found else 1)
        shown = elements_text(writer, found, terms) if found is not None and found.anonymous else f"@{identifier(name)}"
        kind = _OBJECTS.get(found.object_type or 0, "object") if found else "object"
        key = " . ".join([key_name(writer, term) for term in terms])
        value = f"{key} map {shown}"
    else:
        kind = _OBJECTS.get(expression.number(nft.NFTA_OBJREF_IMM_TYPE) or 0, "object")
        value = quoted(expression.text(nft.NFTA_OBJREF_IMM_NAME))
    words = {"counter": "counter name", "quota": "quota name", "limit": "limit name", "synproxy": "synproxy name"}
    writer.words.append(f"{words.get(kind, f'{kind} set')} {value}")


STATEMENTS: dict[str, Statement] = {"lookup": _lookup, "dynset": _dynset, "objref": _objref}
