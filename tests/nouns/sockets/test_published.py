"""Containers in listings of sockets: their names, selecting by them, and who is behind a published port."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_server import engine, podman
from throwaway import Namespace

import netinspect
from netinspect import procfs
from netinspect.engine.containers import homes, names
from netinspect.environment import Environment
from netinspect.main import run
from netinspect.nouns.sockets import owners, owners_published

WEB = "ef725415c7a696fd60cf43ac8dda7fd04b515b00783e6584b6b1a2728853a623"
PORT = 8080
_LISTEN = """
import socket, sys
open("/proc/self/comm", "w").write(sys.argv[1])
found = socket.create_server(("", int(sys.argv[2])))
print("listens", flush=True)
sys.stdin.read()
"""


class Listener:
    """A process that listens at a port, in a cgroup that a container runtime would have put it into."""

    def __init__(self, namespace: Namespace, script: Path, name: str, port: int, *arguments: str) -> None:
        argv = [sys.executable, str(script), name, str(port), *arguments]
        self.process = namespace.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "listens\n"

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class World:
    """This machine's namespace with a helper, and a container's with a web server."""

    def __init__(self, here: Namespace, there: Namespace, script: Path) -> None:
        self.here = here
        self.there = there
        self.script = script
        self.groups: dict[int, str] = {}
        self.server = Listener(there, script, "nginx", 80)
        self.groups[self.server.process.pid] = f"/machine.slice/libpod-{WEB}.scope"

    def cgroup_lines(self, pid: int) -> bytes:
        return f"0::{self.groups.get(pid, '/')}\n".encode()

    def listed(self, *arguments: str) -> tuple[list[dict[str, Any]], str]:
        """The rows of a listing in this machine's namespace, and what it says on standard error."""
        status, output, said = self.called(*arguments, "--format", "ndjson")
        assert status in (0, 3), said  # 3: processes of others may not be seen, which is none of these
        return [json.loads(line) for line in output.splitlines()], said

    def called(self, *arguments: str) -> tuple[int, str, str]:
        output: list[bytes] = []
        said: list[bytes] = []
        environment = Environment(output.append, said.append, False, 80)
        status = self.here.call(lambda: run(["sockets", "-tln", *arguments], environment))
        lines = b"".join(said).decode().splitlines(keepends=True)
        return status, b"".join(output).decode(), "".join(line for line in lines if "may not be seen" not in line)


