"""Who is behind a published port: the process in the container, where a container engine's helper holds the socket.

The helper tells where it leads to: docker-proxy by its arguments (docker-proxy --help), and conmon, which keeps a port
taken for which a rule of nftables translates the destination, which container it is for (conmon(8): --cid). dockerd
keeps ports so too, where it starts no docker-proxy. The others, of rootless containers, are found by the ports that the
engine tells of. Where no engine answers, the container is the one whose network namespace has the address, or that the
helper of a rootless one leads into. What is behind is then the process that listens there in that network namespace.
"""

from __future__ import annotations

from itertools import pairwise
from posix import stat

from ...engine.answering import answers
from ...engine.containers.cgroups import is_id
from ...engine.containers.homes import first_processes
from ...engine.containers.names import known
from ...engine.containers.namespaces import processes
from ...engine.files import read
from ...engine.places import Place
from ...engine.text import in_quotes
from ...errors import FileError, NetinspectError
from ...procfs import arguments
from .listing import LISTENING_STATES, Query, SocketListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.columns import Batch, Values
    from ...records import Container, Process
    from .owners import Owners
    from .owners_translated import Translations

    End = tuple[str, str, int]
    """Protocol, address and port."""
    Identity = tuple[int, int]
    """st_dev and st_ino of a network namespace."""

_PROXIES = ("docker-proxy", "rootlesskit-doc")
"""They say in their arguments where they lead to; the latter is rootlesskit-docker-proxy, which starts the former."""
_SERVING = ("rootlessport", "slirp4netns", "pasta", "pasta.avx2")
"""They lead into one network namespace."""
_UNCONNECTED = frozenset(("LISTEN", "UNCONNECTED"))
_WILDCARDS = ("0.0.0.0", "::")


class Behind:
    """What a published port leads to."""

    __slots__ = ("container", "port", "processes")

    def __init__(self, container: str, port: int | None, processes: tuple[Process, ...]) -> None:
        self.container = container
        """The container's id."""
        self.port = port
        """The port inside; None where that is not known."""
        self.processes = processes
        """The processes that listen there; none where they cannot be found."""

    @property
    def text(self) -> str:
        """In words: ``nginx in web``, or ``port 80 in web`` where no process is seen to listen."""
        name = known().name(self.container)
        names = dict.fromkeys(process.name for process in self.processes)
        if names:
            return f"{', '.join(names)} in {name}"
        return name if self.port is None else f"port {self.port} in {name}"


class Published:
    """Finds what is behind the sockets of helpers, for one listing."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._found: dict[tuple[int, End], Behind | None] = {}
        self._listeners: dict[str, dict[tuple[str, int], list[int]]] = {}
        """By container: the inodes of what listens in its namespace, by protocol and port."""
        self._namespaces: tuple[dict[Identity, list[str]], dict[Identity, str]] | None = None
        """By network namespace: its containers, and a path to it."""
        self._addresses: dict[str, list[str]] | None = None
        """By address: the containers in whose network namespace it is."""
        self._translations: Translations | None = None

    def of(self, batch: Batch) -> list[Behind | None] | None:
        """What is behind each socket; None where no helper holds any."""
        helpers = self._owners.held_by_helpers(batch)
        if not helpers:
            return None
        found: list[Behind | None] = [None] * len(batch)
        fields = ("protocol", "state", "local_address", "local_port")
        rows = list(zip(*map(batch.values, fields), strict=True))
        for row, (pid, name) in helpers.items():
            protocol, state, address, port = rows[row]
            if state in _UNCONNECTED and port and address is not None:
                found[row] = self._behind(pid, name, (protocol, address, port))
        return found

    def texts(self, batch: Batch) -> Values:
        """The holders as text, as Owners has them, with what is behind them: ``…fd=4,for="nginx in web"))``."""
        texts = list(batch.values("owners"))
        for row, behind in enumerate(self.of(batch) or ()):
            if behind is not None:
                texts[row] = f'{texts[row][:-2]},for="{in_quotes(behind.text)}"))'
        return texts

    def holders(self, batch: Batch) -> Values:
        """The processes behind each socket; None where it is of no helper."""
        found = self.of(batch)
        return [None if behind is None else behind.processes for behind in found] if found else [None] * len(batch)

    def containers(self, batch: Batch) -> list[tuple[str, ...]]:
        """The ids of the containers that each socket's holders are in, or of the one that is behind it."""
        held = [
            tuple(dict.fromkeys(process.container for process in holders if process.container is not None))
            for holders in batch.values("processes")
        ]
        for row, behind in enumerate(self.of(batch) or ()):
            if behind is not None:
                held[row] = (behind.container,)
        return held

    def names(self, batch: Batch) -> Values:
        """The names of these containers; None where there are none."""
        name = known().name
        return [", ".join(map(name, ids)) or None for ids in self.containers(batch)]

    def _behind(self, pid: int, name: str, end: End) -> Behind | None:
        key = pid, end
        if key not in self._found:
            self._found[key] = self._look(pid, name, end)
        return self._found[key]

    def _look(self, pid: int, name: str, end: End) -> Behind | None:
        options = _options(arguments(pid))
        port: int | None = None
        container: str | None = None
        address: str | None = None
        if name in _PROXIES:
            port = _number(options.get("container-port"))
            address = options.get("container-ip")
        elif name == "conmon" and is_id(found := options.get("c") or options.get("cid") or ""):
            container = found
        published = _published(end, container)
        if published is not None:
            container, port = published
        if port is None or (container is None and address is None):
            # It only keeps the port taken: packets are led by a rule.
            address, port = self._translated(pid, end) or (address, port)
        if container is None and address is not None:
            container = _by_address(address) or self._at(address, end[0], port)
        if container is None and name in _SERVING:
            container = self._served(pid)
        return None if container is None else Behind(container, port, self._holders(container, end[0], port))

    def _served(self, pid: int) -> str | None:
        """The container into whose network namespace a helper leads: by its arguments, or by where its child is."""
        paths = [word.rpartition("=")[2] for word in arguments(pid)[1:]]
        known_paths = [path for path in paths if path.startswith("/") and answers(path)]
        inside = self._inside()[0]
        for path in (*known_paths, *(f"/proc/{child}/ns/net" for child in _children(pid))):
            identity = _identity(path)
            if identity in inside:
                return inside[identity][0]
        return None

    def _inside(self) -> tuple[dict[Identity, list[str]], dict[Identity, str]]:
        if self._namespaces is None:
            self._namespaces = _namespaces_of_containers()
        return self._namespaces

    def _at(self, address: str, protocol: str, port: int | None) -> str | None:
        """The container in whose network namespace that address is; None where there is none, or it cannot be seen.

        A pod's containers share one: it is the one that listens at the port, else any.
        """
        if self._addresses is None:
            self._addresses = _addresses_of_containers(*self._inside())
        sharing = self._addresses.get(address, [])
        for container in sharing[:1]:
            inside = (process.container for process in self._holders(container, protocol, port))
            return next(filter(None, inside), container)
        return None

    def _translated(self, pid: int, end: End) -> tuple[str, int] | None:
        if self._translations is None:
            from .owners_translated import Translations

            self._translations = Translations()
        return self._translations.of(pid, *end)

    def _holders(self, container: str, protocol: str, port: int | None) -> tuple[Process, ...]:
        if port is None:
            return ()
        if container not in self._listeners:
            self._listeners[container] = _listening(container)
        inodes = self._listeners[container].get((protocol, port), [])
        return tuple(process for inode in inodes for process in self._owners.processes(inode))


