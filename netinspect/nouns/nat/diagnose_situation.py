"""The facts about a gateway that its diagnosis rests on, read once; nothing is changed."""

from __future__ import annotations

from _functools import partial
from errno import ENOENT
from time import monotonic

from ...engine.namespaces import inside
from ...engine.places import Place
from ...errors import NetinspectError, NetlinkError
from ...procfs import interface_sysctl, legacy_tables, network_text
from ..conntrack.listing_state import count, counters, setting
from ..path.listing_stack import inside_of
from ..path.listing_stacks import Stacks
from ..path.walk import Walk
from ..routing.listing import Query as RouteQuery
from ..routing.listing import RouteListing
from ..routing.names import numbered
from .decode_rules import NatRule
from .diagnose_hearing import Hearing
from .diagnose_traffic import Traffic
from .listing import is_global
from .listing_rules import translating

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.columns import Batch
    from ...records import ConntrackCount, Flow, Route, Rule
    from ..conntrack.filter import FlowFilter
    from ..drops.decode_qdiscs import Qdisc
    from ..path.listing_stack import Interface

DEFAULTS = {"inet": "0.0.0.0/0", "inet6": "::/0"}
_FAMILY = {False: "inet", True: "inet6"}
_REVERSE_PATH = "IPReversePathFilter"


class Network:
    """An address of an interface, with its prefix length."""

    __slots__ = ("address", "family", "interface", "length")

    def __init__(self, found: Interface, text: str, length: int) -> None:
        self.interface = found
        self.address = text
        self.length = length
        self.family = _FAMILY[":" in text]

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


