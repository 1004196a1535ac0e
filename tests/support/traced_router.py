"""A router in a lab that random rules are loaded into and random packets sent through, and what the kernel traces."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections import Counter
from functools import partial
from random import Random
from typing import Any

from availability import unavailable
from random_rules import LEFT, RIGHT, ROUTER4, ROUTER6, TARGETS4, TARGETS6, Frame, Iptables, Rules, frame

from netinspect.engine.places import Place
from netinspect.netfilter.evaluate import Outcome, Walk, run_hook
from netinspect.netfilter.kernel import KernelContext
from netinspect.netfilter.machine import Step
from netinspect.netfilter.packet import (
    INVALID,
    PACKET_HOST,
    PACKET_OTHERHOST,
    UNTRACKED,
    Ends,
    Interface,
    Packet,
    Tracking,
    of_headers,
)
from netinspect.netfilter.ruleset import Ruleset, place_of, read
from netinspect.netfilter.trace import Event, Trace
from netinspect.testing import AssertingLab

TRACER = [
    "add table netdev tracer",
    *(
        f"add chain netdev tracer {device} {{ type filter hook ingress device {device} priority -500; }}; "
        f"add rule netdev tracer {device} ether saddr {{ {LEFT}, {RIGHT} }} meta nftrace set 1"
        for device in ("r0", "r1", "p1", "p2")
    ),
    "add table inet tracer",
    "add chain inet tracer output { type filter hook output priority -500; }",
    f"add rule inet tracer output ip saddr {ROUTER4} ip daddr 10.2.0.0/24 meta nftrace set 1",
    f"add rule inet tracer output ip6 saddr {ROUTER6} ip6 daddr fd02::/64 meta nftrace set 1",
]

_TRACKED = re.compile(r"\b(ct|conntrack|CONNMARK|CT|state|type nat)\b|notrack|synproxy")
"""In lines of rules: what asks for connection tracking."""

OWN = (ROUTER4, ROUTER6, "10.2.0.254", "fd02::fe")

BASES = {
    "ip": [
        "prerouting priority -300",
        "prerouting priority 0",
        "input priority 0",
        "forward priority 0",
        "forward priority 10",
        "output priority -300",
        "output priority 0",
        "postrouting priority 0",
    ],
    "bridge": ["prerouting priority -300", "forward priority 0", "forward priority 5", "postrouting priority 300"],
    "netdev": [
        "ingress device r0 priority 0",
        "ingress device p1 priority -100",
        "egress device r1 priority 0",
        "egress device p2 priority 0",
        "ingress device r1 priority 10",
    ],
    "arp": ["input priority 0"],
}
BASES["ip6"] = BASES["ip"]
BASES["inet"] = [*BASES["ip"], "ingress device r0 priority 20"]


class Router:
    """The router between two hosts, with a bridge beside: ``pair`` compares one packet's trace and walk."""

    def __init__(self, lab: AssertingLab, seed: int) -> None:
        self.random = Random(seed)
        self.lab = lab
        self.left, self.right, self.one, self.two = (lab.host(name) for name in ("left", "right", "one", "two"))
        self.router = lab.host("router", forwarding=True)
        lab.link(self.left, self.router, (), (f"{ROUTER4}/24", f"{ROUTER6}/64"), names=("l0", "r0"))
        lab.link(self.right, self.router, (), ("10.2.0.254/24", "fd02::fe/64"), names=("x0", "r1"))
        lab.link(self.one, self.router, names=("e1", "p1"))
        lab.link(self.two, self.router, names=("e2", "p2"))
        self.router.bridge("br0", "p1", "p2")
        commands = ["link set r0 group 5", "link set r1 group 6"]
        for address in (*TARGETS4, *TARGETS6):
            commands.append(f"neigh replace {address} lladdr {RIGHT} dev r1 nud permanent")
        for number in range(1, 7):
            for base in ("10.1.0.", "fd01::"):
                commands.append(f"neigh replace {base}{number} lladdr {LEFT} dev r0 nud permanent")
        self.router.run("ip", "-batch", "-", input="\n".join(commands))
        self.router.run("bridge", "fdb", "replace", RIGHT, "dev", "p2", "master", "static")
        for name in ("arptables", "iptables", "ip6tables"):
            self.router.run("sysctl", "-q", f"net.bridge.bridge-nf-call-{name}=0", check=False)
        self.macs = {
            "left": self.router.call(partial(_mac, "r0")),
            "right": self.router.call(partial(_mac, "r1")),
        }
        self.interfaces = {
            name: Interface(self.router.interfaces[name], name, 1, group, "veth", bridge)
            for name, group, bridge in (("r0", 5, None), ("r1", 6, None), ("p1", 0, "br0"), ("p2", 0, "br0"))
        }
        self.senders = {
            name: host.call(partial(_packet_socket, device))
            for name, host, device in (("r0", self.left, "l0"), ("r1", self.right, "x0"), ("p1", self.one, "e1"))
        }
        self.raw = {
            False: self.router.call(partial(_raw_socket, False)),
            True: self.router.call(partial(_raw_socket, True)),
        }
        self.place = Place(self.router.path)
        self.place.open()
        self.trace = Trace(self.place)
        self.ruleset = Ruleset()
        self.context: KernelContext
        self.before: Frame | None = None
        self.marks: dict[int, int] = {}
        self.ends: dict[int, Ends] = {}
        self.replies: dict[int, Ends] = {}
        """The other direction of flows, as far as they have been translated."""
        self.seen: Counter[str] = Counter()
        self.pairs: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.uncertain = 0
        self.tells = True
        """Whether a trace has the state of the connection (Linux 6.16): if not, rules that ask for it are left out."""
        self.tells = self._tells_tracking()

    def _tells_tracking(self) -> bool:
        self.install([*TRACER, "add table ip p", "add chain ip p c { type filter hook input priority 0; }"])
        self.router.run("nft", "add rule ip p c ct state new counter")
        random = Random(0)
        sent = next(found for _ in range(100) if not (found := frame(random, ["input"], self.macs)).six)
        return any(event.tracking_state is not None for event in self.send(sent))

    def close(self) -> None:
        self.trace.close()
        self.place.close()
        for opened in (*self.senders.values(), *self.raw.values()):
            opened.close()

    def load(self) -> list[str]:
        """Makes a random ruleset and loads it; returns the families that it has tables of."""
        rules = Rules(self.random)
        lines = list(TRACER)
        families = self.random.sample(["ip", "ip6", "inet", "inet", "bridge", "netdev", "arp"], 3)
        for number, family in enumerate(families):
            bases = self.random.sample(BASES[family], min(len(BASES[family]), self.random.randrange(1, 4)))
            hooks = [tuple(base.split(" ", 1)) for base in bases]
            lines += rules.table(family, f"t{number}", hooks)  # type: ignore[arg-type]
        self.install(lines)
        return families

    def load_iptables(self) -> list[str]:
        """Loads random rules of iptables-nft and ip6tables-nft; what they refuse is left out."""
        self.install(list(TRACER))
        for program, six in (("iptables-nft", False), ("ip6tables-nft", True)):
            for line in filter(self._told, Iptables(self.random, six).lines()):
                result = self.router.run(program, *line.split(), check=False)
                if result.returncode:
                    self.rejected[f"{program} {line}: {result.stderr.strip()}"] += 1
                else:
                    self.lines.append(f"{program} {line}")
        self.renew()
        return []

    def _told(self, line: str) -> bool:
        return self.tells or not _TRACKED.search(line)

    def install(self, lines: list[str]) -> None:
        """Loads a ruleset; lines that nft(8) or the kernel refuses are left out."""
        lines = ["flush ruleset", *filter(self._told, lines)]
        for _ in range(60):
            result = self.router.run("nft", "-f", "-", input="\n".join(lines), check=False)
            if result.returncode == 0:
                break
            wrong = {int(number) for number in re.findall(r"^/dev/stdin:(\d+):", result.stderr, re.MULTILINE)}
            if not wrong:
                raise AssertionError(result.stderr)
            if refused := [lines[number - 1] for number in wrong if lines[number - 1] in TRACER]:
                unavailable(f"nftables cannot trace all packets in this kernel: {refused[0]}")
            for number in wrong:
                self.rejected[lines[number - 1]] += 1
            lines = [line for number, line in enumerate(lines, 1) if number not in wrong]
        else:
            raise AssertionError("too many lines are refused")
        self.lines = lines
        # Flows that the rules before translated would go on as they were.
        self.router.run("conntrack", "-F", check=False)
        self.marks.clear()
        self.ends.clear()
        self.replies.clear()
        self.before = None
        self.renew()

    def renew(self) -> None:
        """Reads the ruleset."""
        self.ruleset = read(self.place)
        self.context = KernelContext(self.place)

    def send(self, sent: Frame) -> list[Event]:
        """Sends a packet, and returns what the kernel traced."""
        list(self.trace.events())
        if sent.way == "output":
            address = sent.data[24:40] if sent.six else sent.data[16:20]
            family = socket.AF_INET6 if sent.six else socket.AF_INET
            try:
                self.raw[sent.six].sendto(sent.data, (socket.inet_ntop(family, address), 0))
            except OSError:
                pass  # dropped by a rule
        else:
            device = {"bridge": "p1"}.get(sent.way, "r1" if sent.reply else "r0")
            self.senders[device].send(sent.data)
        events: list[Event] = []
        for pause in (0.0, 0.0005, 0.001, 0.002):
            time.sleep(pause)
            new = list(self.trace.events())
            events += new
            if events and not new:
                break
        return events

    def pair(self, ways: list[str]) -> str | None:
        """Sends a random packet: None where the walk is what the kernel traced, else both, to be read."""
        sent = frame(self.random, ways, self.macs, self.before)
        # What rules add to sets is there for later packets.
        self.renew_sets()
        events = self.send(sent)
        self.before = sent
        return self.compare(sent, events)

    def renew_sets(self) -> None:
        if any(found.flags & 0x20 for found in self.ruleset.sets.values()):
            self.ruleset._elements.clear()
            self.ruleset._asked.clear()
            for found in self.ruleset.sets.values():
                if found.flags & 0x20:
                    self.ruleset.elements(found)

    def compare(self, sent: Frame, events: list[Event]) -> str | None:
        walked = Expectation(self, sent, events)
        expected, certain = walked.steps()
        self.pairs[sent.way] += 1
        for _, choices in expected:
            for step in choices[0]:
                self.seen[f"{step.chain.family} {step.kind} {step.verdict.name}"] += 1
        if not certain:
            self.uncertain += 1
        if agrees(events, expected):
            return None
        # Of protocols without ports two flows cannot be translated to the same addresses: connection tracking, not a
        # rule, then drops the packet behind the rule that translates.
        if (
            sent.protocol not in (6, 17)
            and walked.clashes
            and any(agrees(events, expected[:end]) for end in range(walked.clashes[0], len(expected)))
        ):
            return None
        ours = "\n".join(
            f"  {hook}: "
            + "\n    or ".join(", ".join(f"{step}{'?' if step.doubt else ''}" for step in way) for way in choices)
            for hook, choices in expected
        )
        theirs = "\n".join(f"  {event.where}" for event in events)
        return f"{sent}\nours:\n{ours}\nthe kernel's:\n{theirs}\nruleset:\n" + "\n".join(self.lines)


