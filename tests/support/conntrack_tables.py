"""The connection tracking table as conntrack(8) shows it, and a table made empty."""

from __future__ import annotations

import re
from typing import Any

from throwaway import Namespace

from netinspect.engine.netlink.messages import message
from netinspect.engine.netlink.transport import connect
from netinspect.lab import Host
from netinspect.nouns.conntrack.decode import flow_body
from netinspect.records import Flow
from netinspect.uapi.netlink import NETLINK_NETFILTER, NLM_F_ACK
from netinspect.uapi.nfnetlink import IPCTNL_MSG_CT_DELETE


def of_conntrack(line: str) -> dict[str, Any]:
    """A line of ``conntrack -L -o extended,id`` as the fields of our record."""
    words = line.split()
    found: dict[str, Any] = {
        "family": {"ipv4": "inet", "ipv6": "inet6"}[words[0]],
        "protocol_number": int(words[3]),
        "timeout": int(words[4]),
        "state": next((word for word in words[5:6] if "=" not in word and word[0] != "["), None),
        "assured": "[ASSURED]" in words,
        "unreplied": "[UNREPLIED]" in words,
        "zone": None,
    }
    names = {
        "src": "source_address",
        "dst": "destination_address",
        "sport": "source_port",
        "dport": "destination_port",
        "srckey": "source_port",
        "dstkey": "destination_port",
        "type": "icmp_type",
        "code": "icmp_code",
        "id": "icmp_id",
        "packets": "packets",
        "bytes": "bytes",
        "mark": "mark",
        "use": "use",
    }
    prefix = "" if "src" in line else "reply_"
    for key, value in re.findall(r"([a-z-]+)=(\S+)", line):
        if key.startswith("zone"):
            found["zone"] = int(value)
            found["zone_direction"] = {"zone": "both", "zone-orig": "original", "zone-reply": "reply"}[key]
            continue
        name = names[key]
        if key == "src" and "source_address" in found:
            prefix = "reply_"
        if key == "id" and "use" in found:
            found["id"] = int(value)
        elif key in ("mark", "use"):
            found[name] = int(value)
        else:
            number = int(value, 0) if key not in ("src", "dst") else value
            found[prefix + name] = number
    return found


def like_conntrack(flow: Flow) -> dict[str, Any]:
    """Our record as far as conntrack(8) shows it."""
    fields = flow._asdict()
    status = fields.pop("status")
    fields |= {"assured": "ASSURED" in status, "unreplied": "SEEN_REPLY" not in status}
    for name in ("protocol", "labels", "helper", "start", "stop", "security_context", "netns", "unknown_attributes"):
        fields.pop(name)
    return {name: value for name, value in fields.items() if value is not None or name in ("state", "zone")}


def flush(namespace: Namespace | Host) -> None:
    """Takes all entries away."""
    opened = namespace.call(lambda: connect(NETLINK_NETFILTER))
    opened.send(message(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow_body(0)))
    opened.recvfrom(4096, 0)
    opened.close()
