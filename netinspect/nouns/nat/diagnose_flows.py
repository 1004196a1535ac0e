"""Checks of the table and its flows: is it full, do replies come back, do large packets get through?"""

from __future__ import annotations

from ...errors import UsageError
from ..path.walk_packet import Packet
from ..path.walk_path import incoming
from ..path.walk_steps import pasted, sysctl_set
from .diagnose_findings import ERROR, NOTE, WARNING, examples, families, finding
from .diagnose_invalid import invalid
from .diagnose_paths import packet_of, targeted, walk_flow
from .diagnose_settings import writable
from .diagnose_untranslated import free_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding, Flow
    from .diagnose_capture import Heard
    from .diagnose_situation import Situation

_NEARLY_FULL, _ALMOST_FULL = 80.0, 95.0
"""Percent of the table, or of the ports towards a destination."""
_LONG_CHAINS = 8
"""Entries a bucket from which on look-ups take noticeably longer."""
_FEW_DROPPED = 3
"""Packets that a queue dropped meanwhile which are no accident any more."""
_SENDERS_ASKED = 8
"""Kinds of packets with a wrong checksum that are looked into."""
_FEW_UNANSWERED = 3
"""Flows without a reply that are no accident any more."""

_RISING = {
    "insert_failed": (
        ERROR,
        "two flows were to get the same addresses and ports, and the packet of the second was dropped: source ports "
        "towards a destination run out, or a resolver sends two queries from one socket at once",
        "let source ports be chosen at random (nft: masquerade random,fully-random), or use more outside addresses",
    ),
    "drop": (
        ERROR,
        "packets are dropped because no entry could be created for them",
        "netinspect conntrack count shows how full the table is; without room to grow, shorter timeouts help",
    ),
    "early_drop": (
        WARNING,
        "the table is so full that entries which are not assured are thrown out for new ones",
        "netinspect conntrack count shows how full the table is",
    ),
    "invalid": (
        WARNING,
        "packets belong to no connection that is known: NAT leaves them as they are, with their private address. Often "
        "only one direction of the traffic passes here (asymmetric routing), or the entry has expired too early",
        "sysctl -w net.netfilter.nf_conntrack_log_invalid=255 logs them in the kernel's log",
    ),
    "chain_toolong": (
        ERROR,
        "entries are not made since their hash chain is too long",
        "twice as many buckets (net.netfilter.nf_conntrack_buckets)",
    ),
}
"""Counters that should not rise: how grave that is, why, and what helps."""


def table_size(situation: Situation) -> Iterator[Finding]:
    """A full table drops every new connection."""
    count = situation.count
    if count.percent is not None and count.percent >= _NEARLY_FULL:
        yield finding(
            situation,
            "table-full",
            ERROR if count.percent >= _ALMOST_FULL else WARNING,
            "the connection tracking table",
            [f"{count.entries} of {count.maximum} entries ({count.percent:.0f} %)"],
            "when it is full, the first packet of every new connection is dropped, after entries that are not assured "
            "were thrown out",
            *_larger(situation, "nf_conntrack_max", 2 * (count.maximum or 0)),
        )
    if count.buckets and count.entries > _LONG_CHAINS * count.buckets:
        yield finding(
            situation,
            "buckets",
            WARNING,
            "the hash table",
            [f"{count.entries} entries in {count.buckets} buckets"],
            "long hash chains slow down every packet, and make insertions fail (chain_toolong)",
            *_larger(situation, "nf_conntrack_buckets", count.entries),
        )


def _larger(situation: Situation, setting: str, number: int) -> tuple[str, str]:
    """The command that enlarges the table, or where it must be done: the setting is read-only in most namespaces."""
    name = f"net.netfilter.{setting}"
    if writable(situation, name):
        return pasted(["sysctl", "-w", f"{name}={number}"]), ""
    return "", f"{name} is read-only in this network namespace: set it to {number} in the initial one, on the host"


def counters(situation: Situation) -> Iterator[Finding]:
    """Counters that rise while one looks. One loss is reported once: what could not be inserted counts as dropped
    too."""
    rising = dict(situation.rising)
    if rising.get("drop", 0) > 0:
        rising["drop"] = max(0, rising["drop"] - max(0, rising.get("insert_failed", 0)))
    if rising.get("invalid", 0) > 0 and situation.hearing.wrong_checksums:
        yield _checksums(situation, rising["invalid"])
        rising["invalid"] = 0
    if situation.setting("net.netfilter.nf_conntrack_tcp_loose") == 0:
        rising["invalid"] = 0  # another check explains it
    for name, (severity, why, advice) in _RISING.items():
        if name == "invalid" and rising.get(name, 0) > 0:
            yield invalid(situation, rising[name], why, advice)
        elif rising.get(name, 0) > 0:
            evidence = [f"ctnetlink counter {name}: {rising[name]} more in {situation.sample:g} s"]
            percent = situation.count.percent
            if name == "drop":
                full = percent is not None and percent > _NEARLY_FULL
                why += (
                    ": the table is full"
                    if full
                    else f": the table has room ({percent or 0:.0f} %), so memory was short, or a port was taken"
                )
            yield finding(situation, "counters", severity, name, evidence, why, "", advice)


