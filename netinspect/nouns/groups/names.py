"""What multicast groups are registered for.

Sources: IANA's registries "IPv4 Multicast Address Space" and "IPv6 Multicast Address Space" (RFC 5771, RFC 4291,
RFC 7346), and for the link layer IEEE 802.1Q, 802.1AB, 802.3 and RFC 1112, RFC 2464. The wording is our own.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop

from ...engine.prefixes import packed, within

_ON_LINK = {
    1: "all systems on this link",
    2: "all routers on this link",
    4: "DVMRP routers",
    5: "OSPF routers",
    6: "OSPF designated routers",
    9: "RIPv2 routers",
    10: "EIGRP routers",
    11: "mobile agents",
    12: "DHCP servers and relay agents",
    13: "PIM routers",
    14: "RSVP encapsulation",
    15: "CBT routers",
    16: "designated subnet bandwidth managers",
    17: "all subnet bandwidth managers",
    18: "VRRP",
    19: "IS-IS over IP: level 1",
    20: "IS-IS over IP: level 2",
    21: "IS-IS over IP: intermediate systems",
    22: "IGMPv3 reports",
    24: "OSPF with inter-gateway encapsulation",
    26: "Rbridges (TRILL over IP)",
    102: "HSRPv2",
    103: "MDAP",
    104: "Nokia MC-CH",
    105: "follow-me LFDX",
    106: "all snooping switches (multicast router discovery)",
    107: "PTP peer delay (IEEE 1588)",
    108: "TCP RPC",
    109: "MANET routers",
    110: "multichassis EVPN",
    111: "Babel routers",
    120: "ALL_DLEP",
    251: "multicast DNS",
    252: "LLMNR: link-local multicast name resolution",
    253: "Teredo",
}
"""Last octet in 224.0.0.0/24, which never leaves the link (RFC 5771, section 4)."""

_IPV4 = {
    "224.0.1.1": "NTP",
    "224.0.1.22": "SLP: service location, general",
    "224.0.1.24": "Microsoft WINS",
    "224.0.1.35": "SLP: directory agents",
    "224.0.1.39": "Cisco PIM rendezvous point announcements",
    "224.0.1.40": "Cisco PIM rendezvous point discovery",
    "224.0.1.41": "H.323 gatekeeper discovery",
    "224.0.1.60": "HP device discovery",
    "224.0.1.75": "all SIP servers",
    "224.0.1.129": "PTP (IEEE 1588), default domain",
    "224.0.1.130": "PTP (IEEE 1588), alternate domain 1",
    "224.0.1.131": "PTP (IEEE 1588), alternate domain 2",
    "224.0.1.132": "PTP (IEEE 1588), alternate domain 3",
    "224.0.1.187": "CoAP: all nodes",
    "239.255.255.250": "SSDP: UPnP discovery",
    "239.255.255.253": "SLPv2: service location",
    "239.255.255.254": "MZAP: multicast scope zone announcements",
    "239.255.255.255": "SAP: session announcements, local scope",
    "224.2.127.254": "SAP: session announcements, global scope",
}

_IPV4_RANGES = (
    ("232.0.0.0", 8, "source-specific multicast"),
    ("233.252.0.0", 14, "ad hoc block III"),
    ("233.0.0.0", 8, "GLOP: assigned by autonomous system number"),
    ("234.0.0.0", 8, "assigned by unicast prefix"),
    ("239.255.0.0", 16, "local scope"),
    ("239.192.0.0", 14, "organization-local scope"),
    ("239.0.0.0", 8, "administratively scoped"),
    ("224.0.0.0", 24, "local network control"),
    ("224.0.1.0", 24, "internetwork control"),
    ("224.2.0.0", 16, "session announcements (SDP/SAP)"),
)
"""RFC 5771, RFC 2365, RFC 6034, RFC 3180: the narrowest first."""

_IPV6 = {
    "ff01::1": "all nodes of this host",
    "ff01::2": "all routers of this host",
    "ff02::1": "all nodes on this link",
    "ff02::2": "all routers on this link",
    "ff05::2": "all routers of this site",
    "ff02::4": "DVMRP routers",
    "ff02::5": "OSPFv3 routers",
    "ff02::6": "OSPFv3 designated routers",
    "ff02::8": "IS-IS over IPv6 routers",
    "ff02::9": "RIPng routers",
    "ff02::a": "EIGRP routers",
    "ff02::b": "mobile agents",
    "ff02::c": "SSDP: UPnP discovery",
    "ff05::c": "SSDP: UPnP discovery, this site",
    "ff08::c": "SSDP: UPnP discovery, this organization",
    "ff02::d": "PIM routers",
    "ff02::e": "RSVP encapsulation",
    "ff02::f": "UPnP",
    "ff02::12": "VRRP",
    "ff02::16": "MLDv2 reports",
    "ff02::1a": "RPL nodes",
    "ff02::1b": "Rbridges (TRILL over IP)",
    "ff02::66": "HSRP",
    "ff02::6a": "all snooping switches (multicast router discovery)",
    "ff02::6b": "PTP peer delay (IEEE 1588)",
    "ff02::6d": "MANET routers",
    "ff02::6f": "multichassis EVPN",
    "ff02::a1": "LOWPAN ND",
    "ff02::fb": "multicast DNS",
    "ff05::fb": "multicast DNS, this site",
    "ff02::fd": "CoAP: all nodes on this link",
    "ff05::fd": "CoAP: all nodes of this site",
    "ff02::101": "NTP, this link",
    "ff05::101": "NTP, this site",
    "ff02::1:1": "link name",
    "ff02::1:2": "DHCPv6 servers and relay agents",
    "ff05::1:3": "DHCPv6 servers of this site",
    "ff02::1:3": "LLMNR: link-local multicast name resolution",
    "ff02::1:6": "Babel routers",
    "ff02::181": "PTP (IEEE 1588), this link",
    "ff05::181": "PTP (IEEE 1588), this site",
}

_SCOPES = {
    1: "this host",
    2: "this link",
    3: "this realm",
    4: "administratively scoped",
    5: "this site",
    8: "this organization",
    14: "global",
}
"""RFC 7346: the last four bits of an IPv6 group's second octet."""

