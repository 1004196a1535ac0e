"""What one network namespace would do with a packet, asked of its kernel: routes, neighbours, sockets, entries.

Whatever the kernel can be asked for one packet is asked so (RTM_GETROUTE with the packet's own fields, one neighbour,
one entry); links, addresses and settings are read once.
"""

from __future__ import annotations

from _functools import partial
from _socket import inet_ntop
from errno import EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, ENOENT, EXDEV

from ...engine.namespaces import inside
from ...engine.netlink.transport import Dump
from ...engine.places import InterfaceNames, Place
from ...engine.prefixes import packed, prefix, within
from ...engine.rtnetlink import FAMILY_NUMBERS
from ...errors import NetlinkError
from ...procfs import interface_sysctl, sysctl
from ...uapi import rtnetlink as rt
from ...uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC, NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG
from ..conntrack.decode import Decoder as FlowDecoder
from ..links import decode as links
from ..links import decode_addresses as address
from ..routing import decode as route
from ..routing.decode_neighbours import Decoder as NeighbourDecoder
from ..routing.listing import names_of
from ..routing.names import RoutingNames
from ..sockets.decode_inet import Decoder as SocketDecoder
from . import request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NamedTuple

    from ...engine.columns import Batch
    from ...records import Flow, Neighbour, Route, Rule
    from ...records.link_kinds import Bridge, BridgePort, Tunnel, Vxlan
    from .decode_policies import Policy
    from .decode_vlans import PortVlans
