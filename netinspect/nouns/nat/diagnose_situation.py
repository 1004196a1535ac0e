"""The facts about a gateway that its diagnosis rests on, read once; nothing is changed."""

from __future__ import annotations

from _functools import partial
from errno import ENOENT
from sys import byteorder
from time import monotonic, sleep

from ...engine.columns import NONE
from ...engine.namespaces import inside
from ...engine.places import Place
from ...engine.prefixes import packed
from ...errors import NetinspectError, NetlinkError
from ...procfs import interface_sysctl, legacy_tables, network_text
from ..conntrack.listing import FlowListing
from ..conntrack.listing_state import count, counters, setting
from ..path.listing_stack import inside_of
from ..path.listing_stacks import Stacks
from ..routing.listing import Query as RouteQuery
from ..routing.listing import RouteListing
from ..routing.names import numbered
from .decode_rules import NatRule
from .diagnose_capture import Heard, heard, wrong_checksums
from .listing import SOURCE, Kinds, is_global, translations
from .listing_groups import outside_addresses
from .listing_rules import rules_of
from .listing_state import port_ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...engine.columns import Batch
    from ...records import ConntrackCount, Flow, OutsideAddress, Route, Rule
    from ..conntrack.filter import FlowFilter
    from ..path.listing_stack import Interface
    from ..path.walk_packet import Packet

