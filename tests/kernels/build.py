"""One more kernel: user-mode-linux with nearly all of networking, made of Debian's source with networking.config."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import made
import packages

# Run of their packages where the machine has none.
TOOLS = ("flex", "bison", "bc", "m4", "libfl2")


def main() -> int:
    try:
        print(build(jobs=os.environ.get("JOBS") or str(os.cpu_count())))
    except packages.Missing as error:
        print(f"{made.BUILT}: {error}", file=sys.stderr)
        return 1
    return 0


def build(*, jobs: str) -> Path:
    """The directory of the kernel, as ``made.kernel`` has it.

    Where there is none it is built, which takes 8 to 20 minutes of two processors.

    Raises:
        packages.Missing: it cannot be built here."""
    place = made.built()
    if place.exists():
        return place
    made.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.CACHE, prefix=f"{made.BUILT}-build-") as scratch:
        result = _build(Path(scratch), jobs)
        result.rename(place)
    for old in made.CACHE.glob(f"{made.BUILT}-*"):
        if old != place and not old.name.startswith(f"{made.BUILT}-build-"):
            shutil.rmtree(old)
    return place


def _build(scratch: Path, jobs: str) -> Path:
    archive, codename = packages.archive()
    suite = packages.suite(scratch / "apt", archive, codename)
    tools = packages.unpacked(scratch, suite, *TOOLS)
    source = packages.unpacked(scratch, suite, f"linux-source-{made.SOURCE}")
    (packed,) = source.glob("usr/src/linux-source-*.tar.xz")
    packages.run("tar", "-xf", packed, "-C", scratch)
    tree, out = scratch / f"linux-source-{made.SOURCE}", scratch / "out"
    out.mkdir()
    libraries = ":".join(str(path) for path in tools.glob("usr/lib/*-linux-gnu"))
    environment = {
        **os.environ,
        "PATH": f"{tools / 'usr/bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": libraries,
        "BISON_PKGDATADIR": str(tools / "usr/share/bison"),
        "M4": str(tools / "usr/bin/m4"),
    }
    make = ["make", "-s", "-C", str(tree), "ARCH=um", f"O={out}", f"-j{jobs}"]

    def step(*command: str | Path) -> None:
        if subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode:
            raise packages.Missing(f"{command[0]} failed")

    step(*make, "x86_64_defconfig")
    with (out / ".config").open("a") as config:
        config.write(made.FRAGMENT.read_text())
    step(*make, "olddefconfig")
    set_to = (out / ".config").read_text().splitlines()
    wanted = [line for line in made.FRAGMENT.read_text().splitlines() if line.startswith("CONFIG_")]
    for line in wanted:
        if line not in set_to:
            print(f"{made.BUILT}: not in this source: {line}", file=sys.stderr)
    step(*make, "linux")
    result = scratch / "made"
    release = (out / "include/config/kernel.release").read_text().strip()
    modules = result / "modules" / "lib" / "modules" / release
    modules.mkdir(parents=True)
    # modprobe then knows that all is there.
    step(*make, "modules.builtin")
    for name in ("modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(out / name, modules)
    (modules / "modules.order").touch()
    step("strip", "-o", result / "linux", out / "linux")
    packages.tools(scratch, suite, result)
    step("env", f"LD_LIBRARY_PATH={result / 'tools'}", result / "tools/depmod", "-b", result / "modules", release)
    return result


if __name__ == "__main__":
    sys.exit(main())
