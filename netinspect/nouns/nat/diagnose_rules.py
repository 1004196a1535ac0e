"""Checks of settings and rules as a whole: does the gateway forward, were the rules read, what lies untranslated?"""

from __future__ import annotations

from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, FORWARDING, NOTE, VERSIONS, WARNING, examples, families, finding
from .diagnose_legacy import policies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from .diagnose_situation import Situation


def forwarding(situation: Situation) -> Iterator[Finding]:
    """Packets between interfaces are dropped where forwarding is off altogether; single interfaces are walked by."""
    for family, networks, exits in families(situation):
        if not situation.source_rules(family) and family == "inet6":
            continue  # without translation IPv6 may well be meant to stay local
        version, name = FORWARDING[family]
        if situation.setting(name) != 0:
            continue
        interfaces = {found.index: found for found in [*(network.interface for network in networks), *exits]}
        off = [
            found
            for found in interfaces.values()
            if situation.own("forwarding", found, version) == 0 or version == "ipv6"
        ]
        if not off:
            continue
        yield finding(
            situation,
            "forwarding",
            ERROR,
            f"{VERSIONS[family]} on {', '.join(found.name for found in off)}",
            [
                f"net.{version}.conf.{found.name}.forwarding = 0"
                for found in off
                if situation.own("forwarding", found, version) == 0
            ]
            + [f"{name} = 0"],
            "packets that come in by these interfaces and are for somebody else are dropped: nothing inside reaches "
            "the outside, or no answer comes back",
            pasted(["sysctl", "-w", f"{name}=1"]),
        )


def rules_read(situation: Situation) -> Iterator[Finding]:
    """What of the rules is not known here."""
    if situation.legacy:
        yield from policies(situation)
        yield finding(
            situation,
            "legacy-iptables",
            NOTE,
            "legacy iptables",
            [f"/proc/net/ip_tables_names, ip6_tables_names: {', '.join(situation.legacy)}"],
            "its rules apply beside those of nftables, and only its policies are looked at here: what follows may be "
            "wrong where they translate or drop",
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


def links(situation: Situation) -> Iterator[Finding]:
    """Interfaces that rules translate on the way out of, and that are down."""
    named = situation.named_outside()
    for found in situation.interfaces.values():
        if found.name not in named or (found.up and situation.works(found)):
            continue
        carrier = found.up
        yield finding(
            situation,
            "link",
            ERROR,
            f"{found.name} is {'without carrier' if carrier else 'down'}",
            [
                f"link: {found.name} is {'up, without carrier' if carrier else 'down'}",
                "nftables: a rule translates what leaves by it",
            ],
            "nothing leaves by this interface, and the routes over it are not used: the way out that rules are made "
            "for "
            "is gone",
            "" if carrier else pasted(["ip", "link", "set", "dev", found.name, "up"]),
            "look at the other end of the link"
            if carrier
            else "routes that went with it do not come back by themselves: start what configures it again",
        )


def tables(situation: Situation) -> Iterator[Finding]:
    """Policy rules that lead to tables without routes."""
    from .diagnose_explained import empty_table

    for rule in situation.policy_rules:
        if rule.table in situation.empty_tables and rule.action == "lookup" and rule.suppress_prefix_length is None:
            yield empty_table(situation, rule, [], WARNING)


def addresses(situation: Situation) -> Iterator[Finding]:
    """Addresses that rules translate to and that no host on their link answers for."""
    from _socket import inet_ntop

    reported = set()
    for rule in situation.rules:
        if rule.kind != "snat" or rule.addresses is None or "postrouting" not in rule.hooks:
            continue
        low, high = rule.addresses
        text = inet_ntop(2 if len(low) == 4 else 10, low)
        if low != high or text in situation.local or text in reported:
            continue
        on = situation.home.on_link(text)
        if on is None or (on.name, text) in situation.proxied or situation.proxy_arp(on.name):
            continue
        reported.add(text)
        length = 32 if len(low) == 4 else 128
        yield finding(
            situation,
            "snat-address",
            ERROR,
            f"{text}: no address of this machine",
            [f"nftables: {rule}", f"address: {text} is not an address of this machine, and of the network on {on}"],
            f"packets are sent with the source {text}, and nobody on {on} answers for it: answers are not delivered",
            pasted(["ip", "address", "add", f"{text}/{length}", "dev", on.name]),
        )


def untranslated(situation: Situation) -> Iterator[Finding]:
    """Flows that left as they are: begun before the rule, or passed over by it."""
    if situation.untranslated:
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
