"""Expressions that look keys up in sets and maps, and put them in (nft_lookup.c, nft_dynset.c)."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from . import decode
from .expressions import MANY
from .expressions_comparing import possible
from .machine import BREAK, CONTINUE, MAY, UNKNOWN_WHY, VERDICT, Doubt, Machine, register, verdict_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .decode import Element, Expression, Set
    from .machine import Program


def _lookup(expression: Expression) -> Program:
    name = expression.text(nft.NFTA_LOOKUP_SET)
    source = register(expression.number(nft.NFTA_LOOKUP_SREG))
    target = register(expression.number(nft.NFTA_LOOKUP_DREG)) if nft.NFTA_LOOKUP_DREG in expression.layout else None
    inverted = bool((expression.number(nft.NFTA_LOOKUP_FLAGS) or 0) & 1)

    def look_up(machine: Machine) -> int:
        found = find_set(machine, name)
        if found is None:
            return machine.maybe(Doubt(UNKNOWN_WHY, f"the set {name} is not there"), name)
        element = matching(machine, found, source)
        if isinstance(element, int):
            # The map gives something, but it is not known what.
            if target is not None and target >= 0:
                doubt = Doubt(UNKNOWN_WHY, f"what map {name} gives")
                machine.store_unknown(target, found.data_length, doubt)
            return CONTINUE if element != inverted else BREAK
        if (element is None) != inverted:
            return BREAK
        if element is None or target is None:
            return CONTINUE
        return take(machine, element, target)

    return look_up


def take(machine: Machine, element: Element, target: int) -> int:
    """Puts what a map maps to into registers, or makes it the verdict."""
    if target < 0:
        machine.verdict = verdict_of(*(element.verdict or (nft.NFT_CONTINUE, "")))
        return VERDICT if machine.verdict.name != "continue" else CONTINUE
    machine.store(target, element.data or b"")
    return CONTINUE


def find_set(machine: Machine, name: str) -> Set | None:
    """A set or map of the table of the rule that is running."""
    return machine.ruleset.sets.get((machine.chain.family, machine.chain.table, name))


_CONDITIONAL = frozenset(("limit", "quota", "connlimit"))


def matching(machine: Machine, found: Set, at: int) -> Element | int | None:
    """The element that the registers' key is in; None: in none; 1: in some one, but which is not known."""
    key, known, doubt = machine.load(at, found.key_length)
    for where, stored, data in reversed(machine.state.stored):
        if where == found.key and stored == key and known is None:
            if data is None:
                return None
            return decode.Element(key, None, 0, data, None, "", ())
    if doubt is None or known is None:
        element = machine.ruleset.find(found, key)
        if element is not None and not _CONDITIONAL.isdisjoint(element.expressions):
            what = f"it depends on the {' and '.join(element.expressions)} of an element of set {found.name}"
            if machine.maybe(Doubt(MAY, what)):
                return None
        return element
    elements = machine.ruleset.elements(found)
    if elements is None:
        return (
            1 if machine.choose(2, Doubt(UNKNOWN_WHY, f"{doubt.reason}, looked up in set {found.name}")) == 0 else None
        )
    candidates, certain = _candidates(found, elements.ordered, elements.all, key, known)
    if elements.default is not None and not certain:
        candidates.append(elements.default)
        certain = True
    if not candidates:
        return None
    if certain and len(candidates) == 1:
        return candidates[0]
    is_map = bool(found.flags & nft.NFT_SET_MAP)
    if is_map:
        distinct = {(element.data, element.verdict, element.object): element for element in candidates}
        candidates = list(distinct.values())
    else:
        if certain:
            return candidates[0]
        candidates = candidates[:1]
    why = Doubt(doubt.kind, f"{doubt.reason}, looked up in {'map' if is_map else 'set'} {found.name}")
    ways = len(candidates) + (not certain)
    if len(candidates) > MANY:
        if found.data_type == 0xFFFFFF00:
            why = Doubt(UNKNOWN_WHY, why.reason)
        return 1 if certain or machine.choose(2, why) == 0 else None
    key_of = (doubt.field, found.key, key, known) if doubt.field else None
    fell = machine.choose(ways, why, key_of) if ways > 1 else 0
    return candidates[fell] if fell < len(candidates) else None