class Situation:
    """One namespace. ``wanted`` selects the flows that count."""

    def __init__(self, place: Place, wanted: FlowFilter, sample: float, *, asked: bool = False) -> None:
        """``place`` is open. Counters are watched for ``sample`` seconds. Raises NetinspectError."""
        self.place = place
        self.wanted = wanted
        self.asked = asked
        """Whether one flow is asked for."""
        self.sample = sample
        self.stacks = Stacks()
        self.home = self.stacks.of(place)
        self.networks: list[Network] = []
        self.exits: dict[str, list[Interface]] = {"inet": [], "inet6": []}
        """By family the interfaces by which packets leave for the rest of the world."""
        self.exits_by_route: dict[str, bool] = {}
        """Whether it is a default route that says so, and not an address."""
        self._read_interfaces()
        before, dropped = counters(place), self._reverse_path_drops()
        queues = self._queues() if sample else {}
        waiting = self.home.unanswering() if sample else set()
        begun = monotonic()
        self.hearing = Hearing(place, self.home, self.inside, sample)
        try:
            self.traffic = Traffic(place, wanted, self.local, self.rules)
            self.hearing.listen(max(0.0, sample - (monotonic() - begun)))
        finally:
            self.hearing.close()
        if waiting:
            self.home.unresolved = waiting & self.home.unanswering()
        self.queues: list[tuple[str, str, int, int]] = []
        """Interface and kind of queues that dropped packets meanwhile, how many, and how many passed."""
        self._count_queues(queues)
        self.rising = _rising(before, counters(place))
        """What each counter grew by."""
        self.reverse_path_drops = self._reverse_path_drops() - dropped
        if self.rising.get("invalid", 0) > 0 or self.reverse_path_drops > 0:
            self.hearing.explain(dropped=self.reverse_path_drops > 0)
        self.count: ConntrackCount = count(place)
        self.accounting = setting(place, "net.netfilter.nf_conntrack_acct")
        self.exceptions: list[Route] = [
            route
            for batch in RouteListing(RouteQuery(table=None, exceptions=True), [self.again()]).batches()
            for route in batch
            if route.pmtu
        ]

    def again(self) -> Place:
        """The same namespace for those who open it themselves."""
        return Place(self.place.name)

    def setting(self, name: str) -> int | None:
        """A sysctl that is a number."""
        return setting(self.place, name)

    def own(self, name: str, found: Interface, family: str = "ipv4") -> int | None:
        """A sysctl of an interface: names of interfaces may contain dots."""
        text = inside(self.place.descriptor, partial(interface_sysctl, family, found.name, name))
        return int(text) if text is not None and text.isdecimal() else None

    @property
    def inside(self) -> list[Network]:
        """Networks whose addresses the rest of the world does not route, on interfaces that are no way out."""
        return [
            network
            for network in self.networks
            if not is_global(network.address)
            and not network.interface.loopback
            and network.interface.up
            and not network.address.startswith(("169.254.", "fe80:"))
            and network.interface not in self.exits[network.family]
        ]

    def named_outside(self) -> set[str]:
        """Interfaces that rules translate on the way out of, by name."""
        found = set()
        for rule in self.rules:
            if rule.kind in ("masquerade", "snat"):
                for match in rule.interfaces("out"):
                    if match.what == "out" and match.equal:
                        found.add(match.value.rstrip(b"\0").decode("utf-8", "backslashreplace"))
        return found

    def is_inside(self, interface: Interface) -> bool:
        """Whether an inside network is on that interface."""
        return any(network.interface.index == interface.index for network in self.inside)

    def inside_only(self, address: str) -> bool:
        """Whether an address is one of an inside network."""
        found = self.home.on_link(address)
        return found is not None and self.is_inside(found)

    def beyond(self, address: str) -> Route | None:
        """The default route, if it alone leads to a private address: nobody beyond knows it. Raises NetlinkError."""
        if is_global(address):
            return None
        entry = self.home.route(address, matched=True).entry
        return entry if entry is not None and entry.destination.endswith("/0") else None

    def source_rules(self, family: str) -> list[NatRule]:
        """The rules that translate sources of that family on the way out."""
        number = 4 if family == "inet" else 6
        return [
            rule
            for rule in self.rules
            if rule.kind in ("masquerade", "snat") and "postrouting" in rule.hooks and rule.family() in (None, number)
        ]

    def _read_interfaces(self) -> None:
        self.interfaces = self.home.interfaces
        for index, text, length in self.home.addresses:
            if index in self.interfaces:
                self.networks.append(Network(self.interfaces[index], text, length))
        self.local = frozenset(network.address for network in self.networks)
        names = {found.name: found for found in self.interfaces.values()}
        self.defaults: list[Route] = []
        """The default routes of all tables that rules lead to."""
        self.empty_tables: list[str] = []
        """Tables that policy rules lead to and that have no route."""
        for table in self._tables():
            seen = False
            for batch in self._routes(table):
                seen = seen or batch.count > 0
                lengths = list(batch.values("destination_length"))
                if 0 in lengths:
                    self.defaults += batch.select([not length for length in lengths])
            if not seen and table != "main":
                self.empty_tables.append(table)
        for route in self.defaults:
            family = route.family
            if family in self.exits and route.type == "unicast":
                hops = [route.interface, *(hop.interface for hop in route.next_hops or ())]
                self.exits[family] += [
                    names[hop] for hop in hops if hop in names and names[hop] not in self.exits[family]
                ]
        self._read_rules()
        named = self.named_outside()
        for family, exits in self.exits.items():
            self.exits_by_route[family] = bool(exits)
            exits += [
                found
                for found in self.interfaces.values()
                if found.name in named and found not in exits and found.up and self._has(found, family)
            ]
            if not exits:
                exits += {
                    network.interface.index: network.interface
                    for network in self.networks
                    if network.family == family
                    and network.interface.up
                    and not network.interface.loopback
                    and is_global(network.address)
                }.values()

    def _has(self, found: Interface, family: str) -> bool:
        """Whether an interface has an address of a family that is more than link-local."""
        return any(
            network.interface is found and network.family == family and not network.address.startswith("fe80:")
            for network in self.networks
        )

    def _tables(self) -> list[str]:
        """The tables that policy rules lead to, main first."""
        from ..routing.listing_rules import RuleListing

        self.policy_rules: list[Rule] = [
            rule for batch in RuleListing(places=[self.again()]).batches() for rule in batch
        ]
        named = [rule.table for rule in self.policy_rules if rule.table not in (None, "local", "default", "main")]
        return ["main", *dict.fromkeys(filter(None, named))]

    def _routes(self, table: str) -> Iterator[Batch]:
        try:
            yield from RouteListing(RouteQuery(table=numbered("rt_tables", table)), [self.again()]).batches()
        except NetlinkError as error:
            if error.errno != ENOENT:  # no such table: it is made with its first route
                raise

    def _read_rules(self) -> None:
        read = Walk(self.stacks, self.home).rules_of(self.home)
        self.ruleset = read.ruleset
        """The rules here, which packets are walked by as well; none where they cannot be read."""
        unread: list[str] = []
        self.rules = translating(read.ruleset, unread.append)
        self.rules_unread = read.unread or (unread[0] if unread else None)
        self.legacy = inside(self.place.descriptor, legacy_tables)

    def _queues(self) -> dict[tuple[int, str, str], Qdisc]:
        """The queueing disciplines at the root of interfaces; none where they cannot be read."""
        from ..drops.listing_qdiscs import qdiscs_of

        try:
            return {(row.interface, row.kind, row.handle): row for row in qdiscs_of(self.place)}
        except NetlinkError:
            return {}

    def _count_queues(self, before: dict[tuple[int, str, str], Qdisc]) -> None:
        for key, now in self._queues().items() if before else ():
            then = before.get(key)
            if then is None or now.drops <= then.drops or now.parent != "root" or now.interface not in self.interfaces:
                continue
            passed = (now.passed or 0) - (then.passed or 0)
            self.queues.append((self.interfaces[now.interface].name, now.kind, now.drops - then.drops, passed))

    def _reverse_path_drops(self) -> int:
        """Packets dropped so far since their source would be reached by another interface (TcpExt)."""
        text = inside(self.place.descriptor, partial(network_text, "netstat")) or ""
        lines = [line.split() for line in text.splitlines()]
        for titles, values in zip(lines[::2], lines[1::2], strict=False):
            number = dict(zip(titles, values, strict=False)).get(_REVERSE_PATH, "")
            if number.isdecimal():
                return int(number)
        return 0

    def routed_back(self, network: Network) -> bool:
        """Whether answers to a private network come in by a way out as they are: somebody beyond has a route to it."""

        def within(address: str | None) -> bool:
            return (
                address is not None
                and (":" in address) == (":" in network.address)
                and inside_of(address, f"{network.address}/{network.length}")
            )

        if any(within(flow.source_address) for flow in self.traffic.untouched):
            return True
        if self.home_tracks:
            return False  # then the table would have shown it
        exits = {found.name for found in self.exits[network.family]}
        return any(packet.interface in exits and within(packet.destination) for packet in self.hearing.packets)

    @property
    def home_tracks(self) -> bool:
        """Whether rules have connections tracked here."""
        from ..path.walk import Walk

        return Walk(self.stacks, self.home).rules_of(self.home).tracks

    def translated_now(self, flow: Flow) -> bool:
        """Whether rules would give a new flow like this one another source."""
        from ..path.walk_packet import Packet
        from ..path.walk_path import incoming, walked

        source, destination = flow.source_address or "", flow.destination_address or ""
        packet = Packet(flow.protocol_number, source, destination, 0, flow.destination_port or 0)
        try:
            _, iif = incoming(self.home, source, destination, None, None)
        except NetinspectError:
            return False
        return any(
            passed.tracked is not None and passed.tracked.translated.source != source
            for path in walked(self.stacks, self.home, packet, iif, home_only=True)
            for passed in path.there.passed[:1]
        )


def _rising(before: dict[int, dict[str, int]], after: dict[int, dict[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for sign, found in ((-1, before), (1, after)):
        for values in found.values():
            for name, value in values.items():
                totals[name] = totals.get(name, 0) + sign * value
    return totals
