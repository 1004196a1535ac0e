"""Network namespaces by the container, pod, unit or lab that is inside: what they are called, and found by."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from throwaway import Namespace

import netinspect
from netinspect.engine import namespaces
from netinspect.engine.containers import homes, names
from netinspect.engine.containers import namespaces as namespaces_of_containers
from netinspect.engine.namespaces import every_namespace
from netinspect.engine.places import Place
from netinspect.errors import NamespaceError, NetinspectError
from netinspect.lab import registry
from netinspect.lab.topology_file import load
from netinspect.records import Container

WEB, OTHER = "ef" * 32, "ab" * 32
POD = "8f5b1e0a-7c1d-4f0a-9d0e-1a2b3c4d5e6f"


class Groups(dict[int, str]):
    """The cgroup paths of processes, as a container runtime or systemd would make them."""

    def lines(self, pid: int) -> bytes:
        return f"0::{self.get(pid, '/')}\n".encode()


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Which cgroups processes are in; no engine is there."""
    found = Groups()
    monkeypatch.setattr(homes, "cgroup_lines", found.lines)
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setenv("CONTAINER_HOST", "")
    known = names.Containers()
    known._asked = float("inf")  # never
    monkeypatch.setattr(names, "_known", [known])
    return found


@pytest.fixture
def process(namespace: Namespace) -> Iterator[subprocess.Popen[str]]:
    """A process inside the throwaway namespace."""
    with namespace.popen(["sleep", "1000"]) as started:
        yield started
        started.kill()


def know(*containers: Container) -> None:
    names.known()._found.update({container.id: container for container in containers})


def label_of(namespace: Namespace) -> str | None:
    """What a listing calls it."""
    path = Path(namespace.path)
    identity = path.stat().st_dev, path.stat().st_ino
    return next((label for label, _, found in every_namespace()[0] if found == identity), None)


def leads_there(name: str, namespace: Namespace) -> bool:
    with Place(name) as place:
        assert place.descriptor is not None
        return Path(f"/proc/self/fd/{place.descriptor}").stat().st_ino == Path(namespace.path).stat().st_ino


@pytest.mark.parametrize(
    ("path", "container", "label", "others"),
    [
        (f"/system.slice/docker-{WEB}.scope", Container(WEB, "web"), "web", ["container:web", WEB, WEB[:12], WEB[:6]]),
        (f"/system.slice/docker-{WEB}.scope", None, WEB[:12], [WEB]),
        (f"/system.slice/docker-{WEB}.scope", Container(WEB, "812"), "container:812", [WEB[:12]]),
        (f"/system.slice/docker-{WEB}.scope", Container(WEB, "a/b"), "container:a/b", [WEB[:12]]),
        (
            f"/kubepods/besteffort/pod{POD}/{WEB}",
            Container(WEB, "nginx", "web-7d9f", "default"),
            "pod:default/web-7d9f",
            [
                *("web-7d9f", "nginx", "pod:web-7d9f", "container:default/web-7d9f/nginx"),
                *("default/web-7d9f", "default/web-7d9f/nginx"),
            ],
        ),
        (f"/kubepods/besteffort/pod{POD}", None, f"pod:{POD}", []),
        (f"/kubelet.slice/kubelet-kubepods-burstable-pod{POD.replace('-', '_')}.slice", None, f"pod:{POD}", []),
        ("/lxc.payload.mail/init.scope", None, "mail", ["container:mail"]),
        ("/machine.slice/machine-deb\\x2d12.scope", None, "deb-12", []),
        ("/system.slice/web.service", None, "unit:web.service", ["web.service"]),
    ],
)
def test_a_namespace_is_called_by_what_is_inside(
    groups: Groups,
    process: subprocess.Popen[str],
    namespace: Namespace,
    path: str,
    container: Container | None,
    label: str,
    others: list[str],
) -> None:
    groups[process.pid] = path
    know(*[container] if container else [])
    assert label_of(namespace) == label
    for name in (label, *others):
        assert leads_there(name, namespace), name


