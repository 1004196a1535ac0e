"""Network namespaces to list, and names inside them."""

from __future__ import annotations

import _socket
import posix
from _functools import partial

from ..errors import NamespaceError, NamespaceGoneError, NetinspectError, NetlinkError, UsageError
from ..uapi.netlink import NETLINK_ROUTE
from .columns import Constant
from .netlink.transport import Dump, connect
from .text import raw, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from .columns import Batch
    from .netlink.transport import NetlinkSocket

    Result = TypeVar("Result")

_NAMED = 5
"""How many of the namespaces that are left out are named."""


_LOCAL_PORTS = (32768, 60999)
"""The kernel's default of net.ipv4.ip_local_port_range."""


_NAME_SIZE = 16
"""linux/if.h: IFNAMSIZ, with the NUL. Alternative names may be longer, up to 127 bytes."""
_LONGEST_NAME = 127


def interface_index(name: str) -> int | None:
    """The index of an interface of the current network namespace, by its name or an alternative one.

    None where it has no such interface.
    """
    from os import fsdecode, fsencode

    # Listings show a name that is not UTF-8 by a text that stands for it.
    for candidate in dict.fromkeys((name, fsdecode(raw(name)))):
        try:
            encoded = fsencode(candidate)
            if len(encoded) < _NAME_SIZE:
                return _socket.if_nametoindex(candidate)
        except (OSError, ValueError):
            continue
        if len(encoded) <= _LONGEST_NAME and b"\0" not in encoded:
            index = _index_by_alternative_name(encoded)
            if index is not None:
                return index
    return None


def _index_by_alternative_name(name: bytes) -> int | None:
    from .netlink import interfaces as link

    try:
        answers = Dump(connect(NETLINK_ROUTE), link.request_by_name(name), "looking for an interface")
        return next((index for index, _ in link.names(answers)), None)
    except NetlinkError:
        return None  # there is none, or the kernel has no such names


def interface(name: str) -> tuple[int, str] | None:
    """The index and the name of an interface of the current network namespace, by its name or an alternative one."""
    index = interface_index(name)
    if index is None:
        return None
    from os import fsencode

    try:
        return index, text(fsencode(_socket.if_indextoname(index)))
    except OSError:
        return None  # it went just now


def local_ports() -> tuple[int, int]:
    """The first and the last port that the kernel chooses by itself in the current network namespace."""
    from ..procfs import sysctl

    try:
        first, last = map(int, (sysctl("net.ipv4.ip_local_port_range") or "").split())
    except ValueError:
        return _LOCAL_PORTS
    return first, last


_FINDINGS = 4
"""How often a namespace is looked for anew, whose processes end while it is being opened."""


def _nothing() -> None:
    pass


