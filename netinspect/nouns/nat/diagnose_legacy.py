"""Policies of legacy iptables, which drop packets in addition to nftables and are easily overlooked.

linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h: getsockopt(2) of a raw socket has the tables.
"""

from __future__ import annotations

import _socket
from _functools import partial
from struct import pack, unpack_from

from ...engine.namespaces import inside
from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from .diagnose_situation import Situation

_GET_INFO, _GET_ENTRIES = 64, 65
"""IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES; ip6_tables has the same."""
_NAME = 32
"""XT_TABLE_MAXNAMELEN"""
_INFO = 84
"""struct ipt_getinfo: name, valid hooks, where each hook begins, where its policy is, entries, bytes."""
_HEADER = 40
"""struct ipt_get_entries without its table: name and size, aligned to 8 bytes."""
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_ENTRIES = {"ip": (112, 88), "ip6": (168, 140)}
"""struct ipt_entry and ip6t_entry: their size, and where the offset of the target is; the counters are the last 16
bytes."""


def policies(situation: Situation) -> Iterator[Finding]:
    """Base chains of legacy iptables whose policy drops, and what they have dropped."""
    for table in situation.legacy:
        family, _, name = table.partition(" ")
        if name not in ("filter", "mangle", "raw", "security"):
            continue
        for hook, packets, alone in inside(situation.place.descriptor, partial(dropping, family, name)):
            if hook not in ("FORWARD", "PREROUTING", "POSTROUTING"):
                continue
            if not alone:
                continue  # its rules may accept what is meant to pass
            program = "ip6tables-legacy" if family == "ip6" else "iptables-legacy"
            yield finding(
                situation,
                "legacy-policy",
                ERROR,
                f"legacy {program.partition('-')[0]} {hook}",
                [f"{program}: table {name}, policy of {hook} is DROP, {packets} packets dropped by it so far"],
                f"old rules of legacy iptables stand beside nftables: the policy of {hook} drops what none of them "
                "accepts, "
                "whatever nftables says",
                pasted([program, "-t", name, "-P", hook, "ACCEPT"]) if packets else "",
                f"it no longer drops anything: be sure that nftables filters {hook}; see {program}-save first",
            )


def dropping(family: str, table: str) -> list[tuple[str, int, bool]]:
    """The hooks of a table whose policy is to drop, the packets that it dropped, and whether no rule stands before it.

    Empty where it cannot be asked.
    """
    number, level = (_socket.AF_INET, _socket.IPPROTO_IP) if family == "ip" else (_socket.AF_INET6, 41)
    try:
        opened = _socket.socket(number, _socket.SOCK_RAW, 255)
    except OSError:
        return []
    try:
        padded = table.encode().ljust(_NAME, b"\0")
        info = _asked(opened, level, _GET_INFO, padded, _INFO)
        if info is None:
            return []
        valid = unpack_from("=I", info, _NAME)[0]
        policies_at = unpack_from("=5I", info, _NAME + 4 + 20)
        size = unpack_from("=I", info, _NAME + 4 + 40 + 4)[0]
        whole = _asked(opened, level, _GET_ENTRIES, padded + pack("=I", size) + bytes(4), _HEADER + size)
        if whole is None:
            return []
        found = []
        entry, at_target = _ENTRIES[family]
        begins = unpack_from("=5I", info, _NAME + 4)
        for hook, name in enumerate(_HOOKS):
            if not valid >> hook & 1:
                continue
            at = _HEADER + policies_at[hook]
            target = unpack_from("=H", whole, at + at_target)[0]
            # struct xt_standard_target: struct xt_entry_target (32 bytes), then the verdict: -NF_DROP - 1.
            verdict = unpack_from("=i", whole, at + target + 32)[0]
            packets = unpack_from("=Q", whole, at + entry - 16)[0]
            if verdict == -1:
                found.append((name, packets, begins[hook] == policies_at[hook]))
        return found
    except OSError:
        return []
    finally:
        opened.close()


def _asked(opened: _socket.socket, level: int, option: int, request: bytes, size: int) -> bytes | None:
    """getsockopt(2) with a request in its buffer, which Python's own does not take."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(request.ljust(size, b"\0"), size)
    length = ctypes.c_uint32(size)
    if libc.getsockopt(opened.fileno(), level, option, buffer, ctypes.byref(length)) != 0:
        return None
    return buffer.raw[: length.value]