def _listening(container: str) -> dict[tuple[str, int], list[int]]:
    """The inodes of the sockets that wait for peers in a container's network namespace, by protocol and port."""
    found: dict[tuple[str, int], list[int]] = {}
    for pid in processes([container])[:1]:
        place = Place(f"/proc/{pid}/ns/net")
        try:
            for batch in SocketListing(Query(("tcp", "udp"), states=LISTENING_STATES), [place]).batches():
                for protocol, port, inode in zip(*map(batch.values, ("protocol", "local_port", "inode")), strict=True):
                    found.setdefault((protocol, port), []).append(inode)
        except NetinspectError:
            continue  # it went just now, or may not be entered
    return found


def _namespaces_of_containers() -> tuple[dict[Identity, list[str]], dict[Identity, str]]:
    """The containers in each network namespace but the current one, and a path to it."""
    inside: dict[Identity, list[str]] = {}
    paths: dict[Identity, str] = {}
    for container, pid in first_processes().items():
        path = f"/proc/{pid}/ns/net"
        if (identity := _identity(path)) is not None:
            inside.setdefault(identity, []).append(container)
            paths.setdefault(identity, path)
    inside.pop(_identity("/proc/thread-self/ns/net") or (0, 0), None)
    return inside, paths


def _addresses_of_containers(inside: dict[Identity, list[str]], paths: dict[Identity, str]) -> dict[str, list[str]]:
    """The containers by the addresses in their network namespaces."""
    from ..links.listing_addresses import AddressListing
    from ..links.listing_addresses import Query as Wanted

    found: dict[str, list[str]] = {}
    for identity, containers in inside.items():
        try:
            for batch in AddressListing(Wanted(), [Place(paths[identity])]).batches():
                for address, scope in zip(batch.values("address"), batch.values("scope"), strict=True):
                    if scope == "global":
                        found.setdefault(address, []).extend(containers)
        except NetinspectError:
            continue  # it went just now, or may not be entered
    return found


def _children(pid: int) -> list[str]:
    """The processes that a process's first thread started (proc_pid_task(5): children); none where that is not told."""
    try:
        return read(f"/proc/{pid}/task/{pid}/children").decode("ascii").split()
    except (FileError, UnicodeDecodeError):
        return []


def _identity(path: str) -> Identity | None:
    try:
        status = stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _published(end: End, container: str | None) -> tuple[str, int] | None:
    """The container that an engine says a port is published for, and the port inside."""
    protocol, address, port = end
    for found in known().all():
        if container is not None and found.id != container:
            continue
        for published in found.ports:
            if (published.protocol, published.port) == (protocol, port) and (
                published.address is None or published.address == address or address in _WILDCARDS
            ):
                return found.id, published.container_port
    return None


def _by_address(address: str | None) -> str | None:
    found: Container | None = next((one for one in known().all() if address and address in one.addresses), None)
    return None if found is None else found.id


def _options(words: list[str]) -> dict[str, str]:
    """The options of a command line that have a value in the next word, without their dashes; the first of each."""
    found: dict[str, str] = {}
    for word, value in pairwise([*words[1:], ""]):
        if word.startswith("-"):
            name, equals, given = word.lstrip("-").partition("=")
            found.setdefault(name, given if equals else value)
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 6 else None
