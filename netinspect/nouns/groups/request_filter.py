"""A socket's own multicast membership, asked of the socket (linux/in.h: struct group_filter, MCAST_MSFILTER).

RFC 3678, section 5.1.2: getSourceFilter. The kernel answers EADDRNOTAVAIL where the socket has not joined.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from _struct import calcsize, pack, unpack_from
from errno import EINVAL

MCAST_MSFILTER = 48
LEVELS = {"inet": 0, "inet6": 41}
"""Levels of the socket option: SOL_IP, SOL_IPV6."""
IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
MULTICAST_ALL = {"inet": IP_MULTICAST_ALL, "inet6": IPV6_MULTICAST_ALL}
"""Whether a socket gets groups that it has not joined itself (ip(7)); for IPv6 since Linux 4.20."""
SO_NETNS_COOKIE = 71
SIOCGSKNS = 0x894C

_ADDRESS = calcsize("@I0P")
"""struct group_filter: the interface, padded as struct sockaddr_storage needs it, then the group."""
_STORAGE = 128
_FIXED = _ADDRESS + _STORAGE + 8
_MODES = ("exclude", "include")


def filter_request(family: str, index: int, group: str, room: int) -> bytes:
    """The argument of getsockopt(2): the group on an interface, with space for that many sources."""
    if family == "inet":
        address = pack("=HH4s", AF_INET, 0, inet_pton(AF_INET, group))
    else:
        address = pack("=HHI16sI", AF_INET6, 0, 0, inet_pton(AF_INET6, group), 0)
    head = pack("=I", index).ljust(_ADDRESS, b"\0") + address.ljust(_STORAGE, b"\0")
    return head + pack("=II", 0, room) + bytes(_STORAGE * room)


def filter_answer(answer: bytes, family: str) -> tuple[str, int, tuple[str, ...]]:
    """The mode, the total number of sources, and those that fit. Raises OSError where it is no answer."""
    if len(answer) < _FIXED:
        raise OSError(EINVAL, "a source filter that is cut off")
    mode, count = unpack_from("=II", answer, _FIXED - 8)
    at, size = (4, 4) if family == "inet" else (8, 16)
    starts = range(_FIXED, _FIXED + min((len(answer) - _FIXED) // _STORAGE, count) * _STORAGE, _STORAGE)
    number = AF_INET if family == "inet" else AF_INET6
    sources = tuple(inet_ntop(number, answer[start + at : start + at + size]) for start in starts)
    return _MODES[mode & 1], count, sources
