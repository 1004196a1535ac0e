"""A driver's counters, as `ethtool -S` shows them: those whose names indicate lost packets."""

from __future__ import annotations

from array import array
from fcntl import ioctl
from re import IGNORECASE, compile
from socket import AF_INET, SOCK_DGRAM, socket
from struct import pack, pack_into, unpack_from

from ...engine.text import text
from ...uapi.ethtool import (
    ETH_GSTRING_LEN,
    ETH_SS_STATS,
    ETHTOOL_GSSET_INFO,
    ETHTOOL_GSTATS,
    ETHTOOL_GSTRINGS,
    IFNAMSIZ,
    SIOCETHTOOL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LOST = compile(r"drop|discard|miss|err|no_?buf|no_?desc|fifo|overrun|overflow|timeout|crc|full|fail", IGNORECASE)
_MOST = 1 << 14
"""Counters of one driver: large cards have a few thousand."""


def counters(interfaces: Iterable[str]) -> dict[tuple[str, str], int]:
    """The counters of lost packets by interface and name, of the calling thread's network namespace.

    An interface whose driver has none is not in it.
    """
    found: dict[tuple[str, str], int] = {}
    with socket(AF_INET, SOCK_DGRAM) as asking:
        for interface in interfaces:
            try:
                found |= {(interface, name): value for name, value in _of(asking, interface)}
            except OSError:
                continue  # it has no such counters, or is gone
    return found


def _of(asking: socket, interface: str) -> list[tuple[str, int]]:
    information = array("B", pack("=IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_STATS, 0))
    _ask(asking, interface, information)
    mask, number = unpack_from("=QI", information, 8)
    if not mask or not 0 < number <= _MOST:
        return []
    # One more than there are, since a driver may have more by the time it is asked.
    names = array("B", bytes(12 + ETH_GSTRING_LEN * (number + 1)))
    pack_into("=III", names, 0, ETHTOOL_GSTRINGS, ETH_SS_STATS, number)
    _ask(asking, interface, names)
    values = array("B", bytes(8 + 8 * (number + 1)))
    pack_into("=II", values, 0, ETHTOOL_GSTATS, number)
    _ask(asking, interface, values)
    count = min(number, unpack_from("=I", names, 8)[0], unpack_from("=I", values, 4)[0])
    raw = names.tobytes()
    found = []
    for at in range(count):
        start = 12 + ETH_GSTRING_LEN * at
        name = text(raw[start : start + ETH_GSTRING_LEN].split(b"\0", 1)[0].strip())
        if _LOST.search(name):
            found.append((name, unpack_from("=Q", values, 8 + 8 * at)[0]))
    return found


def _ask(asking: socket, interface: str, command: array[int]) -> None:
    """Raises OSError."""
    address, _ = command.buffer_info()
    name = interface.encode("utf-8", "surrogateescape")[: IFNAMSIZ - 1]
    ioctl(asking.fileno(), SIOCETHTOOL, pack(f"{IFNAMSIZ}sP16x", name, address))
