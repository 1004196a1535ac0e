"""Units and containers from the cgroup paths that real systems have, and the paths behind ids."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from batches import batch_of
from throwaway import Namespace

from netinspect.engine.columns import Batch, Constant
from netinspect.engine.containers.cgroups import container, unit, unit_and_container
from netinspect.nouns.sockets.listing import ALL_STATES, Query, SocketListing
from netinspect.nouns.sockets.owners_cgroups import CgroupPaths
from netinspect.procfs import cgroup_lines, cgroups

ID = "3c8d4f0e" * 8
OTHER = "0123456789abcdef" * 4
POD = "8f5b1e0a-7c1d-4f0a-9d0e-1a2b3c4d5e6f"
POD_ = POD.replace("-", "_")

PATHS = [
    # systemd
    ("/", None, None),
    ("/init.scope", "init.scope", None),
    ("/system.slice", None, None),
    ("/system.slice/ssh.service", "ssh.service", None),
    ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", None),
    ("/system.slice/dbus.socket", "dbus.socket", None),
    ("/system.slice/_cpu.service", "cpu.service", None),
    ("/system.slice/delegating.service/worker/3", "delegating.service", None),
    ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope", None),
    ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service", None),
    ("/user.slice/user-1000.slice/user@1000.service/init.scope", "init.scope", None),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", "web.service", None),
    (
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.Terminal-9.scope",
        "app-org.Terminal-9.scope",
        None,
    ),
    # Docker
    (f"/docker/{ID}", None, ID),
    (f"/system.slice/docker-{ID}.scope", f"docker-{ID}.scope", ID),
    (f"/system.slice/docker.service/docker/{ID}", "docker.service", ID),
    (f"/docker/{ID}/docker/{OTHER}", None, OTHER),
    (f"/docker/{ID}/system.slice/nginx.service", "nginx.service", ID),
    (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope", f"docker-{ID}.scope", ID),
    (f"/ecs/5a0b6a0d/{ID}", None, ID),
    (f"/ecs.slice/ecstasks-{ID[:32]}.slice/docker-{ID}.scope", f"docker-{ID}.scope", ID),
    # Kubernetes: containerd, CRI-O and Docker, both drivers
    (f"/kubepods/burstable/pod{POD}/{ID}", None, ID),
    (f"/kubepods/pod{POD}/{ID}", None, ID),
    (f"/kubepods/besteffort/pod{POD}/crio-{ID}", None, ID),
    (f"/kubepods/besteffort/pod{POD}", None, f"pod{POD}"),
    (
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice/cri-containerd-{ID}.scope",
        f"cri-containerd-{ID}.scope",
        ID,
    ),
    (f"/kubepods.slice/kubepods-pod{POD_}.slice/crio-{ID}.scope/container", f"crio-{ID}.scope", ID),
    (f"/kubepods.slice/kubepods-pod{POD_}.slice", None, f"pod{POD}"),
    (
        f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope",
        f"cri-containerd-{ID}.scope",
        ID,
    ),
    (
        f"/system.slice/containerd.service/kubepods-burstable-pod{POD_}.slice:cri-containerd:{ID}",
        "containerd.service",
        ID,
    ),
    (f"/kubepods.slice/kubepods-pod{POD_}.slice/crio-conmon-{ID}.scope", f"crio-conmon-{ID}.scope", f"pod{POD}"),
    # Podman
    (f"/machine.slice/libpod-{ID}.scope", f"libpod-{ID}.scope", ID),
    (f"/machine.slice/libpod-{ID}.scope/container", f"libpod-{ID}.scope", ID),
    (f"/machine.slice/libpod-conmon-{ID}.scope", f"libpod-conmon-{ID}.scope", None),
    (f"/libpod_parent/libpod-{ID}", None, ID),
    (f"/libpod_parent/{OTHER}/libpod-{ID}", None, ID),
    (f"/libpod_parent/{OTHER}/conmon", None, None),  # of a pod
    (f"/system.slice/web.service/libpod-payload-{ID}", "web.service", ID),
    (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
        f"libpod-{ID}.scope",
        ID,
    ),
    # LXC, Incus, systemd-nspawn, libvirt
    ("/lxc/web", None, "web"),
    ("/lxc.payload.web", None, "web"),
    ("/lxc.payload/web", None, "web"),
    ("/lxc.payload.web/system.slice/nginx.service", "nginx.service", "web"),
    ("/lxc.monitor.web", None, None),
    ("/machine.slice/machine-debian\\x2dtree.scope", "machine-debian\\x2dtree.scope", "debian-tree"),
    ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", "systemd-nspawn@web.service", "web"),
    ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/vcpu0", "machine-qemu\\x2d1\\x2dvm.scope", "qemu-1-vm"),
    # Nothing of the kind
    (f"/{ID[:-1]}", None, None),
    (f"/{ID[:-1]}G", None, None),
    ("/podracer", None, None),
    ("/machine.slice/machine-a\\xzz.scope", "machine-a\\xzz.scope", "a\\xzz"),
    ("/system.slice/machine-.scope.d/\x1b[31m", None, None),
]


@pytest.mark.parametrize(("path", "expected_unit", "expected_container"), PATHS)
def test_a_path_gives_unit_and_container(path: str, expected_unit: str | None, expected_container: str | None) -> None:
    assert (unit(path), container(path)) == (expected_unit, expected_container)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], (None, None)),
        ([("", "/")], (None, None)),
        ([("", f"/system.slice/docker-{ID}.scope")], (f"docker-{ID}.scope", ID)),
        # cgroup v1
        ([("cpu,cpuacct", f"/docker/{ID}"), ("name=systemd", f"/docker/{ID}")], (None, ID)),
        ([("pids", "/system.slice/a.service"), ("name=systemd", "/system.slice/b.service")], ("b.service", None)),
        # Both, v2 without controllers
        ([("memory", f"/lxc/{ID}"), ("name=systemd", "/system.slice/x.service"), ("", "/")], ("x.service", ID)),
        ([("name=systemd", "/system.slice/x.service"), ("", "/system.slice/x.service")], ("x.service", None)),
        ([("memory", f"/docker/{ID}")], (None, ID)),
    ],
)
def test_a_process_has_unit_and_container_in_either_version(
    groups: list[tuple[str, str]], expected: tuple[str | None, str | None]
) -> None:
    assert unit_and_container(groups) == expected


def _ids(*numbers: int | None) -> Batch:
    return batch_of(len(numbers), {"cgroup_id": list(numbers)})


def _paths(paths: CgroupPaths, batch: Batch) -> list[Any]:
    return list(paths.column(batch).values(batch.count))


def test_an_id_is_the_inode_of_the_groups_directory(tmp_path: Path) -> None:
    (tmp_path / "a.slice" / "b.service").mkdir(parents=True)
    (tmp_path / "c.slice").mkdir()
    (tmp_path / "c.slice" / "cgroup.procs").touch()
    paths = CgroupPaths([("/", str(tmp_path))])
    numbers = [os.stat(tmp_path / name).st_ino for name in (".", "a.slice", "a.slice/b.service", "c.slice")]
    assert _paths(paths, _ids(*numbers, None)) == ["/", "/a.slice", "/a.slice/b.service", "/c.slice", None]
    # One that came later.
    (tmp_path / "c.slice" / "late").mkdir()
    assert _paths(paths, _ids(os.stat(tmp_path / "c.slice" / "late").st_ino)) == ["/c.slice/late"]


def test_a_mount_of_a_part_shows_whole_paths_and_does_not_call_the_rest_deleted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = CgroupPaths([("/docker/x", str(tmp_path)), ("/", str(tmp_path / "not-there"))])
    assert paths[os.stat(tmp_path / "a").st_ino] == "/docker/x/a"
    assert _paths(paths, _ids(os.stat(tmp_path).st_ino, 1)) == ["/docker/x", "(not visible)"]
    assert CgroupPaths([])[77] == "(not visible)"


def test_sockets_without_ids_have_no_paths() -> None:
    paths = CgroupPaths([])
    column = paths.column(batch_of(3, {}))
    assert isinstance(column, Constant)
    assert column.value is None


def test_a_socket_is_in_the_cgroup_of_the_process_that_made_it(namespace: Namespace) -> None:
    with namespace.call(lambda: socket.create_server(("127.0.0.1", 0))):
        (batch,) = namespace.call(lambda: list(SocketListing(Query(["tcp"], states=ALL_STATES)).batches()))
    paths = list(batch.joined({"cgroup": CgroupPaths().column}).values("cgroup"))
    assert paths in ([dict(cgroups(cgroup_lines(os.getpid()))).get("")], ["(not visible)"])
    # No cgroup has this id.
    assert _paths(CgroupPaths(), _ids(2**63)) in (["(deleted)"], ["(not visible)"])
