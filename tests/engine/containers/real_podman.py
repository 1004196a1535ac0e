"""Real containers, by `make test-containers`: Podman with an image that is made here of a static busybox."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from availability import unavailable
from throwaway import NETINSPECT

_SETTINGS = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = []
"""


class Podman:
    """An engine with its storage below a directory, and containers whose names begin with ``ni-``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "containers.conf").write_text(_SETTINGS)
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "DOCKER_HOST": "",
            "CONTAINER_HOST": f"unix://{directory}/podman.sock",
        }
        self.service: subprocess.Popen[bytes] | None = None

    def argv(self, *arguments: str) -> list[str]:
        root, state = self.directory / "root", self.directory / "run"
        return ["podman", "--storage-driver=vfs", "--root", str(root), "--runroot", str(state), *arguments]

    def run(self, *arguments: str) -> str:
        # Not in a namespace of the suite's: the engine has its own, and its ports are this machine's.
        environment = {**self.environment}
        environment.pop("CONTAINER_HOST")
        done = subprocess.run(
            self.argv(*arguments), env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def serve(self) -> None:
        environment = {**self.environment}
        environment.pop("CONTAINER_HOST")
        address = f"unix://{self.directory}/podman.sock"
        self.service = subprocess.Popen(self.argv("system", "service", "--time", "0", address), env=environment)
        wait_until((self.directory / "podman.sock").exists)

    def stop(self) -> None:
        if self.service is not None:
            self.service.terminate()
            self.service.wait(30)
            self.service = None
            (self.directory / "podman.sock").unlink(missing_ok=True)

    def netinspect(self, *arguments: str) -> tuple[str, str]:
        done = subprocess.run(
            [*NETINSPECT, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in (0, 3), done.stderr
        return done.stdout, done.stderr


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    busybox = shutil.which("busybox")
    for program in ("podman", "runc", "busybox", "tar"):
        if shutil.which(program) is None or os.geteuid() != 0:
            unavailable(f"real containers take root, and {program}")
    assert busybox is not None
    directory = tmp_path_factory.mktemp("podman")
    image = directory / "image"
    (image / "bin").mkdir(parents=True)
    for name in ("busybox", "nginx"):
        shutil.copy(busybox, image / "bin" / name)
    for name in ("sh", "sleep"):
        (image / "bin" / name).symlink_to("busybox")
    subprocess.run(["tar", "-C", str(image), "-cf", str(directory / "image.tar"), "."], check=True)
    made = Podman(directory)
    made.run("import", str(directory / "image.tar"), "ni-test:1")
    try:
        command = ("ni-test:1", "/bin/sh", "-c", "exec -a httpd /bin/nginx -f -p 80")
        made.run("run", "-d", "--name", "ni-web", "-p", "18080:80", *command)
        made.run("run", "-d", "--name", "ni-db", "--network", "none", "ni-test:1", "/bin/sleep", "1000")
        made.serve()
        wait_until(lambda: ":80 " in made.netinspect("sockets", "-tln", "-N", "ni-web")[0])
        yield made
    finally:
        made.stop()
        made.run("rm", "-a", "-f", "-t", "0")


def test_names_and_published_ports(podman: Podman) -> None:
    table, said = podman.netinspect("sockets", "-tlnp", "--all-netns")
    (published,) = [line for line in table.splitlines() if ":18080 " in line]
    (inside,) = [line for line in table.splitlines() if line.startswith("ni-web")]
    assert 'for="nginx in ni-web"' in published
    assert "container=ni-web))" in inside
    assert "container names" not in said

    rows = json.loads(podman.netinspect("sockets", "-tln", "--container", "ni-web", "--json", "-p")[0])
    assert sorted(row["local_port"] for row in rows) == [80, 18080]
    assert {row["container"] for row in rows} == {"ni-web"}

    for name in ("ni-db", podman.run("inspect", "--format", "{{.Id}}", "ni-db")[:12]):
        assert [link["name"] for link in json.loads(podman.netinspect("links", "-N", name, "--json")[0])] == ["lo"]
    assert "in ni-web " in podman.netinspect("links")[0]


def test_an_engine_that_is_stopped_is_said_once(podman: Podman) -> None:
    podman.stop()
    id = podman.run("inspect", "--format", "{{.Id}}", "ni-web")
    table, said = podman.netinspect("sockets", "-tlnp", "--all-netns")
    assert f'for="nginx in {id[:12]}"' in table
    assert f"container={id[:12]}))" in table
    assert said.count("container names: no engine answers:") == 1
