"""Which rule of the firewall drops a packet: the ruleset of its namespace is walked with the packet's own header.

The kernel reports no more than that netfilter dropped it. So what is found is the rule that drops such a packet now, as
the ruleset and its sets are when they are read; "perhaps" stands before those that also need what is not known, as the
state of the flow where that makes a difference.
"""

from __future__ import annotations

from _socket import ntohs
from time import monotonic

from ...errors import NetinspectError
from ...netfilter import packet as nf
from ...netfilter.context import Route
from ...netfilter.evaluate import run_hook
from ...netfilter.kernel import KernelContext
from ...netfilter.ruleset import Ruleset, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.places import Place
    from ...netfilter.evaluate import Outcome
    from .decode import Raw

DROPPED_BY_RULES = "NETFILTER_DROP"
_FRESH = 2.0
"""Seconds for which a ruleset is taken for what it is now."""
_KNOWN = 4096
_MOST = 3
"""Rules that are named where it may be one of several."""
_SHARE, _FREE = 0.2, 0.5
"""Of the time that passes no more than that share is spent on walks, except the first half second."""
_STATES = ("new", "established", "related", "invalid", "untracked")
"""Of the flow: it is not known, but one in which the packet is not dropped it did not have."""
_LOCAL = (2, 3, 4, 5)
"""linux/rtnetlink.h: RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST."""
_FAMILIES = {nf.ETH_P_IP: "ip", nf.ETH_P_IPV6: "ip6", nf.ETH_P_ARP: "arp"}


class _Now:
    """The ruleset of a namespace, and what its kernel answers, for a moment."""

    def __init__(self, place: Place) -> None:
        """Raises NetinspectError."""
        self.until = monotonic() + _FRESH
        self.rules: Ruleset = read(place)
        self.context = KernelContext(place)


class Rules:
    """Finds rules, each packet that looks the same once."""

    def __init__(self) -> None:
        self._namespaces: dict[int, _Now | None] = {}
        self._found: dict[tuple[object, ...], str | None] = {}
        self._begun = monotonic()
        self._spent = 0.0

    def of(self, place: Place | None, raw: Raw) -> str | None:
        """The rule or policy that drops such a packet; None where it cannot be known, or there are too many to ask."""
        if place is None:
            return None
        header = raw[11]
        # Without length, identification and checksum: a flow is walked once.
        key = (*raw[3:9], raw[9], header[:2], header[6:10], header[12:24] if header[:1] < b"\x60" else header[6:44])
        if key in self._found:
            return self._found[key]
        begun = monotonic()
        if self._spent > _FREE + _SHARE * (begun - self._begun):
            return None
        if len(self._found) >= _KNOWN:
            self._found.clear()
        try:
            found = self._found[key] = self._walked(place, raw)
        except NetinspectError:
            found = None  # the ruleset, or a set, cannot be read: not worth a word for each packet
        finally:
            self._spent += monotonic() - begun
        return found

    def _walked(self, place: Place, raw: Raw) -> str | None:
        inode = raw[4]
        now = self._namespaces.get(inode)
        if now is None or now.until < monotonic():
            now = self._namespaces[inode] = _Now(place)
            self._found.clear()
        perhaps: dict[str, None] = {}
        certain = True
        for outcome in _drops(now, raw):
            step = outcome.steps[-1] if outcome.steps else None
            if step is None:
                continue
            if step.rule is not None:
                line = f"{step.chain} handle {step.handle}: {now.rules.text(step.rule)}"
            else:
                line = f"{step.chain}: policy {step.verdict}"
            perhaps[line] = None
            certain = certain and not outcome.doubts
        # What needs less to be so comes first in a walk, but a rule that was written for it is likelier than a policy.
        found = sorted(perhaps, key=lambda line: ": policy " in line)
        if not found:
            return None
        if certain and len(found) == 1:
            return found[0]
        return "perhaps " + ", or ".join(found[:_MOST]) + (", or another" if len(found) > _MOST else "")


def _drops(now: _Now, raw: Raw) -> Iterator[Outcome]:
    """Every way in which a packet is dropped at the hooks where it can have been, the likeliest hook first."""
    interface, received_on, mark, ethernet, data = raw[5], raw[6], raw[7], raw[9], raw[11]
    kind = ntohs(ethernet) or {4: nf.ETH_P_IP, 6: nf.ETH_P_IPV6}.get(data[0] >> 4, 0)
    family = _FAMILIES.get(kind)
    if family is None:
        return
    size = (data[0] & 15) * 4 if family == "ip" else 40
    whole = nf.of_headers(data[:size], data[size:], ethertype=kind)
    # Where it is from and to on the link was not kept.
    whole = whole.replace(link_source=nf.UNKNOWN, link_destination=nf.UNKNOWN, mark=mark)
    named = now.context.interface
    incoming = named(received_on) if received_on else None
    on = named(interface) if interface else None
    for hook in _hooks(now, whole, interface, received_on, family):
        outgoing = None
        if hook in ("output", "postrouting"):
            outgoing = on if interface != received_on else _way_out(now, whole)
        elif hook == "forward":
            outgoing = _way_out(now, whole)
        packet = whole.replace(incoming=None if hook == "output" else incoming, outgoing=outgoing)
        dropping: list[Outcome] = []
        for state in _STATES:
            tracked = packet.replace(tracking=nf.Tracking(state))
            if hook in ("ingress", "egress"):
                if on is None:
                    break
                walk = run_hook(now.rules, "netdev", hook, tracked, now.context, device=on.name)
            else:
                walk = run_hook(now.rules, family, hook, tracked, now.context)
            dropping += [outcome for outcome in walk.outcomes if outcome.verdict.name == "drop"]
        if dropping:
            # The hooks behind it do not matter: the likeliest comes first.
            yield from dropping
            return


def _hooks(now: _Now, packet: nf.Packet, interface: int, received_on: int, family: str) -> tuple[str, ...]:
    if family == "arp":
        return ("input", "ingress") if received_on else ("output", "egress")
    if not received_on:
        return "output", "postrouting", "egress"
    if interface and interface != received_on:
        return "postrouting", "egress", "forward"
    local = now.context.address_type(packet.destination, None) if isinstance(packet.destination, str) else nf.UNKNOWN
    return ("prerouting", "input", "ingress") if local in _LOCAL else ("prerouting", "forward", "ingress", "input")


def _way_out(now: _Now, packet: nf.Packet) -> nf.Interface | None:
    """The interface that a packet to that destination goes out by, as the kernel has it now."""
    if not isinstance(packet.destination, str):
        return None
    mark = packet.mark if isinstance(packet.mark, int) else 0
    route = now.context.reverse_route(packet.destination, None, mark, 0, None)
    return route.device if isinstance(route, Route) else None
