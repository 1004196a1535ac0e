"""The diagnosis of gateways: a healthy one gives no finding, and each fault, in a lab that has just that, its own."""

from __future__ import annotations

import json
import shlex
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jsonschema import Draft202012Validator
from nat_lab import SERVER, Traffic, lab_with_traffic, netinspect
from patience import eventually
from throwaway import Namespace

from netinspect.engine.json_schema import array_schema
from netinspect.engine.places import Place
from netinspect.lab import Lab
from netinspect.nouns.conntrack.filter import FlowFilter
from netinspect.nouns.nat import diagnose_flows as flow_checks
from netinspect.nouns.nat.diagnose import narrowed
from netinspect.nouns.nat.diagnose_capture import Capture
from netinspect.nouns.nat.diagnose_situation import Situation
from netinspect.nouns.path.filter_words import FlowWords
from netinspect.procfs import interface_sysctl, network_text
from netinspect.records import ConntrackCount, Finding

Need = Callable[[str], None]


class World:
    """A gateway between a private network and a public one. Without faults it has forwarding, and masquerades."""

    def __init__(self, *, forwarding: bool = True, mtu: int | None = None) -> None:
        self.lab: Lab[Any] = Lab()
        self.inside = self.lab.host("inside")
        self.gateway = self.lab.host("gateway", forwarding=forwarding)
        self.outside = self.lab.host("outside")
        self.lab.link(self.inside, self.gateway, "192.168.1.11/24", "192.168.1.1/24", names=("eth0", "lan"))
        self.lab.link(self.gateway, self.outside, "203.0.113.1/24", f"{SERVER}/24", names=("wan", "eth0"), mtu=mtu)
        self.inside.route("default", via="192.168.1.1")
        self.gateway.sysctl("net.netfilter.nf_conntrack_acct", 1)
        self.traffic = Traffic(self.lab)
        self.traffic.listen("outside", SERVER, 443)

    def masquerade(self, **options: Any) -> None:
        self.gateway.nat("masquerade", **{"out": "wan", **options})

    def second_way_out(self) -> None:
        """Another link to the outside, that is not the default route."""
        self.lab.link(self.gateway, self.outside, "198.51.100.1/24", "198.51.100.100/24", names=("wan2", "eth1"))
        self.gateway.route("default", via=SERVER)

    def nft(self, *commands: str) -> None:
        self.gateway.run("nft", "; ".join(commands))

    def flows(self, number: int = 1) -> None:
        for _ in range(number):
            self.traffic.connect("inside", SERVER, 443)

    def unanswered(self, number: int) -> None:
        """Datagrams through the gateway that get no answer."""
        for _ in range(number):
            self.traffic.datagram("inside", "203.0.113.200", 9)

    def diagnose(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.raw("-j", *arguments).stdout)
        return found

    def raw(self, *arguments: str) -> Any:
        sample = [] if "--sample" in arguments else ["--sample", "0"]
        return netinspect(self.gateway, "nat", "diagnose", *sample, *arguments, check=False)

    def close(self) -> None:
        self.traffic.close()
        self.lab.close()


