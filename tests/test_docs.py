"""The documents for contributors name files that are there, and every package that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
DOCUMENTS = [TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
BASES = ("", "netinspect", "netinspect/nouns", "netinspect/nouns/sockets", "docs", "tests")
"""Where a file that a document names may be."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_file_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    for name in re.findall(r"`([\w./-]+\.(?:py|pyi|toml|md))[`:]", text):
        if name == "my.toml":  # an example's own
            continue
        assert any((TOP / base / name).exists() for base in BASES), name
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (document.parent / target).exists(), target


def test_the_architecture_page_has_every_package() -> None:
    page = (TOP / "docs" / "architecture.md").read_text()
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    for entry in sorted((TOP / "netinspect").iterdir()):
        if entry.is_dir() and (entry / "__init__.py").exists():
            assert f"`{entry.name}/" in table, entry.name
        elif entry.suffix == ".py" and entry.stem not in ("__init__", "__main__"):
            assert f"`{entry.name}`" in table, entry.name
