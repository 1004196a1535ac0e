"""Assertions that wait for a state of the kernel, and show the actual state if they fail."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..engine.text import printable
from ..lab.topology import destination
from ..nouns.conntrack.filter import FlowFilter
from ..nouns.sockets.filter import parse
from ..waiting.conditions_flows import FlowExists
from ..waiting.conditions_groups import Member
from ..waiting.conditions_routes import Routed, RouteExists, Wanted
from ..waiting.conditions_sockets import PROTOCOLS, Established, Listening
from ..waiting.endpoint import Endpoint
from ..waiting.render import endpoint, line
from ..waiting.until import until
from . import observing

if TYPE_CHECKING:
    import subprocess

    from ..records import Flow, Membership, Route, Socket
    from ..waiting.conditions import Condition
    from .labs import AssertingHost, AssertingLab

Result = TypeVar("Result")

_SHOWN = 20
_OWN_ADDRESSES = 255
"""linux/rtnetlink.h: RT_TABLE_LOCAL, whose routes the kernel keeps for addresses of its own."""


def wait(lab: AssertingLab, look: Callable[[], Result | None], explain: Callable[[], str], timeout: float) -> Result:
    """What ``look`` returns as soon as that is not None. Raises AssertionError with ``explain()`` after ``timeout`` s.

    The lab remembers what it looked like then: until the report is made, the test closes much of it.
    """
    __tracebackhide__ = True
    found, _ = until(look, lambda found: found is not None, timeout)
    if found is None:
        lab.at_failure = lab.snapshot()
        raise AssertionError(f"{explain()} (waited {timeout:g} s)")
    return found


def shown(found: Iterable[Any]) -> str:
    """Records, or lines, for an explanation."""
    texts = [printable(one if isinstance(one, str) else line(one)) for one in found]
    more = [f"… and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "".join(f"\n  {text}" for text in [*texts[:_SHOWN], *more]) or " nothing"


def wait_listening(
    host: AssertingHost,
    port: int,
    address: str | None,
    protocol: str,
    process: subprocess.Popen[Any] | None,
    timeout: float,
) -> Socket:
    """See AssertingHost.wait_listening."""
    __tracebackhide__ = True

    if protocol not in PROTOCOLS[:2]:
        raise ValueError(f"{protocol!r} is neither tcp nor udp")
    condition = Listening(protocol, Endpoint(address, port))

    def look() -> Socket | None:
        if process is not None and process.poll() is not None:
            raise AssertionError(
                f"on {host.name}: the process that was to listen on {protocol} port {port} ended with exit status "
                f"{process.returncode}{_errors(process)}"
            )
        found: Socket | None = _first(host, condition)
        return found

    def explain() -> str:
        there = [
            record
            for record in observing.sockets(host, (protocol,))
            if record.state == "LISTEN" or (protocol == "udp" and not record.remote_port)
        ]
        where = endpoint(address, port) if address else f"port {port}"
        return f"on {host.name}: no listener on {protocol} {where}; listening there:{shown(there)}"

    return wait(host.lab, look, explain, timeout)


def _first(host: AssertingHost, condition: Condition) -> Any:
    """The first record that makes the condition true there."""
    return next(iter(observing.look(host, condition).found), None)


def _errors(process: subprocess.Popen[Any]) -> str:
    if process.stderr is None:
        return ""
    output = process.stderr.read()
    return "\n" + (output if isinstance(output, str) else output.decode("utf-8", "backslashreplace")) if output else ""


def wait_established(
    host: AssertingHost,
    local_port: int | None,
    remote_port: int | None,
    remote_address: str | None,
    count: int,
    timeout: float,
) -> list[Socket]:
    """See AssertingHost.wait_established."""
    __tracebackhide__ = True
    wanted = {"local_port": local_port, "remote_port": remote_port, "remote_address": remote_address}
    wanted = {field: value for field, value in wanted.items() if value is not None}
    words = []
    if local_port is not None:
        words.append(f"sport = :{local_port}")
    if remote_port is not None:
        words.append(f"dport = :{remote_port}")
    if remote_address is not None:
        words.append(f"dst {f'[{remote_address}]' if ':' in remote_address else remote_address}")
    filter = " and ".join(words)
    condition = Established("tcp", filter, parse(filter) if filter else None, least=count)
    described = " with " + ", ".join(f"{field}={value}" for field, value in wanted.items()) if wanted else ""
    what = "no established TCP connection" if count == 1 else f"fewer than {count} established TCP connections"
    return wait(
        host.lab,
        lambda: list(observing.look(host, condition).found) or None,
        lambda: f"on {host.name}: {what}{described}; TCP sockets there:{shown(observing.sockets(host, ('tcp',)))}",
        timeout,
    )


class FlowPattern(NamedTuple):
    """Which flows are meant."""

    protocol: str | None
    source: Endpoint | None
    destination: Endpoint | None

    @classmethod
    def of(cls, flow: str | socket.socket) -> FlowPattern:
        """Raises ValueError for a text that is not ``[PROTOCOL] SOURCE[:PORT] [-> DESTINATION[:PORT]]``."""
        if isinstance(flow, socket.socket):
            protocol = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}.get(flow.type)
            return cls(protocol, Endpoint(*flow.getsockname()[:2]), Endpoint(*flow.getpeername()[:2]))
        try:
            before, arrow, after = flow.partition("->")
            words = before.split()
            protocol = words.pop(0) if len(words) > 1 else None
            (source,) = words
            return cls(protocol, Endpoint.parse(source), Endpoint.parse(after) if arrow else None)
        except ValueError:
            raise ValueError(
                f"{flow!r} is not a flow: give [PROTOCOL] SOURCE[:PORT] [-> DESTINATION[:PORT]], or a connected socket"
            ) from None

    def matches(self, flow: Flow) -> bool:
        """Whether that flow is meant, which either end may have named: by what it was, or by what it became."""
        if self.protocol not in (None, flow.protocol):
            return False
        before = (flow.source_address, flow.source_port), (flow.destination_address, flow.destination_port)
        after = (
            (flow.reply_destination_address, flow.reply_destination_port),
            (flow.reply_source_address, flow.reply_source_port),
        )
        return any(
            (self.source is None or self.source.matches(*source))
            and (self.destination is None or self.destination.matches(*destination))
            for ends in (before, after)
            for source, destination in (ends, ends[::-1])
        )


def assert_natted(host: AssertingHost, flow: str | socket.socket, to: str, timeout: float) -> Flow:
    """See AssertingHost.assert_natted."""
    __tracebackhide__ = True
    pattern = FlowPattern.of(flow)
    condition = FlowExists("", FlowFilter(), Endpoint.parse(to))

    def explain() -> str:
        flows = observing.flows(host)
        meant = [candidate for candidate in flows if pattern.matches(candidate)]
        named = endpoint(*pattern.source) if pattern.source else "the flow"
        if meant:
            return f"on {host.name}: {named} is not translated to {to}, but:{shown(meant)}"
        return f"on {host.name}: no flow of {named} is tracked; tracked:{shown(flows)}"

    found: Flow = wait(
        host.lab,
        lambda: next(filter(pattern.matches, observing.look(host, condition).found), None),
        explain,
        timeout,
    )
    return found


def assert_route(host: AssertingHost, to: str, wanted: dict[str, Any], timeout: float) -> Route:
    """See AssertingHost.assert_route."""
    __tracebackhide__ = True
    prefix = to in ("default", "default6") or "/" in to
    table = wanted["table"]
    like = Wanted(
        via=wanted["via"],
        dev=wanted["interface"],
        table=None if prefix or table is None else observing.table_name(table),
        src=wanted["source"],
        metric=wanted["metric"],
        type=wanted["type"],
        mtu=wanted["mtu"],
    )
    described = " ".join(f"{field}={value}" for field, value in wanted.items() if value is not None)

    def condition(like: Wanted) -> RouteExists | Routed:
        return RouteExists(str(destination(to)), like, table) if prefix else Routed(to, like)

    def found(like: Wanted) -> list[Route]:
        own = observing.table_name(_OWN_ADDRESSES)
        routes: tuple[Route, ...] = observing.look(host, condition(like)).found
        return [route for route in routes if not prefix or table is not None or route.table != own]

    def explain() -> str:
        nonlocal table
        table = None
        near = found(Wanted())
        if near:
            what = "routes" if prefix else "the kernel's route"
            return f"on {host.name}: no route to {to} with {described}; {what} there:{shown(near)}"
        what = f"no route to {to}" if prefix else f"the kernel has no route to {to}"
        return f"on {host.name}: {what}; routes there:{shown(observing.routes(host))}"

    return wait(host.lab, lambda: next(iter(found(like)), None), explain, timeout)


def assert_member(
    host: AssertingHost, group: str, interface: str | None, source: str | None, timeout: float
) -> Membership:
    """See AssertingHost.assert_member."""
    __tracebackhide__ = True
    condition = Member(group, interface, source)

    def explain() -> str:
        memberships = observing.memberships(host)
        meant = [membership for membership in memberships if membership.group == group]
        where = f" on {interface}" if interface else ""
        whom = f" from {source}" if source else ""
        return f"on {host.name}: {group} is not received{where}{whom}; groups there:{shown(meant or memberships)}"

    found: Membership = wait(host.lab, lambda: _first(host, condition), explain, timeout)
    return found
