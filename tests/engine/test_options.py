"""Command lines are read by getopt_long's rules."""

from __future__ import annotations

import getopt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.options import Command, Group, Option
from netinspect.errors import UsageError

COMMAND = Command(
    "test",
    "[FILTER]",
    "A command for tests.",
    (
        Group(
            "Options",
            Option("a", "all", "everything"),
            Option("l", "listening", "listening"),
            Option("n", "numeric", "numbers"),
            Option("", "numeric-hosts", "no host names"),
            Option("", "numeric-ports", "no port names"),
            Option("s", "state", "states", "NAME"),
            Option("o", "timers", "timers, or a format", "FORMAT", choices=("table", "json")),
        ),
    ),
)


@pytest.mark.parametrize(
    ("arguments", "options", "operands"),
    [
        (["-aln"], [("all", None), ("listening", None), ("numeric", None)], []),
        (["-a", "x", "-l", "y"], [("all", None), ("listening", None)], ["x", "y"]),
        (["--all", "--", "-l", "--numeric"], [("all", None)], ["-l", "--numeric"]),
        (["-sx", "-s", "y", "--state=z", "--state", "-a"], [("state", value) for value in ("x", "y", "z", "-a")], []),
        (["-as", "x"], [("all", None), ("state", "x")], []),
        (["--numeric-h"], [("numeric-hosts", None)], []),
        (["--numeric"], [("numeric", None)], []),
        (["--li"], [("listening", None)], []),
        (["-"], [], ["-"]),
        (["-o", "json", "-o", "-ao", "x", "-ojson", "-oa"], [*[("timers", v) for v in ("json", None)], ("all", None),
          ("timers", None), ("timers", "json"), ("timers", None), ("all", None)], ["x"]),
    ],
)  # fmt: skip
def test_a_command_line_reads_as(
    arguments: list[str], options: list[tuple[str, str | None]], operands: list[str]
) -> None:
    assert COMMAND.parse(arguments) == (options, operands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-x"], "unknown option -x"),
        (["--frob"], "unknown option --frob"),
        (["--numeric-"], "ambiguous: --numeric-hosts, --numeric-ports"),
        (["--all=1"], "--all takes no value"),
        (["--state"], "--state needs a value"),
        (["-s"], "-s needs a value"),
        (["-\x1b"], r"-\x1b"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        COMMAND.parse(arguments)
    assert said in str(caught.value)


WORDS = st.sampled_from(
    ["-a", "-l", "-al", "-s", "-sx", "-as", "--all", "--state", "--state=y", "--li", "--", "w", "-"]
)


@given(st.lists(WORDS, max_size=6))
def test_options_without_choices_are_read_as_python_getopt_reads_them(arguments: list[str]) -> None:
    try:
        theirs, rest = getopt.gnu_getopt(arguments, "als:", ["all", "listening", "state="])
    except getopt.GetoptError:
        with pytest.raises(UsageError):
            COMMAND.parse(arguments)
        return
    long = {"-a": "all", "-l": "listening", "-s": "state"}
    expected = [(long.get(name) or name[2:], value or None) for name, value in theirs]
    assert COMMAND.parse(arguments) == (expected, rest)


def test_the_help_text_shows_each_option_within_the_width() -> None:
    text = COMMAND.help()
    assert text.startswith("Usage: netinspect test [options] [FILTER]\n")
    for spelling in ("-a, --all", "    --numeric-hosts", "-s, --state NAME", "-o, --timers [FORMAT]", "-h, --help"):
        assert spelling in text
    assert max(map(len, text.splitlines())) <= 100
