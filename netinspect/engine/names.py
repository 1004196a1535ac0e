"""Names for numbers in the tables that people read: services, users and hosts.

Services and users are dictionaries that fill themselves, so a column of names is one ``map`` over a column of numbers.
Host names need the network: they are looked up in parallel with a common deadline, and ``as_named`` lets rows that need
no lookup overtake those that wait.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from _thread import start_new_thread
from time import monotonic

from .files import has_database, notes, table_lines
from .prefixes import packed
from .text import marked, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from .columns import Batch

    Answer: TypeAlias = "tuple[str, str | None] | None"
    """An address with its name, or None from a thread that has ended."""

SERVICES_FILE = "/etc/services"
HOSTS_FILE = "/etc/hosts"
PROTOCOLS_FILE = "/etc/protocols"
_NAME_SWITCH_FILE = "/etc/nsswitch.conf"
_SERVICES_DATABASE = "/var/lib/misc/services.db"
_SERVICE_PROTOCOLS = {"udplite": "udp", "mptcp": "tcp"}
"""Protocols that share another's ports."""

_WILDCARDS = frozenset((None, "", "*", "0.0.0.0", "::"))
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_LONGEST_HOST_NAME = 253
"""RFC 1035 section 2.3.4, as text."""

_MOST_PENDING = 20_000
"""Concurrent lookups: more could not be answered before any deadline, and memory stays bounded."""
_MOST_KEPT = 50_000
"""Answers kept from one listing to the next."""
_MOST_HELD = 50_000
"""Rows held back for their names, so that memory stays bounded."""
_UNNOTICED = 0.2
"""Seconds that are acceptable to wait for a table."""
_GRACE = 0.02
"""Seconds in which /etc/hosts or a near cache answers: waiting so long keeps most listings in the kernel's order."""


class ServiceNames(dict[int, str]):
    """What to show for a port: the service's name for one protocol (services(5)), or the port in digits; ``*`` for 0.

    The "ports" of raw sockets are IP protocols (protocols(5)). The file is read once, because getservbyport(3) reads
    it anew for every port; it is asked only where nsswitch.conf(5) names further sources.
    """

    def __init__(self, protocol: str, *, last: bool = False, path: str | None = None) -> None:
        """``last``: of several names for one port take the last, as net-tools does; getservbyport takes the first."""
        super().__init__()
        if protocol == "raw":
            self._read(path or PROTOCOLS_FILE, "", last)
        else:
            protocol = _SERVICE_PROTOCOLS.get(protocol, protocol)
            self._read(path or SERVICES_FILE, protocol, last)
        self[0] = "*"
        self._protocol = protocol
        self._ask = path is None and protocol != "raw" and _services_elsewhere() and has_database("services")

    def _read(self, path: str, protocol: str, last: bool) -> None:
        for line in table_lines(path):
            words = line.partition("#")[0].split()
            if len(words) < 2:
                continue
            first, _, of_protocol = words[1].partition("/")
            found = number(first)
            if of_protocol != protocol or found is None:
                continue
            port = found & 0xFFFF  # as htons(3) has it in the C library
            if last or port not in self:
                self[port] = words[0]

    def __missing__(self, port: int) -> str:
        name = str(port)
        if self._ask:
            from _socket import getservbyport

            from .in_time import in_time

            try:
                name = in_time(getservbyport, port, self._protocol)
            except TimeoutError:
                self._ask = False
                notes.setdefault("services", "look-ups of services timed out: showing numbers instead of their names")
            except (OSError, OverflowError, UnicodeDecodeError):
                pass
        self[port] = name
        return name


class Services:
    """Names of services by protocol and port. Those of a protocol are read when the first is asked for."""

    def __init__(self, *, last: bool = False) -> None:
        """``last`` is that of ServiceNames."""
        self._last = last
        self._names: dict[str, ServiceNames] = {}

    def name(self, protocol: str, port: int) -> str:
        """What to show for a port of that protocol."""
        names = self._names.get(protocol)
        if names is None:
            names = self._names[protocol] = ServiceNames(protocol, last=self._last)
        return names[port]


def _services_elsewhere() -> bool:
    """Whether services are also to be found outside the file: in LDAP, say."""
    lines = [line.partition("#")[0].split() for line in table_lines(_NAME_SWITCH_FILE)]
    sources = {word for words in lines if words and words[0] == "services:" for word in words[1:]}
    if "db" in sources:
        from os.path import exists

        if exists(_SERVICES_DATABASE):
            return True
    return bool({source for source in sources if source.isalnum()} - {"files", "db"})


