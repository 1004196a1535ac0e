"""The way of a packet through a gateway: a healthy one lets it and its answer through, each fault stops it there."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from availability import unavailable
from jsonschema import Draft202012Validator
from lab_needs import topology_works
from nat_lab import SERVER, SERVER6, Traffic, netinspect
from throwaway import Namespace

from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.messages import attribute
from netinspect.engine.places import Place
from netinspect.engine.text import text
from netinspect.lab import Lab
from netinspect.lab.topology_file import load
from netinspect.nouns.path.decode_vlans import one_port
from netinspect.nouns.path.listing_stack import Stack
from netinspect.nouns.path.listing_stacks import Stacks
from netinspect.nouns.path.walk_packet import Packet
from netinspect.nouns.path.walk_steps import pasted
from netinspect.nouns.path.walk_translation import masquerade_address
from netinspect.records import PathStep

Need = Callable[[str], None]
INSIDE, INSIDE6 = "192.168.1.11", "fd00:1::11"
MASQUERADE = (
    "add table inet n; add chain inet n post { type nat hook postrouting priority srcnat; }; "
    "add rule inet n post oifname wan masquerade"
)


class World:
    """A gateway that masquerades both families, with a server outside. What is done to it is taken back."""

    def __init__(self) -> None:
        self.lab: Lab[Any] = Lab()
        self.inside, self.outside = self.lab.host("inside"), self.lab.host("outside")
        self.gateway = self.lab.host("gateway", forwarding=True)
        for addresses in ((f"{INSIDE}/24", "192.168.1.1/24"),):
            self.lab.link(self.inside, self.gateway, *addresses, names=("eth0", "lan"))
        self.lab.link(self.gateway, self.outside, "203.0.113.1/24", f"{SERVER}/24", names=("wan", "eth0"))
        self.inside.route("default", via="192.168.1.1")
        for host, device, address in (
            (self.inside, "eth0", f"{INSIDE6}/64"),
            (self.gateway, "lan", "fd00:1::1/64"),
            (self.gateway, "wan", "2001:db8::1/64"),
            (self.outside, "eth0", f"{SERVER6}/64"),
        ):
            host.run("ip", "address", "add", address, "dev", device, "nodad")
        self.inside.run("ip", "-6", "route", "add", "default", "via", "fd00:1::1")
        self.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.traffic = Traffic(self.lab)
        self.traffic.listen("outside", SERVER, 443)
        self.traffic.listen("outside", SERVER6, 443)
        self.nft(MASQUERADE)

    def sysctl(self, name: str, value: int) -> None:
        self.gateway.sysctl(name, value)

    def nft(self, script: str) -> None:
        self.gateway.run("nft", script)

    def run(self, *argv: str) -> None:
        self.gateway.run(*argv)

    def path(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        result = netinspect(self.gateway, "path", "-j", *arguments, check=False)
        assert not result.stderr, result.stderr
        return result.returncode, json.loads(result.stdout)

    def close(self) -> None:
        self.traffic.close()
        self.lab.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def broken(world: World, *scripts: str) -> Iterator[None]:
    """Other rules for a while."""
    try:
        for script in scripts:
            world.nft(script)
        yield
    finally:
        world.nft("flush ruleset")
        world.nft(MASQUERADE)


def stops(
    world: World, cause: str, *arguments: str, flow: tuple[str, str] = (INSIDE, f"{SERVER}:443")
) -> dict[str, Any]:
    """The last step of a way that fails for that cause."""
    status, steps = world.path(*flow, *arguments)
    assert (status, steps[-1]["verdict"], steps[-1]["cause"]) == (4, "fails", cause), steps[-1]
    return steps[-1]


@pytest.mark.parametrize(("source", "server"), [(INSIDE, f"{SERVER}:443"), (INSIDE6, f"[{SERVER6}]:443")])
def test_a_healthy_way(need: Need, world: World, source: str, server: str) -> None:
    need("nft")
    status, steps = world.path(source, server)
    Draft202012Validator(array_schema(PathStep)).validate(steps)
    assert (status, steps[-1]["verdict"] in ("arrives", "leaves")) == (0, True), steps[-1]
    translated = [step for step in steps if step["stage"] == "nat"]
    outside = "2001:db8::1" if ":" in source else "203.0.113.1"
    assert translated[0]["packet"]["source_address"] == outside
    assert translated[-1]["packet"]["destination_address"] == source
    text = netinspect(world.gateway, "path", source, server).stdout
    assert "There:" in text
    assert "Back:" in text


def test_settings_and_routes_stop_it(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    world.sysctl("net.ipv4.ip_forward", 0)
    assert stops(world, "forwarding")["fix"] == "sysctl -w net.ipv4.ip_forward=1"
    world.sysctl("net.ipv4.ip_forward", 1)
    world.sysctl("net.ipv4.conf.lan.forwarding", 0)
    assert stops(world, "forwarding")["fix"] == "sysctl -w net/ipv4/conf/lan/forwarding=1"
    world.sysctl("net.ipv4.conf.lan.forwarding", 1)
    world.sysctl("net.ipv6.conf.all.forwarding", 0)
    stops(world, "forwarding", flow=(INSIDE6, f"[{SERVER6}]:443"))
    world.sysctl("net.ipv6.conf.all.forwarding", 1)
    for kind in ("blackhole", "unreachable", "prohibit"):
        world.run("ip", "route", "add", kind, f"{SERVER}/32")
        found = stops(world, kind)
        world.run("sh", "-c", found["fix"])
        assert world.path(INSIDE, f"{SERVER}:443")[0] == 0
    world.run("ip", "rule", "add", "from", "192.168.1.0/24", "prohibit", "pref", "50")
    world.run("sh", "-c", stops(world, "prohibit")["fix"])
    assert world.path(INSIDE, f"{SERVER}:443")[0] == 0
    stops(world, "no-route", flow=(INSIDE, "9.9.9.9:53"))
    world.sysctl("net.ipv4.conf.wan.rp_filter", 1)
    found = stops(world, "rp-filter", "--iif", "wan", flow=(INSIDE, "203.0.113.1:80"))
    assert "lan" in found["why"]
    world.sysctl("net.ipv4.conf.wan.rp_filter", 0)


RULES = """
rule add from 192.168.1.0/24 ipproto tcp dport 443 lookup 77 pref 100
rule add ipproto tcp sport 1000-2000 dport 80 to 203.0.113.0/24 lookup 77 pref 101
rule add uidrange 5-6 lookup 77 pref 102
rule add to 192.0.2.66 ipproto udp dport 53 prohibit pref 103
rule add to 192.0.2.66 ipproto udp dport 54 prohibit pref 103
rule add tos 0x10 to 203.0.113.0/24 lookup 77 pref 104
rule add sport 7 lookup 78 pref 105
route add default via 203.0.113.100 dev wan table 77
"""


def without_users() -> bool:
    """Whether an ordinary user runs the suite: in a user namespace of which root is the only user."""
    with open("/proc/self/uid_map") as file:
        return file.read().split()[2:] == ["1"]


@pytest.fixture
def ruled(need: Need, world: World) -> Iterator[World]:
    need("ip")
    rules = [line for line in RULES.splitlines(True) if not (without_users() and "uidrange" in line)]
    try:
        world.gateway.run("ip", "-batch", "-", input="".join(rules))
        yield world
    finally:
        for line in rules:
            if " pref " in line:
                world.run("ip", "rule", "del", "pref", line.split()[-1])
        world.run("ip", "route", "flush", "table", "77")


def test_a_policy_rule_is_shown_with_all_its_conditions(ruled: World) -> None:
    text = netinspect(ruled.gateway, "path", INSIDE, f"{SERVER}:443").stdout
    assert "table 77 (rule 100: from 192.168.1.0/24 dport 443 ipproto 6 lookup 77)" in text
    for port in (53, 54):
        end = stops(ruled, "prohibit", "-p", "udp", flow=(INSIDE, f"192.0.2.66:{port}"))
        assert f"rule: 103: from all to 192.0.2.66 dport {port} ipproto 17 prohibit" in end["evidence"]
        # `ip rule del pref 103` deletes the first of the two, whichever is meant.
        assert not end["fix"]
        assert "several rules have the priority 103" in end["advice"]


@pytest.mark.parametrize(
    ("arguments", "rule", "reason"),
    [
        ((INSIDE, f"{SERVER}:80"), 101, "its source port is not given"),
        ((INSIDE, f"{SERVER}:80", "--source-port", "1500"), None, None),
        ((INSIDE, f"{SERVER}:80", "--source-port", "999"), None, None),
        # Nobody's on a wire: rules see it as root's; what this machine sends may be anybody's.
        ((INSIDE, f"{SERVER}:81"), None, None),
        (("203.0.113.1", f"{SERVER}:81", "--source-port", "9"), 102, "the user who sends it is not known"),
        ((INSIDE, f"{SERVER}:443", "-p", "sctp"), None, None),
    ],
)
def test_a_policy_rule_that_cannot_be_decided_is_said(
    ruled: World, arguments: tuple[str, ...], rule: int | None, reason: str | None
) -> None:
    if rule == 102 and without_users():
        unavailable("a rule by user id: only root's is there in an ordinary user's namespace")
    _, steps = ruled.path(*arguments)
    doubts = [step for step in steps if step["verdict"] == "unknown" and step["stage"] == "route"]
    there = [step for step in doubts if step["direction"] == "there"]
    assert [step["subject"] for step in there] == ([] if rule is None else [f"rule {rule}"])
    if reason is not None:
        assert there[0]["why"].endswith(reason)
        assert ruled.path(*arguments)[0] == 3


def test_tables_of_doubtful_rules_are_read_once(need: Need, world: World) -> None:
    """What is asked of the kernel for a packet does not grow with the rules that may be for it."""
    need("ip")
    rules = [f"rule add ipproto tcp sport {1000 + at}-2000 lookup 77 pref {100 + at}" for at in range(40)]
    lines = ["route add throw 203.0.113.0/25 table 77", "route add 198.51.100.0/24 via 203.0.113.9 table 77", *rules]
    world.gateway.run("ip", "-batch", "-", input="\n".join(lines))
    asked: list[int] = []

    class Counting(Place):
        def connect(self, protocol: int) -> Any:
            asked.append(protocol)
            return super().connect(protocol)

    try:
        with Counting(world.gateway.path) as place:
            stack = Stack(place, "gateway")
            for destination, doubts in ((SERVER, 0), ("198.51.100.7", 40), ("9.9.9.9", 0)):
                found = stack.route(destination, protocol=6, ports=(0, 443), matched=True)
                assert len(found.doubts) == doubts, destination
    finally:
        for at in range(40):
            world.run("ip", "rule", "del", "pref", str(100 + at))
        world.run("ip", "route", "flush", "table", "77")
    assert len(asked) < 20


FORWARD = "add table inet f; add chain inet f c { type filter hook forward priority 0; policy drop; }"
FAULTS = [
    ("policy", "there", (FORWARD,)),
    ("policy", "back", (f"{FORWARD}; add rule inet f c iifname lan accept",)),
    ("rule", "there", ("add table ip r; add chain ip r p { type filter hook prerouting priority raw; }",
                       "add rule ip r p ip daddr { 203.0.113.0/24 } tcp dport vmap { 443 : drop }")),
    ("rule", "there", ("add table inet x; add chain inet x y { type filter hook postrouting priority 0; }",
                       "add rule inet x y oifname wan tcp dport 443 drop")),
    ("rule", "there", ("add table netdev q; add chain netdev q e { type filter hook egress device wan priority 0; }",
                       "add rule netdev q e ip protocol tcp drop")),
    ("rule", "there", ("add table netdev q; add chain netdev q i { type filter hook ingress device lan priority 0; }",
                       "add rule netdev q i ip protocol tcp drop")),
    ("zones", "back", ("add table ip r; add chain ip r p { type filter hook prerouting priority raw; }",
                       "add rule ip r p iifname lan ct zone set 1; add rule ip r p iifname wan ct zone set 2")),
    ("route-localnet", "there", ("add table ip d; add chain ip d p { type nat hook prerouting priority dstnat; }",
                                 "add rule ip d p iifname lan tcp dport 443 dnat to 127.0.0.1:3128")),
    # What stands behind the translation sees the packet translated.
    ("rule", "there", ("add table ip b; add chain ip b c { type filter hook postrouting priority 300; }",
                       "add rule ip b c ip saddr 203.0.113.1 drop")),
    ("rule", "there", ("add table ip d; add chain ip d p { type nat hook prerouting priority dstnat; }",
                       f"add rule ip d p tcp dport 443 dnat to {SERVER}:444",
                       "add chain ip d c { type filter hook prerouting priority 0; }",
                       "add rule ip d c tcp dport 444 drop")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "direction", "scripts"), FAULTS, ids=[f"{c}-{n}" for n, (c, *_) in enumerate(FAULTS)]
)
def test_rules_stop_it(need: Need, world: World, cause: str, direction: str, scripts: tuple[str, ...]) -> None:
    need("nft")
    with broken(world, *scripts):
        assert stops(world, cause)["direction"] == direction
    assert world.path(INSIDE, f"{SERVER}:443")[0] == 0


@pytest.mark.parametrize(
    "chain",
    [
        "add chain inet o c { type filter hook prerouting priority 0; }",
        "add chain inet o c { type filter hook ingress device lo priority 0; }",
        "add chain inet o c { type filter hook postrouting priority 0; }",
    ],
    ids=["prerouting", "ingress", "postrouting"],
)
def test_what_a_machine_sends_to_itself_passes_its_loopback(need: Need, world: World, chain: str) -> None:
    need("nft")
    with broken(world, f"add table inet o; {chain}; add rule inet o c tcp dport 9 drop"):
        for own in ("127.0.0.1", "203.0.113.1"):
            assert stops(world, "rule", flow=(own, f"{own}:9"))["direction"] == "there"
            stops(world, "no-socket", flow=(own, f"{own}:10"))


def test_what_tproxy_gives_to_a_socket_needs_a_local_route(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    rule = "add table ip t; add chain ip t p { type filter hook prerouting priority mangle; }; "
    rule += "add rule ip t p iifname lan tcp dport 443 tproxy to :3129 meta mark set 7 accept"
    flow = INSIDE, f"{SERVER}:443"
    with broken(world, rule):
        assert world.path(*flow)[0] == 0  # nobody listens: the rule does not apply

        def listening() -> socket.socket:
            opened = socket.socket()
            opened.setsockopt(socket.SOL_IP, 19, 1)  # linux/in.h: IP_TRANSPARENT
            opened.bind(("0.0.0.0", 3129))
            opened.listen()
            return opened

        with world.gateway.call(listening):
            end = stops(world, "tproxy")
            assert "fwmark 0x7" in end["advice"]
            world.run("ip", "rule", "add", "fwmark", "7", "lookup", "52", "pref", "61")
            world.run("ip", "route", "add", "local", "default", "dev", "lo", "table", "52")
            status, steps = world.path(*flow)
            world.run("ip", "rule", "del", "pref", "61")
            world.run("ip", "route", "flush", "table", "52")
        assert (status, steps[-1]["verdict"]) == (0, "arrives")


def test_rules_and_ports_of_a_bridge(need: Need) -> None:
    """What comes in by a bridge passes the bridge's rules; between isolated ports nothing passes."""
    need("nft")
    need("ip")
    topology_works("bridge-netfilter")
    with Lab(load("bridge-netfilter")) as lab:
        gateway = lab["gateway"]
        # A process shows where the namespaces of the others are.
        peers = [lab[name].popen(["sleep", "60"]) for name in ("lan1", "lan2", "outside")]

        def path(*flow: str) -> tuple[int, Any]:
            result = netinspect(gateway, "path", "-j", *flow, check=False)
            steps = json.loads(result.stdout)
            return result.returncode, steps[-1]

        outward, across = ("udp", "192.168.1.11", "203.0.113.100"), ("udp", "192.168.1.11", "192.168.1.12")
        for address in ("192.168.1.1", "192.168.1.12"):
            # The reset shows that each knows the other by now.
            with pytest.raises(ConnectionRefusedError):
                lab["lan1"].call(lambda address=address: socket.create_connection((address, 9), 10))
        assert path(*outward)[0] == path(*across)[0] == 0
        # Translated by br_netfilter to who asks: bridged, and not sent back out of the port that it came in by.
        chain = "add chain ip h c { type nat hook prerouting priority -100; }"
        gateway.run("nft", f"add table ip h; {chain}; add rule ip h c udp dport 53 dnat to 192.168.1.11")
        itself = "udp", "192.168.1.11", "192.168.1.1:53"
        status, end = path(*itself)
        assert (status, end["cause"], end["fix"]) == (4, "hairpin-mode", "bridge link set dev lan1 hairpin on"), end
        gateway.run("bridge", "link", "set", "dev", "lan1", "hairpin", "on")
        assert path(*itself)[1]["cause"] != "hairpin-mode"
        gateway.run("bridge", "link", "set", "dev", "lan1", "hairpin", "off")
        gateway.run("nft", "delete table ip h")
        gateway.run("nft", "add table bridge b; add chain bridge b c { type filter hook input priority 0; }")
        gateway.run("nft", "add rule bridge b c iifname lan1 ip daddr 203.0.113.100 drop")
        status, end = path(*outward)
        assert (status, end["cause"]) == (4, "rule"), end
        for port in ("lan1", "lan2"):
            gateway.run("ip", "link", "set", "dev", port, "type", "bridge_slave", "isolated", "on")
        status, end = path(*across)
        assert (status, end["cause"]) == (4, "isolated"), end
        for port in ("lan1", "lan2"):
            gateway.run("ip", "link", "set", "dev", port, "type", "bridge_slave", "isolated", "off")
        assert path(*across)[0] == 0
        # The hooks of the ports themselves, and what neighbours ask each other by.
        for chain, rule, cause in (
            ("netdev x c { type filter hook ingress device lan1 priority 0; }", "ip protocol udp drop", "rule"),
            ("netdev x c { type filter hook egress device lan2 priority 0; }", "ip protocol udp drop", "rule"),
            ("bridge x c { type filter hook forward priority 0; }", "arp operation reply drop", "neighbour"),
        ):
            for name in ("lan1", "lan2"):
                lab[name].run("ip", "neighbour", "flush", "all")
            family = chain.partition(" ")[0]
            gateway.run("nft", f"add table {family} x; add chain {chain}; add rule {family} x c {rule}")
            status, end = path(*across)
            gateway.run("nft", f"delete table {family} x")
            assert (status, end["cause"]) == (4, cause), (chain, end)
        gateway.run("ip", "link", "set", "dev", "lan1", "type", "bridge_slave", "locked", "on")
        bridge = json.loads(gateway.run("ip", "-j", "link", "show", "dev", "lan1").stdout)[0]["master"]
        gateway.run("ip", "link", "set", "dev", bridge, "type", "bridge", "fdb_flush")
        status, end = path(*across)
        assert (status, end["cause"]) == (4, "fdb"), end
        gateway.run("ip", "link", "set", "dev", "lan1", "type", "bridge_slave", "locked", "off")
        # Only some kernels have bridges that filter by VLANs (CONFIG_BRIDGE_VLAN_FILTERING).
        filters = ("ip", "link", "set", "dev", bridge, "type", "bridge", "vlan_filtering", "1")
        if gateway.run(*filters, check=False).returncode == 0:
            assert path(*across)[0] == 0
            for port, said in (("lan2", "lan2 is not in VLAN 1:"), ("lan1", "lan1 has no PVID:")):
                gateway.run("bridge", "vlan", "del", "dev", port, "vid", "1")
                status, end = path(*across)
                assert (status, end["cause"]) == (4, "vlan"), end
                assert said in end["why"], end
                gateway.run("bridge", "vlan", "add", "dev", port, "vid", "1", "pvid", "untagged")
            assert path(*across)[0] == 0
        # What is advised is quoted, and says where it is to be run: lan2 of the gateway is not who asks.
        hostile = "$(>x)';#"
        for command in (("lan2", "down"), ("lan2", "name", hostile), (hostile, "up")):
            gateway.run("ip", "link", "set", "dev", *command)
        gateway.run("bridge", "link", "set", "dev", hostile, "learning", "off", "flood", "off")
        gateway.run("ip", "link", "set", "dev", bridge, "type", "bridge", "fdb_flush")
        place = r"in namespace \S+: "
        quoted = f"dev {pasted([hostile])}"
        for asking, where in ((gateway, ""), (lab["lan1"], place)):
            (end,) = json.loads(netinspect(asking, "path", "-j", *across, check=False).stdout)[-1:]
            assert (end["cause"], f"{quoted} flood on" in (end["fix"] or end["advice"])) == ("flood", True), end
            first, _, naming = end["advice"].rpartition("or name it: ")
            assert re.fullmatch(f"{where}bridge fdb add [0-9a-f:]+ {re.escape(quoted)} master static", naming), end
            assert re.match(where, first), end
        for peer in peers:
            peer.kill()
            peer.wait()


