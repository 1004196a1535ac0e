"""The values of a filter expression: hosts, ports and marks, as conditions."""

from __future__ import annotations

from _socket import inet_pton

from ...engine.text import number as number_of
from ...uapi.netlink import AF_INET, AF_INET6
from .filter_conditions import EVERY, Address, And, Condition, Family, Interface, Mark, Name, Or, Port
from .filter_lookups import Lookups
from .filter_scan import BadValueError, quoted

FAMILIES = {
    "inet": "inet",
    "inet6": "inet6",
    "unix": "unix",
    "link": "packet",
    "netlink": "netlink",
    "vsock": "vsock",
}
"""Families as ss(8) spells them before a colon, and as records do."""

_WILDCARDS = frozenset(("", "*", "any", "all", "default"))
_MAXIMUM = 0xFFFFFFFF
"""Ports of netlink and vsock, and the inodes that stand for ports of unix sockets, have 32 bits."""
_WIDE_PORTS = frozenset(("netlink", "vsock", "unix"))
_LAST_PORT = 0xFFFF
_HOST_NAME_SIZE = 253
"""RFC 1035, 2.3.4: 255 octets in DNS's encoding."""


def host(side: str, text: str, family: str | None, lookups: Lookups) -> Condition:
    """What HOST says of one end. ``family`` is that of a value that names none.

    Raises BadValueError if it is invalid.
    """
    named, start = _family(text)
    rest = text[start:]
    family = named or family
    if family == "unix" or (family is None and rest[:1] in ("/", "@") and rest):
        return Name(side, "unix", _pattern(rest))
    try:
        if family in ("packet", "netlink", "vsock"):
            return _other(side, rest, family, lookups)
        condition = _internet(side, rest, family, lookups)
    except BadValueError as error:
        raise BadValueError(error.reason, error.index + start) from None
    return condition if named is None else _both(Family(named), condition)


def _pattern(text: str) -> str:
    """A pattern of names as they are listed: with a mark for a byte that is not UTF-8, whose backslash is literal."""
    return "".join([f"\\\\x{ord(one) & 0xFF:02x}" if "\udc80" <= one <= "\udcff" else one for one in text])


def port(side: str, comparison: str, text: str, family: str | None, lookups: Lookups) -> Condition:
    """What PORT says of one end: ``comparison`` is that of ``Port``, ``family`` that of a value that names none.

    Raises BadValueError if it is invalid.
    """
    named, start = _family(text)
    start += text.startswith(":", start)
    rest = text[start:]
    if rest in ("", "*"):
        if comparison != "=" or not rest:
            raise BadValueError("expected a port number or a service name", start)
        condition: Condition = EVERY
    elif named == "netlink" and rest == "kernel":
        condition = Port(side, comparison, 0)
    else:
        condition = Port(side, comparison, _port(rest, start, named or family, lookups))
    return condition if named is None else _both(Family(named), condition)


def mark(text: str) -> Mark:
    """The value of MARK. Raises BadValueError if it is invalid."""
    value, slash, mask = text.partition("/")
    numbers = [(value, 0), (mask, len(value) + 1)] if slash else [(value, 0)]
    parsed = []
    for number, index in numbers:
        read = number_of(number)
        if read is None or read > _MAXIMUM:
            raise BadValueError("expected a 32-bit mark, decimal or hexadecimal, as in 0x1/0xff", index)
        parsed.append(read)
    return Mark(parsed[0], parsed[1] if slash else _MAXIMUM)


def interface(text: str, lookups: Lookups) -> Interface:
    """What INTERFACE says. Raises BadValueError where there is no such interface."""
    number = number_of(text)
    if (number is None or number > _MAXIMUM) and not lookups.interface_exists(text):
        raise BadValueError(f"no interface {quoted(text)}")
    return Interface(text)


def _family(text: str) -> tuple[str | None, int]:
    """The family that a value names, and where the rest begins."""
    prefix, colon, _ = text.partition(":")
    if colon and prefix in FAMILIES:
        return FAMILIES[prefix], len(prefix) + 1
    return None, 0


def _both(first: Condition, second: Condition) -> Condition:
    return first if second == EVERY else And((first, second))


def _internet(side: str, text: str, family: str | None, lookups: Lookups) -> Condition:
    """``ADDRESS[:PORT]`` of the IP families."""
    address, port_at = _split(text)
    where: Condition = EVERY
    if address not in _WILDCARDS:
        at = 1 if text.startswith("[") else 0
        where = _addresses(side, address, at, text.find("/") + 1, family, lookups)
    if port_at is None or text[port_at:] in ("", "*"):
        return where
    which = Port(side, "=", _port(text[port_at:], port_at, None, lookups))
    return which if where == EVERY else And((where, which))


