"""Links of many kinds, what the kernel says of them and what ip(8) makes of it; some kernels have few of these kinds.

``python tests/support/link_kinds.py FILE``, in a network namespace of its own, records it (see `make test-kernels`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from netinspect.engine.netlink.messages import each_attribute
from netinspect.nouns.links.decode_kinds import kinds_of

COMMANDS = """
link add d0 type dummy
link set d0 up
addr add 198.51.100.1/24 dev d0
link add d1 type dummy
link add d2 type dummy
link add d3 type dummy
link add d4 type dummy
link add h0 type veth peer name h0p
link add h1 type veth peer name h1p
link set h0 up
link set h1 up
link add link d0 name d0.100 type vlan id 100 egress-qos-map 2:3 4:5 ingress-qos-map 1:6
link add link d0 name qinq type vlan id 200 protocol 802.1ad loose_binding on reorder_hdr off
link add bond0 type bond mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4 ad_select count
link set d1 master bond0
link add bond1 type bond mode active-backup arp_interval 200 arp_ip_target 192.0.2.1,192.0.2.2 fail_over_mac follow
link set d2 master bond1
link set bond1 type bond primary d2 primary_reselect better num_grat_arp 3
link add vrf1 type vrf table 100
link set d3 master vrf1
link add link d4 name ipvl type ipvlan mode l3 private
link add link d4 name ipvt type ipvtap mode l3 private
link add gen0 type geneve id 77 remote 198.51.100.2 dstport 6081 ttl 9 tos 4 df set
link add gen6 type geneve id 78 remote 2001:db8::2 dstport 6082 udp6zerocsumtx udp6zerocsumrx
link add sit1 type sit remote 198.51.100.2 local 198.51.100.1 ttl 64 6rd-prefix 2001:db8::/32
link add gre1 type gre remote 198.51.100.2 local 198.51.100.1 ikey 5 okey 70000 icsum oseq ttl 7 fwmark 3 dev d0
link add gretap1 type gretap remote 198.51.100.2 local 198.51.100.1 nopmtudisc ignore-df
link add grex type gretap external
link add erspan1 type erspan remote 198.51.100.3 local 198.51.100.1 seq key 30 erspan_ver 1 erspan 123
link add ipip1 type ipip remote 198.51.100.2 local 198.51.100.1 ttl 5 tos 8
link add ip6tnl1 type ip6tnl remote 2001:db8::2 local 2001:db8::1 encaplimit 3 hoplimit 8
link add ip6gre1 type ip6gre remote 2001:db8::2 local 2001:db8::1 key 4
link add vti1 type vti remote 198.51.100.2 local 198.51.100.1 ikey 9 okey 10
link add vti61 type vti6 remote 2001:db8::2 local 2001:db8::1 key 11
link add hsr0 type hsr slave1 h0 slave2 h1 supervision 45 version 1
link add link d0 name macsec0 type macsec port 11 encrypt on replay on window 32 validate check
link add xfrm0 type xfrm dev d0 if_id 42
"""

FIELDS = {
    "vlan": "vlan",
    "bond": "bond",
    "vrf": "vrf",
    **dict.fromkeys(("ipvlan", "ipvtap"), "ipvlan"),
    **dict.fromkeys(("gre", "gretap", "erspan", "ip6gre", "ipip", "sit", "ip6tnl", "vti", "vti6", "geneve"), "tunnel"),
    "macsec": "macsec",
    "hsr": "hsr",
    "xfrm": "xfrm",
}
"""The field of a link that has what its kind has."""
PORT_FIELDS = {"bond": "bond_port", "vrf": "vrf"}

_IFLA_LINKINFO = 18


def make(run: Callable[..., Any]) -> None:
    """Makes those links that this kernel has; ``run`` runs a command in a namespace."""
    run("ip", "-force", "-batch", "-", input=COMMANDS, check=False)


def link_infos(messages: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Index and IFLA_LINKINFO of each link, of messages."""
    for message in messages:
        for kind, at, size in each_attribute(message, 32, len(message), "testing"):
            if kind == _IFLA_LINKINFO:
                yield int.from_bytes(message[20:24], sys.byteorder), message[at : at + size]


def differences(info: bytes, told: dict[str, Any], indexes: dict[str, int]) -> list[str]:
    """What ip says of a link (`linkinfo` of `ip -d -j link`) that our record of IFLA_LINKINFO says otherwise."""
    ours = kinds_of(info)
    found = []
    for kind, data, fields in (("info_kind", "info_data", FIELDS), ("info_slave_kind", "info_slave_data", PORT_FIELDS)):
        field = fields.get(told.get(kind, ""))
        if field is None:
            continue
        record = ours[field]
        if record.unknown_attributes:
            found.append(f"{field}: {record.unknown_attributes}")
        for name, value in told.get(data, {}).items():
            ours_of_it = _in_ip_words(name, record, told, indexes)
            if isinstance(ours_of_it, int) and isinstance(value, str) and value.startswith("0x"):
                value = int(value, 16)
            if ours_of_it is not _PASSED and ours_of_it != value:
                found.append(f"{field}: {name}: {value!r}, not {ours_of_it!r}")
    return found