def test_the_vlans_of_a_port() -> None:
    """As net/bridge/br_netlink.c gives them: PVID and untagged, and one that keeps its tag."""
    inside = b"".join(attribute(2, struct.pack("=HH", flags, vlan)) for flags, vlan in ((6, 1), (0, 20)))
    index, port = one_port(bytes(16) + struct.pack("=BxHiII", 7, 1, 5, 0, 0) + attribute(26, inside))
    assert (index, str(port)) == (5, "1 pvid untagged, 20")
    assert [port.entered(tag) for tag in (None, 1, 20, 30)] == [1, 1, 20, None]
    assert [port.tag_of(vlan) for vlan in (1, 20)] == [None, 20]


def test_marks_count_for_routes_as_they_are_then(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    world.run("ip", "rule", "add", "fwmark", "0x51", "lookup", "51", "pref", "60")
    world.run("ip", "route", "add", "blackhole", "default", "table", "51")
    early = "add table ip m; add chain ip m p { type filter hook prerouting priority mangle; }"
    early += "; add rule ip m p meta mark set 0x51"
    with broken(world, early):
        assert "table 51" in " ".join(stops(world, "blackhole")["evidence"])
    # No mark goes into another namespace.
    world.outside.run("nft", "add table ip o; add chain ip o c { type filter hook prerouting priority -300; }")
    world.outside.run("nft", "add rule ip o c meta mark 0x51 drop")
    with broken(world, early.replace("prerouting", "forward")):
        assert world.path(INSIDE, f"{SERVER}:443")[0] == 0
    world.outside.run("nft", "delete table ip o")
    stops(world, "blackhole", "--mark", "0x51")
    # The reverse path filter asks by marks where it is set to.
    world.run("ip", "route", "add", "192.168.1.0/24", "dev", "wan", "table", "51")
    world.sysctl("net.ipv4.conf.wan.rp_filter", 1)
    with broken(world, early):
        back = "--iif", "wan"
        fix = stops(world, "rp-filter", *back, flow=(INSIDE, "203.0.113.1:9"))["fix"]
        assert fix == "sysctl -w net/ipv4/conf/wan/src_valid_mark=1"
        world.run("sh", "-c", fix)
        stops(world, "no-socket", *back, flow=(INSIDE, "203.0.113.1:9"))
    for name in ("rp_filter", "src_valid_mark"):
        world.sysctl(f"net.ipv4.conf.wan.{name}", 0)
    world.run("ip", "rule", "del", "pref", "60")
    world.run("ip", "route", "flush", "table", "51")


def test_chance_and_what_cannot_be_evaluated(need: Need, world: World) -> None:
    need("nft")
    chain = "add table ip l; add chain ip l c { type filter hook forward priority 0; }"
    with broken(world, f"{chain}; add rule ip l c limit rate 1/second drop"):
        status, steps = world.path(INSIDE, f"{SERVER}:443")
        assert (status, steps[-1]["cause"]) == (0, None)
    # A new connection counts itself.
    with broken(world, f"{chain}; add rule ip l c ct count 0 drop; add rule ip l c ct count over 0 reject"):
        assert stops(world, "rule")["evidence"][0].endswith("ct count over 0 reject")
    # What is in the datagram is not known.
    with broken(world, f"{chain}; add rule ip l c @th,64,32 0x41424344 drop"):
        status, steps = world.path("udp", INSIDE, f"{SERVER}:53")
        assert (status, steps[-1]["verdict"]) == (3, "unknown")


@pytest.mark.parametrize("mode", ["bridge", "private", "passthru"])
def test_a_macvlan_in_another_namespace_takes_part_in_the_wire(
    need: Need, world: World, namespace: Namespace, mode: str
) -> None:
    """As engines of containers make them: it hears what comes by the link below, not its owner."""
    need("ip")
    made = world.gateway.run("ip", "link", "add", "mv0", "link", "lan", "type", "macvlan", "mode", mode, check=False)
    if made.returncode:
        unavailable("this kernel has no macvlan")
    world.run("ip", "link", "set", "mv0", "netns", namespace.path)
    namespace.run("ip", "address", "add", "192.168.1.50/24", "dev", "mv0")
    namespace.run("ip", "link", "set", "mv0", "up")
    try:
        for flow, cause in (
            ((INSIDE, "192.168.1.50:9"), "no-socket"),
            (("192.168.1.1", "192.168.1.50:9"), "neighbour"),
        ):
            host = world.inside if cause == "no-socket" else world.gateway
            result = netinspect(host, "path", "-j", *flow, check=False)
            end = json.loads(result.stdout)[-1]
            assert end["cause"] == cause, (flow, end)
        # From one neighbour of the link below to the other, as the link's owner sees it.
        stops(world, "no-socket", flow=(INSIDE, "192.168.1.50:9"))
        result = netinspect(namespace, "path", "-j", "192.168.1.50", f"{INSIDE}:9", check=False)
        assert json.loads(result.stdout)[-1]["cause"] == "no-socket"
    finally:
        # Of some modes a link may have one only, and a namespace takes its time to go.
        namespace.run("ip", "link", "del", "mv0")


def test_what_carries_a_packet_of_a_tunnel_is_followed(need: Need, world: World) -> None:
    need("ip")
    need("nft")
    ends = ((world.gateway, "203.0.113.1", SERVER, "10.8.0.1"), (world.outside, SERVER, "203.0.113.1", "10.8.0.2"))
    for host, local, remote, own in ends:
        words = f"vx0 type vxlan id 5 local {local} remote {remote} dstport 4789"
        if host.run("ip", "link", "add", *words.split(), check=False).returncode:
            unavailable("this kernel has no vxlan")
        host.run("ip", "address", "add", f"{own}/24", "dev", "vx0")
        host.run("ip", "link", "set", "vx0", "up")
    try:
        flow = "10.8.0.1", "10.8.0.2:9"
        stops(world, "no-socket", flow=flow)
        chain = "add table ip o; add chain ip o c { type filter hook output priority 0; }"
        with broken(world, f"{chain}; add rule ip o c udp dport 4789 drop"):
            stops(world, "rule", flow=flow)
        world.run("ip", "route", "add", "blackhole", f"{SERVER}/32")
        stops(world, "blackhole", flow=flow)
        world.run("ip", "route", "del", "blackhole", f"{SERVER}/32")
        # The tunnel by itself: a loop that the kernel cuts short.
        world.run("ip", "route", "add", f"{SERVER}/32", "dev", "vx0")
        stops(world, "loop", flow=flow)
        world.run("ip", "route", "del", f"{SERVER}/32", "dev", "vx0")
        # Without a remote of its own, a VXLAN's forwarding table says to whom.
        world.run("ip", "link", "del", "vx0")
        words = "vx0 type vxlan id 5 local 203.0.113.1 dstport 4789 nolearning"
        world.run("ip", "link", "add", *words.split())
        world.run("ip", "address", "add", "10.8.0.1/24", "dev", "vx0")
        world.run("ip", "link", "set", "vx0", "up")
        assert "question for the link-layer address of 10.8.0.2" in stops(world, "fdb", flow=flow)["why"]
        [there] = json.loads(world.outside.run("ip", "-j", "link", "show", "vx0").stdout)
        taken = there["address"], "dev", "vx0"
        world.run("ip", "neigh", "add", "10.8.0.2", "lladdr", *taken, "nud", "permanent")
        assert f"frames for {there['address']}" in stops(world, "fdb", flow=flow)["why"]
        world.run("bridge", "fdb", "add", *taken, "dst", SERVER)
        stops(world, "no-socket", flow=flow)
        world.run("bridge", "fdb", "replace", *taken, "dst", "203.0.113.66")
        assert "203.0.113.66" in stops(world, "neighbour", flow=flow)["why"]
        world.run("bridge", "fdb", "del", *taken)
        world.run("bridge", "fdb", "add", "00:00:00:00:00:00", "dev", "vx0", "dst", SERVER)
        stops(world, "no-socket", flow=flow)  # unknown addresses go to whomever is listed for them
        # Behind ports of bridges; where nobody is listed, the question for the neighbour goes nowhere.
        for host, _, _, own in ends:
            host.run("ip", "link", "add", "brx", "type", "bridge")
            host.run("ip", "link", "set", "brx", "up")
            host.run("ip", "link", "set", "vx0", "master", "brx")
            host.run("ip", "address", "flush", "dev", "vx0")
            host.run("ip", "address", "add", f"{own}/24", "dev", "brx")
        stops(world, "no-socket", flow=flow)
        with pytest.raises(ConnectionRefusedError):
            world.gateway.call(lambda: socket.create_connection(("10.8.0.2", 9), 10))
        stops(world, "no-socket", flow=flow)
        world.run("bridge", "fdb", "del", "00:00:00:00:00:00", "dev", "vx0", "dst", SERVER)
        world.run("ip", "neigh", "flush", "dev", "brx")
        stops(world, "fdb", flow=flow)
    finally:
        for host, *_ in ends:
            host.run("ip", "link", "del", "vx0")
            host.run("ip", "link", "del", "brx", check=False)


def test_what_is_known_of_a_forwarded_packet(need: Need, world: World) -> None:
    """It has no socket, came in clear, was its flow's first, and has the options that a SYN has."""
    need("nft")
    chain = "add table ip l; add chain ip l c { type filter hook postrouting priority 0; }"
    passing = (
        "meta skuid 0",
        "meta cgroup 1",
        "ct original bytes > 99999",
        "rt ipsec exists",
        "rt nexthop 203.0.113.9",
    )
    with broken(world, "; ".join((chain, *(f"add rule ip l c {rule} drop" for rule in passing)))):
        status, steps = world.path(INSIDE, f"{SERVER}:443")
        assert (status, steps[-1]["why"]) == (0, "the packet arrives, and so does the answer to it")
    for rule in (f"oifname wan rt nexthop {SERVER}", "oifname wan tcp option sack-perm exists"):
        with broken(world, f"{chain}; add rule ip l c {rule} drop"):
            stops(world, "rule")


def test_what_rules_write_is_there_for_later_rules(need: Need, world: World) -> None:
    need("nft")
    chains = (
        "add table ip l; add chain ip l p { type filter hook prerouting priority -150; }",
        "add chain ip l f { type filter hook forward priority 0; }",
        "add rule ip l p ip dscp set ef; add rule ip l f ip dscp ef drop",
    )
    with broken(world, *chains):
        stops(world, "rule")
    world.run("ip", "rule", "add", "tos", "0x10", "prohibit", "pref", "60")
    try:
        with broken(world, chains[0], "add rule ip l p ip dscp set 4"):
            assert "tos 0x10" in stops(world, "prohibit")["evidence"][0]
        assert world.path(INSIDE, f"{SERVER}:443")[0] == 0
    finally:
        world.run("ip", "rule", "del", "pref", "60")
    # What is sent from here is routed again by chains of type route alone.
    world.run("ip", "rule", "add", "fwmark", "9", "prohibit", "pref", "60")
    try:
        sent = "203.0.113.1", f"{SERVER}:443"
        for kind in ("filter", "route"):
            output = f"add table ip l; add chain ip l o {{ type {kind} hook output priority -150; }}"
            other = "add chain ip l x { type filter hook output priority 0; }; add rule ip l x counter"
            with broken(world, output, other, "add rule ip l o meta mark set 9"):
                status, steps = world.path(*sent)
                assert status == (0 if kind == "filter" else 4)
                assert ("by a chain of type filter" in json.dumps(steps)) is (kind == "filter")
    finally:
        world.run("ip", "rule", "del", "pref", "60")
    # A translation to what it is already is none.
    same = "add table ip d; add chain ip d p { type nat hook prerouting priority dstnat; }"
    same += f"; add rule ip d p tcp dport 443 dnat to {SERVER}:443"
    with broken(world, same, f"{chains[0]}; {chains[1]}; add rule ip l f ct status dnat drop"):
        assert world.path(INSIDE, f"{SERVER}:443")[0] == 0


def test_what_is_wrong_with_the_command_line(world: World) -> None:
    for arguments in (["10.0.0.1"], ["a", "b"], ["10.0.0.1", "::1"], [INSIDE, SERVER, "--iif", "nope"]):
        result = netinspect(world.gateway, "path", *arguments, check=False)
        assert result.returncode == 2, (arguments, result.stdout)
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "destination", "kind"),
    [
        ("203.0.113.1", "224.0.0.251", "multicast"),
        ("203.0.113.1", "203.0.113.255", "broadcast"),
        ("203.0.113.1", "255.255.255.255", "broadcast"),
    ],
)
def test_what_is_sent_to_many_asks_for_no_neighbour(world: World, source: str, destination: str, kind: str) -> None:
    """The kernel sends it to a link-layer address of its own making: nobody answers for such an address."""
    world.gateway.run("ip", "route", "add", "default", "dev", "wan")
    try:
        status, steps = world.path(source, destination, "-p", "udp")
    finally:
        world.gateway.run("ip", "route", "del", "default", "dev", "wan")
    assert (status, steps[-1]["verdict"], steps[-1]["direction"]) == (0, "leaves", "there")
    assert f"{kind}: everybody on the link of wan may hear it" in json.dumps(steps)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (f"src 192.168.1.0/24 dst {SERVER}/32 dir fwd action block", "ipsec"),
        (f"src {SERVER}/32 dst 203.0.113.1/32 dir fwd action block", "ipsec"),  # as the answer comes
        (f"src {SERVER}/32 dst 192.168.1.0/24 dir fwd action block", None),
        (f"src 203.0.113.1/32 dst {SERVER}/32 dir out action block", "ipsec"),  # as it is translated
        (f"src 192.168.1.0/24 dst {SERVER}/32 proto tcp dport 443 dir out action block", "ipsec"),
        (
            f"src 192.168.1.0/24 dst {SERVER}/32 dir out tmpl src 203.0.113.1 dst {SERVER} proto esp mode tunnel",
            "ipsec",
        ),
        (
            f"src 192.168.1.0/24 dst {SERVER}/32 dir fwd tmpl src {INSIDE} dst 192.168.1.1 proto esp mode tunnel",
            "ipsec",
        ),
        (f"src 192.168.1.0/24 dst {SERVER}/32 proto tcp dport 444 dir out action block", None),
        (f"src 192.168.1.0/24 dst {SERVER}/32 dir in action block", None),
        (f"src 192.168.1.0/24 dst {SERVER}/32 dir out mark 5 mask 0xff action block", None),
    ],
)
def test_policies_of_ipsec(need: Need, world: World, words: str, cause: str | None) -> None:
    need("ip")
    if world.gateway.run("ip", "xfrm", "policy", "add", *words.split(), check=False).returncode:
        unavailable("this kernel has no IPsec")
    try:
        if cause:
            assert "policy: " in stops(world, cause)["evidence"][0]
        else:
            assert world.path(INSIDE, f"{SERVER}:443")[0] == 0
    finally:
        world.run("ip", "xfrm", "policy", "flush")