else:
    from ...startup import NamedTuple

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "sctp": 132, "dccp": 33, "udplite": 136}
NUMBERS = {number: name for name, number in PROTOCOLS.items()}
WITH_PORTS = frozenset((6, 17, 132, 33, 136))
_ROUTED_BY_PROTOCOL = frozenset((6, 17, 1, 58))
"""What RTM_GETROUTE takes as RTA_IP_PROTO (net/ipv4/route.c: rtm_getroute_parse_ip_proto)."""
_TUNNELS = frozenset(
    ("vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "ip6tnl")
)
"""Interfaces that may hand on a tunnel's id with a packet (ip-link(8): external)."""
REFUSALS = frozenset((EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, EXDEV))
_REFUSING = {"blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
"""linux/rtnetlink.h: RTN_*"""


def family_of(text: str) -> str:
    """inet or inet6."""
    return "inet6" if ":" in text else "inet"


def is_link_local(address: str) -> bool:
    """Whether an address of IPv6 says only with an interface whose it is (RFC 4007)."""
    low = address.lower()
    return (low[:2] == "fe" and low[2:3] in ("8", "9", "a", "b") and low[4:5] == ":") or (
        low[:2] == "ff" and low[3:4] in ("1", "2")
    )


def inside_of(address: str, network: str) -> bool:
    """Whether an address is in a prefix, both as text."""
    return within(packed(address), *prefix(network))


class Interface:
    """What matters of an interface for the packets that pass it."""

    __slots__ = (
        *(
            "address",
            "alternative_names",
            "carrier",
            "flags",
            "group",
            "index",
            "kind",
            "master",
            "mode",
            "mtu",
            "name",
        ),
        *("parent_index", "group_number", "parent_nsid", "queue_discipline", "state", "type_number", "vlan_id"),
    )

    index: int
    name: str
    alternative_names: tuple[str, ...]
    kind: str | None
    state: str
    flags: tuple[str, ...]
    mtu: int
    master: str | None
    mode: str | None
    parent_index: int | None
    parent_nsid: int | None
    address: str | None
    carrier: bool | None
    group: str | None
    group_number: int
    type_number: int
    queue_discipline: str | None
    vlan_id: int | None

    @property
    def up(self) -> bool:
        """Whether an administrator switched it on."""
        return "up" in self.flags

    @property
    def loopback(self) -> bool:
        """Whether it leads nowhere."""
        return "loopback" in self.flags

    @property
    def works(self) -> bool:
        """Whether frames pass."""
        return self.up and self.carrier is not False and self.state not in ("down", "lowerlayerdown", "notpresent")

    def __str__(self) -> str:
        return self.name


_FIELDS = tuple(field for field in Interface.__slots__ if field != "group_number")


def _unknown(
    family: str, iif: Interface | None, protocol: int, ports: tuple[int, int], uid: int | None
) -> Iterator[str]:
    """What is not known of a packet that policy rules may look at (routing/listing_matching: ASKED)."""
    if protocol in WITH_PORTS:
        yield from (name for name, port in zip(("source_port", "destination_port"), ports, strict=True) if port <= 0)
    if family == "inet6":
        yield "flow_label"  # Linux gives packets one that it chooses (net.ipv6.auto_flowlabels)
    if iif is None and uid is None:
        yield "uid"
    if iif is not None and iif.kind in _TUNNELS:
        yield "tunnel_id"


def _not_asked(rule: Rule, protocol: int) -> bool:
    """Whether a rule looks at what a look-up cannot be told of packets of a protocol."""
    asks = (rule.ip_protocol, rule.source_ports, rule.destination_ports)
    return protocol not in _ROUTED_BY_PROTOCOL and any(one is not None for one in asks)


class _OfKind(NamedTuple):
    """What only interfaces of some kinds have, as records.Link."""

    bridge: Bridge | None = None
    bridge_port: BridgePort | None = None
    vni: int | None = None
    vxlan: Vxlan | None = None
    tunnel: Tunnel | None = None


class Answer:
    """What a look-up in the routing tables gives: a route, or the reason why there is none."""

    __slots__ = ("doubts", "entry", "errno", "refused", "route", "rule", "tos")

    def __init__(self) -> None:
        self.route: Route | None = None
        self.entry: Route | None = None
        """The line of the table that gave it, where the kernel reports."""
        self.rule: Rule | None = None
        self.tos = 0
        """The type of service that was asked for."""
        self.errno = 0
        """Where there is none."""
        self.refused: str | None = None
        """blackhole, unreachable, prohibit or none, where that is known."""
        self.doubts: list[tuple[Rule, str]] = []
        """Rules that would give another answer if they are for the packet, each with why that is not known."""

    @property
    def type(self) -> str:
        """unicast, local, broadcast …, or what refused."""
        return self.route.type if self.route else self.refused or "none"


class Stack:
    """One network namespace. ``place`` is open."""

    def __init__(self, place: Place, label: str) -> None:
        self.place = place
        self.label = label
        """How outputs name it."""
        self._interfaces: dict[int, Interface] | None = None
        self._addresses: list[tuple[int, str, int]] | None = None
        self._primary: dict[str, list[tuple[str, int, str]]] | None = None
        self._settings: dict[tuple[str, ...], int | None] = {}
        self._names: Any = None
        self._kinds: dict[int, _OfKind] | None = None
        self._vlans: dict[int, PortVlans] | None = None
        self._rules: dict[str, list[Rule]] = {}
        self._tables: dict[tuple[str, str], dict[str, str]] = {}
        self._policies: list[Policy] | bool | None = False
        self.unresolved: set[tuple[str, str]] = set()
        """Interface and address of neighbours that were asked for all the time, and did not answer."""

    def unanswering(self) -> set[tuple[str, str]]:
        """Interface and address of the neighbours that do not answer at this moment."""
        from ..routing.listing_neighbours import NeighbourListing, Query

        return {
            (found.interface or "", found.address or "")
            for batch in NeighbourListing(Query(everything=True), [Place(self.place.name)]).batches()
            for found in batch
            if found.state in ("incomplete", "failed")
        }

    @property
    def interfaces(self) -> dict[int, Interface]:
        """All interfaces by index. Raises NetlinkError."""
        if self._interfaces is None:
            groups = RoutingNames("group")
            found: dict[int, Interface] = {}
            for batch in self._links(groups):
                columns = [list(batch.values(field)) for field in _FIELDS]
                for values in zip(*columns, strict=True):
                    interface = Interface()
                    for field, value in zip(_FIELDS, values, strict=True):
                        setattr(interface, field, value)
                    interface.group_number = groups.number(interface.group or "0") or 0
                    found[interface.index] = interface
            self._interfaces = found
        return self._interfaces

    def _links(self, groups: RoutingNames) -> Iterator[Batch]:
        decoder = links.Decoder(InterfaceNames(self.place), groups)
        dump = Dump(self.place.connect(NETLINK_ROUTE), links.request(statistics=False), "listing links")
        return filter(None, map(decoder.batch, dump.answers()))

    def named(self, name: str | None) -> Interface | None:
        """The interface of that name."""
        return next((found for found in self.interfaces.values() if found.name == name), None)

    def called(self, name: str) -> Interface | None:
        """The interface of that name, or that alternative name: for what people type."""
        return self.named(name) or next(
            (found for found in self.interfaces.values() if name in found.alternative_names), None
        )

    def ports(self, bridge: Interface) -> list[Interface]:
        """The ports of a bridge."""
        return [found for found in self.interfaces.values() if found.master == bridge.name]

    def bridge_of(self, interface: Interface) -> Interface | None:
        """The bridge that an interface is a port of."""
        master = self.named(interface.master) if interface.master else None
        return master if master is not None and master.kind == "bridge" else None

    def _of_kind(self, interface: Interface) -> _OfKind:
        """What only interfaces of its kind have. Raises NetlinkError."""
        if self._kinds is None:
            self._kinds = {}
            for batch in self._links(RoutingNames("group")):
                columns = map(batch.values, ("index", *_OfKind._fields))
                self._kinds.update((index, _OfKind(*values)) for index, *values in zip(*columns, strict=True))
        return self._kinds.get(interface.index) or _OfKind()

    def tunnel(self, interface: Interface) -> tuple[int | None, Vxlan | None, Tunnel | None]:
        """VXLAN's number, and a tunnel's ends. Raises NetlinkError."""
        found = self._of_kind(interface)
        return found.vni, found.vxlan, found.tunnel

    def bridge_port(self, port: Interface) -> BridgePort | None:
        """How an interface is set up as a port of its bridge. Raises NetlinkError."""
        return self._of_kind(port).bridge_port

    def vlans(self, bridge: Interface) -> dict[int, PortVlans] | None:
        """The VLANs of a bridge's ports by interface index, where it filters by them. Raises NetlinkError."""
        if not self.tags(bridge):
            return None
        if self._vlans is None:
            from .decode_vlans import port_vlans

            self._vlans = port_vlans(self.place)
        return self._vlans

    def tags(self, bridge: Interface) -> str:
        """The protocol of the tags by which a bridge filters; empty where it does not. Raises NetlinkError."""
        found = self._of_kind(bridge).bridge
        return (found.vlan_protocol or "802.1Q") if found is not None and found.vlan_filtering else ""

    @property
    def addresses(self) -> list[tuple[int, str, int]]:
        """Interface index, address and prefix length, in the kernel's order. Raises NetlinkError."""
        if self._addresses is None:
            dump = Dump(self.place.connect(NETLINK_ROUTE), address.request(AF_UNSPEC), "listing addresses")
            self._addresses = list(address.own_addresses(dump))
        return self._addresses

    def owner(self, wanted: str) -> Interface | None:
        """The interface that has an address."""
        for index, text, _ in self.addresses:
            if text == wanted:
                return self.interfaces.get(index)
        return None

    def is_local(self, wanted: str) -> bool:
        """Whether an address is one of this namespace's."""
        return any(text == wanted for _, text, _ in self.addresses)

    def networks(self, interface: Interface) -> list[tuple[str, int]]:
        """The addresses of an interface with their prefix lengths."""
        return [(text, length) for index, text, length in self.addresses if index == interface.index]

    def primary_addresses(self) -> dict[str, list[tuple[str, int, str]]]:
        """IPv4 addresses that are not secondary, with prefix length and scope, by interface. Raises NetlinkError."""
        if self._primary is None:
            from ..links.listing_addresses import AddressListing, Query

            self._primary = {}
            for batch in AddressListing(Query(("inet",)), [Place(self.place.name)]).batches():
                for found in batch:
                    if "secondary" not in found.flags:
                        ends = (found.address, found.prefix_length, found.scope)
                        self._primary.setdefault(found.interface, []).append(ends)
        return self._primary

    def on_link(self, wanted: str) -> Interface | None:
        """The interface whose own network has an address."""
        for index, text, length in self.addresses:
            full = 128 if ":" in text else 32
            if length < full and inside_of(wanted, f"{text}/{length}"):
                return self.interfaces.get(index)
        return None

    @property
    def policies(self) -> list[Policy] | None:
        """IPsec's policies, in order; None where only root may list them. Raises NetlinkError."""
        if isinstance(self._policies, bool):
            from .decode_policies import policies

            self._policies = policies(self.place)
        return self._policies

    def joined(self, interface: Interface) -> frozenset[str] | None:
        """The groups of IPv6 that an interface takes packets for; None where they cannot be listed."""
        from ..groups.decode import groups, request

        dump = Dump(self.place.connect(NETLINK_ROUTE), request("inet6"), "listing the IPv6 multicast groups")
        try:
            found = [group for runs in dump.answers() for run in runs for group in groups(run)]
        except NetlinkError:
            return None
        return frozenset(group.group for group in found if group.index == interface.index)

    def setting(self, name: str) -> int | None:
        """A sysctl that is a number; None where it cannot be read."""
        return self._setting((name,), partial(sysctl, name))

    def filtering_bridged(self, family: str) -> str | None:
        """The setting by which bridged frames pass the rules of IP (br_netfilter); None where it is off."""
        name = f"net.bridge.bridge-nf-call-{'ip6tables' if family == 'inet6' else 'iptables'}"
        return name if self.setting(name) else None

    def own(self, version: str, interface: str, name: str) -> int | None:
        """A sysctl of an interface (``all`` and ``default`` are such too); ``version`` is ipv4 or ipv6."""
        return self._setting((version, interface, name), partial(interface_sysctl, version, interface, name))

    def _setting(self, key: tuple[str, ...], read: Any) -> int | None:
        if key not in self._settings:
            text = inside(self.place.descriptor, read)
            try:
                self._settings[key] = None if text is None else int(text)
            except ValueError:
                self._settings[key] = None
        return self._settings[key]

    def names(self) -> Any:
        """What numbers of routes stand for."""
        if self._names is None:
            self._names = names_of(self.place)
        return self._names

    def rules(self, family: str) -> list[Rule]:
        """The policy rules of a family."""
        if family not in self._rules:
            from ..routing.listing_rules import rules_of

            try:
                self._rules[family] = [rule for batch in rules_of(self.place, family) for rule in batch]
            except NetlinkError:
                self._rules[family] = []
        return self._rules[family]

    def route(
        self,
        destination: str,
        *,
        source: str | None = None,
        iif: Interface | None = None,
        oif: Interface | None = None,
        mark: int = 0,
        tos: int = 0,
        protocol: int = 0,
        ports: tuple[int, int] = (0, 0),
        uid: int | None = None,
        matched: bool = False,
    ) -> Answer:
        """The kernel's answer for one packet. ``matched`` asks for the entry and the rule as well. Raises NetlinkError
        for what is no refusal.
        """
        family = family_of(destination)
        numbers: dict[int, int] = {}
        for kind, interface in ((rt.RTA_IIF, iif), (rt.RTA_OIF, oif)):
            if interface is not None:
                numbers[kind] = interface.index
        if mark:
            numbers[rt.RTA_MARK] = mark
        if iif is not None and uid is None:
            uid = 0  # what comes in is nobody's; rules see it as root's (net/core/sock.c: sock_net_uid)
        if uid is not None:
            numbers[rt.RTA_UID] = uid
        if protocol in _ROUTED_BY_PROTOCOL:
            numbers[rt.RTA_IP_PROTO] = protocol
            if protocol in WITH_PORTS:
                numbers |= {
                    kind: port for kind, port in zip((rt.RTA_SPORT, rt.RTA_DPORT), ports, strict=True) if port > 0
                }
        answer = Answer()
        answer.tos = tos
        raw_source = packed(source) if source else b""
        flag = rt.RTM_F_LOOKUP_TABLE if family == "inet" else 0

        def ask(flags: int) -> Route | None:
            asked = route.get_request(
                FAMILY_NUMBERS[family], packed(destination), flags | flag, source=raw_source, tos=tos, numbers=numbers
            )
            return self._route(asked, destination)

        try:
            answer.route = ask(0)
        except NetlinkError as error:
            if error.errno not in REFUSALS:
                raise
            answer.errno = error.errno
        found = answer.route
        if found is not None and found.type in _REFUSING:
            answer.refused, answer.errno = found.type, found.error or EINVAL
            answer.entry, answer.route = found, None
        elif found is not None and found.error:
            answer.errno, answer.route = found.error, None
        if answer.route is not None and matched:
            try:
                answer.entry = ask(rt.RTM_F_FIB_MATCH)
            except NetlinkError:
                pass  # before Linux 5.1 (IPv4), or not for this answer
            if family == "inet6" and answer.entry is not None and answer.entry.next_hop_id is not None:
                from ..routing.listing_lookup import entry_with_object

                flow = self._flow(answer, destination, source, iif, oif, mark, protocol, ports, uid)
                answer.entry = entry_with_object(flow, self.place, self.rules(family))
            answer.rule = self._deciding(answer, destination, source, iif, oif, mark, protocol, ports, uid)
        if answer.route is None and answer.refused is None:
            self._refusing(answer, destination, source, iif, oif, mark, protocol, ports, uid)
        if matched:
            flow = self._flow(answer, destination, source, iif, oif, mark, protocol, ports, uid)
            answer.doubts = [*self._doubts(answer, flow)]
        return answer

    def _route(self, asked: bytes, destination: str) -> Route | None:
        decoder = route.Decoder(self.names())
        for runs in Dump(self.place.connect(NETLINK_ROUTE), asked, f"looking up {destination}").answers():
            batch = decoder.batch(runs)
            if batch is not None:
                found: Route = next(iter(batch))
                return found
        return None

    def _flow(self, answer: Answer, destination: str, *selectors: Any) -> Any:
        from ..routing.listing_matching import Flow as Selectors
        from ..routing.listing_matching import asks_of_interfaces

        source, iif, oif, mark, protocol, ports, uid = selectors
        flow = Selectors(destination)
        flow.source = source
        flow.input_interface, flow.output_interface = iif and iif.name, oif and oif.name
        flow.tos = answer.tos
        flow.mark, flow.ip_protocol, flow.uid = mark, protocol, uid or 0
        flow.source_port, flow.destination_port = ports
        flow.unknown = frozenset(_unknown(family_of(destination), iif, protocol, ports, uid))
        if any(map(asks_of_interfaces, self.rules(family_of(destination)))):
            from ..routing.listing_interfaces import look_at_interfaces

            look_at_interfaces(self.place, flow, answer.entry, answer.route)
        return flow

    def _deciding(self, answer: Answer, destination: str, *selectors: Any) -> Rule | None:
        from ..routing.listing_matching import deciding_rule

        found = answer.entry or answer.route
        assert found is not None
        length = int(answer.entry.destination.rpartition("/")[2]) if answer.entry else None
        flow = self._flow(answer, destination, *selectors)
        return deciding_rule(self.rules(family_of(destination)), flow, found.table, length)

    def _refusing(self, answer: Answer, destination: str, *selectors: Any) -> None:
        """What refused: the first rule that is for the packet and refuses, or leads to a table whose entry does."""
        from ..routing.listing_matching import asked, table_of

        flow = self._flow(answer, destination, *selectors)
        refusing: list[Route] | None = None
        for rule, matching in asked(self.rules(family_of(destination)), flow):
            if matching is None and self._may_decide(rule, flow, answer):
                return
            if not matching:
                continue
            if rule.action in _REFUSING and rule.action != "throw":
                answer.refused, answer.rule = rule.action, rule
                return
            if rule.action != "lookup":
                continue
            if refusing is None:
                refusing = self._refusing_routes(destination)
            entry = self._longest(refusing, table_of(rule, flow) or "main", destination)
            if entry is not None and self._wins(entry, destination):
                answer.refused, answer.entry, answer.rule = entry.type, entry, rule
                return

    def _doubts(self, answer: Answer, flow: Any) -> Iterator[tuple[Rule, str]]:
        """What is not known whether it is for the packet, and stands before what decided."""
        from ..routing.listing_matching import asked, undecided

        for rule, matching in asked(self.rules(family_of(flow.destination)), flow):
            if rule is answer.rule:
                return
            reasons = undecided(rule, flow) if matching is None else []
            if matching and _not_asked(rule, flow.ip_protocol):
                reasons = ["the kernel cannot be asked about packets of this protocol"]
            if reasons and self._may_decide(rule, flow, answer):
                yield rule, "; ".join(reasons)

    def _may_decide(self, rule: Rule, flow: Any, answer: Answer) -> bool:
        """Whether a rule changes the answer, if it is for the packet."""
        from ..routing.listing_matching import table_of

        if rule.action != "lookup":
            return rule.action not in ("nop", "unspec")
        table, found = table_of(rule, flow), answer.entry or answer.route
        if table is None or (found is not None and found.table == table and rule.suppress_prefix_length is None):
            return False
        routes = self._routes_of(family_of(flow.destination), table)
        raw = packed(flow.destination)
        width, number = 8 * len(raw), int.from_bytes(raw, "big")
        shortest = -1 if rule.suppress_prefix_length is None else rule.suppress_prefix_length
        for length in range(width, shortest, -1):
            network = (number >> (width - length) << (width - length)).to_bytes(len(raw), "big")
            kind = routes.get(f"{inet_ntop(AF_INET6 if width == 128 else AF_INET, network)}/{length}")
            if kind is not None:
                return kind != "throw"
        return False

    def _routes_of(self, family: str, table: str) -> dict[str, str]:
        """The types of the routes of a table by their prefixes, read once: a rule may be asked of for each packet."""
        if (family, table) not in self._tables:
            from ..routing.listing import Query, RouteListing

            found: dict[str, str] = {}
            query = Query((family,), table=self.names().tables.number(table) or 0)
            for batch in RouteListing(query, (self.place,)).batches():
                found.update(zip(batch.values("destination"), batch.values("type"), strict=True))
            self._tables[family, table] = found
        return self._tables[family, table]

    def _refusing_routes(self, destination: str) -> list[Route]:
        found: list[Route] = []
        family = FAMILY_NUMBERS[family_of(destination)]
        for name, kind in _REFUSING.items():
            if name == "throw":
                continue
            decoder = route.Decoder(self.names())
            dump = Dump(self.place.connect(NETLINK_ROUTE), route.request(family, kind=kind), "listing routes")
            for runs in dump.answers():
                batch = decoder.batch(runs)
                # Kernels before 4.20 do not filter, and IPv6 of today does not by type.
                found += [entry for entry in batch or () if entry.type == name]
        if family == FAMILY_NUMBERS["inet"] and self._dropping_hops():
            # Of type unicast to the filter, and shown as blackhole (net/ipv4/fib_semantics.c: fib_dump_info).
            decoder = route.Decoder(self.names())
            for runs in Dump(self.place.connect(NETLINK_ROUTE), route.request(family), "listing routes").answers():
                found += [entry for entry in decoder.batch(runs) or () if entry.type == "blackhole"]
        return found

    def _dropping_hops(self) -> bool:
        """Whether there are next-hop objects that drop what they get (ip-nexthop(8): blackhole)."""
        from ..routing import decode_nexthops as nexthop

        names = self.names()
        try:
            dump = Dump(self.place.connect(NETLINK_ROUTE), nexthop.request(), "listing next-hop objects")
            return any(found.blackhole for runs in dump.answers() for found in nexthop.objects(runs, names))
        except NetlinkError:
            return False  # before Linux 5.3 there are none

    @staticmethod
    def _longest(routes: list[Route], table: str, destination: str) -> Route | None:
        fitting = [entry for entry in routes if entry.table == table and inside_of(destination, entry.destination)]
        # IPv6 has an unreachable default of the kernel's own where there is no route at all: that is none.
        fitting = [entry for entry in fitting if entry.metric != 0xFFFFFFFF]
        return max(fitting, key=lambda entry: int(entry.destination.rpartition("/")[2]), default=None)

    def _wins(self, entry: Route, destination: str) -> bool:
        return entry.destination.rpartition("/")[2] != ""

    def route_to(self, wanted: str, *, mark: int = 0) -> Interface | None:
        """The interface by which packets for an address leave; None where none does."""
        answer = self.route(wanted, mark=mark)
        return self.named(answer.route.interface) if answer.route else None

    def neighbour(self, interface: Interface, wanted: str) -> Neighbour | None:
        """What is known of a machine on a link; None where nothing is."""
        asked = request.neighbour(FAMILY_NUMBERS[family_of(wanted)], interface.index, packed(wanted))
        try:
            for runs in Dump(self.place.connect(NETLINK_ROUTE), asked, f"looking up neighbour {wanted}").answers():
                batch = NeighbourDecoder(self.names()).batch(runs)
                for found in batch or ():
                    neighbour: Neighbour = found
                    return neighbour
        except NetlinkError as error:
            if error.errno not in (ENOENT, EINVAL):
                raise
        return None

    def port_for(self, bridge: Interface, link_address: str, vlan: int | None = None) -> Interface | None:
        """The port of a bridge behind which a MAC address is, or the bridge itself; None where it is not known.

        ``vlan`` is the VLAN of the frame, where the bridge filters by them."""
        asked = request.forwarding_entry(bridge.index, bytes.fromhex(link_address.replace(":", "")), vlan)
        try:
            answers = Dump(self.place.connect(NETLINK_ROUTE), asked, "looking up a MAC address").answers()
            for runs in answers:
                index = request.forwarding_port(runs)
                return None if index is None else self.interfaces.get(index)
        except NetlinkError:
            pass  # not known there, or this kernel cannot be asked for one
        return None

    def behind_vxlan(self, interface: Interface, link_address: str) -> str | None:
        """The remote that a VXLAN sends frames for a MAC address to, empty where it is not one
        address; None where there is no entry for it.
        """
        asked = request.tunnel_entry(interface.index, bytes.fromhex(link_address.replace(":", "")))
        try:
            for runs in Dump(self.place.connect(NETLINK_ROUTE), asked, "looking up a MAC address").answers():
                return request.remote_of(runs)
        except NetlinkError as error:
            if error.errno != ENOENT:
                return ""  # this kernel cannot be asked for one
        return None

    def tracked(
        self, protocol: int, source: str, destination: str, ports: tuple[int, int], zone: int | None = None
    ) -> Flow | None:
        """The entry of connection tracking that has this tuple in either direction. Raises NetlinkError."""
        family = FAMILY_NUMBERS[family_of(source)]
        asked = request.tracked(family, protocol, packed(source), packed(destination), ports, zone)
        dump = Dump(self.place.connect(NETLINK_NETFILTER), asked, "looking up an entry")
        try:
            for runs in dump.answers():
                for run in runs:
                    for batch in FlowDecoder().batches(run):
                        for found in batch:
                            flow: Flow = found
                            return flow
        except NetlinkError as error:
            if error.errno != ENOENT:
                raise
        return None

    def receiver(
        self,
        protocol: int,
        source: str,
        source_port: int,
        destination: str,
        destination_port: int,
        interface: Interface | None,
    ) -> Any:
        """The socket that the kernel would hand a packet to; None where there is none. Raises NetlinkError."""
        asked = request.receiving_socket(
            FAMILY_NUMBERS[family_of(destination)],
            protocol,
            packed(source),
            source_port,
            packed(destination),
            destination_port,
            interface.index if interface else 0,
        )
        decoder = SocketDecoder(NUMBERS[protocol], lambda index: f"if{index}")
        try:
            for runs in Dump(self.place.connect(NETLINK_SOCK_DIAG), asked, "looking up a socket").answers():
                for run in runs:
                    for batch in decoder.batches(run):
                        for found in batch:
                            return found
        except NetlinkError as error:
            if error.errno != ENOENT:
                raise
        return None
