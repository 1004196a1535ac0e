"""Other kernels, in a cache of the user's: Debian's user-mode-linux packages, one of our own, and one for s390x."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import packages
import s390x

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netinspect" / "kernels"
# The suites of Debian whose package user-mode-linux is that kernel.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "7.2": "sid"}
# The one that build.py makes: the package linux-source of that suite, with nearly all of networking.
SOURCE = "6.1"
BUILT = f"{SOURCE}-net"
FRAGMENT = Path(__file__).with_name("networking.config")
# The slowest first: at the end of a run of all of them the others' guests fill the time.
KERNELS = (s390x.NAME, BUILT, *SUITES)
# This machine's own, without a guest: for its column of the table.
HOST = "host"
# They have no room for the registers of a processor with AMX: see xstate.c.
NARROW = ("5.10", "6.1", "6.12", BUILT)


def kernel(version: str) -> Path:
    """The directory of a kernel: ``linux``, its ``modules``, and ``tools`` that load them. Made where there is none."""
    if version not in KERNELS:
        raise packages.Missing(f"no kernel {version}: there are {', '.join(KERNELS)}")
    place = _place(version)
    if not place.exists() and version == BUILT:
        raise packages.Missing("make kernel builds it")
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{version}-") as scratch:
            made = Path(scratch) / "made"
            (s390x.make if version == s390x.NAME else _make)(Path(scratch), made, version)
            made.rename(place)
    if version in NARROW and not (place / "xstate.so").exists() and "amx_tile" in Path("/proc/cpuinfo").read_text():
        source = Path(__file__).with_name("xstate.c")
        packages.run("cc", "-O2", "-shared", "-fPIC", "-o", place / "xstate.so", source)
    return place


def _place(version: str) -> Path:
    """Where a kernel is, or will be. What we choose parts of is another one with other parts."""
    parts = {BUILT: (FRAGMENT,), s390x.NAME: (Path(s390x.__file__), s390x.FIRST)}.get(version)
    if parts is None:
        return CACHE / version
    return CACHE / f"{version}-{hashlib.sha256(b''.join(part.read_bytes() for part in parts)).hexdigest()[:12]}"


def built() -> Path:
    """Where the kernel of that configuration is, or will be."""
    return _place(BUILT)


def _make(scratch: Path, made: Path, version: str) -> None:
    mirror, codename = packages.archive()
    suites = {name: packages.suite(scratch / "apt" / name, mirror, name) for name in {SUITES[version], codename}}
    theirs, ours = suites[SUITES[version]], suites[codename]
    package = packages.unpacked(scratch, theirs, "user-mode-linux")
    made.mkdir()
    shutil.move(package / "usr/bin/linux.uml", made / "linux")
    (modules,) = (package / "usr/lib/uml/modules").iterdir()
    shutil.move(modules, made / "modules" / "lib" / "modules" / modules.name)
    packages.tools(scratch, ours, made)
    needs = subprocess.run(["ldd", made / "linux"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if "not found" in needs.stdout:
        # It is for a newer C library than this machine's, so it runs with that one.
        libc = packages.unpacked(scratch, theirs, "libc6")
        loader = next(libc.glob("**/ld-linux-*.so.2"))
        shutil.move(loader.parent, made / "libc")
        place = CACHE / version / "libc"
        patchelf = packages.unpacked(scratch, ours, "patchelf")
        command = [patchelf / "usr/bin/patchelf", "--set-interpreter", place / loader.name, "--set-rpath", place]
        packages.run(*command, made / "linux")


def release(version: str) -> str:
    """What uname(1) says in it."""
    if version == HOST:
        return os.uname().release.partition("-")[0]
    return next((kernel(version) / "modules" / "lib" / "modules").iterdir()).name
