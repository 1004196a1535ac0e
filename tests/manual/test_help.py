"""Help texts and the man page: complete, current, and fit for man(1)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from netinspect.main import COMMANDS, command_of, overview
from netinspect.manual.command_help import man_page

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
    assert f"  {name} " in overview()
    assert f"netinspect {name} " in manual
    for option in command_of(name).options():
        assert option.spelling.strip() in command_of(name).help()
        assert option.spelling.strip() in manual
        assert option.help
