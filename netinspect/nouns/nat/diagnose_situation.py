"""The facts about a gateway that its diagnosis rests on, read once; nothing is changed."""

from __future__ import annotations

from _functools import partial
from time import sleep

from ...engine.columns import NONE
from ...engine.namespaces import inside
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...engine.prefixes import packed
from ...errors import NetlinkError
from ...procfs import interface_sysctl, legacy_tables, network_text
from ...uapi.if_link import IFF_LOOPBACK, IFF_UP
from ...uapi.netlink import AF_UNSPEC, NETLINK_ROUTE
from ..conntrack.listing import Listing
from ..conntrack.listing_state import count, counters, ruleset, setting
from ..links import decode as links
from ..links import decode_addresses as addresses
from ..routing.listing import Listing as Routes
from ..routing.listing import Query as RouteQuery
from .decode_rules import NatRule, nat_rules
from .listing import SOURCE, Kinds, is_global, translations
from .listing_groups import outside_addresses
from .listing_state import port_ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.columns import Batch
    from ...records import ConntrackCount, Flow, OutsideAddress, Route
    from ..conntrack.filter import FlowFilter

DEFAULTS = {"inet": "0.0.0.0/0", "inet6": "::/0"}
_FAMILY = {False: "inet", True: "inet6"}
_EXAMPLES = 3
"""Flows kept as evidence of each kind."""
_REVERSE_PATH = "IPReversePathFilter"


class Interface:
    """One interface."""

    __slots__ = ("index", "loopback", "mtu", "name", "up")

    def __init__(self, index: int, name: str, flags: int, mtu: int | None) -> None:
        self.index = index
        self.name = name
        self.up = bool(flags & IFF_UP)
        self.loopback = bool(flags & IFF_LOOPBACK)
        self.mtu = mtu or 0


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


class Tally:
    """Flows of one kind: how many, and the first few."""

    def __init__(self) -> None:
        self.number = 0
        self.examples: list[Flow] = []

    def add(self, flow: Flow) -> None:
        """Counts one."""
        self.number += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(flow)

    def __bool__(self) -> bool:
        return self.number > 0


