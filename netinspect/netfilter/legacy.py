"""The tables of legacy iptables, which have no netlink: getsockopt(2) gives them as the kernel keeps them
(linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h).

A rule is taken as the expressions that iptables-nft would have for it: so it is evaluated, and written, as those are.
"""

from __future__ import annotations

import os
from _socket import AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_IPV6, SOCK_DGRAM, socket
from errno import EAGAIN, EFAULT
from itertools import pairwise
from struct import Struct, pack
from sys import byteorder

from ..engine.netlink.messages import attribute, malformed
from ..errors import NetlinkError
from ..uapi import nf_tables as nft
from .decode import Chain, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple

_GET_INFO, _GET_ENTRIES = 64, 65
"""IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES; IPv6 has the same numbers."""
_INFO = Struct("=32sI5I5III")
"""struct ipt_getinfo: name, hooks, where each hook begins and its policy is, number and size of all rules."""
_ENTRIES = Struct("=32sI4x")
"""struct ipt_get_entries, without the entries."""
_OFFSETS = Struct("=HH")
_EXTENSION = Struct("=H29sB")
"""struct xt_entry_match and xt_entry_target: size with its data, name, revision."""
_VERDICT = Struct("=i")
_COUNTER = Struct("=Q")
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
"""linux/netfilter_ipv4.h: NF_IP_PRI_*; those of nat are by hook."""
_NAT_PRIORITIES = {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}
_RETURN = -5
"""XT_RETURN"""
_ATTEMPTS = 5
_LARGEST = 1 << 26
"""Bytes of a table: 300,000 rules of the smallest kind."""
_NAMES = 16
"""IFNAMSIZ"""
_IN, _OUT, _TOS, _SOURCE, _DESTINATION, _FRAGMENT, _PROTOCOL = 1, 2, 4, 8, 16, 32, 64
"""IPT_INV_*; those of IPv6 are the same."""


class _Layout(NamedTuple):
    """Where struct ipt_entry or ip6t_entry has its fields."""

    family: Annotated[int, "address family"]
    level: Annotated[int, "socket level"]
    size: Annotated[int, "bytes of an entry without its matches and target"]
    offsets: Annotated[int, "where target_offset and next_offset are"]
    address: Annotated[int, "bytes of an address"]
    protocol: Annotated[int, "where the protocol is"]
    flags: Annotated[int, "where the flags are, and behind them those that invert"]
    at: Annotated[tuple[int, int], "where a header has source and destination"]
    other: Annotated[int, "flags of conditions that are not evaluated: a fragment, the traffic class"]
    goto: Annotated[int, "flag of a jump that does not return"]
    has_protocol: Annotated[int, "flag that the protocol counts; 0: it does where it is none"]


_LAYOUTS = {
    "ip": _Layout(AF_INET, IPPROTO_IP, 112, 88, 4, 80, 82, (12, 16), 1, 2, 0),
    "ip6": _Layout(AF_INET6, IPPROTO_IPV6, 168, 140, 16, 128, 131, (8, 24), 2, 4, 1),
}


class Table(NamedTuple):
    """A table of legacy iptables."""

    chains: Annotated[tuple[Chain, ...], "its chains; a rule's handle is its number in its chain, from 1"]
    rules: Annotated[tuple[Rule, ...], "the rules of all chains, each chain's in order"]
    dropped: Annotated[dict[str, int], "packets so far that each built-in chain's policy was for"]


def read(family: str, name: str, called: str = "") -> Table:
    """A table of the calling thread's network namespace: ip or ip6, and nat, filter, mangle …

    Its chains and rules get the table name ``called``. The kernel makes a table that is not there when it is asked for:
    ask only for those of `procfs.legacy_tables`. Raises NetlinkError where it cannot be read.
    """
    operation = f"reading table {name} of legacy iptables ({family})"
    try:
        begins, policies, entries = _table(family, name, operation)
    except OSError as error:
        raise NetlinkError(operation, error.errno or EFAULT, os.strerror(error.errno or EFAULT)) from None
    return _Reader(family, name, called or name, operation, begins, policies).read(entries)


def _table(family: str, table: str, operation: str) -> tuple[dict[int, str], frozenset[int], bytes]:
    """Where each built-in chain begins, where the policies are, and all entries."""
    layout = _LAYOUTS[family]
    name = table.encode()
    opened = socket(layout.family, SOCK_DGRAM)
    try:
        for attempt in range(_ATTEMPTS):
            info = _INFO.unpack(_ask(opened, layout.level, _GET_INFO, name.ljust(_INFO.size, b"\0")))
            hooks, size = info[1], info[13]
            if size > _LARGEST:
                raise malformed(f"a table of {size} bytes", operation)
            request = _ENTRIES.pack(name, size).ljust(_ENTRIES.size + size, b"\0")
            try:
                answer = _ask(opened, layout.level, _GET_ENTRIES, request)
            except OSError as error:
                # It was replaced between the two.
                if error.errno != EAGAIN or attempt == _ATTEMPTS - 1:
                    raise
                continue
            valid = [number for number in range(len(_HOOKS)) if hooks >> number & 1]
            begins = {info[2 + number]: _HOOKS[number] for number in valid}
            return begins, frozenset(info[7 + number] for number in valid), answer[_ENTRIES.size :]
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


