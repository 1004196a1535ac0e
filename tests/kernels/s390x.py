"""The big-endian kernel: Debian's for s390x with Debian's Python and programs for it, in an emulated machine.

Its root is a directory with packages of that architecture, its memory holds what is written there, and the repository
is at the same place as here with a ``.venv`` whose Python is the guest's and whose packages are this machine's.
"""

from __future__ import annotations

import gzip
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import packages

NAME = "6.1-s390x"
SUITE = "bookworm"
PROGRAMS = (
    *("base-files", "bash", "busybox-static", "conntrack", "coreutils", "findutils", "grep", "hostname", "iproute2"),
    *("iptables", "kmod", "linux-image-s390x", "mount", "net-tools", "nftables", "procps", "python3"),
    *("python3-hypothesis", "python3-jsonschema", "sed", "util-linux"),
)
# What the first program needs until it sees the host's files; all else is loaded from there.
MODULES = ("9pnet_virtio", "9p", "overlay")
# What `make test-kernels` runs there by default: what decodes, and the listings against other programs. All else would
# take hours.
PARTS = (
    *("engine/test_attributes.py", "engine/test_columns.py", "engine/test_dumps.py", "engine/test_messages.py"),
    # Not test_legacy.py: this kernel falls over when it loads iptable_nat (list_add double add).
    *("netfilter/test_netfilter_evaluate.py", "netfilter/test_nftables.py"),
    *("netstat/test_netstat_layout.py", "netstat/test_netstat_statistics.py", "nouns/capabilities"),
    *("nouns/conntrack/test_conntrack.py", "nouns/conntrack/test_conntrack_events.py"),
    *("nouns/drops/test_drops_decode.py", "nouns/groups/test_groups.py", "nouns/groups/test_groups_decoding.py"),
    *("nouns/links", "nouns/routing/test_neighbours.py", "nouns/routing/test_routes.py", "nouns/routing/test_rules.py"),
    *("nouns/routing/test_routes_exceptions.py", "nouns/routing/test_routes_hops.py", "nouns/statistics/test_stats.py"),
    *("nouns/sockets/test_inet_diag.py", "nouns/sockets/test_inet_filter.py", "nouns/sockets/test_mptcp_info.py"),
    *("nouns/sockets/test_other_diag.py", "nouns/sockets/test_tcp_info.py", "nouns/sockets/test_unix_diag.py"),
)
FIRST = Path(__file__).with_name("s390x-init.sh")


def make(scratch: Path, made: Path, _version: str) -> None:
    """Puts into ``made`` the emulator, the kernel with its root, and the files that it begins with."""
    mirror, codename = packages.archive()
    ours = packages.suite(scratch / "ours", mirror, codename)
    theirs = packages.suite(scratch / "theirs", mirror, SUITE, architecture="s390x")
    made.mkdir()
    packages.unpacked_with_needs(made / "emulator", ours, "qemu-system-misc")
    root = made / "root"
    packages.unpacked_with_needs(root, theirs, *PROGRAMS)
    # What the scripts of packages would do.
    (root / "bin/sh").unlink(missing_ok=True)
    (root / "bin/sh").symlink_to("bash")
    packages.alternatives(root)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    (modules,) = (root / "lib/modules").iterdir()
    (made / "linux").symlink_to(f"root/boot/vmlinuz-{modules.name}")
    (made / "modules").symlink_to("root")
    packages.tools(scratch, ours, made)
    packages.run("env", f"LD_LIBRARY_PATH={made / 'tools'}", made / "tools/depmod", "-b", root, modules.name)
    shutil.rmtree(made / "tools")
    with gzip.open(made / "first", "wb", 1) as file:
        for piece in _archive(root, modules):
            file.write(piece)


def command(place: Path, out: Path, tree: Path, *, memory: int) -> list[str | Path]:
    """What runs the guest with ``out`` and ``tree`` of this machine: qemu(1)."""
    emulator = place / "emulator"
    libraries = ":".join(str(path) for part in ("usr/lib", "lib") for path in emulator.glob(f"{part}/*-linux-gnu"))
    argv: list[str | Path] = ["env", f"LD_LIBRARY_PATH={libraries}", emulator / "usr/bin/qemu-system-s390x"]
    argv += ["-L", emulator / "usr/share/qemu", "-M", "s390-ccw-virtio", "-cpu", "max", "-accel", "tcg", "-smp", "1"]
    argv += ["-m", str(memory), "-nographic", "-no-reboot", "-nic", "none", "-kernel", place / "linux"]
    argv += ["-initrd", place / "first", "-append", f"console=ttysclp0 loglevel=4 panic=-1 NI_TREE={tree}"]
    for name, folder in {"root": place / "root", "tree": tree, "out": out}.items():
        kept = "" if name == "out" else ",readonly=on"
        argv += ["-fsdev", f"local,id={name},path={folder},security_model=none{kept}"]
        argv += ["-device", f"virtio-9p-ccw,fsdev={name},mount_tag={name}"]
    return argv


def _archive(root: Path, modules: Path) -> Iterator[bytes]:
    """The files in memory, as the kernel reads them (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    files: dict[str, bytes | None] = {"proc": None, "lower": None, "memory": None, "dev": None}
    files |= {"busybox": (root / "bin/busybox").read_bytes(), "init": FIRST.read_bytes()}
    for number, path in enumerate(_needed(modules)):
        files[f"{number:02}.ko"] = path.read_bytes()
    for number, (name, content) in enumerate([*files.items(), ("TRAILER!!!", b"")]):
        kind = stat.S_IFDIR if content is None else stat.S_IFREG
        data = content or b""
        fields = (number, kind | 0o755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        for piece in (head, data):
            yield piece + bytes(-len(piece) % 4)


def _needed(modules: Path) -> list[Path]:
    """The modules' files, each behind those that it needs (modules.dep(5))."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[Path(name).name.split(".")[0]] = [name, *others.split()]
    return [modules / name for name in dict.fromkeys(name for module in MODULES for name in reversed(needs[module]))]
