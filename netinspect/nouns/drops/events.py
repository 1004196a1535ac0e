"""Packets as they are dropped, reported by a BPF program on the tracepoint kfree_skb; no other source is used.

A drop that the program could not hand over, since the ring buffer was full or the program was running already on that
processor, is counted by the kernel: ``lost``. All of it is held by descriptors of this process, and gone with it.
"""

from __future__ import annotations

import os
from _operator import itemgetter
from collections import Counter
from select import POLLIN, poll
from time import monotonic, sleep, time

from ...engine.bpf import kernel
from ...engine.bpf.btf import TYPES_LIMIT, VMLINUX, Btf
from ...engine.bpf.ring import Ring
from ...engine.files import read as read_file
from ...engine.namespaces import every_namespace
from ...engine.places import InterfaceNames, Place
from ...errors import FileError, NamespaceError, NetinspectError
from ...procfs import code_symbols
from ...records import Drop, DropCount
from ..sockets.owners import Owners
from . import request
from .decode import Header, packet_text, records
from .filter import Filter
from .listing_rules import DROPPED_BY_RULES, Rules
from .names import Places, Reasons, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from ...records import Process
    from .decode import Raw

    Key = tuple[int | bytes, ...]

_RING = 1 << 24
"""Bytes of the ring buffer: a second of 100,000 drops/s, for which a busy machine may not let this process run."""
_AT_ONCE = 1 << 13
"""Records that are taken at once."""
_BUSY = 64
"""Records at a time that show that more come than need a wake-up each."""
_PAUSE = 0.01
"""Seconds in which they gather then."""
_LOOK_AGAIN = 1.0
"""Seconds until namespaces and processes are looked at again for one that was not there."""
_ALIKE = (4, 3, 1, 5)
"""Namespace, reason, place and interface of a record."""
_alike = itemgetter(*_ALIKE)
_DISTINCT = 10_000
"""Packets that the firewall dropped and that rules may distinguish: of more than that no rule is looked for."""


class Unavailable(NetinspectError):
    """Dropped packets cannot be seen: ``forbidden`` says that more privileges would do."""

    def __init__(self, text: str, *, forbidden: bool = False) -> None:
        super().__init__(text)
        self.forbidden = forbidden


class Source:
    """The program, attached. ``namespaces`` are the inodes of those that are wanted; empty is all."""

    def __init__(self, namespaces: Collection[int]) -> None:
        """Raises Unavailable where this kernel or this user has no such thing."""
        self._descriptors: list[int] = []
        self._ring: Ring | None = None
        try:
            self._open(namespaces)
        except BaseException as error:
            self.close()
            if isinstance(error, kernel.BpfError) and error.forbidden:
                raise Unavailable(
                    "seeing dropped packets needs root, or CAP_BPF and CAP_PERFMON; `netinspect drops account` shows "
                    "counters without them",
                    forbidden=True,
                ) from None
            if isinstance(error, OSError):
                raise Unavailable(f"mapping the BPF ring buffer: {error.strerror}") from None
            if isinstance(error, NetinspectError):
                raise Unavailable(str(error)) from None
            raise

    def _open(self, namespaces: Collection[int]) -> None:
        try:
            types = Btf(read_file(VMLINUX, TYPES_LIMIT), request.WANTED)
        except FileError:
            raise NetinspectError(
                f"this kernel does not describe its types ({VMLINUX}: CONFIG_DEBUG_INFO_BTF)"
            ) from None
        layout = request.Layout(types)
        self.reasons = Reasons(*map(types.values, request.REASONS))
        self.by_rules = frozenset([number for number, name in self.reasons.items() if name == DROPPED_BY_RULES])
        self.gives_reasons = layout.arguments >= 3
        lost = self._kept(kernel.counters(1))
        descriptor = self._kept(kernel.ring_buffer(_RING))
        self._program = self._kept(kernel.load(request.program(layout, descriptor, lost, namespaces)))
        self._ring = Ring.of(descriptor, _RING, request.RECORD.size)
        self._lost = kernel.Counters(lost)
        self.places = Places(code_symbols())
        self.descriptor = descriptor
        self._kept(kernel.attach(self._program, request.TRACEPOINT))

    def _kept(self, descriptor: int) -> int:
        self._descriptors.append(descriptor)
        return descriptor

    def take(self, most: int = _AT_ONCE) -> list[Raw]:
        """What was dropped meanwhile, and no more than ``most``."""
        return [] if self._ring is None else list(records(self._ring.take(most)))

    @property
    def lost(self) -> int:
        """How many drops it could not hand over, since it was attached."""
        return self._lost[0] + kernel.recursion_misses(self._program)

    def close(self) -> None:
        """Takes the program away."""
        for descriptor in reversed(self._descriptors):
            os.close(descriptor)
        self._descriptors.clear()
        if self._ring is not None:
            self._ring.close()
            self._ring = None


