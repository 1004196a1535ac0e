"""The sockets among the descriptors of all tasks, in one go: a BPF iterator (Documentation/bpf/bpf_iterators.rst).

A program that the kernel runs for each descriptor of each task writes of sockets who has them. Threads that share the
table of their process are left out by the kernel. It takes root (CAP_BPF and CAP_PERFMON), the kernel's types, Linux
5.11, and the initial pid namespace: the ids are those of that.

Of the types a few places are needed, and they are looked for in the file as it is: reading all of them takes ten times
as long as the rest. What is found so is tried on a socket of our own before anything is believed.
"""

from __future__ import annotations

import _socket
import posix
import sys
from _operator import ne
from _struct import pack, unpack_from
from itertools import compress

from ...errors import NetinspectError
from ...procfs import command_name, in_initial_pid_namespace
from ...startup import array
from ...uapi.bpf import (
    BPF_ITER_CREATE,
    BPF_LINK_CREATE,
    BPF_PROG_LOAD,
    BPF_PROG_TYPE_TRACING,
    BPF_TRACE_ITER,
    BTF_KIND_FUNC,
    BTF_KIND_STRUCT,
    SYSCALL,
    SYSCALLS,
    BPF_FUNC_seq_write,
    BPF_FUNC_sock_from_file,
)
from ..calls import function
from ..text import text
from .assembler import FRAME, Assembler
from .btf import TYPES_LIMIT, VMLINUX, sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

_TYPE, _MEMBER = 12, 12
"""Bytes of every type before what its kind adds, and of a member of a structure (linux/btf.h)."""

_META, _TASK, _DESCRIPTOR, _FILE = 0, 8, 16, 24
"""What the program is called with (kernel/bpf/task_iter.c: bpf_iter__task_file); the first has where to write to."""
_COMM = 16
"""linux/sched.h: TASK_COMM_LEN"""
_RECORD = 40
_WORDS = _RECORD // 4
"""Process, thread, descriptor, inode; the address of what says which cgroups it is in; its name."""
_CHUNK = 1 << 16
"""More than the kernel gives at once (kernel/bpf/bpf_iter.c)."""
_MOST_EMPTY = 10_000
"""Answers that there is nothing yet: one for each million of descriptors that are no sockets."""


class Unsuitable(NetinspectError):
    """This kernel, or what we may do, does not allow it."""


class Held:
    """A process that holds sockets. ``group`` is the same for all that are in the same cgroups, of all hierarchies."""

    __slots__ = ("descriptors", "group", "inodes", "name", "pid")

    def __init__(self, pid: int, name: bytes, group: int) -> None:
        self.pid = pid
        self.name = name
        self.group = group
        self.descriptors: list[int] = []
        self.inodes: list[int] = []


_made: tuple[bytes, int] | Unsuitable | None = None
"""The program and the type that it is for, or why there is none: the kernel stays the same."""


def held_sockets() -> tuple[list[Held], set[int]]:
    """Who holds which sockets, and which processes have threads with tables of their own: of these it may not be all.

    In ascending order of processes. Raises Unsuitable.
    """
    global _made
    if isinstance(_made, Unsuitable):
        raise _made
    if not in_initial_pid_namespace():
        raise Unsuitable("this is not the initial pid namespace")
    try:
        if _made is None:
            _made = _prepared()
        found, apart = _tried(*_made)
    except (NetinspectError, OSError, ValueError) as error:
        _made = Unsuitable(str(error))
        raise _made from None
    return found, apart


def _tried(program: bytes, target: int) -> tuple[list[Held], set[int]]:
    """What the iterator gives, if a socket of our own is in it. Raises OSError, ValueError."""
    pid = posix.getpid()
    ours = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    try:
        found, apart = _Reading().all(_iterator(program, target))
        one = ours.fileno(), posix.fstat(ours.fileno()).st_ino
    finally:
        ours.close()
    for held in found:
        if held.pid == pid and one in zip(held.descriptors, held.inodes, strict=True):
            known = text(held.name) == command_name(pid)
            if known:
                return found, apart
    raise ValueError("a socket of ours was not found")


class _Reading:
    """What is read of the iterator, record by record."""

    def __init__(self) -> None:
        self._found: list[Held] = []
        self._apart: set[int] = set()
        self._last = 0
        """The thread whose records came last."""

    def all(self, iterator: int) -> tuple[list[Held], set[int]]:
        """Everything; closes it. Raises OSError, ValueError."""
        empty = 0
        try:
            while True:
                try:
                    chunk = posix.read(iterator, _CHUNK)
                except BlockingIOError:
                    empty += 1
                    if empty > _MOST_EMPTY:
                        raise
                    continue
                if not chunk:
                    return self._found, self._apart
                self._take(chunk)
        finally:
            posix.close(iterator)

    def _take(self, chunk: bytes) -> None:
        words = array("I", chunk)
        if len(words) % _WORDS:
            raise ValueError("the kernel gives parts of records")
        pids, threads = words[::_WORDS], words[1::_WORDS]
        descriptors, inodes = words[2::_WORDS].tolist(), words[3::_WORDS].tolist()
        if pids != threads:
            self._apart.update([pid for pid, thread in zip(pids, threads, strict=True) if pid != thread])
        changes = list(compress(range(1, len(threads)), map(ne, threads, threads[1:])))
        start = 0
        for end in (*changes, len(threads)):
            thread, at = threads[start], start * _RECORD
            if thread != self._last:
                self._last = thread
                if thread == pids[start]:
                    group, name = unpack_from("=Q16s", chunk, at + 16)
                    self._found.append(Held(thread, name.partition(b"\0")[0], group))
            if thread == pids[start]:
                held = self._found[-1]
                held.descriptors += descriptors[start:end]
                held.inodes += inodes[start:end]
            start = end