def agrees(events: list[Event], expected: list[tuple[str, list[tuple[Step, ...]]]]) -> bool:
    """Whether the kernel's events are one of the ways in which it may go, hook by hook."""
    starts = {0}
    for _, choices in expected:
        ends = set()
        for start in starts:
            for way in choices:
                ends |= _matched(events, start, way)
        starts = ends
    return len(events) in starts


def _matched(events: list[Event], start: int, way: tuple[Step, ...]) -> set[int]:
    places = {start}
    for step in way:
        here = (step.chain.family, step.chain.table, step.chain.name, step.handle, step.kind, str(step.verdict.name))
        after = {
            at + 1
            for at in places
            if at < len(events)
            and (*events[at].where[:5], events[at].verdict.name) == here
            and (step.verdict.chain == events[at].verdict.chain)
        }
        places = after | places if step.doubt else after
        if not places:
            break
    return places


class Expectation:
    """The walks of one packet through the hooks of the router."""

    def __init__(self, router: Router, sent: Frame, events: list[Event]) -> None:
        self.router = router
        self.sent = sent
        self.events = events
        self.found: list[tuple[str, list[tuple[Step, ...]]]] = []
        self.certain = True
        self.stored: Any = ()
        self.clashes: list[int] = []
        self.translation: Any = None

    def steps(self) -> tuple[list[tuple[str, list[tuple[Step, ...]]]], bool]:
        way = self.sent.way
        interfaces = self.router.interfaces
        came = interfaces["p1" if way == "bridge" else "r1" if self.sent.reply else "r0"]
        family = "ip6" if self.sent.six else "ip"
        if way == "output":
            packet = of_headers(
                self.sent.data[: 40 if self.sent.six else 20], self.sent.data[40 if self.sent.six else 20 :]
            )
            packet = packet.replace(
                data=_data(packet, self.sent.data[40 if self.sent.six else 20 :]),
                uid=0,
                gid=0,
                type=PACKET_HOST,
                outgoing=interfaces["r1"],
            )
            packet = self.layer3(family, "output", packet)
            packet = self.layer3(family, "postrouting", packet)
            self.hook("netdev", "egress", packet, "r1")
            return self.found, self.certain
        data = self.sent.data
        start = 18 if data[12:14] == b"\x81\x00" else 14
        kind = int.from_bytes(data[start - 2 : start], "big")
        network = data[start:]
        size = {0x86DD: 40, 0x800: 20}.get(kind, len(network))
        packet = of_headers(network[:size], network[size:], data[:start])
        if kind == 0x806:
            packet = packet.replace(length=len(network))
        packet = packet.replace(
            data=_data(packet, network[size:]),
            incoming=came,
            type=PACKET_OTHERHOST if way == "bridge" else PACKET_HOST,
        )
        packet = self.hook("netdev", "ingress", packet, came.name)
        if way == "arp":
            self.hook("arp", "input", packet)
        elif way == "bridge":
            packet = self.hook("bridge", "prerouting", packet)
            if packet is not None:
                packet = packet.replace(outgoing=interfaces["p2"])
            packet = self.hook("bridge", "forward", packet)
            packet = self.hook("bridge", "postrouting", packet and packet.replace(incoming=None))
            if packet is not None and packet.vlan is None:  # the kernel reports nothing of tagged frames at egress
                self.hook("netdev", "egress", packet, "p2")
        else:
            packet = self.layer3(family, "prerouting", packet)
            self.routed(family, packet, came)
        return self.found, self.certain

    def routed(self, family: str, packet: Packet | None, came: Interface) -> None:
        """From the routing on."""
        interfaces = self.router.interfaces
        if packet is not None and packet.destination in OWN:
            self.layer3(family, "input", packet)
        else:
            goes = interfaces[
                "r1" if packet is None or str(packet.destination).startswith(("10.2.", "fd02:")) else "r0"
            ]
            if packet is not None:
                packet = packet.replace(outgoing=goes, ttl=packet.ttl - 1)  # type: ignore[operator]
            packet = self.layer3(family, "forward", packet)
            packet = self.layer3(family, "postrouting", packet)
            self.hook("netdev", "egress", packet, goes.name)

    def layer3(self, family: str, hook: str, packet: Packet | None) -> Packet | None:
        """A hook that connection tracking and translation have a part of."""
        chains = self.router.ruleset.base_chains(family, hook)
        if hook in ("prerouting", "output"):
            early = [chain for chain in chains if place_of(chain) < -200]
            packet = self.hook(family, hook, packet, chains=early)
            if packet is None:
                return None
            chains = chains[len(early) :]
            if packet.tracking is None:
                packet = self.tracked(packet)
        place = {"prerouting": -100, "output": -100, "postrouting": 100, "input": 100}.get(hook)
        before = [
            chain for chain in chains if place is not None and (place_of(chain), chain.kind != "nat") <= (place, False)
        ]
        if place is None:
            before = chains
        packet = self.hook(family, hook, self.told(packet, before, hook), chains=before)
        if packet is None or place is None:
            return packet
        after = chains[len(before) :]
        return self.hook(family, hook, self.told(self.translated(packet), after, hook), chains=after)

    def translated(self, packet: Packet) -> Packet:
        """The packet as the next base chain's first message has it, where it may have been translated meanwhile.

        What is chosen of a range is the kernel's affair, and not of the rules.
        """
        tracking = packet.tracking
        if not isinstance(tracking, Tracking) or not tracking.id:
            return packet
        if self.translation is not None and self.translation.kind == "redirect":
            packet = packet.replace(destination=ROUTER6 if self.sent.six else ROUTER4)
        if self.translation is not None and self.translation.kind == "dnat" and self.translation.addresses:
            packet = packet.replace(destination=self.translation.addresses[0])
        passed = {
            (step.chain.family, step.chain.table, step.chain.name)
            for _, ways in self.found
            for way in ways
            for step in way
        }
        for event in self.events:
            if event.network and (event.family, event.table, event.chain) not in passed and event.family != "netdev":
                now = event.packet(lambda index, kind: Interface(index, ""))
                break
        else:
            later = [event for event in self.events if event.network and event.family == "netdev"]
            if len(later) < 2:
                return packet
            now = later[-1].packet(lambda index, kind: Interface(index, ""))
        assert now is not None
        changed = {
            name: getattr(now, name) for name in ("source", "destination", "source_port", "destination_port", "icmp_id")
        }
        packet = packet.replace(**changed)
        if tracking.direction == "original" and not tracking.status & 8:  # type: ignore[operator]
            # Of its first packet; the kernel has the reply's tuple changed by then (net/netfilter/nf_nat_core.c).
            ends = self.router.replies[tracking.id] = _mirrored(_ends(packet))  # type: ignore[index]
            packet = packet.replace(tracking=tracking._replace(reply=ends))
        return packet

    def tracked(self, packet: Packet) -> Packet:
        """What connection tracking makes of it, by the first event that shows it."""
        told = next((event for event in self.events if event.tracking_state is not None), None)
        if told is None:
            return packet
        if told.tracking_id is None:
            return packet.replace(tracking=UNTRACKED if told.tracking_state == "untracked" else INVALID)
        identity = told.tracking_id
        # An entry that was never confirmed is gone with its packet; another may have its number.
        confirmed = (told.tracking_status or 0) & 8
        if identity not in self.router.ends or not confirmed:
            self.router.ends[identity] = _ends(packet)
            self.router.replies[identity] = _mirrored(_ends(packet))
        original, reply = self.router.ends[identity], self.router.replies[identity]
        mark = self.router.marks.get(identity, 0) if confirmed else 0
        return packet.replace(
            tracking=Tracking(
                told.tracking_state or "",
                told.tracking_direction or "",
                told.tracking_status or 0,
                mark,
                0,
                original,
                reply,
                None,
                0,
                identity,
            )
        )

    def told(self, packet: Packet | None, chains: list[Any], hook: str) -> Packet | None:
        """The status of its entry changes on the way: what the trace says at the first of these chains is taken."""
        if (
            packet is None
            or packet.tracking is None
            or packet.tracking.id == 0
            or not isinstance(packet.tracking, Tracking)
        ):
            return packet
        names = {(chain.family, chain.table, chain.name) for chain in chains}
        for event in self.events:
            if (event.family, event.table, event.chain) in names and event.tracking_id is not None:
                status = event.tracking_status or 0
                if not status & 8 and any(chain.kind == "nat" for chain in chains):
                    # Of a flow that is not confirmed yet: a rule that translates is reported after it has done so.
                    status &= ~(0x1B0 if hook in ("prerouting", "output") else 0x90)
                return packet.replace(tracking=packet.tracking._replace(status=status))
        return packet

    def hook(
        self,
        family: str,
        hook: str,
        packet: Packet | None,
        device: str | None = None,
        chains: Any = None,
        link: Any = None,
    ) -> Packet | None:
        if packet is None:
            return None
        if hook == "egress" and device is not None:
            outgoing = self.router.interfaces[device]
            packet = packet.replace(outgoing=outgoing, incoming=packet.incoming if self.sent.way == "bridge" else None)
            if self.sent.way != "bridge":
                own = self.router.macs["left" if device == "r0" else "right"]
                packet = packet.replace(link_source=own, link_destination=LEFT if device == "r0" else RIGHT)
            packet = packet.replace(incoming=None)
        walk: Walk = run_hook(
            self.router.ruleset,
            family,
            hook,
            packet,
            self.router.context,
            device=device,
            chains=chains,
            stored=self.stored,
        )
        self.found.append((f"{family} {hook}", [_settled(outcome) for outcome in walk.outcomes]))
        self.certain = self.certain and walk.certain
        outcome = self.chosen(walk)
        if outcome.verdict.name != "accept":
            return None
        self.translation = outcome.translation
        if outcome.translation is not None:
            self.clashes.append(len(self.found))
        after = outcome.packet
        self.stored = outcome.stored
        if isinstance(after.tracking, Tracking) and isinstance(after.tracking.id, int) and after.tracking.id:
            self.router.marks[after.tracking.id] = after.tracking.mark  # type: ignore[assignment]
        return after

    def chosen(self, walk: Walk) -> Outcome:
        """Of several ways the one that the kernel went."""
        if len(walk.outcomes) == 1:
            return walk.outcomes[0]
        best = walk.outcomes[0], -1, False
        for outcome in walk.outcomes:
            tried = [*self.found[:-1], (self.found[-1][0], [_settled(outcome)])]
            for end in range(len(self.events), -1, -1):
                if agrees(self.events[:end], tried):
                    # Of those that come as far, the one whose mark the next message tells.
                    rest = next((event for event in self.events[end:] if event.network), None)
                    right = rest is not None and outcome.packet.mark == rest.mark
                    if (end, right) > best[1:]:
                        best = outcome, end, right
                    break
        return best[0]


