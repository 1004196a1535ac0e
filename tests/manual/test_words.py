"""Plain English: words that came back to help texts, the man page, messages and explanations again and again."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import netinspect
from netinspect.main import COMMANDS
from netinspect.manual.overview import overview

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(netinspect.__file__).parent
REPOSITORY = PACKAGE.parent
BANNED = re.compile(
    r"\bso many\b|\btold\b|\bsaid\b|\btells?\b|\bdoes not care\b|\bof theirs\b|\bfor want of\b"
    r"|\bmistake in netinspect\b|\bhowever (long|many)\b|\bwithout a word\b|\bnames did not come in time\b"
    r"|\bwhat is so\b|\bis so:"
    r"|\bat hand\b|\bcannot be told\b|\bis no (address|port|number|file)\b",
    re.IGNORECASE,
)


def texts(path: Path) -> Iterator[str]:
    """The string literals of a module that may be shown: none of its docstrings, and f-strings without their values."""
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def found(text: str) -> list[str]:
    """The banned words of a text, with what stands around them."""
    plain = re.sub(r"\\\n|\s+", " ", text)
    return [plain[max(match.start() - 50, 0) : match.end() + 30] for match in BANNED.finditer(plain)]


def test_messages_help_and_fields_are_in_plain_english() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 200
    assert {
        str(path.relative_to(PACKAGE)): words for path in modules for text in texts(path) if (words := found(text))
    } == {}


@pytest.mark.parametrize("kind", ["man page", "overview", "explanations", "lab"])
def test_the_manual_is_in_plain_english(kind: str) -> None:
    paths = {
        "man page": [REPOSITORY / "docs/netinspect.1"],
        "explanations": sorted(PACKAGE.rglob("*.toml")),
        "lab": sorted((REPOSITORY / "netns-lab").rglob("*.toml")),
    }
    read = [overview(COMMANDS)] if kind == "overview" else [path.read_text("utf-8") for path in paths[kind]]
    assert read
    assert [word for text in read for word in found(text)] == []


def test_the_words_are_found() -> None:
    assert found("list again every so\n   many seconds, which is TOLD once")
    assert not found("the kernel reports so much; a saidfield is no matter")
