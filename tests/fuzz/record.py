"""Records the corpus of the fuzzers from the running kernel: `python tests/fuzz/record.py`, as root.

A namespace is filled with one of each thing that the kernel has here, and what it answers to our own requests is kept:
of each decoder's messages the first few of each layout, so that the corpus stays small. Texts are written by hand.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

sys.path.insert(0, str(Path(__file__).parent.parent / "netfilter"))

from fake_kernel import Recorder, attribute, kind_of, message, split
from routing_state import IPV4, IPV6, SETUP
from test_netfilter_text import DESTINATIONS, RULES, TRANSLATIONS
from throwaway import Namespace
from traced_router import Router

from netinspect.engine.netlink import interfaces, nsid
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.engine.places import Place
from netinspect.errors import NetlinkError
from netinspect.netfilter import decode as nftables
from netinspect.netfilter.ruleset import read
from netinspect.nouns.capabilities import request as capabilities
from netinspect.nouns.conntrack import decode_expectations as expectations
from netinspect.nouns.conntrack import decode_statistics as conntrack_statistics
from netinspect.nouns.conntrack import request as conntrack
from netinspect.nouns.drops import decode_qdiscs
from netinspect.nouns.groups import decode as memberships
from netinspect.nouns.groups import decode_interfaces as mld_versions
from netinspect.nouns.groups import decode_mdb as bridge_groups
from netinspect.nouns.groups import decode_packet as packet_memberships
from netinspect.nouns.groups import decode_routing as multicast_routing
from netinspect.nouns.links import decode as links
from netinspect.nouns.links import decode_addresses as addresses
from netinspect.nouns.links import decode_statistics as link_statistics
from netinspect.nouns.routing import decode as routes
from netinspect.nouns.routing import decode_neighbour_tables as neighbour_tables
from netinspect.nouns.routing import decode_neighbours as neighbours
from netinspect.nouns.routing import decode_netconf as netconf
from netinspect.nouns.routing import decode_nexthops as nexthops
from netinspect.nouns.routing import decode_rules as rules
from netinspect.nouns.sockets import decode_other as other_sockets
from netinspect.nouns.sockets import decode_unix as unix_sockets
from netinspect.nouns.sockets import request as inet_sockets
from netinspect.testing import AssertingLab
from netinspect.uapi import nf_tables as nft
from netinspect.uapi.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NLMSG_DONE, NLMSG_ERROR

CORPUS = Path(__file__).parent / "corpus"
NESTED = 0x8000
_OF_A_LAYOUT, _IN_ALL, _LONGEST = 2, 30, 4096

LINKS = """
link add b0 type bridge mcast_snooping 1 mcast_querier 1
link add p0 type veth peer name p1
link set p0 master b0
link add m0 link p1 type macvlan mode bridge
link add x0 type vxlan id 7 dstport 4789 local 10.0.0.1 remote 10.0.0.2
link add i0 type ifb
link set b0 up
link set p0 up
link set p1 up
link property add dev p1 altname another-name
link set p1 alias "a comment"
rule add from 10.0.0.0/8 iif v0 fwmark 1/3 uidrange 5-9 ipproto udp sport 7-9 lookup 100 priority 9
rule add to 10.1.0.0/16 tos 0x10 goto 32766 priority 10
-6 rule add from fd00::/8 oif v1 lookup 100 suppress_prefixlength 0 priority 11
neighbour add 10.0.0.7 lladdr 02:00:00:00:00:07 dev v0 nud permanent
neighbour add fd00::7 lladdr 02:00:00:00:00:07 dev v0
neighbour add proxy 10.0.0.9 dev v0
"""

NFT = """
table ip t {
 set s { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 80-90 }; }
 map m { type ipv4_addr : ipv4_addr; elements = { 10.1.1.1 : 10.2.2.2 }; }
 chain g {
  meta mark set 0x7 limit rate 5/second log prefix "x" drop
 }
 chain post {
  type nat hook postrouting priority srcnat; policy accept;
  oifname "v0" ip saddr 10.0.0.0/8 masquerade random
  oifname "v1" tcp dport 80 snat to 10.0.1.1:1000-2000
  ip daddr . tcp dport @s counter accept
 }
 chain pre {
  type nat hook prerouting priority dstnat;
  iifname { "v0", "v1" } tcp dport { 80, 443 } dnat to ip daddr map @m
  tcp dport 81 redirect to :8081
 }
 chain out {
  type filter hook output priority filter; policy accept;
  ct state established,related accept
  tcp flags syn tcp option maxseg size set rt mtu
  oifname != "lo" jump g
 }
}
table ip6 t {
 chain out {
  type filter hook output priority filter;
  ct state new accept
 }
}
"""


def made_up() -> Iterator[tuple[str, bytes]]:
    """Messages of what this kernel may lack, by its headers."""
    sides = attribute(1, bytes((10, 0, 0, 1))) + attribute(2, bytes((10, 0, 0, 2)))
    ports = attribute(1, b"\6") + attribute(2, b"\0\x15") + attribute(3, b"\x30\x39")
    pair = attribute(1 | NESTED, sides) + attribute(2 | NESTED, ports)
    told = b"".join(attribute(kind | NESTED, pair) for kind in (1, 2, 3)) + attribute(4, bytes((0, 0, 0, 9)))
    told += attribute(5, bytes(4)) + attribute(6, b"ftp\0") + attribute(8, bytes((0, 0, 0, 1)))
    yield "expectations", message(2 << 8, bytes((2, 0, 0, 0)) + told)
    yield "vsock", message(20, struct.pack("=BBBB7I", 40, 1, 10, 3, 2, 1024, 3, 1025, 77, 5, 6))
    xdp = attribute(1, struct.pack("=II", 1, 0)) + attribute(2, bytes(4)) + attribute(8, bytes(36))
    tipc = (
        attribute(2, bytes(4)) + attribute(1, bytes(4)) + attribute(3, attribute(2, bytes(4)) + attribute(3, bytes(4)))
    )
    tipc += b"".join(attribute(kind, bytes(4)) for kind in (6, 9, 7, 8)) + attribute(10, bytes(8))
    tipc += attribute(5, b"".join(attribute(kind, bytes(4)) for kind in (1, 2, 5)))
    yield "tipc", message(20, attribute(1, tipc))
    yield "xdp", message(20, struct.pack("=BBHIII", 44, 3, 0, 77, 5, 6) + xdp)
    peers = attribute(13, struct.pack("=HH4s", 2, 0, bytes((10, 0, 0, 2))).ljust(128, b"\0"))
    yield (
        "sctp",
        message(20, struct.pack("=BBBBHH16s16s8I", 2, 1, 4, 0, 0, 0, b"", b"", 0, 5, 6, 0, 0, 0, 0, 7) + peers),
    )
    yield "raw", message(20, struct.pack("=BBBBHH16s16s8I", 2, 7, 0, 0, 256, 0, b"", b"", 0, 5, 6, 0, 0, 0, 0, 7))
    yield "nsid", message(88, bytes(4) + attribute(1, bytes(4)))
    hop = struct.pack("=HBBi", 8, 0, 1, 1)
    route = attribute(1, bytes((239, 1, 1, 1))) + attribute(2, bytes((10, 0, 0, 1))) + attribute(3, bytes((1, 0, 0, 0)))
    route += attribute(9, hop * 2) + attribute(17, bytes(24)) + attribute(23, bytes(8)) + attribute(15, bytes(4))
    yield "multicast-routes", message(24, struct.pack("=BBBBBBBBI", 128, 32, 32, 0, 253, 17, 0, 5, 0) + route)
    vif = b"".join(attribute(kind, bytes(4)) for kind in (1, 2)) + attribute(3, bytes(2))
    vif += b"".join(attribute(kind, bytes(8)) for kind in range(4, 8)) + attribute(8, bytes((10, 0, 0, 1)))
    table = attribute(1, struct.pack("=I", 253)) + attribute(6 | NESTED, attribute(1 | NESTED, vif))
    yield "multicast-interfaces", message(16, struct.pack("=B15x", 128) + attribute(26, table))
    wrapped = attribute(1 | NESTED, table)
    yield "multicast-interfaces", message(16, struct.pack("=B15x", 128) + attribute(26, wrapped))
    group = struct.pack("=IBBH16s", 2, 0, 1, 5, bytes((239, 1, 1, 1))) + b"\x08\0" + bytes(2)
    group += attribute(1, bytes(4)) + attribute(3, b"\1") + attribute(5, b"\4")
    group += attribute(2 | NESTED, attribute(1 | NESTED, attribute(1, bytes((10, 0, 0, 1))) + attribute(2, bytes(4))))
    entry = attribute(1 | NESTED, attribute(1 | NESTED, attribute(1, group)))
    router = attribute(
        2 | NESTED, attribute(1 | NESTED, bytes((2, 0, 0, 0)) + attribute(1, bytes(4)) + attribute(2, b"\1"))
    )
    yield "bridge-groups", message(84, struct.pack("=BxxxI", 7, 3) + entry + router)
    querier = attribute(
        47 | NESTED, attribute(1, bytes((10, 0, 0, 1))) + attribute(2, bytes(4)) + attribute(5, bytes(16))
    )
    info = attribute(18 | NESTED, attribute(1, b"bridge\0") + attribute(2 | NESTED, querier))
    yield "queriers", message(16, struct.pack("=BxHiII", 0, 1, 3, 0, 0) + info)


def requests() -> Iterator[tuple[str, int, bytes]]:
    """The target, the protocol and the request of each dump."""
    every = 0xFFF
    for name in ("tcp", "udp", "raw", "mptcp"):
        for family in (socket.AF_INET, socket.AF_INET6):
            yield (
                name,
                NETLINK_SOCK_DIAG,
                inet_sockets.request(family, inet_sockets.PROTOCOLS[name][0], every, tcp_info=True, memory=True),
            )
    yield "unix", NETLINK_SOCK_DIAG, unix_sockets.request(0xFFFFFFFF, memory=True)
    for name in ("packet", "netlink"):
        yield name, NETLINK_SOCK_DIAG, other_sockets.request(name)
    yield "packet-groups", NETLINK_SOCK_DIAG, packet_memberships.request()
    for family in (socket.AF_INET, socket.AF_INET6):
        yield "routes", NETLINK_ROUTE, routes.request(family)
        yield "rules", NETLINK_ROUTE, rules.request(family)
        yield "neighbours", NETLINK_ROUTE, neighbours.request(family)
        yield "neighbours", NETLINK_ROUTE, neighbours.request(family, proxies=True)
        yield "addresses", NETLINK_ROUTE, addresses.request(family)
    yield "plain-addresses", NETLINK_ROUTE, addresses.request(0)
    yield "neighbour-tables", NETLINK_ROUTE, neighbour_tables.request()
    yield "nexthops", NETLINK_ROUTE, nexthops.request()
    yield "netconf", NETLINK_ROUTE, netconf.mpls_request()
    yield "links", NETLINK_ROUTE, links.request()
    yield "qdiscs", NETLINK_ROUTE, decode_qdiscs.request()
    yield "interface-names", NETLINK_ROUTE, interfaces.dump_request()
    yield "link-statistics", NETLINK_ROUTE, link_statistics.links_request()
    yield "link-statistics", NETLINK_ROUTE, link_statistics.bridges_request()
    yield "probe-links", NETLINK_ROUTE, capabilities.loopback()
    with open("/proc/self/ns/net") as own:
        yield "nsid", NETLINK_ROUTE, nsid.request(own.fileno())
    for family in ("inet", "inet6"):
        yield "memberships", NETLINK_ROUTE, memberships.request(family)
        yield "multicast-routes", NETLINK_ROUTE, multicast_routing.routes_request(family)
    yield "multicast-interfaces", NETLINK_ROUTE, multicast_routing.interfaces_request()
    yield "bridge-groups", NETLINK_ROUTE, bridge_groups.request()
    yield "queriers", NETLINK_ROUTE, bridge_groups.queriers_request()
    yield "mld-versions", NETLINK_ROUTE, mld_versions.request()
    yield "flows", NETLINK_NETFILTER, conntrack.request(socket.AF_UNSPEC)
    yield "expectations", NETLINK_NETFILTER, expectations.request()
    yield "conntrack-size", NETLINK_NETFILTER, conntrack_statistics.size_request()
    yield "probe-entries", NETLINK_NETFILTER, capabilities.conntrack_size()
    yield "conntrack-counters", NETLINK_NETFILTER, conntrack_statistics.counters_request()
    yield "nftables", NETLINK_NETFILTER, nftables.dump_request(nft.NFT_MSG_GETCHAIN)
    yield "nftables", NETLINK_NETFILTER, nftables.dump_request(nft.NFT_MSG_GETRULE)


def rulesets() -> Iterator[bytes]:
    """Messages of random rulesets, of nft's and of iptables': of rules those that have a word which none before had."""
    words: set[bytes] = set()
    known: set[tuple[int, bytes]] = set()
    yield from statements()
    yield from older()
    for seed in range(4):
        with AssertingLab() as lab:
            router = Router(lab, seed)
            try:
                if seed % 3 == 1:
                    router.load_iptables()
                else:
                    router.load()
                requests = [nftables.dump_request(kind) for kind in _RULESET]
                singles = [
                    single
                    for request in requests
                    for single in router.router.call(lambda request=request: recorded(NETLINK_NETFILTER, request))
                ]
                ruleset = read(router.place)
                ruleset._ask = keeping(ruleset._ask, singles)  # type: ignore[assignment,arg-type]
                for found in ruleset.sets.values():
                    ruleset.elements(found)
            finally:
                router.close()
        sets: set[bytes] = set()
        for single in singles:
            kind = kind_of(single) & 0xFF
            has = set(re.findall(rb"[A-Za-z][A-Za-z0-9_]+\0", re.sub(rb"__\w+", b"", single))) - words
            key = single[16:17] + _two_names(single)  # family, table, and what is in it
            if len(single) > _LONGEST // 4 or (kind == nft.NFT_MSG_NEWRULE and not has):
                continue
            if kind == nft.NFT_MSG_NEWSETELEM and key not in sets:
                continue
            if kind != nft.NFT_MSG_NEWRULE and (kind, key) in known:
                continue
            if kind == nft.NFT_MSG_NEWSET:
                if len(known) > _MOST_NAMED:
                    continue
                sets.add(key)
            words |= has
            known.add((kind, key))
            yield single


_MOST_NAMED = 120


def _two_names(single: bytes) -> bytes:
    """The first two attributes, which say what a message of nf_tables is about."""
    at = 20
    for _ in range(2):
        at += int.from_bytes(single[at : at + 2], "little") + 3 & ~3
    return single[20:at]


IPTABLES = """
-t filter -A FORWARD -p tcp -m multiport --dports 80,443
-t filter -A FORWARD -p tcp -m multiport ! --ports 1:9,80
-t filter -A FORWARD -p tcp --sport 1000 ! --dport 1:9 --tcp-flags SYN,ACK SYN --tcp-option 2
-t filter -A FORWARD -p udp --dport 53
-t filter -A FORWARD -m mac --mac-source 02:00:00:00:00:01
-t filter -A FORWARD -m length --length 0:60
-t filter -A FORWARD -m mark ! --mark 1/3
-t filter -A FORWARD -m state --state NEW
-t filter -A FORWARD -m connmark --mark 7
-t filter -A FORWARD -m policy --dir in --pol none
-t filter -A FORWARD -m time --timestart 10:00 --timestop 11:00 --monthdays 28
-t filter -A FORWARD -m helper --helper ftp
-t filter -A FORWARD -m connlabel --label 1
-t filter -A FORWARD -p tcp -m tcp --dport 22 --tcp-flags SYN,ACK SYN -m multiport --sports 1:9,80 -j REJECT
-t filter -A FORWARD -p udp -m udp ! --sport 53 -m mac --mac-source 02:00:00:00:00:01 -m length --length 0:60 -j RETURN
-t filter -A OUTPUT -m owner --uid-owner 0 -m mark ! --mark 1/3 -m devgroup --dst-group 5 -j DROP
-t filter -A FORWARD -p tcp -m tcpmss --mss 1:1300 -m state --state NEW -m connmark --mark 7 -j ACCEPT
-t filter -A FORWARD -m conntrack --ctstate NEW,DNAT --ctorigdst 10.0.0.0/8 -m addrtype --dst-type LOCAL -j NFQUEUE
-t mangle -A POSTROUTING -j CLASSIFY --set-class 1:2
-t mangle -A PREROUTING -p tcp -j TPROXY --on-port 80 --on-ip 127.0.0.1 --tproxy-mark 1
-t mangle -A FORWARD -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu
-t mangle -A FORWARD -p tcp --syn -j TCPMSS --set-mss 1300
-t mangle -A PREROUTING -j CONNMARK --restore-mark
-t mangle -A PREROUTING -j CONNMARK --set-xmark 1/3
-t mangle -A PREROUTING -j MARK --set-xmark 2/2
-t mangle -A FORWARD -j HMARK --hmark-tuple src,dst --hmark-mod 3 --hmark-offset 10 --hmark-rnd 1
-t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp --zone 3
-t raw -A PREROUTING -j CT --notrack
-t nat -A POSTROUTING -o r1 -p tcp -j SNAT --to-source 10.0.0.1-10.0.0.9:1000-2000
-t nat -A POSTROUTING -j MASQUERADE --random
-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080
-t nat -A PREROUTING -p udp -j REDIRECT --to-ports 53
-t nat -A PREROUTING -d 10.9.0.0/24 -j NETMAP --to 10.8.0.0/24
-t nat -A POSTROUTING -m statistic --mode nth --every 2 --packet 0 -m limit --limit 5/s -j RETURN
"""


def statements() -> Iterator[bytes]:
    """The messages of one rule with each statement and match that the tests know."""
    namespace = Namespace()
    lines = [
        "add table inet t; add chain inet t other; add counter inet t hits",
        "add set inet t addresses { type ipv4_addr; flags interval; }",
        "add set inet t services { type ipv4_addr . inet_service; }",
        "add set inet t seen { type ipv4_addr; size 100; flags dynamic,timeout; }",
        "add quota inet t much { 5 mbytes }",
    ]
    more = ["ip saddr 10.0.0.1 ip ttl set 3", "tcp option maxseg size set 1300", "quota name much", "ct mark set 7"]
    more += ["meta mark set numgen inc mod 3", "meta mark set jhash ip saddr mod 2 seed 1", "meta mark set mark << 2"]
    more += ["fib saddr . iif oif missing drop", "rt ip nexthop 10.0.0.1", "socket transparent 1", "ip dscp set 1"]
    more += [
        "queue num 1-3",
        "meta mark set ct mark or 1",
        "tcp dport set 80",
        "ct zone set 1",
        "ip saddr != 10.0.0.1-10.0.0.9",
    ]
    for hook, texts in (
        ("forward", RULES.splitlines() + more),
        ("postrouting", TRANSLATIONS.splitlines()),
        ("prerouting", DESTINATIONS.splitlines()),
    ):
        kind = "filter" if hook == "forward" else "nat"
        lines.append(f"add chain inet t {hook} {{ type {kind} hook {hook} priority 0; }}")
        lines += [f"add rule inet t {hook} {rule}" for rule in texts]
    with contextlib.closing(namespace):
        for line in lines:
            done = namespace.run("nft", line, check=False)
            if done.returncode:
                print(f"  {line}: {done.stderr.splitlines()[0]}")
        for line in IPTABLES.strip().splitlines():
            done = namespace.run("iptables-nft", *line.split(), check=False)
            if done.returncode:
                print(f"  {line}: {done.stderr.splitlines()[0]}")
        for request in [nftables.dump_request(kind) for kind in _RULESET]:
            yield from namespace.call(lambda request=request: recorded(NETLINK_NETFILTER, request))
        answers: list[bytes] = []
        with Place(namespace.path) as place:
            ruleset = read(place)
            ruleset._ask = keeping(ruleset._ask, answers)  # type: ignore[assignment,arg-type]
            for found in ruleset.sets.values():
                ruleset.elements(found)
        yield from answers


def older() -> Iterator[bytes]:
    """Rules as older releases of iptables and nft write them: of matches that are comparisons now, of two registers."""
    number = struct.Struct(">I").pack
    matches = ((b"mark", 1, struct.pack("=IIB3x", 1, 3, 0)), (b"state", 0, struct.pack("=I", 8)))
    matches += ((b"udp", 0, struct.pack("=4HB1x", 0, 65535, 53, 53, 0)), (b"pkttype", 0, struct.pack("=ii", 0, 0)))
    expressions = [
        attribute(1, b"match\0")
        + attribute(2 | NESTED, attribute(1, name + b"\0") + attribute(2, number(revision)) + attribute(3, info))
        for name, revision, info in matches
    ]
    both = ((1, number(1)), (2, number(9)), (3, number(4)), (6, number(nft.NFT_BITWISE_AND)), (8, number(10)))
    expressions.append(
        attribute(1, b"bitwise\0") + attribute(2 | NESTED, b"".join(attribute(kind, value) for kind, value in both))
    )
    for at, expression in enumerate(expressions):
        rule = attribute(1, b"t\0") + attribute(2, b"forward\0") + attribute(3, struct.pack(">Q", 900 + at))
        rule += attribute(4 | NESTED, attribute(1 | NESTED, expression))
        yield message(10 << 8 | nft.NFT_MSG_NEWRULE, bytes((2, 0, 0, 0)) + rule)


def keeping(ask: Callable[..., Iterable[bytes]], kept: list[bytes]) -> Callable[..., Iterator[bytes]]:
    """The same, and what was answered is kept."""

    def asked(*arguments: object) -> Iterator[bytes]:
        for single in ask(*arguments):
            kept.append(single)
            yield single

    return asked


_RULESET = (
    *(nft.NFT_MSG_GETTABLE, nft.NFT_MSG_GETCHAIN, nft.NFT_MSG_GETRULE, nft.NFT_MSG_GETSET, nft.NFT_MSG_GETOBJ),
    nft.NFT_MSG_GETFLOWTABLE,
)


def layout(single: bytes) -> tuple[int, ...]:
    """What tells messages apart that are worth keeping: family, length, and the first attributes behind 12 bytes."""
    return (kind_of(single), len(single), *single[16:17])


def kept(messages: list[bytes]) -> list[bytes]:
    """A few messages of each layout."""
    counts: dict[tuple[int, ...], int] = {}
    found = []
    for single in messages:
        key = layout(single)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= _OF_A_LAYOUT and len(single) <= _LONGEST and len(found) < _IN_ALL:
            found.append(single)
    return found


def recorded(protocol: int, request: bytes) -> list[bytes]:
    """The messages with which the kernel answers."""
    recorder = Recorder(connect(protocol))
    try:
        for _ in Dump(recorder, request, "recording"):
            pass
    except NetlinkError as error:
        print(f"  {error}")
    singles = [single for datagram in recorder.datagrams for single in split(datagram)]
    return [single for single in singles if kind_of(single) not in (NLMSG_DONE, NLMSG_ERROR)]


def fill(namespace: Namespace) -> list[socket.socket]:
    """One of each thing."""
    for line in (SETUP + LINKS + IPV4 + IPV6).splitlines():
        if line:
            done = namespace.run("ip", *shlex.split(line), check=False)
            if done.returncode:
                print(f"  {line}: {done.stderr.strip()}")
    done = namespace.run("nft", "-f", "-", input=NFT, check=False)
    print(f"  nft: {done.stderr.strip()}")
    return namespace.call(_sockets)


def _sockets() -> list[socket.socket]:
    held = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener = socket.create_server((address, 0), family=family)
        held += [listener, socket.create_connection(listener.getsockname()[:2]), listener.accept()[0]]
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.connect((address, 53))
        udp.send(b"x")
        held += [udp, socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)]
    held.append(socket.create_server(("127.0.0.1", 0)))
    mptcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    mptcp.bind(("127.0.0.1", 0))
    mptcp.listen()
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    client.connect(mptcp.getsockname())
    held += [mptcp, client, mptcp.accept()[0]]
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.bind("\0fuzz")
    unix.listen()
    other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    other.connect("\0fuzz")
    held += [unix, other, *socket.socketpair()]
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packet.bind(("lo", 0))
    packet.setsockopt(263, 1, struct.pack("=iHH8s", 1, 0, 6, bytes((1, 0, 0x5E, 0, 0, 9))))
    route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    route.bind((0, 0x401))
    return [*held, packet, route]


def main() -> None:
    """Writes the corpus anew, or those of its files that are named."""
    if sys.argv[1:] == ["ruleset"]:
        (CORPUS / "ruleset.netlink").write_bytes(b"".join(rulesets()))
        return
    namespace = Namespace()
    with contextlib.closing(namespace):
        held = fill(namespace)
        found: dict[str, list[bytes]] = {}
        for name, protocol, request in namespace.call(lambda: list(requests())):
            print(name)
            found.setdefault(name, []).extend(namespace.call(lambda p=protocol, r=request: recorded(p, r)))
        for opened in held:
            opened.close()
    (CORPUS / "ruleset.netlink").write_bytes(b"".join(rulesets()))
    for name, single in made_up():
        found.setdefault(name, []).append(single)
    found["flow-events"] = found["flows"]
    found["probe-sockets"], found["probe-tables"] = found["tcp"], found["routes"]
    found["top"], found["route-found"] = found["tcp"], found["routes"]
    found["neighbour-answer"] = found["neighbours"]
    CORPUS.mkdir(exist_ok=True)
    for name, messages in found.items():
        few = kept(messages)
        (CORPUS / f"{name}.netlink").write_bytes(b"".join(few))
        print(f"{name}: {len(few)} messages")


if __name__ == "__main__":
    main()
