"""Listings on a terminal: they fit, have colours, and say what they leave out; in a pipe nothing changes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich_gateway import rich_gateway
from terminals import SIZES, Terminal
from throwaway import NETINSPECT

from netinspect.engine.fitted import allotted, chosen
from netinspect.engine.screen import uncoloured
from netinspect.engine.terminal import (
    CYAN,
    DIM,
    GREEN,
    MAGENTA,
    ORANGE,
    RED,
    RESET,
    shortened,
    tone,
    width,
)

LISTINGS = """
sockets -a
sockets -anpe
sockets -tanpeimo --peers
sockets -xan
sockets -tas
sockets -ta --columns protocol,state,local_address,tcp_info,memory,inode,cookie
routes -n
routes -n --table all
routes get 203.0.113.100 from 192.168.1.11 iif lan
routes summary
links
links -s
links --rates 0.01
links --tree
links --columns name,flags,statistics,alternative_names
addresses
neighbours -a
neighbours tables
rules
conntrack -n
conntrack -n -c -e
conntrack count
conntrack stats
conntrack top --by source
conntrack expectations
nat -n
nat -n -c -e -P
nat hosts
nat outside
groups
groups -s -e
groups routes
groups interfaces
groups bridge
stats
stats tcp --rates 0.01
stats health
stats explain TcpRetransSegs
stats explain
lab list
drops account --interval 0.01
path 192.168.1.11 203.0.113.100:80
explain
explain close-wait
help sockets
help lab
--help
nat diagnose --sample 0
""".strip().splitlines()
"""Every noun, with what makes its rows long."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Any]:
    with rich_gateway() as host:
        yield host


def on_terminal(gateway: Any, listing: str, columns: int, lines: int, **environment: str | None) -> Terminal:
    terminal = Terminal(
        [*NETINSPECT, *listing.split()],
        columns,
        lines,
        start=gateway.popen,
        environment={"NETINSPECT_PAGER": "", **environment},
        stderr=subprocess.DEVNULL,  # prose, which a terminal may wrap
    )
    with terminal:
        terminal.end()
    return terminal


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_row_is_wrapped(gateway: Any, size: tuple[int, int]) -> None:
    wrong = []
    # What is wrong shows where it is narrow; the larger sizes are tried with the widest.
    for listing in LISTINGS if size == SIZES[0] else LISTINGS[1:4] + [one for one in LISTINGS if " -e" in one]:
        terminal = on_terminal(gateway, listing, *size)
        written = [uncoloured(line) for line in terminal.raw.decode().replace("\r\n", "\n").rstrip("\n").split("\n")]
        # Whatever shows that it waits goes away again.
        written = [line.rpartition("\r")[2].removeprefix("\x1b[K") for line in written]
        wrong += [(listing, line) for line in written if width(line) > size[0]]
        if len(terminal.everything) != len(written):
            wrong.append((listing, f"{len(terminal.everything)} rows of {len(written)} lines"))
    assert wrong == []


@pytest.mark.parametrize("listing", ["sockets -tuan", "links", "conntrack -n -e"])
def test_colours_change_nothing_but_colours(gateway: Any, listing: str) -> None:
    def piped(*options: str, **environment: str) -> str:
        words = [*NETINSPECT, *listing.split(), *options]
        return str(gateway.run(*words, env={**os.environ, **environment}, check=False).stdout)

    def without_numbers(text: str) -> str:
        return re.sub(r"[0-9]", "0", text)  # of timers

    plain = piped()
    assert "\x1b" not in plain
    for coloured in (piped("--color", "always"), piped(CLICOLOR_FORCE="1")):
        assert "\x1b[38;5;" in coloured
        assert without_numbers(uncoloured(coloured)) == without_numbers(plain)
    for same in (piped("--color", "never", CLICOLOR_FORCE="1"), piped(CLICOLOR_FORCE="1", NO_COLOR="1")):
        assert "\x1b" not in same


def test_what_is_not_shown_is_named_and_wide_shows_it(gateway: Any) -> None:
    terminal = on_terminal(gateway, "sockets -tane", 80, 24)
    last = terminal.text.splitlines()[-1]
    assert re.fullmatch(r"not shown: .*cookie.* \(--wide shows all\)", last)
    assert "\x1b[2mnot shown" in terminal.raw.decode()
    assert "Cookie" not in terminal.text.splitlines()[0]
    wide = on_terminal(gateway, "sockets -tane --wide", 300, 24)
    assert "not shown" not in wide.text
    assert "Cookie" in wide.everything[0]
    narrow = on_terminal(gateway, "sockets -tan --wide", 40, 24)
    assert any("0.0.0.0:*" in line for line in narrow.everything)
    # COLUMNS is respected where the output is a terminal, and there alone.
    assert "not shown" in on_terminal(gateway, "sockets -tane", 300, 24, COLUMNS="60").text
    plain = gateway.run(*NETINSPECT, "sockets", "-tane").stdout
    assert gateway.run(*NETINSPECT, "sockets", "-tane", env={**os.environ, "COLUMNS": "20"}).stdout == plain


