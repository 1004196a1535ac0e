"""Gateways broken in one way each, one after another in one lab: the cause is named, and the fix puts it right."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from errno import EINPROGRESS, EPERM
from threading import Event, Thread
from typing import Any

import pytest
from availability import unavailable
from lab_needs import nftables_work
from nat_lab import SERVER, Traffic
from patience import until

from netinspect.engine.places import Place
from netinspect.lab import Lab, fault
from netinspect.lab.breaking import break_lab, forget_flows
from netinspect.lab.probing import keep_asking
from netinspect.lab.topology_file import load
from netinspect.nouns.conntrack.filter import FlowFilter
from netinspect.nouns.nat.diagnose import diagnose, narrowed
from netinspect.nouns.nat.diagnose_settings import picked_up
from netinspect.nouns.nat.diagnose_situation import Situation
from netinspect.nouns.path.filter_words import flow_words
from netinspect.records import Finding

Need = Callable[[str], None]
INSIDE, FLOW = "192.168.1.11", ("tcp", "192.168.1.11", f"{SERVER}:443")
TO_US = ("tcp", SERVER, "203.0.113.1:80")
MASQUERADE = (
    "add table ip n; add chain ip n post { type nat hook postrouting priority srcnat; }; "
    "add rule ip n post oifname wan masquerade"
)
NAT = "add table ip n; add chain ip n post { type nat hook postrouting priority srcnat; }"
DNAT = "add chain ip n pre { type nat hook prerouting priority dstnat; }"
FORWARD = "add table ip f; add chain ip f c { type filter hook forward priority 0; policy drop; }"


class World:
    """A gateway between a private network and a server, and a second way out."""

    def __init__(self) -> None:
        self.lab: Lab[Any] = Lab()
        self.inside, self.outside = self.lab.host("inside"), self.lab.host("outside")
        self.gateway = self.lab.host("gateway", forwarding=True)
        self.lab.link(self.inside, self.gateway, f"{INSIDE}/24", "192.168.1.1/24", names=("eth0", "lan"))
        self.lab.link(self.gateway, self.outside, "203.0.113.1/24", f"{SERVER}/24", names=("wan", "eth0"))
        self.lab.link(self.gateway, self.outside, "198.51.100.1/24", "198.51.100.100/24", names=("wan2", "eth1"))
        self.inside.route("default", via="192.168.1.1")
        self.gateway.route("default", via=SERVER)
        self.gateway.sysctl("net.netfilter.nf_conntrack_acct", 1)
        self.traffic = Traffic(self.lab)
        self.traffic.listen("outside", SERVER, 443)
        self.traffic.listen("inside", INSIDE, 8080)

    def diagnose(self, *flow: str, sample: float = 0, notes: bool = False) -> list[dict[str, Any]]:
        """What the command finds, notes only where they are asked for, without starting a program for it."""
        words = flow_words(flow) if flow else None
        wanted = FlowFilter() if words is None else narrowed(FlowFilter(), words)
        with Place(self.gateway.path) as place:
            situation = Situation(place, wanted, sample, asked=words is not None)
            found = diagnose(situation, words)
            situation.stacks.close()
        return [finding._asdict() for finding in found if notes or finding.severity != "note"]

    def has_legacy(self) -> bool:
        return bool(self.gateway.run("iptables-legacy", "-L", "FORWARD", check=False).returncode == 0)

    def has_queue(self) -> bool:
        try:
            return bool(self.gateway.run("iptables-nft", "-A", "INPUT", "-j", "NFQUEUE", check=False).returncode == 0)
        finally:
            self.sh("nft flush ruleset")

    def sh(self, *commands: str) -> None:
        for command in commands:
            self.gateway.run("sh", "-c", command)

    @contextmanager
    def rules(self, *scripts: str) -> Iterator[None]:
        """These rules of nft, or commands of iptables, for a while."""
        try:
            for script in scripts:
                self.sh(script if script.startswith(("ip", "sysctl")) else f"nft '{script}'")
            yield
        finally:
            self.sh("nft flush ruleset")

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


SOURCE_FAULTS = {
    "no rule": ("no-rule", ()),
    "in the hook input": (
        "no-rule",
        (
            "add table ip n; add chain ip n post { type nat hook input priority 100; }; "
            "add rule ip n post snat to 203.0.113.1",
        ),
    ),
    "in a chain that nothing jumps to": ("no-rule", (f"{NAT}; add chain ip n out; add rule ip n out masquerade",)),
    "another interface": ("other-interface", (f"{NAT}; add rule ip n post oifname wan2 masquerade",)),
    "another group": ("other-interface", (f"{NAT}; add rule ip n post oifgroup 7 masquerade",)),
    "a wildcard that does not fit": ("other-interface", (f'{NAT}; add rule ip n post oifname "ppp*" masquerade',)),
    "a verdict map without the interface": (
        "other-interface",
        (
            f"{NAT}; add chain ip n out; add rule ip n out masquerade; "
            f"add rule ip n post oifname vmap {{ wan2 : jump out }}",
        ),
    ),
    "a set without the network": (
        "other-source",
        (
            f"{NAT}; add set ip n lans {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.0/8 }}; }}; "
            f"add rule ip n post ip saddr @lans masquerade",
        ),
    ),
    "an exception before it": ("shadowed", (MASQUERADE, "insert rule ip n post ip daddr 203.0.0.0/8 accept")),
    "a return before it": ("shadowed", (MASQUERADE, "insert rule ip n post ip saddr 192.168.0.0/16 return")),
    "a mark that nobody sets": ("mark", (f"{NAT}; add rule ip n post meta mark 1 masquerade",)),
    "not tracked": (
        "notrack",
        (
            MASQUERADE,
            "add table ip r; add chain ip r p { type filter hook prerouting priority raw; }; "
            "add rule ip r p iifname lan notrack",
        ),
    ),
    "inet's table, another interface": (
        "other-interface",
        (
            "add table inet n; add chain inet n post { type nat hook postrouting priority srcnat; }; "
            "add rule inet n post oifname wan2 masquerade",
        ),
    ),
    "iptables, another interface": ("other-interface", ("iptables-nft -t nat -A POSTROUTING -o wan2 -j MASQUERADE",)),
    "iptables, not tracked": (
        "notrack",
        (
            "iptables-nft -t nat -A POSTROUTING -o wan -j MASQUERADE",
            "iptables-nft -t raw -A PREROUTING -p tcp --dport 443 -j CT --notrack",
        ),
    ),
}


@pytest.mark.parametrize("name", SOURCE_FAULTS)
def test_why_a_source_is_not_translated(need: Need, world: World, name: str) -> None:
    nftables_work()
    need("nft")
    need("iptables-nft")
    check, scripts = SOURCE_FAULTS[name]
    with world.rules(*scripts):
        finding = world.diagnose(*FLOW)[0]
        assert finding["check"] == check, finding
        if finding["fix"]:
            assert ("iptables" in finding["fix"]) == any(script.startswith("iptables") for script in scripts)
            world.sh(finding["fix"].replace("iptables ", "iptables-nft "))
            assert world.diagnose(*FLOW) == []


FLOW_FAULTS = {
    "answers are dropped": ("established", FLOW, (MASQUERADE, f"{FORWARD}; add rule ip f c iifname lan accept")),
    "iptables drops answers": (
        "established",
        FLOW,
        (
            "iptables-nft -t nat -A POSTROUTING -o wan -j MASQUERADE; iptables-nft -A FORWARD -i lan -j ACCEPT; "
            "iptables-nft -P FORWARD DROP",
        ),
    ),
    "errors are dropped": (
        "related",
        FLOW,
        (MASQUERADE, f"{FORWARD}; add rule ip f c iifname lan accept; add rule ip f c ct state established accept"),
    ),
    "a dnat that forward drops": (
        "dnat-dropped",
        TO_US,
        (
            MASQUERADE,
            f"{DNAT}; add rule ip n pre iifname wan tcp dport 80 dnat to {INSIDE}:8080",
            f"{FORWARD}; add rule ip f c iifname lan accept; add rule ip f c ct state established,related accept",
        ),
    ),
    "a dnat in output": (
        "dnat",
        TO_US,
        (
            MASQUERADE,
            f"add chain ip n o {{ type nat hook output priority -100; }}; "
            f"add rule ip n o ip daddr 203.0.113.1 tcp dport 80 dnat to {INSIDE}:8080",
        ),
    ),
    "a mark too late": (
        "mark-late",
        FLOW,
        (
            MASQUERADE,
            "add table ip m; add chain ip m c { type filter hook forward priority mangle; }; "
            "add rule ip m c ip daddr 203.0.113.0/24 meta mark set 0x51",
        ),
    ),
    "zones": (
        "zones",
        FLOW,
        (
            MASQUERADE,
            "add table ip r; add chain ip r p { type filter hook prerouting priority raw; }; "
            "add rule ip r p iifname lan ct zone set 1",
        ),
    ),
    "ports": (
        "local-port",
        FLOW,
        (f"{NAT}; add rule ip n post oifname wan meta l4proto tcp masquerade to :3128-3130",),
    ),
    "errors are dropped before they are tracked": (
        "related",
        FLOW,
        (
            MASQUERADE,
            "add table ip r; add chain ip r p { type filter hook prerouting priority raw; }; "
            "add rule ip r p iifname wan meta l4proto icmp drop",
        ),
    ),
    "iptables drops errors": (
        "related",
        FLOW,
        ("iptables-nft -t nat -A POSTROUTING -o wan -j MASQUERADE; iptables-nft -A FORWARD -p icmp -j DROP",),
    ),
    "a time to live that ends here": (
        "ttl",
        FLOW,
        (
            MASQUERADE,
            "add table ip m; add chain ip m c { type filter hook prerouting priority mangle; }; "
            "add rule ip m c iifname lan ip ttl set 1",
        ),
    ),
    "iptables sets the time to live": (
        "ttl",
        FLOW,
        (
            "iptables-nft -t nat -A POSTROUTING -o wan -j MASQUERADE; "
            "iptables-nft -t mangle -A PREROUTING -i lan -j TTL --ttl-set 1",
        ),
    ),
    "a set does not let it pass": (
        "rule",
        FLOW,
        (
            MASQUERADE,
            f"{FORWARD}; add rule ip f c ct state established,related accept",
            "add rule ip f c ip saddr 10.0.0.0/8 accept",
        ),
    ),
    "iptables rejects before it accepts": (
        "rule",
        FLOW,
        (
            "iptables-nft -t nat -A POSTROUTING -o wan -j MASQUERADE",
            "iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            "iptables-nft -A FORWARD -j REJECT; iptables-nft -A FORWARD -i lan -j ACCEPT",
        ),
    ),
    "a map of dnat lacks the port": (
        "dnat",
        TO_US,
        (
            MASQUERADE,
            f"{DNAT}; add rule ip n pre iifname wan dnat ip to tcp dport map {{ 443 : {INSIDE} . 8080 }}",
        ),
    ),
    "a dnat for an address that nobody has": (
        "dnat-address",
        ("tcp", SERVER, "203.0.113.60:80"),
        (MASQUERADE, f"{DNAT}; add rule ip n pre ip daddr 203.0.113.60 tcp dport 80 dnat to {INSIDE}:8080"),
    ),
    "a host asks for itself": (
        "hairpin",
        ("tcp", INSIDE, "203.0.113.1:80"),
        (MASQUERADE, f"{DNAT}; add rule ip n pre ip daddr 203.0.113.1 tcp dport 80 dnat to {INSIDE}:8080"),
    ),
    "the address of another way out": (
        "other-uplink",
        FLOW,
        (f"{NAT}; add rule ip n post oifname wan snat to 198.51.100.1",),
    ),
    "a dnat that programs of the gateway do not pass": (
        "dnat",
        ("tcp", "203.0.113.1", "203.0.113.1:80"),
        (MASQUERADE, f"{DNAT}; add rule ip n pre tcp dport 80 dnat to {INSIDE}:8080"),
    ),
    "a dnat for what is not tracked": (
        "notrack",
        TO_US,
        (
            MASQUERADE,
            f"{DNAT}; add rule ip n pre tcp dport 80 dnat to {INSIDE}:8080",
            "add table ip r; add chain ip r p { type filter hook prerouting priority raw; }; "
            "add rule ip r p tcp dport 80 tcp flags syn notrack",
        ),
    ),
    "a dnat for an address from before": (
        "dnat",
        TO_US,
        (MASQUERADE, f"{DNAT}; add rule ip n pre ip daddr 203.0.113.99 tcp dport 80 dnat to {INSIDE}:8080"),
    ),
    "errors of the gateway itself are dropped": (
        "related",
        FLOW,
        (
            MASQUERADE,
            "ip link set wan mtu 1400",
            "add table ip o; add chain ip o c { type filter hook output priority 0; }; "
            "add rule ip o c meta l4proto icmp drop",
        ),
    ),
    "segments that are too large are allowed": (
        "mtu",
        FLOW,
        (
            MASQUERADE,
            "ip link set wan mtu 1400",
            "add table ip m; add chain ip m c { type filter hook forward priority mangle; }; "
            "add rule ip m c tcp flags syn tcp option maxseg size set 1440",
        ),
    ),
    "legacy iptables drops": (
        "rule",
        FLOW,
        (MASQUERADE, "iptables-legacy -A FORWARD -i lan -p tcp -j DROP"),
    ),
    "a quota that is used up": (
        "rule",
        FLOW,
        (MASQUERADE, f"{FORWARD}; add rule ip f c iifname lan quota 0 bytes accept"),
    ),
    "a queue that no program reads": (
        "queue",
        FLOW,
        (
            "iptables-nft -t nat -A POSTROUTING -o wan -j MASQUERADE",
            "iptables-nft -t mangle -A FORWARD -j NFQUEUE --queue-num 8 --queue-bypass",
            "iptables-nft -A FORWARD -j NFQUEUE --queue-num 7",
        ),
    ),
    "the network of a link has no route": (
        "return-route",
        FLOW,
        (MASQUERADE, "ip route del 192.168.1.0/24 dev lan"),
    ),
    "a more specific route leads elsewhere": (
        "return-route",
        FLOW,
        (MASQUERADE, "ip route add 192.168.1.0/28 via 198.51.100.100"),
    ),
    "a private source that no network here has": (
        "return-route",
        ("tcp", "172.16.9.9", f"{SERVER}:443"),
        (MASQUERADE,),
    ),
    "the rule for table main is gone": (
        "rule-missing",
        FLOW,
        (MASQUERADE, "ip rule del lookup main"),
    ),
    "ARP is switched off": (
        "arp-off",
        FLOW,
        (MASQUERADE, "ip link set wan arp off"),
    ),
    "a mark for what is sent here only": (
        "mark",
        ("tcp", INSIDE, "192.0.2.9:443"),
        (
            MASQUERADE,
            "add table ip m; add chain ip m o { type route hook output priority mangle; }; "
            "add rule ip m o ip daddr 192.0.2.0/24 meta mark set 0x51",
        ),
    ),
}
WITH_PEERS = {
    *("a host asks for itself", "a mark for what is sent here only", "a more specific route leads elsewhere"),
    "the network of a link has no route",
}
UNDO = {
    "a dnat for an address from before": "ip address del 203.0.113.99/32 dev wan",
    "errors of the gateway itself are dropped": "ip link set wan mtu 1500",
    "segments that are too large are allowed": "ip link set wan mtu 1500",
    "legacy iptables drops": "iptables-legacy -F FORWARD",
    "the network of a link has no route": "ip route replace 192.168.1.0/24 dev lan src 192.168.1.1 scope link",
    "a more specific route leads elsewhere": "ip route del 192.168.1.0/28",
    "the rule for table main is gone": "ip rule list | grep -q 32766 || ip rule add lookup main pref 32766",
    "ARP is switched off": "ip link set wan arp on; ip neigh flush dev wan",
    "a dnat for an address that nobody has": "ip address del 203.0.113.60/32 dev wan",
}


@pytest.mark.parametrize("name", FLOW_FAULTS)
def test_why_a_flow_does_not_get_through(need: Need, world: World, name: str) -> None:
    nftables_work()
    need("nft")
    need("iptables-nft")
    need("ip")
    check, flow, scripts = FLOW_FAULTS[name]
    if name.startswith("legacy") and not world.has_legacy():
        unavailable("this kernel has no legacy iptables (CONFIG_IP_NF_IPTABLES_LEGACY)")
    if name.startswith("a queue") and not world.has_queue():
        unavailable("this kernel has no NFQUEUE of iptables (CONFIG_NETFILTER_XT_TARGET_NFQUEUE)")
    world.sh("ip rule add fwmark 0x51 lookup 51 pref 60", "ip route add default via 198.51.100.100 table 51")
    # A process in each shows where their namespaces are.
    seen = [host.popen(["sleep", "60"]) for host in (world.inside, world.outside)] if name in WITH_PEERS else []
    try:
        if name == "ports":
            world.traffic.listen("gateway", "203.0.113.1", 3128)
        with world.rules(*scripts):
            found = [finding for finding in world.diagnose(*flow) if finding["check"] == check]
            assert found, world.diagnose(*flow)
            if found[0]["fix"]:
                world.sh(found[0]["fix"].replace("iptables ", "iptables-nft "))
                assert check not in {finding["check"] for finding in world.diagnose(*flow)}
    finally:
        for process in seen:
            process.kill()
            process.wait()
        world.sh("ip rule del pref 60", "ip route flush table 51", f"{UNDO.get(name, 'true')} || true")


def test_settings_and_tables(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    with world.rules(MASQUERADE):
        for name, value, default in (("tcp_timeout_established", 5, 432000), ("udp_timeout", 2, 30)):
            world.gateway.sysctl(f"net.netfilter.nf_conntrack_{name}", value)
            (finding,) = world.diagnose()
            assert (finding["check"], finding["subject"]) == ("timeout", name)
            world.sh(finding["fix"])
            assert world.diagnose() == [], default
        world.sh("ip rule add fwmark 0x52 lookup 52 pref 61")
        (finding,) = world.diagnose()
        assert (finding["check"], finding["subject"], finding["fix"]) == ("empty-table", "table 52", "")
        world.sh("ip rule del pref 61")
    six = "add table ip6 n; add chain ip6 n post { type nat hook postrouting priority srcnat; }"
    with world.rules(MASQUERADE, f"{six}; add rule ip6 n post oifname wan masquerade"):
        world.sh("ip -6 addr add 2001:db8::1/64 dev wan nodad", "ip -6 route add default via 2001:db8::100")
        for name, value in (("all.forwarding", 1), ("lan.disable_ipv6", 1)):
            world.gateway.sysctl(f"net.ipv6.conf.{name}", value)
        try:
            (finding,) = world.diagnose()
            assert (finding["check"], finding["subject"]) == ("ipv6-off", "IPv6 is switched off on lan")
            world.sh(finding["fix"])
            assert world.diagnose() == []
        finally:
            world.sh("ip -6 addr flush dev wan scope global", "ip -6 route flush default || true")
            world.gateway.sysctl("net.ipv6.conf.all.forwarding", 0)
    with world.rules(f"{NAT}; add rule ip n post oifname wan snat to 203.0.113.50"):
        finding = next(found for found in world.diagnose() if found["check"] == "snat-address")
        world.sh(finding["fix"])
        assert world.diagnose() == []
        world.sh("ip address del 203.0.113.50/32 dev wan")


def test_healthy_rules_are_not_found_fault_with(need: Need, world: World) -> None:
    need("nft")
    healthy = (
        f"{NAT}; add chain ip n out; add rule ip n out masquerade; "
        f'add rule ip n post oifname vmap {{ "wan" : jump out }}',
        f'{NAT}; add rule ip n post oifname "w*" masquerade',
        f"{NAT}; add rule ip n post ip saddr 192.168.1.0/24 ip daddr != 192.168.1.0/24 masquerade",
        f"{MASQUERADE}; {FORWARD}; add rule ip f c ct state established,related accept; "
        f"add rule ip f c iifname lan accept",
        f"{MASQUERADE}; {DNAT}; add rule ip n pre iifname wan tcp dport 80 dnat to {INSIDE}:8080",
        f"{MASQUERADE}; add table ip r; add chain ip r p {{ type filter hook prerouting priority raw; }}; "
        "add rule ip r p iif lo notrack; add rule ip r p ip daddr 192.168.1.1 udp dport 53 notrack",
        f"{MASQUERADE}; add table ip r; add chain ip r p {{ type filter hook prerouting priority raw; }}; "
        "add rule ip r p iifname lan ct original zone set 1",
        # Limits that hardly anybody reaches, on answers as well.
        f"{MASQUERADE}; {FORWARD.replace('policy drop', 'policy accept')}; "
        "add rule ip f c tcp flags syn ct count over 500 drop",
    )
    for script in healthy:
        with world.rules(script):
            for flow in ((), FLOW):
                assert world.diagnose(*flow) == [], script


LAB_FAULTS = {
    "bridge-rule-drop": "rule",
    "client-prefix-too-short": "sender",
    "client-wrong-gateway": "sender",
    "dnat-sent-out-again": "dnat-target",
    "drop-after-nat": "rule",
    "neighbour-discovery-dropped": "neighbour-discovery",
    "quota-used-up": "rule",
    "syn-not-tracked": "notrack",
}
"""What is found of a fault of the lab."""


@pytest.mark.parametrize("name", LAB_FAULTS)
def test_faults_of_the_lab_are_named(need: Need, name: str) -> None:
    nftables_work()
    need("nft")
    broken = fault.load(name)
    probe = broken.probe
    with Lab[Any](load(broken.fits[0])) as lab:
        gateway = "docker" if "docker" in lab.hosts else "gateway"
        peers = [lab[host].popen(["sleep", "60"]) for host in lab.hosts]  # they show where their namespaces are
        lab.probe(broken, timeout=5)  # everybody has been heard of
        source = next(
            text.partition("/")[0] for text in lab[probe.client].addresses if (":" in text) == (":" in probe.to)
        )
        words = flow_words((probe.protocol, source, f"[{probe.to}]:{probe.port}"))

        def found() -> list[Finding]:
            with Place(lab[gateway].path) as place:
                situation = Situation(place, narrowed(FlowFilter(), words), 0, asked=True)
                findings = diagnose(situation, words)
                situation.stacks.close()
            return [finding for finding in findings if finding.severity != "note" and finding.check == LAB_FAULTS[name]]

        others = {finding.subject for finding in found()}  # the server of the probe has ended
        break_lab(lab, broken)
        named = [finding for finding in found() if finding.subject not in others]
        assert named
        for finding in named:
            if finding.fix:
                lab[gateway].run("sh", "-c", finding.fix)
                assert finding.subject not in {again.subject for again in found()}
        for peer in peers:
            peer.kill()
            peer.wait()


def test_routing_that_packets_miss(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    flow = ("tcp", INSIDE, "192.0.2.9:443")
    with world.rules(MASQUERADE):
        world.sh("ip route add default via 198.51.100.100 table 53")
        world.sh("ip rule add from 192.168.1.0/24 lookup 53 pref 40000")
        try:
            (finding,) = world.diagnose(*flow)
            assert (finding["check"], finding["severity"]) == ("rule-order", "warning")
            world.sh(finding["fix"], "ip rule del pref 40000")
            assert "rule-order" not in {each["check"] for each in world.diagnose(*flow)}
        finally:
            world.sh("for n in 1 2; do ip rule del from 192.168.1.0/24 lookup 53 2>/dev/null; done; true")
            world.sh("ip route flush table 53")
        # What should not have left: to a network here by another table, and to what no rule translates for outside.
        there = world.outside.popen(["sleep", "60"])  # a process shows where the namespace is
        world.sh(f"ip route add default via {SERVER} table 53", "ip rule add iif lan lookup 53 pref 10")
        try:
            finding = world.diagnose("tcp", INSIDE, "198.51.100.99:443")[0]
            subject = "198.51.100.99 is on wan2: packets for it leave by wan"
            assert (finding["check"], finding["subject"]) == ("route", subject), finding
            assert "table 53 (rule 10:" in finding["evidence"][2], finding
            world.sh("ip rule del pref 10")
            subjects = [finding["subject"] for finding in world.diagnose("tcp", SERVER, "192.0.2.66:443")]
            assert "192.0.2.66: it leaves by wan again, which it came in by" in subjects
        finally:
            world.sh("ip rule del pref 10 2>/dev/null; true", "ip route flush table 53")
            there.kill()
            there.wait()
        try:
            world.sh(f"ip route replace default via {SERVER} mtu lock 600")
            assert [found["check"] for found in world.diagnose()] == ["mtu"]
        finally:
            world.sh(f"ip route replace default via {SERVER}")
        assert world.diagnose() == []


def test_a_next_hop_object_that_drops(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    with world.rules(MASQUERADE):
        world.sh("ip nexthop add id 7 blackhole", "ip route add 192.0.2.0/24 nhid 7")
        try:
            finding = world.diagnose("tcp", INSIDE, "192.0.2.9:443")[0]
            assert finding["check"] == "route"
            assert finding["subject"] == "blackhole 192.0.2.0/24"
            assert any("next-hop object 7" in text for text in finding["evidence"]), finding
        finally:
            world.sh("ip nexthop del id 7")


# What only listening tells: somebody sends all the time.


@contextmanager
def always(world: World, host: str, send: Callable[[], object]) -> Iterator[None]:
    """Sends from a host every hundredth of a second, as long as the block lasts."""
    begun, ended = Event(), Event()

    def work() -> None:
        while not ended.is_set():
            send()
            begun.set()
            ended.wait(0.01)

    thread = Thread(target=world.lab[host].call, args=(work,))
    thread.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def sending(
    world: World, host: str, to: tuple[str, int], source: str | None = None, kind: int = socket.SOCK_DGRAM
) -> Iterator[None]:
    """First packets of flows to an address, each from another port, as long as the block lasts."""

    def send() -> None:
        with socket.socket(socket.AF_INET, kind) as opened, suppress(OSError):
            if source is not None:
                opened.bind((source, 0))
            if kind == socket.SOCK_DGRAM:
                opened.sendto(b"x", to)
            else:
                opened.setblocking(False)
                opened.connect(to)

    with always(world, host, send):
        yield


def test_a_gateway_that_lets_nobody_out(need: Need, world: World) -> None:
    need("nft")
    with world.rules(MASQUERADE, FORWARD, "add rule ip f c ct state established,related accept"):
        forget_flows(world.gateway)
        assert world.diagnose(sample=0.2) == []  # nobody wants to
        with sending(world, "inside", (SERVER, 9)):
            finding = next(found for found in world.diagnose(sample=1) if found["check"] == "rule")
            assert finding["severity"] == "error"
            assert finding["subject"] == "ip f c"
            world.sh(finding["fix"])
            assert world.diagnose(sample=0.5) == []
            # One network of several is kept inside, or one service: that may be meant so.
            world.sh(
                "nft 'flush chain ip f c; add rule ip f c ct state established,related accept; "
                "add rule ip f c udp dport 10 accept'"
            )
            forget_flows(world.gateway)
            with sending(world, "inside", (SERVER, 10)):
                assert "rule" not in {found["check"] for found in world.diagnose(sample=1)}


def test_a_router_that_translates_nothing(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    forget_flows(world.gateway)
    assert world.diagnose(sample=0.2) == []  # nobody wants anything of it
    with sending(world, "inside", (SERVER, 9)):
        assert [found["check"] for found in world.diagnose(sample=1)] == ["no-rule"]
        with sending(world, "outside", (INSIDE, 9)):
            world.outside.route("192.168.1.0/24", via="203.0.113.1")
            try:
                assert world.diagnose(sample=1) == []  # who is beyond has a route to it
            finally:
                world.outside.run("ip", "route", "del", "192.168.1.0/24")


def test_a_limit_that_loses_what_is_asked_for(need: Need, world: World) -> None:
    need("nft")
    flow = ("udp", INSIDE, f"{SERVER}:9")
    limited = f"{FORWARD}; add rule ip f c limit rate 1/day burst 1 packets accept"
    forget_flows(world.gateway)
    with world.rules(MASQUERADE, limited):
        assert "rule" not in {found["check"] for found in world.diagnose(*flow, sample=0.2)}
        with sending(world, "inside", (SERVER, 9)):
            forget_flows(world.gateway)
            finding = next(found for found in world.diagnose(*flow, sample=1) if found["check"] == "rule")
            assert "limit" in finding["why"]


SHOWN_BY_TRAFFIC = {
    "dnat-range-takes-port": ("taken-port", "tcp port 8443"),
    "duplicate-address": ("duplicate", "duplicate address 192.168.1.11"),
    "ftp-without-helper": ("helper", "ftp on port 21"),
    "related-errors-dropped": ("related", "ip firewall forward"),
    "table-full": ("table-full", "the connection tracking table"),
}
"""Check and subject of what is found of a fault while traffic shows it, as `lab run TOPOLOGY+FAULT` has it."""


@pytest.mark.parametrize("name", SHOWN_BY_TRAFFIC)
def test_faults_are_named_without_a_flow_while_traffic_shows_them(need: Need, name: str) -> None:
    nftables_work()
    need("nft")
    broken = fault.load(name)
    ended = Event()
    with Lab[Any](load(broken.fits[0])) as lab:
        break_lab(lab, broken)
        asking = Thread(target=keep_asking, args=(lab, broken.probe, ended.wait), daemon=True)
        asking.start()
        try:
            found: set[tuple[str, str]] = set()
            for _ in range(40):  # a flow must have begun, and a server listen
                with Place(lab[broken.host].path) as place:
                    situation = Situation(place, FlowFilter(), 0, asked=False)
                    found = {(finding.check, finding.subject) for finding in diagnose(situation) if finding.check}
                    situation.stacks.close()
                if SHOWN_BY_TRAFFIC[name] in found:
                    break
                ended.wait(0.1)
            assert SHOWN_BY_TRAFFIC[name] in found, found
        finally:
            ended.set()
            asking.join()


def test_a_range_of_published_ports_takes_those_on_which_nobody_listens_here(need: Need, world: World) -> None:
    """A program here that listens on one of them gets nothing from outside: by chance, or meant so."""
    need("nft")
    world.traffic.listen("gateway", "203.0.113.1", 8443)
    for ports, taken in (("8400-8500", True), ("{ 80, 8443 }", True), ("8400-8442", False), ("8443", False)):
        rule = f"add rule ip n pre iifname wan tcp dport {ports} dnat to {INSIDE}"
        with world.rules(f"{MASQUERADE}; {DNAT}; {rule}"), Place(world.gateway.path) as place:
            situation = Situation(place, FlowFilter(), 0, asked=False)
            found = [finding for finding in diagnose(situation) if finding.check == "taken-port"]
            situation.stacks.close()
        assert bool(found) == taken, ports
        assert all(finding.subject == "tcp port 8443" for finding in found)


OUTSIDE = "203.0.113.1"
HEARD_FAULTS = {
    "not tracked": (
        "notrack",
        "ip r p",
        (SERVER, 9),
        (
            MASQUERADE,
            "add table ip r; add chain ip r p { type filter hook prerouting priority raw; }; "
            "add rule ip r p udp dport 9 notrack",
        ),
    ),
    "a table by mark that drops": (
        "route",
        "blackhole",
        (SERVER, 9),
        (
            MASQUERADE,
            "add table ip m; add chain ip m p { type filter hook prerouting priority mangle; }; "
            "add rule ip m p udp dport 9 meta mark set 0x51",
            "ip route add blackhole default table 51",
            "ip rule add fwmark 0x51 lookup 51",
        ),
    ),
    "a mark that no policy rule asks for": (
        "mark",
        "0x15",
        ("192.0.2.9", 9),
        (
            MASQUERADE,
            "add table ip m; add chain ip m p { type filter hook prerouting priority mangle; }; "
            "add rule ip m p udp dport 9 meta mark set 0x51",
            "ip route add default via 198.51.100.100 table 51",
            "ip rule add fwmark 0x15 lookup 51",
            "ip route add blackhole 192.0.2.0/24",
        ),
    ),
    "a limit that lets too little pass": (
        "rule",
        "limit",
        (SERVER, 9),
        (
            MASQUERADE,
            f"{FORWARD}; add rule ip f c ct state established,related accept; add rule ip f c tcp dport 443 accept; "
            "add rule ip f c limit rate 1/day burst 1 packets accept",
        ),
    ),
    "a service without endpoints": (
        "rule",
        "KUBE-SERVICES",
        ("10.96.0.10", 9),
        (
            MASQUERADE,
            f"{FORWARD.replace('policy drop', 'policy accept')}; add chain ip f KUBE-SERVICES; "
            "add rule ip f c ct state new jump KUBE-SERVICES; "
            "add rule ip f KUBE-SERVICES ip daddr 10.96.0.10 udp dport 9 reject",
        ),
    ),
}


@pytest.mark.parametrize("name", HEARD_FAULTS)
def test_what_is_heard_and_gets_no_entry(need: Need, world: World, name: str) -> None:
    nftables_work()
    need("nft")
    need("ip")
    check, word, to, scripts = HEARD_FAULTS[name]
    forget_flows(world.gateway)
    with world.rules(*scripts):
        try:
            with sending(world, "inside", to):
                found = [finding for finding in world.diagnose(sample=1) if finding["check"] == check]
            assert found
            assert word in f"{found[0]['subject']} {found[0]['evidence']} {found[0]['why']}"
        finally:
            for script in scripts:
                if script.startswith("ip "):
                    world.sh(script.replace(" add ", " del "))


def test_what_rules_are_meant_to_drop_is_no_fault(need: Need, world: World) -> None:
    need("nft")
    forget_flows(world.gateway)
    allowed = f"{FORWARD}; add rule ip f c ct state established,related accept; add rule ip f c iifname lan tcp dport "
    with world.rules(
        f"{MASQUERADE}; {DNAT}; add rule ip n pre iifname wan tcp dport 80 dnat to {INSIDE}:8080",
        f"{allowed} {{ 80, 443 }} accept; add rule ip f c ip saddr 192.0.2.7 ct status dnat accept",
    ):
        world.sh("ip route add blackhole 198.18.0.0/15")
        try:
            with (
                sending(world, "inside", (SERVER, 9)),
                sending(world, "inside", ("198.18.0.9", 443), kind=socket.SOCK_STREAM),
                sending(world, "outside", (OUTSIDE, 80), kind=socket.SOCK_STREAM),
                sending(world, "outside", (OUTSIDE, 22), kind=socket.SOCK_STREAM),
                sending(world, "inside", ("192.168.1.77", 9)),
            ):
                assert world.diagnose(sample=1) == []
        finally:
            world.sh("ip route del blackhole 198.18.0.0/15")


def test_services_that_clients_want_and_do_not_get(need: Need, world: World) -> None:
    need("nft")
    dnat = f"{MASQUERADE}; {DNAT}; add rule ip n pre iifname wan tcp dport"
    cases = {
        "nobody listens": (f"{dnat} 80 dnat to {INSIDE}:81", "outside", "dnat-target", f"{INSIDE}:81"),
        "the proxy is down": (f"{dnat} 80 redirect to :3127", "outside", "dnat-target", "3127"),
        "an interface that is gone": (
            f"{MASQUERADE}; {DNAT}; add rule ip n pre iifname gone tcp dport 80 dnat to {INSIDE}:8080",
            "outside",
            "dnat",
            "incoming interface",
        ),
        "from inside": (f"{dnat} 80 dnat to {INSIDE}:8080", "inside", "dnat", "incoming interface"),
        "no backend": (
            f"{dnat} 81 dnat to {INSIDE}:8080; add chain ip n first {{ type filter hook input priority 0; }}; "
            'add rule ip n first tcp dport 80 drop comment "web:http has no local endpoints"',
            "outside",
            "rule",
            "no local endpoints",
        ),
        "dropped before it": (
            f"{dnat} 80 dnat to {INSIDE}:8080; "
            "add chain ip n first { type filter hook prerouting priority mangle; }; "
            "add rule ip n first iifname wan tcp dport != 22 ct state new drop",
            "outside",
            "rule",
            "ip n first",
        ),
    }
    for name, (script, host, check, word) in cases.items():
        forget_flows(world.gateway)
        with world.rules(script), sending(world, host, (OUTSIDE, 80), kind=socket.SOCK_STREAM):
            every = world.diagnose(sample=1)
            found = [finding for finding in every if finding["check"] == check]
            assert found, (name, every)
            assert word in f"{found[0]['subject']} {found[0]['evidence']} {found[0]['why']}", name


@contextmanager
def broken_checksums(world: World, port: int) -> Iterator[None]:
    """TCP segments from outside to the gateway's own address, whose checksum is wrong."""
    segment = struct.pack(">HHIIBBHHH", 4000, port, 1, 9, 0x50, 0x10, 500, 0xBAD, 0)
    raw = world.lab["outside"].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 6))
    with raw, always(world, "outside", lambda: raw.sendto(segment, (OUTSIDE, 0))):
        yield


