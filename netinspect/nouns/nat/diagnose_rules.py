"""Checks of settings and rules: does the gateway forward, and translate what leaves it?"""

from __future__ import annotations

from shlex import join
from sys import byteorder

from ...engine.prefixes import packed, within
from .diagnose_findings import ERROR, FORWARDING, NOTE, VERSIONS, WARNING, examples, families, finding, flow_text
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import Finding
    from .decode_rules import NatRule
    from .diagnose_situation import Interface, Network, Situation

_NFT_FAMILIES = {"inet": "ip", "inet6": "ip6"}


def forwarding(situation: Situation) -> Iterator[Finding]:
    """Packets between interfaces are dropped unless forwarding is on, for each interface that they come in by."""
    for family, networks, exits in families(situation):
        if not situation.source_rules(family) and family == "inet6":
            continue  # without translation IPv6 may well be meant to stay local
        version, name = FORWARDING[family]
        interfaces = {found.index: found for found in [*(network.interface for network in networks), *exits]}
        off = [found for found in interfaces.values() if situation.own("forwarding", found, version) == 0]
        if not off:
            continue
        everywhere = situation.setting(name) == 0
        names = ", ".join(found.name for found in off)
        settings = [f"{name}=1"] if everywhere else [f"net/{version}/conf/{found.name}/forwarding=1" for found in off]
        yield finding(
            situation,
            "forwarding",
            ERROR,
            f"{VERSIONS[family]} on {names}",
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
    address = packed(network.address)
    for match in rule.matches:
        if match.what == "source" and len(match.value) <= len(address):
            same = within(address, match.value.ljust(len(address), b"\0"), min(match.bits, network.length))
            if same != match.equal:
                return False
    return True


def source_rules(situation: Situation) -> Iterator[Finding]:
    """What leaves from a private network must get an address that answers can be sent to."""
    if situation.legacy:
        yield finding(
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
        yield finding(
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
    for family, networks, exits in families(situation):
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
    evidence = [f"way out for {VERSIONS[family]}: {found.name} ({way})"]
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
    evidence += examples(situation.untranslated)
    own = [n.address for n in situation.networks if n.interface is found and n.family == family]
    severity = ERROR
    if own and not any(map(is_global, own)):
        severity = WARNING
        why += "; unless the next router knows the way to this network, and translates"
    return finding(situation, check, severity, f"{VERSIONS[family]} out of {found.name}", evidence, why, fix)


def untranslated(situation: Situation) -> Iterator[Finding]:
    """Flows that left as they are: begun before the rule, or passed over by it."""
    reported = {found.check for found in source_rules(situation)} & {"no-rule", "other-interface", "other-source"}
    if situation.untranslated and not reported:
        yield finding(
            situation,
            "untranslated",
            WARNING,
            f"{situation.untranslated.number} flows",
            examples(situation.untranslated),
            "these flows from private to public addresses are not translated: they began before the rule was there, "
            "which is asked only once for each flow, or a condition of it leaves them out",
            "conntrack -D -s " + str(situation.untranslated.examples[0].source_address),
        )


def bypassed(situation: Situation) -> Iterator[Finding]:
    """What is not tracked, or in two zones, cannot be translated back."""
    for rule in situation.rules:
        if rule.kind == "notrack" and rule.hooks & {"prerouting", "output"}:
            yield finding(
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
        yield finding(
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