class UserNames(dict["int | None", "str | None"]):
    """What to show for a user id: the name (getpwuid(3)), or the id in digits where there is none; None for None."""

    def __init__(self) -> None:
        super().__init__({None: None})
        self._ask: bool | None = None

    def __missing__(self, uid: int | None) -> str | None:
        from pwd import getpwuid

        from .in_time import in_time

        if self._ask is None:
            self._ask = has_database("passwd")
        name = str(uid)
        if self._ask:
            try:
                name = marked(in_time(getpwuid, uid).pw_name)
            except TimeoutError:
                self._ask = False
                notes.setdefault("passwd", "look-ups of users timed out: showing numbers instead of their names")
            except (KeyError, OSError):
                pass
        self[uid] = name
        return name


def reverse_lookup(address: str) -> str:
    """The name of a numeric address (gethostbyaddr(3)). Raises OSError where it has none."""
    # Not getnameinfo: Python keeps the interpreter locked during that one, and everything waits for the resolver.
    from _socket import gethostbyaddr

    return gethostbyaddr(address)[0]


class HostsFile:
    """Names of addresses in hosts(5) alone. Nothing is sent for them. The file is read when the first is asked for."""

    def __init__(self, path: str = HOSTS_FILE) -> None:
        self._path = path
        self._names: dict[bytes, str] | None = None

    def __call__(self, address: str) -> str:
        """The name of a numeric address: the first of the first line that has it. Raises OSError, KeyError."""
        if self._names is None:
            names: dict[bytes, str] = {}
            for line in table_lines(self._path):
                words = line.partition("#")[0].split()
                if len(words) > 1:
                    try:
                        names.setdefault(packed(words[0]), words[1])
                    except (OSError, ValueError):
                        continue
            self._names = names
        return self._names[packed(address)]


class HostNames:
    """Names of addresses, looked up in a bounded number of threads, with one deadline for all of them together.

    ``want`` starts look-ups and returns at once; ``pending`` has the addresses whose answer is still out; ``settle``
    waits for all answers, until the deadline; ``get`` has the name, or the address itself where there is none. The
    deadline runs from the first ``want``. After it nothing is looked up, and ``get`` answers with what is known.
    ``restart`` begins another listing (``--watch``) with a new deadline: what is known is not asked again.

    Only the caller's thread touches the state: the threads take from one queue and put into another. They end when
    there is nothing to look up, and a process may exit while they hang in the resolver. Look-ups run in the network
    namespace in which ``want`` is called.

    A name is only what the owner of the address put into the DNS. One that is no host name, or reads as a numeric
    address, is dropped.
    """

    TIMED_OUT = "host lookups timed out; showing numeric addresses"
    """What to say of an incomplete listing."""

    def __init__(
        self,
        deadline: float = 2.0,
        threads: int = 32,
        resolve: Callable[[str], str] = reverse_lookup,
    ) -> None:
        """``deadline`` is in seconds. ``resolve`` is called in many threads; whatever it raises means: no name."""
        self.incomplete = False
        """Whether an address of this listing is shown numerically because its lookup timed out."""
        self.pending: set[str] = set()
        """Addresses of this listing whose answer is still out."""
        self._deadline = deadline
        self._threads = threads
        self._resolve = resolve
        self._ends: float | None = None
        self._names: dict[str, str | None] = {}
        self._asked: set[str] = set()  # also those of an earlier listing whose look-up still hangs
        self._running = 0
        self._requests: SimpleQueue[str] = SimpleQueue()
        self._answers: SimpleQueue[Answer] = SimpleQueue()

    def want(self, addresses: Iterable[str | None]) -> None:
        """Starts to look up the addresses that are neither known nor on their way. Wildcards and None have no name."""
        if self._ends is None:
            self._ends = monotonic() + self._deadline
        self._take_ready()
        new = set(addresses).difference(_WILDCARDS, self._names, self.pending)
        if not new:
            return
        if monotonic() >= self._ends:
            self._give_up()
            self.incomplete = True
            return
        for address in new:
            if len(self.pending) >= _MOST_PENDING:
                self.incomplete = True
                break
            self.pending.add(address)  # type: ignore[arg-type]  # None is among the wildcards
            if address not in self._asked:
                self._asked.add(address)  # type: ignore[arg-type]
                self._requests.put(address)  # type: ignore[arg-type]
        self._start_threads()

    def wait(self, until: float) -> None:
        """Waits for the answers, at most until that time (of ``time.monotonic``) and at most until the deadline."""
        if self._ends is not None:
            until = min(until, self._ends)
        while self.pending and self._running:
            remaining = until - monotonic()
            if remaining <= 0:
                return
            try:
                self._take(self._answers.get(True, remaining))
            except Empty:
                return

    def settle(self) -> None:
        """Waits for the answers until the deadline. Then nothing is pending: what is missing stays in digits."""
        if self._ends is not None:
            self.wait(self._ends)
        if self.pending:
            self._give_up()

    def get(self, address: str) -> str:
        """The address's name, or the address where none is known."""
        return self._names.get(address) or address

    def restart(self) -> None:
        """Begins another listing: names are kept (a bounded number of them), the deadline runs anew."""
        self._take_ready()
        self._give_up()
        if len(self._names) > _MOST_KEPT:
            self._names.clear()
        self._ends = None
        self.incomplete = False

    def _take_ready(self) -> None:
        try:
            while True:
                self._take(self._answers.get_nowait())
        except Empty:
            pass

    def _take(self, answer: Answer) -> None:
        if answer is None:
            self._running -= 1
            self._start_threads()  # a request may have come just as the thread ended
            return
        address, name = answer
        self._names[address] = name
        self._asked.discard(address)
        self.pending.discard(address)

    def _give_up(self) -> None:
        """Forgets the requests that no thread has taken up; what a thread still finds out is for the next listing."""
        try:
            while True:
                self._asked.discard(self._requests.get_nowait())
        except Empty:
            pass
        self.incomplete |= bool(self.pending)
        self.pending.clear()

    def _start_threads(self) -> None:
        for _ in range(min(self._threads - self._running, self._requests.qsize())):
            try:
                start_new_thread(_look_up, (self._requests, self._answers, self._resolve))
            except RuntimeError:
                return  # the system has no more threads for us: those that run do the work, or nobody does
            self._running += 1


