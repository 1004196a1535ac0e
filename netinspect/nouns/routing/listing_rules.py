"""Policy rules, in the order in which they are tried."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EOPNOTSUPP

from ...engine.dumps import whole_table
from ...engine.listing import BaseListing
from ...engine.netlink.changes import Changes
from ...engine.netlink.groups import RULE_CHANGES
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...engine.rtnetlink import FAMILY_NUMBERS, of_family
from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_ROUTE
from . import decode_rules as rule
from .listing import names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch

FAMILIES = ("inet", "inet6")


class RuleListing(BaseListing):
    """One listing: ``batches()`` streams it."""

    def __init__(self, families: Sequence[str] = (), places: Sequence[Place] = ()) -> None:
        """Without ``families``: all that there are; without ``places``: the current namespace."""
        super().__init__(places)
        self._families = families

    def _place(self, place: Place) -> Iterator[Batch]:
        for family in self._families or FAMILIES:
            try:
                yield from rules_of(place, family, self.problems.append)
            except NetlinkError as error:
                if error.errno not in (EAFNOSUPPORT, EOPNOTSUPP):
                    raise
                if self._families:
                    option = "IPV6_MULTIPLE_TABLES" if family == "inet6" else "IP_MULTIPLE_TABLES"
                    self.problems.append(f"this kernel has no rules for {family} (CONFIG_{option})")


def rules_of(place: Place, family: str, problem: Callable[[str], object] = str) -> Iterator[Batch]:
    """The rules of one family. Raises NetlinkError, where the kernel has none with EAFNOSUPPORT or EOPNOTSUPP."""
    names = names_of(place)
    operation = f"listing rules ({family})"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), rule.request(FAMILY_NUMBERS[family]), operation)

    def watch() -> Changes:
        return Changes(place.connect(NETLINK_ROUTE), RULE_CHANGES[family])

    # The kernel counts the rules that it has returned, and does not say that there are others now before that place.
    return whole_table(
        operation, dump, of_family(FAMILY_NUMBERS[family], lambda runs: rule.batch(runs, names)), problem, watch
    )
