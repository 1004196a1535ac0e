"""Link-layer groups that packet sockets have joined (linux/packet_diag.h: PACKET_DIAG_MCLIST, packet(7))."""

from __future__ import annotations

from _struct import pack, unpack_from

from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import message
from ...uapi.netlink import AF_PACKET, NLM_F_DUMP
from ...uapi.sock_diag import PACKET_DIAG_MCLIST, PACKET_SHOW_MCLIST, SOCK_DIAG_BY_FAMILY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.netlink.messages import Run

_PACKET_MR_MULTICAST = 0

_BODY = 16
_SHAPE = Shape({PACKET_DIAG_MCLIST: ANY})
_INODE = 20
_ENTRY = 44
"""struct packet_diag_mclist: index, count, type, length of the address, room for 32 bytes of it."""


def request() -> bytes:
    """A dump of all packet sockets with what they have joined."""
    return message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, pack("=BBHII8x", AF_PACKET, 0, 0, 0, PACKET_SHOW_MCLIST))


def memberships(run: Run) -> Iterator[tuple[int, int, str]]:
    """Inode of the socket, interface index and address of each group. Raises NetlinkError where it is malformed."""
    for part, layout in run.by_layout(_BODY, _SHAPE):
        at, size = layout.get(PACKET_DIAG_MCLIST, (0, 0))
        for first in range(0, len(part.data), part.length):
            (inode,) = unpack_from("=I", part.data, first + _INODE)
            for entry in range(first + at, first + at + size - _ENTRY + 1, _ENTRY):
                index, _, kind, length = unpack_from("=IIHH", part.data, entry)
                if kind == _PACKET_MR_MULTICAST:
                    yield inode, index, part.data[entry + 12 : entry + 12 + min(length, 32)].hex(":")
