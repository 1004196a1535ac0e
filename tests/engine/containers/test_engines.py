"""Names of containers: from engines that answer, from such that do not or mean harm, and from Kubernetes' files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_server import Behaviour, answering, engine, podman, recorded

from netinspect.engine.containers import engines, kubernetes, names, sources
from netinspect.engine.containers.names import Containers
from netinspect.engine.text import printable
from netinspect.records import Container, PublishedPort

WEB = "ef725415c7a696fd60cf43ac8dda7fd04b515b00783e6584b6b1a2728853a623"
DB = "a27d66d45d90a6d009dce34ac22bf1e0016cf3d856fb65e35766873719726a29"
API = "8dfafdbc3a40f1f1d20c0e5a7f2b9a4f6e1d2c3b4a5968778695a4b3c2d1e0f1"
NGINX = "9cd87474be90f3b5c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f00112"
PATH = "/containers/json"


def test_podman_tells_names_ports_and_addresses(tmp_path: Path) -> None:
    with engine(tmp_path / "podman.sock", podman()) as address:
        found, failures = engines.ask([address], patience=10)
    assert failures == {}
    assert found == {
        WEB: Container(WEB, "web", None, None, (PublishedPort("tcp", None, 8080, 80),), ("10.88.0.3",)),
        DB: Container(DB, "db"),
    }


def test_podman_tells_the_pod(tmp_path: Path) -> None:
    body = recorded("libpod").replace(b'"PodName":""', b'"PodName":"shop"')
    bodies = {PATH: recorded("podman"), "/v4.0.0/libpod/containers/json": body}
    with engine(tmp_path / "podman.sock", answering(bodies)) as address:
        found, _ = engines.ask([address], patience=10)
    assert (found[WEB].pod, found[WEB].title, found[WEB].pod_title) == ("shop", "web", "shop")


def test_docker_tells_names_ports_addresses_and_kubernetes(tmp_path: Path) -> None:
    with engine(tmp_path / "docker.sock", answering({PATH: recorded("docker")})) as address:
        found, failures = engines.ask([address], patience=10)
    assert failures == {}
    ports = (PublishedPort("tcp", None, 8080, 80),) * 2
    # The name of a link from another container is not its own.
    assert found[API] == Container(API, "api", None, None, ports, ("172.17.0.2", "fd00::2"))
    assert found[NGINX] == Container(NGINX, "nginx", "web-7d9f", "default")
    assert found[NGINX].title == "default/web-7d9f/nginx"


def forever(connection: socket.socket, path: str) -> None:
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n[")
    while True:
        connection.sendall(b" ")
        time.sleep(0.005)


def endless(connection: socket.socket, path: str) -> None:
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n[")
    while True:
        connection.sendall(b" " * (1 << 20))


def silent(connection: socket.socket, path: str) -> None:
    while connection.recv(1):
        pass


def sending(text: bytes) -> Behaviour:
    return lambda connection, path: connection.sendall(text)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (sending(b""), "it does not speak HTTP"),
        (sending(b"SSH-2.0-OpenSSH_9.2\r\n"), "it does not speak HTTP"),
        (sending(b"HTTP/1.0 200 OK\r\n"), "it does not speak HTTP"),
        (answering({}), "it answers with status 404"),
        (sending(b"HTTP/1.0 \x1b[31m x\r\n\r\n"), "it answers with status \x1b[31m"),
        (answering({PATH: b"{}"}), "its answer is not understood: it is no list of containers"),
        (answering({PATH: b"[" * 100_000}), "its answer is not understood: lists or objects are nested too deeply"),
        (answering({PATH: b"[\xff]"}), "its answer is not understood: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_what_is_no_engine_is_said(tmp_path: Path, behave: Behaviour, reason: str) -> None:
    with engine(tmp_path / "engine.sock", behave) as address:
        found, failures = engines.ask([address], patience=30)
    assert found == {}
    assert failures[address].startswith(reason)


@pytest.mark.parametrize("behave", [forever, silent])
def test_who_does_not_answer_is_not_waited_for(tmp_path: Path, behave: Behaviour) -> None:
    with engine(tmp_path / "engine.sock", behave) as address:
        begun = time.monotonic()
        found, failures = engines.ask([address])
        assert time.monotonic() - begun < 3  # 0.2 s, and what a busy machine adds
    assert (found, failures) == ({}, {address: "no answer within 200 ms"})


def test_an_endless_answer_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_LARGEST", 1 << 16)
    with engine(tmp_path / "engine.sock", endless) as address:
        found, failures = engines.ask([address], patience=30)
    assert (found, list(failures)) == ({}, [address])
    assert failures[address].startswith("its answer is larger than")


def test_one_that_hangs_costs_the_others_nothing(tmp_path: Path) -> None:
    with (
        engine(tmp_path / "hangs.sock", silent) as hanging,
        engine(tmp_path / "podman.sock", podman()) as answers,
    ):
        found, failures = engines.ask([hanging, answers, str(tmp_path / "none.sock"), "/a\0b"], patience=3)
    assert set(found) == {WEB, DB}
    assert list(failures) == [hanging, str(tmp_path / "none.sock"), "/a\0b"]
    assert failures[str(tmp_path / "none.sock")] == "No such file or directory"


BAD_ROWS = [
    None,
    7,
    {},
    {"Id": 7, "Names": ["/x"]},
    {"Id": "../../etc/passwd", "Names": ["/x"]},
    {"Id": "0" * 64, "Names": "x"},
    {"Id": "0" * 64, "Names": [7]},
    {"Id": "0" * 64, "Names": []},
    {"Id": "0" * 64, "Names": ["/"]},
    {"Id": "0" * 64, "Names": ["/x"], "Ports": [{"PrivatePort": "80", "Type": "tcp"}]},
    {"Id": "0" * 64, "Names": ["/x"], "Ports": 7},
]


def test_a_bad_container_costs_only_that_one(tmp_path: Path) -> None:
    rows = [*BAD_ROWS, *json.loads(recorded("docker"))]
    with engine(tmp_path / "engine.sock", answering({PATH: json.dumps(rows).encode()})) as address:
        found, failures = engines.ask([address], patience=10)
    assert (set(found), failures) == ({API, NGINX}, {})


@pytest.mark.parametrize("name", ["a\nb", "\x1b]0;x\x07", "\udc80", "x" * 100_000, "‮evil"])
def test_names_are_text_of_others(tmp_path: Path, name: str) -> None:
    ports = [
        {"PrivatePort": 80, "PublicPort": 1 << 40, "Type": "tcp"},
        {"PrivatePort": -1, "PublicPort": 2, "Type": ""},
    ]
    row = {"Id": WEB, "Names": [f"/{name}"], "Labels": {"io.kubernetes.pod.name": 7}, "Ports": ports}
    with engine(tmp_path / "engine.sock", answering({PATH: json.dumps([row]).encode()})) as address:
        found, _ = engines.ask([address], patience=10)
    assert len(found[WEB].name) <= 256
    assert found[WEB].ports == ()
    found[WEB].name.encode()
    assert printable(found[WEB].name).isprintable()


def test_what_an_engine_says_is_bounded_in_all(tmp_path: Path) -> None:
    mapping = {"container_port": 1, "host_port": 1, "protocol": "tcp", "host_ip": "", "range": 1 << 60}
    rows = [{"Id": f"{number:064x}", "Names": ["web"], "Ports": [mapping] * 3} for number in range(5000)]
    answers = answering({"/v4.0.0/libpod/containers/json": json.dumps(rows).encode()})
    with engine(tmp_path / "engine.sock", answers) as address:
        found, _ = engines.ask([address], patience=30)
    assert len(found) == 5000
    assert sum(len(container.ports) for container in found.values()) == 65536
    with engine(tmp_path / "other.sock", sending(b"HTTP/1.0 " + b"9" * 100_000 + b" x\r\n\r\n")) as address:
        _, failures = engines.ask([address], patience=30)
    assert failures[address] == f"it answers with status {'9' * 32}"


def test_a_huge_range_of_ports_takes_no_time(tmp_path: Path) -> None:
    mapping = {"container_port": 1 << 30, "host_port": 1 << 30, "protocol": "tcp", "host_ip": "", "range": 1 << 60}
    row = {"Id": WEB, "Names": ["web"], "Ports": [mapping] * 1000}
    with engine(
        tmp_path / "engine.sock", answering({"/v4.0.0/libpod/containers/json": json.dumps([row]).encode()})
    ) as address:
        begun = time.process_time()
        found, _ = engines.ask([address], patience=10)
        assert time.process_time() - begun < 5
    assert found[WEB].ports == ()


def test_engines_are_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert sources.sockets() == ["/run/docker.sock", "/run/podman/podman.sock"]
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    own = ["/run/user/7/docker.sock", "/run/user/7/podman/podman.sock"]
    assert sources.sockets() == ["/run/docker.sock", own[0], "/run/podman/podman.sock", own[1]]
    monkeypatch.setenv("DOCKER_HOST", "tcp://example.org:2375")
    monkeypatch.setenv("CONTAINER_HOST", "unix:///run/x.sock")
    assert sources.sockets() == ["/run/x.sock"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system without engines, and with Kubernetes' directories below this one."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    monkeypatch.setenv("CONTAINER_HOST", "")
    monkeypatch.setattr(sources, "LOGS", str(tmp_path / "containers"))
    monkeypatch.setattr(sources, "PODS", str(tmp_path / "pods"))
    monkeypatch.setattr(kubernetes, "BUNDLES", (str(tmp_path / "cri" / "{}" / "config.json"),))
    return tmp_path


def test_kubernetes_names_by_links_and_bundles(directory: Path) -> None:
    logs = directory / "containers"
    logs.mkdir()
    (logs / f"web-7d9f_default_nginx-{WEB}.log").symlink_to("/nowhere")
    for other in ("x.log", f"-{DB}.log", f"a_b_-{DB}.log", f"a_b_c-{DB[:-1]}.log", f"a_b_c-{DB}.txt"):
        (logs / other).touch()
    assert set(kubernetes.of_logs()) == {WEB}
    known = Containers()
    assert known.name(WEB) == "default/web-7d9f/nginx"

    annotations = {
        "io.kubernetes.cri.container-name": "cache",
        "io.kubernetes.cri.sandbox-name": "db-0",
        "io.kubernetes.cri.sandbox-namespace": "prod",
    }
    for id, text in ((DB, json.dumps({"annotations": annotations})), (API, '{"annotations": [7]}'), (NGINX, "{")):
        (directory / "cri" / id).mkdir(parents=True)
        (directory / "cri" / id / "config.json").write_text(text)
    assert known.name(DB) == "prod/db-0/cache"
    # A pod that is met outside of its containers; it is none of those that there are.
    (directory / "pods" / "prod_db-0_8f5b1e0a").mkdir(parents=True)
    (directory / "pods" / "nothing_of-these").mkdir()
    assert kubernetes.of_pods() == {"pod8f5b1e0a": Container("pod8f5b1e0a", "", "db-0", "prod")}
    known = Containers()
    assert (known.name("pod8f5b1e0a"), known.name("pod1")) == ("prod/db-0", "pod1")
    assert {container.id for container in known.all()} == {WEB}
    assert known.name(DB) == "prod/db-0/cache"
    assert (known.name(API), known.name(NGINX)) == (API[:12], NGINX[:12])


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ({"nerdctl/name": "web", "nerdctl/namespace": "default"}, "web"),
        (
            {
                "io.kubernetes.cri.container-name": "dns",
                "io.kubernetes.cri.sandbox-name": "coredns-0",
                "io.kubernetes.cri.sandbox-namespace": "kube-system",
            },
            "kube-system/coredns-0/dns",
        ),
        ({"nerdctl/name": 7}, WEB[:12]),
    ],
)
def test_a_shim_leads_to_the_bundle_wherever_that_is(
    directory: Path, monkeypatch: pytest.MonkeyPatch, annotations: dict[str, object], name: str
) -> None:
    for id in ("first", WEB):
        (directory / "k8s.io" / id).mkdir(parents=True)
    (directory / "k8s.io" / WEB / "config.json").write_text(json.dumps({"annotations": annotations}))
    # As containerd-shim-runc-v2 does: it works in the bundle of the sandbox, and starts all of the pod's containers.
    script = """
