"""What a filter expression means: frozen conditions, which the parser makes and the compilers take.

``And(())`` holds for every socket and ``Or(())`` for none. What the operators ``!=``, ``<`` and ``>`` say is in
``Not``: the kernel's filter knows no more either (linux/inet_diag.h: INET_DIAG_BC_*).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple, TypeAlias
else:
    from ...startup import NamedTuple

LOCAL, REMOTE = "local", "remote"
"""The two ends of a socket, as the fields of ``records.Socket`` begin."""


class And(NamedTuple):
    """All of them hold."""

    parts: tuple[Condition, ...]


class Or(NamedTuple):
    """At least one of them holds."""

    parts: tuple[Condition, ...]


class Not(NamedTuple):
    """It does not hold."""

    part: Condition


class Family(NamedTuple):
    """The socket is of this family: inet, inet6, unix, packet, netlink or vsock."""

    name: str


class Address(NamedTuple):
    """The address of one end begins with the ``length`` first bits of ``prefix``, whose other bits are 0.

    An IPv4 prefix (4 bytes) also holds for an IPv6 socket whose address is v4-mapped (RFC 4291, 2.5.5.2) and begins so.
    An IPv6 prefix (16 bytes) holds for IPv6 sockets only.
    """

    side: str
    prefix: bytes
    length: int


class Port(NamedTuple):
    """The port of one end compares so to ``number``. ``comparison`` is ``=``, ``<=`` or ``>=``."""

    side: str
    comparison: str
    number: int


class Name(NamedTuple):
    """The name of one end of a socket of this family.

    For unix sockets ``pattern`` is one of fnmatch(3), upper and lower case alike. For netlink, packet and vsock sockets
    it is the whole address as it is listed, upper and lower case alike.
    """

    side: str
    family: str
    pattern: str


class Interface(NamedTuple):
    """The socket is bound to this interface: its name, or its index in digits; index 0 means bound to none."""

    name: str


class Mark(NamedTuple):
    """``value`` is left of the firewall mark where only the bits of ``mask`` count."""

    value: int
    mask: int


class Cgroup(NamedTuple):
    """The socket was made in the cgroup (version 2) with this id."""

    path: str
    id: int


class Autobound(NamedTuple):
    """The kernel chose the local port, or name, of the socket."""


Condition: TypeAlias = And | Or | Not | Family | Address | Port | Name | Interface | Mark | Cgroup | Autobound

EVERY = And(())


class Expression(NamedTuple):
    """A whole filter expression.

    ``states`` has the bits (``1 << number``) of the states that ``state`` and ``exclude`` leave, or is None where the
    expression says nothing of states. They are no condition, because the kernel takes them in another place of the
    request, and because in ss, too, they come first and count for the whole.
    """

    states: int | None
    condition: Condition


def leaves(condition: Condition) -> Iterator[Condition]:
    """The conditions that ask something of a socket, without the And, Or and Not around them."""
    if isinstance(condition, (And, Or)):
        for part in condition.parts:
            yield from leaves(part)
    elif isinstance(condition, Not):
        yield from leaves(condition.part)
    else:
        yield condition
