"""Packages of Debian, got by apt into a directory of the user's and unpacked there; none is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Missing(Exception):
    """What cannot be had here; the text is for the user."""


def archive() -> tuple[str, str]:
    """The mirror of Debian that this machine's apt reads, and the suite's name: the one that has base-files."""
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(LABEL)", "Created-By: Packages")
    for line in targets.splitlines():
        address, codename, *label = line.split()
        if label == ["Debian"] and codename.isalpha():
            return address, codename
    raise Missing("apt's lists name no mirror of Debian's main archive (apt-get update brings them)")


def suite(place: Path, mirror: str, name: str, *, architecture: str = "") -> list[str]:
    """apt's options for lists of their own of that suite; the machine's are not touched.

    For another architecture nothing counts as installed."""
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
    if architecture:
        (place / "status").touch()
        options |= {"APT::Architecture": architecture, "APT::Architectures": architecture}
        options["Dir::State::status"] = place / "status"
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    run("apt-get", "-q", *words, "update")
    return words


def unpacked(scratch: Path, lists: list[str], *packages: str) -> Path:
    """A new directory with what those packages hold."""
    place = Path(tempfile.mkdtemp(dir=scratch))
    run("apt-get", "-q", *lists, "download", *packages, cwd=place)
    _unpack(place, place / "root")
    return place / "root"


def unpacked_with_needs(place: Path, lists: list[str], *packages: str) -> None:
    """Puts into the directory what those packages hold, and what they need that is not installed here."""
    scratch = Path(tempfile.mkdtemp(dir=place.parent))
    (scratch / "partial").mkdir()
    options = ("-o", f"Dir::Cache::archives={scratch}", "-o", "Debug::NoLocking=true", "--no-install-recommends")
    run("apt-get", "-q", *lists, *options, "install", "--yes", "--download-only", "--reinstall", *packages)
    _unpack(scratch, place)
    shutil.rmtree(scratch)


def _unpack(archives: Path, place: Path) -> None:
    for package in archives.glob("*.deb"):
        run("dpkg", "-x", package, place)


def alternatives(root: Path) -> None:
    """Gives the unpacked iptables and ip6tables their plain names, as Debian's alternatives do: the variants of nft."""
    programs = root / "usr/sbin"
    if (programs / "xtables-nft-multi").exists():
        for name in ("iptables", "ip6tables"):
            (programs / name).symlink_to("xtables-nft-multi")


def tools(scratch: Path, ours: list[str], made: Path) -> None:
    """Puts what loads modules into ``made/tools``."""
    kmod = unpacked(scratch, ours, "kmod", "libkmod2")
    (made / "tools").mkdir()
    shutil.move(next(kmod.glob("**/bin/kmod")), made / "tools" / "kmod")
    for library in kmod.glob("usr/lib/*/libkmod.so.2*"):
        shutil.move(library, made / "tools" / library.name)
    for name in ("modprobe", "insmod", "depmod"):
        (made / "tools" / name).symlink_to("kmod")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=True)
    except FileNotFoundError as error:
        raise Missing(f"{error.filename} is needed to make this kernel") from None
    except subprocess.CalledProcessError as error:
        raise Missing(f"{command[0]} failed: {error.stderr.strip().splitlines()[-1:] or error.returncode}") from None
    return done.stdout
