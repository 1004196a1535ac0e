"""Over a bridge: its ports, its table of addresses, its VLANs, and the rules that frames pass there."""

from __future__ import annotations

from .walk_steps import pasted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .listing_segment import Crossing
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet


def over_bridge(
    walk: Walk, part: Crossing, link_address: str | None, packet: Packet, sender: str | None
) -> Packet | None:
    """Over a bridge: its own rules, and those of IP where br_netfilter has frames pass them.

    ``link_address`` is whom the frame is for, ``sender`` whom it is from.
    """
    stack, rules = part.stack, walk.rules_of(part.stack)
    evidence = []
    if part.entry is not None:
        arrived = rules.ingress(walk, stack, part.entry, packet)
        if arrived is None:
            return None
        packet = arrived
    port = None
    if part.exit is not None and link_address:
        port = stack.port_for(part.bridge, link_address, part.vlan)
        if port is None:
            evidence.append(f"fdb: {link_address} is not known on {part.bridge}: it goes out by every port")
        else:
            evidence.append(f"fdb: {link_address} is behind {port}")
    if filtered(walk, part, packet):
        return None
    shut = _shut_ports(stack, part)
    if shut:
        _drops(
            walk,
            part,
            packet,
            "isolated",
            [*evidence, *(f"bridge port: {text}" for text in shut)],
            f"the bridge {part.bridge} passes nothing from the one port to the other: {' and '.join(shut)}",
            advice="right, if hosts are to be kept apart; else: "
            + (
                walk.run_in(stack, "bridge link set dev PORT isolated off")
                if "isolated" in shut[0]
                else "look why the port is shut (STP)"
            ),
        )
        return None
    if sender and _locked_out(walk, part, sender, packet):
        return None
    if link_address and _kept_from(walk, part, link_address, port, packet, evidence):
        return None
    walk.passes(stack, "bridge", part, packet, *evidence)
    on = rules.bridged(walk, part, packet)
    return on if on is None or part.exit is None else rules.egress(walk, stack, part.exit, on)


def _drops(
    walk: Walk,
    part: Crossing,
    packet: Packet,
    cause: str,
    evidence: Sequence[str],
    why: str,
    fix: Sequence[str] = (),
    advice: str = "",
) -> bool:
    """True: the bridge does not pass the frame on."""
    walk.dropped(part.stack, "bridge", part, packet, cause, evidence, why, fix, advice)
    return True


def filtered(walk: Walk, part: Crossing, packet: Packet) -> bool:
    """Whether a bridge that filters by VLANs keeps a frame back (net/bridge/br_vlan.c)."""
    stack, port = part.stack, part.not_in
    if stack.tags(part.bridge) not in ("", "802.1Q"):
        why = f"the bridge {part.bridge} filters by tags of 802.1ad, which are not followed"
        walk.unknowable(stack, "bridge", part, packet, why=why)
        return False
    if port is None:
        return False
    known = (stack.vlans(part.bridge) or {}).get(port.index)
    of_self = ["self"] if port is part.bridge else []
    flags = ["pvid", "untagged"] if part.untagged else []
    return _drops(
        walk,
        part,
        packet,
        "vlan",
        [f"bridge: {part.bridge} filters by VLANs (vlan_filtering 1)", f"vlan: {port} is in {known or 'none'}"],
        f"{port} is not in VLAN {part.vlan}: the bridge {part.bridge} passes it only what is in its VLANs"
        if part.vlan
        else f"{port} has no PVID: the bridge {part.bridge} takes no frame without a tag from it",
        advice="right, if they are to be kept apart; else: "
        + walk.run_in(
            stack, pasted(["bridge", "vlan", "add", "dev", port.name, "vid", str(part.vlan or 1), *flags, *of_self])
        ),
    )


def _kept_from(
    walk: Walk, part: Crossing, link_address: str, port: Interface | None, packet: Packet, evidence: list[str]
) -> bool:
    """Whether a bridge sends a frame by another port than its receiver is behind, or by none.

    ``port`` is the one behind which the bridge has the receiver's address.
    """
    stack, exit_ = part.stack, part.exit
    if exit_ is None:
        return False
    if port is not None and port is not exit_:
        own = port is part.bridge
        return _drops(
            walk,
            part,
            packet,
            "fdb",
            evidence,
            f"the bridge {part.bridge} takes {link_address} for its own, and it is behind {exit_}: the frame stays here"
            if own
            else f"the bridge {part.bridge} has {link_address} behind {port}, and it is behind {exit_}: the frame goes "
            "out by the wrong port",
            ["bridge", "fdb", "del", link_address, "dev", port.name, "self" if own else "master"],
            "a static entry stays when the machine moves; one that was learned is put right by its next frame",
        )
    known = stack.bridge_port(exit_) if port is None else None
    if known is not None and known.unicast_flood is False:
        learning = "" if known.learning is None else f", learning {'on' if known.learning else 'off'}"
        return _drops(
            walk,
            part,
            packet,
            "flood",
            [*evidence, f"bridge port: {exit_} has flood off{learning}"],
            f"the bridge {part.bridge} does not know behind which port {link_address} is, and {exit_} gets nothing "
            "that is for unknown addresses (flood off)",
            ["bridge", "link", "set", "dev", exit_.name, "flood", "on"],
            "or name it: "
            + walk.run_in(stack, pasted(["bridge", "fdb", "add", link_address, "dev", exit_.name, "master", "static"])),
        )
    return False


def _locked_out(walk: Walk, part: Crossing, sender: str, packet: Packet) -> bool:
    """Whether a port takes frames from known senders only, and this is none (bridge(8): locked)."""
    stack, entry = part.stack, part.entry
    port = stack.bridge_port(entry) if entry is not None else None
    if entry is None or port is None or not port.locked or stack.port_for(part.bridge, sender, part.vlan) is entry:
        return False
    return _drops(
        walk,
        part,
        packet,
        "fdb",
        [f"bridge port: {entry} is locked", f"fdb: {sender} is not known behind {entry}"],
        f"{entry} is locked: the bridge {part.bridge} takes frames from senders only that are known behind it",
        ["bridge", "fdb", "add", sender, "dev", entry.name, "master", "static"],
        "right, if the machine has not authenticated (802.1X); an entry lets it in without",
    )


def _shut_ports(stack: Stack, part: Crossing) -> list[str]:
    """Why a bridge passes nothing between two of its ports (net/bridge/br_forward.c: should_deliver)."""
    if part.entry is None or part.exit is None:
        return []
    found = [(port, stack.bridge_port(port)) for port in (part.entry, part.exit)]
    shut = [f"{port} is {known.state}" for port, known in found if known and known.state not in ("forwarding", None)]
    if not shut and all(known is not None and known.isolated for _, known in found):
        return [f"{port} is isolated" for port, _ in found]
    return shut
