"""Checks of settings of connection tracking: how long entries live, what begins one, which helpers are there."""

from __future__ import annotations

import re
from _functools import partial

from ...engine.namespaces import inside
from ...procfs import has_module, sysctl_writable
from ..conntrack.listing_state import counters
from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, NOTE, WARNING, finding, flow_text
from .diagnose_untranslated import free_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding, Flow
    from .diagnose_situation import Situation

_TIMEOUTS = {
    "tcp_timeout_established": (432000, 1800, "an idle TCP connection"),
    "tcp_timeout_syn_sent": (120, 10, "a TCP connection that is being opened"),
    "tcp_timeout_syn_recv": (60, 10, "a TCP connection that is being opened"),
    "tcp_timeout_unacknowledged": (300, 30, "a TCP connection with data that is not acknowledged"),
    "tcp_timeout_max_retrans": (300, 30, "a TCP connection whose packets are sent again and again"),
    "udp_timeout": (30, 10, "a UDP flow without an answer"),
    "udp_timeout_stream": (120, 30, "a UDP flow"),
    "icmp_timeout": (30, 3, "an ICMP request"),
    "icmpv6_timeout": (30, 3, "an ICMPv6 request"),
    "generic_timeout": (600, 30, "a flow of another protocol"),
    "gre_timeout": (30, 10, "a GRE flow"),
    "gre_timeout_stream": (180, 30, "a GRE flow"),
    "sctp_timeout_established": (210, 30, "an SCTP association"),
}
"""nf_conntrack-sysctl: the default, in seconds, and from where on flows that are well lose their entries.

RFC 5382 wants 2 hours and 4 minutes for idle TCP connections, RFC 4787 two minutes for UDP.
"""

_HELPERS = {
    (6, 21): ("ftp", "tcp", "active FTP: PORT and EPRT carry the client's private address", WARNING),
    (17, 69): ("tftp", "udp", "TFTP: the server answers from another port", WARNING),
    (6, 1723): ("pptp", "tcp", "PPTP: the control connection announces its GRE flows", WARNING),
    (6, 5060): ("sip", "tcp", "SIP: the session description carries private addresses", NOTE),
    (17, 5060): ("sip", "udp", "SIP: the session description carries private addresses", NOTE),
    (6, 6667): ("irc", "tcp", "IRC's DCC: it carries the client's private address", NOTE),
    (17, 161): ("snmp", "udp", "SNMP: it may carry private addresses", NOTE),
}

_SPEAKS = {
    "ftp": re.compile(rb"^(EPSV|PASV|229 )", re.IGNORECASE),
    "sip": re.compile(rb"^(m|contact|c=)\s*[:I]", re.IGNORECASE),
}
"""What names an address, or does without: FTP (RFC 2428), and SIP's contact and session (RFC 3261, RFC 8866)."""
_UDP = 17
_LONGER = 2
"""So many times the sample more are waited for, where that decides."""
_MODULES = {"snmp": "nf_nat_snmp_basic"}
"""net/ipv4/netfilter: the one that is not called like the others."""


def writable(situation: Situation, name: str) -> bool:
    """Whether a sysctl may be set in that namespace: some of conntrack's are the initial namespace's alone."""
    found: bool = inside(situation.place.descriptor, partial(sysctl_writable, name))
    return found


def timeouts(situation: Situation) -> Iterator[Finding]:
    """Entries that expire while their flows are well: what comes then is taken for something else."""
    for name, (default, least, what) in _TIMEOUTS.items():
        key = f"net.netfilter.nf_conntrack_{name}"
        seconds = situation.setting(key)
        if seconds is not None and seconds < least:
            yield finding(
                situation,
                "timeout",
                WARNING,
                name,
                [f"{key} = {seconds} (the kernel's default is {default})"],
                f"{what} loses its entry after {seconds} s without a packet: what comes then from outside is not "
                "translated back, and what comes from inside begins a new flow, maybe from another port",
                pasted(["sysctl", "-w", f"{key}={default}"]),
            )


def picked_up(situation: Situation) -> Iterator[Finding]:
    """tcp_loose: whether a connection whose entry is gone may go on."""
    invalid = situation.rising.get("invalid", 0)
    loose = situation.setting("net.netfilter.nf_conntrack_tcp_loose")
    if loose == 0 and not invalid and not _meant(situation):
        invalid = _sent_again(situation)
    if loose == 0 and invalid > 0 and not _meant(situation):
        yield finding(
            situation,
            "tcp-loose",
            ERROR,
            "TCP connections without an entry",
            [
                "net.netfilter.nf_conntrack_tcp_loose = 0",
                f"ctnetlink counter invalid: {invalid} more in {situation.sample:g} s",
            ],
            "connections that are in no entry (the table was emptied, the machine took over from another, or a timeout "
            "was too short) are not picked up again: their packets are invalid and not translated, and they hang",
            pasted(["sysctl", "-w", "net.netfilter.nf_conntrack_tcp_loose=1"]),
            "with tcp_loose=1 a packet in the middle of a connection may begin an entry; rules that accept "
            "`ct state new` without looking for SYN then let it pass",
        )


