"""The ends of a flow in words: protocols, addresses with or without ports, services."""

from __future__ import annotations

from _socket import getservbyname, inet_ntop, inet_pton

from ...engine.files import check_database
from ...engine.text import digits

PROTOCOLS = {
    "tcp": 6,
    "udp": 17,
    "icmp": 1,
    "ping": 1,
    "icmpv6": 58,
    "icmp6": 58,
    "ipv6-icmp": 58,
    "sctp": 132,
    "dccp": 33,
    "udplite": 136,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "igmp": 2,
}
OF_NETSTAT = {"tcp6": "tcp", "udp6": "udp", "udplite6": "udplite"}
"""Names that netstat(8) gives protocols where it writes addresses without brackets."""
ANY = frozenset(("any", "*", "anywhere", "0.0.0.0/0", "::/0", "-"))
PORT_ANY = frozenset(("*", "any", "0", ""))


def service(name: str) -> int | None:
    from ...engine.in_time import in_time

    check_database("services")
    try:
        return in_time(getservbyname, name)
    except (OSError, ValueError):  # a name that is not UTF-8 is none
        return None


def is_address(text: str) -> bool:
    """Whether it is an address or a prefix."""
    host, slash, length = text.partition("/")
    family = 10 if ":" in host else 2
    try:
        inet_pton(family, host)
    except (OSError, ValueError):
        return False
    bits = digits(length)
    return not slash or (bits is not None and bits <= (128 if family == 10 else 32))


def canonical(text: str) -> str | None:
    """An address, or a prefix, as the kernel's are shown; None where it is none."""
    host, slash, length = text.partition("/")
    family = 10 if ":" in host else 2
    try:
        return inet_ntop(family, inet_pton(family, host)) + slash + length
    except (OSError, ValueError):
        return None


def endpoint(word: str) -> tuple[str, str] | None:
    """An address and what stands behind it as a port; None where it begins with no address.

    The zone of an address (``fe80::1%eth0``) is left out: ss(8) shows an interface so.
    """
    if "%" in word:
        word = _without_zone(word)
    if word[:8].lower().endswith("::ffff:") or word[:7].lower() == "::ffff:":
        host, _, rest = word.removeprefix("[")[7:].partition("]")
        word = f"{host}{rest}" if "." in host else word
    if word.startswith("["):
        host, closed, rest = word[1:].partition("]")
        return (host, rest.lstrip(":.")) if closed and is_address(host) else None
    if is_address(word):
        return word, ""
    for mark in (":", ".", "#"):  # tcpdump writes a dot, conntrackd and pf a #
        host, found, port = word.rpartition(mark)
        if (
            found
            and (is_address(host) or host.lower() in ANY)
            and (digits(port) is not None or port in PORT_ANY or is_name(port))
        ):
            return host, port
    return None


def _without_zone(word: str) -> str:
    """``fe80::1%eth0`` without the interface; with a port behind it, as ss(8) has it, in brackets."""
    host, _, rest = word.partition("%")
    if "]" in rest:
        return f"{host}]{rest.partition(']')[2]}"
    port = rest.partition(":")[2]
    return f"[{host.removeprefix('[')}]:{port}" if port else host


def zone_of(word: str) -> str | None:
    """The interface behind a link-local address of IPv6: ``eth0`` of ``fe80::1%eth0`` and ``[fe80::1%eth0]:22``."""
    host, percent, rest = word.removeprefix("[").partition("%")
    if not percent or not host.lower().startswith(("fe8", "fe9", "fea", "feb", "ff")):
        return None
    return rest.partition("]")[0].partition(":")[0] or None


def is_name(text: str) -> bool:
    """Whether it may be the name of a service."""
    return text.isascii() and text[:1].isalpha() and text.replace("-", "").replace("_", "").isalnum()
