"""Waiting for what the kernel says, and explaining what it said instead."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..lab import views
from ..lab.errors import LabError
from ..waiting.endpoint import Endpoint, reached
from ..waiting.until import until

if TYPE_CHECKING:
    import subprocess

    from ..lab.lab import Host, Lab
    from ..lab.views import HostFlow, HostMembership, HostRoute, Tuple
    from ..records import Socket

Result = TypeVar("Result")

_SHOWN = 20


def wait(lab: Lab[Any], look: Callable[[], Result | None], explain: Callable[[], str], timeout: float) -> Result:
    """What ``look`` returns as soon as that is not None. Raises AssertionError with ``explain()`` after ``timeout`` s.

    The lab remembers what it looked like then: until the report is made, the test closes much of it.
    """
    __tracebackhide__ = True
    found, _ = until(look, lambda found: found is not None, timeout)
    if found is None:
        lab.at_failure = lab.snapshot()
        raise AssertionError(f"{explain()} (waited {timeout:g} s)")
    return found


def shown(lines: Iterable[object]) -> str:
    """Lines for an explanation."""
    texts = [str(line) for line in lines]
    more = [f"… and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return "".join(f"\n  {text}" for text in [*texts[:_SHOWN], *more]) or " nothing"


def wait_listening(
    host: Host,
    port: int,
    address: str | None,
    protocol: str,
    process: subprocess.Popen[Any] | None,
    timeout: float,
) -> Socket:
    """See AssertingHost.wait_listening."""
    __tracebackhide__ = True

    def listening() -> list[Socket]:
        records = views.sockets(host, (protocol,))
        return [
            record for record in records if record.state == "LISTEN" or (protocol != "tcp" and not record.remote_port)
        ]

    def look() -> Socket | None:
        if process is not None and process.poll() is not None:
            raise AssertionError(
                f"on {host.name}: the process that was to listen on {protocol} port {port} ended with exit status "
                f"{process.returncode}{_errors(process)}"
            )
        return next((record for record in listening() if record.local_port == port and reached(record, address)), None)

    where = views.endpoint(address, port) if address else f"port {port}"
    return wait(
        host.lab,
        look,
        lambda: (
            f"on {host.name}: nobody listens on {protocol} {where}; listening there:"
            + shown(map(views.socket_line, listening()))
        ),
        timeout,
    )


def _errors(process: subprocess.Popen[Any]) -> str:
    if process.stderr is None:
        return ""
    said = process.stderr.read()
    return "\n" + (said if isinstance(said, str) else said.decode("utf-8", "backslashreplace")) if said else ""


def wait_established(
    host: Host,
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

    def look() -> list[Socket] | None:
        found = [
            record
            for record in views.sockets(host, ("tcp",))
            if record.state == "ESTABLISHED" and all(getattr(record, field) == value for field, value in wanted.items())
        ]
        return found if len(found) >= count else None

    described = " with " + ", ".join(f"{field}={value}" for field, value in wanted.items()) if wanted else ""
    what = "no established TCP connection" if count == 1 else f"fewer than {count} established TCP connections"
    return wait(
        host.lab,
        look,
        lambda: (
            f"on {host.name}: {what}{described}; TCP sockets there:"
            + shown(map(views.socket_line, views.sockets(host, ("tcp",))))
        ),
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
                f"{flow!r} is no flow: give [PROTOCOL] SOURCE[:PORT] [-> DESTINATION[:PORT]], or a connected socket"
            ) from None

    def matches(self, flow: HostFlow) -> bool:
        if self.protocol not in (None, flow.protocol):
            return False
        return any(self._direction(one) for one in (flow.original, _reversed(flow.reply)))

    def _direction(self, one: Tuple) -> bool:
        """Either end may have named the flow: the one by what it was, the other by what it became."""
        ends = (one.source, one.source_port), (one.destination, one.destination_port)
        return any(
            (self.source is None or self.source.matches(*source))
            and (self.destination is None or self.destination.matches(*destination))
            for source, destination in (ends, ends[::-1])
        )


def _reversed(one: Tuple) -> Tuple:
    return one._replace(
        source=one.destination,
        source_port=one.destination_port,
        destination=one.source,
        destination_port=one.source_port,
    )


def assert_natted(host: Host, flow: str | socket.socket, to: str, timeout: float) -> HostFlow:
    """See AssertingHost.assert_natted."""
    __tracebackhide__ = True
    pattern, target = FlowPattern.of(flow), Endpoint.parse(to)

    def translated(candidate: HostFlow) -> bool:
        return (
            candidate.translated_source
            and target.matches(candidate.reply.destination, candidate.reply.destination_port)
        ) or (candidate.translated_destination and target.matches(candidate.reply.source, candidate.reply.source_port))

    def explain() -> str:
        flows = views.flows(host)
        meant = [candidate for candidate in flows if pattern.matches(candidate)]
        named = views.endpoint(*pattern.source) if pattern.source else "the flow"
        if meant:
            return f"on {host.name}: {named} is not translated to {to}, but:{shown(meant)}"
        return f"on {host.name}: no flow of {named} is tracked; tracked:{shown(flows)}"

    return wait(
        host.lab,
        lambda: next(
            (candidate for candidate in views.flows(host) if pattern.matches(candidate) and translated(candidate)), None
        ),
        explain,
        timeout,
    )


def assert_route(host: Host, to: str, wanted: dict[str, Any], timeout: float) -> HostRoute:
    """See AssertingHost.assert_route."""
    __tracebackhide__ = True
    prefix = to in ("default", "default6") or "/" in to
    wanted = {field: value for field, value in wanted.items() if value is not None}
    described = " ".join(f"{field}={value}" for field, value in wanted.items())

    def candidates() -> list[HostRoute]:
        if prefix:
            return views.routes(host, to=to)
        try:
            return [views.route_to(host, to)]
        except LabError:
            return []

    def explain() -> str:
        found = candidates()
        if found:
            what = "routes" if prefix else "the kernel's route"
            return f"on {host.name}: no route to {to} with {described}; {what} there:{shown(found)}"
        if prefix:
            return f"on {host.name}: no route to {to}; routes there:{shown(views.routes(host))}"
        return f"on {host.name}: the kernel has no route to {to}; routes there:{shown(views.routes(host))}"

    return wait(
        host.lab,
        lambda: next((route for route in candidates() if _fits(route, wanted)), None),
        explain,
        timeout,
    )


def _fits(route: HostRoute, wanted: dict[str, Any]) -> bool:
    return all(
        value in route.via if field == "via" else getattr(route, field) == value for field, value in wanted.items()
    )


def assert_member(host: Host, group: str, interface: str | None, source: str | None, timeout: float) -> HostMembership:
    """See AssertingHost.assert_member."""
    __tracebackhide__ = True

    def fits(membership: HostMembership) -> bool:
        if membership.group != group or interface not in (None, membership.interface):
            return False
        if source is None:
            return True
        return source in membership.included if membership.included else source not in membership.excluded

    def explain() -> str:
        memberships = views.memberships(host)
        meant = [membership for membership in memberships if membership.group == group]
        where = f" on {interface}" if interface else ""
        whom = f" from {source}" if source else ""
        return f"on {host.name}: {group} is not received{where}{whom}; groups there:{shown(meant or memberships)}"

    return wait(host.lab, lambda: next(filter(fits, views.memberships(host)), None), explain, timeout)
