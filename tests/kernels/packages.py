"""Other kernels: Debian's user-mode-linux packages, got by apt into a cache of the user's and unpacked there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netinspect" / "kernels"
# The suites of Debian whose package user-mode-linux is that kernel.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "7.2": "sid"}
# They have no room for the registers of a processor with AMX: see xstate.c.
NARROW = ("5.10", "6.1", "6.12")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Missing(Exception):
    """A kernel that cannot be had here; the text is for the user."""


def kernel(version: str) -> Path:
    """The directory of a kernel: ``linux``, its ``modules``, and ``tools`` that load them. Made where there is none."""
    if version not in SUITES:
        raise Missing(f"no kernel {version}: there are {', '.join(SUITES)}")
    place = CACHE / version
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{version}-") as scratch:
            made = Path(scratch) / "made"
            _make(version, Path(scratch), made)
            made.rename(place)
    if version in NARROW and not (place / "xstate.so").exists() and "amx_tile" in Path("/proc/cpuinfo").read_text():
        source = Path(__file__).with_name("xstate.c")
        _run("cc", "-O2", "-shared", "-fPIC", "-o", place / "xstate.so", source)
    return place


def _make(version: str, scratch: Path, made: Path) -> None:
    archive, codename = _archive()
    suites = {suite: _suite(scratch / "apt" / suite, archive, suite) for suite in {SUITES[version], codename}}
    theirs, ours = suites[SUITES[version]], suites[codename]
    unpacked = _unpacked(scratch, theirs, "user-mode-linux")
    made.mkdir()
    shutil.move(unpacked / "usr/bin/linux.uml", made / "linux")
    (modules,) = (unpacked / "usr/lib/uml/modules").iterdir()
    shutil.move(modules, made / "modules" / "lib" / "modules" / modules.name)
    tools = _unpacked(scratch, ours, "kmod", "libkmod2", "patchelf")
    (made / "tools").mkdir()
    shutil.move(next(tools.glob("**/bin/kmod")), made / "tools" / "kmod")
    for library in tools.glob("usr/lib/*/libkmod.so.2*"):
        shutil.move(library, made / "tools" / library.name)
    for name in ("modprobe", "insmod"):
        (made / "tools" / name).symlink_to("kmod")
    needs = subprocess.run(["ldd", made / "linux"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if "not found" in needs.stdout:
        # It is for a newer C library than this machine's, so it runs with that one.
        libc = _unpacked(scratch, theirs, "libc6")
        loader = next(libc.glob("**/ld-linux-*.so.2"))
        shutil.move(loader.parent, made / "libc")
        place = CACHE / version / "libc"
        command = [tools / "usr/bin/patchelf", "--set-interpreter", place / loader.name, "--set-rpath", place]
        _run(*command, made / "linux")


def _archive() -> tuple[str, str]:
    """The mirror of Debian that this machine's apt reads, and the suite's name: the one that has base-files."""
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(LABEL)", "Created-By: Packages")
    for line in targets.splitlines():
        address, codename, *label = line.split()
        if label == ["Debian"] and codename.isalpha():
            return address, codename
    raise Missing("apt's lists name no mirror of Debian's main archive (apt-get update brings them)")


def _suite(place: Path, archive: str, suite: str) -> list[str]:
    """apt's options for lists of their own of that suite; the machine's are not touched."""
    for part in ("lists/partial", "cache/archives/partial"):
        (place / part).mkdir(parents=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (place / "sources.list").write_text(f"deb {signed}{archive} {suite} main\n")
    options = {
        "Dir::Etc::SourceList": place / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": place / "lists",
        "Dir::Cache": place / "cache",
        "Acquire::Languages": "none",
        # The directory is the user's, which _apt may not read.
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _run("apt-get", "-q", *words, "update")
    return words


def _unpacked(scratch: Path, suite: list[str], *packages: str) -> Path:
    place = Path(tempfile.mkdtemp(dir=scratch))
    _run("apt-get", "-q", *suite, "download", *packages, cwd=place)
    for package in place.glob("*.deb"):
        _run("dpkg", "-x", package, place / "root")
    return place / "root"


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=True)
    except FileNotFoundError as error:
        raise Missing(f"{error.filename} is needed to make this kernel") from None
    except subprocess.CalledProcessError as error:
        raise Missing(f"{command[0]} failed: {error.stderr.strip().splitlines()[-1:] or error.returncode}") from None
    return done.stdout
