"""The routing decision for a packet that came in by an interface, with the checks that go with it.

net/ipv4/route.c: ip_route_input_slow, net/ipv4/fib_frontend.c: fib_validate_source. IPv6 looks at forwarding alone.
"""

from __future__ import annotations

from errno import EHOSTUNREACH, ENETUNREACH

from ...engine.prefixes import is_group
from ...records import Route
from .listing_stack import Answer, is_link_local
from .walk_routes import doubted, refused, route_interfaces, route_text
from .walk_steps import sysctl_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet

_LOCALNET = (
    "with it, whoever is on that link reaches the loopback addresses of this machine: redirect to the interface's own "
    "address, and have the program listen there, if that is not wanted"
)
_LOOSE = (
    "loose mode (2) still drops sources that no route leads to; it no longer drops forged sources of your other links"
)


def decided(walk: Walk, stack: Stack, iif: Interface, packet: Packet) -> Answer | None:
    """What the routing tables answer for it; None where it is dropped here. It may be forwarded, if it is not local."""
    walk.last = packet
    if not _is_no_martian(walk, stack, iif, packet):
        return None
    if packet.family == "inet6" and is_group(packet.destination) and not iif.loopback:
        return _group_answer(walk, stack, iif, packet)
    answer = stack.route(
        packet.destination,
        source=packet.source,
        iif=iif,
        mark=packet.mark,
        tos=packet.routed_by,
        protocol=packet.protocol,
        ports=packet.ports,
        matched=True,
    )
    local = is_local(answer)
    if (
        packet.family == "inet"
        and not local
        and answer.refused is None
        and answer.errno in (EHOSTUNREACH, ENETUNREACH)
        and not _forwards(walk, stack, iif, packet)
    ):
        return None
    if not _passes_reverse_path(walk, stack, iif, packet, answer):
        return None
    if local:
        doubted(walk, stack, packet, answer)
        here = "this machine" if stack is walk.home else stack.label
        walk.passes(stack, "route", f"for {here} itself", packet, route_text(answer))
        return answer
    if not _forwards(walk, stack, iif, packet):
        return None
    if answer.route is not None and _stays_on_its_link(walk, stack, iif, packet, answer):
        return None
    if answer.route is None:
        refused(walk, stack, packet, answer, iif)
        return None
    return answer


def _stays_on_its_link(walk: Walk, stack: Stack, iif: Interface, packet: Packet, answer: Answer) -> bool:
    """Whether IPv6 does not route it for its source, unspecified or of one link (ip6_forward)."""
    out = answer.route.interface if answer.route else None
    if packet.family != "inet6" or out == iif.name or not (is_link_local(packet.source) or packet.source == "::"):
        return False
    walk.dropped(
        stack,
        "forward",
        f"source {packet.source}",
        packet,
        "link-scope",
        [f"packet: {packet}", f"route: dev {out}, it came in by {iif}"],
        "its source is valid on its own link alone: a router does not pass it to another",
        advice="have the sender use an address of a wider scope as its source",
        interface=iif,
    )
    return True


def _group_answer(walk: Walk, stack: Stack, iif: Interface, packet: Packet) -> Answer | None:
    """For a group of IPv6, of which the kernel cannot be asked: it is for whoever joined it (ip6_mc_input)."""
    joined = stack.joined(iif)
    if joined is None:
        why = "the groups of that interface cannot be listed"
        walk.unknowable(stack, "route", f"group {packet.destination}", packet, why=why)
    elif packet.destination not in joined:
        walk.dropped(
            stack,
            "route",
            f"group {packet.destination}",
            packet,
            "no-route",
            [f"groups of {iif}: {', '.join(sorted(joined)) or 'none'}"],
            f"nobody here has joined the group {packet.destination} on {iif}",
            advice=f"have a program join it on {iif}",
            address=packet.destination,
            iif=iif,
        )
        return None
    answer = Answer()
    answer.route = Route(
        family="inet6",
        type="multicast",
        destination=packet.destination,
        gateway=None,
        interface=iif.name,
        table="local",
        protocol="kernel",
        scope="global",
        metric=0,
        preferred_source=None,
    )
    walk.passes(stack, "route", "for a group that is joined here", packet, f"group: {packet.destination} dev {iif}")
    return answer