class Situation:
    """One namespace. ``wanted`` selects the flows that count."""

    def __init__(self, place: Place, wanted: FlowFilter, sample: float) -> None:
        """``place`` is open. Counters are watched for ``sample`` seconds. Raises NetinspectError."""
        self.place = place
        self.wanted = wanted
        self.sample = sample
        self.interfaces: dict[int, Interface] = {}
        self.networks: list[Network] = []
        self.exits: dict[str, list[Interface]] = {"inet": [], "inet6": []}
        """By family the interfaces by which packets leave for the rest of the world."""
        self.exits_by_route: dict[str, bool] = {}
        """Whether it is a default route that says so, and not an address."""
        self._read_interfaces()
        self._read_rules()
        before, dropped = counters(place), self._reverse_path_drops()
        self._read_flows()
        sleep(sample)
        self.rising = _rising(before, counters(place))
        """What each counter grew by."""
        self.reverse_path_drops = self._reverse_path_drops() - dropped
        self.count: ConntrackCount = count(place)
        self.accounting = setting(place, "net.netfilter.nf_conntrack_acct")
        self.exceptions: list[Route] = [
            route
            for batch in Routes(RouteQuery(table=None, exceptions=True), [self._again()]).batches()
            for route in batch
            if route.pmtu
        ]

    def _again(self) -> Place:
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

    def source_rules(self, family: str) -> list[NatRule]:
        """The rules that translate sources of that family on the way out."""
        number = 4 if family == "inet" else 6
        return [
            rule
            for rule in self.rules
            if rule.kind in ("masquerade", "snat") and "postrouting" in rule.hooks and rule.family() in (None, number)
        ]

    def _read_interfaces(self) -> None:
        def ask(request: bytes, operation: str) -> Dump:
            return Dump(self.place.connect(NETLINK_ROUTE), request, operation)

        decoder = links.Decoder({}, {})
        for runs in ask(links.request(statistics=False), "listing interfaces").answers():
            batch = decoder.batch(runs)
            if batch is not None:
                found = map(Interface, *map(batch.values, ("index", "name", "flag_bits", "mtu")))
                self.interfaces.update((one.index, one) for one in found)
        told = ask(addresses.request(AF_UNSPEC), "listing addresses")
        for index, text, length in addresses.own_addresses(told):
            if index in self.interfaces:
                self.networks.append(Network(self.interfaces[index], text, length))
        self.local = frozenset(network.address for network in self.networks)
        names = {found.name: found for found in self.interfaces.values()}
        for batch in Routes(RouteQuery(), [self._again()]).batches():
            for family, destination in DEFAULTS.items():
                if destination in batch.values("destination"):
                    for route in batch:
                        if route.destination == destination and route.type == "unicast":
                            hops = [route.interface, *(hop.interface for hop in route.next_hops or ())]
                            self.exits[family] += [names[hop] for hop in hops if hop in names]
        for family, exits in self.exits.items():
            self.exits_by_route[family] = bool(exits)
            if not exits:
                exits += {
                    network.interface.index: network.interface
                    for network in self.networks
                    if network.family == family
                    and network.interface.up
                    and not network.interface.loopback
                    and is_global(network.address)
                }.values()

    def _read_rules(self) -> None:
        self.rules_unread: str | None = None
        try:
            self.rules = list(nat_rules(*ruleset(self.place)))
        except NetlinkError as error:
            self.rules = []
            self.rules_unread = str(error)
        self.legacy = inside(self.place.descriptor, legacy_tables)

    def _reverse_path_drops(self) -> int:
        """Packets dropped so far since their source would be reached by another interface (TcpExt)."""
        text = inside(self.place.descriptor, partial(network_text, "netstat")) or ""
        lines = [line.split() for line in text.splitlines()]
        for titles, values in zip(lines[::2], lines[1::2], strict=False):
            if _REVERSE_PATH in titles:
                return int(values[titles.index(_REVERSE_PATH)])
        return 0

    def _read_flows(self) -> None:
        self.flows = 0
        self.matching = Tally()
        self.untranslated = Tally()
        """From an address that is not routed outside, to one that is, as it is."""
        self.stale = Tally()
        """Translated to an address that is neither of this machine nor named by a rule."""
        self.unanswered: dict[str, Tally] = {}
        """By outside address: flows of which no reply was seen."""
        self.answered: set[str] = set()
        """Outside addresses for which there are replies."""
        self._zoned = False
        fixed = [rule.addresses for rule in self.rules if rule.kind == "snat" and rule.addresses is not None]
        ranges = port_ranges([self._again()])
        self.usage: list[OutsideAddress] = outside_addresses(self._sources(fixed), ranges)
        self.zone_mismatches = self._zone_mismatches() if self._zoned else []

    def _sources(self, fixed: list[tuple[bytes, bytes]]) -> Iterator[Batch]:
        """The flows whose source is translated; every flow is looked at on the way."""
        kinds = Kinds(self.place)
        for batch in Listing(self.wanted, [self.place]).entries(self.place):
            self.flows += batch.count
            self._zoned |= batch.column("zone") is not NONE
            for flow in batch:
                self.matching.add(flow)
                self._consider(flow, fixed)
            yield from filter(_translates_source, translations(batch, kinds))

    def _consider(self, flow: Flow, fixed: list[tuple[bytes, bytes]]) -> None:
        source, outside = flow.source_address, flow.reply_destination_address
        destination = flow.destination_address
        if source is None or outside is None or destination is None:
            return
        replied = "SEEN_REPLY" in flow.status
        if source == outside:
            here = source in self.local or destination in self.local
            if (
                not here
                and not is_global(source)
                and is_global(destination)
                and flow.reply_source_address == destination
            ):
                self.untranslated.add(flow)
            return
        if outside not in self.local and not _in_ranges(outside, fixed):
            self.stale.add(flow)
        if replied:
            self.answered.add(outside)
        else:
            self.unanswered.setdefault(outside, Tally()).add(flow)

    def _zone_mismatches(self) -> list[tuple[Flow, Flow]]:
        """Flows without a reply whose replies are tracked as flows of their own, in another zone."""
        silent = {
            (flow.protocol, *_reply(flow)): flow
            for batch in Listing(self.wanted, [self.place]).entries(self.place)
            for flow in batch
            if "SEEN_REPLY" not in flow.status
        }
        found = []
        for batch in Listing(places=[self.place]).entries(self.place) if silent else ():
            for flow in batch:
                other = silent.get((flow.protocol, *_original(flow)))
                if other is not None and (other.zone or 0) != (flow.zone or 0):
                    found.append((other, flow))
        return found


def _translates_source(batch: Batch) -> bool:
    return bool(next(iter(batch.values("translated")), 0) & SOURCE)


def _original(flow: Flow) -> tuple[object, ...]:
    return flow.source_address, flow.source_port, flow.destination_address, flow.destination_port


def _reply(flow: Flow) -> tuple[object, ...]:
    return (
        flow.reply_source_address,
        flow.reply_source_port,
        flow.reply_destination_address,
        flow.reply_destination_port,
    )


def _in_ranges(text: str, ranges: list[tuple[bytes, bytes]]) -> bool:
    address = packed(text)
    return any(len(low) == len(address) and low <= address <= high for low, high in ranges)


def _rising(before: dict[int, dict[str, int]], after: dict[int, dict[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for sign, found in ((-1, before), (1, after)):
        for values in found.values():
            for name, value in values.items():
                totals[name] = totals.get(name, 0) + sign * value
    return totals
