"""Reports: crafted IGMPv3 and MLDv2 membership reports from the sender, for eight groups it never joined."""

import socket
import struct

from netinspect.lab.traffic import crafted

NEEDS = ("sender", "members")
PACKETS = 500
SECONDS = 15

GROUPS = 8
TO_EXCLUDE = 4
"""CHANGE_TO_EXCLUDE_MODE: with no source excluded, a join."""
_ALL_ROUTERS = {4: "224.0.0.22", 6: "ff02::16"}
"""All IGMPv3- and MLDv2-capable routers (RFC 3376, RFC 3810)."""


def play(traffic):
    scapy = crafted()
    inet, inet6 = scapy.layers.inet, scapy.layers.inet6
    sender = traffic.host("sender")
    for family in (4, 6):
        with traffic.raw(sender, family, interface="eth0") as opened:
            for number in range(GROUPS):
                if family == 4:
                    report = igmp_report(scapy, f"239.2.0.{number}")
                    options = [inet.IPOption_Router_Alert()]
                    packet = inet.IP(src=sender.ipv4, dst=_ALL_ROUTERS[4], ttl=1, proto=2, options=options) / report
                else:
                    records = [inet6.ICMPv6MLDMultAddrRec(rtype=TO_EXCLUDE, dst=f"ff15::2:{number:x}")]
                    hop_by_hop = inet6.IPv6ExtHdrHopByHop(options=[inet6.RouterAlert()])
                    report = inet6.ICMPv6MLReport2(records=records, records_number=1)
                    packet = inet6.IPv6(src=link_local(sender), dst=_ALL_ROUTERS[6], hlim=1) / hop_by_hop / report
                opened.sendto(bytes(packet), (_ALL_ROUTERS[family], 0))
                traffic.count("IGMP reports" if family == 4 else "MLD reports")


def igmp_report(scapy, group):
    """An IGMPv3 membership report with one group record (RFC 3376, 4.2): scapy's classes for it change."""
    record = struct.pack("!BBH4s", TO_EXCLUDE, 0, 0, socket.inet_aton(group))
    head = struct.pack("!BBHHH", 0x22, 0, 0, 0, 1)
    return struct.pack("!BBHHH", 0x22, 0, scapy.utils.checksum(head + record), 0, 1) + record


def link_local(host):
    """The link-local address of eth0: MLD reports from another are ignored."""
    for line in host.call(interface_addresses):
        digits, _, _, _, _, name = line.split()
        if name == "eth0" and digits.startswith("fe80"):
            return ":".join(digits[at : at + 4] for at in range(0, 32, 4))
    return "::"


def interface_addresses():
    with open("/proc/thread-self/net/if_inet6") as file:
        return file.readlines()
