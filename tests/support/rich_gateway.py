"""A gateway with something to list for every noun: long names and addresses, translated flows, members of groups."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nat_lab import SERVER, SERVER6, echo_request, lab_with_traffic

WAN6 = "2001:db8:1234:5678:9abc:def0:1234:5678"
LONG_UNIX = "wide-文字-\x1b[31m-and-" + "long-" * 14 + "name"

_COMMANDS = f"""
ip link add veth-0123456789 type veth peer name veth-9876543210
ip link set veth-0123456789 up
ip link add br-0123456789ab type bridge
ip link set br-0123456789ab up
ip link property add dev br-0123456789ab altname a-rather-long-alternative-name-of-a-bridge
ip addr add 198.18.254.254/15 brd + dev br-0123456789ab label br-0123456789ab
ip addr add {WAN6}/64 dev wan nodad
ip -6 route add 2001:db8:ffff:eeee:dddd::/80 via 2001:db8::100 dev wan metric 123456 mtu 1400
ip route add 198.51.100.128/25 metric 4000000000 nexthop via 203.0.113.100 weight 20 nexthop via 192.168.1.11
ip route add 233.252.0.0/24 dev wan mtu lock 1300 advmss 1200 window 20000 rtt 100ms initcwnd 20
ip rule add priority 12345 from 198.51.100.0/24 to 203.0.113.0/24 fwmark 0x12345678/0xffffffff iif lan table 4294967040
ip neigh add 2001:db8:1234:5678::dead:beef lladdr 02:00:00:00:be:ef nud permanent dev wan
ip neigh add proxy 192.0.2.77 dev wan
"""


@contextmanager
def rich_gateway() -> Iterator[Any]:
    """The host ``gateway`` of the topology of that name, while connections through it are open."""
    with lab_with_traffic("gateway") as (lab, traffic):
        gateway = lab["gateway"]
        for line in _COMMANDS.strip().splitlines():
            gateway.run(*line.split())
        for host, address in (("wan", SERVER), ("wan", SERVER6), ("lan1", "192.168.1.11")):
            traffic.listen(host, address, 80)
        for number in range(6):
            traffic.connect("lan1", SERVER, 80, 41000 + number)
            traffic.connect("lan2", SERVER6, 80, 42000 + number)
            traffic.datagram("lan2", SERVER, 5000 + number, 43000 + number)
        traffic.connect("wan", "203.0.113.1", 8080)
        traffic.raw("lan1", SERVER, socket.IPPROTO_ICMP, echo_request(65535))
        for number in range(3):
            traffic.listen("gateway", WAN6, 50000 + number)
            traffic.connect("gateway", WAN6, 50000 + number, 60000 + number)
        traffic.listen("gateway", "127.0.0.1", 8443)

        def more() -> list[socket.socket]:
            opened = socket.socket(socket.AF_UNIX)
            opened.bind(f"\0{LONG_UNIX}"[:100])
            opened.listen()
            member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            index = socket.if_nametoindex("br-0123456789ab")
            member.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", b"\xef\1\2\3", bytes(4), index)
            )
            member.bind(("239.1.2.3", 5000))
            return [opened, member]

        kept = gateway.call(more)
        try:
            yield gateway
        finally:
            for opened in kept:
                opened.close()
