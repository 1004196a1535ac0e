"""bpf(2): maps and programs. Each is a descriptor, and nothing is pinned: all of it ends with the process."""

from __future__ import annotations

import os
from _struct import pack, unpack_from
from ctypes import CDLL, addressof, c_long, create_string_buffer, get_errno
from errno import EACCES, EINVAL, ENOENT, ENOSYS, EPERM
from mmap import MAP_SHARED, PAGESIZE, PROT_READ, mmap

from ...errors import NetinspectError
from ...uapi.bpf import (
    BPF_F_MMAPABLE,
    BPF_F_TEST_XDP_LIVE_FRAMES,
    BPF_MAP_CREATE,
    BPF_MAP_TYPE_ARRAY,
    BPF_MAP_TYPE_RINGBUF,
    BPF_OBJ_GET_INFO_BY_FD,
    BPF_PROG_LOAD,
    BPF_PROG_TEST_RUN,
    BPF_PROG_TYPE_RAW_TRACEPOINT,
    BPF_PROG_TYPE_XDP,
    BPF_RAW_TRACEPOINT_OPEN,
    PROG_INFO_RECURSION_MISSES,
    PROG_INFO_SIZE,
    SYSCALL,
    SYSCALLS,
    XDP_PASS,
)

_ATTRIBUTES = 72
"""Bytes of union bpf_attr that are passed; the kernel takes the rest as 0."""
_LOG = 1 << 16


class BpfError(NetinspectError):
    """The kernel refused a map or a program. ``errno`` is its answer."""

    def __init__(self, text: str, errno: int) -> None:
        super().__init__(text)
        self.errno = errno

    @property
    def forbidden(self) -> bool:
        """Whether it takes more privileges."""
        return self.errno in (EPERM, EACCES)

    @property
    def lacking(self) -> bool:
        """Whether this kernel has no such thing."""
        return self.errno in (ENOSYS, EINVAL, ENOENT)


def _bpf(operation: str, command: int, attributes: bytes) -> int:
    syscall = CDLL(None, use_errno=True).syscall
    syscall.restype = c_long
    size = max(_ATTRIBUTES, len(attributes))
    buffer = create_string_buffer(attributes, size)
    number = SYSCALLS.get(os.uname().machine, SYSCALL)
    result: int = syscall(c_long(number), c_long(command), buffer, c_long(size))
    if result < 0:
        raise BpfError(f"{operation}: {os.strerror(get_errno())}", get_errno())
    return result


def ring_buffer(size: int) -> int:
    """A ring buffer of ``size`` bytes, a power of two of pages: its descriptor. Raises BpfError."""
    return _bpf("making a BPF ring buffer", BPF_MAP_CREATE, pack("=IIII", BPF_MAP_TYPE_RINGBUF, 0, 0, size))


def counters(number: int) -> int:
    """An array of counters of 64 bits that can be mapped: its descriptor. Raises BpfError."""
    attributes = pack("=IIIII", BPF_MAP_TYPE_ARRAY, 4, 8, number, BPF_F_MMAPABLE)
    return _bpf("making BPF counters", BPF_MAP_CREATE, attributes)


def load(program: bytes) -> int:
    """Loads a raw tracepoint program: its descriptor. Raises BpfError, with the verifier's last words."""
    instructions, licence = create_string_buffer(program, len(program)), create_string_buffer(b"GPL")
    log = create_string_buffer(_LOG)

    def attempt(level: int) -> int:
        attributes = pack(
            "=IIQQIIQ",
            BPF_PROG_TYPE_RAW_TRACEPOINT,
            len(program) // 8,
            addressof(instructions),
            addressof(licence),
            level,
            _LOG if level else 0,
            addressof(log) if level else 0,
        )
        return _bpf("loading a BPF program", BPF_PROG_LOAD, attributes)

    try:
        return attempt(0)
    except BpfError as error:
        if error.errno == EPERM:
            raise
    try:
        return attempt(1)  # the same, for the sake of the log
    except BpfError as error:
        lines = [line for line in log.value.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if not line.startswith("processed ")), "")
        raise BpfError(f"{error}: {reason}" if reason else str(error), error.errno) from None


def attach(program: int, tracepoint: str) -> int:
    """Attaches a program to a raw tracepoint until the descriptor that is returned is closed. Raises BpfError."""
    name = create_string_buffer(tracepoint.encode())
    return _bpf(
        f"attaching a BPF program to {tracepoint}", BPF_RAW_TRACEPOINT_OPEN, pack("=QI", addressof(name), program)
    )


def recursion_misses(program: int) -> int:
    """How often the program did not run because it was already running on that processor (0 before Linux 5.12)."""
    information = create_string_buffer(PROG_INFO_SIZE)
    attributes = pack("=IIQ", program, PROG_INFO_SIZE, addressof(information))
    _bpf("querying a BPF program", BPF_OBJ_GET_INFO_BY_FD, attributes)
    missed: int
    (missed,) = unpack_from("=Q", information, PROG_INFO_RECURSION_MISSES)
    return missed


class Counters:
    """The counters of an array, mapped: reading one takes no system call."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError."""
        self._memory = mmap(descriptor, PAGESIZE, MAP_SHARED, PROT_READ)

    def __getitem__(self, number: int) -> int:
        value: int
        (value,) = unpack_from("Q", self._memory, 8 * number)
        return value


def receive(frame: bytes, interface: int) -> None:
    """Lets an interface of the current namespace receive one frame: a program that passes is run on it (Linux 5.18).

    The frame is processed like any received frame. Raises BpfError; EOPNOTSUPP or EINVAL if the kernel or the driver
    does not support it.
    """
    passes = pack("=BBhi", 0xB7, 0, 0, XDP_PASS) + pack("=BBhi", 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit
    instructions, licence = create_string_buffer(passes, len(passes)), create_string_buffer(b"GPL")
    program = _bpf(
        "loading an XDP program",
        BPF_PROG_LOAD,
        pack("=IIQQ", BPF_PROG_TYPE_XDP, len(passes) // 8, addressof(instructions), addressof(licence)),
    )
    try:
        data = create_string_buffer(frame, len(frame))
        context = create_string_buffer(pack("=6I", 0, len(frame), 0, interface, 0, 0), 24)  # struct xdp_md
        attributes = pack(
            "=IIIIQQIIIIQQIII",
            *(program, 0, len(frame), 0, addressof(data), 0, 1, 0),
            *(24, 0, addressof(context), 0, BPF_F_TEST_XDP_LIVE_FRAMES, 0, 1),
        )
        _bpf("injecting a packet", BPF_PROG_TEST_RUN, attributes)
    finally:
        os.close(program)