@pytest.mark.parametrize("destination", ["192.168.1.255", "255.255.255.255", "224.0.0.1", "ff02::1"])
def test_a_group_has_no_answer_to_be_followed(world: World, destination: str) -> None:
    """It is for whoever hears it, this machine among them: not on the wire alone, and not answered from its address."""
    with world.gateway.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as opened:
        opened.bind(("::", 5353))
        source = INSIDE6 if ":" in destination else INSIDE
        status, steps = world.path("udp", source, destination, "5353", "--iif", "lan")
        assert (status, steps[-1]["verdict"], steps[-1]["direction"]) == (0, "arrives", "there"), steps[-1]
    stops(world, "no-route", flow=(source, "ff02::1234" if ":" in destination else "239.1.2.3"))


@pytest.mark.parametrize(
    ("source", "destination", "cause"),
    [
        ("224.0.0.1", SERVER, "martian"),
        ("255.255.255.255", SERVER, "martian"),
        ("0.0.0.0", SERVER, "martian"),
        ("::1", SERVER6, "martian"),
        ("ff02::1", SERVER6, "martian"),
        ("::", SERVER6, "link-scope"),
        ("fe80::5", SERVER6, "link-scope"),
    ],
)
def test_addresses_that_are_nobodys(world: World, source: str, destination: str, cause: str) -> None:
    stops(world, cause, "--iif", "lan", flow=(source, destination))


