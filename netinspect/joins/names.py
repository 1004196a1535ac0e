"""Names for numbers in the tables that people read: services, users and hosts.

Services and users are dictionaries that fill themselves, so that a column of names is one ``map`` over a column of
numbers. Host names take the network: they are looked up side by side, and all of them together have one deadline.
"""

from __future__ import annotations

from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SERVICES_FILE = "/etc/services"
_SERVICES_DATABASE = "/var/lib/misc/services.db"
_NAME_SWITCH_FILE = "/etc/nsswitch.conf"

_WILDCARDS = frozenset(("", "*", "0.0.0.0", "::"))
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_CACHED_HOSTS = 50_000
"""Addresses whose answer is kept, so that memory stays bounded however long a table is watched."""

NI_NAMEREQD = 8
"""netdb.h: no name is an error, not the address in digits."""


class ServiceNames(dict[int, str]):
    """What to show for a port: the service's name for one protocol (services(5)), or the port in digits.

    The file is read once, because getservbyport(3) reads it anew for every port, at 16 µs each. getservbyport is
    asked only where nsswitch.conf(5) names further sources.
    """

    def __init__(self, protocol: str, path: str = SERVICES_FILE) -> None:
        super().__init__(_services(protocol, path))
        self._protocol = protocol
        self._ask = path == SERVICES_FILE and _services_elsewhere()

    def __missing__(self, port: int) -> str:
        name = str(port)
        if self._ask:
            from _socket import getservbyport

            try:
                name = getservbyport(port, self._protocol)
            except (OSError, OverflowError):
                pass
        self[port] = name
        return name


class UserNames(dict[int, str]):
    """What to show for a user id: the name (getpwuid(3)), or the id in digits where there is none."""

    def __missing__(self, uid: int) -> str:
        from pwd import getpwuid

        try:
            name = getpwuid(uid).pw_name
        except (KeyError, OSError):
            name = str(uid)
        self[uid] = name
        return name


def reverse_lookup(address: str) -> str:
    """The name of a numeric address (getnameinfo(3)). Raises OSError where it has none."""
    from _socket import getnameinfo

    return getnameinfo((address, 0), NI_NAMEREQD)[0]


class HostNames:
    """Names of addresses: looked up in a bounded number of threads, with one deadline for all of them together.

    ``want`` starts look-ups and returns at once, ``settle`` waits for them until the deadline, ``get`` has the names.
    The next ``want`` begins a new round with a new deadline; what is known, and what has no name, is not asked again.
    The threads keep nobody waiting: they end when there is nothing to look up, and a process may exit while they hang
    in the resolver. Look-ups run in the network namespace of the thread that calls ``want``.

    A name says only what the owner of the address put into DNS. One that is not a host name, or looks like a numeric
    address, is dropped.
    """

    def __init__(
        self,
        deadline: float = 2.0,
        threads: int = 32,
        resolve: Callable[[str], str] = reverse_lookup,
    ) -> None:
        """``deadline`` is in seconds from a round's first ``want``. ``resolve`` may be called in many threads."""
        from _collections import deque

        self.unresolved = 0
        """How many addresses of the round had no answer when the deadline passed; known after ``settle``."""
        self._deadline = deadline
        self._threads = threads
        self._resolve = resolve
        self._ends: float | None = None
        self._wanted: set[str] = set()
        self._names: dict[str, str | None] = {}
        # Below: shared with the threads, and guarded by the lock.
        self._lock = allocate_lock()
        self._queue: deque[str] = deque()
        self._asked: set[str] = set()
        self._answers: dict[str, str | None] = {}
        self._waiting: set[str] = set()
        self._running = 0
        self._idle = allocate_lock()
        """Held while look-ups of this round are on their way: whoever gets it knows that all are answered."""

    def want(self, addresses: Iterable[str | None]) -> None:
        """Starts to look up the addresses that are neither known nor on their way. Wildcards and None have no name."""
        wanted = set(addresses) - _WILDCARDS - {None}
        if self._ends is None:
            from time import monotonic

            self._ends = monotonic() + self._deadline
            self._forget(wanted)
        with self._lock:
            new = [address for address in wanted if address is not None and address not in self._asked]
            self._asked.update(new)
            self._queue.extend(new)
            self._waiting.update(new)
            self._wanted.update(new)
            self._wanted.update(address for address in wanted if address in self._asked)
            if self._waiting:
                self._idle.acquire(False)
            self._start()

    def _forget(self, wanted: set[str | None]) -> None:
        pass
