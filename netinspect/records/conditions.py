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
    negated: Annotated[bool, "whether its opposite was asked for"]
    holds: Annotated[bool, "whether it is, at the end, as was asked for"]
    waited: Annotated[float, "seconds until then"]
    found: Annotated[
        tuple[Socket | Route | Link | Address | Flow | Membership, ...], "the records that the condition speaks of"
    ]
    instead: Annotated[tuple[str, ...], "if the condition does not hold: the nearest matches, one line each"] = ()
    problems: Annotated[tuple[str, ...], "what could not be looked at: it may be otherwise"] = ()
