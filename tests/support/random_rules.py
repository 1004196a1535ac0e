"""Random rulesets of nftables and iptables-nft, and random packets for them, of a seed."""

from __future__ import annotations

import struct
from random import Random
from socket import AF_INET6, inet_aton, inet_pton
from typing import NamedTuple

LEFT, RIGHT = "02:00:00:00:01:01", "02:00:00:00:02:01"
"""Link addresses that traced frames come from: of nobody's, so nothing else is traced."""

SOURCES4 = [f"10.1.0.{number}" for number in range(1, 7)]
TARGETS4 = [f"10.2.0.{number}" for number in range(1, 7)]
SOURCES6 = [f"fd01::{number}" for number in range(1, 7)]
TARGETS6 = [f"fd02::{number}" for number in range(1, 7)]
PORTS = [1, 22, 53, 80, 443, 1000, 1001, 1005, 8080, 65535]
CONNMARKS = (
    *("--set-xmark 1", "--save-mark", "--restore-mark", "--set-xmark 0x2/0x2"),
    *("--restore-mark --nfmask 0xf0 --ctmask 0xf", "--save-mark --nfmask 0xff --ctmask 0x3"),
)
VERDICTS = ("accept", "drop", "continue", "return")
ROUTER4, ROUTER6 = "10.1.0.254", "fd01::fe"


class Frame(NamedTuple):
    """A frame to send, and what is known of it."""

    way: str
    """forward, input, output, bridge or arp."""
    data: bytes
    """From the IP header on, for output; the frame otherwise."""
    six: bool
    protocol: int
    reply: bool


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data + bytes(len(data) % 2)) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address: str) -> bytes:
    return inet_pton(AF_INET6, address) if ":" in address else inet_aton(address)


