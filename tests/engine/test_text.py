"""The gate for untrusted text: names stand for their bytes alone, and make no line and no control character."""

from __future__ import annotations

import json

import pytest
from batches import batch_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.structured import dumps, writer_of
from netinspect.engine.text import digits, in_quotes, marked, number, printable, printable_column, raw, text
from netinspect.environment import Environment

PIECES = (
    b"\\",
    b"x",
    b"c0",
    b"0a",
    b"u0",
    b"085",
    b"\n",
    b'"',
    b"\x1b",
    b"\xc0",
    b"\xc2\x85",
    "é😀\u202e".encode(),
    b"a",
)
NAMES = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join) | st.binary(max_size=12)


@given(NAMES)
def test_a_name_gives_its_bytes_back(name: bytes) -> None:
    found = text(name)
    assert raw(found) == name
    assert found.encode().decode() == found
    assert json.loads(dumps(found)) == found


@given(NAMES, NAMES)
def test_two_names_never_look_alike(one: bytes, other: bytes) -> None:
    for shown in (text, lambda name: printable(text(name)), lambda name: printable(in_quotes(text(name)))):
        assert (shown(one) == shown(other)) == (one == other)


@given(NAMES)
def test_what_is_shown_is_one_line_without_control_characters(name: bytes) -> None:
    assert printable(text(name)).isprintable()
    assert printable_column([text(name), "plain"]) == [printable(text(name)), "plain"]


@given(NAMES)
def test_what_python_makes_of_a_file_name_is_the_same(name: bytes) -> None:
    assert marked(name.decode("utf-8", "surrogateescape")) == text(name)


@pytest.mark.parametrize(
    ("name", "held", "shown", "quoted"),
    [
        (b"plain", "plain", "plain", "plain"),
        (b"a\\", "a\\", "a\\", "a\\\\"),
        (b"a\nb", "a\nb", r"a\x0ab", "a\nb"),
        (rb"a\x0ab", r"a\x0ab", r"a\\x0ab", r"a\\x0ab"),
        (b"caf\xe9", r"caf\xe9", r"caf\xe9", r"caf\xe9"),
        (rb"caf\xe9", r"caf\\xe9", r"caf\\xe9", r"caf\\xe9"),
        (rb"dev-disk\x2duuid", r"dev-disk\x2duuid", r"dev-disk\\x2duuid", r"dev-disk\\x2duuid"),
        ("é".encode(), "é", "é", "é"),
        ("\x85".encode(), "\x85", r"\u0085", "\x85"),
        (b'say "hi"', 'say "hi"', 'say "hi"', r"say \"hi\""),
    ],
)
def test_names_as_they_are_held_and_shown(name: bytes, held: str, shown: str, quoted: str) -> None:
    assert (text(name), printable(held), in_quotes(held)) == (held, shown, quoted)


def test_json_of_a_lone_surrogate_is_valid() -> None:
    assert json.loads(dumps("caf\udce9 😀")) == "caf\\xe9 😀"
    assert json.loads(dumps("\ud800")) == "\\ud800"


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ('=HYPERLINK("http://x")', '"\'=HYPERLINK(""http://x"")"'),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("'=1", "''=1"),
        ("\t=1", "\\x09=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("plain", "plain"),
        (-1, "-1"),
    ],
)
def test_a_spreadsheet_takes_no_cell_for_a_formula(value: str | int, cell: str) -> None:
    written: list[bytes] = []
    writer = writer_of("csv", ["name"], written.append, heading=False)
    writer.add(batch_of(1, {"name": [value]}))
    assert b"".join(written).decode() == f"{cell}\n"


@given(st.lists(st.text(max_size=10), min_size=1, max_size=3))
def test_a_complaint_has_as_many_lines_as_it_has_parts(parts: list[str]) -> None:
    written: list[bytes] = []
    Environment(lambda _: None, written.append, terminal=False, columns=80).complain(*parts)
    lines = b"".join(written).decode().splitlines()
    assert len(lines) == len(parts)
    assert lines[0].startswith("netinspect: ")
    assert all(map(str.isprintable, lines))


def test_a_complaint_is_not_as_long_as_a_word_of_the_command_line_may_be() -> None:
    written: list[bytes] = []
    environment = Environment(lambda _: None, written.append, terminal=False, columns=80)
    environment.complain("no " + "x" * 100_000 + " there", "short")
    first, second = b"".join(written).decode().splitlines()
    assert len(first) < 5000
    assert (first[:15], first[-6:], second) == ("netinspect: no ", " there", "short")


@pytest.mark.parametrize(
    ("word", "plain", "any_base"),
    [
        ("0", 0, 0),
        ("18446744073709551615", (1 << 64) - 1, (1 << 64) - 1),
        ("0x1F", None, 31),
        ("007", 7, None),
        ("0" * 5000 + "7", 7, None),
        *((word, None, None) for word in ("", "-1", "+1", "1_000", " 1", "1\n", "\u0663", "\xb2", "0x", "0x_1", "1e3")),
        ("9" * 100_000, None, None),
        ("0x" + "f" * 100_000, None, None),
    ],
)
def test_a_number_is_made_of_digits(word: str, plain: int | None, any_base: int | None) -> None:
    assert (digits(word), number(word)) == (plain, any_base)
