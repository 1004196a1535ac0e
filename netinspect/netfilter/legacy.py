"""The tables of legacy iptables, which have no netlink: getsockopt(2) gives them as the kernel keeps them
(linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h).

Only what rules do is taken, as the expressions that nft_compat has for the same targets; not what they are for.
"""

from __future__ import annotations

import os
from _socket import AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_IPV6, SOCK_DGRAM, socket
from errno import EAGAIN, EFAULT
from struct import Struct, pack

from ..engine.netlink.messages import attribute, malformed
from ..errors import NetlinkError
from ..uapi import nf_tables as nft
from .decode import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_GET_INFO, _GET_ENTRIES = 64, 65
"""IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES; IPv6 has the same numbers."""
_INFO = Struct("=32sI5I5III")
"""struct ipt_getinfo: name, hooks, where each hook begins and its policy is, number and size of all rules."""
_ENTRIES = Struct("=32sI4x")
"""struct ipt_get_entries, without the entries."""
_TARGET = Struct("=H29sB")
"""struct xt_entry_target: size with its data, name, revision."""
_OFFSETS = Struct("=HH")
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_ATTEMPTS = 5

# Socket level, address family; size of struct ipt_entry and where it has target_offset and next_offset.
_FAMILIES = {"ip": (AF_INET, IPPROTO_IP, 112, 88), "ip6": (AF_INET6, IPPROTO_IPV6, 168, 140)}


def targets(family: str, table: str) -> list[Rule]:
    """The rules of a table of the calling thread's network namespace: ip or ip6, and nat, filter, mangle …

    The kernel makes a table that is not there when it is asked for: ask only for those of `procfs.legacy_tables`.
    Raises NetlinkError where it cannot be read.
    """
    operation = f"reading table {table} of legacy iptables ({family})"
    try:
        begins, entries = _table(family, table, operation)
    except OSError as error:
        raise NetlinkError(operation, error.errno or EFAULT, os.strerror(error.errno or EFAULT)) from None
    return list(_rules(family, table, begins, entries, operation))


def _table(family: str, table: str, operation: str) -> tuple[dict[int, str], bytes]:
    """Where each built-in chain begins, and all entries."""
    address_family, level, _, _ = _FAMILIES[family]
    name = table.encode()
    opened = socket(address_family, SOCK_DGRAM)
    try:
        for attempt in range(_ATTEMPTS):
            info = _INFO.unpack(_ask(opened, level, _GET_INFO, name.ljust(_INFO.size, b"\0")))
            hooks, size = info[1], info[13]
            request = _ENTRIES.pack(name, size).ljust(_ENTRIES.size + size, b"\0")
            try:
                answer = _ask(opened, level, _GET_ENTRIES, request)
            except OSError as error:
                # It was replaced between the two.
                if error.errno != EAGAIN or attempt == _ATTEMPTS - 1:
                    raise
                continue
            begins = {info[2 + number]: hook for number, hook in enumerate(_HOOKS) if hooks >> number & 1}
            return begins, answer[_ENTRIES.size :]
    finally:
        opened.close()
    raise malformed("no answer", operation)


def _ask(opened: socket, level: int, option: int, request: bytes) -> bytes:
    """getsockopt with something in the buffer, which that of Python cannot have."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(request, len(request))
    size = ctypes.c_uint32(len(request))
    if libc.getsockopt(opened.fileno(), level, option, buffer, ctypes.byref(size)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw[: size.value]


def _rules(family: str, table: str, begins: dict[int, str], entries: bytes, operation: str) -> Iterator[Rule]:
    smallest, offsets = _FAMILIES[family][2:]
    at, chain = 0, ""
    while at + smallest <= len(entries):
        target_offset, next_offset = _OFFSETS.unpack_from(entries, at + offsets)
        end = at + next_offset
        if not smallest <= target_offset <= next_offset - _TARGET.size or end > len(entries):
            raise malformed(f"an entry of {next_offset} bytes with its target at {target_offset}", operation)
        size, raw, revision = _TARGET.unpack_from(entries, at + target_offset)
        info = entries[at + target_offset + _TARGET.size : min(at + target_offset + size, end)]
        name = raw.split(b"\0", 1)[0]
        chain = begins.get(at, chain)
        if name == b"ERROR":
            # What begins a chain of the user's, and ends the table.
            chain = info.split(b"\0", 1)[0].decode(errors="replace")
        elif name:  # "" is a verdict or a jump
            yield Rule(family, table, chain, _message(name, revision, info))
        at = end


def _message(name: bytes, revision: int, info: bytes) -> bytes:
    """The rule as nf_tables would send it: struct nlmsghdr, struct nfgenmsg, and one expression."""
    data = attribute(nft.NFTA_TARGET_NAME, name + b"\0") + attribute(nft.NFTA_TARGET_REV, pack("!I", revision))
    data += attribute(nft.NFTA_TARGET_INFO, info)
    expression = attribute(nft.NFTA_EXPR_NAME, b"target\0") + attribute(nft.NFTA_EXPR_DATA, data)
    return bytes(20) + attribute(nft.NFTA_RULE_EXPRESSIONS, attribute(nft.NFTA_LIST_ELEM, expression))