def ip_packet(random: Random, source: str, target: str, protocol: int, segment: bytes) -> bytes:
    tos, ttl = random.choice((0, 0, 0x10, 0xB8, 1)), random.choice((2, 64, 64, 64, 255))
    if ":" in source:
        return (
            struct.pack("!IHBB", 6 << 28 | tos << 20, len(segment), protocol, ttl)
            + packed(source)
            + packed(target)
            + segment
        )
    fragment = random.choice((0, 0x4000))
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(segment), random.randrange(65536), fragment, ttl, protocol, 0)
    head += packed(source) + packed(target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + segment


def segment(random: Random, source: str, target: str, protocol: int, ports: tuple[int, int], flags: int) -> bytes:
    """A transport header with some data, and a right checksum: connection tracking looks at it."""
    data = bytes(random.choice((0, 0, 4, 30)))
    if protocol == 6:
        options = random.choice((b"", struct.pack("!BBH", 2, 4, 1460), struct.pack("!BBHBBBB", 2, 4, 1200, 1, 3, 3, 7)))
        if not flags & 2:
            options = b""
        head = struct.pack("!HHIIBBHHH", *ports, 1000, 0, (20 + len(options)) // 4 << 4, flags, 512, 0, 0) + options
        at = 16
    elif protocol == 17:
        head, at = struct.pack("!HHHH", *ports, 8 + len(data), 0), 6
    elif protocol in (1, 58):
        kind = random.choice((8, 8, 13) if protocol == 1 else (128,))
        head, at = struct.pack("!BBHHH", kind, 0, 0, ports[0], 1), 2
    else:
        return bytes(8) + data
    whole = head + data
    pseudo = b""
    if protocol != 1:
        pseudo = packed(source) + packed(target)
        pseudo += (
            struct.pack("!IxxxB", len(whole), protocol) if ":" in source else struct.pack("!xBH", protocol, len(whole))
        )
    total = checksum(pseudo + whole) or 0xFFFF
    return whole[:at] + struct.pack("!H", total) + whole[at + 2 :]


def frame(random: Random, ways: list[str], macs: dict[str, str], before: Frame | None = None) -> Frame:
    """A packet for one of the ways through the router; sometimes an answer to the one before."""
    way = random.choice(ways)
    if way == "arp":
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, random.choice((1, 2))) + bytes.fromhex(LEFT.replace(":", ""))
        body += packed(random.choice(SOURCES4)) + bytes(6) + packed(random.choice((ROUTER4, TARGETS4[0])))
        return Frame("arp", mac(macs["left"]) + mac(LEFT) + b"\x08\x06" + body, False, 0, False)
    six = random.random() < 0.35
    if before is not None and before.way == way == "forward" and before.protocol in (6, 17) and random.random() < 0.5:
        return answer(random, before, macs)
    sources, targets = (SOURCES6, TARGETS6) if six else (SOURCES4, TARGETS4)
    source, target = random.choice(sources), random.choice(targets)
    if way == "input":
        target = ROUTER6 if six else ROUTER4
    if way == "output":
        source = ROUTER6 if six else ROUTER4
    protocol = random.choice((6, 6, 17, 17, 58 if six else 1, 47))
    ports = random.choice((random.choice(PORTS), random.randrange(1, 65536))), random.choice(PORTS)
    flags = random.choice((2, 2, 2, 16, 18, 4, 1, 41))
    body = segment(random, source, target, protocol, ports, flags)
    data = ip_packet(random, source, target, protocol, body)
    kind = b"\x86\xdd" if six else b"\x08\x00"
    if way == "output":
        return Frame(way, data, six, protocol, False)
    if way == "bridge":
        tag = random.choice((b"", b"", b"\x81\x00\x00\x05", b"\x81\x00\x60\x06"))
        return Frame(way, mac(RIGHT) + mac(LEFT) + tag + kind + data, six, protocol, False)
    return Frame(way, mac(macs["left"]) + mac(LEFT) + kind + data, six, protocol, False)


def answer(random: Random, before: Frame, macs: dict[str, str]) -> Frame:
    """What the other end would say."""
    from socket import inet_ntop

    data = before.data[14:]
    size, at = (40, 8) if before.six else (20, 12)
    length = 16 if before.six else 4
    family = AF_INET6 if before.six else 2
    source, target = (inet_ntop(family, data[where : where + length]) for where in (at + length, at))
    ports = struct.unpack_from("!HH", data, size)
    body = segment(random, source, target, before.protocol, (ports[1], ports[0]), 18)
    kind = b"\x86\xdd" if before.six else b"\x08\x00"
    head = mac(macs["left"]) + mac(LEFT) if before.reply else mac(macs["right"]) + mac(RIGHT)
    whole = head + kind + ip_packet(random, source, target, before.protocol, body)
    return Frame("forward", whole, before.six, before.protocol, not before.reply)


def mac(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


class Rules:
    """Makes one ruleset."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []

    def some(self, *choices: str) -> str:
        return self.random.choice(choices)

    def address(self, six: bool) -> str:
        return self.random.choice(SOURCES6 + TARGETS6 if six else SOURCES4 + TARGETS4)

    def prefix(self, six: bool) -> str:
        return (
            f"fd0{self.random.choice('12')}::{self.some('', '4')}/{self.some('64', '126', '125')}"
            if six
            else (f"10.{self.random.choice('12')}.0.{self.some('0/24', '0/30', '4/31', '0/29')}")
        )

    def rules_address(self, six: bool) -> str:
        return self.random.choice(SOURCES6 if six else SOURCES4)

    def range(self, six: bool) -> str:
        first = self.random.randrange(1, 5)
        last = first + self.random.randrange(0, 3)
        base = self.some("fd01::", "fd02::") if six else self.some("10.1.0.", "10.2.0.")
        return f"{base}{first}-{base}{last}" if first < last else f"{base}{first}"

    def ports(self) -> str:
        low = self.random.choice(PORTS)
        return self.some(str(low), f"{max(low - 5, 0)}-{min(low + 5, 65535)}" if low else "1", f"{low}")

    def listed(self, make: list[str]) -> str:
        return "{ " + ", ".join(sorted(set(make))) + " }"

    def port_set(self) -> str:
        chosen = self.random.sample(PORTS, 3)
        if self.random.random() < 0.5:
            return self.listed([str(port) for port in chosen])
        return self.listed([f"{chosen[0]}", "2000-3000", "30000-40000"])

    def mapped(self, six: bool, *values: str) -> str:
        return self.listed(
            [f"{one} : {self.some(*values)}" for one in self.random.sample(SOURCES6 if six else SOURCES4, 3)]
        )

    def condition(self, family: str, hook: str, six: bool) -> str:
        """Something that a packet may or may not be."""
        r = self.random
        if family == "arp":
            return self.arp_condition()
        ip = "ip6" if six else "ip"
        number = 6 if six else 4
        op = self.some("", "", "", "!= ")
        general = [
            lambda: f"{ip} {self.some('saddr', 'daddr')} {op}{self.address(six)}",
            lambda: f"{ip} {self.some('saddr', 'daddr')} {op}{self.prefix(six)}",
            lambda: f"{ip} {self.some('saddr', 'daddr')} {op}{self.range(six)}",
            lambda: f"{ip} {self.some('saddr', 'daddr')} {op}{self.listed([self.address(six) for _ in range(3)])}",
            lambda: f"{ip} {self.some('saddr', 'daddr')} {op}@nets{6 if six else 4}",
            lambda: f"{ip} saddr . {ip} daddr {op}@pairs{6 if six else 4}",
            lambda: f"{ip} daddr . th dport {op}@services{6 if six else 4}",
            lambda: (
                f"{ip} daddr . {self.some('tcp', 'udp')} dport {op}"
                + self.listed([f"{self.address(six)} . {r.choice(PORTS)}" for _ in range(3)])
            ),
            lambda: f"{self.some('tcp', 'udp', 'th')} {self.some('sport', 'dport')} {op}{self.ports()}",
            lambda: f"{self.some('tcp', 'udp', 'th')} {self.some('sport', 'dport')} {op}{self.port_set()}",
            lambda: f"{self.some('tcp', 'udp', 'th')} dport {op}@ports",
            lambda: f"tcp dport {self.some('<', '>', '<=', '>=')} {r.choice(PORTS)}",
            lambda: (
                f"meta l4proto {op}{self.some('tcp', 'udp', '{ tcp, udp }', 'icmp', 'gre', '{ icmp, ipv6-icmp, 47 }')}"
            ),
            lambda: f"meta mark {op}{self.some('0x0', '0x1', '0x2', '1-3', '{ 1, 2 }', '0x3', '2')}",
            lambda: (
                f"iifname {op}{self.some(chr(34) + 'r*' + chr(34), 'r0', 'p1', '{ r0, p2 }', chr(34) + 'p*' + chr(34))}"
            ),
            lambda: f"meta length {self.some('<', '>')} {self.some('60', '40', '64')}",
            lambda: (
                f"tcp flags {self.some('syn', '!= syn', '& (syn|ack) == syn', '& (fin|syn|ack) != ack', '{ syn }')}"
            ),
            lambda: f"tcp flags {self.some('syn,ack / syn,ack', 'fin,psh', '! ack')}",
            lambda: f"tcp option maxseg size {self.some('1460', '< 1400', '!= 1200')}",
            lambda: f"tcp option {self.some('maxseg', 'window', 'sack-perm')} {self.some('exists', 'missing')}",
            lambda: f"{ip} dscp {op}{self.some('ef', 'cs0', 'cs1', '0x04')}",
            lambda: f"{ip} ecn {op}{self.some('not-ect', 'ect1', 'ect0')}",
            lambda: f"ip6 hoplimit {self.some('<', '>=')} 64" if six else f"ip ttl {self.some('<', '>=')} 64",
            lambda: f"ip6 nexthdr {op}tcp" if six else f"ip protocol {op}{self.some('tcp', '{ tcp, udp }', '47')}",
            lambda: (
                f"ip6 length {self.some('<', '>')} 30"
                if six
                else f"ip frag-off & 0x4000 {self.some('==', '!=')} 0x4000"
            ),
            lambda: (
                f"icmpv6 type {op}echo-request"
                if six
                else f"icmp type {op}{self.some('echo-request', 'timestamp-request')}"
            ),
            lambda: f"@th,{self.some('0,16', '16,16')} {op}{r.choice(PORTS)}",
            lambda: f"@nh,{self.some('0,8 0x45', '0,4 6', '8,8 0x0', '64,8 64')}",
            lambda: f"meta protocol {op}{self.some('ip', 'ip6', '{ ip, arp }')}",
            lambda: f"meta pkttype {op}{self.some('host', 'other', '{ host, broadcast }')}",
            lambda: f"jhash {ip} saddr mod {self.some('2', '3', '4')} seed 0xdeadbeef {self.some('0', '1')}",
            lambda: f"jhash {ip} saddr . th dport mod 4 seed 0x{r.randrange(1 << 32):x} {self.some('< 2', '> 1')}",
            lambda: f"{ip} saddr & {'ffff::1' if six else '0.0.0.1'} == {'fd01::1' if six else '0.0.0.1'}",
            lambda: f"iif {op}{self.some('r0', 'r1')}" if hook not in ("output",) else "meta mark 0",
            lambda: f"iifgroup {op}{self.some('5', 'default')}" if hook != "output" else "oifgroup 5",
            lambda: f"meta iiftype {op}ether" if hook != "output" else "meta oiftype ether",
            lambda: f"meta iifkind {op}veth" if hook != "output" else "meta oifkind veth",
        ]
        general += [
            lambda: (
                f"meta mark . th dport {op}{self.listed([f'{r.randrange(3)} . {r.choice(PORTS)}' for _ in range(4)])}"
            ),
            lambda: (
                f"{ip} saddr . meta mark {op}{self.listed([f'{self.address(six)} . {r.randrange(3)}' for _ in 'four'])}"
            ),
            lambda: f"{ip} daddr . meta l4proto . th dport {op}@triples{number}",
            lambda: f"{ip} saddr {op}@counted{number}",
            lambda: f"meta mark {op}@marked",
            lambda: f"meta mark & 0x7 {self.some('==', '!=')} 0x3",
            lambda: f"icmpv6 code {op}0" if six else f"icmp code {op}0",
            lambda: f"icmpv6 id {op}{self.some('22', '1-1000')}" if six else f"icmp id {op}{self.some('22', '1-1000')}",
            lambda: f"udp length {self.some('<', '>=', '!=')} 12",
            lambda: f"tcp doff {self.some('<', '>=', '')} 6",
            lambda: f"ip6 version {op}6" if six else f"ip hdrlength {op}5",
            lambda: f"ip6 flowlabel {op}0" if six else f"ip length {self.some('<', '>=')} 44",
            lambda: f"meta hour {self.some('!= ', '')}" + '"00:00"-"23:59"',
            lambda: "meta mark 0" if not six else f"exthdr {self.some('frag', 'hbh')} {self.some('exists', 'missing')}",
        ]
        if hook != "output":
            general += [
                lambda: (
                    f"iifname . {ip} saddr {op}"
                    + self.listed([f'"{self.some("r0", "p1")}" . {self.address(six)}' for _ in range(3)])
                ),
                lambda: f"iifname {op}" + self.listed(['"r*"', self.some('"p1"', '"q*"')]),
                lambda: f"iif . meta l4proto {op}{{ r0 . tcp, r0 . udp, p1 . tcp }}",
            ]
        tracked = [
            lambda: f"ct state {op}{self.some('new', 'established', 'invalid', 'new,invalid', 'related', 'untracked')}",
            lambda: f"ct state {{ {self.some('new, established', 'invalid, new')} }}",
            lambda: f"ct direction {self.some('original', 'reply')}",
            lambda: f"ct mark {op}{self.some('0', '1', '2', '& 1 == 1')}",
            lambda: f"ct original {ip} saddr {op}{self.prefix(six)}",
            lambda: f"meta l4proto {self.some('tcp', 'udp')} ct original proto-dst {op}{r.choice(PORTS)}",
            lambda: f"ct reply {ip} saddr {op}{self.prefix(six)}",
            lambda: (
                f"ct protocol {self.some('tcp', 'udp')}"
                if False
                else f"ct status {op}{self.some('confirmed', 'seen-reply', 'dnat')}"
            ),
            lambda: f"ct l3proto {op}{self.some('ipv4', 'ipv6')}",
        ]
        out = [
            lambda: f"oifname {op}{self.some('r1', 'r0', chr(34) + 'r*' + chr(34), '{ r1, p2 }')}",
            lambda: f"oif {op}{self.some('r0', 'r1')}",
            lambda: f"oifgroup {op}{self.some('6', '0-5')}",
        ]
        fib = [
            lambda: (
                f"fib {self.some('daddr', 'saddr')} type {op}{self.some('local', 'unicast', '{ local, broadcast }')}"
            ),
            lambda: f"fib saddr oif {self.some('exists', 'missing', 'r0', '!= r1')}",
            lambda: f"fib saddr . iif oif {self.some('exists', 'missing')}",
        ]
        link = [
            lambda: f"ether saddr {op}{self.some(LEFT, RIGHT)}",
            lambda: f"ether daddr {op}{self.some(LEFT, RIGHT)}",
            lambda: f"ether type {op}{self.some('ip', 'ip6', 'arp', '{ ip, ip6 }')}",
            lambda: f"@ll,48,48 {op}0x020000000101",
            lambda: f"vlan id {op}{self.some('5', '6', '1-5')}",
            lambda: f"vlan pcp {op}{self.some('0', '3')}",
            lambda: f"ether type {op}vlan",
            lambda: f"vlan id 5 {ip} saddr {self.address(six)}",
            lambda: f"vlan type {op}{ip}",
        ]
        choices = list(general)
        if family in ("ip", "ip6", "inet") and hook != "ingress":
            choices += tracked * 2
            if hook in ("prerouting", "input"):
                choices += fib
        if hook in ("postrouting", "output") or (hook == "forward"):
            choices += out
        if hook == "prerouting" or family in ("bridge", "netdev") or hook == "ingress":
            choices += link
        if family == "inet":
            choices.append(lambda: f"meta nfproto {op}{self.some('ipv4', 'ipv6')}")
        if hook == "output":
            choices += [lambda: f"meta skuid {op}{self.some('0', '1000')}", lambda: f"meta skgid {op}0"]
        return r.choice(choices)()

    def arp_condition(self) -> str:
        op = self.some("", "", "!= ")
        return self.some(
            f"arp operation {op}{self.some('request', 'reply', '{ request, reply }')}",
            f"arp saddr ip {op}{self.some(self.address(False), self.prefix(False), self.range(False))}",
            f"arp daddr ip {op}{self.some(ROUTER4, TARGETS4[0])}",
            f"arp saddr ether {op}{self.some(LEFT, RIGHT)}",
            f"arp htype {op}1",
            f"arp plen {op}4",
            f"meta mark {op}{self.some('0', '1')}",
            f"iifname {op}{self.some('r0', 'r1')}",
            f"meta length {self.some('<', '>=')} 28",
            f"arp operation . arp saddr ip {op}{{ request . {self.address(False)}, reply . {self.address(False)} }}",
        )

    def statement(self, family: str, hook: str, six: bool, chains: list[str]) -> str:
        """What a rule says at its end."""
        r = self.random
        ip = "ip6" if six else "ip"
        if family == "arp":
            jumps = [f"jump {chain}" for chain in chains] + [f"goto {chain}" for chain in chains]
            return self.some(
                "accept", "drop", "continue", "return", "counter", "meta mark set 1", "meta mark set 2", *jumps
            )
        choices = ["accept", "drop", "continue", "return", "counter", "counter accept", "", "meta mark set 1"]
        choices += [f"meta mark set {self.some('0x2', 'meta mark or 0x1', 'meta mark and 0x2', 'meta mark xor 0x3')}"]
        choices += [
            f"meta mark set {ip} saddr map @marks{6 if six else 4}",
            "meta mark set tcp dport map { 22 : 1, 80 : 2 }",
        ]
        choices += [f"meta mark set jhash {ip} saddr mod 4 seed 7 offset 1", "counter name c1"]
        number = 6 if six else 4
        choices += [
            f"{ip} saddr vmap {{ {self.address(six)} : {self.some(*VERDICTS)}, * : {self.some(*VERDICTS)} }}",
            f"{ip} saddr . th dport vmap {{ {self.address(six)} . 22 : drop, {self.address(six)} . 80 : accept }}",
            f"counter name {ip} saddr map @named{number}",
            f"meta mark set {ip} daddr map {{ {self.address(six)} : 1, * : 2 }}",
            f"meta mark set meta mark {self.some('<<', '>>')} 1",
            f"meta mark set meta mark and 0x1 or {self.some('0x2', '0x1')}",
            f"meta mark set {ip} dscp map {{ ef : 3, cs0 : 1 }}",
            f"delete @seen{number} {{ {ip} saddr }}",
            f"{ip} saddr @seen{number} meta mark set 3",
            f"log prefix {chr(34)}x{chr(34)} group 1 continue",
        ]
        if r.random() < 0.1:
            choices += [
                "quota over 3000 bytes drop",
                "ct count over 3 drop" if hook in ("prerouting", "forward") else "accept",
            ]
        if hook in ("forward", "postrouting") and family in ("ip", "ip6", "inet"):
            choices += ["th dport set 81", f"{ip} saddr set {self.rules_address(six)}"]
        choices += [f"add @seen{6 if six else 4} {{ {ip} saddr }}", f"update @seen{6 if six else 4} {{ {ip} daddr }}"]
        choices += ["limit rate 5/second accept"] if r.random() < 0.1 else []
        choices += ["numgen random mod 2 vmap { 0 : accept, 1 : continue }"] if r.random() < 0.1 else []
        choices += ["meta mark set numgen inc mod 2"] if r.random() < 0.1 else []
        if chains:
            jumps = [f"jump {r.choice(chains)}", f"goto {r.choice(chains)}"]
            jumps += [f"tcp dport vmap {{ 22 : jump {r.choice(chains)}, 80 : accept, 443 : drop }}"]
            jumps += [
                f"{ip} saddr vmap @verdicts{6 if six else 4}",
                f"meta l4proto vmap {{ tcp : jump {r.choice(chains)}, udp : goto {r.choice(chains)} }}",
            ]
            jumps += [f"th dport vmap {{ 0-1023 : jump {r.choice(chains)}, 1024-65535 : return }}"]
            choices += jumps * 2
        if family in ("ip", "ip6", "inet") and hook not in ("ingress", "raw"):
            choices += ["ct mark set 1", "ct mark set meta mark", "meta mark set ct mark"]
        if hook == "raw":
            choices += ["notrack", "notrack"]
        if family in ("ip", "ip6", "inet") and hook in ("input", "forward", "output"):
            choices.append("reject")
        if family != "bridge" and hook in ("postrouting", "forward") and r.random() < 0.3:
            choices += ["tcp option maxseg size set 1300", f"{ip} dscp set cs1"]
        if hook not in ("ingress", "egress") and family in ("ip", "ip6"):
            choices += ["ip ttl set 60" if not six else "ip6 hoplimit set 60"]
        return r.choice(choices)

    def rule(self, family: str, hook: str, chains: list[str]) -> str:
        six = {"ip": False, "ip6": True}.get(family, self.random.random() < 0.4)
        count = self.random.choice((0, 1, 1, 1, 2, 2, 3))
        parts = [self.condition(family, hook, six) for _ in range(count)]
        parts.append(self.statement(family, hook, six, chains))
        return " ".join(part for part in parts if part) or "counter"

    def translations(self, family: str, table: str) -> list[str]:
        """Chains that translate, sometimes."""
        r = self.random
        lines = []
        for hook in ("prerouting", "postrouting", "output", "input"):
            if r.random() > 0.25:
                continue
            priority = r.choice((-100, -90, 100, 110))
            chain = f"nat_{hook}"
            lines.append(f"add chain {table} {chain} {{ type nat hook {hook} priority {priority}; }}")
            for _ in range(r.randrange(1, 4)):
                six = {"ip": False, "ip6": True}.get(family, r.random() < 0.4)
                how = ("ip6" if six else "ip") if family == "inet" else ""
                target = r.choice(TARGETS6 if six else TARGETS4)
                if hook in ("postrouting", "input"):
                    source = r.choice(SOURCES6 if six else SOURCES4)
                    ways = [f"snat {how} to {source}", f"snat {how} to {source} random"]
                    if hook == "postrouting":
                        ways += ["masquerade", "masquerade fully-random"]
                        ways += ["meta l4proto { tcp, udp } masquerade to :5000-6000"]
                else:
                    ways = [f"dnat {how} to {target}"]
                    to = f"[{target}]:8080" if six else f"{target}:8080"
                    ways += [f"meta l4proto {{ tcp, udp }} dnat {how} to {to}"]
                    if hook == "prerouting":
                        ways += ["tcp dport 80 redirect to :8080", "redirect"]
                        address = "ip6 daddr" if six else "ip daddr"
                        ways += [
                            f"dnat {how} to {address} map {{ {self.address(six)} : {target}, {target} : {target} }}"
                        ]
                lines.append(
                    f"add rule {table} {chain} {self.condition(family, hook, six)} {r.choice([*ways, 'accept'])}"
                )
        return lines

    def table(self, family: str, name: str, hooks: list[tuple[str, str]]) -> list[str]:
        """A table with base chains at these hooks and their priorities; each line can stand alone."""
        r = self.random
        table = f"{family} {name}"
        lines = [f"add table {table}", f"add counter {table} c1"]
        for number, addresses in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            six = number == 6
            if {"ip": 4, "ip6": 6}.get(family, number) != number:
                continue
            lines += [
                f"add set {table} nets{number} {{ type {addresses}; flags interval; auto-merge; elements = "
                f"{self.listed([self.prefix(six), self.range(six)])}; }}",
                f"add set {table} pairs{number} {{ type {addresses} . {addresses}; elements = "
                f"{self.listed([f'{self.address(six)} . {self.address(six)}' for _ in range(6)])}; }}",
                f"add set {table} services{number} {{ type {addresses} . inet_service; flags interval; elements = "
                f"{{ {self.prefix(six)} . 20-80, {self.address(six)} . {r.choice((443, 8080))} }}; }}",
                f"add set {table} seen{number} {{ type {addresses}; size 1000; flags dynamic; }}",
                f"add map {table} marks{number} {{ type {addresses} : mark; elements = "
                f"{self.mapped(six, '0', '1', '2', '3')}; }}",
                f"add map {table} verdicts{number} {{ type {addresses} : verdict; flags interval; elements = "
                f"{self.mapped(six, *VERDICTS)}; }}",
            ]
        for number, addresses in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            six = number == 6
            if {"ip": 4, "ip6": 6}.get(family, number) != number:
                continue
            triples = [f"{self.prefix(six)} . tcp . 1-100", f"{self.address(six)} . udp . {r.choice((53, 1000))}"]
            lines += [
                f"add set {table} counted{number} {{ type {addresses}; counter; elements = "
                f"{self.listed([self.address(six) for _ in range(4)])}; }}",
                f"add map {table} named{number} {{ type {addresses} : counter; elements = {self.mapped(six, 'c1')}; }}",
                f"add set {table} triples{number} {{ type {addresses} . inet_proto . inet_service; flags interval; "
                f"elements = {self.listed(triples)}; }}",
            ]
        lines.append(f"add set {table} marked {{ type mark; flags interval; elements = {{ 1-2, 16-4000 }}; }}")
        lines.append(
            f"add set {table} ports {{ type inet_service; flags interval; elements = {{ 20-30, 80, 8000-9000 }}; }}"
        )
        inner = [f"c{number}" for number in range(r.randrange(0, 4))]
        lines += [f"add chain {table} {chain}" for chain in inner]
        for at, chain in enumerate(inner):
            for _ in range(r.randrange(0, 4)):
                # A chain jumps to later ones only, so there is no loop; what is reported there must do at every hook.
                lines.append(f"add rule {table} {chain} {self.rule(family, 'ingress', inner[at + 1 :])}")
        if family in ("ip", "ip6", "inet"):
            lines += self.translations(family, table)
        for hook, where in hooks:
            kind = "raw" if "priority -300" in where else hook
            chain = f"{hook}_{len(lines)}"
            policy = self.some("accept", "accept", "accept", "drop")
            lines.append(f"add chain {table} {chain} {{ type filter hook {hook} {where}; policy {policy}; }}")
            for _ in range(r.randrange(1, 7)):
                lines.append(f"add rule {table} {chain} {self.rule(family, kind, inner)}")
        return lines


class Iptables:
    """Random rules of iptables-nft, as arguments after the program's name."""

    def __init__(self, random: Random, six: bool) -> None:
        self.random = random
        self.six = six
        self.rules = Rules(random)

    def some(self, *choices: str) -> str:
        return self.random.choice(choices)

    def condition(self, chain: str) -> str:
        r, six, some = self.random, self.six, self.some
        no = some("", "", "! ")
        flag = (
            some("--icmpv6-type echo-request", "--icmpv6-type 1")
            if six
            else some("--icmp-type echo-request", "--icmp-type timestamp-request", "--icmp-type 8/0", "--icmp-type any")
        )
        states = some("NEW", "ESTABLISHED", "INVALID", "NEW,INVALID", "RELATED,ESTABLISHED", "UNTRACKED")
        span = self.rules.range(six)
        span = span if "-" in span else f"{span}-{span}"
        choices = [
            f"{no}-s {self.rules.prefix(six)}",
            f"{no}-d {self.rules.address(six)}",
            f"-p {some('tcp', 'udp')} {no}--dport {some('22', '80', '1:1024', '443')}",
            f"-p {some('tcp', 'udp')} {no}--sport {some('1000:1005', '80', '1024:')}",
            f"-p tcp {no}--tcp-flags {some('SYN,ACK SYN', 'FIN,SYN,RST,ACK SYN', 'ALL ACK', 'FIN,PSH FIN')}",
            f"-p tcp {no}--syn",
            f"-p tcp {no}--tcp-option {some('2', '3')}",
            f"-p {some('tcp', 'udp')} -m multiport {no}--{some('sports', 'dports', 'ports')} "
            f"{some('22,80,443', '1:100,8080', '1000,1001')}",
            f"-m conntrack {no}--ctstate {states}",
            f"-m state {no}--state {some('NEW', 'ESTABLISHED', 'INVALID', 'UNTRACKED')}",
            f"-m conntrack --ctstate NEW,ESTABLISHED {no}--ctorigsrc {self.rules.prefix(six)}",
            f"-m conntrack {no}--ctproto {some('tcp', 'udp', '47')}",
            f"-m conntrack --ctdir {some('ORIGINAL', 'REPLY')}",
            f"-p tcp -m conntrack {no}--ctorigdstport {some('22', '80:443')}",
            f"-m conntrack {no}--ctstatus {some('CONFIRMED', 'SEEN_REPLY', 'NONE,ASSURED')}",
            f"-m mark {no}--mark {some('0', '1', '0x2/0x2')}",
            f"-m connmark {no}--mark {some('0', '1', '0x1/0x1')}",
            f"-m iprange {no}--{some('src-range', 'dst-range')} {span}",
            f"-p {'icmpv6' if six else 'icmp'} {flag}",
            f"-m length {no}--length {some('0:60', '40', '61:')}",
            f"-m pkttype {no}--pkt-type {some('unicast', 'broadcast', 'multicast')}",
            f"-m tos {no}--tos {some('0x10', '0xb8/0xfc')}",
            f"-m dscp {no}--dscp {some('0x2e', '0')}",
            f"-m {'hl --hl' if six else 'ttl --ttl'}-{some('lt 64', 'gt 63', 'eq 64')}",
            f"-p tcp -m tcpmss {no}--mss {some('1460', '0:1300')}",
            "-m comment --comment hello",
            f"-m addrtype {no}--dst-type {some('LOCAL', 'UNICAST')}" if not six else "-m mark --mark 0",
            f"{no}-p {some('tcp', 'udp', '47')}",
        ]
        if chain in ("PREROUTING", "INPUT", "FORWARD"):
            choices += [f"{no}-i {some('r0', 'r1', 'r+')}", f"-m devgroup {no}--src-group {some('5', '0x4/0x4')}"]
        if chain in ("POSTROUTING", "OUTPUT", "FORWARD"):
            choices += [f"{no}-o {some('r0', 'r1', 'r+')}", f"-m devgroup {no}--dst-group {some('5', '6')}"]
        if chain == "PREROUTING":
            choices += [
                f"-m rpfilter {some('', '--loose', '--invert')}",
                f"-m mac {no}--mac-source {some(LEFT, RIGHT)}",
            ]
        if chain == "OUTPUT":
            choices += [f"-m owner {no}--uid-owner {some('0', '1000')}"]
        if r.random() < 0.05:
            choices = ["-m limit --limit 5/s", "-m statistic --mode random --probability 0.5"]
        return r.choice(choices)

    def target(self, table: str, chain: str, chains: list[str]) -> str:
        some = self.some
        choices = ["", "-j ACCEPT", "-j DROP", "-j RETURN", "-j ACCEPT"]
        if chains:
            choices += [f"-j {some(*chains)}", f"-g {some(*chains)}"] * 2
        if table == "mangle":
            choices += [
                f"-j MARK --set-xmark {some('1', '0x2/0x2', '0x3/0x1')}",
                f"-j MARK --{some('or', 'and', 'xor')}-mark 1",
                f"-j CONNMARK {some(*CONNMARKS)}",
                f"-j TOS --set-tos {some('0x10', '0x4/0xfc')}",
                f"-j DSCP --set-dscp {some('10', '0')}",
                "-j HL --hl-set 60" if self.six else "-j TTL --ttl-set 60",
            ]
            if chain in ("FORWARD", "POSTROUTING"):
                choices.append("-p tcp --syn -j TCPMSS --set-mss 1300")
        if table == "raw":
            choices += ["-j CT --notrack"] * 3
        if table == "filter":
            choices.append("-j REJECT")
        return self.random.choice(choices)

    def lines(self) -> list[str]:
        """Arguments for each rule, and for each chain before."""
        r = self.random
        found = []
        for table, hooks in (
            ("raw", ("PREROUTING", "OUTPUT")),
            ("mangle", ("PREROUTING", "FORWARD", "POSTROUTING", "OUTPUT")),
            ("filter", ("INPUT", "FORWARD", "OUTPUT")),
        ):
            if r.random() < 0.4:
                continue
            inner = [f"C{number}" for number in range(r.randrange(0, 3))]
            found += [f"-t {table} -N {chain}" for chain in inner]
            for at, chain in enumerate(inner):
                for _ in range(r.randrange(0, 4)):
                    found.append(f"-t {table} -A {chain} {self.rule(table, '', inner[at + 1 :])}")
            for chain in hooks:
                for _ in range(r.randrange(0, 5)):
                    found.append(f"-t {table} -A {chain} {self.rule(table, chain, inner)}")
                if r.random() < 0.2:
                    found.append(f"-t {table} -P {chain} DROP")
        return found

    def rule(self, table: str, chain: str, inner: list[str]) -> str:
        conditions = {self.condition(chain) for _ in range(self.random.choice((0, 1, 1, 2)))}
        return " ".join([*conditions, self.target(table, chain, inner)])
