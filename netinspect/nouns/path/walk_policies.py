"""IPsec's policies (net/xfrm/xfrm_policy.c): what is forwarded, delivered and sent is held to them."""

from __future__ import annotations

from ...uapi.xfrm import XFRM_POLICY_FWD, XFRM_POLICY_IN, XFRM_POLICY_OUT
from .decode_policies import associations
from .listing_stack import WITH_PORTS, inside_of
from .walk_steps import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode_policies import Policy
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet

_WAYS = {XFRM_POLICY_IN: "input", XFRM_POLICY_FWD: "forward", XFRM_POLICY_OUT: "output"}


def comes_in(walk: Walk, stack: Stack, iif: Interface | None, packet: Packet, *, forwarded: bool = False) -> bool:
    """Whether the policies let on what came in by an interface: for this machine, or to be forwarded."""
    if not stack.policies or iif is None or _exempt(stack, iif, packet, "disable_policy"):
        return _readable(walk, stack, packet)
    seen = _as_it_came(walk, stack, packet)
    policy = _first(walk, stack, seen, XFRM_POLICY_FWD if forwarded else XFRM_POLICY_IN, iif)
    if policy is None:
        return True
    wanted = [template for template in policy.templates if not template.optional]
    if policy.blocks:
        _blocked(walk, stack, packet, policy)
        return False
    if not wanted:
        walk.passes(stack, "ipsec", "policy", packet, f"policy: {policy}")
        return True
    known = associations(stack.place)
    if not all(any(one.fits(template) for one in known) for template in wanted):
        _unassociated(walk, stack, packet, policy, "it must have come by IPsec, and no association is there for that")
        return False
    why = "an IPsec policy lets it in only by an association; whether it came by that is not known"
    walk.unknowable(stack, "ipsec", "policy", packet, f"policy: {policy}", why=why)
    return True


def goes_out(walk: Walk, stack: Stack, oif: Interface | None, packet: Packet) -> bool:
    """Whether the policies let it out as it is."""
    if not stack.policies or oif is None or _exempt(stack, oif, packet, "disable_xfrm"):
        return _readable(walk, stack, packet)
    policy = _first(walk, stack, packet, XFRM_POLICY_OUT, oif)
    if policy is None:
        return True
    if policy.blocks:
        _blocked(walk, stack, packet, policy)
        return False
    if not policy.templates:
        walk.passes(stack, "ipsec", "policy", packet, f"policy: {policy}")
        return True
    known = associations(stack.place)
    missing = [one for one in policy.templates if not any(found.fits(one) for found in known)]
    if all(template.optional for template in missing) and len(missing) == len(policy.templates):
        walk.passes(stack, "ipsec", "policy, no association", packet, f"policy: {policy}")
        return True
    if any(not template.optional for template in missing):
        _unassociated(walk, stack, packet, policy, "no association is there: its packets wait for one, and are dropped")
        return False
    why = f"IPsec takes it ({'; '.join(map(str, policy.templates))}): what becomes of it in there is not followed"
    walk.unknown.append(why)
    walk.ends(stack, "ipsec", "policy", UNKNOWN, packet, f"policy: {policy}", why=why)
    return False


def _as_it_came(walk: Walk, stack: Stack, packet: Packet) -> Packet:
    """The packet with the addresses from before its translation here (net/netfilter/nf_nat_core.c: decode_session)."""
    tracked = walk.passed[-1].tracked if walk.passed and walk.passed[-1].stack is stack else None
    if tracked is None or tracked.state == "untracked":
        return packet
    came = tracked.translated.answer() if tracked.direction == "reply" else tracked.original
    return packet.but(
        source=came.source,
        destination=came.destination,
        source_port=came.source_port,
        destination_port=came.destination_port,
    )


def _readable(walk: Walk, stack: Stack, packet: Packet) -> bool:
    if stack.policies is None and (id(stack), "ipsec") not in walk.reported:
        walk.reported.add((id(stack), "ipsec"))
        why = "IPsec's policies can be listed by root only"
        walk.unknowable(stack, "ipsec", "policies", packet, why=why)
    return True


def _exempt(stack: Stack, interface: Interface, packet: Packet, setting: str) -> bool:
    """Whether an interface is set up so that policies do not count (ip-sysctl: disable_policy, disable_xfrm)."""
    if interface.loopback and packet.version == "ipv6":
        return True
    return any(stack.own(packet.version, name, setting) for name in ("all", interface.name))


def _first(walk: Walk, stack: Stack, packet: Packet, direction: int, interface: Interface) -> Policy | None:
    """The policy that counts: of those that fit the first by priority."""
    for policy in stack.policies or ():
        if policy.direction != direction or policy.if_id:
            continue
        ends = (packet.destination, policy.destination), (packet.source, policy.source)
        if not all((":" in address) == (":" in network) and inside_of(address, network) for address, network in ends):
            continue
        value, mask = policy.mark
        if policy.protocol not in (0, packet.protocol) or packet.mark & mask != value:
            continue
        if policy.interface not in (0, interface.index):
            continue
        fits = _ports_fit(policy, packet)
        if fits is None:
            why = f"a port that is not known decides on an IPsec policy: {policy}"
            walk.unknowable(stack, "ipsec", "policy", packet, f"policy: {policy}", why=why)
        elif fits:
            return policy
    return None


def _ports_fit(policy: Policy, packet: Packet) -> bool | None:
    """Whether the ports are those of the policy; None where one is not known."""
    source, source_mask, destination, destination_mask = policy.ports
    if packet.protocol not in WITH_PORTS:
        return not (source_mask or destination_mask) or None
    known: bool | None = True
    for port, wanted, mask in (
        (packet.source_port, source, source_mask),
        (packet.destination_port, destination, destination_mask),
    ):
        if mask and not port:
            known = None
        elif (port ^ wanted) & mask:
            return False
    return known


def _blocked(walk: Walk, stack: Stack, packet: Packet, policy: Policy) -> None:
    deletion = walk.run_in(stack, f"ip xfrm policy delete index {policy.index} dir {policy.way}")
    advice = f"right, if nothing may pass there; else: {deletion}"
    _dropped(walk, stack, packet, policy, [], "an IPsec policy blocks it", advice)


def _unassociated(walk: Walk, stack: Stack, packet: Packet, policy: Policy, why: str) -> None:
    advice = "look why the key daemon (IKE) has no association: is it running, and does the other end answer?"
    missing = "associations: none fits (ip xfrm state)"
    _dropped(walk, stack, packet, policy, [missing], f"an IPsec policy is for it, and {why}", advice)


def _dropped(walk: Walk, stack: Stack, packet: Packet, policy: Policy, more: list[str], why: str, advice: str) -> None:
    subject = f"policy of {_WAYS[policy.direction]}"
    walk.dropped(stack, "ipsec", subject, packet, "ipsec", [f"policy: {policy}", *more], why, advice=advice)