def _settled(outcome: Outcome) -> tuple[Step, ...]:
    """The steps, those that this outcome surely has without a doubt."""
    return tuple(step._replace(doubt=None) if step.doubt in outcome.doubts else step for step in outcome.steps)


def _ends(packet: Packet) -> Ends:
    ports = (packet.source_port, packet.destination_port)
    if packet.protocol in (1, 58):
        ports = packet.icmp_id, packet.icmp_type << 8 | packet.icmp_code  # type: ignore[operator]
    if packet.protocol not in (1, 58, 6, 17):
        ports = 0, 0
    return Ends(str(packet.source), str(packet.destination), packet.protocol, *ports)  # type: ignore[arg-type]


def _mirrored(ends: Ends) -> Ends:
    """The tuple of the answers; of ICMP the source port is the number, and the destination port type and code."""
    if ends.protocol in (1, 58):
        kind, code = divmod(ends.destination_port, 256)
        ports = ends.source_port, {8: 0, 13: 14, 128: 129}.get(kind, kind) << 8 | code
    else:
        ports = ends.destination_port, ends.source_port
    return Ends(ends.destination, ends.source, ends.protocol, *ports)


def _data(packet: Packet, transport: bytes) -> bytes:
    size = {6: 20, 17: 8, 1: 8, 58: 8}.get(packet.protocol, 0)  # type: ignore[call-overload]
    if packet.protocol == 6 and isinstance(packet.tcp_options, bytes):
        size += len(packet.tcp_options)
    return transport[size:]


def _mac(name: str) -> str:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        return fcntl.ioctl(opened, 0x8927, struct.pack("256s", name.encode()))[18:24].hex(":")


def _packet_socket(device: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.bind((device, 0))
    return opened


def _raw_socket(six: bool) -> socket.socket:
    if six:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        opened.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
        return opened
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