def test_a_session_is_no_name_and_neither_is_a_service_that_is_elsewhere(
    groups: Groups, process: subprocess.Popen[str], namespace: Namespace
) -> None:
    groups[process.pid] = "/user.slice/user-0.slice/session-3.scope"
    assert label_of(namespace) == str(process.pid)
    groups[process.pid] = groups[1] = "/system.slice/cron.service"
    assert label_of(namespace) == str(process.pid)


def test_two_namespaces_of_one_container_keep_their_process_ids(
    groups: Groups, process: subprocess.Popen[str], namespace: Namespace
) -> None:
    other = Namespace()
    try:
        with other.popen(["sleep", "1000"]) as second:
            groups[process.pid] = groups[second.pid] = f"/docker/{WEB}"
            know(Container(WEB, "web"))
            assert {label_of(namespace), label_of(other)} == {str(process.pid), str(second.pid)}
            groups[second.pid] = f"/docker/{OTHER}"
            know(Container(OTHER, "web"))  # of another engine
            with pytest.raises(NamespaceError, match="several containers are called 'web'"):
                Place("web").open()
            # One that is beside the containers of a pod, as conmon, does not take the label from where they are.
            groups[process.pid] = f"/kubepods/pod{POD}/{WEB}"
            groups[second.pid] = f"/kubepods/pod{POD}/conmon"
            know(Container(WEB, "nginx", "web-7d9f", "default"), Container(f"pod{POD}", "", "web-7d9f", "default"))
            assert (label_of(namespace), label_of(other)) == ("pod:default/web-7d9f", str(second.pid))
            for name in ("default/web-7d9f", "pod:web-7d9f"):
                assert leads_there(name, namespace), name
            second.kill()
    finally:
        other.close()


def test_a_name_that_an_engine_made_up_is_known() -> None:
    assert namespaces._is_made_up("netns-728c00a1-acbc-d433-03b3-935195fabdbb")
    assert namespaces._is_made_up("cni-728c00a1-acbc-d433-03b3-935195fabdbb")
    assert not namespaces._is_made_up("netns-web")
    assert not namespaces._is_made_up("vpn-728c00a1-acbc-d433-03b3-935195fabdbb")


def test_containers_that_take_the_names_of_others(groups: Groups, process: subprocess.Popen[str]) -> None:
    """A whole id is of one container, whatever another is called; who shares a name is told apart by the ids."""
    know(Container(WEB, OTHER), Container(OTHER, WEB))
    assert [namespaces_of_containers.matching(id, (WEB, OTHER)) for id in (WEB, OTHER)] == [{WEB}, {OTHER}]
    know(Container(WEB, "web"), Container(OTHER, "web"))
    groups.update({process.pid: f"/docker/{WEB}", os.getpid(): f"/docker/{OTHER}"})
    with pytest.raises(NamespaceError, match=f"several containers are called 'web': {OTHER[:12]}, {WEB[:12]}$"):
        Place("web").open()


def test_what_is_not_there_is_said(groups: Groups) -> None:
    for name in ("nosuch", "container:nosuch", "pod:a/b", "unit:x.service"):
        with pytest.raises(NamespaceError, match=f"no network namespace '{name}': .*container, pod or unit"):
            Place(name).open()
    with pytest.raises(NamespaceError, match=r"no network namespace '/a/b'.*or a path"):
        Place("/a/b").open()


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.DIRECTORY, str(tmp_path / "labs"))
    netinspect.know_kinds()


def test_hosts_of_labs_have_names(labs: None) -> None:
    for name in ("lab:nosuch/x", "lab:x"):
        with pytest.raises(NetinspectError, match=r"no lab 'nosuch' is up|names no host of a lab"):
            Place(name).open()
    state = registry.up(load("pair"), "duo")
    try:
        host = next(iter(state.hosts))
        status = Path(state.path(host)).stat()
        with Place(f"lab:duo/{host}") as place:
            assert Path(f"/proc/self/fd/{place.descriptor}").stat().st_ino == status.st_ino
        found = {identity: label for label, _, identity in every_namespace(closely=True)[0]}
        assert found[status.st_dev, status.st_ino] == f"lab:duo/{host}"
        with pytest.raises(NetinspectError, match="lab duo has no host 'nosuch'"):
            Place("lab:duo/nosuch").open()
    finally:
        registry.down(state)
