"""A fake kernel: a function from request to what is received; and a recorder of what the real one sends."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from netinspect.engine.netlink.messages import Run
from netinspect.engine.netlink.transport import Dump, connect
from netinspect.uapi.netlink import NETLINK_SOCK_DIAG, NLMSG_DONE, NLMSG_ERROR

if TYPE_CHECKING:
    from netinspect.engine.netlink.transport import NetlinkSocket

MSG_TRUNC = 0x20
MSG_DONTWAIT = 0x40


class From(NamedTuple):
    """A datagram that another process sent."""

    port: int
    datagram: bytes


Received = bytes | From | OSError
"""A datagram of the kernel's, one of somebody else's, or an error of recv."""


class FakeKernel:
    """A netlink socket whose other end is ``answer``; when nothing is left to receive, waiting times out."""

    def __init__(self, answer: Callable[[bytes], Iterable[Received]] | Iterable[Received]) -> None:
        self._answer = answer
        self._received: Iterator[Received] = iter(())
        self.closed = False
        self.flags: list[int] = []

    def send(self, data: bytes, /) -> int:
        self._received = iter(self._answer(data) if callable(self._answer) else self._answer)
        return len(data)

    def recvfrom(self, size: int, flags: int, /) -> tuple[bytes, tuple[int, int]]:
        if self.closed:
            raise OSError(9, "Bad file descriptor")
        self.flags.append(flags)
        item = next(self._received, BlockingIOError(11, "Resource temporarily unavailable"))
        if isinstance(item, OSError):
            raise item
        port, datagram = item if isinstance(item, From) else (0, item)
        return datagram if flags & MSG_TRUNC else datagram[:size], (port, 0)

    def close(self) -> None:
        self.closed = True


class Recorder:
    """The real kernel, with everything that it sends kept in ``datagrams``."""

    def __init__(self, opened: NetlinkSocket) -> None:
        self._opened = opened
        self.datagrams: list[bytes] = []

    def send(self, data: bytes, /) -> int:
        return self._opened.send(data)

    def recvfrom(self, size: int, flags: int, /) -> tuple[bytes, tuple[int, int]]:
        received, sender = self._opened.recvfrom(size, flags)
        self.datagrams.append(received)
        return received, sender

    def close(self) -> None:
        self._opened.close()


def recorded(request: bytes) -> list[bytes]:
    """What the kernel answers to a dump of sock_diag in the current namespace, message by message, without the end."""
    recorder = Recorder(connect(NETLINK_SOCK_DIAG))
    for _ in Dump(recorder, request, "recording"):
        pass
    return [single for datagram in recorder.datagrams for single in split(datagram) if kind_of(single) != NLMSG_DONE]


def runs_of(messages: Iterable[bytes]) -> list[Run]:
    """The runs in a dump of these messages."""
    return list(Dump(FakeKernel([b"".join([*messages, done()])]), b"", "replaying"))


def split(datagram: bytes) -> Iterator[bytes]:
    """The messages of a datagram, with their padding."""
    at = 0
    while at < len(datagram):
        (length,) = struct.unpack_from("=I", datagram, at)
        yield datagram[at : at + (length + 3 & ~3)]
        at += length + 3 & ~3


def kind_of(single: bytes) -> int:
    """nlmsg_type"""
    return int(struct.unpack_from("=H", single, 4)[0])


def message(kind: int, body: bytes, flags: int = 2) -> bytes:
    """One message, padded to four bytes."""
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def done(error: int = 0, flags: int = 2) -> bytes:
    """The end of a dump."""
    return message(NLMSG_DONE, struct.pack("=i", -error), flags)


def refusal(error: int, text: str | None = None, offset: int | None = None, request: bytes | None = None) -> bytes:
    """NLMSG_ERROR with its extended acknowledgment. ``request`` is echoed whole, as older sockets get it."""
    attributes = b""
    if text is not None:
        attributes += attribute(1, text.encode() + b"\0")
    if offset is not None:
        attributes += attribute(2, struct.pack("=I", offset))
    flags = 0x200 if attributes else 0
    if request is None:
        flags |= 0x100
        request = struct.pack("=IHHII", 72, 20, 0x301, 1, 0)
    padding = bytes(-len(request) % 4)
    return message(NLMSG_ERROR, struct.pack("=i", -error) + request + padding + attributes, flags)
