"""Unix domain sockets (linux/unix_diag.h, net/unix/diag.c)."""

from __future__ import annotations

from _struct import pack

from ...engine.columns import NONE, Constant
from ...engine.fields import attribute_u32, numbers, place
from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import message
from ...engine.text import raw, text
from ...uapi.netlink import AF_UNIX, NLM_F_DUMP
from ...uapi.sock_diag import (
    SOCK_DIAG_BY_FAMILY,
    UNIX_DIAG_ICONS,
    UNIX_DIAG_MEMINFO,
    UNIX_DIAG_NAME,
    UNIX_DIAG_PEER,
    UNIX_DIAG_RQLEN,
    UNIX_DIAG_SHUTDOWN,
    UNIX_DIAG_UID,
    UNIX_DIAG_VFS,
)
from .decode_common import SOCKET, TYPES, UNCONNECTED_STATES, cookies, drops, expect_family, memory, shutdowns
from .decode_common import identities as cookie_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterator, Mapping

    from ...engine.columns import Batch, Column, Values
    from ...engine.netlink.messages import Layout, Run


_SHOW_NAME, _SHOW_PEER, _SHOW_ICONS, _SHOW_QUEUES, _SHOW_MEMORY, _SHOW_UID = 0x01, 0x04, 0x08, 0x10, 0x20, 0x40

# struct unix_diag_msg
_BODY = 16
_TYPE, _STATE, _INODE, _COOKIE = 17, 18, 20, 24


_SHAPE = Shape(
    {
        UNIX_DIAG_NAME: ANY,
        UNIX_DIAG_PEER: 4,
        UNIX_DIAG_ICONS: ANY,
        UNIX_DIAG_RQLEN: 8,
        UNIX_DIAG_MEMINFO: 4,
        UNIX_DIAG_SHUTDOWN: 1,
        UNIX_DIAG_UID: 4,
    },
    (UNIX_DIAG_VFS,),
)


def request(states: int, *, memory: bool = False) -> bytes:
    """A dump of the unix sockets (struct unix_diag_req) in the states whose bits are set."""
    show = _SHOW_NAME | _SHOW_PEER | _SHOW_ICONS | _SHOW_QUEUES | _SHOW_UID | (_SHOW_MEMORY if memory else 0)
    return message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, pack("=BBHIII8x", AF_UNIX, 0, 0, states, 0, show))


def decode(run: Run, names: Mapping[int, str]) -> Iterator[Batch]:
    """The sockets of a run. ``names`` has the names by inode, for the other end of a connection.

    Raises NetlinkError where messages are malformed.
    """
    for part, layout in run.by_layout(_BODY, _SHAPE):
        expect_family(part, AF_UNIX)
        yield _UNIX.batch(part.count, part, layout, names)


def identities(run: Run) -> array[int]:
    """The low words of the cookies of a run's sockets."""
    return cookie_words(run, _BODY, _COOKIE)


def names_by_inode(run: Run) -> Iterator[tuple[int, str]]:
    """The inode and name of each socket of a run that has a name."""
    for part, layout in run.by_layout(_BODY, _SHAPE):
        if UNIX_DIAG_NAME in layout:
            yield from zip(part.u32(_INODE), _names(part, layout), strict=True)


def _peer_names(run: Run, layout: Layout, names: Mapping[int, str]) -> Values:
    at = place(run, layout, UNIX_DIAG_PEER, 4)
    return NONE if at is None else list(map(names.get, run.words(at)))


def _names(run: Run, layout: Layout) -> list[str]:
    at, size = layout[UNIX_DIAG_NAME]
    if not size:
        return [""] * run.count
    return list(map(socket_name, run.unpack(at, f"{size}s")))


def socket_name(address: bytes) -> str:
    """A name in sun_path (unix(7)) as text: of an abstract one the first NUL is a ``@``, and further ones stay.

    A path that begins with ``@`` is written with ``./`` before it, which leads to the same file: so no path reads as an
    abstract name. ``socket_path`` gives the bytes back.
    """
    if address[:1] == b"\0":
        return text(b"@" + address[1:])
    path = text(address.split(b"\0", 1)[0])
    return f"./{path}" if _is_like_abstract(path) else path


def socket_path(name: str) -> bytes:
    """The bytes of sun_path that ``socket_name`` made this name of."""
    if name[:1] == "@":
        return b"\0" + raw(name[1:])
    return raw(name[2:] if name[:2] == "./" and _is_like_abstract(name) else name)


def _is_like_abstract(path: str) -> bool:
    """Whether it is a ``@`` behind none or more of ``./``."""
    while path[:2] == "./":
        path = path[2:]
    return path[:1] == "@"


def _waiting(run: Run, layout: Layout) -> Values:
    """For each listener the inodes of the clients that wait to be accepted, 0 for one that is gone."""
    if UNIX_DIAG_ICONS not in layout:
        return NONE
    at, size = layout[UNIX_DIAG_ICONS]
    return list(run.rows(at, f"{size // 4}I"))


def _queues(run: Run, layout: Layout, offset: int) -> Values:
    at = place(run, layout, UNIX_DIAG_RQLEN, 8)
    return Constant(0) if at is None else numbers(run, at + offset)


_MAKERS: dict[str, Column | Callable[[Run, Layout, Mapping[int, str]], Values]] = {
    "protocol": Constant("unix"),
    "family": Constant("unix"),
    "source": Constant("sock_diag"),
    "remote_address": _peer_names,
    "type": lambda run, layout, names: [TYPES.get(number, str(number)) for number in run.u8(_TYPE)],
    "state": lambda run, layout, names: list(map(UNCONNECTED_STATES.__getitem__, run.u8(_STATE))),
    "recv_queue": lambda run, layout, names: _queues(run, layout, 0),
    "send_queue": lambda run, layout, names: _queues(run, layout, 4),
    "local_address": lambda run, layout, names: _names(run, layout) if UNIX_DIAG_NAME in layout else NONE,
    "uid": lambda run, layout, names: attribute_u32(run, layout, UNIX_DIAG_UID),
    "inode": lambda run, layout, names: run.u32(_INODE),
    "cookie": lambda run, layout, names: cookies(run, _COOKIE),
    "shutdown": lambda run, layout, names: shutdowns(run, layout, UNIX_DIAG_SHUTDOWN),
    "peer_inode": lambda run, layout, names: attribute_u32(run, layout, UNIX_DIAG_PEER),
    "memory": lambda run, layout, names: memory(run, layout, UNIX_DIAG_MEMINFO),
    "drops": lambda run, layout, names: drops(run, layout, UNIX_DIAG_MEMINFO),
    "waiting": lambda run, layout, names: _waiting(run, layout),
    "unknown_attributes": lambda run, layout, names: Constant(_SHAPE.unknown(layout)),
}
_UNIX = SOCKET.made_by(_MAKERS)
