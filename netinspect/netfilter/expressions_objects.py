"""Expressions that refer to a named object: counter, quota, helper … (nft_objref.c)."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from .expressions_chance import quota
from .expressions_ending import synproxied
from .expressions_sets import find_set, matching
from .expressions_tracking import tracking_of
from .machine import BREAK, CONTINUE, MAY, UNKNOWN_WHY, Doubt, Machine, register
from .packet import Tracking, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program

_OBJECTS = {
    nft.NFT_OBJECT_COUNTER: "counter",
    nft.NFT_OBJECT_QUOTA: "quota",
    nft.NFT_OBJECT_CT_HELPER: "helper",
    nft.NFT_OBJECT_LIMIT: "limit",
    nft.NFT_OBJECT_CONNLIMIT: "connlimit",
    nft.NFT_OBJECT_CT_TIMEOUT: "timeout",
    nft.NFT_OBJECT_SECMARK: "secmark",
    nft.NFT_OBJECT_CT_EXPECT: "expectation",
    nft.NFT_OBJECT_SYNPROXY: "synproxy",
}


def _objref(expression: Expression) -> Program:
    if nft.NFTA_OBJREF_SET_NAME in expression.layout:
        name = expression.text(nft.NFTA_OBJREF_SET_NAME)
        source = register(expression.number(nft.NFTA_OBJREF_SET_SREG))

        def by_map(machine: Machine) -> int:
            found = find_set(machine, name)
            if found is None:
                return machine.maybe(Doubt(UNKNOWN_WHY, f"the map {name} is not there"), name)
            element = matching(machine, found, source)
            if element is None:
                return BREAK
            if isinstance(element, int):
                return machine.maybe(Doubt(UNKNOWN_WHY, f"which object map {name} gives"))
            return _apply(machine, found.object_type or 0, element.object)

        return by_map
    kind = expression.number(nft.NFTA_OBJREF_IMM_TYPE) or 0
    name = expression.text(nft.NFTA_OBJREF_IMM_NAME)
    return lambda machine: _apply(machine, kind, name)


def _apply(machine: Machine, kind: int, name: str) -> int:
    """What a named object does to the packet."""
    word = _OBJECTS.get(kind)
    found = machine.ruleset.objects.get((machine.chain.family, machine.chain.table, name))
    if word == "quota" and found is not None and found.data is not None:
        return quota(found.data)(machine)
    if word in ("limit", "connlimit", "quota"):
        return machine.maybe(Doubt(MAY, f"it depends on the packets before ({word} {name})"))
    if word == "synproxy":
        return synproxied(machine)
    if word == "helper":
        entry = tracking_of(machine)
        if isinstance(entry, Tracking):
            helper = found.data.text(nft.NFTA_CT_HELPER_NAME) if found is not None and found.data is not None else name
            machine.act("helper", f"ct helper set {helper}")
            if isinstance(entry.helper, Unknown) or entry.helper is None:
                machine.change(tracking=entry._replace(helper=helper))
        return CONTINUE
    if word in ("timeout", "expectation", "secmark"):
        machine.act(word, f"{word} {name}")
        return CONTINUE
    if word == "counter":
        return CONTINUE
    return machine.maybe(Doubt(UNKNOWN_WHY, f"an object of type {kind}"), (kind, name))


def _nothing(expression: Expression) -> Program:
    return lambda machine: CONTINUE


COMPILERS: dict[str, Callable[[Expression], Program]] = {"objref": _objref, "counter": _nothing, "last": _nothing}