class _Entry(NamedTuple):
    """One entry."""

    at: Annotated[int, "where it begins"]
    target_at: Annotated[int, "where its target begins"]
    end: Annotated[int, "where it ends"]
    target: Annotated[str, "name of its target; empty for a verdict or a jump"]
    revision: Annotated[int, "the target's revision"]
    info: Annotated[bytes, "what the target has"]


class _Reader:
    """Makes chains and rules of the entries of a table."""

    def __init__(
        self, family: str, name: str, called: str, operation: str, begins: dict[int, str], policies: frozenset[int]
    ) -> None:
        self.family = family
        self.name = name
        self.called = called
        self.operation = operation
        self.begins = begins
        self.policies = policies
        self.layout = _LAYOUTS[family]
        self.own: dict[int, str] = {}
        """Where the chains of the user begin, behind their headers."""

    def read(self, entries: bytes) -> Table:
        found = list(self._entries(entries))
        for entry in found:
            if entry.target == "ERROR":
                self.own[entry.end] = _name(entry.info)
        chain, number = "", 0
        policy: dict[str, str] = {}
        dropped: dict[str, int] = {}
        rules: list[Rule] = []
        last = {entry.at for entry, after in pairwise(found) if after.target == "ERROR"}
        for entry in found:
            if entry.target == "ERROR":
                continue
            if entry.at in self.begins or entry.at in self.own:
                chain, number = self.begins.get(entry.at) or self.own[entry.at], 0
            number += 1
            verdict = self._verdict(entry)
            if entry.at in self.policies:
                policy[chain] = "drop" if verdict == -1 else "accept"
                dropped[chain] = _COUNTER.unpack_from(entries, entry.at + self.layout.size - 16)[0]
            elif not (entry.at in last and verdict == _RETURN and chain not in _HOOKS):
                rules.append(Rule(self.family, self.called, chain, self._message(entries, entry, number)))
        chains = [*self.begins.values(), *self.own.values()]
        made = [self._chain(name, policy.get(name)) for name in chains if name != "ERROR"]
        return Table(tuple(made), tuple(rules), dropped)

    def _chain(self, name: str, policy: str | None) -> Chain:
        if policy is None:
            return Chain(self.family, self.called, name)
        kind = "nat" if self.name == "nat" else "route" if (self.name, name) == ("mangle", "OUTPUT") else "filter"
        priority = (_NAT_PRIORITIES if kind == "nat" else _PRIORITIES).get(name if kind == "nat" else self.name, 0)
        return Chain(self.family, self.called, name, 0, kind, name.lower(), priority, policy)

    def _entries(self, entries: bytes) -> Iterator[_Entry]:
        at, smallest = 0, self.layout.size
        while at + smallest <= len(entries):
            target_offset, next_offset = _OFFSETS.unpack_from(entries, at + self.layout.offsets)
            end = at + next_offset
            if not smallest <= target_offset <= next_offset - _EXTENSION.size or end > len(entries):
                what = f"an entry of {next_offset} bytes with its target at {target_offset}"
                raise malformed(what, self.operation)
            name, revision, info = self._extension(entries, at + target_offset, end)
            yield _Entry(at, at + target_offset, end, name, revision, info)
            at = end

    def _extension(self, entries: bytes, at: int, end: int) -> tuple[str, int, bytes]:
        size, raw, revision = _EXTENSION.unpack_from(entries, at)
        if size < _EXTENSION.size or at + size > end:
            raise malformed(f"an extension of {size} bytes with {end - at} left", self.operation)
        return _name(raw), revision, entries[at + _EXTENSION.size : at + size]

    def _verdict(self, entry: _Entry) -> int | None:
        """The number that a standard target has; None for others."""
        return _VERDICT.unpack_from(entry.info)[0] if not entry.target and len(entry.info) >= _VERDICT.size else None

    def _message(self, entries: bytes, entry: _Entry, number: int) -> bytes:
        """The rule as nf_tables would send it: struct nlmsghdr, struct nfgenmsg, and its attributes."""
        found = [*self._conditions(entries, entry.at)]
        at = entry.at + self.layout.size
        while at + _EXTENSION.size <= entry.target_at:
            name, revision, info = self._extension(entries, at, entry.target_at)
            found.append(_extension("match", name, revision, info))
            at += int.from_bytes(entries[at : at + 2], byteorder)
        verdict = self._verdict(entry)
        if verdict is None:
            found.append(_extension("target", entry.target, entry.revision, entry.info))
        elif verdict < 0:
            found.append(_immediate(nft.NFT_RETURN if verdict == _RETURN else -verdict - 1))
        elif verdict != entry.end:  # else the next rule follows
            goto = entries[entry.at + self.layout.flags] & self.layout.goto
            where = self.own.get(verdict)
            if where is None:
                raise malformed(f"a jump to {verdict}, where no chain begins", self.operation)
            found.append(_immediate(nft.NFT_GOTO if goto else nft.NFT_JUMP, where))
        members = b"".join(attribute(nft.NFTA_LIST_ELEM, single) for single in found)
        return (
            bytes(20)
            + attribute(nft.NFTA_RULE_HANDLE, pack(">Q", number))
            + attribute(nft.NFTA_RULE_EXPRESSIONS, members)
        )

    def _conditions(self, entries: bytes, at: int) -> Iterator[bytes]:
        """What struct ipt_ip, or ip6t_ip6, asks for."""
        layout = self.layout
        size = layout.address
        flags, inverted = entries[at + layout.flags], entries[at + layout.flags + 1]
        for place, (offset, bit) in enumerate(zip(layout.at, (_SOURCE, _DESTINATION), strict=True)):
            address = entries[at + place * size : at + (place + 1) * size]
            mask = entries[at + (2 + place) * size : at + (3 + place) * size]
            if any(mask) or inverted & bit:
                yield _payload(offset, size)
                if mask != b"\xff" * size:
                    yield _masked(mask)
                yield _compared(address, inverted & bit)
        names = at + 4 * size
        for place, (key, bit) in enumerate(((nft.NFT_META_IIFNAME, _IN), (nft.NFT_META_OIFNAME, _OUT))):
            name = entries[names + place * _NAMES : names + (place + 1) * _NAMES]
            mask = entries[names + (2 + place) * _NAMES : names + (3 + place) * _NAMES]
            length = len(mask) - len(mask.lstrip(b"\xff"))
            if any(mask) or inverted & bit:
                yield _meta(key)
                yield _compared(name if b"\0" in name[:length] else name[:length] or name, inverted & bit)
        protocol = int.from_bytes(entries[at + layout.protocol : at + layout.protocol + 2], byteorder)
        if protocol and (not layout.has_protocol or flags & layout.has_protocol):
            yield _meta(nft.NFT_META_L4PROTO)
            yield _compared(bytes((protocol & 0xFF,)), inverted & _PROTOCOL)
        if flags & layout.other:
            yield _extension("match", "tos" if layout.address == 16 else "fragment", 255, b"")