@pytest.fixture
def world(namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Where processes are in control groups that this test chooses, and Podman answers."""
    script = tmp_path / "listen.py"
    script.write_text(_LISTEN)
    there = Namespace()
    made = World(namespace, there, script)
    for module in (procfs, homes, owners):
        monkeypatch.setattr(module, "cgroup_lines", made.cgroup_lines)
    monkeypatch.setattr(names, "_known", [])
    monkeypatch.setenv("DOCKER_HOST", "")
    try:
        with engine(tmp_path / "podman.sock", podman()) as address:
            monkeypatch.setenv("CONTAINER_HOST", f"unix://{address}")
            monkeypatch.setattr("netinspect.engine.containers.engines.PATIENCE", 30)
            monkeypatch.setattr("netinspect.engine.containers.engines.ask.__defaults__", (30,))
            yield made
    finally:
        made.server.close()
        there.close()


HELPERS = {
    "docker-proxy": ("-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "8080", "-container-ip", "10.88.0.3"),
    "conmon": ("--api-version", "1", "-c", WEB, "-u", WEB, "-n", "web"),
    "rootlessport": (),
}


@pytest.mark.parametrize("name", HELPERS)
def test_the_process_behind_a_published_port(world: World, name: str) -> None:
    port = ("-container-port", "80") if name == "docker-proxy" else ()
    helper = Listener(world.here, world.script, name, PORT, *HELPERS[name], *port)
    try:
        (row,), said = world.listed("-p")
        assert said == ""
        assert row["container"] == "web"
        assert [(process["name"], process["container"]) for process in row["behind"]] == [("nginx", WEB)]
        assert [process["name"] for process in row["processes"]] == [name]
        _, table, _ = world.called("-p")
        assert f'(("{name}",pid={helper.process.pid},fd=3,for="nginx in web"))' in table

        # By the container: what it holds in its namespace, and what is published for it here.
        rows, _ = world.listed("--container", "web", "--columns", "netns,local_port,container")
        assert sorted(row["local_port"] for row in rows) == [80, PORT]
        assert {row["container"] for row in rows} == {"web"}
        assert [row["netns"] for row in rows if row["local_port"] == 80] == ["web"]
        rows, _ = world.listed("--container", WEB[:12], "-N", world.here.path)
        assert [row["local_port"] for row in rows] == [PORT]
        # The same from Python.
        found = world.here.call(lambda: list(netinspect.sockets("tcp", states="listen", containers="web")))
        assert sorted((socket.netns, socket.local_port) for socket in found if socket.netns == "web") == [("web", 80)]
        assert sorted(socket.local_port or 0 for socket in found) == [80, PORT]
        (socket,) = netinspect.sockets("tcp", states="listen", containers=[WEB[:12]], netns=world.here.path)
        assert socket.local_port == PORT
    finally:
        helper.close()


def test_a_rule_tells_the_port_where_no_engine_does(
    world: World, monkeypatch: pytest.MonkeyPatch, need: Any, tmp_path: Path
) -> None:
    need("nft")
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none.sock")
    chain = f"type nat hook prerouting priority -100; tcp dport {PORT} dnat to 10.88.0.3:80;"
    rules = f"table ip nat {{ chain pre {{ {chain} }}; }}"
    world.here.run("nft", rules)
    helper = Listener(world.here, world.script, "conmon", PORT, *HELPERS["conmon"])
    try:
        _, table, said = world.called("-p")
        assert f'for="nginx in {WEB[:12]}"' in table
        # Once, and with the reason.
        assert said.count("container names: no engine answers:") == 1
        assert f"{tmp_path}/none.sock (No such file or directory): ids are shown" in said
    finally:
        helper.close()


RULES = {
    "iptables-nft": "-t nat -A PREROUTING -m addrtype --dst-type LOCAL ! -i docker0 -p tcp -m multiport --dports "
    f"8079,{PORT} -j DNAT --to-destination 10.88.0.3:80",
    "nft": "table ip nat { chain pre { type nat hook prerouting priority -100; "
    f"dnat to tcp dport map {{ {PORT} : 10.88.0.3 . 80, 8079 : 10.88.0.4 . 80 }}; }}; }}",
}


@pytest.mark.parametrize("how", ["docker-proxy", *RULES])
def test_the_address_tells_the_container_where_no_engine_does(
    world: World, monkeypatch: pytest.MonkeyPatch, need: Any, tmp_path: Path, how: str
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none.sock")
    world.there.run("ip", "address", "add", "10.88.0.3/16", "dev", "lo")
    name = "docker-proxy" if how == "docker-proxy" else "dockerd"
    words = (*HELPERS["docker-proxy"], "-container-port", "80", "-use-listen-fd") if how == "docker-proxy" else ()
    if how in RULES:
        need(how)
        world.here.run(how, *([RULES[how]] if how == "nft" else RULES[how].split()))
    helper = Listener(world.here, world.script, name, PORT, *words)
    other = Listener(world.here, world.script, name, 2375, "-config", "x") if name == "dockerd" else None
    try:
        _, table, _ = world.called("-p")
        assert f'(("{name}",pid={helper.process.pid},fd=3,for="nginx in {WEB[:12]}"))' in table
        assert table.count("for=") == 1
    finally:
        helper.close()
        if other is not None:
            other.close()


def test_the_namespace_that_a_helper_leads_into_tells_the_container(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none.sock")
    inside = f"/proc/{world.server.process.pid}/ns/net"
    words = {"slirp4netns": ("-r", "4", "--netns-type=path", inside, "tap0"), "pasta": (f"--netns={inside}",)}
    for name, given in words.items():
        helper = Listener(world.here, world.script, name, PORT, *given)
        try:
            _, table, _ = world.called("-p")
            assert f'(("{name}",pid={helper.process.pid},fd=3,for="{WEB[:12]}"))' in table
        finally:
            helper.close()


def test_what_a_helper_says_is_taken_for_a_container_only_if_it_is_an_id(world: World) -> None:
    helper = Listener(world.here, world.script, "conmon", 8081, "-c", "evil text")
    try:
        (row,), _ = world.listed("-p")
        assert (row["container"], row["behind"]) == (None, None)
    finally:
        helper.close()


def test_names_in_texts_of_holders(world: World) -> None:
    rows, _ = world.listed("-p", "-N", world.there.path)
    assert [(row["container"], row["behind"]) for row in rows] == [("web", None)]
    _, table, _ = world.called("-p", "-N", world.there.path)
    assert f'(("nginx",pid={world.server.process.pid},fd=3,container=web))' in table
    names.known()._found[WEB] = names.known()._found[WEB]._replace(name='x"),pid=1,("y')
    _, table, _ = world.called("-p", "-N", world.there.path)
    assert 'container="x\\"),pid=1,(\\"y"))' in table


def test_where_nothing_is_asked_no_engine_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "known", lambda: pytest.fail("names were asked for"))
    helper = Listener(world.here, world.script, "conmon", PORT, *HELPERS["conmon"])
    try:
        rows, said = world.listed()
        assert ([row["local_port"] for row in rows], said) == ([PORT], "")
    finally:
        helper.close()


def test_a_container_that_is_not_there(world: World) -> None:
    status, output, said = world.called("--container", "nosuch")
    assert (status, output, said) == (2, "", "netinspect: no container 'nosuch'\n")


def test_options_of_a_helper() -> None:
    words = ["docker-proxy", "-proto", "tcp", "--host-port=80", "-container-port", "8080", "-v"]
    assert owners_published._options(words) == {"proto": "tcp", "host-port": "80", "container-port": "8080", "v": ""}
    assert owners_published._options([]) == {}
