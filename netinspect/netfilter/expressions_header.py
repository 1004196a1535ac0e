"""Expressions that load bytes of headers and write into them (nft_payload.c, nft_exthdr.c, nft_inner.c)."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from .machine import BREAK, CONTINUE, UNKNOWN_WHY, Doubt, Machine, register
from .packet import ETH_P_IP, ETH_P_IPV6, TCP, UNKNOWN, Packet, Unknown, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program
    from .packet import Bits

_BASES = ("the frame's header", "the network header", "the transport header or the data behind it", "the inner packet")


def _payload(expression: Expression) -> Program:
    base = expression.number(nft.NFTA_PAYLOAD_BASE) or 0
    offset = expression.number(nft.NFTA_PAYLOAD_OFFSET) or 0
    size = expression.size(nft.NFTA_PAYLOAD_LEN)
    at = register(expression.number(nft.NFTA_PAYLOAD_DREG))
    what = f"{field_name(base, offset, size)} of {_BASES[min(base, 3)]}"
    doubt = Doubt(UNKNOWN_WHY, what, what)
    shorter = Doubt(UNKNOWN_WHY, f"whether the packet is long enough to have {what}")

    def load(machine: Machine) -> int:
        header = machine.header(base) if base < 3 else None
        if base == 3:
            machine.store_unknown(at, size, doubt)
            return machine.maybe(shorter, what)
        if base == 2 and no_transport(machine.state.packet):
            return BREAK
        if header is None:
            return BREAK if base == 0 else _leave_open(machine, at, size, doubt)
        return _load_bits(machine, header, at, offset, size, doubt, shorter)

    return load


def _leave_open(machine: Machine, at: int, size: int, doubt: Doubt) -> int:
    machine.store_unknown(at, size, doubt)
    return CONTINUE


def _load_bits(machine: Machine, header: Bits, at: int, offset: int, size: int, doubt: Doubt, shorter: Doubt) -> int:
    end = offset + size
    if end <= len(header.data):
        known = None if header.known is None else header.known[offset:end]
        if known is None or known.count(255) == size:
            machine.store(at, header.data[offset:end])
        else:
            machine.store_bits(at, header.data[offset:end], known, doubt)
        return CONTINUE
    if not header.open:
        return BREAK
    missing = end - max(len(header.data), offset)
    known = header.known[offset:] if header.known is not None else b"\xff" * max(len(header.data) - offset, 0)
    machine.store_bits(at, header.data[offset:] + bytes(missing), known + bytes(missing), doubt)
    return machine.maybe(shorter, shorter.reason)


def no_transport(packet: Packet) -> bool:
    """Whether the packet has no transport header to look at: later fragments have none."""
    if packet.ethertype == ETH_P_IP:
        if isinstance(packet.fragment, int):
            return bool(packet.fragment & 0x1FFF)
        return False  # packets that are sent to be followed are whole
    if packet.ethertype == ETH_P_IPV6:
        return False
    return not isinstance(packet.ethertype, Unknown)


def field_name(base: int, offset: int, size: int) -> str:
    """What bytes of a header are called where they are not known."""
    return f"bytes {offset} to {offset + size - 1}"


def _exthdr(expression: Expression) -> Program:
    operation = expression.number(nft.NFTA_EXTHDR_OP) or 0
    at = register(expression.number(nft.NFTA_EXTHDR_DREG))
    kind = expression.number(nft.NFTA_EXTHDR_TYPE) or 0
    offset, size = expression.number(nft.NFTA_EXTHDR_OFFSET) or 0, expression.size(nft.NFTA_EXTHDR_LEN)
    present = bool((expression.number(nft.NFTA_EXTHDR_FLAGS) or 0) & 1)
    if operation == nft.NFT_EXTHDR_OP_TCPOPT:
        doubt = Doubt(UNKNOWN_WHY, f"TCP option {kind}")

        def load_option(machine: Machine) -> int:
            packet = machine.state.packet
            if isinstance(packet.protocol, Unknown):
                machine.store_unknown(at, size, doubt)
                return CONTINUE if present else machine.maybe(doubt, doubt.reason)
            if packet.protocol != TCP or no_transport(packet):
                return _absent(machine)
            if isinstance(packet.tcp_options, Unknown):
                machine.store_unknown(at, 1 if present else size, doubt)
                return CONTINUE if present else machine.maybe(doubt, doubt.reason)
            option = tcp_option(packet.tcp_options, kind)
            if option is None or offset + size > len(option):
                return _absent(machine)
            machine.store(at, b"\1" if present else option[offset : offset + size])
            return CONTINUE

        def _absent(machine: Machine) -> int:
            if not present:
                return BREAK
            machine.store(at, b"\0")
            return CONTINUE

        return load_option
    if operation in (nft.NFT_EXTHDR_OP_IPV6, nft.NFT_EXTHDR_OP_IPV4):
        ethertype = ETH_P_IPV6 if operation == nft.NFT_EXTHDR_OP_IPV6 else ETH_P_IP
        what = f"IPv6 extension header {kind}" if ethertype == ETH_P_IPV6 else f"IPv4 option {kind}"
        lacking = Doubt(UNKNOWN_WHY, what)

        def load_extension(machine: Machine) -> int:
            packet = machine.state.packet
            if packet.ethertype != ethertype:
                return BREAK
            if isinstance(packet.extensions, Unknown):
                machine.store_unknown(at, 1 if present else size, lacking)
                return CONTINUE if present else machine.maybe(lacking, what)
            if present:
                machine.store(at, b"\1" if kind in packet.extensions else b"\0")
                return CONTINUE
            if kind not in packet.extensions:
                return BREAK
            machine.store_unknown(at, size, lacking)
            return CONTINUE

        return load_extension
    what = f"an extension (exthdr operation {operation})"
    chunk = Doubt(UNKNOWN_WHY, what)

    def leave_open(machine: Machine) -> int:
        machine.store_unknown(at, size, chunk)
        return CONTINUE if present else machine.maybe(chunk, what)

    return leave_open


def tcp_option(options: bytes, kind: int) -> bytes | None:
    """An option of TCP with its type and length; None where there is none (RFC 9293, 3.1)."""
    at = 0
    while at < len(options):
        if options[at] == kind:
            length = options[at + 1] if kind > 1 and at + 1 < len(options) else 1
            return options[at : at + length] if at + length <= len(options) else None
        if options[at] <= 1:
            at += 1
            continue
        at += max(options[at + 1], 2) if at + 1 < len(options) else 1
    return None


def _inner(expression: Expression) -> Program:
    kinds = {1: (17,), 2: (47,), 3: (17,), 4: (4, 41)}
    kind = expression.number(nft.NFTA_INNER_TYPE) or 0
    inner = expression.nested(nft.NFTA_INNER_EXPR)
    doubt = Doubt(UNKNOWN_WHY, "the packet inside a tunnel's packet")

    def look(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and packet.protocol not in kinds.get(kind, (packet.protocol,)):
            return BREAK
        if inner is not None:
            for dreg in (nft.NFTA_PAYLOAD_DREG, nft.NFTA_META_DREG):
                nested = inner.nested(nft.NFTA_EXPR_DATA)
                at = register(nested.number(dreg)) if nested is not None else -1
                if at >= 0:
                    machine.store_unknown(at, 16, doubt)
                    break
        return machine.maybe(doubt, doubt.reason)

    return look


def _payload_set(expression: Expression) -> Program:
    """Writes into a header."""
    base = expression.number(nft.NFTA_PAYLOAD_BASE) or 0
    offset = expression.number(nft.NFTA_PAYLOAD_OFFSET) or 0
    size = expression.size(nft.NFTA_PAYLOAD_LEN)
    at = register(expression.number(nft.NFTA_PAYLOAD_SREG))

    def act(machine: Machine) -> int:
        header = machine.header(base) if base < 3 else None
        if base == 2 and no_transport(machine.state.packet) is True:
            return BREAK
        if base < 3 and header is None:
            return BREAK
        value, known, doubt = machine.load(at, size)
        new = value if known is None else None
        if base < 3:
            machine.put(written(machine.state.packet, base, offset, new, size))
        machine.act("header", f"bytes {offset} to {offset + size - 1} of header {base} written", doubt=doubt)
        return CONTINUE

    return act


def _exthdr_set(expression: Expression) -> Program:
    """Sets a TCP option, as ``tcp option maxseg size set`` does, or takes it out."""
    kind = (expression.raw(nft.NFTA_EXTHDR_TYPE) or b"\0")[0]
    if expression.number(nft.NFTA_EXTHDR_OP) != nft.NFT_EXTHDR_OP_TCPOPT:
        return lambda machine: CONTINUE
    at = register(expression.number(nft.NFTA_EXTHDR_SREG))
    size = expression.size(nft.NFTA_EXTHDR_LEN)

    def act(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and (packet.protocol != TCP or no_transport(packet)):
            return BREAK
        if at < 0:
            machine.act("header", f"TCP option {kind} taken out")
            return CONTINUE
        value, known, doubt = machine.load(at, size)
        number = int.from_bytes(value, "big") if known is None else None
        if kind != 2:
            machine.act("header", f"TCP option {kind} set", number=number, doubt=doubt)
            return CONTINUE
        clamp_to(machine, number, doubt)
        return CONTINUE

    return act


def clamp_to(machine: Machine, size: int | None, doubt: Doubt | None) -> None:
    """Lowers the maximum segment size of a SYN, and never raises it."""
    options = machine.state.packet.tcp_options
    if isinstance(options, bytes):
        option = tcp_option(options, 2)
        if option is None or len(option) != 4:
            return
        before = int.from_bytes(option[2:], "big")
        if size is not None and before <= size:
            return
        if size is None:
            machine.change(tcp_options=UNKNOWN)
        else:
            machine.change(tcp_options=options.replace(option, option[:2] + size.to_bytes(2, "big"), 1))
    machine.act("clamp", f"TCP's segment size at most {'?' if size is None else size}", number=size, doubt=doubt)


COMPILERS: dict[str, Callable[[Expression], Program]] = {"payload": _payload, "exthdr": _exthdr, "inner": _inner}
SETTERS: dict[str, tuple[int, Callable[[Expression], Program]]] = {
    "payload": (nft.NFTA_PAYLOAD_SREG, _payload_set),
    "exthdr": (nft.NFTA_EXTHDR_SREG, _exthdr_set),
}
