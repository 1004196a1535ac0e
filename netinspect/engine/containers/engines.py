"""Docker and Podman, asked over their unix sockets which containers run.

The API is Docker's (Docker Engine API: GET /containers/json), which Podman has too, and Podman's own, which also tells
the pod (Podman's API: GET /libpod/containers/json). All engines are asked at once, and none of them can hold anybody
up: what has not come after 0.2 s, or is too large, is not taken. HTTP is that of RFC 1945 (1.0): the server closes when
it has answered. http.client would wait anew for each line, and takes a quarter of the time to load.

The answers are text that others wrote. Each container is checked by itself, so that a bad one costs only that one.
"""

from __future__ import annotations

from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, socket
from select import POLLIN, POLLOUT, poll
from time import monotonic

from ...records import Container, PublishedPort
from ..text import marked
from ..typed import maker, parse
from .cgroups import is_id
from .sources import may_be_reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NamedTuple
else:
    from ...startup import NamedTuple

PATIENCE = 0.2
"""Seconds for all engines together."""
_LARGEST = 8 << 20
"""Bytes of an answer: a container takes one to three thousand."""
_MOST_CONTAINERS = _LARGEST // 64
"""As many as fit into an answer, with their ids: of what is a container, none is left out."""
_MOST_PORTS = 1 << 16
"""Published ports of all containers of an answer."""
_LONGEST_STATUS = 32
_LONGEST_NAME = 256
_BLOCK = 1 << 16

_REQUEST = "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
_PATHS = ("/containers/json", "/v4.0.0/libpod/containers/json")


class _Port(NamedTuple):
    """Docker's words for a published port."""

    PrivatePort: int
    Type: str
    IP: str | None = None
    PublicPort: int | None = None


class _Docker(NamedTuple):
    """A container as Docker's API has it."""

    Id: str
    Names: tuple[str, ...] | None = None
    Labels: dict | None = None  # type: ignore[type-arg]
    Ports: tuple[_Port, ...] | None = None
    NetworkSettings: dict | None = None  # type: ignore[type-arg]


class _Mapping(NamedTuple):
    """Podman's words for published ports; ``range`` of them, from the first."""

    container_port: int
    host_port: int
    protocol: str
    host_ip: str | None = None
    range: int | None = None


class _Podman(NamedTuple):
    """A container as Podman's API has it."""

    Id: str
    Names: tuple[str, ...] | None = None
    PodName: str | None = None
    Labels: dict | None = None  # type: ignore[type-arg]
    Ports: tuple[_Mapping, ...] | None = None


class _Exchange:
    """One request and its answer."""

    def __init__(self, address: str, path: str) -> None:
        self.address = address
        self.path = path
        self.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
        self.to_send = _REQUEST.format(path=path).encode()
        self.received: list[bytes] = []
        self.size = 0
        self.failure = ""
        self.ended = False

    def begin(self) -> None:
        try:
            self.socket.connect(self.address)
        except (OSError, ValueError) as error:
            self.fail(getattr(error, "strerror", None) or "not a valid file name")

    def fail(self, reason: str) -> None:
        self.failure = reason
        self.ended = True

    def go_on(self) -> None:
        """Sends or receives what it can without waiting."""
        try:
            if self.to_send:
                self.to_send = self.to_send[self.socket.send(self.to_send) :]
                return
            block = self.socket.recv(_BLOCK)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error.strerror or "failed")
            return
        self.received.append(block)
        self.size += len(block)
        if not block:
            self.ended = True
        elif self.size > _LARGEST:
            self.fail(f"its answer is larger than {_LARGEST >> 20} MiB")

    def body(self) -> bytes | None:
        """What was answered; None where it is no success, which has its reason in ``failure``."""
        head, end, body = b"".join(self.received).partition(b"\r\n\r\n")
        status = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if not end or len(status) < 2 or not status[0].startswith(b"HTTP/1."):
            self.failure = "it does not speak HTTP"
        elif status[1] != b"200":
            self.failure = f"it answers with status {marked(status[1][:_LONGEST_STATUS].decode('ascii', 'replace'))}"
        else:
            return body
        return None


def ask(addresses: Iterable[str], patience: float = PATIENCE) -> tuple[dict[str, Container], dict[str, str]]:
    """The containers that run by their ids, as these engines list them, and by address why others did not answer.

    The first engine that knows a container names it. It takes ``patience`` seconds at most, and no privileges but
    those that the sockets ask for.
    """
    found: dict[str, Container] = {}
    failures: dict[str, str] = {}
    exchanges = []
    for address in addresses:
        if may_be_reached(address):
            exchanges += [_Exchange(address, path) for path in _PATHS]
        else:
            failures[address] = "its file system does not answer"
    try:
        _exchange(exchanges, monotonic() + patience)
    finally:
        for exchange in exchanges:
            exchange.socket.close()
    answered: set[str] = set()
    for exchange in exchanges:
        containers = None
        if not exchange.failure:
            body = exchange.body()
            if body is not None:
                try:
                    containers = _containers(body, podman=exchange.path != _PATHS[0])
                except ValueError as error:
                    exchange.failure = f"its answer is not understood: {error}"
        if containers is None:
            failures.setdefault(exchange.address, exchange.failure)
            continue
        answered.add(exchange.address)
        for container in containers:
            known = found.setdefault(container.id, container)
            if known.pod is None and container.pod is not None:
                found[container.id] = known._replace(pod=container.pod)
    return found, {address: reason for address, reason in failures.items() if address not in answered}


