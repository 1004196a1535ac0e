"""What an older kernel does not report, or refuses to report, costs that alone: forced, one by one."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from unittest import mock

import pytest
from fake_kernel import done, refusal
from fuzz_commands import LINES, Kernel, asked
from fuzz_inputs import seeds, whole
from fuzz_targets import MESSAGES

from netinspect.environment import Environment
from netinspect.main import run

_HEADERS = {
    "links": 16,
    "addresses": 8,
    "routes": 12,
    "rules": 12,
    "neighbours": 12,
    "nexthops": 8,
    "memberships": 8,
    "bridge-groups": 8,
    "multicast-routes": 12,
    **dict.fromkeys(("flows", "flow-events", "expectations"), 4),
    **dict.fromkeys(("tcp", "udp", "raw", "mptcp", "sctp"), 72),
    **dict.fromkeys(("unix", "packet", "xdp"), 16),
    "netlink": 28,
}
"""Bytes of each message before its first attribute, behind struct nlmsghdr."""
_NEEDED = {"links": {3}, "addresses": {1, 2}, "memberships": {7}, "bridge-groups": {1, 2}, "routes": {22}}
"""Attributes without which there is nothing to report: names, addresses, groups; and an encapsulation with its type."""


def _split(name: str, single: bytes) -> tuple[bytes, dict[int, bytes]]:
    """A message's head, and its attributes whole by their number."""
    at = begin = 16 + _HEADERS[name]
    found = {}
    while at < len(single):
        length, kind = struct.unpack_from("=HH", single, at)
        found[kind & 0x3FFF] = single[at : at + (length + 3 & ~3)]
        at += length + 3 & ~3
    return single[:begin], found


def _attribute(raw: bytes, size: int) -> bytes:
    """An attribute with so much of its payload."""
    kind = raw[2:4]
    return struct.pack("=H", 4 + size) + kind + raw[4 : 4 + size] + bytes(-size % 4)


@pytest.mark.parametrize("name", _HEADERS)
def test_an_attribute_that_is_not_there_costs_what_it_reports(name: str) -> None:
    read = MESSAGES[name].read
    for single in seeds(name):
        head, attributes = _split(name, single)
        for missing in attributes.keys() - _NEEDED.get(name, set()):
            found = read(whole(head + b"".join(raw for kind, raw in attributes.items() if kind != missing)))
            assert len(found) == len(read(single)), missing


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    # Of these each version has made longer what the one before had: struct tcp_info, SK_MEMINFO_*, rtnl_link_stats64,
    # IPSTATS_MIB_* are shown as far as they go.
    [
        ("tcp", 2, 232),
        ("tcp", 2, 104),
        ("tcp", 7, 32),
        ("packet", 0, 12),
        ("netlink", 0, 32),
        ("links", 23, 184),
    ],
)
def test_what_is_shorter_is_read_as_far_as_it_goes(name: str, kind: int, size: int) -> None:
    read = MESSAGES[name].read
    tried = 0
    for single in seeds(name):
        head, attributes = _split(name, single)
        if len(attributes.get(kind, b"")) <= 4 + size:
            continue
        attributes[kind] = _attribute(attributes[kind], size)
        (found,), (before,) = read(whole(head + b"".join(attributes.values()))), read(single)
        assert not found.unknown_attributes
        assert {
            field
            for field in found._fields
            if getattr(found, field) != getattr(before, field) and getattr(found, field) is None
        } <= {"drops"}
        tried += 1
    assert tried


_REFUSALS = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT)


@pytest.mark.parametrize("line", LINES)
def test_a_request_that_an_older_kernel_refuses_is_reported_clearly(line: str) -> None:
    asked_for: set[tuple[int, int, str | None]] = set()

    def status_of(refused: tuple[int, int, str | None] | None, error: int = 0) -> int:
        def connect(protocol: int) -> Kernel:
            def answer(request: bytes) -> Iterator[bytes]:
                (kind,) = struct.unpack_from("=H", request, 4)
                name = asked(protocol, request)
                asked_for.add((protocol, kind, name))
                if (protocol, kind, name) == refused:
                    yield refusal(error, request=request)
                    return
                known = [] if name is None else seeds(name)
                if name == "nftables":
                    known = [single for single in known if struct.unpack_from("=H", single, 4)[0] == kind - 1]
                yield b"".join(known[:2]) + done()

            return Kernel(answer)

        errors: list[bytes] = []
        environment = Environment(lambda _: None, errors.append, False, 80)
        with mock.patch("netinspect.engine.places.connect", connect):
            status = run(line.split(), environment)
        assert all(text.startswith(b"netinspect: ") and text.count(b"\n") == 1 for text in errors), errors
        assert status in (0, 4) or errors  # 4: a diagnosis that finds something, as forwarding that is off here
        return status

    status_of(None)
    for number, one in enumerate(sorted(asked_for, key=str)):
        assert status_of(one, _REFUSALS[number % len(_REFUSALS)]) in (0, 1, 3, 4)


def test_the_reverse_path_filter_has_another_errno_on_older_kernels() -> None:
    def answer(request: bytes) -> Iterator[bytes]:
        (kind,) = struct.unpack_from("=H", request, 4)
        yield refusal(errno.EXDEV, request=request) if kind == 26 else done()

    errors: list[bytes] = []
    words = ["routes", "get", "10.0.0.9", "from", "10.0.0.2"]
    with mock.patch("netinspect.engine.places.connect", return_value=Kernel(answer)):
        assert run(words, Environment(lambda _: None, errors.append, False, 80)) == 1
    assert len(errors) == 1
    assert b"reverse path filter" in errors[0] or b"rp_filter" in errors[0]
