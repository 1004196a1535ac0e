"""The script ``netinspect``: where it starts Python without the module site, and what is as it would be with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
_SAYS = """
import sys
from posix import getpid
def main():
    print(*sys.argv[1:], "site" in sys.modules, open("/proc/self/comm").read().strip())
    import library
    print(library.__file__, "site" in sys.modules)
    try:
        import no_such_library
    except ModuleNotFoundError as error:
        print(error.name)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with the scripts, and a package that stands for ours beside a library."""
    programs = tmp_path / "an environment" / "bin"
    packages = programs.parent / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    programs.mkdir()
    (programs / "python").symlink_to(os.path.realpath(sys.executable))
    home = Path(os.path.realpath(sys.executable)).parent
    (programs.parent / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    (packages / "library.py").touch()
    for name in ("netinspect", "netinspect-python"):
        text = (TOP / "scripts" / name).read_text()
        (programs / name).write_text(
            text.replace("#!python", "#!/bin/sh\n'''exec' \"" + str(programs) + '/python" "$0" "$@"\n\' \'\'\'', 1)
        )
        (programs / name).chmod(0o755)
    package(packages)
    return programs.parent


def package(folder: Path) -> None:
    made = folder / "netinspect"
    made.mkdir()
    for name in ("__init__.py", "bytecode.py", "start.py"):
        (made / name).write_text((TOP / "netinspect" / name).read_text())
    (made / "main.py").write_text(_SAYS)


@pytest.mark.parametrize("way", ["plain", "link", "editable", "elsewhere", "PYTHONPATH", "two Pythons", "python"])
def test_python_starts_without_site_and_finds_libraries_all_the_same(
    environment: Path, tmp_path: Path, way: str
) -> None:
    """Without site wherever it is known to find the package as Python would; a library brings site with it."""
    program, (packages,) = environment / "bin" / "netinspect", environment.glob("lib/*/site-packages")
    command = [str(program)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if way == "link":
        command = [str(tmp_path / "linked")]
        Path(command[0]).symlink_to(program)
    elif way == "editable":
        (tmp_path / "checkout").mkdir()
        (packages / "netinspect").rename(tmp_path / "checkout" / "netinspect")
        (packages / "_editable_impl_netinspect.pth").write_text(f"{tmp_path}/checkout")
    elif way == "elsewhere":  # found by site alone
        (tmp_path / "checkout").mkdir()
        (packages / "netinspect").rename(tmp_path / "checkout" / "netinspect")
        (packages / "checkout.pth").write_text(f"{tmp_path}/checkout\n")
    elif way == "PYTHONPATH":
        variables["PYTHONPATH"] = str(tmp_path)
    elif way == "two Pythons":
        other = environment / "lib" / "python3.999" / "site-packages"
        other.mkdir(parents=True)
        package(other)
    elif way == "python":
        command = [str(environment / "bin" / "python"), str(program)]
    done = subprocess.run([*command, "a", "b c"], capture_output=True, text=True, env=variables, check=False)
    quick = way in ("plain", "link", "editable")
    assert done.stderr == ""
    name = "netinspect" if quick else done.stdout.split("\n")[0].rpartition(" ")[2]
    assert done.stdout == f"a b c {not quick} {name}\n{packages}/library.py True\nno_such_library\n"
