"""Checks of the table and its flows: is there room, do answers come back, do large packets get through?"""

from __future__ import annotations

from shlex import join

from .diagnose_findings import ERROR, NOTE, WARNING, examples, families, finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from .diagnose_situation import Situation

_NEARLY_FULL, _ALMOST_FULL = 80.0, 95.0
"""Percent of the table, or of the ports towards a destination."""
_LONG_CHAINS = 8
"""Entries a bucket from which on look-ups take noticeably longer."""
_FEW_UNANSWERED = 3
"""Flows without a reply that are no accident any more."""

_RISING = {
    "insert_failed": (
        ERROR,
        "two flows were to get the same addresses and ports, and the packet of the second was dropped: source ports "
        "towards a destination run out, or a resolver sends two queries from one socket at once",
        "nft: masquerade random,fully-random; or more outside addresses",
    ),
    "drop": (
        ERROR,
        "packets are dropped since no entry could be made for them: the table is full, or memory is short",
        "netinspect conntrack count; sysctl -w net.netfilter.nf_conntrack_max=...",
    ),
    "early_drop": (
        WARNING,
        "the table is so full that entries which are not assured are thrown out for new ones",
        "netinspect conntrack count; sysctl -w net.netfilter.nf_conntrack_max=...",
    ),
    "invalid": (
        WARNING,
        "packets belong to no connection that is known: NAT leaves them as they are, with their private address. Often "
        "only one direction of the traffic passes here (asymmetric routing), or the entry has expired too early",
        "sysctl -w net.netfilter.nf_conntrack_log_invalid=255 (then read the kernel's log)",
    ),
    "chain_toolong": (
        ERROR,
        "entries are not made since their hash chain is too long",
        "sysctl -w net.netfilter.nf_conntrack_buckets=... (twice as many)",
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
            f"sysctl -w net.netfilter.nf_conntrack_max={2 * (count.maximum or 0)}",
        )
    if count.buckets and count.entries > _LONG_CHAINS * count.buckets:
        yield finding(
            situation,
            "buckets",
            WARNING,
            "the hash table",
            [f"{count.entries} entries in {count.buckets} buckets"],
            "long hash chains slow down every packet, and make insertions fail (chain_toolong)",
            f"sysctl -w net.netfilter.nf_conntrack_buckets={count.entries}",
        )


def counters(situation: Situation) -> Iterator[Finding]:
    """Counters that rise while one looks."""
    for name, (severity, why, fix) in _RISING.items():
        if situation.rising.get(name, 0) > 0:
            evidence = [f"ctnetlink counter {name}: {situation.rising[name]} more in {situation.sample:g} s"]
            yield finding(situation, "counters", severity, name, evidence, why, fix)


def port_exhaustion(situation: Situation) -> Iterator[Finding]:
    """Towards one destination each outside port can be used once."""
    for usage in sorted(situation.usage, key=lambda usage: -usage.percent):
        if usage.percent >= _NEARLY_FULL:
            there = f"{usage.destination_address} port {usage.destination_port}"
            yield finding(
                situation,
                "ports",
                ERROR if usage.percent >= _ALMOST_FULL else WARNING,
                f"{usage.protocol} from {usage.outside_address} to {there}",
                [f"{usage.ports_used} of {usage.ports} ports in use, for {usage.inside_hosts} inside hosts"],
                "a further flow to this destination finds no free port: its packets are dropped (insert_failed, drop)",
                "more outside addresses, as in nft: snat to 203.0.113.1-203.0.113.4; or a wider range of ports",
            )


def reverse_path(situation: Situation) -> Iterator[Finding]:
    """rp_filter drops what comes in by another interface than answers would leave by."""
    if situation.reverse_path_drops <= 0:
        return
    everywhere = situation.setting("net.ipv4.conf.all.rp_filter") or 0
    strict = []
    for found in situation.interfaces.values():
        own = situation.own("rp_filter", found) or 0
        if found.up and not found.loopback and max(own, everywhere) == 1:
            strict.append(found.name)
    yield finding(
        situation,
        "rp-filter",
        ERROR,
        ", ".join(strict) or "rp_filter",
        [
            f"TcpExt IPReversePathFilter: {situation.reverse_path_drops} more in {situation.sample:g} s (procfs)",
            f"net.ipv4.conf.all.rp_filter = {everywhere}; strict on: {', '.join(strict) or 'none'}",
        ],
        "packets come in by another interface than the one that answers to them would leave by, and are dropped: with "
        "several ways out, answers take another way than requests",
        join(["sysctl", "-w", *(f"net/ipv4/conf/{name}/rp_filter=2" for name in ["all", *strict])]),
    )


def unanswered(situation: Situation) -> Iterator[Finding]:
    """Translated flows of which never a reply was seen, while none of the same address has one."""
    for outside, tally in situation.unanswered.items():
        if tally.number < _FEW_UNANSWERED or outside in situation.answered:
            continue
        own = "an address of this machine" if outside in situation.local else "no address of this machine"
        yield finding(
            situation,
            "unanswered",
            ERROR,
            f"replies to {outside}",
            [f"{tally.number} flows translated to it, none with a reply; it is {own}", *examples(tally)],
            "what was sent from this address is not answered here: answers take another way back, or nobody outside "
            "knows that the address is here",
            f"ip route get {tally.examples[0].destination_address} from {outside}; "
            f"tcpdump -ni any host {tally.examples[0].destination_address}",
        )


def path_mtu(situation: Situation) -> Iterator[Finding]:
    """Large packets get lost on the way where a path is smaller and nothing tells the senders."""
    if any(rule.kind == "clamp" for rule in situation.rules):
        return
    clamp = (
        "nft 'add table inet clamp; add chain inet clamp forward { type filter hook forward priority mangle; }; "
        "add rule inet clamp forward tcp flags syn tcp option maxseg size set rt mtu'"
    )
    why = (
        "inside hosts choose segments for their own link: on a smaller path they depend on ICMP, which is often "
        "filtered, and connections hang once they send much"
    )
    for _, networks, exits in families(situation):
        for found in exits:
            larger = {n.interface.name: n.interface.mtu for n in networks if n.interface.mtu > found.mtu}
            if larger and found.mtu:
                evidence = [f"mtu of {found.name}: {found.mtu}"] + [f"mtu of {n}: {mtu}" for n, mtu in larger.items()]
                yield finding(situation, "mtu", WARNING, f"way out {found.name}", evidence, why, clamp)
    smaller = [
        route
        for route in situation.exceptions
        if any(found.name == route.interface for exits in situation.exits.values() for found in exits)
    ]
    if smaller:
        evidence = [f"route exception: {route.destination} has a path MTU of {route.pmtu}" for route in smaller[:5]]
        yield finding(situation, "path-mtu", WARNING, f"{len(smaller)} destinations", evidence, why, clamp)


def stale(situation: Situation) -> Iterator[Finding]:
    """Entries outlive the rule and the address that they were made with."""
    if situation.stale:
        outside = situation.stale.examples[0].reply_destination_address
        yield finding(
            situation,
            "stale",
            ERROR,
            f"{situation.stale.number} flows translated to {outside}",
            [f"{outside} is no address of this machine, and no snat rule names it", *examples(situation.stale)],
            "they keep the translation that they began with, and are sent from an address that is gone: no answer can "
            "come. Long-lived flows (VPN, SIP, NTP) do not recover by themselves",
            f"conntrack -D -q {outside}",
        )


def accounting(situation: Situation) -> Iterator[Finding]:
    """Without it nobody can tell who uses the line."""
    if situation.accounting == 0 and (situation.rules or situation.flows):
        yield finding(
            situation,
            "accounting",
            NOTE,
            "packets and bytes",
            ["net.netfilter.nf_conntrack_acct = 0"],
            "flows have no counters: who sends how much is not known. It is for flows that begin later",
            "sysctl -w net.netfilter.nf_conntrack_acct=1",
        )