def _split(text: str) -> tuple[str, int | None]:
    """The address, with its prefix length but without brackets, and where the port begins, if one is there."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise BadValueError("expected ']' behind the address", len(text))
        length, colon, _ = rest.partition(":")
        if length and not length.startswith("/"):
            raise BadValueError("expected ':' and a port, or '/' and a prefix length, behind ']'", len(inside) + 2)
        address = inside.partition("/")[0]
        if _packed(AF_INET6, address) is None:
            raise BadValueError(f"{quoted(address)} is not an IPv6 address", 1)
        return inside + length, len(inside) + 2 + len(length) + 1 if colon else None
    if _packed(AF_INET6, text.partition("/")[0]) is not None and ":" not in text.partition("/")[2]:
        return text, None
    address, colon, _ = text.rpartition(":")
    if not colon:
        return text, None
    return address, len(address) + 1


def _addresses(side: str, text: str, at: int, length_at: int, family: str | None, lookups: Lookups) -> Condition:
    """``text`` is an address, a prefix or a host's name, and begins at ``at`` of the value; its length at the other."""
    address, slash, length = text.partition("/")
    packed = _packed(AF_INET6, address)
    if packed is not None:
        if family == "inet":
            raise BadValueError(f"{quoted(address)} is not an IPv4 address", at)
    elif ":" in address:
        raise BadValueError(f"{quoted(address)} is not an IPv6 address", at)
    else:
        packed = _ipv4(address, short=bool(slash))
        if packed is None:
            return _host_name(side, text, at, family, lookups)
        if family == "inet6":
            raise BadValueError(f"{quoted(address)} is not an IPv6 address", at)
    bits = 8 * len(packed)
    if slash:
        bits = _prefix_length(length, len(packed), length_at)
    number = int.from_bytes(packed, "big")
    kept = number >> 8 * len(packed) - bits << 8 * len(packed) - bits
    return Address(side, kept.to_bytes(len(packed), "big"), bits)


def _host_name(side: str, text: str, at: int, family: str | None, lookups: Lookups) -> Condition:
    labels = text.removesuffix(".").split(".")
    # The last label of a host's name is not all digits (RFC 1123, 2.1): 10.1 is an address that lacks something.
    # That also keeps from getaddrinfo(3) what it would read as a number.
    digits = labels[-1].isdigit() or labels[-1][:2].lower() == "0x"
    known = all(character.isalnum() or character in "-_." for character in text)
    if digits and len(labels) == 1:
        raise BadValueError(f"{quoted(text)} is not an address; for a port write {quoted(':' + text)}", at)
    if digits or not known or not all(labels) or len(text) > _HOST_NAME_SIZE:
        raise BadValueError(f"{quoted(text)} is neither an address nor a host name", at)
    families = {"inet": (AF_INET,), "inet6": (AF_INET6,)}.get(family or "", (AF_INET, AF_INET6))
    try:
        found = lookups.addresses(text, families)
    except OSError as error:
        raise BadValueError(f"the host {quoted(text)} was not found: {error.strerror}", at) from None
    addresses = tuple(Address(side, packed, 8 * len(packed)) for packed in found)
    return addresses[0] if len(addresses) == 1 else Or(addresses)


def _other(side: str, text: str, family: str, lookups: Lookups) -> Condition:
    """``NAME[:PORT]`` of netlink, packet and vsock sockets."""
    name, colon, port_text = text.partition(":")
    parts: list[Condition] = [Family(family)]
    if name not in ("", "*"):
        from .decode_other import listed_name

        listed = listed_name(family, name)
        if listed is None:
            what = "a vsock address" if family == "vsock" else f"a protocol of {family} sockets"
            raise BadValueError(f"{quoted(name)} is not {what}: give its number", 0)
        parts.append(Name(side, family, listed))
    if colon and port_text not in ("", "*"):
        if family == "packet":
            try:
                parts.append(interface(port_text, lookups))
            except BadValueError as error:
                raise BadValueError(error.reason, len(name) + 1) from None
        else:
            number = 0 if family == "netlink" and port_text == "kernel" else number_of(port_text)
            if number is None or number > _MAXIMUM:
                raise BadValueError(f"{quoted(port_text)} is not a port of a {family} socket", len(name) + 1)
            parts.append(Port(side, "=", number))
    return And(tuple(parts)) if len(parts) > 1 else parts[0]


def _port(text: str, at: int, family: str | None, lookups: Lookups) -> int:
    number = number_of(text)
    if number is not None:
        if family in _WIDE_PORTS:
            if number > _MAXIMUM:
                raise BadValueError(f"a port of a {family} socket is from 0 to {_MAXIMUM}", at)
        elif number > _LAST_PORT:
            also = f"; of another family: netlink:{number}" if family is None and number <= _MAXIMUM else ""
            raise BadValueError(f"a port is from 0 to {_LAST_PORT}{also}", at)
        return number
    found = lookups.ports(text)
    if not found:
        raise BadValueError(f"{quoted(text)} is neither a port number nor a service name", at)
    if len(set(found.values())) > 1:
        ports = " and ".join(f"{port} in {protocol}" for protocol, port in found.items())
        raise BadValueError(f"the service {quoted(text)} is port {ports}: give the number", at)
    return next(iter(found.values()))


def _packed(family: int, text: str) -> bytes | None:
    try:
        return inet_pton(family, text)
    except (OSError, ValueError):
        return None


def _ipv4(text: str, *, short: bool) -> bytes | None:
    """An IPv4 address; with ``short`` octets may be missing at the end, which are 0: 10/8 is 10.0.0.0/8."""
    missing = 3 - text.count(".")
    return _packed(AF_INET, text + ".0" * missing if short else text)


def _prefix_length(text: str, size: int, at: int) -> int:
    """A number of bits, or for IPv4 a netmask."""
    number = number_of(text)
    if number is None and size == 4:
        netmask = _packed(AF_INET, text)
        if netmask is not None:
            bits = format(int.from_bytes(netmask, "big"), "032b").rstrip("0")
            number = None if "0" in bits else len(bits)
    if number is None or number > 8 * size:
        raise BadValueError(f"expected a prefix length of 0 to {8 * size}", at)
    return number
