"""Targets of iptables in rules of iptables-nft (linux/netfilter/nf_tables_compat.h), with the structs of iptables."""

from __future__ import annotations

from _socket import inet_ntop
from struct import unpack_from

from ..uapi import nf_tables as nft
from .expressions import MANY, unknown
from .expressions_ending import queued, synproxied
from .expressions_header import clamp_to, no_transport
from .expressions_routing import segment_size
from .expressions_tracking import tracking_of
from .expressions_translating import translate
from .machine import CONTINUE, DROP, MAY, UNKNOWN_WHY, VERDICT, Doubt, Machine, Verdict
from .packet import ETH_P_IPV6, TCP, UNKNOWN, UNTRACKED, Tracking, Unknown
from .xtables import SHORTEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program


def target(expression: Expression) -> Program:
    """A target."""
    name = expression.text(nft.NFTA_TARGET_NAME)
    revision = expression.number(nft.NFTA_TARGET_REV) or 0
    info = (expression.raw(nft.NFTA_TARGET_INFO) or b"").ljust(SHORTEST, b"\0")
    if name in _NOTED:
        kind = _NOTED[name]

        def note(machine: Machine) -> int:
            machine.act(kind, name)
            return CONTINUE

        return note
    if name in _TARGETS:
        return _TARGETS[name](info, revision)
    return unknown(f"iptables' target {name}")


_NOTED = {
    "LOG": "log",
    "NFLOG": "log",
    "ULOG": "log",
    "AUDIT": "log",
    "TRACE": "trace",
    "CHECKSUM": "header",
    "TEE": "dup",
    "SET": "set",
    "RATEEST": "rate",
    "IDLETIMER": "timer",
    "LED": "timer",
    "SECMARK": "secmark",
    "CONNSECMARK": "secmark",
    "TCPOPTSTRIP": "header",
    "ECN": "header",
}
"""Targets after which the next rule follows, and what they are in an action."""


def _set_mark(info: bytes, revision: int) -> Program:
    if revision != 2:
        return unknown(f"iptables' target MARK, revision {revision}")
    mark, mask = unpack_from("=II", info)

    def act(machine: Machine) -> int:
        before = machine.state.packet.mark
        if isinstance(before, int):
            value: int | None = before & ~mask & 0xFFFFFFFF ^ mark
        else:
            value = mark if mask == 0xFFFFFFFF else None
        _put_mark(machine, value)
        return CONTINUE

    return act


def _hash_mark(info: bytes, revision: int) -> Program:
    modulus, offset = unpack_from("=II", info, 52)  # struct xt_hmark_info
    word = f"it depends on the kernel's hash of the flow (HMARK, {offset} up to {offset + modulus - 1})"

    def act(machine: Machine) -> int:
        if modulus <= MANY:
            _put_mark(machine, offset + (machine.choose(modulus, Doubt(MAY, word)) if modulus > 1 else 0))
        else:
            _put_mark(machine, None)
        return CONTINUE

    return act


def _put_mark(machine: Machine, value: int | None) -> None:
    machine.change(mark=UNKNOWN if value is None else value)
    doubt = Doubt(UNKNOWN_WHY, "the packet's mark") if value is None else None
    machine.act("mark", f"mark set {'?' if value is None else hex(value)}", number=value, doubt=doubt)


def _put_connmark(machine: Machine, entry: Tracking | Unknown, value: int | None) -> None:
    if isinstance(entry, Tracking):
        machine.change(tracking=entry._replace(mark=UNKNOWN if value is None else value))
    doubt = Doubt(UNKNOWN_WHY, "the mark of its conntrack entry") if value is None else None
    machine.act("ct mark", f"ct mark set {'?' if value is None else hex(value)}", number=value, doubt=doubt)


