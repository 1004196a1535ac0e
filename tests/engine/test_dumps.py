"""Interrupted dumps are made anew, give no row twice, and are reported to be incomplete when they stay interrupted."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import pytest
from fake_kernel import FakeKernel

from netinspect.engine.dumps import ATTEMPTS, whole_dump
from netinspect.engine.netlink.transport import Dump
from netinspect.errors import NetlinkError
from netinspect.nouns.sockets import decode_inet as inet_diag

DUMP_INTR = 0x10


def socket_message(cookie: int, flags: int = 2) -> bytes:
    """A listening IPv4 socket with this cookie."""
    low, high = cookie & 0xFFFFFFFF, cookie >> 32
    body = struct.pack("=BBBBHH16s16sIIIIIIII", 2, 10, 0, 0, 0, 0, b"", b"", 0, low, high, 0, 0, 0, 0, low)
    return struct.pack("=IHHII", 16 + len(body), 20, flags, 1, 0) + body


DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)
OVERRUN = OSError(105, "No buffer space available")


def collected(dumps: list[list[bytes | OSError]]) -> tuple[list[int], list[str]]:
    """The cookies that come of these dumps, one after the other, and the problems that are reported."""
    kernels: Iterator[list[bytes | OSError]] = iter(dumps)
    problems: list[str] = []
    decoder = inet_diag.Decoder("tcp", str)

    def dump() -> Dump:
        return Dump(FakeKernel(next(kernels)), b"request", "listing")

    batches: Iterable[object] = whole_dump(
        "listing", dump, decoder.batches, inet_diag.identities, "cookie", problems.append
    )
    return [record.cookie for batch in batches for record in batch], problems  # type: ignore[attr-defined]


def answer(*cookies: int, flags: int = 2) -> bytes:
    return b"".join(socket_message(cookie, flags) for cookie in cookies)


def test_a_dump_that_was_not_interrupted_is_made_once() -> None:
    assert collected([[answer(1, 2), answer(3), DONE]]) == ([1, 2, 3], [])


def test_an_interrupted_dump_is_made_anew_and_gives_only_what_is_new() -> None:
    high = 7 << 32
    first = [answer(1, 2), answer(high | 5, flags=2 | DUMP_INTR), DONE]
    assert collected([first, [answer(2, 4, high | 5, 1), DONE]]) == ([1, 2, high | 5, 4], [])


def test_an_overrun_dump_is_made_anew() -> None:
    assert collected([[answer(1), OVERRUN], [answer(2, 1), DONE]]) == ([1, 2], [])


def test_a_dump_that_stays_interrupted_is_reported_as_incomplete() -> None:
    restless: list[bytes | OSError] = [answer(1, flags=2 | DUMP_INTR), DONE]
    cookies, problems = collected([list(restless) for _ in range(ATTEMPTS)])
    assert cookies == [1]
    assert len(problems) == 1
    assert "listing: the table changed during each of" in problems[0]


def test_any_other_error_ends_the_listing() -> None:
    with pytest.raises(NetlinkError, match="listing"):
        collected([[answer(1), OSError(1, "Operation not permitted")]])