class Namespaces:
    """The network namespaces that are looked at, by inode: their labels, and the names of their interfaces."""

    def __init__(self, places: Sequence[Place], *, every: bool) -> None:
        """``places`` are open, unless ``every`` namespace is looked at."""
        self.every = every
        self._places: dict[int, Place] = {}
        self._names: dict[int, InterfaceNames] = {}
        self._looked = 0.0
        if every:
            self._look()
        else:
            for place in places:
                self._places[_inode(place)] = place

    @property
    def inodes(self) -> frozenset[int]:
        """Those that are wanted; empty is all."""
        return frozenset() if self.every else frozenset(self._places)

    def _look(self) -> None:
        self._looked = monotonic()
        for label, path, identity in every_namespace(closely=True)[0]:
            self._places.setdefault(identity[1], Place(path, label, identity=identity))

    def place(self, inode: int) -> Place | None:
        """The namespace of that inode; None where it is not to be found."""
        if self.every and inode and inode not in self._places and monotonic() - self._looked > _LOOK_AGAIN:
            self._look()
        return self._places.get(inode)

    def label(self, inode: int) -> str | None:
        """What to call it, where that is to be known: its inode as `lsns` has it where it is not to be found."""
        place = self.place(inode)
        if place is not None:
            return place.label
        return f"net:[{inode}]" if self.every and inode else None

    def interface(self, inode: int, index: int) -> str | None:
        """The name of an interface: None where the packet is on none."""
        if not index:
            return None
        names = self._names.get(inode)
        if names is None:
            place = self.place(inode)
            if place is None:
                return f"if{index}"
            names = self._names[inode] = InterfaceNames(place)
        return names[index]


def _flow_of(raw: Raw) -> tuple[object, ...] | None:
    """What a filter looks at, but for processes; None where the header is no plain one."""
    header = raw[11]
    first = header[:1]
    if first == b"\x45" and header[6:8] in (b"\0\0", b"\x40\0"):
        return (*raw[2:7], raw[9], raw[10], header[9:10], header[12:24])
    if b"\x60" <= first <= b"\x6f" and header[6:7] in (b"\x06", b"\x11"):
        return (*raw[2:7], raw[9], raw[10], header[6:7], header[8:44])
    return None


def _flow_key(header: bytes) -> bytes:
    """The fields most rules match: protocol, addresses and, without options, the destination port."""
    if header[:1] < b"\x60":
        return header[9:10] + header[12:20] + header[22:24]
    return header[6:7] + header[8:40] + header[42:44]


def _inode(place: Place) -> int:
    if place.descriptor is None:
        return os.stat("/proc/thread-self/ns/net").st_ino
    return os.fstat(place.descriptor).st_ino