def _set_connmark(info: bytes, revision: int) -> Program:
    # linux/netfilter/xt_connmark.h: the second revision puts the shift before the mode.
    ctmark, ctmask, nfmask, *rest = unpack_from("=IIIBBB", info)
    right, shift, mode = rest if revision == 2 else (0, 0, rest[0])
    if revision not in (1, 2) or mode > 2:
        return unknown(f"iptables' target CONNMARK, revision {revision}")

    def shifted(value: int) -> int:
        moved: int = value >> shift if right else value << shift
        return moved & 0xFFFFFFFF

    def act(machine: Machine) -> int:
        entry = tracking_of(machine)
        if entry is None:
            return CONTINUE
        mark = machine.state.packet.mark
        own = entry.mark if isinstance(entry, Tracking) else UNKNOWN
        if mode == 2:
            known = isinstance(own, int) and isinstance(mark, int)
            value = shifted(own & ctmask) ^ mark & ~nfmask & 0xFFFFFFFF if known else None
            _put_mark(machine, value)
            return CONTINUE
        new: int | None = None
        if mode == 0 and isinstance(own, int):
            new = shifted(own & ~ctmask & 0xFFFFFFFF ^ ctmark) if shift else own & ~ctmask & 0xFFFFFFFF ^ ctmark
        elif mode == 0 and ctmask == 0xFFFFFFFF and not shift:
            new = ctmark
        elif mode == 1 and isinstance(own, int) and isinstance(mark, int):
            new = own & ~ctmask & 0xFFFFFFFF ^ shifted(mark & nfmask)
        elif mode == 1 and ctmask == 0xFFFFFFFF and isinstance(mark, int):
            new = shifted(mark & nfmask)
        _put_connmark(machine, entry, new)
        return CONTINUE

    return act