def _look_up(requests: SimpleQueue[str], answers: SimpleQueue[Answer], resolve: Callable[[str], str]) -> None:
    """One thread: answers requests until there is none."""
    try:
        while True:
            address = requests.get_nowait()
            try:
                name = resolve(address)
            except Exception:
                name = ""  # UnicodeError, for one: a hostile name must not end the thread
            answers.put((address, name if _is_host_name(name) else None))
    except Empty:
        answers.put(None)


def _is_host_name(name: str) -> bool:
    """Whether the text is made as a host name is, and does not read as a numeric address."""
    return (
        0 < len(name) <= _LONGEST_HOST_NAME
        and _HOST_CHARACTERS.issuperset(name)
        and not name.replace(".", "").isdecimal()
    )


def as_named_in_order(batches: Iterable[Batch], hosts: HostNames, fields: Sequence[str]) -> Iterator[Batch]:
    """The same rows in the same order, when the names in their ``fields`` and those before are known or given up."""
    held: list[Batch] = []
    rows_held = 0
    for batch in batches:
        for field in fields:
            hosts.want(batch.values(field))
        held.append(batch)
        rows_held += batch.count
        if not hosts.pending or rows_held > _MOST_HELD:
            hosts.settle()
            yield from held
            held, rows_held = [], 0
    hosts.settle()
    yield from held


def as_named(
    batches: Iterable[Batch],
    hosts: HostNames,
    fields: Sequence[str] = ("local_address", "remote_address"),
    on_wait: Callable[[Sequence[Batch]], object] | None = None,
) -> Iterator[Batch]:
    """The same rows, each as soon as the names of its addresses are known or given up: ``hosts.get`` then has them.

    Rows that need no look-up pass at once. The others are held back and follow, in their own order, when their answers
    are there, at the latest at the deadline. So the order is the kernel's within each of the two, and as a whole where
    the answers come from /etc/hosts or a near cache. ``on_wait`` gets which rows are held back when that begins to be
    noticed, so that whoever has the others can show them.
    """
    held: list[Batch] = []
    rows_held = 0
    grace_ends: float | None = None
    for batch in batches:
        columns = [list(batch.values(field)) for field in fields]
        for column in columns:
            hosts.want(column)
        if hosts.pending:
            if grace_ends is None:
                grace_ends = monotonic() + _GRACE
            hosts.wait(grace_ends)
        if not hosts.pending:
            yield from held
            held, rows_held = [], 0
            yield batch
            continue
        waiting = [not hosts.pending.isdisjoint(addresses) for addresses in zip(*columns, strict=True)]
        ready = batch.select([not waits for waits in waiting])
        if ready.count:
            yield ready
        if ready.count < batch.count:
            held.append(batch.select(waiting))
            rows_held += batch.count - ready.count
        if rows_held > _MOST_HELD:
            hosts.settle()
            yield from held
            held, rows_held = [], 0
    if held:
        if on_wait is not None:
            hosts.wait(monotonic() + _UNNOTICED)
            if hosts.pending:
                on_wait(held)
        hosts.settle()
        yield from held