class _Holders:
    """Processes by the inodes of their sockets: all are read when one is asked for that is not known."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Process, ...]] = {}
        self._looked = float("-inf")
        self._owners = Owners()

    def of(self, inode: int) -> tuple[Process, ...]:
        """The processes that hold it: none where it has been closed."""
        found = self._known.get(inode)
        if not found and monotonic() - self._looked > _LOOK_AGAIN:
            self._owners = Owners()
            self._owners.scan()
            self._looked = monotonic()
            self._known.clear()
            found = None
        if found is None:
            found = self._known[inode] = self._owners.processes(inode)
        return found


class Watch:
    """Watches some namespaces. Close it, or use it as a context manager."""

    def __init__(self, namespaces: Namespaces, wanted: Filter | None = None) -> None:
        """Raises Unavailable."""
        self._namespaces = namespaces
        self._wanted = wanted or Filter()
        self._holders = _Holders()
        self._rules = Rules()
        self._known: dict[tuple[object, ...], bool] = {}
        self.unplaced = 0
        """Drops that are left out since it is not known in which namespace they were."""
        self._source = Source(namespaces.inodes)
        self._begun = time() - monotonic()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Takes the program out of the kernel."""
        self._source.close()

    @property
    def lost(self) -> int:
        """How many drops could not be kept up with: nothing is known of them."""
        return self._source.lost

    def fileno(self) -> int:
        """The descriptor, for poll(2)."""
        return self._source.descriptor

    def pending(self) -> list[Drop]:
        """What was dropped and has not been taken yet, without waiting for more."""
        return list(self._wanted_of(self._selected(self._source.take())))

    def _taken(self, seconds: float | None) -> Iterator[list[Raw]]:
        """What is dropped, as it happens, for that many seconds; empty lists in between."""
        end = None if seconds is None else monotonic() + seconds
        waiting = poll()
        waiting.register(self._source.descriptor, POLLIN)
        while True:
            left = 1.0 if end is None else end - monotonic()
            if left <= 0:
                break
            taken = self._source.take()
            yield self._selected(taken) if taken else taken
            if len(taken) < _AT_ONCE:
                if len(taken) >= _BUSY:
                    sleep(min(_PAUSE, left))
                else:
                    waiting.poll(1000 * min(1.0, left))
        left_over = _RING // request.RECORD.size  # no more than can be there: others may come without end
        while left_over > 0 and (taken := self._source.take()):
            yield self._selected(taken)
            left_over -= len(taken)

    def _selected(self, taken: list[Raw]) -> list[Raw]:
        """Those in the namespaces that are wanted, and for a reason that is."""
        if not self._namespaces.every:
            # What is of no namespace, no interface and no Ethernet type is a message between sockets, and no packet.
            self.unplaced += sum(1 for raw in taken if not raw[4] and (raw[5] or raw[6] or raw[9]))
            taken = [raw for raw in taken if raw[4]]
        if self._wanted.reasons:
            names, wanted = self._source.reasons, self._wanted.reasons
            taken = [raw for raw in taken if names[raw[3]] in wanted]
        return taken

    def events(self, seconds: float | None = None) -> Iterator[list[Drop]]:
        """Packets as they are dropped, for that many seconds, None is for ever; empty lists in between."""
        for taken in self._taken(seconds):
            yield list(self._wanted_of(taken))

    def _wanted_of(self, taken: Sequence[Raw]) -> Iterator[Drop]:
        for raw in taken:
            drop = self._drop(raw)
            if self._wanted.wants(drop):
                drop = self._held(drop, raw)
                if self._wanted.wants_processes(drop):
                    yield drop

    def counts(self, seconds: float | None = None, each: float | None = None) -> Iterator[list[DropCount]]:
        """What was dropped so far, most first: at the end, and every ``each`` seconds where that is given."""
        totals: Counter[Key] = Counter()
        last: dict[Key, Raw] = {}
        plain = self._wanted.of_reasons_alone
        begun = monotonic()
        due = begun + each if each else float("inf")
        for taken in self._taken(seconds):
            if not plain:
                taken = [raw for raw in taken if self._is_wanted(raw)]
            if taken:
                keys: list[Key] = list(map(_alike, taken))
                if self._source.by_rules:
                    # Which rule it was is worked out at the end, once for packets that rules treat alike.
                    few = len(totals) < _DISTINCT
                    keys = [
                        (*key, _flow_key(raw[11])) if few and key[1] in self._source.by_rules else key
                        for key, raw in zip(keys, taken, strict=True)
                    ]
                totals.update(keys)
                last.update(zip(keys, taken, strict=True))
            if monotonic() >= due:
                yield self._counted(totals, last, monotonic() - begun)
                due += each or 0
        yield self._counted(totals, last, monotonic() - begun)

    def _is_wanted(self, raw: Raw) -> bool:
        """Whether a packet is wanted: asked once for packets of one flow that were dropped alike."""
        key = None if self._wanted.pids else _flow_of(raw)
        if key is None:
            return self._decided(raw)
        decided = self._known.get(key)
        if decided is None:
            if len(self._known) >= _DISTINCT:
                self._known.clear()
            decided = self._known[key] = self._decided(raw)
        return decided

    def _decided(self, raw: Raw) -> bool:
        drop = self._drop(raw)
        if not self._wanted.wants(drop):
            return False
        return not self._wanted.pids or self._wanted.wants_processes(self._held(drop, raw))

    def _counted(self, totals: Counter[Key], last: dict[Key, Raw], elapsed: float) -> list[DropCount]:
        merged: dict[tuple[object, ...], DropCount] = {}
        for key, packets in totals.most_common():
            made = self._count(last[key], packets, elapsed)
            of_rule = made.netns, made.reason, made.place, made.interface, made.rule
            if len(key) > len(_ALIKE) and of_rule in merged:
                packets += merged[of_rule].packets
                merged[of_rule] = merged[of_rule]._replace(packets=packets, rate=round(packets / elapsed, 3))
            else:
                merged[of_rule if len(key) > len(_ALIKE) else key] = made
        return sorted(merged.values(), key=lambda count: -count.packets)

    def _count(self, raw: Raw, packets: int, elapsed: float) -> DropCount:
        drop = self._held(self._drop(raw), raw)
        return DropCount(
            packets=packets,
            rate=round(packets / elapsed, 3),
            reason=drop.reason,
            place=drop.place,
            interface=drop.interface,
            rule=drop.rule,
            last=packet_text(drop),
            processes=drop.processes,
            meaning=drop.meaning,
            look=drop.look,
            netns=drop.netns,
        )

    def _drop(self, raw: Raw) -> Drop:
        """The record, except what has to be looked up: the processes and the rule."""
        when, place, inode, number, namespace, interface, received_on, mark, length, ethernet, family, data = raw
        reason = self._source.reasons[number] if self._source.gives_reasons else None
        function = self._source.places[place]
        meaning, look = text_of(reason, function)
        header = Header(ethernet, data, family)
        named: Callable[[int, int], str | None] = self._namespaces.interface
        return Drop(
            self._begun + when / 1e9,
            reason,
            function,
            named(namespace, interface),
            interface or None,
            named(namespace, received_on),
            header.family,
            header.protocol,
            header.source,
            header.source_port,
            header.destination,
            header.destination_port,
            header.icmp_type,
            header.icmp_code,
            header.flags,
            header.ttl,
            length,
            mark or None,
            inode or None,
            (),
            None,
            1,
            meaning,
            look,
            "bpf",
            namespace or None,
            self._namespaces.label(namespace),
        )

    def _held(self, drop: Drop, raw: Raw) -> Drop:
        """With what has to be looked up."""
        try:
            if drop.inode is not None:
                drop = drop._replace(processes=self._holders.of(drop.inode))
            if drop.reason == DROPPED_BY_RULES:
                drop = drop._replace(rule=self._rules.of(self._namespaces.place(raw[4]), raw))
        except NamespaceError:
            pass  # it is gone
        return drop
