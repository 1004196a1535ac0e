"""Checks of settings and rules as a whole: does the gateway forward, were the rules read, what lies untranslated?"""

from __future__ import annotations

from ..path.walk_steps import pasted
from ..path.walk_wire import group_of
from .diagnose_claims import answers_for, shared
from .diagnose_findings import ERROR, FORWARDING, NOTE, VERSIONS, WARNING, examples, families, finding
from .diagnose_legacy import policies
from .diagnose_policy import never_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding, Flow
    from ..path.listing_stack import Interface
    from .decode_rules import NatRule
    from .diagnose_situation import Situation

_MOST = 64
"""Addresses of a range that are looked at, at most."""


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
            "its rules apply beside those of nftables: what the one lets through, the other may drop",
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


def _restarted(flow: Flow) -> str:
    """The command that restarts the flows of one host that are not translated: theirs are the answers to itself."""
    own = str(flow.source_address)
    return pasted(["conntrack", "-D", *(["-f", "ipv6"] if ":" in own else []), "-s", own, "-q", own])


def links(situation: Situation) -> Iterator[Finding]:
    """Interfaces that rules translate on the way out of, and that are down."""
    named = situation.named_outside()
    for found in situation.interfaces.values():
        if found.name not in named or (found.up and found.works):
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
                *_moved(situation, found),
            ],
            "nothing leaves by this interface, and the routes over it are not used: the way out that rules are made "
            "for "
            "is gone",
            "" if carrier else pasted(["ip", "link", "set", "dev", found.name, "up"]),
            "look at the other end of the link"
            if carrier
            else "routes that went with it do not come back by themselves: start what configures it again",
        )


def _moved(situation: Situation, gone: Interface) -> Iterator[str]:
    """What became of flows that were translated to the addresses of an interface that no longer carries anything.

    net/netfilter/nf_nat_core.c: nf_nat_oif_changed kills masqueraded ones with the first packet by another interface.
    """
    for route in situation.defaults:
        other = situation.home.named(route.interface)
        if route.type != "unicast" or other is None or other is gone or not other.works:
            continue
        for network in situation.networks:
            if network.interface is gone and network.family == route.family and "fe80:" not in network.address:
                yield (
                    f"address: flows translated to {network.address} leave by {other} now: masqueraded ones lose a "
                    "packet and begin anew with its address, others keep theirs"
                )
        return


def tables(situation: Situation) -> Iterator[Finding]:
    """Policy rules that lead to tables without routes."""
    from .diagnose_marks import empty_table

    for rule in situation.policy_rules:
        if rule.table in situation.empty_tables and rule.action == "lookup" and rule.suppress_prefix_length is None:
            yield empty_table(situation, rule, [], WARNING)
    yield from never_asked(situation)


def addresses(situation: Situation) -> Iterator[Finding]:
    """Addresses that rules translate to, or from, and that nobody answers for on their link."""
    reported: set[str] = set()
    for rule in situation.rules:
        yield from _to_everybody(situation, rule, reported)
        missing = [text for text in _addresses(rule) if text not in situation.local]
        if not missing or missing[0] in reported:
            continue
        text = missing[0]
        if any(map(situation.traffic.still_answered, _addresses(rule)[1:])):
            continue  # of a range others are reached: it may be routed here
        on = situation.home.on_link(text)
        if on is None or answers_for(situation, on, text):
            continue
        reported.add(text)
        source = rule.kind == "snat"
        if situation.traffic.still_answered(text) if source else text in situation.traffic.aimed:
            continue  # they do come: somebody has a route to it
        others = shared(situation, on, text)
        evidence = [
            f"nftables: {rule}",
            f"address: {text} is not an address of this machine, and of the network on {on}",
            *([f"address: neither are {len(missing) - 1} more of the range"] if missing[1:] else []),
            *others,
        ]
        why = (
            f"packets are sent with the source {text}, and nobody on {on} answers for it: answers are not delivered"
            if source
            else f"packets for {text} are to be sent on from here, and nobody on {on} answers for it (ARP, neighbour "
            "discovery): they are not delivered here"
        )
        if others:
            yield finding(
                situation,
                "snat-address" if source else "dnat-address",
                NOTE,
                f"{text}: no address of this machine",
                evidence,
                "somebody else has this address now: right, if this machine is to take it over from him",
            )
            continue
        length = 128 if ":" in text else 32
        yield finding(
            situation,
            "snat-address" if source else "dnat-address",
            ERROR if source or situation.asked else WARNING,
            f"{text}: no address of this machine",
            evidence,
            why,
            "; ".join(pasted(["ip", "address", "add", f"{each}/{length}", "dev", on.name]) for each in missing),
            "or route it to the target, and have proxy_arp answer for it" if not source and length == 32 else "",
        )


def _to_everybody(situation: Situation, rule: NatRule, reported: set[str]) -> Iterator[Finding]:
    """A source that is the broadcast address of a link: its answers are for everybody there, and not passed on."""
    every = _addresses(rule) if rule.kind == "snat" else []
    for text in every:
        on = situation.home.on_link(text)
        if on is None or text in reported or group_of(situation.home, on, text) != "broadcast":
            continue
        reported.add(text)
        networks = [f"{one}/{length}" for one, length in situation.home.networks(on) if ":" not in one]
        yield finding(
            situation,
            "snat-address",
            WARNING if every[1:] else ERROR,
            f"{text}: broadcast address of {on}",
            [f"nftables: {rule}", f"address: {', '.join(networks)} on {on}"],
            f"packets are sent with the source {text}, the broadcast address of {on}: answers go to everybody on the "
            "link, and a router does not pass on what comes as a broadcast",
            "",
            f"leave {text} out of the rule's addresses",
        )


def _addresses(rule: NatRule) -> list[str]:
    """The addresses of the outside that a rule translates to, the first of a range; or the one that it is for."""
    from _socket import inet_ntop

    if rule.kind == "snat" and rule.addresses is not None and "postrouting" in rule.hooks:
        low, high = (int.from_bytes(end, "big") for end in rule.addresses)
        size = len(rule.addresses[0])
        family = 2 if size == 4 else 10
        return [inet_ntop(family, at.to_bytes(size, "big")) for at in range(low, min(high, low + _MOST - 1) + 1)]
    if rule.kind != "dnat" or "prerouting" not in rule.hooks or rule.uncertain:
        return []
    wanted = [match.value for match in rule.matches if match.what == "destination" and match.equal]
    if len(wanted) != 1 or len(wanted[0]) not in (4, 16):
        return []
    return [inet_ntop(2 if len(wanted[0]) == 4 else 10, wanted[0])]


def untranslated(situation: Situation) -> Iterator[Finding]:
    """Flows that left as they are: begun before the rule, or passed over by it."""
    answered = all("SEEN_REPLY" in flow.status for flow in situation.traffic.untranslated.examples)
    if all(map(situation.hearing.only_bridged, situation.traffic.untranslated.examples)):
        return  # br_netfilter has frames tracked that a bridge passes on to another router
    if situation.traffic.untranslated and (
        not answered or any(map(situation.translated_now, situation.traffic.untranslated.examples))
    ):
        yield finding(
            situation,
            "untranslated",
            WARNING,
            f"{situation.traffic.untranslated.number} flows",
            examples(situation.traffic.untranslated),
            "these flows from private to public addresses are not translated: they began before the rule was there, "
            "which is asked only once for each flow, or a condition of it leaves them out",
            _restarted(situation.traffic.untranslated.examples[0]),
        )
