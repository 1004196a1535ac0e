"""Help texts and the man page: complete, current, and fit for man(1)."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netinspect.engine.command import Command
from netinspect.engine.files import package_text
from netinspect.engine.help import examples
from netinspect.environment import Environment
from netinspect.errors import UsageError
from netinspect.main import COMMANDS, command_of
from netinspect.manual.command_help import man_page
from netinspect.manual.overview import overview

MANUAL = Path(__file__).parents[2] / "docs" / "netinspect.1"


def test_the_manual_in_docs_is_current() -> None:
    assert MANUAL.read_text() == man_page(), "run `make man`"


def test_no_placeholder_is_left_in_a_help_text() -> None:
    assert re.findall(r"\{\w+[^}]*\}", man_page()) == []


def test_the_manual_is_clean_roff(need: Callable[[str], None]) -> None:
    need("man")
    result = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(MANUAL)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_each_of_its_options_is_documented(name: str) -> None:
    manual = MANUAL.read_text().replace("\\-", "-")
    assert f"  {name} " in overview(COMMANDS)
    assert f"netinspect {name} " in manual
    for option in command_of(name).options():
        assert option.spelling.strip() in command_of(name).help()
        assert option.spelling.strip() in manual
        assert option.help


def commands_below(command: type[Command]) -> Iterator[type[Command]]:
    yield command
    for below in command.commands:
        yield from commands_below(below)


EVERY = {command.name: command for name in COMMANDS for command in commands_below(command_of(name))}


@pytest.mark.parametrize("name", EVERY)
def test_each_command_has_examples_which_it_understands(name: str) -> None:
    found = examples(EVERY[name])
    text = EVERY[name].help(80)
    assert found
    for line, use in found:
        assert f"  netinspect {line}" in text
        assert use.strip(".") == use
        words = shlex.split(line)
        command = EVERY.get(" ".join(words[:2])) or EVERY[words[0]]
        assert command.name.startswith(name.split()[0])
        environment = Environment(lambda _: None, lambda _: None, False, 80)
        if "--container" in words:
            with pytest.raises(UsageError, match=r"^no container 'web'"):
                command.read(words[1:], environment)
            continue
        assert command.read(words[len(command.name.split()) :], environment) is not None


def test_there_are_no_examples_of_commands_that_are_not() -> None:
    texts = tomllib.loads(package_text("netinspect", "manual/examples.toml"))
    assert set(texts) == set(EVERY)