def well_formed(walk: Walk, stack: Stack, iif: Interface, packet: Packet) -> bool:
    """Addresses that IPv6 drops before any rule of it (net/ipv6/ip6_input.c: ip6_rcv_core)."""
    if packet.family != "inet6" or iif.loopback:
        return True
    source, destination = packet.source.lower(), packet.destination.lower()
    if source == "::1" or is_group(source):
        subject, why = f"martian source {source}", "a loopback or multicast source may not come in from a wire"
    elif destination == "::1":
        subject, why = "martian destination ::1", "what comes in from a wire may not be for the loopback address"
    elif destination[:2] == "ff" and destination[3:4] in ("0", "1"):
        subject, why = f"martian destination {destination}", "a group of this scope does not leave a machine"
    else:
        return True
    walk.dropped(stack, "route", subject, packet, "martian", [f"packet: {packet}"], why)
    return False


def is_local(answer: Answer) -> bool:
    """Whether the packet is for this namespace itself."""
    return answer.route is not None and answer.route.type in ("local", "broadcast", "multicast", "anycast")


def _is_no_martian(walk: Walk, stack: Stack, iif: Interface, packet: Packet) -> bool:
    """Addresses that no packet from a wire may have (net/ipv4/route.c: ip_route_input_slow)."""
    if packet.family != "inet" or iif.loopback:
        return True
    localnet = max(stack.own("ipv4", "all", "route_localnet") or 0, stack.own("ipv4", iif.name, "route_localnet") or 0)
    setting = f"net.ipv4.conf.{iif}.route_localnet = {localnet}"
    broadcast = packet.destination == "255.255.255.255" or packet.destination == packet.source == "0.0.0.0"
    if is_group(packet.source) or packet.source == "255.255.255.255" or (packet.source == "0.0.0.0" and not broadcast):
        why = "a source that is nobody's (multicast, broadcast or unspecified) may not come in from a wire"
        walk.dropped(stack, "route", f"martian source {packet.source}", packet, "martian", [f"packet: {packet}"], why)
        return False
    if packet.destination == "0.0.0.0" and not broadcast:
        why = "the unspecified address is nobody's destination on a wire"
        walk.dropped(stack, "route", "martian destination 0.0.0.0", packet, "martian", [f"packet: {packet}"], why)
        return False
    if packet.destination.startswith("127.") and not localnet:
        walk.dropped(
            stack,
            "route",
            f"martian destination {packet.destination}",
            packet,
            "route-localnet",
            [setting],
            f"packets that come in by {iif} may not go to 127.0.0.0/8 unless route_localnet is on: the destination "
            "is dropped as martian",
            sysctl_set(f"net/ipv4/conf/{iif}/route_localnet", 1),
            advice=_LOCALNET,
            interface=iif,
        )
        return False
    if packet.source.startswith("127.") and not localnet:
        walk.dropped(
            stack,
            "route",
            f"martian source {packet.source}",
            packet,
            "martian",
            [setting],
            "a source in 127.0.0.0/8 may not come in from a wire",
        )
        return False
    accept = max(stack.own("ipv4", "all", "accept_local") or 0, stack.own("ipv4", iif.name, "accept_local") or 0)
    if stack.is_local(packet.source) and not accept:
        owner = stack.owner(packet.source)
        walk.dropped(
            stack,
            "route",
            f"martian source {packet.source}",
            packet,
            "martian-source",
            [
                f"address: {packet.source} on {owner} of {stack.label}",
                f"net.ipv4.conf.{iif}.accept_local = {accept}",
            ],
            "its source is an address of the machine that it comes to: such packets are dropped as martians",
            advice="a rule translates the destination to who asks: have it translate the source as well (masquerade)"
            if any(
                passed.tracked is not None
                and "dnat" in passed.tracked.status
                and passed.tracked.translated.destination == packet.source
                for passed in walk.passed
            )
            else "two machines have the same address, or the source is forged",
        )
        return False
    return True