import subprocess, sys
open("/proc/self/comm", "w").write("containerd-shim-runc-v2")
subprocess.run([sys.executable, "-c", "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=directory / "k8s.io" / "first",
    ) as shim:
        assert shim.stdin is not None
        assert shim.stdout is not None
        pid = int(shim.stdout.readline())
        monkeypatch.setattr(Containers, "_first_processes", lambda _: {WEB: pid, DB: os.getpid()})
        known = Containers()
        assert (known.name(WEB), known.name(DB), known.name(API)) == (name, DB[:12], API[:12])
        # Another user's process of that name is no shim: it may work where nothing ever answers.
        for users in ({4711}, {0, 4711}):
            monkeypatch.setattr(
                kubernetes, "parent_and_users", lambda of, users=users: (shim.pid if of == pid else 0, users)
            )
            assert kubernetes.of_shim(WEB, {WEB: pid}) is None
        shim.stdin.close()


def test_an_engine_that_does_not_answer_is_said_where_a_name_is_missing(directory: Path) -> None:
    known = Containers()
    assert known.missing() == known.unreachable() == ""
    assert known.name("lxc-name") == "lxc-name"  # a name needs no engine
    assert known.missing() == ""
    assert known.name(WEB) == WEB[:12]
    reason = f"no engine answers: {directory}/engine.sock (No such file or directory)"
    assert known.missing() == f"container names: {reason}: ids are shown"


def test_engines_are_asked_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_ASKED_AGAIN", 1000)
    asked = []

    def answer(connection: socket.socket, path: str) -> None:
        asked.append(path)
        podman()(connection, path)

    known = Containers()
    with engine(directory / "engine.sock", answer):
        assert [known.name(id) for id in (WEB, DB, NGINX, NGINX)] == ["web", "db", NGINX[:12], NGINX[:12]]
        assert known.missing() == ""  # an engine answered: it does not know them
    assert sorted(asked) == [PATH, "/v4.0.0/libpod/containers/json"]