def _exchange(exchanges: Sequence[_Exchange], deadline: float) -> None:
    for exchange in exchanges:
        exchange.begin()
    waiting = {exchange.socket.fileno(): exchange for exchange in exchanges if not exchange.ended}
    while waiting:
        left = deadline - monotonic()
        if left <= 0:
            for exchange in waiting.values():
                exchange.fail(f"no answer within {PATIENCE * 1000:.0f} ms")
            return
        ready = poll()
        for descriptor, exchange in waiting.items():
            ready.register(descriptor, POLLOUT if exchange.to_send else POLLIN)
        for descriptor, _ in ready.poll(left * 1000):
            exchange = waiting[descriptor]
            exchange.go_on()
            if exchange.ended:
                del waiting[descriptor]


def _containers(body: bytes, *, podman: bool) -> list[Container]:
    """The containers of an answer. Raises ValueError where it is no list."""
    rows = parse(body)
    if not isinstance(rows, list):
        raise ValueError("it is no list of containers")
    of_podman, of_docker = maker(_Podman), maker(_Docker)
    found = []
    room = _MOST_PORTS
    for row in rows[:_MOST_CONTAINERS]:
        try:
            container = _podman(of_podman(row), room) if podman else _docker(of_docker(row), room)
        except ValueError:
            continue  # what cannot be understood has no name
        if container is not None:
            found.append(container)
            room -= len(container.ports)
    return found


def _docker(row: _Docker, room: int) -> Container | None:
    ports = [
        PublishedPort(port.Type, _address(port.IP), port.PublicPort, port.PrivatePort)
        for port in (row.Ports or ())[:room]
        if port.PublicPort is not None and _is_port(port.PublicPort) and _is_port(port.PrivatePort)
    ]
    networks = (row.NetworkSettings or {}).get("Networks")
    settings = [one for one in networks.values() if isinstance(one, dict)] if isinstance(networks, dict) else []
    addresses = [one.get(field) for one in settings for field in ("IPAddress", "GlobalIPv6Address")]
    return _container(row.Id, row.Names, row.Labels, None, ports, addresses)


def _podman(row: _Podman, room: int) -> Container | None:
    ports: list[PublishedPort] = []
    for mapping in row.Ports or ():
        port, inside = mapping.host_port, mapping.container_port
        if not (_is_port(port) and _is_port(inside)):
            continue
        count = min(mapping.range or 1, (1 << 16) - max(port, inside), room - len(ports))
        address = _address(mapping.host_ip)
        ports += [PublishedPort(mapping.protocol, address, port + at, inside + at) for at in range(count)]
    return _container(row.Id, row.Names, row.Labels, row.PodName, ports, ())


def _container(
    id: str,
    names: Sequence[str] | None,
    labels: dict[str, Any] | None,
    pod: str | None,
    ports: Sequence[PublishedPort],
    addresses: Sequence[Any],
) -> Container | None:
    # A name with a further "/" is that of a link from another container (Docker's --link).
    name = next((name for name in (one.removeprefix("/") for one in names or ()) if name and "/" not in name), "")
    if not is_id(id) or not name:
        return None
    return Container(
        id,
        marked(name[:_LONGEST_NAME]),
        marked(pod[:_LONGEST_NAME]) if pod else None,
        None,
        tuple(ports),
        tuple(address for address in addresses if isinstance(address, str) and 0 < len(address) < _LONGEST_NAME),
    )._replace(**kubernetes(labels or {}))  # type: ignore[arg-type]


def kubernetes(labels: dict[str, Any]) -> dict[str, str]:
    """What Kubernetes writes down at a container: fields of Container. Nothing where another one started it.

    The keys are the kubelet's for Docker and CRI-O (pkg/kubelet/types/labels.go), and containerd's own.
    """
    for name, pod, namespace in (
        ("io.kubernetes.container.name", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"),
        (
            "io.kubernetes.cri.container-name",
            "io.kubernetes.cri.sandbox-name",
            "io.kubernetes.cri.sandbox-namespace",
        ),
    ):
        # A sandbox keeps the pod's namespaces, and is no container of its own: it has no name.
        values = [labels.get(name) or "POD", labels.get(pod), labels.get(namespace)]
        texts = [marked(value[:_LONGEST_NAME]) for value in values if isinstance(value, str) and value]
        if len(texts) == len(values):
            return dict(zip(("name", "pod", "pod_namespace"), texts, strict=True))
    return {}


def nerdctl(labels: dict[str, Any]) -> dict[str, str]:
    """What nerdctl writes down at a container: its name (nerdctl: pkg/labels). Nothing where it did not start it."""
    name = labels.get("nerdctl/name")
    return {"name": marked(name[:_LONGEST_NAME])} if isinstance(name, str) and name else {}


def _address(address: str | None) -> str | None:
    return None if address in (None, "", "0.0.0.0", "::") else address


def _is_port(number: int) -> bool:
    return 0 < number < 1 << 16
