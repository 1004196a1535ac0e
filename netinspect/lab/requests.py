"""Netlink requests of a lab: many in one send, each answered; encoded and decoded by pyroute2's message classes."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from ..engine.netlink.messages import message as message_of
from .errors import LabError

_HEADER = struct.Struct("=IHHII")
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x01, 0x04, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLM_F_NEW = NLM_F_CREATE | NLM_F_EXCL
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_SEND_AT_ONCE = 64 * 1024
"""Bytes; each request's answer takes up receive buffer until it is read, so a batch must not be too large."""
_PATIENCE = 10.0
BATCH_SEQUENCE = 0xFFFF_FFFF
"""The sequence number of messages around a batch, which are answered only when they are refused."""
_RECEIVE_SIZE = 1 << 20


class Requests:
    """Requests that ``send`` sends together. One that the kernel refuses is told by its ``what``."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._parts: list[bytes] = []
        self._what: list[str] = []
        self._before = self._after = b""
        self._quiet = False

    def within(self, before: bytes, after: bytes) -> None:
        """Puts every batch between two messages of sequence number BATCH_SEQUENCE (nfnetlink's transactions)."""
        self._before, self._after = before, after

    def add(self, message: Any, kind: int, flags: int, what: str) -> None:
        """Adds one pyroute2 message. ``what`` completes "the kernel refused …"."""
        self._parts.append(encoded(message, kind, flags | NLM_F_ACK, len(self._what) + 1))
        self._what.append(what)

    def add_raw(self, kind: int, payload: bytes, flags: int, what: str) -> None:
        """Adds one message that is encoded already, but for its header."""
        self._parts.append(message_of(kind, NLM_F_REQUEST | NLM_F_ACK | flags, payload, len(self._what) + 1))
        self._what.append(what)

    def add_quiet(self, data: bytes, what: str) -> None:
        """Adds one of many equal messages: encoded already, with its sequence number, and answered only if refused."""
        self._quiet = True
        self._parts.append(data)
        self._what.append(what)

    def __len__(self) -> int:
        return len(self._parts)

    def send(self) -> None:
        """Sends all, and waits for every answer. Raises LabError for the first that was refused."""
        size, start = 0, 0
        for end, part in enumerate(self._parts, 1):
            size += len(part)
            if size >= _SEND_AT_ONCE or end == len(self._parts):
                self._exchange(start, end)
                size, start = 0, end
        self._parts, self._what = [], []

    def _exchange(self, start: int, end: int) -> None:
        if self._quiet:
            self._parts[end - 1] = _answered(self._parts[end - 1])
        self._socket.settimeout(_PATIENCE)
        self._socket.send(b"".join((self._before, *self._parts[start:end], self._after)))
        failure: tuple[int, str] | None = None
        waiting = 1 if self._quiet else end - start
        while waiting > 0:
            for kind, sequence, body in _messages(_received(self._socket)):
                if kind != _NLMSG_ERROR:
                    continue
                number = -struct.unpack_from("=i", body, 16)[0]
                if sequence == BATCH_SEQUENCE and number:
                    raise refused(number, self._what[start])
                if not start < sequence <= end:
                    continue
                if sequence == end or not self._quiet:
                    waiting -= 1
                if number and failure is None:
                    failure = (number, self._what[sequence - 1])
        if failure is not None:
            raise refused(*failure)


def _answered(data: bytes) -> bytes:
    """The same message, asking for an answer."""
    length, kind, flags, sequence, port = _HEADER.unpack_from(data)
    return _HEADER.pack(length, kind, flags | NLM_F_ACK, sequence, port) + data[_HEADER.size :]


class Refused(LabError):
    """A request that the kernel refused."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        """The kernel's errno."""
        super().__init__(text)


def refused(number: int, what: str) -> Refused:
    """The error for a request that the kernel answered with that error number."""
    return Refused(number, f"the kernel refused {what}: {os.strerror(number)}")


def encoded(message: Any, kind: int, flags: int, sequence: int) -> bytes:
    """A pyroute2 message as bytes, with its header."""
    message["header"]["type"] = kind
    message["header"]["flags"] = NLM_F_REQUEST | flags
    message["header"]["sequence_number"] = sequence
    message["header"]["pid"] = 0
    message.encode()
    return bytes(message.data)


def dump(opened: socket.socket, message: Any, kind: int, what: str, flags: int = NLM_F_DUMP) -> Iterator[Any]:
    """The decoded answers to a dump or, with other flags, to one request."""
    for body in dump_raw(opened, encoded(message, kind, flags, 1), what, single=flags != NLM_F_DUMP):
        answer = type(message)(body)
        answer.decode()
        yield answer


def dump_raw(opened: socket.socket, request: bytes, what: str, *, single: bool = False) -> Iterator[bytes]:
    """The messages that answer a request. Raises LabError where it is refused."""
    opened.settimeout(_PATIENCE)
    opened.send(request)
    sequence_sent = _HEADER.unpack_from(request)[3]
    done = False
    while not done:
        for kind, sequence, body in _messages(_received(opened)):
            if sequence != sequence_sent:
                continue
            if kind == _NLMSG_ERROR:
                number = -struct.unpack_from("=i", body, 16)[0]
                if number:
                    raise refused(number, what)
                done = True
            elif kind == _NLMSG_DONE:
                done = True
            else:
                yield body
                done = single


def _received(opened: socket.socket) -> bytes:
    try:
        return opened.recv(_RECEIVE_SIZE)
    except TimeoutError:
        raise LabError(f"the kernel gave no answer over netlink in {_PATIENCE:.0f} s") from None


def _messages(buffer: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 16 <= len(buffer):
        length, kind, _, sequence, _ = _HEADER.unpack_from(buffer, at)
        if length < 16:
            return
        yield kind, sequence, buffer[at : at + length]
        at += length + 3 & ~3