def _name(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="backslashreplace")


# Expressions, as nf_tables has them.


def _expression(name: str, data: bytes) -> bytes:
    return attribute(nft.NFTA_EXPR_NAME, name.encode() + b"\0") + attribute(nft.NFTA_EXPR_DATA, data)


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, pack(">i", value))


def _value(kind: int, value: bytes) -> bytes:
    return attribute(kind, attribute(nft.NFTA_DATA_VALUE, value))


def _extension(what: str, name: str, revision: int, info: bytes) -> bytes:
    """A match or a target; both have their attributes by the same numbers."""
    data = attribute(nft.NFTA_TARGET_NAME, name.encode() + b"\0") + _number(nft.NFTA_TARGET_REV, revision)
    return _expression(what, data + attribute(nft.NFTA_TARGET_INFO, info))


def _immediate(code: int, chain: str = "") -> bytes:
    verdict = _number(nft.NFTA_VERDICT_CODE, code)
    if chain:
        verdict += attribute(nft.NFTA_VERDICT_CHAIN, chain.encode() + b"\0")
    data = attribute(nft.NFTA_IMMEDIATE_DATA, attribute(nft.NFTA_DATA_VERDICT, verdict))
    return _expression("immediate", _number(nft.NFTA_IMMEDIATE_DREG, 0) + data)


def _meta(key: int) -> bytes:
    return _expression("meta", _number(nft.NFTA_META_KEY, key) + _number(nft.NFTA_META_DREG, 1))


def _payload(offset: int, length: int) -> bytes:
    data = _number(nft.NFTA_PAYLOAD_DREG, 1) + _number(nft.NFTA_PAYLOAD_BASE, nft.NFT_PAYLOAD_NETWORK_HEADER)
    data += _number(nft.NFTA_PAYLOAD_OFFSET, offset) + _number(nft.NFTA_PAYLOAD_LEN, length)
    return _expression("payload", data)


def _masked(mask: bytes) -> bytes:
    data = _number(nft.NFTA_BITWISE_SREG, 1) + _number(nft.NFTA_BITWISE_DREG, 1)
    data += _number(nft.NFTA_BITWISE_LEN, len(mask)) + _value(nft.NFTA_BITWISE_MASK, mask)
    return _expression("bitwise", data + _value(nft.NFTA_BITWISE_XOR, bytes(len(mask))))


def _compared(value: bytes, inverted: int) -> bytes:
    operator = nft.NFT_CMP_NEQ if inverted else nft.NFT_CMP_EQ
    data = _number(nft.NFTA_CMP_SREG, 1) + _number(nft.NFTA_CMP_OP, operator)
    return _expression("cmp", data + _value(nft.NFTA_CMP_DATA, value))
