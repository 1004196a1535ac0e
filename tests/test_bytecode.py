"""The file of bytecode that a build adds: what the program loads from it, and what it does not."""

from __future__ import annotations

import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parent.parent
BUILD = runpy.run_path(str(ROOT / "scripts" / "build_bytecode.py"))
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from netinspect.bytecode import start
start()
from netinspect.engine import text
from netinspect.engine.netlink import messages
print(text.__spec__.cached, text.__file__, text.__loader__.get_source(text.__name__) == open(text.__file__).read())
print(messages.__spec__.cached, text.__doc__[:5], text.marked.__code__.co_filename == text.__file__)
print("__future__" in sys.modules)
"""


TEXT = (ROOT / "netinspect" / "engine" / "text.py").read_text()


@cache
def made(times: bool) -> bytes:
    return BUILD["bytecode"](ROOT, times=times)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package, of the same times."""
    copytree(ROOT / "netinspect", tmp_path / "netinspect", ignore=ignore_patterns("__pycache__", "bytecode.*-*"))
    return tmp_path


def write(checkout: Path, content: bytes) -> str:
    file = checkout / "netinspect" / BUILD["NAME"]
    file.write_bytes(content)
    return str(file)


def loaded(checkout: Path, *flags: str) -> list[str]:
    command = [sys.executable, *flags, "-c", _PROGRAM, str(checkout)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("times", [True, False])
def test_modules_come_from_the_file_and_look_as_ever(checkout: Path, times: bool) -> None:
    file = write(checkout, made(times))
    text = str(checkout / "netinspect" / "engine" / "text.py")
    assert loaded(checkout) == [file, text, "True", file, TEXT[4:9], "True", "False"]


@pytest.mark.parametrize(("times", "other"), [(False, "Another, longer"), (True, "Other")])
def test_a_changed_source_is_taken_itself_and_the_rest_is_not_affected(checkout: Path, times: bool, other: str) -> None:
    """In a checkout a change is seen that leaves the size as it was."""
    file = write(checkout, made(times))
    (checkout / "netinspect" / "engine" / "text.py").write_text(f'r"""{other}{TEXT[9:]}')
    words = loaded(checkout)
    assert words[0] != file
    assert words[3:5] == [file, other[:5]]


@pytest.mark.parametrize("spoil", ["missing", "empty", "other", "cut"])
def test_without_a_fitting_file_modules_are_loaded_as_ever(checkout: Path, spoil: str) -> None:
    if spoil != "missing":
        write(checkout, {"empty": b"", "other": b"\0\0\r\n" + made(True)[4:], "cut": made(True)[:100]}[spoil])
    words = loaded(checkout)
    assert "bytecode." not in words[0]
    assert words[4:] == [TEXT[4:9], "True", "True"]


def test_assertions_are_left_out_where_python_is_told_so(checkout: Path) -> None:
    file = write(checkout, made(True))
    assert loaded(checkout, "-O")[0] != file


def test_a_file_that_another_build_has_put_in_its_place_is_left_alone(checkout: Path) -> None:
    file = write(checkout, made(True))
    program = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from netinspect.bytecode import start
start()
import netinspect.engine
open(sys.argv[1] + ".new", "wb").write(b"x" * 4_000_000)
os.replace(sys.argv[1] + ".new", sys.argv[1])
from netinspect.engine import text
print(text.marked("a"))
"""
    command = [sys.executable, "-c", program, str(checkout), file]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "a\n"