DEFAULTS = {"inet": "0.0.0.0/0", "inet6": "::/0"}
_FAMILY = {False: "inet", True: "inet6"}
_EXAMPLES = 3
"""Flows kept as evidence of each kind."""
_WALKED = 12
"""Flows whose way is walked, at most."""
_OVER = frozenset(("TIME_WAIT", "CLOSE", "LAST_ACK", "CLOSE_WAIT"))
"""TCP's states of flows that end, or have ended: they say nothing about now."""
_HELPED = frozenset(((6, 21), (6, 5060), (17, 5060), (17, 69), (6, 1723), (6, 6667), (17, 161)))
"""Protocol and port of what carries addresses or ports inside: FTP, SIP, TFTP, PPTP, IRC, SNMP."""
_UDP = 17
_VRRP = {"igmp": f"{int.from_bytes(bytes((224, 0, 0, 18)), byteorder):08X}", "igmp6": "ff02" + 26 * "0" + "12"}
"""224.0.0.18 and ff02::12, as files of /proc/net have them."""
_ARP = "0806"
"""Protocol of a packet socket that hears ARP (/proc/net/packet)."""
_REVERSE_PATH = "IPReversePathFilter"
_HEARD = 1.5
"""Seconds for which packets are listened to, where counters say that something is wrong with them."""


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

    def add_all(self, batch: Batch) -> None:
        """Counts all rows of a batch."""
        self.number += batch.count
        room = _EXAMPLES - len(self.examples)
        if room > 0 and batch.count:
            self.examples += batch.take(list(range(min(room, batch.count))))

    def add_rows(self, batch: Batch, rows: Sequence[int]) -> None:
        """Counts these rows of a batch."""
        self.number += len(rows)
        room = _EXAMPLES - len(self.examples)
        if room > 0 and rows:
            self.examples += batch.take(list(rows[:room]))

    def __bool__(self) -> bool:
        return self.number > 0


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
        self.talked_to: dict[str, str] = {}
        """By family an address of the world that inside hosts talk to."""
        self.networks: list[Network] = []
        self.exits: dict[str, list[Interface]] = {"inet": [], "inet6": []}
        """By family the interfaces by which packets leave for the rest of the world."""
        self.exits_by_route: dict[str, bool] = {}
        """Whether it is a default route that says so, and not an address."""
        self._read_interfaces()
        before, dropped = counters(place), self._reverse_path_drops()
        waiting = self.home.unanswering() if sample else set()
        begun = monotonic()
        self._read_flows()
        sleep(max(0.0, sample - (monotonic() - begun)))
        if waiting:
            self.home.unresolved = waiting & self.home.unanswering()
        self.rising = _rising(before, counters(place))
        """What each counter grew by."""
        self.reverse_path_drops = self._reverse_path_drops() - dropped
        self.wrong_checksums: list[Heard] = []
        """Packets heard whose checksum is wrong; looked for only where there are invalid ones."""
        self._begun: list[Heard] | None = None
        self._coming: list[Heard] = []
        self.heard: list[Heard] = []
        """Packets heard, where something is wrong with some."""
        self.off_path: list[Heard] = []
        """Packets heard that the reverse path filter drops, except forged ones; looked for only where some are."""
        if sample and (self.rising.get("invalid", 0) > 0 or self.reverse_path_drops > 0):
            self._hear(min(sample, _HEARD))
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

    @property
    def legacy_nat(self) -> bool:
        """Whether legacy iptables may translate here: its rules are not evaluated."""
        return any(table.endswith(" nat") for table in self.legacy)

    def named_outside(self) -> set[str]:
        """Interfaces that rules translate on the way out of, by name."""
        found = set()
        for rule in self.rules:
            if rule.kind in ("masquerade", "snat"):
                for match in rule.interfaces("out"):
                    if match.what == "out" and match.equal:
                        found.add(match.value.rstrip(b"\0").decode("utf-8", "backslashreplace"))
        return found

    def inside_only(self, address: str) -> bool:
        """Whether an address is one of an inside network."""
        found = self.home.on_link(address)
        return found is not None and any(network.interface.index == found.index for network in self.inside)

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
        self.rules_unread: str | None = None
        try:
            self.rules = rules_of(self.place)
        except NetinspectError as error:
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

    def begun(self) -> list[Heard]:
        """First packets of flows that are heard coming in; waits for them once."""
        if self._begun is None:
            self._coming = heard(self.place, min(self.sample, _HEARD)) if self.sample else []
            self._begun = [packet for packet in self._coming if packet.begins]
        return self._begun

    def routed_back(self, network: Network) -> bool:
        """Whether answers to a private network come in by a way out as they are: somebody beyond has a route to it."""

        def within(address: str | None) -> bool:
            return (
                address is not None
                and (":" in address) == (":" in network.address)
                and inside_of(address, f"{network.address}/{network.length}")
            )

        if any(within(flow.source_address) for flow in self.untouched):
            return True
        if self.home_tracks:
            return False  # then the table would have shown it
        self.begun()
        exits = {found.name for found in self.exits[network.family]}
        return any(packet.interface in exits and within(packet.destination) for packet in self._coming)

    @property
    def home_tracks(self) -> bool:
        """Whether rules have connections tracked here."""
        from ..path.walk import Walk

        return Walk(self.stacks, self.home).rules_of(self.home).tracks

    def attempts(self) -> list[Heard]:
        """Those from inside, for others than this machine."""
        networks = [(network.address, network.length, network.interface.name) for network in self.inside]
        return [
            packet
            for packet in self.begun()
            if not self.home.is_local(packet.destination)
            and any(
                name == packet.interface
                and (":" in text) == (":" in packet.source)
                and inside_of(packet.source, f"{text}/{length}")
                for text, length, name in networks
            )
        ]

    def lost(self, wanted: Packet) -> int:
        """How many first packets of a flow were heard, where none of them got an entry."""
        number = 0
        for packet in self.begun():
            if (packet.protocol, packet.source, packet.destination, packet.ports[1]) != (
                wanted.protocol,
                wanted.source,
                wanted.destination,
                wanted.destination_port,
            ):
                continue
            if self.home.tracked(packet.protocol, packet.source, packet.destination, packet.ports) is not None:
                return 0
            number += 1
        return number

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

    def _hear(self, seconds: float) -> None:
        """Listens to what comes in."""
        packets = heard(self.place, seconds)
        self.wrong_checksums = list(wrong_checksums(packets))
        self.heard = packets
        if self.reverse_path_drops <= 0:
            return
        inside_networks = [(network.address, network.length, network.interface.name) for network in self.inside]
        seen = set()
        everywhere = self.home.own("ipv4", "all", "rp_filter") or 0
        for packet in packets:
            key = packet.interface, packet.source
            if key in seen or ":" in packet.source:
                continue
            seen.add(key)
            mode = max(everywhere, self.home.own("ipv4", packet.interface, "rp_filter") or 0)
            way = self.home.route_to(packet.source)
            if mode != 1 or (way is not None and way.name == packet.interface) or self.home.is_local(packet.source):
                continue
            if any(
                inside_of(packet.source, f"{text}/{length}") for text, length, _ in inside_networks if ":" not in text
            ):
                continue  # an inside address from elsewhere: forged, and rightly dropped
            self.off_path.append(packet)

    def works(self, found: Interface) -> bool:
        """Whether frames pass an interface."""
        return found.works

    def shared(self, on: Interface, address: str) -> list[str]:
        """What shows that another machine, or a program here, has an address of a link by turns, or answers for it."""
        found = []
        neighbour = self.home.neighbour(on, address)
        if neighbour is not None and neighbour.link_address and neighbour.state not in ("failed", "incomplete"):
            found.append(f"neighbour: {address} is {neighbour.link_address} on {on}")
        file = "igmp6" if ":" in address else "igmp"
        if _VRRP[file] in (inside(self.place.descriptor, partial(network_text, file)) or ""):
            found.append("multicast: the group of VRRP is joined: addresses move between routers")
        packets = inside(self.place.descriptor, partial(network_text, "packet")) or ""
        if any(line.split()[3:4] == [_ARP] for line in packets.splitlines()[1:]):
            found.append("packet socket: a program of this machine hears ARP, and may answer for addresses")
        return found

    def answers_for(self, on: Interface, address: str) -> bool:
        """Whether an address of a link that this machine does not have is answered for there all the same.

        net/ipv4/arp.c, arp_process: only where another interface leads to it. net/ipv6/ndisc.c asks for the entry.
        """

        def switched(version: str, name: str) -> bool:
            return any(self.home.own(version, where, name) for where in ("all", on.name))

        if ":" in address:
            return (on.name, address) in self.proxied and switched("ipv6", "proxy_ndp")
        if switched("ipv4", "proxy_arp_pvlan"):
            return True
        way = self.home.route_to(address)
        if way is None or way is on:
            return False
        return (on.name, address) in self.proxied or switched("ipv4", "proxy_arp")

    @property
    def proxied(self) -> set[tuple[str, str]]:
        """Interface and address of what is answered for by single entries (`ip neigh add proxy`)."""
        from ..routing.listing_neighbours import NeighbourListing
        from ..routing.listing_neighbours import Query as NeighbourQuery

        return {
            (found.interface, found.address)
            for batch in NeighbourListing(NeighbourQuery(everything=True), [self.again()]).batches()
            for found in batch
            if "proxy" in found.flags
        }

    def _read_flows(self) -> None:
        self.flows = 0
        self.matching = Tally()
        self.untranslated = Tally()
        """From an address that is not routed outside to one that is, untranslated."""
        self.stale = Tally()
        """Translated to an address that is neither of this machine nor named by a rule."""
        self.unanswered: dict[str, Tally] = {}
        """By outside address: flows of which no reply was seen."""
        self.silent: list[Flow] = []
        """Flows that no reply was seen of, one of a kind."""
        self.refused: list[Flow] = []
        """Connections to this machine itself that were reset, one of a kind."""
        self.untouched: list[Flow] = []
        """Answered flows from private addresses to public ones that are not translated, of several sources."""
        self.went_out: list[Flow] = []
        """Answered flows of inside hosts, one of a kind: they got out once."""
        self.lasting: list[Flow] = []
        """Flows of UDP, one of a kind: they keep their translation as long as they send."""
        self.helped: list[Flow] = []
        """Flows of protocols that carry addresses inside, which a helper translates."""
        self._kinds: set[tuple[object, ...]] = set()
        self.answered: set[str] = set()
        """Outside addresses for which there are replies, be it from before something changed."""
        self._heard: set[tuple[object, ...]] = set()
        self._unheard: set[tuple[object, ...]] = set()
        """Outside addresses that are not local, each with a service: with replies, and those without any."""
        self.aimed: set[str] = set()
        """Destinations that were translated: packets for them do come here."""
        self._zoned = False
        fixed = [rule.addresses for rule in self.rules if rule.kind == "snat" and rule.addresses is not None]
        ranges = port_ranges([self.again()])
        self.usage: list[OutsideAddress] = outside_addresses(self._sources(fixed), ranges)
        self.zone_mismatches = self._zone_mismatches() if self._zoned else []

    def _sources(self, fixed: list[tuple[bytes, bytes]]) -> Iterator[Batch]:
        """The flows whose source is translated; every flow is looked at on the way."""
        kinds = Kinds(self.place)
        for batch in FlowListing(self.wanted, [self.place]).entries(self.place):
            self.flows += batch.count
            self._zoned |= batch.column("zone") is not NONE
            self.matching.add_all(batch)
            self._consider(batch, fixed)
            yield from filter(_translates_source, translations(batch, kinds))

    def _consider(self, batch: Batch, fixed: list[tuple[bytes, bytes]]) -> None:
        """Sorts flows: a loop over columns, since tables have a hundred thousand rows and more."""
        local = self.local
        fields = (
            *("source_address", "destination_address", "reply_destination_address", "reply_source_address"),
            *("status", "state", "protocol_number", "destination_port"),
        )
        untranslated: list[int] = []
        stale: list[int] = []
        columns = list(zip(*map(batch.values, fields), strict=True))
        for at, (source, destination, outside, answering, status, state, protocol, port) in enumerate(columns):
            if source is None or outside is None or destination is None:
                continue
            silent = "SEEN_REPLY" not in status
            if not silent and source not in local and is_global(destination):
                self.talked_to.setdefault(_FAMILY[":" in destination], destination)
            if state not in _OVER:
                if silent or state == "SYN_RECV":
                    self._live(batch, at, (protocol, destination, port, outside))
                if protocol == _UDP and len(self.lasting) < _WALKED:
                    kind = (protocol, destination, port, outside, answering)
                    if kind not in self._kinds:
                        self._kinds.add(kind)
                        self.lasting += batch.take([at])
                if (protocol, port) in _HELPED:
                    self._wants_helper(batch, at)
            elif state == "CLOSE" and destination in local and source not in local and answering == destination:
                self._refused(batch, at, (protocol, destination, port))
            if not silent and source not in local and destination not in local and not is_global(source):
                self._got_out(batch, at, (source, destination, protocol, port))
            if answering != destination and state not in _OVER:
                self.aimed.add(destination)
            if source == outside:
                if (
                    answering == destination
                    and not is_global(source)
                    and is_global(destination)
                    and source not in local
                    and destination not in local
                ):
                    untranslated.append(at)
                    if not silent and len(self.untouched) < _WALKED and ("untouched", source) not in self._kinds:
                        self._kinds.add(("untouched", source))
                        self.untouched += batch.take([at])
                continue
            if outside not in local:
                (self._unheard if silent else self._heard).add((outside, destination, protocol, port))
                if not _in_ranges(outside, fixed):
                    stale.append(at)
            if silent:
                self._unanswered(batch, at, outside)
            else:
                self.answered.add(outside)
        self.untranslated.add_rows(batch, untranslated)
        self.stale.add_rows(batch, stale)

    def still_answered(self, outside: str) -> bool:
        """Whether replies come to an outside address: none of its services that answered once is silent now."""
        lost = self._heard & self._unheard
        return outside in self.answered and not any(address == outside for address, *_ in lost)

    def _unanswered(self, batch: Batch, at: int, outside: str) -> None:
        self.unanswered.setdefault(outside, Tally()).add_rows(batch, [at])

    def _live(self, batch: Batch, at: int, kind: tuple[object, ...]) -> None:
        """One flow of a kind that gets no answer now: a way to be walked."""
        if kind not in self._kinds and len(self.silent) < _WALKED:
            self._kinds.add(kind)
            self.silent += batch.take([at])

    def _refused(self, batch: Batch, at: int, kind: tuple[object, ...]) -> None:
        """One connection of a kind to this machine that was reset."""
        if kind not in self._kinds and len(self.refused) < _WALKED:
            self._kinds.add(kind)
            self.refused += batch.take([at])

    def _got_out(self, batch: Batch, at: int, kind: tuple[object, ...]) -> None:
        """One answered flow of an inside host and service."""
        key = ("out", *kind)
        if key not in self._kinds and len(self.went_out) < _WALKED:
            self._kinds.add(key)
            self.went_out += batch.take([at])

    def _wants_helper(self, batch: Batch, at: int) -> None:
        if len(self.helped) < _WALKED:
            self.helped += batch.take([at])

    def _zone_mismatches(self) -> list[tuple[Flow, Flow]]:
        """Flows without a reply whose replies are tracked as flows of their own, in another zone."""
        silent = {
            (flow.protocol, *_reply(flow)): flow
            for batch in FlowListing(self.wanted, [self.place]).entries(self.place)
            for flow in batch
            if "SEEN_REPLY" not in flow.status
        }
        found = []
        for batch in FlowListing(places=[self.place]).entries(self.place) if silent else ():
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
