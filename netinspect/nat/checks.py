"""The checks of a gateway: each looks at the facts, and tells what breaks address translation, and why.

What they rest on: ip-sysctl and nf_conntrack-sysctl (Documentation/networking), nft(8), RFC 2663, RFC 4787, RFC 5382.
"""

from __future__ import annotations

from shlex import join
from sys import byteorder

from ..collect.nat import is_global
from ..records import Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..decode.interface import Interface
    from ..decode.nat_rules import NatRule
    from ..records import Flow
    from .situation import Network, Situation, Tally

ERROR, WARNING, NOTE = "error", "warning", "note"
_NEARLY_FULL, _ALMOST_FULL = 80.0, 95.0
"""Percent of the table, or of the ports towards a destination."""
_LONG_CHAINS = 8
"""Entries a bucket from which on look-ups take noticeably longer."""
_FEW_UNANSWERED = 3
"""Flows without a reply that are no accident any more."""
_VERSIONS = {"inet": "IPv4", "inet6": "IPv6"}
_NFT_FAMILIES = {"inet": "ip", "inet6": "ip6"}
_FORWARDING = {"inet": ("ipv4", "net.ipv4.ip_forward"), "inet6": ("ipv6", "net.ipv6.conf.all.forwarding")}


def diagnose(situation: Situation) -> Iterator[Finding]:
    """What every check finds, the gravest first within each."""
    for check in CHECKS:
        yield from check(situation)


def _finding(
    situation: Situation, check: str, severity: str, subject: str, evidence: Sequence[str], why: str, fix: str
) -> Finding:
    return Finding(check, severity, subject, tuple(evidence), why, fix, situation.place.label)


def flow_text(flow: Flow) -> str:
    """One flow in a line: ``tcp 10.0.0.1:1 > 192.0.2.1:443 (replies to 203.0.113.1:1)``."""

    def end(address: str | None, port: int | None) -> str:
        host = f"[{address}]" if address and ":" in address else address or "?"
        return host if port is None else f"{host}:{port}"

    return (
        f"{flow.protocol} {end(flow.source_address, flow.source_port)} > "
        f"{end(flow.destination_address, flow.destination_port)} "
        f"(replies to {end(flow.reply_destination_address, flow.reply_destination_port)})"
    )


def _examples(tally: Tally) -> list[str]:
    return [f"conntrack: {flow_text(flow)}" for flow in tally.examples]


def _families(situation: Situation) -> Iterator[tuple[str, list[Network], list[Interface]]]:
    """The families in which this is a gateway: networks inside, a way out, and either forwarding or a rule."""
    for family in ("inet", "inet6"):
        networks = [network for network in situation.inside if network.family == family]
        if not networks or not situation.exits[family]:
            continue
        version, _ = _FORWARDING[family]
        forwards = any(situation.own("forwarding", network.interface, version) for network in networks)
        if forwards or situation.source_rules(family):
            yield family, networks, situation.exits[family]


def not_a_gateway(situation: Situation) -> Iterator[Finding]:
    """Nothing inside, or no way out: there is nothing to translate."""
    if not any(True for _ in _families(situation)) and not situation.rules:
        up = sorted(found.name for found in situation.interfaces.values() if found.up)
        yield _finding(
            situation,
            "gateway",
            NOTE,
            "this network namespace",
            [f"interfaces that are up: {', '.join(up) or 'none'}"],
            "it does not forward from a private network on one interface to a way out by another, and has no rule that "
            "translates: it is no gateway, or not set up yet",
            "ip address; ip route",
        )


def forwarding(situation: Situation) -> Iterator[Finding]:
    """Packets between interfaces are dropped unless forwarding is on, for each interface that they come in by."""
    for family, networks, exits in _families(situation):
        if not situation.source_rules(family) and family == "inet6":
            continue  # without translation IPv6 may well be meant to stay local
        version, name = _FORWARDING[family]
        interfaces = {found.index: found for found in [*(network.interface for network in networks), *exits]}
        off = [found for found in interfaces.values() if situation.own("forwarding", found, version) == 0]
        if not off:
            continue
        everywhere = situation.setting(name) == 0
        names = ", ".join(found.name for found in off)
        settings = [f"{name}=1"] if everywhere else [f"net/{version}/conf/{found.name}/forwarding=1" for found in off]
        yield _finding(
            situation,
            "forwarding",
            ERROR,
            f"{_VERSIONS[family]} on {names}",
            [f"net.{version}.conf.{found.name}.forwarding = 0" for found in off]
            + ([f"{name} = 0"] if everywhere else []),
            "packets that come in by these interfaces and are for somebody else are dropped: nothing inside reaches "
            "the outside, or no answer comes back",
            join(["sysctl", "-w", *settings]),
        )


