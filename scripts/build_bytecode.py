"""Builds the file of bytecode that the program starts from: see netinspect/bytecode.py.

A hook of hatchling: the file is made of the very sources that go into the wheel, or that an editable installation
points to, whenever one is built. It is of the Python that builds; any other finds no file of its name, and loads the
modules as ever. Run by itself it makes the file of this checkout anew.
"""

from __future__ import annotations
import __future__

import ast
import sys
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by itself
    BuildHookInterface = object

PACKAGE = "netinspect"
PARTS = (
    "engine",
    "uapi",
    "records",
    "nouns/sockets",
    "nouns/routing",
    "nouns/links",
    "nouns/groups",
    "nouns/conntrack",
    "netstat",
)
"""What short listings load, beside the modules of the package itself. More would make the index longer."""
NAME = f"bytecode.{sys.implementation.cache_tag}"


class BytecodeHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the file to a wheel; puts it into the package itself where that is installed editable."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            for_checkout(Path(self.root))
            return
        with NamedTemporaryFile(delete=False) as file:
            file.write(bytecode(Path(self.root), times=False))
        self._made = Path(file.name)
        self._made.chmod(0o644)
        build_data["force_include"][file.name] = f"{PACKAGE}/{NAME}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self._made.unlink()


def for_checkout(root: Path) -> None:
    """Writes the file into the package. Sources change later: each is known by its time of change too."""
    Path(root, PACKAGE, NAME).write_bytes(bytecode(root, times=True))


def bytecode(root: Path, *, times: bool) -> bytes:
    """Python's magic number, how long the index is, the index, and the code of each module.

    The index has for each module where its code is after the index, its length, whether it is a package, and the
    size and time of change (0: not known) of its source.
    """
    index: dict[str, tuple[int, int, bool, int, int]] = {}
    codes = bytearray()
    package = Path(root, PACKAGE)
    modules = [*package.glob("*.py"), package / "nouns/__init__.py"]
    for part in PARTS:
        modules += package.joinpath(part).rglob("*.py")
    for path in sorted(modules):
        relative = path.relative_to(root)
        is_package = path.name == "__init__.py"
        name = ".".join((relative.parent if is_package else relative.with_suffix("")).parts)
        source, status = path.read_bytes(), path.stat()
        code = dumps(_compiled(source, str(relative)))
        index[name] = (len(codes), len(code), is_package, len(source), status.st_mtime_ns if times else 0)
        codes += code
    listed = dumps(index)
    return MAGIC_NUMBER + len(listed).to_bytes(4, "little") + listed + codes


def _compiled(source: bytes, name: str) -> Any:
    """The code of a module.

    Without the import of ``annotations`` from __future__, which as a flag costs nothing: the module is not loaded."""
    tree = ast.parse(source, name)
    flags = 0
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            assert [alias.name for alias in statement.names] == ["annotations"]
            flags = __future__.annotations.compiler_flag
            tree.body.remove(statement)
            break
    _without_words(tree)
    return compile(tree, name, "exec", flags, dont_inherit=True, optimize=0)


def _without_words(tree: ast.Module) -> None:
    """Takes out what only people and type checkers read of functions: annotations and docstrings.

    Classes keep theirs: schemas and the meanings of columns are made of them. So does the module itself keep its text.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.copy_location(ast.Pass(), node)]
    tree.body = [
        ast.copy_location(ast.Assign([statement.target], statement.value), statement)
        if isinstance(statement, ast.AnnAssign) and statement.value
        else statement
        for statement in tree.body
    ]


if __name__ == "__main__":
    for_checkout(Path(__file__).parents[1])
