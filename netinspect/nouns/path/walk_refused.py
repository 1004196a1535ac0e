"""Why the kernel gives no route to a packet: forwarding, rp_filter, a martian, or a route or rule that refuses.

RTM_GETROUTE answers with an errno that stands for several of them (net/ipv4/route.c: ip_route_input_slow).
"""

from __future__ import annotations

from ...errors import NetinspectError
from .listing_stacks import Stacks
from .walk import Walk
from .walk_decision import decided
from .walk_packet import Packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place
    from ..routing.listing_matching import Flow
    from .listing_stack import Stack


def why_refused(place: Place, flow: Flow) -> str | None:
    """Why there is no route, with what shows it; None where no reason is found. ``place`` is open."""
    stacks = Stacks()
    try:
        return _why(stacks, place, flow)
    except NetinspectError:
        return None  # the refusal itself is what was asked for
    finally:
        stacks.rules.clear()


def _why(stacks: Stacks, place: Place, flow: Flow) -> str | None:
    stack = stacks.of(place)
    iif = stack.named(flow.input_interface) if flow.input_interface else None
    ports = (flow.source_port or 0, flow.destination_port or 0)
    if iif is not None and flow.source is None and ":" not in flow.destination:
        return "a packet that comes in has a source, and one of 0.0.0.0 is dropped as a martian: add `from ADDRESS`"
    if iif is None or flow.source is None or ":" in flow.destination:  # IPv6 looks at forwarding later
        answer = stack.route(
            flow.destination,
            source=flow.source,
            iif=iif,
            oif=stack.named(flow.output_interface) if flow.output_interface else None,
            mark=flow.mark,
            protocol=flow.ip_protocol,
            ports=ports,
        )
        if answer.refused is None:
            return None
        entry = answer.entry
        if entry is None:
            return f"a rule of type {answer.refused} is for it"
        return f"the route {answer.refused} {entry.destination} of table {entry.table} is for it"
    martian = _martian_source(stack, flow.source)
    if martian is not None:
        return martian
    walk = Walk(stacks, stack)
    decided(walk, stack, iif, Packet(flow.ip_protocol, flow.source, flow.destination, *ports, flow.mark))
    failure = walk.failure
    if failure is None or failure.why is None:
        return None
    return f"{failure.subject}: {failure.why} ({'; '.join(failure.evidence)})"


def _martian_source(stack: Stack, source: str) -> str | None:
    """Sources that no packet may have, by whatever interface it comes in."""
    first = int(source.partition(".")[0])
    if first == 0 or first >= 224:
        return f"{source} is not the address of a host: a packet with this source is dropped as a martian"
    found = stack.route(source).route
    if found is not None and found.type in ("broadcast", "multicast", "anycast"):
        return f"the source {source} is a {found.type} address here: the packet is dropped as a martian"
    return None
