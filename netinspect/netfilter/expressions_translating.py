"""Expressions that translate addresses, or give the packet to a local socket (nft_nat.c, nft_masq.c, nft_tproxy.c)."""

from __future__ import annotations

from _socket import inet_ntop

from ..uapi import nf_tables as nft
from .expressions import registers
from .expressions_header import no_transport
from .machine import ACCEPT as _ACCEPT
from .machine import BREAK, CONTINUE, UNKNOWN_WHY, VERDICT, Doubt, Machine
from .packet import TCP, UDP, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .decode import Expression
    from .machine import Program

    Value = TypeVar("Value", str, int)


def _address(machine: Machine, at: int | None, six: bool) -> tuple[str | None, Doubt | None]:
    if at is None:
        return None, None
    value, known, doubt = machine.load(at, 16 if six else 4)
    return (inet_ntop(10 if six else 2, value), None) if known is None else (None, doubt)


def _port(machine: Machine, at: int | None) -> tuple[int | None, Doubt | None]:
    if at is None:
        return None, None
    value, known, doubt = machine.load(at, 2)
    return (int.from_bytes(value, "big"), None) if known is None else (None, doubt)


def _pair(first: Value | None, last: Value | None) -> tuple[Value, Value] | None:
    return None if first is None else (first, first if last is None else last)


def translate(
    machine: Machine,
    kind: str,
    addresses: tuple[str, str] | None,
    ports: tuple[int, int] | None,
    flags: int,
    doubt: Doubt | None = None,
) -> int:
    """Notes a translation that the rule asks for; the verdict is accept (net/netfilter/nf_nat_core.c)."""
    to = ""
    if addresses is not None:
        to = addresses[0] if addresses[0] == addresses[1] else f"{addresses[0]}-{addresses[1]}"
    if ports is not None:
        to = f"[{to}]" if ":" in to else to
        to += f":{ports[0]}" if ports[0] == ports[1] else f":{ports[0]}-{ports[1]}"
    text = f"{kind} to {to}" if to else kind
    machine.act(kind, text, addresses=addresses, ports=ports, flags=flags, doubt=doubt)
    machine.verdict = _ACCEPT
    return VERDICT


def _nat(expression: Expression) -> Program:
    kind = "dnat" if expression.number(nft.NFTA_NAT_TYPE) else "snat"
    family = expression.number(nft.NFTA_NAT_FAMILY)
    six = family == 10
    places = registers(
        expression,
        nft.NFTA_NAT_REG_ADDR_MIN,
        nft.NFTA_NAT_REG_ADDR_MAX,
        nft.NFTA_NAT_REG_PROTO_MIN,
        nft.NFTA_NAT_REG_PROTO_MAX,
    )
    flags = expression.number(nft.NFTA_NAT_FLAGS) or 0

    def act(machine: Machine) -> int:
        if machine.chain.family == "inet" and family in (2, 10) and six != (machine.family == "ip6"):
            return CONTINUE  # a packet of the other family passes by (net/netfilter/nft_nat.c: nft_nat_inet_eval)
        first, doubt = _address(machine, places[0], six)
        last, also = _address(machine, places[1], six)
        low, why = _port(machine, places[2])
        high, whence = _port(machine, places[3])
        name = "netmap" if flags & 64 else kind
        addresses, ports = _pair(first, last), _pair(low, high)
        return translate(machine, name, addresses, ports, flags, doubt or also or why or whence)

    return act


def _own_address(kind: str, flags_kind: int, first: int, last: int) -> Callable[[Expression], Program]:
    """Masquerade and redirect: the kernel takes the address of an interface."""

    def make(expression: Expression) -> Program:
        places = registers(expression, first, last)
        flags = expression.number(flags_kind) or 0

        def act(machine: Machine) -> int:
            low, why = _port(machine, places[0])
            high, whence = _port(machine, places[1])
            return translate(machine, kind, None, _pair(low, high), flags, why or whence)

        return act

    return make


def _tproxy(expression: Expression) -> Program:
    six = expression.number(nft.NFTA_TPROXY_FAMILY) == 10
    places = registers(expression, nft.NFTA_TPROXY_REG_ADDR, nft.NFTA_TPROXY_REG_PORT)

    def act(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and packet.protocol not in (TCP, UDP):
            return BREAK
        if no_transport(packet) is True:
            return BREAK
        address, why = _address(machine, places[0], six or packet.family == "ip6")
        port, whence = _port(machine, places[1])
        found = machine.context.has_transparent_socket(packet, address, port)
        if found is False:
            return BREAK
        if isinstance(found, Unknown):
            doubt = why or whence or Doubt(UNKNOWN_WHY, "whether a transparent socket takes it")
            if machine.maybe(doubt, (address, port, "tproxy")):
                return BREAK
        machine.act("tproxy", "given to a transparent socket", addresses=_pair(address, None), ports=_pair(port, None))
        return CONTINUE

    return act


COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "nat": _nat,
    "masq": _own_address("masquerade", nft.NFTA_MASQ_FLAGS, nft.NFTA_MASQ_REG_PROTO_MIN, nft.NFTA_MASQ_REG_PROTO_MAX),
    "redir": _own_address("redirect", nft.NFTA_REDIR_FLAGS, nft.NFTA_REDIR_REG_PROTO_MIN, nft.NFTA_REDIR_REG_PROTO_MAX),
    "tproxy": _tproxy,
}
