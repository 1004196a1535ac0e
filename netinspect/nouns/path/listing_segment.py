"""What is on one wire: through veth pairs and bridges to every interface of this machine that would hear a frame."""

from __future__ import annotations

from .listing_stack import is_link_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .listing_stack import Interface, Stack
    from .listing_stacks import Stacks

_MOST = 512
"""Interfaces that are looked at: a bridge may have thousands of ports."""

_SHARING = frozenset(("macvlan", "macvtap", "ipvlan", "ipvtap"))
"""Kinds of interfaces that share a link, often from other namespaces."""


class Crossing:
    """A bridge on the way of a frame: the port it comes in by, and the one it leaves by; None is the bridge itself."""

    __slots__ = ("bridge", "entry", "exit", "not_in", "stack", "untagged", "vlan")

    def __init__(self, stack: Stack, bridge: Interface, entry: Interface | None, exit: Interface | None) -> None:
        self.stack = stack
        self.bridge = bridge
        self.entry = entry
        self.exit = exit
        self.vlan: int | None = None
        """The VLAN of the frame, where the bridge filters by them."""
        self.untagged = True
        """Whether the frame comes without a tag."""
        self.not_in: Interface | None = None
        """The port, or the bridge itself, that is not in that VLAN; without a VLAN, that takes no such frame."""

    def __str__(self) -> str:
        return f"{self.bridge}: {self.entry or self.bridge} > {self.exit or self.bridge}"

    def filtered(self, tag: int | None) -> int | None:
        """Finds the VLAN of a frame that comes with this tag; returns the tag that it leaves with."""
        self.untagged = tag is None
        vlans = self.stack.vlans(self.bridge)
        if vlans is None or self.stack.tags(self.bridge) != "802.1Q":
            return tag
        entry, exit_ = self.entry or self.bridge, self.exit or self.bridge
        self.vlan = vlans[entry.index].entered(tag) if entry.index in vlans else None
        if self.vlan is None:
            self.not_in, self.vlan = entry, tag
        elif exit_.index not in vlans or self.vlan not in vlans[exit_.index].flags:
            self.not_in = exit_
        else:
            return vlans[exit_.index].tag_of(self.vlan)
        # Who would hear it is looked for all the same, so that it can be said what keeps it away.
        return None


class Wire:
    """Two ends of a veth pair on the way of a frame."""

    __slots__ = ("interface", "peer", "peer_stack", "stack")

    def __init__(self, stack: Stack, interface: Interface, peer_stack: Stack, peer: Interface) -> None:
        self.stack = stack
        self.interface = interface
        self.peer_stack = peer_stack
        self.peer = peer


Via = tuple["Crossing | Wire", ...]


class End:
    """An interface that frames of the wire come in by, and the way to it."""

    __slots__ = ("interface", "stack", "via")

    def __init__(self, stack: Stack, interface: Interface, via: Via) -> None:
        self.stack = stack
        self.interface = interface
        self.via = via

    def has(self, address: str) -> bool:
        """Whether its namespace answers for an address there: Linux does for all that it has (arp_ignore)."""
        if is_link_local(address):
            return any(text == address for text, _ in self.stack.networks(self.interface))
        return self.stack.is_local(address) and not self.silent(address)

    def silent(self, address: str) -> str:
        """The setting that keeps its namespace from answering for an address that it has (ip-sysctl: arp_ignore)."""
        if ":" in address:
            return ""
        names = ("all", self.interface.name)
        values = [self.stack.own("ipv4", name, "arp_ignore") or 0 for name in names]
        ignored = max(values)
        here = any(text == address for text, _ in self.stack.networks(self.interface))
        if not (ignored == 8 or (ignored in (1, 2) and not here)):
            return ""
        return f"net.ipv4.conf.{names[values.index(ignored)]}.arp_ignore = {ignored}"


