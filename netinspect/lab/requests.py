"""Netlink requests of a lab: many in one send, each answered; encoded and decoded by pyroute2's message classes."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from ..engine.netlink.acknowledgments import acknowledgments
from ..engine.netlink.messages import message as message_of
from ..engine.netlink.transport import MSG_DONTWAIT, Dump, receive
from ..errors import NetlinkError
from ..uapi.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST
from .errors import LabError

_HEADER = struct.Struct("=IHHII")
NLM_F_NEW = NLM_F_CREATE | NLM_F_EXCL
_SEND_AT_ONCE = 64 * 1024
"""Bytes; each request's answer takes up receive buffer until it is read, so a batch must not be too large."""
BATCH_SEQUENCE = 0xFFFF_FFFF
"""The sequence number of messages around a batch, which are answered only when they are refused."""


class Requests:
    """Requests that ``send`` sends together. One that the kernel refuses is reported by its ``what``."""

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
        """Adds one message that is encoded already, except its header."""
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
        try:
            self._socket.send(b"".join((self._before, *self._parts[start:end], self._after)))
            refusal = self._answers(start, end)
        except OSError as error:
            raise LabError(f"{self._what[start]}: {error.strerror}") from None
        except NetlinkError as error:
            raise LabError(str(error)) from None
        if refusal is not None:
            raise refused(*refusal)

    def _answers(self, start: int, end: int) -> tuple[NetlinkError, str] | None:
        """Waits for the answers to these requests. The first refusal among them, and what was refused."""
        refusal: tuple[NetlinkError, str] | None = None
        waiting = 1 if self._quiet else end - start
        flags = 0
        while waiting > 0:
            try:
                buffer = receive(self._socket, self._what[start], flags)
            except BlockingIOError:
                break  # the batch as a whole was refused, and all that was to come has come
            for sequence, error in acknowledgments(buffer, self._what[start]):
                if sequence == BATCH_SEQUENCE and error:
                    refusal, flags = refusal or (error, self._what[start]), MSG_DONTWAIT
                elif start < sequence <= end:
                    waiting -= sequence == end or not self._quiet
                    if error is not None and refusal is None:
                        refusal = error, self._what[sequence - 1]
        return refusal


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


def refused(error: NetlinkError, what: str) -> Refused:
    """The error for a request that the kernel refused, with its reason where it gives one (extended acknowledgment)."""
    reason = f": {error.message}" if error.message else ""
    return Refused(error.errno, f"the kernel refused {what}: {os.strerror(error.errno)}{reason}")


def encoded(message: Any, kind: int, flags: int, sequence: int) -> bytes:
    """A pyroute2 message as bytes, with its header."""
    message["header"]["type"] = kind
    message["header"]["flags"] = NLM_F_REQUEST | flags
    message["header"]["sequence_number"] = sequence
    message["header"]["pid"] = 0
    message.encode()
    return bytes(message.data)


def dump(opened: socket.socket, message: Any, kind: int, what: str, flags: int = NLM_F_DUMP) -> list[Any]:
    """The decoded answers to a dump or, with other flags, to one request. Raises LabError where it is refused."""
    request = encoded(message, kind, flags if flags & NLM_F_DUMP else flags | NLM_F_ACK, 1)
    answers = []
    try:
        # A dump ends with its socket: with a copy of this one, which is used again.
        for run in Dump(opened.dup(), request, what):
            for at in range(0, len(run.data), run.length):
                answer = type(message)(run.data[at : at + run.length])
                answer.decode()
                answers.append(answer)
    except NetlinkError as error:
        if error.errno:
            raise refused(error, what) from None
        raise LabError(str(error)) from None
    return answers