def _candidates(
    found: Set, ordered: Sequence[Element], every: Sequence[Element], key: bytes, known: bytes
) -> tuple[list[Element], bool]:
    """The elements that a key may be in of which not every bit is known, and whether it is in one of them surely."""
    candidates = []
    low, high = possible(key, known)
    for at, element in enumerate(ordered):
        if element.flags & nft.NFT_SET_ELEM_INTERVAL_END:
            continue
        after = ordered[at + 1].key if at + 1 < len(ordered) else None
        if high >= element.key and (after is None or low < after):
            candidates.append(element)
            if low >= element.key and (after is None or high < after):
                return [element], True
    seen = int.from_bytes(known, "big")
    value = int.from_bytes(key, "big") & seen
    exact = 0
    for element in every:
        if element.flags or element in candidates:
            continue
        if element.end is not None:
            parts = list(decode.fields(found, low, high))
            ranges = list(decode.fields(found, element.key, element.end))
            if all(most >= first and least <= last for (least, most), (first, last) in zip(parts, ranges, strict=True)):
                candidates.append(element)
                if all(
                    least >= first and most <= last for (least, most), (first, last) in zip(parts, ranges, strict=True)
                ):
                    return [element], True
        elif not found.flags & nft.NFT_SET_INTERVAL and int.from_bytes(element.key, "big") & seen == value:
            candidates.append(element)
            exact += 1
    open_bits = 8 * len(key) - seen.bit_count()
    # Where every value of a few open bits is in the set, the key surely is.
    return candidates, bool(exact) and open_bits <= 20 and exact == 1 << open_bits


def _dynset(expression: Expression) -> Program:
    name = expression.text(nft.NFTA_DYNSET_SET_NAME)
    source = register(expression.number(nft.NFTA_DYNSET_SREG_KEY))
    data = (
        register(expression.number(nft.NFTA_DYNSET_SREG_DATA))
        if nft.NFTA_DYNSET_SREG_DATA in expression.layout
        else None
    )
    operation = expression.number(nft.NFTA_DYNSET_OP) or 0
    inverted = bool((expression.number(nft.NFTA_DYNSET_FLAGS) or 0) & 1)
    parts = expression.expressions(nft.NFTA_DYNSET_EXPRESSIONS)
    single = expression.nested(nft.NFTA_DYNSET_EXPR)
    names = [part.name for part in parts] + ([single.text(nft.NFTA_EXPR_NAME)] if single is not None else [])
    conditional = [part for part in names if part in ("limit", "quota", "connlimit")]
    words = ("add", "update", "delete")

    def act(machine: Machine) -> int:
        found = find_set(machine, name)
        if found is None:
            return machine.maybe(Doubt(UNKNOWN_WHY, f"the set {name} is not there"), name)
        key, known, _ = machine.load(source, found.key_length)
        value = bytes(machine.data[data : data + found.data_length]) if data is not None and data >= 0 else b""
        if operation == nft.NFT_DYNSET_OP_DELETE:
            if known is None:
                machine.state.stored += ((found.key, key, None),)
            machine.act("set", f"deleted from @{name}")
            return CONTINUE
        there = matching(machine, found, source)
        full = found.size is not None and found.number is not None and found.number >= found.size
        if there is None and full and machine.maybe(Doubt(MAY, f"set {name} is full, but may not be when it comes")):
            return BREAK if not inverted else CONTINUE
        if known is None and there is None:
            machine.state.stored += ((found.key, key, value),)
        machine.act("set", f"{words[min(operation, 2)]} @{name}")
        if conditional:
            why = f"it depends on the {' and '.join(conditional)} of an element of set {name}"
            return machine.maybe(Doubt(MAY, why))
        return BREAK if inverted else CONTINUE

    return act


COMPILERS: dict[str, Callable[[Expression], Program]] = {"lookup": _lookup, "dynset": _dynset}