def _checksums(situation: Situation, invalid: int) -> Finding:
    """Packets that are invalid since their checksum is wrong."""
    every = situation.hearing.wrong_checksums
    asked = {(heard.source, heard.destination, heard.ports[1]): heard for heard in every}
    harmful = {key for key, heard in list(asked.items())[:_SENDERS_ASKED] if not _only_knocks(situation, heard)}
    found = [heard for heard in every if (heard.source, heard.destination, heard.ports[1]) in harmful] or every
    first = found[0]
    return finding(
        situation,
        "checksum",
        ERROR if harmful else NOTE,
        f"wrong checksums from {first.source}",
        [
            f"{len(found)} packets seen with a wrong checksum, such as protocol {first.protocol} from {first.source} "
            f"to {first.destination} on {first.interface}",
            f"ctnetlink counter invalid: {invalid} more",
        ],
        "packets with a wrong checksum are invalid to connection tracking (nf_conntrack_checksum): they are not "
        "translated, and rules that drop what is invalid drop them. "
        + ("Mostly the sender's offload is broken" if harmful else "These are for no flow and no rule: a scanner's"),
        "",
        f"put the sender right, {first.source}: ethtool -K INTERFACE tx off there; "
        "net.netfilter.nf_conntrack_checksum=0 "
        "here would only pass them on",
    )


def _only_knocks(situation: Situation, heard: Heard) -> bool:
    """Whether a packet is for this machine itself, of nobody inside, and for no flow and no rule: as scanners send."""
    iif = situation.hearing.interface(heard)
    if iif is None or situation.is_inside(iif) or not situation.home.is_local(heard.destination):
        return False
    if situation.hearing.has_entry(heard):
        return False
    packet = Packet(heard.protocol, heard.source, heard.destination, *heard.ports)
    return not any(map(targeted, walk_flow(situation, packet, iif, home_only=True)))


def port_exhaustion(situation: Situation) -> Iterator[Finding]:
    """Towards one destination each outside port can be used once."""
    for usage in sorted(situation.traffic.usage, key=lambda usage: -usage.percent):
        if usage.percent >= _NEARLY_FULL:
            there = f"{usage.destination_address} port {usage.destination_port}"
            yield finding(
                situation,
                "ports",
                ERROR if usage.percent >= _ALMOST_FULL else WARNING,
                f"{usage.protocol} from {usage.outside_address} to {there}",
                [f"{usage.ports_used} of {usage.ports} ports in use, for {usage.inside_hosts} inside hosts"],
                "a further flow to this destination finds no free port: its packets are dropped (insert_failed, drop)",
                "",
                "more outside addresses in the rule (snat to FIRST-LAST), or a wider range of ports",
            )


def reverse_path(situation: Situation) -> Iterator[Finding]:
    """rp_filter drops what comes in by another interface than answers would leave by.

    Forged sources are dropped too, correctly: the captured packets distinguish the two.
    """
    if situation.reverse_path_drops <= 0:
        return
    reported = set()
    for packet in situation.hearing.off_path:
        if packet.interface in reported:
            continue
        reported.add(packet.interface)
        way = situation.home.route_to(packet.source)
        yield finding(
            situation,
            "rp-filter",
            ERROR,
            packet.interface,
            [
                f"TcpExt IPReversePathFilter: {situation.reverse_path_drops} more in {situation.sample:g} s (procfs)",
                f"packet heard on {packet.interface}: {packet.source} > {packet.destination}",
                f"route: {packet.source} is reached by {way or 'no interface'}",
            ],
            "packets come in by another interface than the one that answers to them would leave by, and the reverse "
            "path "
            "filter drops them: with several ways out, answers take another way than requests",
            sysctl_set(f"net/ipv4/conf/{packet.interface}/rp_filter", 2),
            "loose mode (2) still drops sources that no route leads to; it no longer drops forged sources of your "
            "other "
            "links",
        )


def unanswered(situation: Situation) -> Iterator[Finding]:
    """Translated flows of which never a reply was seen, while none of the same address has one.

    A note: where this machine is the cause their way has shown it, and one-way traffic, as of syslog, is no fault.
    """
    for outside, tally in situation.traffic.unanswered.items():
        if tally.number < _FEW_UNANSWERED or outside in situation.traffic.answered:
            continue
        own = "an address of this machine" if outside in situation.local else "no address of this machine"
        first = tally.examples[0]
        yield finding(
            situation,
            "unanswered",
            NOTE,
            f"replies to {outside}",
            [f"{tally.number} flows translated to it, none with a reply; it is {own}", *examples(tally)],
            "what was sent from this address is not answered here: nobody answers, answers take another way back, or "
            "nobody outside knows that the address is here",
            "",
            f"netinspect path {first.source_address} {first.destination_address} follows one of them there and back",
        )


