"""TIPC's sockets: attributes inside one attribute, without a header (linux/tipc_sockets_diag.h, tipc_netlink.h).

Addresses of nodes are numbers, written in hexadecimal as tipc(8) does; 0 is that of a machine in no network.
"""

from __future__ import annotations

from _struct import unpack_from

from ...engine.columns import NONE, Constant
from ...engine.fields import attribute_u32
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import attributes, malformed
from ...errors import MalformedError
from ...startup import array
from ...uapi.tipc import (
    TIPC_NLA_CON_NODE,
    TIPC_NLA_CON_SOCK,
    TIPC_NLA_SOCK_ADDR,
    TIPC_NLA_SOCK_CON,
    TIPC_NLA_SOCK_COOKIE,
    TIPC_NLA_SOCK_GROUP,
    TIPC_NLA_SOCK_HAS_PUBL,
    TIPC_NLA_SOCK_INO,
    TIPC_NLA_SOCK_PAD,
    TIPC_NLA_SOCK_REF,
    TIPC_NLA_SOCK_STAT,
    TIPC_NLA_SOCK_STAT_DROP,
    TIPC_NLA_SOCK_STAT_RCVQ,
    TIPC_NLA_SOCK_STAT_SENDQ,
    TIPC_NLA_SOCK_TIPC_STATE,
    TIPC_NLA_SOCK_TYPE,
    TIPC_NLA_SOCK_UID,
)
from .decode_common import TYPES, UNCONNECTED_STATES, cookies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.columns import Column, Values
    from ...engine.netlink.messages import Layout, Run

BODY = 4
"""The header of the one attribute that all others are in."""

SHAPE = Shape(
    {
        **dict.fromkeys((TIPC_NLA_SOCK_ADDR, TIPC_NLA_SOCK_REF, TIPC_NLA_SOCK_TYPE, TIPC_NLA_SOCK_INO), 4),
        **dict.fromkeys((TIPC_NLA_SOCK_UID, TIPC_NLA_SOCK_TIPC_STATE), 4),
        TIPC_NLA_SOCK_COOKIE: 8,
        TIPC_NLA_SOCK_CON: ANY,
        TIPC_NLA_SOCK_STAT: ANY,
    },
    (TIPC_NLA_SOCK_HAS_PUBL, TIPC_NLA_SOCK_PAD, TIPC_NLA_SOCK_GROUP),
)

_ALWAYS = (TIPC_NLA_SOCK_ADDR, TIPC_NLA_SOCK_TYPE, TIPC_NLA_SOCK_TIPC_STATE, TIPC_NLA_SOCK_INO, TIPC_NLA_SOCK_COOKIE)
_NESTS = (TIPC_NLA_SOCK_CON, TIPC_NLA_SOCK_STAT)

_STATES = UNCONNECTED_STATES
"""TIPC's have the numbers of TCP's; its OPEN is CLOSE (net/tipc/socket.c)."""


def check(run: Run, layout: Layout) -> None:
    """Raises MalformedError where a socket lacks what each one has, or attributes inside another make no sense."""
    for kind in _ALWAYS:
        if kind not in layout:
            raise malformed(f"a socket without attribute {kind}", run.operation)
    for outer in _NESTS:
        _inside(run, layout, outer, 0)


def cookie_column(run: Run, layout: Layout) -> Values:
    """The sockets' cookies."""
    return cookies(run, layout[TIPC_NLA_SOCK_COOKIE][0])


def _named(run: Run, layout: Layout, kind: int, name: Callable[[int], str]) -> Values:
    """Names for an attribute that each socket has."""
    return list(map(name, run.words(layout[kind][0])))


def identities(run: Run) -> array[int]:
    """The low words of the cookies of a run's sockets, as far as these can be read."""
    words = array("I")
    for single in run.singles():
        try:
            ((part, layout),) = single.by_layout(BODY, SHAPE)
        except MalformedError:
            continue
        if TIPC_NLA_SOCK_COOKIE in layout:
            words.extend(part.words(layout[TIPC_NLA_SOCK_COOKIE][0]))
    return words


def _inside(run: Run, layout: Layout, outer: int, kind: int) -> list[int | None] | None:
    """A number inside an attribute that is nested without being marked so; None where it is not there."""
    if outer not in layout:
        return None
    at, size = layout[outer]
    values: list[int | None] = []
    for data in run.unpack(at, f"{size}s"):
        found = attributes(data, 0, size, run.operation).get(kind, (0, 0))
        values.append(unpack_from("=I", data, found[0])[0] if found[1] >= 4 else None)
    return values


def _count(run: Run, layout: Layout, kind: int) -> Values:
    values = _inside(run, layout, TIPC_NLA_SOCK_STAT, kind)
    return Constant(0) if values is None else [value or 0 for value in values]


def _remote_nodes(run: Run, layout: Layout) -> Values:
    values = _inside(run, layout, TIPC_NLA_SOCK_CON, TIPC_NLA_CON_NODE)
    return NONE if values is None else [None if value is None else f"{value:x}" for value in values]


def _remote_ports(run: Run, layout: Layout) -> Values:
    values = _inside(run, layout, TIPC_NLA_SOCK_CON, TIPC_NLA_CON_SOCK)
    return NONE if values is None else values


def _drops(run: Run, layout: Layout) -> Values:
    values = _inside(run, layout, TIPC_NLA_SOCK_STAT, TIPC_NLA_SOCK_STAT_DROP)
    return NONE if values is None else values


MAKERS: dict[str, Column | Callable[..., Values]] = {
    "type": lambda decoder, run, layout: _named(
        run, layout, TIPC_NLA_SOCK_TYPE, lambda number: TYPES.get(number, str(number))
    ),
    "state": lambda decoder, run, layout: _named(
        run, layout, TIPC_NLA_SOCK_TIPC_STATE, lambda number: _STATES[min(number, 255)]
    ),
    "recv_queue": lambda decoder, run, layout: _count(run, layout, TIPC_NLA_SOCK_STAT_RCVQ),
    "send_queue": lambda decoder, run, layout: _count(run, layout, TIPC_NLA_SOCK_STAT_SENDQ),
    "local_address": lambda decoder, run, layout: _named(run, layout, TIPC_NLA_SOCK_ADDR, "{:x}".format),
    "local_port": lambda decoder, run, layout: attribute_u32(run, layout, TIPC_NLA_SOCK_REF),
    "remote_address": lambda decoder, run, layout: _remote_nodes(run, layout),
    "remote_port": lambda decoder, run, layout: _remote_ports(run, layout),
    "uid": lambda decoder, run, layout: attribute_u32(run, layout, TIPC_NLA_SOCK_UID),
    "inode": lambda decoder, run, layout: attribute_u32(run, layout, TIPC_NLA_SOCK_INO),
    "drops": lambda decoder, run, layout: _drops(run, layout),
}
