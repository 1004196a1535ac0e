"""Command lines are read by getopt_long's rules, and fill typed attributes."""

from __future__ import annotations

import getopt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.command import Command
from netinspect.engine.options import Bits, Count, Flag, Group, Many, One, Option, choice, parse, seconds, within
from netinspect.environment import Environment
from netinspect.errors import UsageError
from netinspect.main import COMMANDS, command_of


class Sample(Command):
    """A command for tests."""

    name = "sample"
    operands = "[FILTER]"
    summary = "A command for tests."

    everything = Flag()
    listening = Flag()
    numeric = Bits()
    states = Many[str]()
    limit = One[int](10)
    period = One[float](1.0)
    format = One[str]("table")
    verbose = Count()

    groups = (
        Group(
            "Options",
            Option("a", "all", "everything", to=everything.on),
            Option("l", "listening", "listening", to=listening.on),
            Option("n", "numeric", "numbers", to=numeric.add(3)),
            Option("", "numeric-hosts", "no host names", to=numeric.add(1)),
            Option("", "numeric-ports", "no port names", to=numeric.add(2)),
            Option("s", "state", "states", "NAME", to=states.each(str)),
            Option("o", "timers", "timers, or a format", "FORMAT", choices=("table", "json"), optional=True),
            Option("", "limit", "rows", "NUMBER", to=limit.value(within(1, 100)), views=("top",)),
            Option("", "period", "time", "SECONDS", to=period.value(seconds(0.5, 60)), excludes=("all",)),
            Option("", "format", "as what", "FORMAT", to=format.value(choice("format", ("table", "json")))),
            Option("v", "verbose", "more", to=verbose.more),
        ),
    )

    def take_operands(self) -> None:
        self.view = self.words[0] if self.words else "list"


def parsed(arguments: list[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    found, operands, _ = parse("sample", Sample.all_groups(), arguments)
    return [(option.long, value) for option, value in found], operands


def read(*arguments: str) -> Sample:
    command = Sample.read(arguments, Environment(len, len, False, 80))
    assert command is not None
    return command


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
        (["--lis"], [("listening", None)], []),
        (["-"], [], ["-"]),
        (["-o", "json", "-o", "-ao", "x", "-ojson", "-oa"], [*[("timers", v) for v in ("json", None)], ("all", None),
          ("timers", None), ("timers", "json"), ("timers", None), ("all", None)], ["x"]),
    ],
)  # fmt: skip
def test_a_command_line_reads_as(
    arguments: list[str], options: list[tuple[str, str | None]], operands: list[str]
) -> None:
    assert parsed(arguments) == (options, operands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("-x", "unknown option -x"),
        ("--frob", "unknown option --frob (see `netinspect sample --help`)"),
        ("--litening", "unknown option --litening: did you mean --listening?"),
        ("--numeric-host-names", "did you mean --numeric-hosts or --numeric-ports?"),
        ("--numeric-", "ambiguous: --numeric-hosts, --numeric-ports"),
        ("--all=1", "--all takes no value"),
        ("--state", "--state needs a value"),
        ("-s", "-s needs a value"),
        ("-\x1b", r"-\x1b"),
        ("--format jsn", "no format 'jsn': did you mean json?"),
        ("--format xml", "no format 'xml': table, json"),
        ("top --limit x", "--limit takes a whole number from 1, not 'x'"),
        ("top --limit 0", "--limit takes a whole number from 1, not '0'"),
        ("top --limit 101", "--limit takes a whole number up to 100, not '101'"),
        ("--limit 1", "--limit does not go with `sample list`, but with `sample top`"),
        ("--period 0.1", "--period takes a number of seconds, at least 0.5, not '0.1'"),
        ("--period nan", "--period takes a number of seconds, at least 0.5, not 'nan'"),
        *((f"--period {word}", "a number of seconds") for word in ("+1", "1_0", "\u0663", "infinity", "1e")),
        ("top --limit \u0663", "--limit takes a whole number from 1, not"),
        (f"top --limit {'9' * 100_000}", "--limit takes a whole number up to 100, not"),
        ("--period 1e9", "--period takes a number of seconds, at most 60, not '1e9'"),
        ("--all --period 1", "--period and --all exclude each other"),
    ],
)
def test_a_usage_error_names_the_mistake(arguments: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(*arguments.split(" "))
    assert said in str(caught.value)


def test_options_fill_the_attributes_of_one_command_line() -> None:
    command = read("top", "-a", "-s", "x,y", "--state=z", "--limit", "7", "-vv", "--numeric-ports")
    assert (command.everything, command.listening, command.states) == (True, False, ["x", "y", "z"])
    assert (command.limit, command.period, command.verbose, command.numeric) == (7, 1.0, 2, 2)
    other = read("--period", "2.5", "--numeric-hosts", "-n")
    assert (command.ahead, read("a", "--", "b", "c").ahead) == (None, 1)
    assert (other.everything, other.states, other.limit, other.period, other.numeric) == (False, [], 10, 2.5, 3)


def test_help_comes_before_all_that_does_not_make_sense_together() -> None:
    environment = Environment(len, len, False, 80)
    assert Sample.read(["--all", "--period", "x", "-h"], environment) is None
    with pytest.raises(UsageError):
        Sample.read(["--frob", "-h"], environment)


WORDS = st.sampled_from(
    ["-a", "-l", "-al", "-s", "-sx", "-as", "--all", "--state", "--state=y", "--lis", "--", "w", "-"]
)


@given(st.lists(WORDS, max_size=6))
def test_options_without_choices_are_read_as_python_getopt_reads_them(arguments: list[str]) -> None:
    try:
        theirs, rest = getopt.gnu_getopt(arguments, "als:", ["all", "listening", "state="])
    except getopt.GetoptError:
        with pytest.raises(UsageError):
            parsed(arguments)
        return
    long = {"-a": "all", "-l": "listening", "-s": "state"}
    expected = [(long.get(name) or name[2:], value or None) for name, value in theirs]
    assert parsed(arguments) == (expected, rest)


def test_the_help_text_shows_each_option_within_the_width() -> None:
    text = Sample.help()
    assert text.startswith("Usage: netinspect sample [options] [FILTER]\n")
    for spelling in ("-a, --all", "    --numeric-hosts", "-s, --state NAME", "-o, --timers [FORMAT]", "-h, --help"):
        assert spelling in text
    assert max(map(len, text.splitlines())) <= 100


def every_command() -> list[type[Command]]:
    found = [command_of(name) for name in COMMANDS]
    return [*found, *(below for command in found for below in command.commands)]


@pytest.mark.parametrize("command", every_command(), ids=lambda command: command.name)
def test_the_tables_of_a_command_are_consistent(command: type[Command]) -> None:
    options = [*command.options()]
    for names in ([option.long for option in options], [option.short for option in options]):
        given = [name for name in names if name]
        assert len(given) == len({*given})
    for option in options:
        assert {*option.excludes} <= {other.long for other in options}
        views = getattr(command, "views", ())
        assert not views or {*option.views} <= {*views}
        assert not option.optional or (option.value and option.choices)