def _may_leave_by(rule: NatRule, found: Interface) -> bool:
    """Whether a rule applies to what leaves by that interface."""
    for match in rule.interfaces("out"):
        name = found.name.encode()
        if match.what == "out_index":
            same = int.from_bytes(match.value, byteorder) == found.index
        else:
            wanted = match.value.rstrip(b"\0")
            # A shorter comparison, without the zero byte at the end, is a pattern: oifname "ppp*".
            same = name == wanted if match.value.endswith(b"\0") or len(match.value) == 16 else name.startswith(wanted)
        if same != match.equal:
            return False
    return True


def _covers(rule: NatRule, network: Network) -> bool:
    """Whether a rule applies to what comes from that network, as far as it speaks of sources."""
    from _socket import inet_pton

    packed = inet_pton(10 if ":" in network.address else 2, network.address)
    for match in rule.matches:
        if match.what == "source" and len(match.value) <= len(packed):
            bits = min(match.bits, network.length)
            same = _leading(packed, bits) == _leading(match.value.ljust(len(packed), b"\0"), bits)
            if same != match.equal:
                return False
    return True


def _leading(packed: bytes, bits: int) -> int:
    return int.from_bytes(packed, "big") >> 8 * len(packed) - bits


def source_rules(situation: Situation) -> Iterator[Finding]:
    """What leaves from a private network must get an address that answers can be sent to."""
    if situation.legacy:
        yield _finding(
            situation,
            "legacy-iptables",
            NOTE,
            "legacy iptables",
            [f"/proc/net/ip_tables_names, ip6_tables_names: {', '.join(situation.legacy)}"],
            "its rules are not read here, and apply beside those of nftables: what follows may be wrong where they "
            "translate",
            "iptables-legacy-save; ip6tables-legacy-save",
        )
    if situation.rules_unread is not None:
        yield _finding(
            situation,
            "rules",
            NOTE,
            "nftables",
            [situation.rules_unread],
            "the rules could not be read: whether one translates is not known",
            "nft list ruleset",
        )
        return
    if any(table.endswith(" nat") for table in situation.legacy):
        return
    for family, networks, exits in _families(situation):
        rules = situation.source_rules(family)
        if family == "inet6" and not rules and not situation.untranslated:
            continue  # IPv6 networks commonly have global addresses beside their private ones
        for found in exits:
            fitting = [rule for rule in rules if _may_leave_by(rule, found)]
            left_out = [network for network in networks if not any(_covers(rule, network) for rule in fitting)]
            if left_out:
                yield _missing_rule(situation, family, found, rules, fitting, left_out)


def _missing_rule(
    situation: Situation,
    family: str,
    found: Interface,
    rules: Sequence[NatRule],
    fitting: Sequence[NatRule],
    left_out: Sequence[Network],
) -> Finding:
    way = "default route" if situation.exits_by_route[family] else "interface with a public address"
    evidence = [f"way out for {_VERSIONS[family]}: {found.name} ({way})"]
    evidence += [f"inside network: {network} on {network.interface.name}" for network in left_out]
    table = f"{_NFT_FAMILIES[family]} nat"
    script = (
        f"add table {table}; add chain {table} postrouting {{ type nat hook postrouting priority srcnat; }}; "
        f'add rule {table} postrouting oifname "{found.name}" masquerade'
    )
    fix = join(["nft", script])
    if not rules:
        check, why = "no-rule", "no rule translates the source of what leaves this way: answers cannot find back"
        evidence.append("nftables: no masquerade or snat rule is reached from postrouting")
    elif not fitting:
        check = "other-interface"
        why = "there is a rule that translates, but for another interface than the one that packets leave by"
        evidence += [f"nftables: {rule}" for rule in rules]
    else:
        check = "other-source"
        why = "there are rules that translate what leaves this way, but none for this network"
        evidence += [f"nftables: {rule}" for rule in fitting]
    evidence += _examples(situation.untranslated)
    own = [n.address for n in situation.networks if n.interface is found and n.family == family]
    severity = ERROR
    if own and not any(map(is_global, own)):
        severity = WARNING
        why += "; unless the next router knows the way to this network, and translates"
    return _finding(situation, check, severity, f"{_VERSIONS[family]} out of {found.name}", evidence, why, fix)


def untranslated(situation: Situation) -> Iterator[Finding]:
    """Flows that left as they are: begun before the rule, or passed over by it."""
    reported = {finding.check for finding in source_rules(situation)} & {"no-rule", "other-interface", "other-source"}
    if situation.untranslated and not reported:
        yield _finding(
            situation,
            "untranslated",
            WARNING,
            f"{situation.untranslated.number} flows",
            _examples(situation.untranslated),
            "these flows from private to public addresses are not translated: they began before the rule was there, "
            "which is asked only once for each flow, or a condition of it leaves them out",
            "conntrack -D -s " + str(situation.untranslated.examples[0].source_address),
        )