def test_colours_have_a_meaning_on_a_terminal(gateway: Any) -> None:
    raw = on_terminal(gateway, "sockets -tan", 200, 50).raw.decode()
    assert f"{GREEN}LISTEN{RESET}" in raw
    assert f"{DIM}127.0.0.1:8443{RESET}" in raw
    for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}):
        assert "\x1b" not in on_terminal(gateway, "sockets -tan", 200, 50, **quiet).raw.decode()
    assert "\x1b" not in on_terminal(gateway, "sockets -tan --color never", 200, 50).raw.decode()
    assert "\x1b" not in on_terminal(gateway, "sockets -tan --json", 200, 50).raw.decode()


@pytest.mark.parametrize("code", [GREEN, ORANGE, RED, MAGENTA, CYAN])
def test_colours_are_legible_on_dark_and_on_light(code: str) -> None:
    """By the contrast ratio of WCAG 2, 1.4.11: 3 at least, against black and against white."""
    number = int(code.removeprefix("\x1b[38;5;").removesuffix("m")) - 16
    levels = [(0, 95, 135, 175, 215, 255)[part] / 255 for part in (number // 36, number // 6 % 6, number % 6)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    assert 1.05 / (luminance + 0.05) > 3.9
    assert (luminance + 0.05) / 0.05 > 3.9


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("127.0.0.1:80", DIM),
        ("[::1]:80", DIM),
        ("169.254.1.1", MAGENTA),
        ("[fe80::1]:22", MAGENTA),
        ("fe80::1/64", MAGENTA),
        ("239.1.2.3", MAGENTA),
        ("ff02::1", MAGENTA),
        ("10.1.2.3:80", ""),
        ("172.16.0.1", ""),
        ("172.32.0.1", CYAN),
        ("192.168.1.1/24", ""),
        ("100.64.0.1", ""),
        ("0.0.0.0:*", ""),
        ("[::]:22", ""),
        ("fd00::1", ""),
        ("8.8.8.8:53", CYAN),
        ("[2606:4700::1111]:443", CYAN),
        ("default", ""),
        ("example.org:80", ""),
        ("feed.example:80", ""),
        ("*", ""),
        ("-", ""),
    ],
)
def test_the_scope_of_an_address_has_a_colour(address: str, code: str) -> None:
    assert tone("address", address) == code


@pytest.mark.parametrize("text", ["", "short", "x" * 40, "文字" * 20, "é" * 33, "a文" * 9, "\u1112\u1161\u11ab" * 12])
def test_a_text_is_shortened_in_the_middle(text: str) -> None:
    for room in range(1, 30):
        made = shortened(text, room)
        assert width(made) <= room
        assert made == text or "…" in made
        assert made == text or width(made) >= room - 2


def test_a_column_that_matters_less_is_left_out_first() -> None:
    # essential, as shown, spare, spare that goes first
    assert chosen([10, 10, 10, 10], [10, 10, 10, 10], [0, 1, 2, 3], 43) == [0, 1, 2, 3]
    assert chosen([10, 10, 10, 10], [10, 10, 10, 10], [0, 1, 2, 3], 42) == [0, 1, 2]
    assert chosen([10, 5, 10, 10], [10, 30, 10, 10], [0, 1, 2, 3], 42) == [0, 1]
    assert chosen([10, 20], [10, 30], [0, 1], 30) == [0]
    assert chosen([50], [50], [0], 10) == [0]


def test_room_is_taken_from_the_widest() -> None:
    assert allotted([3, 3, 3], [5, 6, 7], 18) == [5, 6, 7]
    assert sum(allotted([3, 3, 3], [5, 60, 70], 40)) == 40
    assert allotted([3, 3, 3], [5, 60, 70], 40)[0] == 5
    assert sum(allotted([10, 10], [10, 10], 5)) == 5


def test_names_of_others_change_no_colour_and_no_row(gateway: Any) -> None:
    terminal = on_terminal(gateway, "sockets -xan", 200, 50)
    assert "\\x1b[31m" in terminal.text
    assert "\x1b[31m" not in terminal.raw.decode()


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 4)), min_size=1, max_size=12),
    st.integers(1, 200),
)
def test_columns_always_fit(columns: list[tuple[int, int, int]], room: int) -> None:
    least = [small for small, _, _ in columns]
    natural = [small + more for small, more, _ in columns]
    kept = chosen(least, natural, [rank for _, _, rank in columns], room)
    assert all(at in kept for at, (_, _, rank) in enumerate(columns) if not rank)
    widths = allotted([least[at] for at in kept], [natural[at] for at in kept], room - len(kept) + 1)
    assert sum(widths) + len(kept) - 1 <= max(room, 2 * len(kept) - 1)


def test_a_korean_syllable_in_letters_is_as_wide_as_in_one_piece() -> None:
    assert width("\u1112\u1161\u11ab") == width("\ud55c") == 2
