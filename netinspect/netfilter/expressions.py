"""What the programs of expressions have in common: loading a register, and reading a number from one."""

from __future__ import annotations

from sys import byteorder

from .machine import BREAK, CONTINUE, UNKNOWN_WHY, Doubt, Machine, register
from .packet import Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program

IFNAMSIZ = 16
MANY = 16
"""In how many ways an open decision may fall before what it depends on is left open instead."""


def unknown(what: str) -> Program:
    """A condition that cannot be evaluated."""
    doubt = Doubt(UNKNOWN_WHY, what)
    return lambda machine: machine.maybe(doubt, what)


def loading(
    at: int,
    size: int,
    order: str,
    get: Callable[[Machine], int | bytes | bool | Unknown | None],
    what: str,
    kind: str = UNKNOWN_WHY,
) -> Program:
    """Loads what ``get`` returns: None ends the rule, UNKNOWN leaves the register open."""
    doubt = Doubt(kind, what, what)

    def load(machine: Machine) -> int:
        value = get(machine)
        if isinstance(value, int):
            machine.store(at, value.to_bytes(size, "little" if order == "little" else "big"))
        elif isinstance(value, bytes):
            machine.store(at, value)
        elif value is None:
            return BREAK
        else:
            machine.store_unknown(at, size, doubt)
        return CONTINUE

    return load


def number_at(machine: Machine, at: int, size: int = 4) -> tuple[int | None, Doubt | None]:
    """A number of the machine's in a register; None and why where it is not known."""
    value, known, doubt = machine.load(at, size)
    if known is not None:
        return None, doubt
    return int.from_bytes(value, byteorder), None


def registers(expression: Expression, *kinds: int) -> list[int | None]:
    """The registers that attributes of these kinds name; None for one that is not there."""
    return [register(expression.number(kind)) if kind in expression.layout else None for kind in kinds]


def hexadecimal(value: int | None) -> str:
    """A number as nft(8) prints marks; ``?`` where it is not known."""
    return "?" if value is None else f"{value:#x}"
