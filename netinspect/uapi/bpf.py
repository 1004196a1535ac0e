"""BPF: the commands, types and numbers of linux/bpf.h and linux/btf.h that are used here."""

from __future__ import annotations

SYSCALLS = {
    "x86_64": 321,
    "i386": 357,
    "i686": 357,
    "armv7l": 386,
    "armv6l": 386,
    "s390x": 351,
    "ppc64": 361,
    "ppc64le": 361,
}
"""bpf(2) by uname's machine. Every other architecture has the number of asm-generic/unistd.h."""
SYSCALL = 280

BPF_PROG_TEST_RUN = 10
BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_GET_INFO_BY_FD, BPF_RAW_TRACEPOINT_OPEN = 0, 5, 15, 17
BPF_LINK_CREATE, BPF_ITER_CREATE = 28, 33
BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_RINGBUF = 2, 27
BPF_F_MMAPABLE = 1 << 10
BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACING = 6, 17, 26
BPF_TRACE_ITER = 28
BPF_F_TEST_XDP_LIVE_FRAMES, XDP_PASS = 1 << 1, 2
BPF_PSEUDO_MAP_FD = 1

BPF_FUNC_map_lookup_elem, BPF_FUNC_ktime_get_ns, BPF_FUNC_probe_read_kernel, BPF_FUNC_ringbuf_output = 1, 5, 113, 130
BPF_FUNC_seq_write, BPF_FUNC_sock_from_file = 127, 162

BPF_RINGBUF_BUSY, BPF_RINGBUF_DISCARD, BPF_RINGBUF_HEADER = 1 << 31, 1 << 30, 8
"""Bits in the length of a record, and the bytes before each."""

PROG_INFO_SIZE, PROG_INFO_RECURSION_MISSES = 232, 208
"""struct bpf_prog_info: how much of it is asked for, and where recursion_misses is (since Linux 5.12)."""

BTF_MAGIC, BTF_VERSION = 0xEB9F, 1
BTF_KIND_INT, BTF_KIND_PTR, BTF_KIND_ARRAY, BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_ENUM = 1, 2, 3, 4, 5, 6
BTF_KIND_FWD, BTF_KIND_TYPEDEF, BTF_KIND_VOLATILE, BTF_KIND_CONST, BTF_KIND_RESTRICT, BTF_KIND_FUNC = (
    7,
    8,
    9,
    10,
    11,
    12,
)
BTF_KIND_FUNC_PROTO, BTF_KIND_VAR, BTF_KIND_DATASEC, BTF_KIND_FLOAT, BTF_KIND_DECL_TAG = 13, 14, 15, 16, 17
BTF_KIND_TYPE_TAG, BTF_KIND_ENUM64 = 18, 19
