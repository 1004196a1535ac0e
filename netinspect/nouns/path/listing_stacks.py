"""The namespaces that packets pass, and which of them is at the other end of a veth pair."""

from __future__ import annotations

import os

from ...engine.namespaces import every_namespace
from ...engine.netlink import nsid
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...errors import NamespaceError, NetlinkError
from ...uapi.netlink import NETLINK_ROUTE
from .listing_stack import Stack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .listing_stack import Interface


class Stacks:
    """The namespaces that packets pass, each read once however often they come by."""

    def __init__(self, *, closely: bool = False) -> None:
        self.closely = closely
        """Whether to find also namespaces that a thread, a mount or an open file keeps, by a look at every descriptor.
        """
        self.rules: dict[int, object] = {}
        """What walks read of the rules of each."""
        self._stacks: dict[tuple[int, int], Stack] = {}
        self._every: list[tuple[str, str, tuple[int, int]]] | None = None
        self._closer: dict[tuple[int, int], tuple[str, str, tuple[int, int]]] | None = None
        self._numbers: dict[tuple[int, int], dict[int, tuple[str, str, tuple[int, int]]]] = {}

    def of(self, place: Place) -> Stack:
        """The stack of a place, which is open and stays so."""
        status = os.stat("/proc/thread-self/ns/net") if place.descriptor is None else os.fstat(place.descriptor)
        identity = (status.st_dev, status.st_ino)
        if identity not in self._stacks:
            label = place.label or place.name
            if label is None or "/" in label:
                label = next(
                    (name for name, path, found in self._seen() if found == identity and "/proc/" not in path), "here"
                )
            self._stacks[identity] = Stack(place, label)
        return self._stacks[identity]

    def peer(self, stack: Stack, interface: Interface) -> tuple[Stack, Interface] | str | None:
        """The other end of a veth pair; a message if it is not visible; None if there is none."""
        if interface.kind != "veth" or not interface.parent_index:
            return None
        if interface.parent_nsid is None:
            found = stack.interfaces.get(interface.parent_index)
            return (stack, found) if found is not None else None
        other = self._numbered(stack, interface.parent_nsid)
        if other is None:
            return (
                f"interface {interface.parent_index} of a network namespace that may not be seen (nsid "
                f"{interface.parent_nsid})"
            )
        found = other.interfaces.get(interface.parent_index)
        return (other, found) if found is not None else f"an interface of {other.label} that is gone"

    def parent(self, stack: Stack, interface: Interface) -> tuple[Stack, Interface] | None:
        """The interface below another one, and its namespace; None where it cannot be seen."""
        if not interface.parent_index:
            return None
        lower = stack if interface.parent_nsid is None else self._numbered(stack, interface.parent_nsid)
        found = lower.interfaces.get(interface.parent_index) if lower is not None else None
        return (lower, found) if lower is not None and found is not None else None

    def sharing(self, stack: Stack, lower: Interface) -> Iterator[tuple[Stack, Interface]]:
        """The interfaces in other namespaces that have this one below them, as macvlan has."""
        for namespace in self._seen():
            other = self._opened(*self._still(*namespace))
            if other is None or other is stack:
                continue
            for found in other.interfaces.values():
                if found.parent_index == lower.index and found.parent_nsid is not None and found.kind != "veth":
                    below = self.parent(other, found)
                    if below is not None and below[0] is stack:
                        yield other, found

    def _still(self, label: str, path: str, identity: tuple[int, int]) -> tuple[str, str, tuple[int, int]]:
        """A namespace as it is found now: the process by which it was found may have left it.

        All that have gone meanwhile cost one closer look together, where each would cost one when it is opened.
        """
        if identity in self._stacks or _leads_to(path, identity):
            return label, path, identity
        if self._closer is None:
            self._closer = {found[2]: found for found in every_namespace(closely=True)[0]}
        found = self._closer.get(identity)
        return found if found is not None and _leads_to(found[1], identity) else (label, "", identity)

    def _opened(self, label: str, path: str, identity: tuple[int, int]) -> Stack | None:
        """The stack of a namespace; None where it has gone."""
        if identity not in self._stacks:
            if not path:
                return None
            place = Place(path, label, identity=identity)
            try:
                place.open()
            except NamespaceError:
                return None
            self._stacks[identity] = Stack(place, label)
        return self._stacks[identity]

    def _seen(self) -> list[tuple[str, str, tuple[int, int]]]:
        if self._every is None:
            self._every = every_namespace()[0]
        return self._every

    def _numbered(self, stack: Stack, number: int) -> Stack | None:
        identity = next(key for key, value in self._stacks.items() if value is stack)
        known = self._numbers.setdefault(identity, {})
        if number not in known:
            # What is open already may be of no process, and without a name.
            for single, other in list(self._stacks.items()):
                if other.place.descriptor is not None:
                    found = self._number_asked(stack, other.place.descriptor)
                    if found is not None:
                        known[found] = (other.label, "", single)
        if number not in known:
            self._learn(stack, number, known, self._seen())
        if number not in known and self.closely:
            self._every = every_namespace(closely=True)[0]
            self._learn(stack, number, known, self._every)
        return self._opened(*known[number]) if number in known else None

    def _learn(
        self,
        stack: Stack,
        number: int,
        known: dict[int, tuple[str, str, tuple[int, int]]],
        namespaces: list[tuple[str, str, tuple[int, int]]],
    ) -> None:
        """The numbers that a namespace has for others, until the one that is looked for."""
        for namespace in namespaces:
            if namespace in known.values():
                continue
            found = self._number_of(stack, namespace[1])
            if found is not None:
                known[found] = namespace
            if found == number:
                return

    @staticmethod
    def _number_of(stack: Stack, path: str) -> int | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None  # gone just now, or not ours to see
        try:
            return Stacks._number_asked(stack, descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _number_asked(stack: Stack, descriptor: int) -> int | None:
        try:
            asked = Dump(stack.place.connect(NETLINK_ROUTE), nsid.request(descriptor), "numbering a namespace")
            return nsid.number(next(asked.answers(), []))
        except NetlinkError:
            return None

    def close(self) -> None:
        """Closes the places that were opened on the way."""
        for stack in self._stacks.values():
            stack.place.close()

    def __iter__(self) -> Iterator[Stack]:
        return iter(list(self._stacks.values()))


def _leads_to(path: str, identity: tuple[int, int]) -> bool:
    """Whether a path leads to that namespace still."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity
