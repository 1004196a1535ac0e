"""The programs that tests compare with, for the guests of a machine that lacks some: of Debian's packages, unpacked."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path

import packages

OF_PACKAGES = {
    "conntrack": "conntrack",
    "ip": "iproute2",
    "iptables-nft": "iptables",
    "netstat": "net-tools",
    "nft": "nftables",
}
_USUAL = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def there(cache: Path) -> Path | None:
    """The directory below ``cache`` of the programs that this machine lacks, if it has been made."""
    place = _place(cache)
    return place if place is not None and place.exists() else None


def make(cache: Path) -> None:
    """Makes that directory where the machine lacks programs and there is none.

    Raises:
        packages.Missing: they cannot be had here."""
    place = _place(cache)
    if place is None or place.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="programs-") as scratch:
        made = Path(scratch) / "made"
        _make(Path(scratch), made, place)
        made.rename(place)


def _lacking() -> list[str]:
    """The packages of the programs that this machine lacks."""
    return [package for name, package in OF_PACKAGES.items() if shutil.which(name, path=_USUAL) is None]


def _place(cache: Path) -> Path | None:
    """Its name is what it holds: a machine that lacks other programs one day has another one then."""
    names = _lacking()
    return cache / "-".join(["programs", *names]) if names else None


def _make(scratch: Path, made: Path, place: Path) -> None:
    """Unpacks the packages into ``made/root``, and puts what starts them, once it is ``place``, into ``made``."""
    mirror, codename = packages.archive()
    lists = packages.suite(scratch / "apt", mirror, codename)
    made.mkdir()
    root = made / "root"
    packages.unpacked_with_needs(root, lists, *_lacking())
    packages.alternatives(root)
    programs = {path.name: path for part in ("bin", "sbin", "usr/bin", "usr/sbin") for path in (root / part).glob("*")}
    found = (folder for part in ("usr/lib", "lib") for folder in root.glob(f"{part}/*-linux-gnu"))
    folders = [place / folder.relative_to(made) for folder in found]
    libraries = ":".join(map(str, folders))
    extensions = ":".join(str(folder / "xtables") for folder in folders)
    for name, path in programs.items():
        start = made / name
        start.write_text(
            f"#!/bin/sh\nexport LD_LIBRARY_PATH={shlex.quote(libraries)} XTABLES_LIBDIR={shlex.quote(extensions)}\n"
            f'exec {shlex.quote(str(place / path.relative_to(made)))} "$@"\n'
        )
        start.chmod(0o755)
