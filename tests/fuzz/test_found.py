"""What fuzzing has found: each was an exception of Python's, a hang or memory without bound."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from fake_kernel import attribute, message
from fuzz_readers import legacy, runs_of, source_filter

from netinspect import procfs
from netinspect.engine import terminal
from netinspect.errors import MalformedError
from netinspect.netfilter import decode
from netinspect.netfilter.evaluate import run_hook
from netinspect.netfilter.kernel import Found
from netinspect.netfilter.packet import Packet
from netinspect.netfilter.ruleset import Ruleset
from netinspect.uapi import nf_tables as nft

NESTED = 0x8000
Given = Callable[[bytes], None]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Puts bytes where files of /proc are."""
    return lambda data: monkeypatch.setattr(procfs, "_read", lambda *_: data)


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def rule(name: bytes, *parts: tuple[int, bytes]) -> bytes:
    """A rule of one expression."""
    inside = b"".join(attribute(kind, value) for kind, value in parts)
    expression = attribute(1, name + b"\0") + attribute(2 | NESTED, inside)
    data = attribute(1, b"t\0") + attribute(2, b"c\0") + attribute(3, bytes(8))
    data += attribute(4 | NESTED, attribute(1 | NESTED, expression))
    return message(10 << 8 | nft.NFT_MSG_NEWRULE, bytes((2, 0, 0, 0)) + data)


def walked(single: bytes) -> Any:
    """A packet in a chain with that rule."""
    hook = attribute(1, number(2)) + attribute(2, number(0))
    base = attribute(1, b"t\0") + attribute(3, b"c\0") + attribute(4 | NESTED, hook) + attribute(7, b"filter\0")
    made = Ruleset()
    chains = decode.chains([message(10 << 8 | nft.NFT_MSG_NEWCHAIN, bytes((2, 0, 0, 0)) + base)])
    made.chains = {chain.key: chain for chain in chains}
    made.rules.update(decode.rules_by_chain([single]))
    return run_hook(made, "ip", "forward", Packet("10.0.0.1", "10.0.0.2", 6, 1, 2)).outcomes


BITS = (1, number(1)), (2, number(1)), (3, number(4)), (6, number(0))
DATA = attribute(1, bytes(8))


@pytest.mark.parametrize(
    "single",
    [
        rule(b"bitwise", *BITS, (4 | NESTED, DATA), (5 | NESTED, attribute(1, bytes(4)))),
        rule(b"bitwise", *BITS, (4 | NESTED, attribute(1, bytes(4))), (5 | NESTED, DATA)),
        rule(b"nat", (1, number(1)), (2, number(2)), (3, number(31)), (4, number(99))),
        rule(b"bitwise", (1, number(0)), (2, number(1)), (3, number(4)), (6, number(0))),
    ],
    ids=["a longer mask", "more to turn over", "a register beyond the last", "the register of verdicts"],
)
def test_a_rule_that_the_kernel_would_refuse_is_malformed(single: bytes) -> None:
    with pytest.raises(MalformedError):
        walked(single)


def test_elements_are_as_long_as_their_set_says() -> None:
    described = attribute(1, b"t\0") + attribute(2, b"s\0") + attribute(3, number(0)) + attribute(5, number(4))
    (found,) = decode.sets([message(10 << 8 | nft.NFT_MSG_NEWSET, bytes((2, 0, 0, 0)) + described)])
    for size in (4, 2, 6):
        key = attribute(1 | NESTED, attribute(1 | NESTED, attribute(1 | NESTED, attribute(1, bytes(size)))))
        data = attribute(1, b"t\0") + attribute(2, b"s\0") + attribute(3 | NESTED, key[4:])
        listed = [message(10 << 8 | nft.NFT_MSG_NEWSETELEM, bytes((2, 0, 0, 0)) + data)]
        if size == 4:
            assert len(list(decode.elements_of(found, listed))) == 1
        else:
            with pytest.raises(MalformedError):
                list(decode.elements_of(found, listed))


@pytest.mark.parametrize(
    "data",
    [
        bytes(20),
        bytes(28) + attribute(4, bytes(2)),
        bytes(28) + attribute(5, bytes(3)),
        bytes(28) + attribute(9, struct.pack("=HBBi", 3, 0, 0, 1)),
        bytes(28) + attribute(8, attribute(2, b"\1")),
    ],
    ids=["no header", "an interface of two bytes", "a gateway of three", "a short next hop", "a short MTU"],
)
def test_a_route_that_makes_no_sense_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Found(data).gateway()


def test_a_table_of_legacy_iptables_that_is_cut_off_or_too_large() -> None:
    info = struct.pack("=32sI5I5III", b"filter", 14, 0, 0, 5000, 0, 0, 0, 0, 5000, 0, 0, 1, 152)
    with pytest.raises(MalformedError):
        legacy(info[:-4] + struct.pack("=I", 1 << 31))
    with pytest.raises(MalformedError):
        legacy(info + bytes(200))


def test_a_configuration_that_is_broken_or_grows_when_it_is_unpacked(given: Given) -> None:
    whole = gzip.compress(b"CONFIG_NET=y\n" * 100)
    for broken in (b"", b"plain", whole[:11] + b"\xff" * 30, zlib.compress(b"x")):
        given(broken)
        assert not procfs.kernel_configuration()
    given(whole)
    assert procfs.kernel_configuration() == "CONFIG_NET=y\n" * 100
    given(gzip.compress(bytes(1 << 26)))
    assert procfs.kernel_configuration() is None


def test_an_empty_line_among_the_protocols(given: Given) -> None:
    given(b"protocol size\n\nUDP-Lite 1152\n")
    assert procfs.has_protocol("udplite")
    assert not procfs.has_protocol("sctp")


def test_a_width_of_thousands_of_digits_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("9" * 5000, "9" * 40, "-1", "x"):
        monkeypatch.setenv("COLUMNS", text)
        assert 0 < terminal.size()[0] < 10_000
    monkeypatch.setenv("COLUMNS", "132")
    assert terminal.size()[0] == 132


def test_a_source_filter_that_is_cut_off() -> None:
    for size in (0, 20, 143, 150):
        assert source_filter(bytes(size)) in ([], [("exclude", 0, ())] * 2)
    assert source_filter(bytes(140) + struct.pack("=I", 1 << 30) + bytes(130)) != []


def test_what_is_no_message_has_no_runs() -> None:
    with pytest.raises(MalformedError):
        runs_of(b"\xff" * 20)