@contextmanager
def gateway(**options: Any) -> Iterator[World]:
    world = World(**options)
    try:
        yield world
    finally:
        world.close()


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Does it again and again, for a minute at most, while something else runs."""
    ended = threading.Event()

    def work() -> None:
        for _ in range(1200):
            if ended.wait(0.05):
                return
            action()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def only(findings: list[dict[str, Any]], check: str) -> dict[str, Any]:
    """The one finding, of that check."""
    assert [finding["check"] for finding in findings] == [check]
    return findings[0]


def test_a_healthy_gateway_has_no_findings() -> None:
    with gateway() as world:
        world.masquerade()
        # An address of its own for a host inside, which nobody but outside translates, and a group that hosts talk to.
        world.nft("add table ip o", "add chain ip o p { type nat hook prerouting priority -100; }")
        world.nft("add rule ip o p iifname wan ip daddr 203.0.113.66 dnat to 192.168.1.11")
        world.gateway.run("ip", "route", "add", "blackhole", "203.0.113.66/32")
        world.outside.route("203.0.113.66/32", via="203.0.113.1")
        world.traffic.listen("inside", "192.168.1.11", 80)
        world.traffic.connect("outside", "203.0.113.66", 80)
        world.traffic.datagram("inside", "224.0.0.1", 9)
        assert world.diagnose() == []
        world.flows(4)
        assert world.diagnose("--sample", "0.3") == []
        result = world.raw()
        assert (result.returncode, result.stdout) == (0, "nothing found that breaks address translation\n")


def test_the_gateways_of_the_lab_are_healthy() -> None:
    for topology, names in (("gateway", ("gateway",)), ("cgnat", ("cpe", "carrier"))):
        with lab_with_traffic(topology) as (lab, _):
            lab.traffic("bulk")
            for name in names:
                lab[name].sysctl("net.netfilter.nf_conntrack_acct", 1)
                result = netinspect(lab[name], "nat", "diagnose", "-j", "--sample", "0", check=False)
                assert json.loads(result.stdout) == []


def test_forwarding_off() -> None:
    with gateway(forwarding=False) as world:
        world.masquerade()
        finding = only(world.diagnose(), "forwarding")
        assert finding["fix"] == "sysctl -w net.ipv4.ip_forward=1"
        assert world.raw().returncode == 4
        # What it says would help does.
        world.gateway.sysctl("net.ipv4.ip_forward", 1)
        assert world.diagnose() == []


def test_forwarding_off_on_one_interface() -> None:
    with gateway() as world:
        world.masquerade()
        world.gateway.sysctl("net.ipv4.conf.lan.forwarding", 0)
        finding = only(world.diagnose(), "forwarding")
        assert finding["subject"] == "IPv4 on lan"
        assert finding["fix"] == "sysctl -w net/ipv4/conf/lan/forwarding=1"


def test_no_rule_translates() -> None:
    with gateway() as world:
        finding = only(world.diagnose(), "no-rule")
        assert (finding["severity"], finding["subject"]) == ("error", "IPv4 out of wan")
        assert any("192.168.1.1/24 on lan" in text for text in finding["evidence"])
        assert "masquerade" in finding["fix"]


def test_the_fix_for_a_missing_rule_is_one(need: Need) -> None:
    need("nft")
    with gateway() as world:
        fix = world.diagnose()[0]["fix"]
        world.gateway.run("sh", "-c", fix)
        assert world.diagnose() == []
        world.flows()


def test_the_rule_is_for_another_interface() -> None:
    with gateway() as world:
        world.second_way_out()
        world.masquerade(out="wan2")
        finding = only(world.diagnose(), "other-interface")
        assert any("wan (default route)" in text for text in finding["evidence"])


def test_the_rule_is_for_another_network() -> None:
    with gateway() as world:
        world.masquerade(source="10.0.0.0/8")
        only(world.diagnose(), "other-source")


def test_a_fix_is_safe_to_paste_whatever_interfaces_are_called(need: Need) -> None:
    need("ip")
    name = "$(id>x)'"
    with gateway(forwarding=False) as world:
        world.masquerade()
        world.gateway.run("ip", "link", "set", "lan", "down")
        world.gateway.run("ip", "link", "set", "lan", "name", name)
        world.gateway.run("ip", "link", "set", name, "up")
        world.gateway.sysctl("net.ipv4.ip_forward", 1)
        world.gateway.run("sh", "-c", 'echo 0 > "/proc/sys/net/ipv4/conf/$1/forwarding"', "sh", name)
        finding = only(world.diagnose(), "forwarding")
        assert shlex.split(finding["fix"]) == ["sysctl", "-w", f"net/ipv4/conf/{name}/forwarding=1"]
        assert finding["fix"] != " ".join(shlex.split(finding["fix"]))


def test_rules_of_iptables_are_read_as_well(need: Need) -> None:
    need("iptables-nft")
    with gateway() as world:
        world.gateway.run("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE")
        assert world.diagnose() == []
    with gateway() as world:
        options = ("-s", "192.168.1.0/24", "-o", "wan", "-j", "SNAT", "--to-source", "203.0.113.1")
        world.gateway.run("iptables-nft", "-t", "nat", "-A", "POSTROUTING", *options)
        assert world.diagnose() == []
        world.flows()
        (row,) = json.loads(netinspect(world.gateway, "nat", "-j").stdout)
        assert row["kind"] == "snat"


def test_the_table_is_nearly_full() -> None:
    with gateway() as world:
        world.masquerade()
        place = Place(world.gateway.path)
        place.open()
        situation = Situation(place, FlowFilter(), 0)
        place.close()
        maximum = situation.count.maximum
        assert maximum
        for percent, severity in ((79, None), (81, "warning"), (96, "error")):
            situation.count = ConntrackCount(maximum * percent // 100, maximum, percent)
            found = list(flow_checks.table_size(situation))
            assert [finding.severity for finding in found] == ([severity] if severity else [])
        situation.count = ConntrackCount(9000, None, None, buckets=1000)
        assert [finding.check for finding in flow_checks.table_size(situation)] == ["buckets"]
        if maximum <= 300_000:
            world.gateway.fill("flows", maximum * 82 // 100)
            finding = only([f for f in world.diagnose() if f["check"] != "untranslated"], "table-full")
            assert finding["severity"] == "warning"


def test_invalid_packets_are_seen_while_they_come() -> None:
    with gateway() as world:
        world.masquerade()
        # A TCP header whose data offset makes no sense.
        with meanwhile(lambda: world.traffic.raw("inside", SERVER, 6, bytes(20))):
            finding = only(world.diagnose("--sample", "1"), "counters")
        assert finding["subject"] == "invalid"
        assert world.diagnose() == []


def test_source_ports_run_out_and_insertions_fail(need: Need) -> None:
    need("nft")
    with gateway() as world:
        world.nft(
            "add table ip n",
            "add chain ip n p { type nat hook postrouting priority srcnat; }",
            "add rule ip n p oifname wan meta l4proto tcp snat to 203.0.113.1:2000-2002",
        )
        world.flows(3)
        finding = only(world.diagnose(), "ports")
        assert finding["severity"] == "error"
        assert any("3 of 3 ports" in text for text in finding["evidence"])

        def further() -> None:
            opened = world.inside.call(socket.socket)
            opened.settimeout(0.05)
            try:
                opened.connect((SERVER, 443))
            except OSError:
                pass
            finally:
                opened.close()

        with meanwhile(further):
            found = world.diagnose("--sample", "1")
        assert {finding["check"] for finding in found} == {"ports", "counters"}
        assert {finding["subject"] for finding in found if finding["check"] == "counters"} <= {"insert_failed", "drop"}


def test_packets_come_in_where_answers_would_not_leave() -> None:
    with gateway() as world:
        world.second_way_out()
        world.masquerade()
        world.gateway.sysctl("net.ipv4.conf.wan2.rp_filter", 1)
        # Its questions for the gateway's link address must come from an address of that link.
        world.outside.sysctl("net.ipv4.conf.eth1.arp_announce", 2)
        # From the server's first address, by the second link.
        header = struct.pack(
            ">BBHHHBBH4s4s",
            *(0x45, 0, 28, 0, 0, 64, 17, 0),
            socket.inet_aton(SERVER),
            socket.inet_aton("198.51.100.1"),
        )
        packet = header + struct.pack(">HHHH", 9, 9, 8, 0)

        def send() -> None:
            def work() -> None:
                with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as opened:
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
                    opened.sendto(packet, ("198.51.100.1", 0))

            world.outside.call(work)

        with meanwhile(send):
            finding = only(world.diagnose("--sample", "1.5"), "rp-filter")
        assert finding["subject"] == "wan2"
        assert "net/ipv4/conf/wan2/rp_filter=2" in finding["fix"]


def test_answers_do_not_come_back_to_the_outside_address() -> None:
    with gateway() as world:
        # Nobody answers for this address on the outer link.
        world.gateway.nat("snat", out="wan", to="203.0.113.77")
        for number in range(3):
            world.traffic.datagram("inside", SERVER, 9000 + number)
        finding = only(world.diagnose(), "snat-address")
        assert "203.0.113.77" in finding["subject"]
        assert finding["fix"] == "ip address add 203.0.113.77/32 dev wan"


def test_answers_from_before_the_outside_address_went_do_not_hide_that_it_went() -> None:
    with gateway() as world:
        world.gateway.nat("snat", out="wan", to="203.0.113.77")
        world.gateway.run("ip", "address", "add", "203.0.113.77/32", "dev", "wan")
        world.flows()
        assert world.diagnose() == []
        world.gateway.run("ip", "address", "del", "203.0.113.77/32", "dev", "wan")
        world.outside.run("ip", "neighbour", "flush", "all")
        # No answer comes: the client waits in vain.
        waiting = [sys.executable, "-c", f"import socket; socket.create_connection(('{SERVER}', 443), timeout=5)"]
        client = world.inside.popen(waiting, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: only(world.diagnose(), "snat-address"))
        finally:
            client.kill()
            client.wait()


def test_a_few_flows_without_reply_are_no_fault_while_others_have_one() -> None:
    with gateway() as world:
        world.masquerade()
        world.flows()
        # A machine that does not answer; what nobody has at all would be a neighbour that fails after some seconds.
        neighbour = "203.0.113.200 lladdr 02:00:00:00:00:c8 nud permanent dev wan"
        world.gateway.run("ip", "neighbour", "add", *neighbour.split())
        world.unanswered(5)
        assert world.diagnose() == []


def test_tracking_is_turned_off_by_a_rule(need: Need) -> None:
    need("nft")
    with gateway() as world:
        world.masquerade()
        world.nft(
            "add table ip raw",
            "add chain ip raw pre { type filter hook prerouting priority raw; }",
            "add rule ip raw pre iifname lan notrack",
        )
        finding = only(world.diagnose(), "notrack")
        assert finding["fix"].startswith("nft delete rule ip raw pre handle ")
        world.gateway.run("sh", "-c", finding["fix"])
        assert world.diagnose() == []


def test_replies_are_tracked_in_another_zone(need: Need) -> None:
    need("nft")
    with gateway() as world:
        world.masquerade()
        world.nft(
            "add table ip raw",
            "add chain ip raw pre { type filter hook prerouting priority raw; }",
            "add rule ip raw pre iifname lan ct zone set 5",
        )
        echo = world.traffic.datagram("outside", "203.0.113.1", 7, 4321)
        sent = world.traffic.datagram("inside", SERVER, 4321, 1234)
        echo.settimeout(5)
        data, sender = echo.recvfrom(10)
        echo.sendto(data, sender)
        assert sent.fileno() >= 0
        finding = only(world.diagnose(), "zones")
        assert any("conntrack zone 5" in text for text in finding["evidence"])
        assert any("in zone 0" in text for text in finding["evidence"])


def test_the_way_out_takes_smaller_packets(need: Need) -> None:
    with gateway(mtu=1400) as world:
        world.masquerade()
        finding = only(world.diagnose(), "mtu")
        assert "mtu of wan: 1400" in finding["evidence"]
        need("nft")
        world.gateway.run("sh", "-c", finding["fix"])
        assert world.diagnose() == []


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_a_path_is_smaller_than_the_way_out() -> None:
    with gateway() as world:
        world.masquerade()
        sent = world.traffic.datagram("gateway", SERVER, 9999)
        port = sent.getsockname()[1]
        # Fragmentation needed, of 1200 bytes (RFC 1191), quoting that datagram.
        addresses = socket.inet_aton("203.0.113.1"), socket.inet_aton(SERVER)
        quoted = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 29, 0, 0x4000, 64, 17, 0, *addresses)
        quoted += struct.pack(">HHHH", port, 9999, 9, 0)
        error = struct.pack(">BBHHH", 3, 4, 0, 0, 1200) + quoted
        error = error[:2] + struct.pack(">H", checksum(error)) + error[4:]
        world.traffic.raw("outside", "203.0.113.1", 1, error)
        # The kernel reports of an exception only once a packet has been sent by it.
        deadline = time.monotonic() + 30
        found: list[dict[str, Any]] = []
        while not found and time.monotonic() < deadline:
            try:
                sent.sendto(b"x", (SERVER, 9999))
            except OSError:
                continue  # the server has no such port, and says so
            found = world.diagnose()
        finding = only(found, "path-mtu")
        assert "path MTU of 1200" in finding["evidence"][0]


def test_entries_of_a_rule_and_address_that_are_gone(need: Need) -> None:
    need("nft")
    need("ip")
    with gateway() as world:
        world.gateway.nat("snat", out="wan", to="203.0.113.1")
        world.flows(2)
        world.nft("flush table ip lab", "add rule ip lab postrouting oifname wan masquerade")
        world.gateway.run("ip", "address", "add", "203.0.113.2/24", "dev", "wan")
        world.gateway.run("ip", "address", "delete", "203.0.113.1/24", "dev", "wan")
        world.gateway.run("ip", "address", "replace", "203.0.113.2/24", "dev", "wan")
        finding = only(world.diagnose(), "stale")
        assert finding["subject"] == "2 flows translated to 203.0.113.1"
        need("conntrack")
        world.gateway.run("sh", "-c", finding["fix"])
        assert world.diagnose() == []
        # A connection that is being tried keeps its target too, with each further try from its port.
        world.outside.run("nft", "add table ip f; add chain ip f c { type filter hook input priority 0; }")
        world.outside.run("nft", "add rule ip f c tcp dport 81 drop")
        tried = f"import socket; s = socket.socket(); s.settimeout(0.1); s.connect_ex(({SERVER!r}, 81))"
        world.inside.run(sys.executable, "-c", tried)
        world.nft(
            "add chain ip lab pre { type nat hook prerouting priority -100; }",
            f"add rule ip lab pre tcp dport 81 dnat to {SERVER}:443",
        )
        finding = only([found for found in world.diagnose() if found["severity"] != "note"], "stale")
        assert finding["subject"] == f"a flow that goes to {SERVER}:81"
        assert finding["evidence"][1] == f"rules: a new flow like it goes to {SERVER}:443"
        world.gateway.run("sh", "-c", finding["fix"])
        assert [found for found in world.diagnose() if found["severity"] != "note"] == []


def test_what_no_rule_translates_any_more_goes_to_its_last_backend(need: Need) -> None:
    need("nft")
    need("conntrack")
    with gateway() as world:
        world.masquerade()
        world.gateway.route("default", via=SERVER)
        world.nft(
            "add chain ip lab pre { type nat hook prerouting priority -100; }",
            f"add rule ip lab pre ip daddr 10.96.0.10 udp dport 8125 dnat to {SERVER}",
        )
        world.outside.run("nft", "add table ip f; add chain ip f c { type filter hook input priority 0; policy drop; }")
        world.traffic.datagram("inside", "10.96.0.10", 8125)
        world.nft(
            "flush chain ip lab pre",
            "add chain ip lab none { type filter hook forward priority 0; }",
            "add rule ip lab none ip daddr 10.96.0.10 reject",
        )
        for asked in ((), ("udp", "192.168.1.11", "10.96.0.10:8125")):
            found = [each for each in world.diagnose(*asked) if each["severity"] != "note"]
            finding = found[-1]
            assert finding["check"] == "stale"
            assert finding["subject"] == f"a flow that goes to {SERVER}:8125"
            assert [each["check"] for each in found[:-1]] == ["rule"] * bool(asked)
        world.gateway.run("sh", "-c", finding["fix"])
        assert [each for each in world.diagnose() if each["severity"] != "note"] == []


def test_what_a_helper_expected_is_no_stale_flow(need: Need) -> None:
    need("nft")
    with gateway() as world:
        world.masquerade()
        world.nft(
            'add ct helper ip lab tftp { type "tftp" protocol udp; }',
            "add chain ip lab helped { type filter hook prerouting priority 0; }",
            'add rule ip lab helped udp dport 69 ct helper set "tftp"',
            "add chain ip lab let { type filter hook forward priority 0; policy drop; }",
            "add rule ip lab let ct state established,related accept",
            "add rule ip lab let iifname lan accept",
        )

        def bound(address: str) -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((address, 69 if address == SERVER else 0))
            made.settimeout(10)
            return made

        with (
            world.inside.call(lambda: bound("192.168.1.11")) as client,
            world.outside.call(lambda: bound(SERVER)) as server,
            world.outside.call(lambda: bound("0.0.0.0")) as answering,
        ):
            client.sendto(b"\0\1file\0octet\0", (SERVER, 69))
            answering.sendto(b"\0\3\0\1data", server.recvfrom(64)[1])
            _, source = client.recvfrom(64)
            assert [each for each in world.diagnose() if each["severity"] != "note"] == []
            client.sendto(b"\0\4\0\1", source)
            assert answering.recvfrom(64)[0] == b"\0\4\0\1"
            assert [each for each in world.diagnose() if each["severity"] != "note"] == []


def test_the_protocol_that_is_selected_is_the_flows_that_is_asked_for() -> None:
    for selected, named, walked in (({17}, None, 17), ({6, 17}, None, None), ({17}, 6, 6), (set(), None, None)):
        wanted, words = FlowFilter(), FlowWords()
        wanted.protocols |= selected
        words.protocol, words.destination = named, SERVER
        assert narrowed(wanted, words).protocols >= selected
        assert words.protocol == walked


def test_flows_from_before_the_rule_stay_as_they_are(need: Need) -> None:
    need("nft")
    with gateway() as world:
        # Something tracks, and nothing translates yet; the server knows the way back.
        world.nft(
            "add table ip f",
            "add chain ip f c { type filter hook forward priority 0; }",
            "add rule ip f c ct state new",
        )
        world.outside.route("192.168.1.0/24", via="203.0.113.1")
        world.flows(1)
        world.masquerade()
        finding = only(world.diagnose(), "untranslated")
        assert "192.168.1.11" in finding["evidence"][0]


def test_accounting_off_is_a_note_and_no_failure() -> None:
    with gateway() as world:
        world.masquerade()
        world.gateway.sysctl("net.netfilter.nf_conntrack_acct", 0)
        assert only(world.diagnose(), "accounting")["severity"] == "note"
        assert world.raw().returncode == 0


def test_a_host_that_is_not_a_gateway_is_reported_as_such() -> None:
    with gateway() as world:
        result = netinspect(world.inside, "nat", "diagnose", "-j", "--sample", "0", check=False)
        assert result.returncode == 0
        assert json.loads(result.stdout)[0]["check"] == "gateway"


def test_a_host_with_two_interfaces_is_no_gateway_unless_it_forwards_or_translates() -> None:
    with gateway(forwarding=False) as world:
        assert only(world.diagnose(), "gateway")["severity"] == "note"


def test_behind_another_router_a_missing_rule_is_a_warning() -> None:
    lab: Lab[Any] = Lab()
    try:
        router, inside, upstream = lab.host("router", forwarding=True), lab.host("inside"), lab.host("upstream")
        lab.link(inside, router, "192.168.1.2/24", "192.168.1.1/24", names=("eth0", "lan"))
        lab.link(router, upstream, "10.0.0.2/24", "10.0.0.1/24", names=("wan", "eth0"))
        router.route("default", via="10.0.0.1")
        found = json.loads(netinspect(router, "nat", "diagnose", "-j", "--sample", "0", check=False).stdout)
        finding = only(found, "no-rule")
        assert finding["severity"] == "warning"
        assert "next router" in finding["why"]
    finally:
        lab.close()


def test_one_flow_is_looked_at() -> None:
    with gateway() as world:
        world.masquerade()
        address, port = world.traffic.connect("inside", SERVER, 443)
        finding = only(world.diagnose("tcp", f"{address}:{port}", SERVER), "flow")
        assert finding["severity"] == "note"
        assert f"tcp {address}:{port} > {SERVER}:443" in finding["evidence"][0]
        assert only(world.diagnose("udp", address), "flow")["severity"] == "error"
        world.unanswered(1)
        # Nobody has that address; that is beyond this machine, and datagrams without an answer are no fault.
        found = world.diagnose("udp", address, "203.0.113.200")
        assert {finding["check"] for finding in found} <= {"flow", "next-hop"}
        assert "without a reply" in " ".join(found[0]["evidence"]) or "203.0.113.200" in found[0]["subject"]


def test_the_json_matches_its_schema_and_the_text() -> None:
    with gateway(forwarding=False) as world:
        found = world.diagnose()
        Draft202012Validator(array_schema(Finding)).validate(found)
        text = world.raw().stdout
        for finding in found:
            assert f"{finding['severity']}: {finding['check']}: {finding['subject']}" in text
            assert all(evidence in text for evidence in finding["evidence"])
        assert world.raw("--format", "csv", "--columns", "check,severity").stdout == "check,severity\n" + "".join(
            f"{finding['check']},{finding['severity']}\n" for finding in found
        )


def test_packets_are_heard_of_an_interface_whose_name_is_no_text(namespace: Namespace) -> None:
    """Python's recvmsg(2) gives the interface's name, and fails where that is not UTF-8."""

    def hear() -> Capture:
        capture = Capture(Place())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", 9))
        capture.listen(0.05)
        return capture

    assert namespace.call(hear).packets[0].interface == "lo"
    for words in ("set lo down", "set lo name \udcff$\udcfe", "set \udcff$\udcfe up"):
        namespace.run("ip", "link", *words.split())
    heard = namespace.call(hear)
    packet = heard.packets[0]
    assert (packet.interface, packet.unfinished, packet.ports[1]) == (r"\xff$\xfe", True, 9)
    assert (packet.source, heard.moves) == ("127.0.0.1", {bytes(6): [r"\xff$\xfe"]})
    # So are files of procfs that have its name in their path.
    assert namespace.call(lambda: interface_sysctl("ipv4", packet.interface, "disable_policy")) == "1"
    counters = namespace.call(lambda: network_text(f"dev_snmp6/{packet.interface}"))
    assert counters is not None
    assert "Ip6InReceives" in counters