class Place:
    """A network namespace to look into: where to open it, and its label, None where it need not be known.

    It is entered through its descriptor while it is open. After that it is opened anew each time: columns are made
    when they are asked for, which may be long after the namespace was listed.
    """

    __slots__ = ("_identity", "descriptor", "label", "name")

    def __init__(
        self, name: str | None = None, label: str | None = None, *, identity: tuple[int, int] | None = None
    ) -> None:
        """``name`` is what `--netns` takes: a name, a process id or a path; None is the current namespace.

        ``identity``: st_dev and st_ino, where it is known which namespace must be found there.
        """
        self.name = name
        self.label = label
        self.descriptor: int | None = None
        self._identity = identity

    def open(self) -> None:
        """Opens it. Raises NamespaceError, also where it may not be entered or has become another one.

        Where the process by which it was found has left it, or ended, another one will do, whose id is the label then.
        """
        if self.name is None:
            return
        for left in range(_FINDINGS, -1, -1):
            try:
                self._open(self.name)
            except NamespaceError:
                if self._identity is None or _identity(self.name) == self._identity:
                    raise
                found = self._found_again() if left else None
                if found is None:
                    raise NamespaceGoneError(f"the network namespace {self.name!r} is gone") from None
                if self.label is not None:
                    self.label = found[0]
                self.name = found[1]
            else:
                return

    def _found_again(self) -> tuple[str, str] | None:
        """The label and the path of the same namespace, by what is in it now."""
        from .namespaces import every_namespace

        named = every_namespace(closely=True)[0]
        return next(((label, path) for label, path, identity in named if identity == self._identity), None)

    def _open(self, name: str) -> None:
        from .namespaces import inside, open_namespace

        self.descriptor = open_namespace(name)
        try:
            status = posix.fstat(self.descriptor)
            if self._identity not in (None, (status.st_dev, status.st_ino)):
                raise NamespaceGoneError(f"the network namespace {name!r} is gone")
            self._identity = (status.st_dev, status.st_ino)
            inside(self.descriptor, _nothing)
        except NamespaceError:
            self.close()
            raise

    def __enter__(self) -> Place:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes it."""
        if self.descriptor is not None:
            posix.close(self.descriptor)
            self.descriptor = None

    def call(self, action: Callable[[], Result]) -> Result:
        """What ``action`` returns when run inside. Raises NamespaceError."""
        if self.name is None:
            return action()
        from .namespaces import inside

        if self.descriptor is not None:
            return inside(self.descriptor, action)
        with self:
            return inside(self.descriptor, action)

    def connect(self, protocol: int) -> NetlinkSocket:
        """A netlink socket inside. Raises NamespaceError."""
        opened: NetlinkSocket = self.call(partial(connect, protocol))
        return opened

    def interface_index(self, name: str) -> int | None:
        """The index of an interface inside; None where there is none of that name."""
        index: int | None = self.call(partial(interface_index, name))
        return index

    def interface(self, name: str) -> tuple[int, str] | None:
        """The index and the name of an interface inside, by its name or an alternative one; None: there is none."""
        found: tuple[int, str] | None = self.call(partial(interface, name))
        return found

    def local_ports(self) -> tuple[int, int]:
        """The first and the last port that the kernel chooses by itself inside."""
        ports: tuple[int, int] = self.call(local_ports)
        return ports


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = posix.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class EveryPlace(list[Place]):
    """All visible network namespaces. Raises NetinspectError if /proc is not mounted."""

    def __init__(self) -> None:
        from ..procfs import processes_hidden
        from .namespaces import every_namespace

        more: list[str] = []
        found, hidden = every_namespace(closely=True, problems=more)
        super().__init__([Place(path, label, identity=identity) for label, path, identity in found])
        processes = "1 process" if hidden == 1 else f"{hidden} processes" if hidden else ""
        if processes_hidden():
            processes = f"{processes} and of those" if processes else "processes"
            processes += " that /proc hides (proc(5): hidepid)"
        if processes:
            more.insert(0, f"the network namespaces of {processes} may not be seen: run as root to list all of them")
        self.problem = "; ".join(more)
        """The message about namespaces that are not visible; empty if there are none."""


def unseen(places: Sequence[Place]) -> str:
    """The message about namespaces that are not visible, if all were requested; empty otherwise."""
    return places.problem if isinstance(places, EveryPlace) else ""


def in_places(
    places: Sequence[Place], collect: Callable[[Place], Iterator[Batch]], problem: Callable[[str], object]
) -> Iterator[Batch]:
    """What ``collect`` finds in each place, with a column ``netns`` where places have labels.

    Of several places, those that cannot be entered are passed to ``problem``, except those that are gone meanwhile; the
    only one raises NamespaceError.
    """
    if lacking := unseen(places):
        problem(lacking)
    left_out: dict[str, list[str]] = {}
    for place in places:
        try:
            place.open()
        except NamespaceError as error:
            if len(places) == 1:
                raise
            if isinstance(error, NamespaceGoneError):
                continue  # there is nothing to be known of
            left_out.setdefault(str(error), []).append(place.label or "")
            continue
        try:
            yield from _labelled(place, collect)
        except UsageError:
            raise
        except NetinspectError as error:
            if len(places) == 1:
                raise
            # What somebody makes of one of them takes nothing from the others.
            problem(f"network namespace {place.label or place.name}: {error}")
        finally:
            place.close()
    for reason, labels in left_out.items():
        named = ", ".join(labels[:_NAMED]) + (" …" if len(labels) > _NAMED else "")
        problem(f"network namespaces left out: {len(labels)} ({named}): {reason}")


def _labelled(place: Place, collect: Callable[[Place], Iterator[Batch]]) -> Iterator[Batch]:
    """What there is in a place, with its label where it has one."""
    if place.label is None:
        yield from collect(place)
        return
    label = Constant(place.label)
    for batch in collect(place):
        yield batch.joined({"netns": lambda _: label})


_ONE_BY_ONE = 8
"""Names that are asked for singly: who needs more is better off with all of them."""


_INDEX_END = 1 << 31
"""linux/netdevice.h: an index is an int, and positive."""


class InterfaceNames(dict[int, str]):
    """Names of a namespace's interfaces by index, asked for as they are met."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self._asked = 0

    def __missing__(self, index: int) -> str:
        from .netlink import interfaces as link

        if not 0 < index < _INDEX_END:
            return f"if{index}"
        self._asked += 1
        found = None
        try:
            if self._asked == _ONE_BY_ONE:
                opened = self._place.connect(NETLINK_ROUTE)
                self.update(link.names(Dump(opened, link.dump_request(), "naming interfaces")))
                found = self.get(index)
            if found is None:
                opened = self._place.connect(NETLINK_ROUTE)
                found = link.name(Dump(opened, link.request(index=index), "naming an interface"))
        except (NetlinkError, NamespaceError):
            found = None  # gone, or in another namespace
        name = self[index] = found or f"if{index}"
        return name