_LINK = {
    "01:80:c2:00:00:00": "bridge group: spanning tree",
    "01:80:c2:00:00:01": "MAC control: pause",
    "01:80:c2:00:00:02": "slow protocols: LACP, link OAM",
    "01:80:c2:00:00:03": "port authentication (802.1X), LLDP nearest non-TPMR bridge",
    "01:80:c2:00:00:08": "provider bridge group: spanning tree",
    "01:80:c2:00:00:0d": "provider bridge MVRP",
    "01:80:c2:00:00:0e": "LLDP, PTP peer delay",
    "01:80:c2:00:00:21": "GVRP, MVRP: VLAN registration",
    "01:1b:19:00:00:00": "PTP (IEEE 1588)",
    "01:00:0c:cc:cc:cc": "Cisco CDP, VTP, UDLD",
    "01:00:0c:cc:cc:cd": "Cisco PVST+: spanning tree of a VLAN",
    "01:1e:4e:00:00:01": "EtherNet/IP device level ring",
    "01:0e:cf:00:00:00": "PROFINET discovery",
    "09:00:2b:00:00:05": "IS-IS: intermediate systems",
    "01:80:c2:00:00:14": "IS-IS: level 1",
    "01:80:c2:00:00:15": "IS-IS: level 2",
}

_SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")


def group_name(group: str) -> str | None:
    """What a group is registered for, or failing that what its range is for; None where neither is known.

    ``group`` is an IPv4, IPv6 or link-layer address, as records have them.
    """
    if "." in group:
        return _ipv4(group)
    # Of link-layer addresses every octet has two digits, and of groups of IPv6 the first four together are not two.
    return _link(group) if len(group) % 3 == 2 and set(group[2::3]) == {":"} else _ipv6(group)


def _ipv4(group: str) -> str | None:
    octets = packed(group)
    if octets[:3] == b"\xe0\0\0" and octets[3] in _ON_LINK:
        return _ON_LINK[octets[3]]
    if group in _IPV4:
        return _IPV4[group]
    for first, length, name in _IPV4_RANGES:
        if within(octets, packed(first), length):
            return name
    return None


def _ipv6(group: str) -> str | None:
    octets = packed(group)
    if octets.startswith(_SOLICITED_NODE):
        return f"neighbour discovery of addresses that end in {octets[13:14].hex()}:{octets[14:].hex()}"
    if group in _IPV6:
        return _IPV6[group]
    scope = _SCOPES.get(octets[1] & 0xF)
    if octets[0] != 0xFF or scope is None:
        return None
    flags = octets[1] >> 4
    if flags & 3 == 3:  # RFC 3306, RFC 4607: by unicast prefix, whose length is 0 where senders are given
        return f"source-specific multicast, {scope}" if not octets[3] else f"assigned by unicast prefix, {scope}"
    return f"not registered, {scope}" if flags & 1 else scope


def _link(group: str) -> str | None:
    if group in _LINK:
        return _LINK[group]
    octets = bytes.fromhex(group.replace(":", ""))
    if group == "ff:ff:ff:ff:ff:ff":
        return "broadcast"
    if octets[:3] == b"\x01\0\x5e" and not octets[3] & 0x80:
        # RFC 1112: 23 bits of the group are in the address, so 32 groups share one. The likeliest is named.
        rest = int.from_bytes(octets[3:], "big")
        likely = inet_ntop(AF_INET, (0xE0 << 24 | rest).to_bytes(4, "big"))
        name = _ipv4(likely) if rest < 0x200 else None
        return f"IPv4 {likely} ({name})" if name else f"IPv4 *.{_tail(rest)}"
    if octets[:2] == b"\x33\x33":
        likely = inet_ntop(AF_INET6, b"\xff\x02" + bytes(10) + octets[2:])
        if octets[2] == 0xFF:
            return f"IPv6 ff02::1:{octets[2:4].hex()}:{octets[4:].hex()} (neighbour discovery)"
        name = _IPV6.get(likely)
        return f"IPv6 {likely} ({name})" if name else f"IPv6 groups that end in {octets[2:4].hex()}:{octets[4:].hex()}"
    return None


def _tail(rest: int) -> str:
    """What 23 bits say of an IPv4 group: the last two octets, and the one before except its highest bit."""
    second, third, fourth = rest >> 16, rest >> 8 & 0xFF, rest & 0xFF
    return f"{second}.{third}.{fourth} or *.{second | 0x80}.{third}.{fourth}"