def table_size(situation: Situation) -> Iterator[Finding]:
    """A full table drops every new connection."""
    count = situation.count
    if count.percent is not None and count.percent >= _NEARLY_FULL:
        yield _finding(
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
        yield _finding(
            situation,
            "buckets",
            WARNING,
            "the hash table",
            [f"{count.entries} entries in {count.buckets} buckets"],
            "long hash chains slow down every packet, and make insertions fail (chain_toolong)",
            f"sysctl -w net.netfilter.nf_conntrack_buckets={count.entries}",
        )


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


def counters(situation: Situation) -> Iterator[Finding]:
    """Counters that rise while one looks."""
    for name, (severity, why, fix) in _RISING.items():
        if situation.rising.get(name, 0) > 0:
            evidence = [f"ctnetlink counter {name}: {situation.rising[name]} more in {situation.sample:g} s"]
            yield _finding(situation, "counters", severity, name, evidence, why, fix)


def port_exhaustion(situation: Situation) -> Iterator[Finding]:
    """Towards one destination each outside port can be used once."""
    for usage in sorted(situation.usage, key=lambda usage: -usage.percent):
        if usage.percent >= _NEARLY_FULL:
            there = f"{usage.destination_address} port {usage.destination_port}"
            yield _finding(
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
    yield _finding(
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
        yield _finding(
            situation,
            "unanswered",
            ERROR,
            f"replies to {outside}",
            [f"{tally.number} flows translated to it, none with a reply; it is {own}", *_examples(tally)],
            "what was sent from this address is not answered here: answers take another way back, or nobody outside "
            "knows that the address is here",
            f"ip route get {tally.examples[0].destination_address} from {outside}; "
            f"tcpdump -ni any host {tally.examples[0].destination_address}",
        )


def bypassed(situation: Situation) -> Iterator[Finding]:
    """What is not tracked, or in two zones, cannot be translated back."""
    for rule in situation.rules:
        if rule.kind == "notrack" and rule.hooks & {"prerouting", "output"}:
            yield _finding(
                situation,
                "notrack",
                WARNING,
                str(rule.rule),
                [f"nftables: {rule}"],
                "packets that this rule applies to are not tracked: they are not translated, neither on the way out "
                "nor on the way back",
                join(["nft", "delete", "rule", *str(rule.rule).split()]),
            )
    if situation.zone_mismatches:
        first, second = situation.zone_mismatches[0]
        yield _finding(
            situation,
            "zones",
            ERROR,
            f"{len(situation.zone_mismatches)} flows",
            [
                f"conntrack zone {first.zone or 0}: {flow_text(first)}, without a reply",
                f"conntrack zone {second.zone or 0}: {flow_text(second)}",
            ],
            "the replies are tracked in another zone than the flow: to connection tracking they belong to no flow, and "
            "are not translated back",
            "nft: the same `ct zone set` for both interfaces, or `ct original zone set`",
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
    for _, networks, exits in _families(situation):
        for found in exits:
            larger = {n.interface.name: n.interface.mtu for n in networks if n.interface.mtu > found.mtu}
            if larger and found.mtu:
                evidence = [f"mtu of {found.name}: {found.mtu}"] + [f"mtu of {n}: {mtu}" for n, mtu in larger.items()]
                yield _finding(situation, "mtu", WARNING, f"way out {found.name}", evidence, why, clamp)
    smaller = [
        route
        for route in situation.exceptions
        if any(found.name == route.interface for exits in situation.exits.values() for found in exits)
    ]
    if smaller:
        evidence = [f"route exception: {route.destination} has a path MTU of {route.pmtu}" for route in smaller[:5]]
        yield _finding(situation, "path-mtu", WARNING, f"{len(smaller)} destinations", evidence, why, clamp)


def stale(situation: Situation) -> Iterator[Finding]:
    """Entries outlive the rule and the address that they were made with."""
    if situation.stale:
        outside = situation.stale.examples[0].reply_destination_address
        yield _finding(
            situation,
            "stale",
            ERROR,
            f"{situation.stale.number} flows translated to {outside}",
            [f"{outside} is no address of this machine, and no snat rule names it", *_examples(situation.stale)],
            "they keep the translation that they began with, and are sent from an address that is gone: no answer can "
            "come. Long-lived flows (VPN, SIP, NTP) do not recover by themselves",
            f"conntrack -D -q {outside}",
        )


def accounting(situation: Situation) -> Iterator[Finding]:
    """Without it nobody can tell who uses the line."""
    if situation.accounting == 0 and (situation.rules or situation.flows):
        yield _finding(
            situation,
            "accounting",
            NOTE,
            "packets and bytes",
            ["net.netfilter.nf_conntrack_acct = 0"],
            "flows have no counters: who sends how much is not known. It is for flows that begin later",
            "sysctl -w net.netfilter.nf_conntrack_acct=1",
        )


CHECKS: tuple[Callable[[Situation], Iterator[Finding]], ...] = (
    not_a_gateway,
    forwarding,
    source_rules,
    untranslated,
    table_size,
    counters,
    port_exhaustion,
    reverse_path,
    unanswered,
    bypassed,
    path_mtu,
    stale,
    accounting,
)
"""All checks, in the order in which one would look."""