def _forwards(walk: Walk, stack: Stack, iif: Interface, packet: Packet) -> bool:
    """Whether packets for others are passed on at all."""
    version = packet.version
    if version == "ipv4":
        own, everywhere = stack.own("ipv4", iif.name, "forwarding"), stack.setting("net.ipv4.ip_forward")
        if own is None or own:
            walk.passes(
                stack,
                "forward",
                "forwarding",
                packet,
                f"net.ipv4.conf.{iif}.forwarding = {'?' if own is None else own}",
            )
            return True
        evidence = [f"net.ipv4.conf.{iif}.forwarding = 0"] + ([] if everywhere else ["net.ipv4.ip_forward = 0"])
        # Switched on everywhere, it is on for each interface too.
        fix = "net.ipv4.ip_forward" if not everywhere else f"net/ipv4/conf/{iif}/forwarding"
    else:
        on = stack.setting("net.ipv6.conf.all.forwarding")
        forced = stack.own("ipv6", iif.name, "force_forwarding")
        if on or forced or on is None:
            walk.passes(
                stack,
                "forward",
                "forwarding",
                packet,
                f"net.ipv6.conf.all.forwarding = {'?' if on is None else on}",
            )
            return True
        evidence, fix = ["net.ipv6.conf.all.forwarding = 0"], "net.ipv6.conf.all.forwarding"
        everywhere = on
    walk.dropped(
        stack,
        "forward",
        f"forwarding on {iif}",
        packet,
        "forwarding",
        evidence,
        "packets that come in by this interface and are for somebody else are dropped",
        sysctl_set(fix, 1),
        interface=iif,
        everywhere=not everywhere,
    )
    return False


def _passes_reverse_path(walk: Walk, stack: Stack, iif: Interface, packet: Packet, answer: Answer) -> bool:
    """rp_filter (ip-sysctl: rp_filter; net/ipv4/fib_frontend.c: fib_validate_source)."""
    if packet.family != "inet" or iif.loopback:
        return True
    everywhere, own = stack.own("ipv4", "all", "rp_filter") or 0, stack.own("ipv4", iif.name, "rp_filter") or 0
    mode = max(everywhere, own)
    if not mode:
        return True
    marked = stack.own("ipv4", "all", "src_valid_mark") or stack.own("ipv4", iif.name, "src_valid_mark")
    back = stack.route(packet.source, mark=packet.mark if marked else 0)
    names = [name for name in route_interfaces(back.route) if name]
    setting = f"net.ipv4.conf.{iif}.rp_filter = {own}, all = {everywhere} ({'strict' if mode == 1 else 'loose'})"
    way = (
        f"route: {packet.source} is reached by {', '.join(names)}" if names else f"route: none leads to {packet.source}"
    )
    if iif.name in names or (mode == 2 and names):
        walk.passes(stack, "rp_filter", iif, packet, setting, way)
        return True
    if answer.route is not None and answer.errno == 0:
        # The kernel let it pass: by a rule that looks at more than its source.
        walk.passes(stack, "rp_filter", iif, packet, setting, way, "route: the kernel accepts the packet nevertheless")
        return True
    others = {name for name in names if name != iif.name}
    why = (
        f"the reverse path filter drops it: it came in by {iif}, and answers to {packet.source} would leave by "
        f"{', '.join(sorted(others))}"
        if others
        else f"the reverse path filter drops it: there is no route back to {packet.source}"
    )
    loosen, advice = (sysctl_set(f"net/ipv4/conf/{iif}/rp_filter", 2), _LOOSE) if others else ("", "")
    if packet.mark and not marked and iif.name in route_interfaces(stack.route(packet.source, mark=packet.mark).route):
        # Its mark chooses the right route, and the filter does not look at it.
        why += f". By its mark {packet.mark:#x} they would leave by {iif}, but the filter does not ask by marks"
        loosen, advice = sysctl_set(f"net/ipv4/conf/{iif}/src_valid_mark", 1), ""
    walk.dropped(
        stack,
        "rp_filter",
        f"rp_filter on {iif}",
        packet,
        "rp-filter",
        [setting, way],
        why,
        loosen,
        advice=advice,
        interface=iif,
        others=sorted(others),
    )
    return False
