"""Conditions that were waited for (netinspect wait, netinspect assert)."""

from __future__ import annotations

from .addresses import Address
from .flows import Flow
from .groups import Membership
from .links import Link
from .routes import Route
from .sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class ConditionResult(NamedTuple):
    """How it stands with a condition (``netinspect wait``, ``netinspect assert``)."""

    condition: Annotated[str, "the condition in words"]
    negated: Annotated[bool, "whether the condition is negated"]
    holds: Annotated[bool, "whether it held at the end, negated or not"]
    waited: Annotated[float, "seconds waited"]
    found: Annotated[tuple[Socket | Route | Link | Address | Flow | Membership, ...], "the records that match"]
    nearest: Annotated[tuple[str, ...], "if the condition does not hold: the nearest matches, one line each"] = ()
    problems: Annotated[tuple[str, ...], "what could not be checked"] = ()