def _sent_again(situation: Situation) -> int:
    """Invalid packets of a while longer: what hangs sends again after twice the time of before (RFC 6298)."""
    from time import monotonic, sleep

    def number() -> int:
        return sum(values.get("invalid", 0) for values in counters(situation.place).values())

    first, end = number(), monotonic() + _LONGER * situation.sample
    while situation.sample and monotonic() < end:
        sleep(situation.sample / 10)
        if (more := number() - first) > 0:
            return more
    return 0


def _meant(situation: Situation) -> bool:
    """Whether packets are invalid on purpose: a SYN proxy needs tcp_loose off.

    net/netfilter/nf_synproxy_core.c has the ACK of its handshake come in as invalid.
    """
    return any(b"synproxy\0" in rule.data or b"SYNPROXY\0" in rule.data for rule in situation.ruleset.every_rule())


def _known(flow: Flow) -> tuple[str, str, str, str] | None:
    """Which helper a flow is for, by its destination's port before translation, or behind it."""
    number = flow.protocol_number
    return _HELPERS.get((number, flow.destination_port or 0)) or _HELPERS.get((number, flow.reply_source_port or 0))


def _carried(situation: Situation, flow: Flow) -> str | None:
    """How packets heard of a flow carry the inside address: empty where they do without, None where that is not known.

    FTP has it with commas (RFC 959). Via of SIP may have it: answers come to where requests are from (RFC 3581).
    """
    inner, ports = flow.source_address or "", (flow.source_port, flow.destination_port)
    if flow.source_address == flow.reply_destination_address:  # the destination is translated
        inner, ports = flow.reply_source_address or "", (flow.reply_source_port, flow.reply_destination_port)
    known = _known(flow)
    speaks = _SPEAKS.get(known[0]) if known is not None else None
    if speaks is None:
        return None
    words = (inner.encode(), inner.replace(".", ",").encode())
    heard = False
    for packet in situation.hearing.packets:
        if packet.protocol != flow.protocol_number or packet.source != inner or packet.ports != ports:
            continue
        payload = packet.payload
        start = 8 if packet.protocol == _UDP else payload[12] >> 4 << 2 if len(payload) > 12 else len(payload)
        lines = payload[start:].splitlines()
        heard = heard or any(map(speaks.search, lines))
        for line in lines:
            if not line.lower().startswith((b"via:", b"v:")) and any(word in line for word in words):
                return line.decode("ascii", "backslashreplace")
    return "" if heard else None


def helpers(situation: Situation) -> Iterator[Finding]:
    """Protocols that carry addresses inside need a helper where they are translated."""
    wanting: dict[str, list[tuple[int, Flow, str | None]]] = {}
    for flow in situation.traffic.helped:
        known = _known(flow)
        if known is None or flow.helper:
            continue
        if (
            flow.source_address == flow.reply_destination_address
            and flow.destination_address == flow.reply_source_address
        ):
            continue
        carried = _carried(situation, flow)
        rank = 0 if carried else 1 if carried == "" else 2  # the first that needs it, if one does
        wanting.setdefault(known[0], []).append((rank, flow, carried))
    for name, flows in wanting.items():
        _, flow, carried = min(flows, key=lambda found: found[0])
        known = _known(flow)
        assert known is not None
        _, protocol, what, severity = known
        if carried == "":
            severity = NOTE
        elif situation.asked and severity == NOTE:
            severity = WARNING
        seen = {None: [], "": ["packets heard: none of them carries the inside address"]}.get(
            carried, [f"packet heard: it carries {carried}"]
        )
        module = _MODULES.get(name, f"nf_nat_{name}")
        there = inside(situation.place.descriptor, partial(has_module, module))
        family = "ip6" if flow.family == "inet6" else "ip"
        table = free_table(situation.ruleset, family, "netinspect-helpers", f"netinspect-{name}")
        script = (
            f'add table {table}; add ct helper {table} {name} {{ type "{name}" protocol {protocol}; }}; '
            f"add chain {table} prerouting {{ type filter hook prerouting priority filter; }}; "
            f'add rule {table} prerouting {protocol} dport {flow.destination_port} ct helper set "{name}"'
        )
        yield finding(
            situation,
            "helper",
            severity,
            f"{name} on port {flow.destination_port}",
            [f"conntrack: {flow_text(flow)}, no helper", *seen],
            f"{what}. Without the helper {name} the payload is not translated, and related connections are not "
            "expected",
            pasted(["nft", script]) if there else "",
            "a table of its own; connections that are open already stay without"
            if there
            else f'load {module} (modprobe {module}), then set the helper in an nftables rule: ct helper set "{name}"',
        )
