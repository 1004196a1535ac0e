"""In nft(8)'s words: what a rule does, such as counting, rejecting and translating."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from . import text_values as values
from .expressions_ending import reject_words
from .machine import register
from .text_values import identifier, quoted
from .text_writer import FAMILY_NAMES, Writer, register_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Expression
    from .text_writer import Statement

_UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}
_NAT_FLAGS = ((4, "random"), (8, "persistent"), (16, "fully-random"))
"""linux/netfilter/nf_nat.h: NF_NAT_RANGE_*; 4 is PROTO_RANDOM, 16 PROTO_RANDOM_FULLY."""


def _counter(writer: Writer, expression: Expression) -> None:
    packets, size = expression.number(nft.NFTA_COUNTER_PACKETS) or 0, expression.number(nft.NFTA_COUNTER_BYTES) or 0
    writer.words.append(f"counter packets {packets} bytes {size}")


def _limit(writer: Writer, expression: Expression) -> None:
    rate, unit = expression.number(nft.NFTA_LIMIT_RATE) or 0, expression.number(nft.NFTA_LIMIT_UNIT) or 1
    burst = expression.number(nft.NFTA_LIMIT_BURST) or 0
    over = "over " if (expression.number(nft.NFTA_LIMIT_FLAGS) or 0) & 1 else ""
    per = _UNITS.get(unit, f"{unit} s")
    if expression.number(nft.NFTA_LIMIT_TYPE):
        tail = f" burst {burst} bytes" if burst else ""
        number, size = rate, "bytes"
        for larger in ("kbytes", "mbytes"):
            if number and number % 1024 == 0:
                number, size = number // 1024, larger
        writer.words.append(f"limit rate {over}{number} {size}/{per}{tail}")
    else:
        tail = f" burst {burst} packets" if burst != 5 else ""  # what nft(8) takes by itself
        writer.words.append(f"limit rate {over}{rate}/{per}{tail}")


def _quota(writer: Writer, expression: Expression) -> None:
    over = "over " if (expression.number(nft.NFTA_QUOTA_FLAGS) or 0) & 1 else ""
    used = expression.number(nft.NFTA_QUOTA_CONSUMED) or 0
    total = expression.number(nft.NFTA_QUOTA_BYTES) or 0
    writer.words.append(f"quota {over}{total} bytes" + (f" used {used} bytes" if used else ""))


def _connlimit(writer: Writer, expression: Expression) -> None:
    over = "over " if (expression.number(nft.NFTA_CONNLIMIT_FLAGS) or 0) & 1 else ""
    writer.words.append(f"ct count {over}{expression.number(nft.NFTA_CONNLIMIT_COUNT) or 0}")


def _log(writer: Writer, expression: Expression) -> None:
    words = "log"
    if nft.NFTA_LOG_PREFIX in expression.layout:
        words += f" prefix {quoted(expression.text(nft.NFTA_LOG_PREFIX))}"
    group = expression.number(nft.NFTA_LOG_GROUP)
    if nft.NFTA_LOG_GROUP in expression.layout:
        words += f" group {group or 0}"
    level = expression.number(nft.NFTA_LOG_LEVEL)
    if level is not None and level != 4 and nft.NFTA_LOG_GROUP not in expression.layout:
        names = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")
        words += f" level {names[level] if level < len(names) else level}"
    writer.words.append(words)


def _reject(writer: Writer, expression: Expression) -> None:
    kind = expression.number(nft.NFTA_REJECT_TYPE) or 0
    code = expression.number(nft.NFTA_REJECT_ICMP_CODE) or 0
    # Left out if it is nft(8)'s default.
    if (kind, code) == (nft.NFT_REJECT_ICMPX_UNREACH, 1):
        writer.words.append("reject")
        return
    six = writer.network == "ip6"
    if kind == nft.NFT_REJECT_ICMP_UNREACH and writer.rule.family in ("ip", "ip6") and code == (4 if six else 3):
        writer.words.append("reject")
        return
    writer.words.append(f"reject with {reject_words(kind, code, six)}")


def _to(writer: Writer, at: int | None, end: int | None, kind: str) -> str:
    """An address or port, or a range of them, that something is sent to."""
    if at is None:
        return ""
    first = writer.assigned(at, kind)
    if end is None or end == at:
        return first
    last = writer.assigned(end, kind)
    return first if first == last else f"{first}-{last}"


def _port(writer: Writer, at: int | None, end: int | None) -> str:
    """Ports, which an immediate holds in two of its bytes."""
    for place in (at, end):
        term = writer.terms.get(place) if place is not None else None
        if term is not None and term.literal is not None and len(term.literal) > 2:
            term.literal = term.literal[:2]
    return _to(writer, at, end, "inet_service")


def _nat(writer: Writer, expression: Expression) -> None:
    words = "dnat" if expression.number(nft.NFTA_NAT_TYPE) else "snat"
    family = FAMILY_NAMES.get(expression.number(nft.NFTA_NAT_FAMILY) or 0, "ip")
    flags = expression.number(nft.NFTA_NAT_FLAGS) or 0
    if writer.rule.family == "inet":
        words += f" {family}"
    if flags & 64:
        words += " prefix"
    kind = "ipv4_addr" if family == "ip" else "ipv6_addr"
    low, high = register_of(expression, nft.NFTA_NAT_REG_ADDR_MIN), register_of(expression, nft.NFTA_NAT_REG_ADDR_MAX)
    first, last = (
        register_of(expression, nft.NFTA_NAT_REG_PROTO_MIN),
        register_of(expression, nft.NFTA_NAT_REG_PROTO_MAX),
    )
    ports = _port(writer, first, last)
    address = _to(writer, low, high, kind)
    if ports and address and " map " in address and address == ports:
        ports = ""  # a map gives both
    if ports and address and family == "ip6":
        address = f"[{address}]"
    writer.words.append(f"{words} to {address}{f':{ports}' if ports else ''}{_nat_flags(flags)}")


def _nat_flags(flags: int) -> str:
    names = [name for bit, name in _NAT_FLAGS if flags & bit]
    return f" {','.join(names)}" if names else ""


def _own_address(word: str, flags_kind: int, first: int, last: int) -> Statement:
    def write(writer: Writer, expression: Expression) -> None:
        ports = _port(writer, register_of(expression, first), register_of(expression, last))
        flags = expression.number(flags_kind) or 0
        writer.words.append(f"{word}{f' to :{ports}' if ports else ''}{_nat_flags(flags)}")

    return write


def _queue(writer: Writer, expression: Expression) -> None:
    first, total = expression.number(nft.NFTA_QUEUE_NUM) or 0, expression.number(nft.NFTA_QUEUE_TOTAL) or 1
    flags = expression.number(nft.NFTA_QUEUE_FLAGS) or 0
    names = [name for bit, name in ((1, "bypass"), (2, "fanout")) if flags & bit]
    number = f"{first}" if total <= 1 else f"{first}-{first + total - 1}"
    if nft.NFTA_QUEUE_SREG_QNUM in expression.layout:
        number = writer.assigned(register(expression.number(nft.NFTA_QUEUE_SREG_QNUM)), "host_integer")
    writer.words.append(f"queue{f' flags {chr(44).join(names)}' if names else ''} to {number}")


def _tproxy(writer: Writer, expression: Expression) -> None:
    family = FAMILY_NAMES.get(expression.number(nft.NFTA_TPROXY_FAMILY) or 0, "")
    address = _to(
        writer, register_of(expression, nft.NFTA_TPROXY_REG_ADDR), None, "ipv6_addr" if family == "ip6" else "ipv4_addr"
    )
    port = _port(writer, register_of(expression, nft.NFTA_TPROXY_REG_PORT), None)
    if address and family == "ip6" and port:
        address = f"[{address}]"
    of = f" {family}" if family and writer.rule.family == "inet" else ""
    writer.words.append(f"tproxy{of} to {address}{f':{port}' if port else ''}")


def _synproxy(writer: Writer, expression: Expression) -> None:
    flags = expression.number(nft.NFTA_SYNPROXY_FLAGS) or 0
    words = "synproxy"
    if flags & 1:
        words += f" mss {expression.number(nft.NFTA_SYNPROXY_MSS) or 0}"
    if flags & 2:
        words += f" wscale {expression.number(nft.NFTA_SYNPROXY_WSCALE) or 0}"
    words += (" timestamp" if flags & 8 else "") + (" sack-perm" if flags & 4 else "")
    writer.words.append(words)


def _dup(writer: Writer, expression: Expression) -> None:
    address, device = register_of(expression, nft.NFTA_DUP_SREG_ADDR), register_of(expression, nft.NFTA_DUP_SREG_DEV)
    kind = "ipv6_addr" if writer.rule.family == "ip6" else "ipv4_addr"
    words = f"dup to {_to(writer, address, None, kind)}" if address is not None else "dup to"
    if device is not None:
        words += (
            f" device {writer.assigned(device, 'iface_index')}"
            if address is not None
            else (f" {writer.assigned(device, 'iface_index')}")
        )
    writer.words.append(words)


def _fwd(writer: Writer, expression: Expression) -> None:
    device = register_of(expression, nft.NFTA_FWD_SREG_DEV)
    writer.words.append(f"fwd to {writer.assigned(device, 'iface_index') if device is not None else '?'}")


def _flow(writer: Writer, expression: Expression) -> None:
    writer.words.append(f"flow add @{identifier(expression.text(nft.NFTA_FLOW_TABLE_NAME))}")


def _fixed(words: str) -> Statement:
    return lambda writer, expression: writer.words.append(words)


def _extension(word: str) -> Statement:
    """Matches and targets of iptables, which have no words in nft(8)'s language."""

    def write(writer: Writer, expression: Expression) -> None:
        name = expression.text(nft.NFTA_MATCH_NAME)
        values.EXACTNESS.lost = True
        if word == "match" and name == "comment":  # linux/netfilter/xt_comment.h: the text alone
            comment = (expression.raw(nft.NFTA_MATCH_INFO) or b"").partition(b"\0")[0]
            writer.words.append(f"comment {quoted(comment.decode('utf-8', 'surrogateescape'))}")
            return
        writer.words.append(f"xt {word} {quoted(name)}")

    return write


STATEMENTS: dict[str, Statement] = {
    "counter": _counter,
    "last": _fixed("last"),
    "limit": _limit,
    "quota": _quota,
    "connlimit": _connlimit,
    "log": _log,
    "reject": _reject,
    "nat": _nat,
    "masq": _own_address("masquerade", nft.NFTA_MASQ_FLAGS, nft.NFTA_MASQ_REG_PROTO_MIN, nft.NFTA_MASQ_REG_PROTO_MAX),
    "redir": _own_address("redirect", nft.NFTA_REDIR_FLAGS, nft.NFTA_REDIR_REG_PROTO_MIN, nft.NFTA_REDIR_REG_PROTO_MAX),
    "queue": _queue,
    "notrack": _fixed("notrack"),
    "tproxy": _tproxy,
    "synproxy": _synproxy,
    "dup": _dup,
    "fwd": _fwd,
    "flow_offload": _flow,
    "match": _extension("match"),
    "target": _extension("target"),
}
