"""Acknowledgments of requests that change something: which was refused, and why (linux/netlink.h: NLMSG_ERROR)."""

from __future__ import annotations

from ...errors import NetlinkError
from ...uapi.netlink import NLMSG_ERROR
from .messages import HEADER, HEADER_SIZE, malformed, raise_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def acknowledgments(buffer: bytes, operation: str) -> Iterator[tuple[int, NetlinkError | None]]:
    """The sequence number of each request that is answered there by NLMSG_ERROR, and its refusal, None for success.

    Raises NetlinkError where a length makes no sense.
    """
    at, end = 0, len(buffer)
    while at < end:
        if end - at < HEADER_SIZE:
            raise malformed(f"{end - at} bytes left over, less than a header", operation)
        length, kind, flags, sequence, _ = HEADER.unpack_from(buffer, at)
        if length < HEADER_SIZE or at + length > end:
            raise malformed(f"a length of {length} with {end - at} bytes left", operation)
        if kind == NLMSG_ERROR:
            refusal = None
            try:
                raise_error(buffer[at : at + length], kind, flags, operation)
            except NetlinkError as error:
                refusal = error
            yield sequence, refusal
        at += length + 3 & ~3