def queues(situation: Situation) -> Iterator[Finding]:
    """A queue on the way out that drops more than it passes on; a shaper drops some, as it should."""
    for name, kind, dropped, passed in situation.queues:
        if dropped < _FEW_DROPPED or dropped <= passed:
            continue
        yield finding(
            situation,
            "qdisc",
            ERROR,
            f"{kind} on {name}",
            [f"tc: {kind} on {name} dropped {dropped} packets in {situation.sample:g} s, and passed {passed} on"],
            "what is to leave by this interface is dropped by its queueing discipline: its rate, burst or limit is too "
            "small for the packets, or the link is too slow for what is sent",
            "",
            f"{pasted(['tc', '-s', 'qdisc', 'show', 'dev', name]) or 'tc -s qdisc'} shows its parameters; the burst of "
            "tbf must hold a whole packet",
        )


def path_mtu(situation: Situation) -> Iterator[Finding]:
    """Large packets are lost if the path MTU is smaller and senders are not notified."""
    if any(rule.kind == "clamp" for rule in situation.rules):
        return
    why = (
        "inside hosts choose segments for their own link: on a smaller path they depend on ICMP, which is often "
        "filtered, and connections hang once they send much"
    )
    for _, networks, exits in families(situation):
        for found in exits:
            larger = {n.interface.name: n.interface.mtu for n in networks if n.interface.mtu > found.mtu}
            if larger and found.mtu:
                evidence = [f"mtu of {found.name}: {found.mtu}"] + [f"mtu of {n}: {mtu}" for n, mtu in larger.items()]
                yield finding(situation, "mtu", WARNING, f"way out {found.name}", evidence, why, _clamp(situation))
    for route in situation.defaults:
        mtu = route.metrics.mtu if route.metrics else None
        wide = [n for n in situation.inside if n.family == route.family and mtu and n.interface.mtu > mtu]
        if mtu and wide and route.type == "unicast":
            name = wide[0].interface
            evidence = [
                f"route: {route.destination} dev {route.interface} table {route.table} has mtu {mtu}",
                f"mtu of {name}: {name.mtu}",
            ]
            yield finding(
                situation,
                "mtu",
                WARNING,
                f"route {route.destination} by {route.interface}",
                evidence,
                why,
                _clamp(situation),
            )
    smaller = [
        route
        for route in situation.exceptions
        if any(found.name == route.interface for exits in situation.exits.values() for found in exits)
    ]
    if smaller:
        evidence = [f"route exception: {route.destination} has a path MTU of {route.pmtu}" for route in smaller[:5]]
        yield finding(situation, "path-mtu", WARNING, f"{len(smaller)} destinations", evidence, why, _clamp(situation))


def _clamp(situation: Situation) -> str:
    """The command that has segments chosen for the way that they take."""
    table = free_table(situation.ruleset, "inet", "clamp", "netinspect-clamp")
    return pasted(
        [
            "nft",
            f"add table {table}; add chain {table} forward {{ type filter hook forward priority mangle; }}; "
            f"add rule {table} forward tcp flags syn tcp option maxseg size set rt mtu",
        ]
    )


def stale(situation: Situation) -> Iterator[Finding]:
    """Entries outlive the rule and the address that they were made with."""
    if situation.traffic.stale and not any(_still_made(situation, flow) for flow in situation.traffic.stale.examples):
        outside = situation.traffic.stale.examples[0].reply_destination_address
        yield finding(
            situation,
            "stale",
            ERROR,
            f"{situation.traffic.stale.number} flows translated to {outside}",
            [
                f"{outside} is not an address of this machine, and no snat rule names it",
                *examples(situation.traffic.stale),
            ],
            "they keep the translation that they began with, and are sent from an address that is gone: no answer can "
            "come. Long-lived flows (VPN, SIP, NTP) do not recover by themselves",
            pasted(["conntrack", "-D", *(["-f", "ipv6"] if ":" in str(outside) else []), "--src-nat", str(outside)]),
        )


def _still_made(situation: Situation, flow: Flow) -> bool:
    """Whether rules would translate a new flow like this one to the same address, by a map or a prefix for example."""
    packet = packet_of(flow)
    try:
        source, iif = incoming(situation.home, packet.source, packet.destination, None, None)
    except UsageError:
        return False
    if iif is None:
        return False
    return any(
        passed.tracked is not None and passed.tracked.translated.source == flow.reply_destination_address
        for path in walk_flow(situation, packet.but(source=source), iif, home_only=True)
        for passed in path.there.passed
        if passed.stack is situation.home
    )


def accounting(situation: Situation) -> Iterator[Finding]:
    """Without accounting, traffic per host is unknown."""
    if situation.accounting == 0 and (situation.rules or situation.traffic.flows):
        yield finding(
            situation,
            "accounting",
            NOTE,
            "packets and bytes",
            ["net.netfilter.nf_conntrack_acct = 0"],
            "flows have no counters: who sends how much is not known. It is for flows that begin later",
            "sysctl -w net.netfilter.nf_conntrack_acct=1",
        )
