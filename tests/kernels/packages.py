"""Other kernels: Debian's user-mode-linux packages, got by apt into a cache of the user's and unpacked there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netinspect" / "kernels"
# The suites of Debian whose package user-mode-linux is that kernel.
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie", "7.2": "sid"}
# The one that build.py makes: the package linux-source of that suite, with nearly all of networking.
SOURCE = "6.1"
BUILT = f"{SOURCE}-net"
FRAGMENT = Path(__file__).with_name("networking.config")
KERNELS = (*SUITES, BUILT)
# They have no room for the registers of a processor with AMX: see xstate.c.
NARROW = ("5.10", "6.1", "6.12", BUILT)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Missing(Exception):
    """A kernel that cannot be had here; the text is for the user."""


def kernel(version: str) -> Path:
    """The directory of a kernel: ``linux``, its ``modules``, and ``tools`` that load them. Made where there is none."""
    if version not in KERNELS:
        raise Missing(f"no kernel {version}: there are {', '.join(KERNELS)}")
    place = built() if version == BUILT else CACHE / version
    if not place.exists() and version == BUILT:
        raise Missing("make kernel builds it")
    if not place.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{version}-") as scratch:
            made = Path(scratch) / "made"
            _make(version, Path(scratch), made)
            made.rename(place)
    if version in NARROW and not (place / "xstate.so").exists() and "amx_tile" in Path("/proc/cpuinfo").read_text():
        source = Path(__file__).with_name("xstate.c")
        run("cc", "-O2", "-shared", "-fPIC", "-o", place / "xstate.so", source)
    return place


def built() -> Path:
    """Where the kernel of that configuration is, or will be."""
    return CACHE / f"{BUILT}-{hashlib.sha256(FRAGMENT.read_bytes()).hexdigest()[:12]}"


def _make(version: str, scratch: Path, made: Path) -> None:
    mirror, codename = archive()
    suites = {name: suite(scratch / "apt" / name, mirror, name) for name in {SUITES[version], codename}}
    theirs, ours = suites[SUITES[version]], suites[codename]
    package = unpacked(scratch, theirs, "user-mode-linux")
    made.mkdir()
    shutil.move(package / "usr/bin/linux.uml", made / "linux")
    (modules,) = (package / "usr/lib/uml/modules").iterdir()
    shutil.move(modules, made / "modules" / "lib" / "modules" / modules.name)
    tools(scratch, ours, made)
    needs = subprocess.run(["ldd", made / "linux"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if "not found" in needs.stdout:
        # It is for a newer C library than this machine's, so it runs with that one.
        libc = unpacked(scratch, theirs, "libc6")
        loader = next(libc.glob("**/ld-linux-*.so.2"))
        shutil.move(loader.parent, made / "libc")
        place = CACHE / version / "libc"
        patchelf = unpacked(scratch, ours, "patchelf")
        command = [patchelf / "usr/bin/patchelf", "--set-interpreter", place / loader.name, "--set-rpath", place]
        run(*command, made / "linux")


def tools(scratch: Path, ours: list[str], made: Path) -> None:
    """Puts what loads modules into ``made/tools``."""
    kmod = unpacked(scratch, ours, "kmod", "libkmod2")
    (made / "tools").mkdir()
    shutil.move(next(kmod.glob("**/bin/kmod")), made / "tools" / "kmod")
    for library in kmod.glob("usr/lib/*/libkmod.so.2*"):
        shutil.move(library, made / "tools" / library.name)
    for name in ("modprobe", "insmod", "depmod"):
        (made / "tools" / name).symlink_to("kmod")


def archive() -> tuple[str, str]:
    """The mirror of Debian that this machine's apt reads, and the suite's name: the one that has base-files."""
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(LABEL)", "Created-By: Packages")
    for line in targets.splitlines():
        address, codename, *label = line.split()
        if label == ["Debian"] and codename.isalpha():
            return address, codename
    raise Missing("apt's lists name no mirror of Debian's main archive (apt-get update brings them)")


def suite(place: Path, mirror: str, name: str) -> list[str]:
    """apt's options for lists of their own of that suite; the machine's are not touched."""
    for part in ("lists/partial", "cache/archives/partial"):
        (place / part).mkdir(parents=True)
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (place / "sources.list").write_text(f"deb {signed}{mirror} {name} main\n")
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
    run("apt-get", "-q", *words, "update")
    return words


def unpacked(scratch: Path, lists: list[str], *packages: str) -> Path:
    """A new directory with what those packages hold."""
    place = Path(tempfile.mkdtemp(dir=scratch))
    run("apt-get", "-q", *lists, "download", *packages, cwd=place)
    for package in place.glob("*.deb"):
        run("dpkg", "-x", package, place / "root")
    return place / "root"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=True)
    except FileNotFoundError as error:
        raise Missing(f"{error.filename} is needed to make this kernel") from None
    except subprocess.CalledProcessError as error:
        raise Missing(f"{command[0]} failed: {error.stderr.strip().splitlines()[-1:] or error.returncode}") from None
    return done.stdout