class Segment:
    """One wire, as seen from an interface that sends into it."""

    def __init__(self, stacks: Stacks, stack: Stack, interface: Interface, *, coming: bool = False) -> None:
        """``coming``: as seen by a frame that comes in there, by the port of a bridge."""
        self.ends: list[End] = []
        self.beyond: list[str] = []
        """Where it leaves what can be looked at."""
        self.leaving: list[End] = []
        """The interfaces by which it does."""
        self.dead: list[str] = []
        """Where it ends since a link is down."""
        self._stacks = stacks
        self._shared: list[tuple[Stack, Interface, Via, Interface | None]] = []
        self._seen: set[tuple[int, int]] = set()
        if coming:
            self._into(stack, interface, None, ())
        else:
            self._below(stack, interface, None, ())

    def _below(self, stack: Stack, interface: Interface, tag: int | None, via: Via) -> None:
        """Down from an interface that has addresses to what carries its frames."""
        if interface.kind == "bridge":
            self._seen.add((id(stack), interface.index))
            for port in stack.ports(interface):
                over = Crossing(stack, interface, None, port)
                self._out(stack, port, over.filtered(tag), (*via, over))
        elif interface.kind == "vlan" and interface.parent_index:
            parent = stack.interfaces.get(interface.parent_index)
            if parent is not None:
                self._below(stack, parent, interface.vlan_id, via)
        elif interface.kind in _SHARING and interface.parent_index:
            found = self._stacks.parent(stack, interface)
            if found is None:
                self.beyond.append(f"the link below {interface} in another network namespace")
                return
            lower, parent = found
            if interface.mode not in ("private", "vepa", "passthru"):
                self._sharing(lower, parent, via, but=interface)
            if parent.kind in ("vlan", "bridge"):
                self._below(lower, parent, tag, via)
            else:
                self._out(lower, parent, tag, via)
        else:
            self._out(stack, interface, tag, via)

    def _out(self, stack: Stack, interface: Interface, tag: int | None, via: Via) -> None:
        """Out by an interface."""
        if (id(stack), interface.index) in self._seen or len(self._seen) > _MOST:
            return
        self._seen.add((id(stack), interface.index))
        if not interface.works:
            self.dead.append(f"{interface} of {stack.label} is {state_of(interface)}")
            return
        peer = self._stacks.peer(stack, interface)
        if peer is None:
            self.beyond.append(f"{interface} of {stack.label} ({interface.kind or 'hardware'})")
            self.leaving.append(End(stack, interface, via))
        elif isinstance(peer, str):
            self.beyond.append(peer)
        else:
            self._into(*peer, tag, (*via, Wire(stack, interface, *peer)))

    def _into(self, stack: Stack, interface: Interface, tag: int | None, via: Via) -> None:
        if (id(stack), interface.index) in self._seen:
            return
        self._seen.add((id(stack), interface.index))
        if not interface.works:
            self.dead.append(f"{interface} of {stack.label} is {state_of(interface)}")
            return
        bridge = stack.bridge_of(interface)
        if bridge is None:
            self._above(stack, interface, tag, via)
            return
        if (id(stack), bridge.index) not in self._seen:
            self._seen.add((id(stack), bridge.index))
            if bridge.works:
                over = Crossing(stack, bridge, interface, None)
                self._above(stack, bridge, over.filtered(tag), (*via, over))
        for port in stack.ports(bridge):
            over = Crossing(stack, bridge, interface, port)
            self._out(stack, port, over.filtered(tag), (*via, over))

    def _above(
        self, stack: Stack, interface: Interface, tag: int | None, via: Via, but: Interface | None = None
    ) -> None:
        """What takes the frames that come in by an interface."""
        above = [
            found for found in stack.interfaces.values() if found.parent_index == interface.index and found is not but
        ]
        if tag is not None:
            above = [found for found in above if found.kind == "vlan" and found.vlan_id == tag]
            self.ends += [End(stack, found, via) for found in above]
            return
        self.ends.append(End(stack, interface, via))
        self._sharing(stack, interface, via)

    def _sharing(self, stack: Stack, lower: Interface, via: Via, but: Interface | None = None) -> None:
        """The interfaces with addresses of their own that share a link; those of other namespaces are looked for later.

        The link itself does not hear them, nor they it (drivers/net/macvlan.c).
        """
        self.ends += [
            End(stack, found, via)
            for found in stack.interfaces.values()
            if found.kind in _SHARING
            and found.parent_index == lower.index
            and found.parent_nsid is None
            and found is not but
        ]
        self._shared.append((stack, lower, via, but))

    def with_sharing(self, stack: Stack, interface: Interface) -> None:
        """Takes in what shares the interface that it is seen from: it hears what others on the wire send."""
        self._sharing(stack, interface, ())

    def look_further(self) -> bool:
        """Looks in all namespaces for interfaces that share a link of this wire; whether there are any."""
        before = len(self.ends)
        for stack, lower, via, but in self._shared:
            self.ends += [End(*found, via) for found in self._stacks.sharing(stack, lower) if found[1] is not but]
        self._shared = []
        return len(self.ends) > before

    def with_address(self, address: str) -> Iterator[End]:
        """The ends that answer for an address, one of each namespace."""
        seen = set()
        for end in self.ends:
            if id(end.stack) not in seen and end.has(address):
                seen.add(id(end.stack))
                yield end

    def with_link_address(self, wanted: str, address: str) -> End | None:
        """The end that takes frames for a MAC address: of several (ipvlan) the one that has the IP address."""
        taking = [end for end in self.ends if end.interface.address == wanted]
        return next((end for end in taking if end.stack.is_local(address)), taking[0] if taking else None)


def state_of(interface: Interface) -> str:
    """Why an interface passes nothing."""
    if not interface.up:
        return "down"
    return "without carrier" if interface.carrier is False else interface.state