def _call(command: int, attributes: bytes) -> int:
    return function("syscall")(SYSCALLS.get(posix.uname().machine, SYSCALL), command, attributes, len(attributes))


def _iterator(program: bytes, target: int) -> int:
    """A descriptor that gives what the program writes. Raises OSError."""
    instructions, licence = array("B", program), array("B", b"GPL\0")
    attributes = pack(
        "=IIQQIIQII16sII36xI8x",
        *(BPF_PROG_TYPE_TRACING, len(program) // 8, instructions.buffer_info()[0], licence.buffer_info()[0]),
        *(0, 0, 0, 0, 0, b"netinspect", 0, BPF_TRACE_ITER, target),
    )
    loaded = _call(BPF_PROG_LOAD, attributes)
    try:
        link = _call(BPF_LINK_CREATE, pack("=4I", loaded, 0, BPF_TRACE_ITER, 0))
        try:
            return _call(BPF_ITER_CREATE, pack("=2I", link, 0))
        finally:
            posix.close(link)
    finally:
        posix.close(loaded)


class _Types:
    """A look at single types of the kernel, where they stand: see btf.Btf for all of them."""

    def __init__(self, data: bytes | mmap) -> None:
        """Raises NetinspectError where it is invalid."""
        self._data = data
        self._first, self._end, self._strings, self._strings_end = sections(data)

    def _name(self, name: str) -> int:
        """Where a name is among the strings, which have each once. Raises ValueError."""
        found = self._data.find(b"\0%b\0" % name.encode(), self._strings, self._strings_end)
        if found < 0:
            raise ValueError(f"the kernel has no {name}")
        return found + 1 - self._strings

    def _type(self, name: str, wanted: int) -> tuple[int, int, int]:
        """Where the type of that name and kind stands, and its second and third word. Raises ValueError."""
        number = self._name(name)
        needle, at = pack("=I", number), self._first - 1
        while (at := self._data.find(needle, at + 1, self._end - _TYPE + 4)) >= 0:
            _, information, third = unpack_from("=3I", self._data, at)
            if (at - self._first) % 4 == 0 and information >> 24 & 31 == wanted:
                return at, information, third
        raise ValueError(f"the kernel has no {name}")

    def offsets(self, structure: str, *names: str) -> list[int]:
        """Where these members are in a structure, in bytes. Raises ValueError for one that it has not itself."""
        at, information, _ = self._type(structure, BTF_KIND_STRUCT)
        size = _MEMBER * (information & 0xFFFF)
        words = array("I", self._data[at + _TYPE : at + _TYPE + size])
        places = dict(zip(words[::3], words[2::3], strict=True))
        try:
            found = [places[self._name(name)] for name in names]
        except KeyError:
            raise ValueError(f"not all of {', '.join(names)} are members of {structure}") from None
        if any(bits % 8 or bits >> 24 for bits in found):  # the width of a field of bits is above its place
            raise ValueError(f"some of {', '.join(names)} are bits in {structure}")
        return [bits // 8 for bits in found]

    def function(self, name: str) -> int:
        """The number of a function, if the type before it is the one that has its arguments; else the kernel will
        refuse the number that this gives. Raises ValueError."""
        return self._type(name, BTF_KIND_FUNC)[2] + 1


def _prepared() -> tuple[bytes, int]:
    """The program, and the number of the function that stands for what it iterates over.

    Raises NetinspectError, OSError, ValueError.
    """
    if sys.maxsize < 1 << 32:
        raise ValueError("not on a machine of 32 bits")
    types = _Types(_types())
    target = types.function("bpf_iter_task_file")
    process, thread, name, cgroups = types.offsets("task_struct", "tgid", "pid", "comm", "cgroups")
    (inode,) = types.offsets("file", "f_inode")
    (number,) = types.offsets("inode", "i_ino")

    program = Assembler()
    for register, place in ((6, _FILE), (7, _TASK)):  # 0 when all have been
        program.load(8, register, 1, place)
        _stop_at_none(program, register)
    program.move(8, 1)
    program.move(1, 6)
    program.call(BPF_FUNC_sock_from_file)
    _stop_at_none(program, 0)
    record = -_RECORD
    for at, place in ((0, process), (4, thread)):
        program.load(4, 2, 7, place)
        program.store(4, FRAME, record + at, 2)
    program.load(4, 2, 8, _DESCRIPTOR)
    program.store(4, FRAME, record + 8, 2)
    program.load(8, 2, 6, inode)
    program.load(8, 2, 2, number)
    program.store(4, FRAME, record + 12, 2)
    program.load(8, 2, 7, cgroups)
    program.store(8, FRAME, record + 16, 2)
    program.read(record + 24, _COMM, 7, name)
    program.load(8, 1, 8, _META)
    program.load(8, 1, 1, 0)
    program.move(2, FRAME)
    program.add_value(2, record)
    program.set(3, _RECORD)
    program.call(BPF_FUNC_seq_write)
    program.exit()
    return program.program(), target


def _stop_at_none(program: Assembler, register: int) -> None:
    """Ends the program where a register is no address."""
    label = f"register {register}"
    program.jump_if_not(register, 0, label)
    program.exit()
    program.label(label)


def _types() -> bytes | mmap:
    """The kernel's types. Raises OSError, and NetinspectError."""
    from mmap import MAP_PRIVATE, PROT_READ, mmap

    opened = posix.open(VMLINUX, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return mmap(opened, posix.fstat(opened).st_size, MAP_PRIVATE, PROT_READ)
    except OSError:
        pass  # before Linux 6.16
    finally:
        posix.close(opened)
    from ..files import read

    return read(VMLINUX, TYPES_LIMIT)