def test_a_zone_decides_the_way_of_what_is_link_local(need: Need, world: World) -> None:
    need("ip")

    def own(host: Any, device: str) -> str:
        # Until it is sure that nobody else has it, an address is not there for routing.
        deadline = time.monotonic() + 10
        while True:
            lines = host.run("ip", "-6", "-o", "address", "show", "dev", device, "scope", "link").stdout
            if (lines and "tentative" not in lines) or time.monotonic() > deadline:
                return str(lines.split()[3].partition("/")[0])
            time.sleep(0.02)

    outside, inside = own(world.outside, "eth0"), own(world.inside, "eth0")
    with world.outside.call(lambda: socket.create_server(("::", 22), family=socket.AF_INET6)):
        status, steps = world.path(own(world.gateway, "wan"), f"[{outside}%wan]:22")
        assert (status, steps[-1]["verdict"]) == (0, "arrives"), steps[-1]
        stops(world, "neighbour", flow=(own(world.gateway, "lan"), f"[{outside}%lan]:22"))
        stops(world, "no-socket", flow=(inside, f"[{own(world.gateway, 'lan')}%lan]:22"))
    result = netinspect(world.gateway, "path", own(world.gateway, "wan"), outside, check=False)
    assert "name the interface" in result.stderr


def test_flows_are_spread_over_next_hops(need: Need, world: World) -> None:
    need("ip")
    hops = ["nexthop", "via", SERVER, "dev", "wan", "nexthop", "via", "192.168.1.77", "dev", "lan"]
    six = ["nexthop", "via", SERVER6, "dev", "wan", "nexthop", "via", "fd00:1::77", "dev", "lan"]
    world.run("ip", "route", "add", "198.51.100.0/24", *hops)
    world.run("ip", "-6", "route", "add", "2001:db8:9::/64", *six)
    own = ("198.51.100.1/32", "2001:db8:9::1/128")
    for address in own:
        world.outside.run("ip", "address", "add", address, "dev", "lo")
    opened = world.outside.call(lambda: socket.create_server(("::", 9), family=socket.AF_INET6, dualstack_ipv6=True))
    try:
        for flow in ((INSIDE, "198.51.100.1:9"), (INSIDE6, "[2001:db8:9::1]:9")):
            end = stops(world, "neighbour", flow=flow)
            assert "one of 2 ways: which next hop a flow takes depends on a hash of it" in end["why"]
        world.run("ip", "route", "replace", "198.51.100.0/24", *hops[:5])
        assert world.path(INSIDE, "198.51.100.1:9")[0] == 0
    finally:
        opened.close()
        for address in own:
            world.outside.run("ip", "address", "del", address, "dev", "lo")
        world.run("ip", "route", "del", "198.51.100.0/24")
        world.run("ip", "-6", "route", "del", "2001:db8:9::/64")


