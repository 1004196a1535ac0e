"""Reports: crafted IGMPv3 and MLDv2 membership reports from the sender, for eight groups it never joined."""

from netinspect.lab.traffic import crafted

NEEDS = ("sender", "members")
PACKETS = 500
SECONDS = 15

GROUPS = 8
_ALL_ROUTERS = {4: "224.0.0.22", 6: "ff02::16"}
"""All IGMPv3- and MLDv2-capable routers (RFC 3376, RFC 3810)."""


def play(traffic):
    scapy = crafted()
    from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mr

    inet, inet6 = scapy.layers.inet, scapy.layers.inet6
    sender = traffic.host("sender")
    for family in (4, 6):
        with traffic.raw(sender, family, interface="eth0") as opened:
            for number in range(GROUPS):
                if family == 4:
                    # 4 is "change to exclude mode": a join, with no source excluded.
                    records = [IGMPv3gr(rtype=4, maddr=f"239.2.0.{number}")]
                    report = IGMPv3(type=0x22) / IGMPv3mr(records=records)
                    options = [inet.IPOption_Router_Alert()]
                    packet = inet.IP(src=sender.ipv4, dst=_ALL_ROUTERS[4], ttl=1, proto=2, options=options) / report
                else:
                    records = [inet6.ICMPv6MLDMultAddrRec(rtype=4, dst=f"ff15::2:{number:x}")]
                    hop_by_hop = inet6.IPv6ExtHdrHopByHop(options=[inet6.RouterAlert()])
                    report = inet6.ICMPv6MLReport2(records=records, records_number=1)
                    packet = inet6.IPv6(src=link_local(sender), dst=_ALL_ROUTERS[6], hlim=1) / hop_by_hop / report
                opened.sendto(bytes(packet), (_ALL_ROUTERS[family], 0))
                traffic.count("IGMP reports" if family == 4 else "MLD reports")


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
