"""Prefixes as text: whole columns, against what the C library and `ipaddress` make of the whole."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_ntop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.netlink.messages import HEADER_SIZE, Run, attribute
from netinspect.engine.prefixes import ipv4_texts, ipv6_texts
from netinspect.nouns.routing.decode import Decoder
from netinspect.uapi.rtnetlink import RTA_DST, RTA_GATEWAY, RTA_PRIORITY, RTM_NEWROUTE

_GROUPS = st.one_of(st.just(0), st.just(0xFFFF), st.integers(0, 15), st.integers(0, 0xFFFF))
_WIDTHS = {AF_INET: 2, AF_INET6: 8}


def run_of(addresses: list[bytes]) -> Run:
    messages = [bytes(16) + address for address in addresses]
    return Run(b"".join(messages), 24, len(messages[0]), len(messages))


def texts(family: int, addresses: list[bytes], lengths: bytes | None = None) -> list[str]:
    return (ipv4_texts if family == AF_INET else ipv6_texts)(run_of(addresses), 16, lengths)


def columns(width: int, used: int) -> st.SearchStrategy[list[bytes]]:
    """Addresses, of some of whose groups all rows have the same, and zeros behind the first ``used``."""

    @st.composite
    def draw(draw: st.DrawFn) -> list[bytes]:
        count = draw(st.integers(1, 6))
        rows: list[list[int]] = [[] for _ in range(count)]
        for _ in range(used):
            same = draw(st.booleans())
            first = draw(_GROUPS)
            for row in rows:
                row.append(first if same else draw(_GROUPS))
        return [b"".join(group.to_bytes(2, "big") for group in row) + bytes(2 * (width - used)) for row in rows]

    return draw()


@given(columns(2, 2))
def test_every_ipv4_address_is_as_the_c_library_has_it(addresses: list[bytes]) -> None:
    assert texts(AF_INET, addresses) == [inet_ntop(AF_INET, address) for address in addresses]
    assert texts(AF_INET, addresses) == [str(IPv4Address(address)) for address in addresses]


@pytest.mark.parametrize("used", range(9))
@given(data=st.data())
def test_every_ipv6_address_is_as_the_c_library_has_it(used: int, data: st.DataObject) -> None:
    addresses = data.draw(columns(8, used))
    assert texts(AF_INET6, addresses) == [inet_ntop(AF_INET6, address) for address in addresses]
    if used <= 4:  # further down `ipaddress` knows no addresses of IPv4 inside those of IPv6
        assert texts(AF_INET6, addresses) == [str(IPv6Address(address)) for address in addresses]


def test_every_pattern_of_zeros_alone_and_beside_every_other() -> None:
    patterns = [
        b"".join((0x2001 + at if bits >> at & 1 else 0).to_bytes(2, "big") for at in range(8)) for bits in range(256)
    ]
    for address in patterns:
        assert texts(AF_INET6, [address]) == [inet_ntop(AF_INET6, address)]
    networks = [address for address in patterns if not any(address[8:])]
    for first in networks:
        for second in networks:
            assert texts(AF_INET6, [first, second]) == [inet_ntop(AF_INET6, first), inet_ntop(AF_INET6, second)]


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_every_group_of_sixteen_bits_has_its_text_at_every_place(family: int) -> None:
    width = _WIDTHS[family]
    for place in range(width):
        others = [[0x2001] * place, [0x4] * (width - 1 - place)]
        if width == 8 and place < 4:
            others[1] = [0x4] * (3 - place) + [0] * 4
        addresses = [
            b"".join(number.to_bytes(2, "big") for number in [*others[0], group, *others[1]])
            for group in range(0, 1 << 16, 1 if place in (0, width - 1) else 97)
        ]
        assert texts(family, addresses) == [inet_ntop(family, address) for address in addresses]


@given(st.sampled_from([AF_INET, AF_INET6]), st.data())
def test_lengths_stand_behind_a_slash(family: int, data: st.DataObject) -> None:
    width = _WIDTHS[family]
    addresses = data.draw(columns(width, width // 2))
    same = data.draw(st.booleans())
    length = st.integers(0, 16 * width)
    lengths = bytes([data.draw(length)] * len(addresses) if same else [data.draw(length) for _ in addresses])
    expected = [f"{inet_ntop(family, raw)}/{length}" for raw, length in zip(addresses, lengths, strict=True)]
    assert texts(family, addresses, lengths) == expected


def test_a_route_is_known_again_beside_any_others_and_from_any_that_differs_in_one_byte() -> None:
    def message(destination: bytes, gateway: int, metric: int, kind: int = 1) -> bytes:
        body = bytes([AF_INET, 24, 0, 0, 254, 4, 0, kind]) + bytes(4) + attribute(RTA_DST, destination)
        return (
            bytes(HEADER_SIZE)
            + body
            + attribute(RTA_GATEWAY, bytes([10, 0, 0, gateway]))
            + attribute(RTA_PRIORITY, metric.to_bytes(4, sys.byteorder))
        )

    def identities(messages: list[bytes]) -> list[int]:
        run = Run(b"".join(messages), RTM_NEWROUTE, len(messages[0]), len(messages))
        batch = Decoder(None).batch([run])  # type: ignore[arg-type]
        assert batch is not None
        return list(batch.values("identity"))

    uniform = [message(bytes([16, upper, lower, 0]), 1, 0) for upper in range(9) for lower in range(9)]
    others = [
        message(bytes([16, 0, 0, 0]), gateway, metric, kind)
        for gateway, metric, kind in ((1, 1, 1), (2, 0, 1), (1, 0, 6))
    ]
    together, beside = identities(uniform), identities(uniform + others)
    assert together == beside[: len(uniform)] == [found for single in uniform for found in identities([single])]
    assert len(set(beside)) == len(beside)