def test_a_prefix_is_translated_and_hosts_keep_their_part(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    world.outside.run("ip", "-6", "route", "add", "2001:db8:1::/64", "via", "2001:db8::1")
    prefix = "add rule ip6 p s oifname wan snat ip6 prefix to ip6 saddr map { fd00:1::/64 : 2001:db8:1::/64 }"
    chain = "flush ruleset; add table ip6 p; add chain ip6 p s { type nat hook postrouting priority 90; }"
    with broken(world, chain, prefix):
        status, steps = world.path(INSIDE6, f"[{SERVER6}]:443")
        assert status == 0, steps[-1]
        sources = [step["packet"]["source_address"] for step in steps if step["stage"] == "nat"]
        assert sources[0] == "2001:db8:1::11"


def test_what_a_rule_without_an_address_takes(need: Need, world: World) -> None:
    """The kernel's entry of a real packet tells the same: of wan's own, of another interface's, or ports only."""
    need("nft")
    need("ip")

    def taken(port: int, wanted: str) -> None:
        _, steps = world.path("udp", INSIDE, f"{SERVER}:{port}")
        made = next(step["packet"] for step in steps if step["netns"] != steps[0]["netns"])
        ends = made["source_address"], f"{made['destination_address']}:{made['destination_port']}"
        world.traffic.datagram("inside", SERVER, port)
        found = netinspect(world.gateway, "conntrack", "-j", "-p", "udp", "--destination-port", str(port))
        flow = json.loads(found.stdout)[0]
        kernel = flow["reply_destination_address"], f"{flow['reply_source_address']}:{flow['reply_source_port']}"
        assert ends == kernel == tuple(wanted.split()), steps

    world.outside.run("ip", "route", "add", "192.168.1.0/24", "dev", "eth0")
    world.outside.run("ip", "route", "add", "198.51.100.77", "dev", "eth0")
    chain = "add chain inet n {} {{ type nat hook {} priority {}; }}".format
    try:
        with broken(world, chain("pre", "prerouting", "-100"), "add rule inet n pre udp dport 5001 dnat to :5002"):
            taken(5001, f"203.0.113.1 {SERVER}:5002")
            world.nft(f"add rule inet n pre tcp dport 5009 dnat ip to {INSIDE}:9")  # to who asks
            back = stops(world, "martian-source", flow=(INSIDE, "203.0.113.1:5009"))
            assert back["advice"].startswith("a rule translates the destination to who asks: have it translate")
        with broken(world, "flush chain inet n post", "add rule inet n post udp dport 5003 snat to :7000-7009"):
            taken(5003, f"{INSIDE} {SERVER}:5003")
        world.run("ip", "address", "flush", "dev", "wan", "scope", "global")
        world.run("ip", "address", "add", "169.254.7.7/16", "dev", "wan", "scope", "link")
        world.run("ip", "route", "add", "203.0.113.0/24", "dev", "wan")
        taken(5004, f"192.168.1.1 {SERVER}:5004")  # lan's, since wan has none of global scope
        world.run("ip", "address", "add", "198.51.100.77/32", "dev", "lo")
        taken(5005, f"198.51.100.77 {SERVER}:5005")  # the first interface's that has one
        world.run("ip", "address", "flush", "dev", "wan")
        redirected = chain("pre", "prerouting", "-100"), "add rule inet n pre iifname wan udp dport 53 redirect to :9"
        with broken(world, *redirected):
            found = stops(world, "no-address", "--iif", "wan", "-p", "udp", flow=(SERVER, "198.51.100.77:53"))
            assert found["why"].endswith(": redirect takes an address of wan, which has none: such packets are dropped")
    finally:
        world.outside.run("ip", "route", "del", "192.168.1.0/24")
        world.outside.run("ip", "route", "del", "198.51.100.77")
        world.run("ip", "address", "flush", "dev", "wan", "scope", "link")
        world.run("ip", "address", "flush", "dev", "lo", "scope", "global")
        world.run("ip", "address", "replace", "203.0.113.1/24", "dev", "wan")
        world.run("ip", "-6", "address", "replace", "2001:db8::1/64", "dev", "wan", "nodad")


def test_what_masquerade_takes_of_ipv6(need: Need) -> None:
    """What the kernel's entries of real packets tell, for sets of addresses; a route's src is not asked for.

    Each set leads to another address: entries of one that has gone go a moment later.
    """
    need("nft")
    need("ip")
    sets = (  # destination; of w0; of w1
        ("2001:db8:7::1", "2001:db8::1/64 2001:db8::5/64", ""),
        ("2001:db8:7::1", "2001:db8:7:1::9/48 2001:db8::5/64", ""),
        ("fd02::9", "2001:db8::1/64 fd03::1/64 2600::1/64", ""),
        ("2002:102:304::1", "2002:c000:201::1/48 2001:db8::1/64", ""),
        ("2001:db8:7::1", "2001:db8:7::1:9/64,0 2001:db8::1/64", "2001:db8:7::7/64"),
        ("2001:db8:7::1", "", "2001:db8:7::7/64 fd03::1/64"),
        ("2600::9", "fec0::1/64", "2600::7/64"),
        ("2600::9", "2600::5/64,0", "2600::8/64"),
        ("fd04::9", "fd04::1/64 2001:db8:9::1/64 fd05::1/64", ""),
        ("64:ff9b::808:808", "64:ff9b::7/96 ::9.8.7.6/128,0", "2001:db8::1/64"),
    )
    namespace = Namespace()
    try:
        namespace.run("nft", MASQUERADE.replace("wan", "w0"))
        namespace.run("ip", "-6", "address", "add", "fd01::2/128", "dev", "lo", "nodad")
        for name in ("w0", "w1"):
            namespace.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
            for end in (name, f"{name}p"):
                namespace.run("ip", "link", "set", end, "up")
        namespace.run("ip", "addrlabel", "add", "prefix", "fd04::/64", "label", "9")
        namespace.run("ip", "addrlabel", "add", "prefix", "2001:db8:9::/48", "dev", "w0", "label", "9")
        sender = namespace.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        with sender:
            sender.bind(("fd01::2", 0))
            for port, (destination, *own) in enumerate(sets, 5001):
                lines = ["flush dev w0 scope global", "flush dev w1 scope global", "flush dev w0 scope site"]
                for name, addresses in zip(("w0", "w1"), own, strict=True):
                    for address, _, left in (text.partition(",") for text in addresses.split()):
                        lines.append(f"add {address} dev {name} nodad" + (f" preferred_lft {left}" if left else ""))
                script = "".join(f"address {line}\n" for line in lines)
                script += f"route replace {destination} dev w0 src fd01::2\n"
                namespace.run("ip", "-6", "-batch", "-", input=script)
                sender.sendto(b"x", (destination, port))
                place = Place(namespace.path, namespace.path)
                place.open()
                stack = Stack(place, "here")
                oif = stack.called("w0")
                assert oif is not None
                packet = Packet(17, "fd01::2", destination, sender.getsockname()[1], port)
                flow = stack.tracked(17, packet.source, packet.destination, packet.ports)
                assert flow is not None
                assert masquerade_address(stack, oif, packet, None) == flow.reply_destination_address, own
                place.close()
    finally:
        namespace.close()


def test_namespaces_that_have_gone_cost_one_closer_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine where tests or containers come and go, each cost a look at every descriptor."""
    looks: list[bool] = []

    def every(*, closely: bool = False) -> Any:
        looks.append(closely)
        return [] if closely else [(f"pid {n}", f"/proc/self/fd/{n}", (0, n)) for n in range(90001, 90009)], []

    monkeypatch.setattr("netinspect.nouns.path.listing_stacks.every_namespace", every)
    monkeypatch.setattr("netinspect.engine.namespaces.every_namespace", every)
    stacks = Stacks()
    here = stacks.of(Place(None, "here"))
    assert list(stacks.sharing(here, next(iter(here.interfaces.values())))) == []
    assert looks == [False, True]


@pytest.mark.parametrize(("name", "line"), [(b"a\xff", "\"$(printf 'a\\377')\""), (rb"a\xff", r"'a\xff'")])
def test_a_command_has_the_bytes_of_a_name(name: bytes, line: str) -> None:
    assert pasted(["ip", "link", "set", text(name), "up"]) == f"ip link set {line} up"