def test_broken_packets_of_scanners_are_a_note(need: Need, world: World) -> None:
    need("nft")
    with world.rules(f"{MASQUERADE}; {DNAT}; add rule ip n pre iifname wan tcp dport 81 dnat to {INSIDE}:8080"):
        for port, severity in ((22, "note"), (81, "error")):
            with broken_checksums(world, port):
                found = next(found for found in world.diagnose(sample=1, notes=True) if found["check"] == "checksum")
            assert found["severity"] == severity, found
            assert found["subject"] == f"wrong checksums from {SERVER}"


def test_senders_whose_packets_do_not_come(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    peer = world.inside.popen(["sleep", "60"])  # it shows where its namespace is
    with world.rules(MASQUERADE):
        world.inside.run("ip", "route", "replace", "default", "via", "192.168.1.254")
        try:
            found = world.diagnose()
            assert [finding["check"] for finding in found] == ["sender"]
            assert "192.168.1.254" in found[0]["subject"]
            world.inside.run("ip", "route", "del", "default")
            assert world.diagnose() == []  # it is to stay inside, maybe
        finally:
            world.inside.run("ip", "route", "replace", "default", "via", "192.168.1.1")
        world.inside.run("ip", "route", "add", "192.0.2.9", "dev", "eth0")
        world.inside.run("ip", "neigh", "flush", "all")
        try:
            with sending(world, "inside", ("192.0.2.9", 9)):
                found = world.diagnose(sample=1.5)
            assert [finding["check"] for finding in found] == ["sender"]
            assert "asks who has 192.0.2.9" in found[0]["evidence"][0]
        finally:
            world.inside.run("ip", "route", "del", "192.0.2.9")
        try:
            world.gateway.sysctl("net.ipv4.conf.lan.arp_ignore", 8)
            world.inside.run("ip", "neigh", "flush", "all")
            with sending(world, "inside", (SERVER, 9)):
                found = [each for each in world.diagnose(sample=1.5) if each["check"] == "neighbour-discovery"]
            assert found[0]["subject"] == "arp_ignore on lan"
            world.sh(found[0]["fix"])
            text = world.gateway.run("cat", "/proc/sys/net/ipv4/conf/lan/arp_ignore").stdout
            assert text.strip() == "0"
            world.gateway.sysctl("net.ipv4.conf.all.arp_filter", 1)
            world.sh("ip address add 192.168.1.254/24 dev wan2")
            world.outside.run("ip", "address", "add", "192.168.1.99/24", "dev", "eth1")
            with sending(world, "outside", ("192.168.1.254", 9)):
                found = [each for each in world.diagnose(sample=1.5) if each["check"] == "neighbour-discovery"]
            assert [each["subject"] for each in found] == ["arp_filter on wan2"]
        finally:
            world.gateway.sysctl("net.ipv4.conf.lan.arp_ignore", 0)
            world.gateway.sysctl("net.ipv4.conf.all.arp_filter", 0)
            world.sh("ip address flush to 192.168.1.254")
            world.outside.run("ip", "address", "flush", "to", "192.168.1.99")
            peer.kill()
            peer.wait()
        world.sh("ip route add 203.0.113.50/32 dev lan")
        try:
            with sending(world, "outside", ("203.0.113.50", 9)):
                found = world.diagnose(sample=1.5)
                assert [finding["check"] for finding in found] == ["proxy"]
                world.sh(found[0]["fix"])
                assert world.diagnose(sample=0.3) == []
        finally:
            world.sh("ip route del 203.0.113.50/32 dev lan", "ip neigh del proxy 203.0.113.50 dev wan || true")


def test_hosts_that_are_not_there_and_tunnels_without_ends(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    peer = world.outside.popen(["sleep", "60"])  # it shows where its namespace is
    try:
        with world.rules(MASQUERADE):
            forget_flows(world.gateway)
            world.traffic.connect("inside", SERVER, 443)
            world.traffic.datagram("gateway", "192.0.2.77", 9)
            notes = world.diagnose(notes=True)
            assert [found["severity"] for found in notes if found["check"] == "forwarding"] == ["note"]
            if world.gateway.run(
                "ip", "link", "add", "probe", "type", "vxlan", "id", "1", "dstport", "0", check=False
            ).returncode:
                unavailable("this kernel has no vxlan")
            world.sh("ip link del probe")
            for words, ends in (
                ("local 203.0.113.77 remote 203.0.113.100 dstport 4789", "own end 203.0.113.77"),
                ("local 203.0.113.1 remote 192.0.2.7 dstport 4789", "other end 192.0.2.7"),
                ("local 203.0.113.1 remote 203.0.113.100 dstport 4789", ""),
            ):
                world.sh(
                    f"ip link add vx0 type vxlan id 5 {words}", "ip link set vx0 up", "ip route add 192.0.2.7 dev vx0"
                )
                found = [each["subject"] for each in world.diagnose() if each["check"] == "tunnel"]
                world.sh("ip link del vx0")
                assert found == ([f"vx0: {ends}"] if ends else [])
    finally:
        peer.kill()
        peer.wait()


def test_a_range_to_translate_to_that_is_not_here(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    try:
        with world.rules(f"{NAT}; add rule ip n post oifname wan snat to 203.0.113.1-203.0.113.3"):
            found = [each for each in world.diagnose() if each["check"] == "snat-address"]
            assert [each["subject"] for each in found] == ["203.0.113.2: no address of this machine"]
            world.sh(found[0]["fix"])
            assert world.diagnose() == []
    finally:
        for address in ("203.0.113.2", "203.0.113.3"):
            world.sh(f"ip address del {address}/32 dev wan 2>&1 || true")


def test_a_range_to_translate_to_with_the_broadcast_address(need: Need, world: World) -> None:
    need("nft")
    for words, severity in (("203.0.113.255", "error"), ("203.0.113.254-203.0.113.255", "warning")):
        with world.rules(f"{NAT}; add rule ip n post oifname wan snat to {words}"):
            found = [each for each in world.diagnose() if "broadcast" in each["subject"]]
            assert [each["severity"] for each in found] == [severity]


def test_another_machine_with_the_gateways_address(need: Need, world: World) -> None:
    need("nft")
    need("ip")
    peer = world.inside.popen(["sleep", "60"])  # it shows where its namespace is
    world.inside.run("ip", "address", "add", "192.168.1.1/32", "dev", "eth0")
    try:
        with world.rules(MASQUERADE):
            found = [each for each in world.diagnose() if each["check"] == "duplicate"]
            assert [each["subject"] for each in found] == ["duplicate address 192.168.1.1"]
    finally:
        world.inside.run("ip", "address", "del", "192.168.1.1/32", "dev", "eth0")
        peer.kill()
        peer.wait()


def test_bridged_frames_that_a_policy_drops(need: Need) -> None:
    need("nft")
    need("ip")
    with Lab[Any]() as lab:
        left, right, gateway = lab.host("left"), lab.host("right"), lab.host("gateway", forwarding=True)
        lab.link(left, gateway, "10.0.0.2/24", names=("eth0", "p1"))
        lab.link(right, gateway, "10.0.0.3/24", names=("eth0", "p2"))
        gateway.run("sh", "-c", "ip link add br0 type bridge; ip addr add 10.0.0.1/24 dev br0; ip link set br0 up")
        for port in ("p1", "p2"):
            gateway.run("ip", "link", "set", port, "master", "br0")
        if gateway.run("sysctl", "-w", "net.bridge.bridge-nf-call-iptables=1", check=False).returncode:
            unavailable("br_netfilter")
        macs = {host: mac_of(host, "eth0") for host in (left, right)}
        left.run("ip", "neigh", "replace", "10.0.0.3", "lladdr", macs[right], "dev", "eth0", "nud", "permanent")
        gateway.run("nft", f"{FORWARD}; add rule ip f c ct state established,related accept")
        ours = World.__new__(World)
        ours.lab, ours.gateway = lab, gateway
        peers = [host.popen(["sleep", "60"]) for host in (left, right)]  # they show where their namespaces are
        try:
            with sending(ours, "left", ("10.0.0.3", 9)):
                found = ours.diagnose(sample=1)
                assert [finding["check"] for finding in found] == ["br-netfilter"]
                gateway.run("nft", "add rule ip f c iifname br0 oifname br0 drop")  # now it is meant to be so
                assert ours.diagnose(sample=1) == []
            gateway.run("nft", "flush ruleset")
            _of_the_bridge(ours, left, right, macs)
        finally:
            for peer in peers:
                peer.kill()
                peer.wait()


def mac_of(host: Any, name: str) -> str:
    text: str = json.loads(host.run("ip", "-j", "link", "show", name).stdout)[0]["address"]
    return text


def _of_the_bridge(world: World, left: Any, right: Any, macs: dict[Any, str]) -> None:
    """What else goes wrong on a bridge: another gateway, wrong ports, addresses that two have."""
    left.run("ip", "route", "add", "default", "via", "10.0.0.3")
    flow = ("tcp", "10.0.0.2", "192.0.2.9:443")
    for forwarding, severity in ((0, "error"), (1, "note")):
        right.sysctl("net.ipv4.ip_forward", forwarding)
        found = [each for each in world.diagnose(*flow, notes=True) if each["check"] == "sender"]
        assert [each["severity"] for each in found] == [severity]
        assert "10.0.0.3" in found[0]["subject"]
    for check, commands in (
        ("fdb", (f"bridge fdb replace {macs[left]} dev p2 master static",)),
        (
            "flood",
            ("bridge link set dev p1 learning off flood off", f"bridge fdb del {macs[left]} dev p1 master || true"),
        ),
    ):
        world.sh(*commands)
        (finding,) = world.diagnose("udp", "10.0.0.3", "10.0.0.2:9")
        assert finding["check"] == check
        world.sh(finding["fix"])
        assert world.diagnose("udp", "10.0.0.3", "10.0.0.2:9") == [], check
    own = mac_of(world.gateway, "br0")
    for address, hosts in (("52:54:00:12:34:56", ("left", "right")), (own, ("left",))):
        with ExitStack() as stack:
            for host in hosts:
                stack.enter_context(frames_from(world, host, address))
            found = [each["subject"] for each in world.diagnose(sample=1) if each["check"] == "duplicate"]
        assert found == [f"duplicate MAC address {address}"]


@contextmanager
def frames_from(world: World, host: str, address: str) -> Iterator[None]:
    """Frames to everybody that bear a MAC address as their sender's (IEEE 802: 0x88b5 is for experiments)."""
    opened = world.lab[host].call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    world.lab[host].call(lambda: opened.bind(("eth0", 0)))
    frame = bytes((0xFF,)) * 6 + bytes.fromhex(address.replace(":", "")) + bytes((0x88, 0xB5)) + bytes(46)
    with opened, always(world, host, lambda: opened.send(frame)):
        yield


def test_fragments_that_do_not_become_packets(need: Need, world: World) -> None:
    need("nft")
    early = "add table ip r; add chain ip r p { type filter hook prerouting priority -450; }"
    opened = world.inside.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def sent() -> AbstractContextManager[None]:
        return always(world, "inside", lambda: opened.sendto(bytes(3000), (SERVER, 9)))

    # What is sent before the rules stand would be a flow that is not translated: a finding of its own.
    forget_flows(world.gateway)
    with opened:
        with world.rules(MASQUERADE), sent():
            assert world.diagnose(sample=0.3) == []
            for name in ("low", "high"):
                world.gateway.sysctl(f"net.ipv4.ipfrag_{name}_thresh", 0)
            (finding,) = world.diagnose(sample=0.3)
            assert (finding["check"], finding["subject"]) == ("fragments", "net.ipv4.ipfrag_high_thresh")
            world.sh(finding["fix"])
            assert world.diagnose(sample=0.3) == []
        with world.rules(MASQUERADE, f"{early}; add rule ip r p ip frag-off & 0x1fff != 0 drop"), sent():
            (finding,) = world.diagnose(sample=0.3)
            assert (finding["check"], finding["subject"]) == ("fragments", "ip r p")


def test_what_the_gateway_itself_opens(need: Need, world: World) -> None:
    need("nft")
    out = "add table ip o; add chain ip o c { type filter hook output priority 0; }"
    for rules, severity in (
        (f"{out}; chain ip o c {{ policy drop; }}", "error"),
        (f"{out}; add rule ip o c drop", "note"),
    ):
        forget_flows(world.gateway)
        with world.rules(MASQUERADE, rules), world.gateway.call(lambda: socket.socket()) as opened:
            opened.setblocking(False)
            assert opened.connect_ex((SERVER, 9)) in (0, EINPROGRESS, EPERM)
            found = [each for each in world.diagnose(sample=0.1, notes=True) if each["check"] == "rule"]
            assert [(each["severity"], each["subject"]) for each in found] == [(severity, "ip o c")]
            assert "a program here opens a connection" in found[0]["evidence"][0]


def test_a_helper_is_wanted_by_what_is_heard(need: Need, world: World) -> None:
    need("nft")
    world.traffic.listen("outside", SERVER, 21)
    with world.rules(MASQUERADE):
        for words, severity, seen in (
            (b"EPSV\r\n", "note", "none of them carries the inside address"),
            (b"NOOP\r\n", "warning", ""),
            (b"PORT 192,168,1,11,4,1\r\n", "warning", "it carries PORT 192,168,1,11,4,1"),
        ):
            forget_flows(world.gateway)
            opened = world.inside.call(lambda: socket.create_connection((SERVER, 21), timeout=10))
            with opened, always(world, "inside", lambda: opened.send(words)):  # noqa: B023
                found = [each for each in world.diagnose(sample=0.3, notes=True) if each["check"] == "helper"]
            assert [each["severity"] for each in found] == [severity], words
            assert any(seen in text for text in found[0]["evidence"])


def test_a_connection_that_hangs_is_waited_for(need: Need, world: World) -> None:
    need("nft")
    segment = struct.pack(">HHIIBBHHH", 4001, 443, 9, 9, 0x50, 0x10, 500, 0, 0)  # in the middle of a connection
    with world.rules(MASQUERADE):

        def found() -> list[str]:
            with Place(world.gateway.path) as place:
                situation = Situation(place, FlowFilter(), 0.2)
                try:
                    return [finding.check for finding in picked_up(situation)]
                finally:
                    situation.stacks.close()

        world.gateway.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
        try:
            until(lambda: found() == [], "silence")  # connections of other tests may still end
            raw = world.inside.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 6))
            with raw, always(world, "inside", lambda: raw.sendto(segment, (SERVER, 0))):
                until(lambda: found() == ["tcp-loose"], "packet that is not picked up")
        finally:
            world.gateway.sysctl("net.netfilter.nf_conntrack_tcp_loose", 1)