def _tcpmss_target(info: bytes, revision: int) -> Program:
    (size,) = unpack_from("=H", info)

    def act(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and (packet.protocol != TCP or no_transport(packet)):
            return CONTINUE
        if size != 0xFFFF:
            clamp_to(machine, size, None)
            return CONTINUE
        found = segment_size(machine)
        if isinstance(found, Unknown):
            clamp_to(machine, None, Doubt(UNKNOWN_WHY, "the segment size of its path"))
        else:
            clamp_to(machine, found, None)
        return CONTINUE

    return act


_REJECTS = (
    *("icmp net-unreachable", "icmp host-unreachable", "icmp prot-unreachable", "icmp port-unreachable"),
    *("icmp echo-reply", "icmp net-prohibited", "icmp host-prohibited", "tcp reset", "icmp admin-prohibited"),
)
_REJECTS6 = (
    *("icmpv6 no-route", "icmpv6 admin-prohibited", "icmpv6 not-neighbour", "icmpv6 addr-unreachable"),
    *("icmpv6 port-unreachable", "icmpv6 echo-reply", "tcp reset", "icmpv6 policy-fail", "icmpv6 reject-route"),
)


def _reject(info: bytes, revision: int) -> Program:
    (how,) = unpack_from("=I", info)

    def act(machine: Machine) -> int:
        words = _REJECTS6 if machine.state.packet.ethertype == ETH_P_IPV6 else _REJECTS
        machine.act("reject", f"reject with {words[how] if how < len(words) else how}")
        machine.verdict = DROP
        return VERDICT

    return act


def _untrack(machine: Machine) -> int:
    if not isinstance(machine.state.packet.tracking, Tracking):
        machine.change(tracking=UNTRACKED)
        machine.act("notrack", "not tracked")
    return CONTINUE


def _notrack(info: bytes, revision: int) -> Program:
    return _untrack


def _ct(info: bytes, revision: int) -> Program:
    flags, zone = unpack_from("=HH", info)
    helper = info[12:28].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
    if flags & 1:
        return _untrack

    def act(machine: Machine) -> int:
        if isinstance(machine.state.packet.tracking, Tracking):
            return CONTINUE
        if zone or flags & 16:
            number, doubt = zone, None
            if flags & 16:
                mark = machine.state.packet.mark
                number = mark & 0xFFFF if isinstance(mark, int) else None
                doubt = None if number is not None else Doubt(UNKNOWN_WHY, "the packet's mark")
            ways = flags >> 2 & 3
            machine.act("zone", f"ct zone set {'mark' if flags & 16 else zone}", number=number, flags=ways, doubt=doubt)
        if helper:
            machine.act("helper", f"ct helper set {helper}")
        return CONTINUE

    return act


def _write_tos(info: bytes, revision: int) -> Program:
    value, mask = info[:2]

    def act(machine: Machine) -> int:
        before = machine.state.packet.tos
        machine.change(tos=before & ~mask & 0xFF ^ value if isinstance(before, int) else UNKNOWN)
        machine.act("header", f"type of service set to {value:#x}", number=value)
        return CONTINUE

    return act


def _write_dscp(info: bytes, revision: int) -> Program:
    return _write_tos(bytes((info[0] << 2 & 0xFF, 0xFC)), 0)


def _write_ttl(info: bytes, revision: int) -> Program:
    mode, value = info[:2]

    def act(machine: Machine) -> int:
        before = machine.state.packet.ttl
        if mode == 0:
            new: int | Unknown = value
        elif isinstance(before, int):
            new = min(before + value, 255) if mode == 1 else max(before - value, 0)
        else:
            new = UNKNOWN
        machine.change(ttl=new)
        machine.act("header", "time to live set", number=new if isinstance(new, int) else None)
        return CONTINUE

    return act


def _classify(info: bytes, revision: int) -> Program:
    (priority,) = unpack_from("=I", info)

    def act(machine: Machine) -> int:
        machine.change(priority=priority)
        machine.act("priority", f"priority set {priority:#x}", number=priority)
        return CONTINUE

    return act


def _queue(info: bytes, revision: int) -> Program:
    first, total, bypass = unpack_from("=3H", info)
    total, bypass = total if revision else 1, bypass if revision > 1 else 0

    def act(machine: Machine) -> int:
        number = f"{first}" if total <= 1 else f"{first}-{first + total - 1}"
        machine.act("queue", f"queue to {number}{' bypass' if bypass & 1 else ''}", number=first)
        machine.verdict = queued(machine, first, first + max(total, 1) - 1, bool(bypass & 1))
        return VERDICT

    return act


def _tproxy(info: bytes, revision: int) -> Program:
    mask, value = unpack_from("=II", info)

    def act(machine: Machine) -> int:
        packet = machine.state.packet
        size = 16 if packet.ethertype == ETH_P_IPV6 else 4
        at = 8 + (16 if revision else 4)
        address = inet_ntop(2 if size == 4 else 10, info[8 : 8 + size])
        (port,) = unpack_from("!H", info, at)
        found = machine.context.has_transparent_socket(packet, address, port)
        taken = found
        if isinstance(found, Unknown):
            taken = (
                machine.choose(2, Doubt(UNKNOWN_WHY, "whether a transparent socket takes it"), (info, "TPROXY")) == 0
            )
        if not taken:
            machine.verdict = DROP
            return VERDICT
        if isinstance(packet.mark, int):
            _put_mark(machine, packet.mark & ~mask & 0xFFFFFFFF ^ value)
        machine.act("tproxy", "given to a transparent socket", addresses=(address, address), ports=(port, port))
        machine.verdict = Verdict("accept")
        return VERDICT

    return act


def _synproxy(info: bytes, revision: int) -> Program:
    return synproxied


def _nat(kind: str) -> Callable[[bytes, int], Program]:
    def make(info: bytes, revision: int) -> Program:
        def act(machine: Machine) -> int:
            six = machine.chain.family == "ip6"
            # IPv4's first revision has struct nf_nat_ipv4_multi_range_compat, all others struct nf_nat_range or range2.
            if not six and not revision:
                flags = unpack_from("=I", info, 4)[0]
                low, high, ports = info[8:12], info[12:16], info[16:20]
            else:
                flags = unpack_from("=I", info)[0]
                size = 16 if six else 4
                low, high, ports = info[4 : 4 + size], info[20 : 20 + size], info[36:40]
            family = 10 if six else 2
            addresses = (inet_ntop(family, low), inet_ntop(family, high)) if flags & 1 else None
            first, last = unpack_from("!HH", ports)
            return translate(machine, kind, addresses, (first, last) if flags & 2 else None, flags)

        return act

    return make


_TARGETS: dict[str, Callable[[bytes, int], Program]] = {
    "MARK": _set_mark,
    "CONNMARK": _set_connmark,
    "HMARK": _hash_mark,
    "TCPMSS": _tcpmss_target,
    "REJECT": _reject,
    "NOTRACK": _notrack,
    "CT": _ct,
    "TOS": _write_tos,
    "DSCP": _write_dscp,
    "TTL": _write_ttl,
    "HL": _write_ttl,
    "CLASSIFY": _classify,
    "NFQUEUE": _queue,
    "TPROXY": _tproxy,
    "SYNPROXY": _synproxy,
    "MASQUERADE": _nat("masquerade"),
    "SNAT": _nat("snat"),
    "DNAT": _nat("dnat"),
    "REDIRECT": _nat("redirect"),
    "NETMAP": _nat("netmap"),
}
