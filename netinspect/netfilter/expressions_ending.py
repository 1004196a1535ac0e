"""Expressions that end a packet's way or note something about it (nft_reject.c, nft_queue.c, nft_fwd_netdev.c …)."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from .expressions import number_at, registers
from .expressions_header import no_transport
from .machine import ACCEPT, BREAK, CONTINUE, DROP, STOLEN, UNKNOWN_WHY, VERDICT, Doubt, Machine, Verdict, register
from .packet import TCP, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program

_ICMPX = ("no-route", "port-unreachable", "host-unreachable", "admin-prohibited")
_ICMP = {
    0: "net-unreachable",
    1: "host-unreachable",
    2: "prot-unreachable",
    3: "port-unreachable",
    9: "net-prohibited",
    10: "host-prohibited",
    13: "admin-prohibited",
}
_ICMPV6 = {
    0: "no-route",
    1: "admin-prohibited",
    3: "addr-unreachable",
    4: "port-unreachable",
    5: "policy-fail",
    6: "reject-route",
}


def reject_words(kind: int, code: int, six: bool) -> str:
    """How a packet is rejected, in nft(8)'s words."""
    if kind == nft.NFT_REJECT_TCP_RST:
        return "tcp reset"
    if kind == nft.NFT_REJECT_ICMPX_UNREACH:
        return f"icmpx {_ICMPX[code] if code < len(_ICMPX) else code}"
    return f"icmpv6 {_ICMPV6.get(code, code)}" if six else f"icmp {_ICMP.get(code, code)}"


def _reject(expression: Expression) -> Program:
    kind = expression.number(nft.NFTA_REJECT_TYPE) or 0
    code = expression.number(nft.NFTA_REJECT_ICMP_CODE) or 0

    def act(machine: Machine) -> int:
        words = reject_words(kind, code, machine.state.packet.family == "ip6")
        machine.act("reject", f"reject with {words}")
        machine.verdict = DROP
        return VERDICT

    return act


def queued(machine: Machine, first: int, last: int, bypass: bool) -> Verdict:
    """What becomes of a packet for queues: where nobody reads them, it is dropped, or let pass (nf_queue.c)."""
    if machine.context.queue_served(first, last) is False:
        return ACCEPT if bypass else DROP
    return Verdict("queue", "", f"{first}" if first == last else f"{first}-{last}")


def _queue(expression: Expression) -> Program:
    first = expression.number(nft.NFTA_QUEUE_NUM) or 0
    total = expression.number(nft.NFTA_QUEUE_TOTAL) or 1
    bypass = bool((expression.number(nft.NFTA_QUEUE_FLAGS) or 0) & 1)
    by_register = nft.NFTA_QUEUE_SREG_QNUM in expression.layout

    def act(machine: Machine) -> int:
        number = f"{first}" if total <= 1 else f"{first}-{first + total - 1}"
        if by_register:
            value, _ = number_at(machine, register(expression.number(nft.NFTA_QUEUE_SREG_QNUM)), 2)
            number = "?" if value is None else f"{value}"
        machine.act("queue", f"queue to {number}{' bypass' if bypass else ''}", number=first)
        machine.verdict = (
            Verdict("queue", "", number)
            if number == "?"
            else queued(machine, int(number.partition("-")[0]), int(number.rpartition("-")[2]), bypass)
        )
        return VERDICT

    return act


def _log(expression: Expression) -> Program:
    prefix = expression.text(nft.NFTA_LOG_PREFIX)

    def act(machine: Machine) -> int:
        machine.act("log", prefix)
        return CONTINUE

    return act


def _synproxy(expression: Expression) -> Program:
    return synproxied


def synproxied(machine: Machine) -> int:
    """What the SYN proxy does with a packet (net/netfilter/nf_synproxy_core.c)."""
    packet = machine.state.packet
    if isinstance(packet.protocol, int) and (packet.protocol != TCP or no_transport(packet)):
        return BREAK
    if isinstance(packet.tcp_flags, Unknown):
        if machine.choose(2, Doubt(UNKNOWN_WHY, "the flags of TCP"), "tcp flags"):
            return CONTINUE
    elif not packet.tcp_flags & (2 | 16):
        return CONTINUE
    # The proxy answers a SYN itself, and takes the ACK that carries its cookie; any other ACK is dropped.
    machine.act("synproxy", "answered by the SYN proxy")
    machine.verdict = STOLEN if isinstance(packet.tcp_flags, int) and packet.tcp_flags & 2 else DROP
    return VERDICT


def _dup(expression: Expression) -> Program:
    def act(machine: Machine) -> int:
        machine.act("dup", "a copy is sent elsewhere")
        return CONTINUE

    return act


def _fwd(expression: Expression) -> Program:
    def act(machine: Machine) -> int:
        at = registers(expression, nft.NFTA_FWD_SREG_DEV)[0]
        index, doubt = number_at(machine, at) if at is not None else (None, None)
        machine.act("fwd", f"sent out by interface {'?' if index is None else index}", number=index, doubt=doubt)
        machine.verdict = STOLEN
        return VERDICT

    return act


COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "reject": _reject,
    "queue": _queue,
    "log": _log,
    "synproxy": _synproxy,
    "dup": _dup,
    "fwd": _fwd,
}
