"""What matches and targets of iptables have in common.

They keep the structs of linux/netfilter/xt_*.h, linux/netfilter_ipv4/ipt_*.h and linux/netfilter_ipv6/ip6t_*.h, in the
machine's order and alignment.
"""

from __future__ import annotations

from .packet import UNKNOWN, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .machine import Machine

    Condition = tuple[bool | Unknown, str]
    Matcher = Callable[[bytes, int], Callable[[Machine], Iterable[Condition]]]

SHORTEST = 320
"""Infos are filled up with zeros: those of older revisions lack the last fields."""


def on_field(value: int | Unknown | None, holds: Callable[[int], bool]) -> bool | Unknown:
    """A condition on a field: that does not hold where there is none, and is open where it is not known."""
    if value is None:
        return False
    return holds(value) if isinstance(value, int) else UNKNOWN


def inverted(holds: bool | Unknown, invert: object) -> bool | Unknown:
    """A condition that iptables' ``!`` turns round; one that is open stays open."""
    return holds if isinstance(holds, Unknown) else holds is not bool(invert)