_PASSED = object()
"""For what other fields of the link tell, or nothing does that stays."""
_NAMES = {
    "protocol": "protocol",
    "updelay": "up_delay",
    "downdelay": "down_delay",
    "peer_notify_delay": "peer_notification_delay",
    "arp_missed_max": "missed_max",
    "fail_over_mac": "fail_over_address",
    "xmit_hash_policy": "transmit_hash",
    "num_peer_notif": "peer_notifications",
    "min_links": "minimum_links",
    "lp_interval": "learning_interval",
    "packets_per_slave": "packets_per_member",
    "ad_lacp_rate": "lacp_rate",
    "ad_select": "lacp_select",
    "ad_actor_sys_prio": "actor_priority",
    "ad_user_port_key": "port_key",
    "ad_actor_system": "actor_address",
    "link_failure_count": "failures",
    "perm_hwaddr": "permanent_address",
    "queue_id": "queue",
    "prio": "priority",
    "ad_aggregator_id": "aggregator",
    "ad_actor_oper_port_state": "actor_state",
    "ad_partner_oper_port_state": "partner_state",
    "df": "dont_fragment",
    "encap_limit": "encapsulation_limit",
    "udp_csum": "udp_checksum",
    "udp_zero_csum6_tx": "udp_zero_checksum6_transmit",
    "udp_zero_csum6_rx": "udp_zero_checksum6_receive",
    "erspan_ver": "erspan_version",
    "sci": "channel",
    "cipher_suite": "cipher",
    "icv_len": "check_length",
    "encoding_sa": "encoding_association",
    "inc_sci": "send_channel",
    "es": "end_station",
    "scb": "single_copy_broadcast",
    "supervision_addr": "supervision",
    "pmtudisc": "path_mtu_discovery",
    "ignore_df": "ignore_dont_fragment",
    "if_id": "interface_id",
}
_SWITCHES = {"use_carrier": "use_carrier", "all_slaves_active": "all_active", "tlb_dynamic_lb": "dynamic_balance"}
_INDEXES = {
    "active_slave": "active_index",
    "primary": "primary_index",
    "slave1": "first_index",
    "slave2": "second_index",
}


def _in_ip_words(name: str, record: Any, told: dict[str, Any], indexes: dict[str, int]) -> Any:
    known = record._asdict()
    names = {index: link for link, index in indexes.items()}
    if name in _SWITCHES:
        return int(known[_SWITCHES[name]])
    if name in _INDEXES:
        return names.get(known[_INDEXES[name]])
    if name in ("ikey", "okey"):
        key = known["input_key" if name == "ikey" else "output_key"]
        return ".".join(map(str, key.to_bytes(4, "big")))
    if name in ("iseq", "oseq", "icsum", "ocsum"):
        flags = known["input_flags" if name[0] == "i" else "output_flags"]
        return name[1:] in flags
    match name:
        case "flags":
            return [flag.upper() for flag in known["flags"]]
        case "ingress_qos" | "egress_qos":
            pairs = known["ingress_priorities" if name == "ingress_qos" else "egress_priorities"]
            return [{"from": one, "to": other} for one, other in pairs]
        case "arp_validate":  # which iproute2 before 6.2 writes as null
            return told["info_data"][name] and known[name]
        case "ad_lacp_active":
            return "on" if known["lacp_active"] else "off"
        case "port_range":
            return dict(zip(("low", "high"), known["source_ports"], strict=True))
        case "arp_ip_target":
            return list(known["arp_targets"])
        case "ad_info":
            words = {"partner_mac": "partner_address", "num_ports": "aggregator_ports"}
            return {word: known[words.get(word, word)] for word in told["info_data"][name]}
        case "state" | "mii_status":
            return known["state" if name == "state" else "link"].upper()
        case "bridge" | "private" | "vepa":
            return (known["sharing"] == name) == told["info_data"][name] and told["info_data"][name]
        case "remote" | "local" | "remote6" | "local6":
            address = known[name.removesuffix("6")]
            return "any" if address in ("0.0.0.0", "::") else address
        case "link":
            return names.get(known["link_index"])
        case "proto" if "protocol" in known and isinstance(known["protocol"], str):
            return ("hsr", "prp").index(known["protocol"])
        case "proto":
            return {0: "any", 4: "ipip", 41: "ip6ip6"}.get(known["protocol"])
        case "tclass" | "flowlabel":
            return (
                f"{known['flow_info'] >> 20 & 0xFF:#04x}"
                if name == "tclass"
                else f"{known['flow_info'] & 0xFFFFF:#07x}"
            )
        case "fwmark":
            return hex(known["mark"])
        case "tos":
            return hex(known["tos"])
        case "prefix" | "prefixlen" | "relay_prefix" | "relay_prefixlen":
            prefix, _, length = known["prefix_6rd" if name[0] == "p" else "relay_prefix_6rd"].partition("/")
            return int(length) if name.endswith("len") else prefix
        case "type" if "encapsulation" in known:
            return known["encapsulation"]
        case "ad_actor_oper_port_state_str" | "ad_partner_oper_port_state_str" | "seq_nr" | "mode" | "id" | "encap":
            return _PASSED
    return known[_NAMES.get(name, name)]


def main() -> None:
    from fake_kernel import Recorder, split

    from netinspect.engine.netlink.transport import Dump, connect
    from netinspect.nouns.links.decode import request

    subprocess.run(["ip", "-force", "-batch", "-"], input=COMMANDS, text=True, check=False)
    recorder = Recorder(connect(0))
    for _ in Dump(recorder, request(), "recording"):
        pass
    infos = dict(link_infos([single for datagram in recorder.datagrams for single in split(datagram)][:-1]))
    rows = json.loads(subprocess.run(["ip", "-d", "-j", "link"], stdout=subprocess.PIPE, check=True).stdout)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        for row in rows:
            info = row.get("linkinfo", {})
            line = {"name": row["ifname"], "index": row["ifindex"]}
            if info.get("info_kind") in FIELDS or info.get("info_slave_kind") in PORT_FIELDS:
                line |= {"info": infos[row["ifindex"]].hex(), "ip": info}
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
