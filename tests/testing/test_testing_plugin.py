"""The pytest plugin as its users meet it: installed from a wheel, outside this repository, as root and without root."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from availability import unavailable
from import_budget import HEAVY
from lab_needs import topology_works

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "docs" / "examples"
NOBODY = 65534
DEPENDENCIES = ("pyroute2", "tabulate", "pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")

THROUGH_THE_GATEWAY = """
import socket
import netinspect

def test_a_flow_is_masqueraded(lab):
    assert netinspect.__file__.startswith({site!r})
    net = lab("gateway")
    with net.wan.call(lambda: socket.create_server((net.wan.ipv4, 80))) as server:
        net.wan.wait_listening(80)
        with net.lan1.call(lambda: socket.create_connection((net.wan.ipv4, 80), timeout=5)) as client:
            with server.accept()[0] as connection:
                assert connection.getpeername()[0] == "203.0.113.1"
            net.gateway.assert_natted(client, to="203.0.113.1")
    assert net.lan2.run("cat", "/proc/net/route").stdout
    net.assert_no_leaks()

def test_this_process_stays_where_it_is(lab):
    import os
    before = os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/user"), os.geteuid()
    net = lab("pair")
    assert net.client.call(lambda: os.readlink("/proc/thread-self/ns/net")) != before[0]
    assert before == (os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/user"), os.geteuid())
"""

FAILING = """
import socket

def test_it_fails(lab):
    net = lab("gateway")
    with net.wan.call(lambda: socket.create_server((net.wan.ipv4, 4711))):
        net.gateway.assert_natted("192.168.1.11", to="203.0.113.1", timeout=0.1)
"""

SHARED = """
import pytest

@pytest.fixture(scope="session")
def server(session_lab):
    return session_lab().host("server")

@pytest.fixture(scope="module")
def client(module_lab):
    return module_lab("pair").client

def test_the_first_finds_what_the_second_will(client, server):
    pytest.inodes = client.inode, server.inode
    with pytest.raises(AssertionError):
        client.wait_listening(4711, timeout=0.01)

def test_the_second_fails(client, server, monkeypatch):
    assert pytest.inodes == (client.inode, server.inode)
    monkeypatch.setattr("netinspect.testing.observing.snapshot", None)
    raise AssertionError("on purpose")

def test_the_third_fails(client, server):
    raise AssertionError("on purpose")
"""

UNUSED = """
import sys

def test_nothing_is_loaded_for_those_who_do_not_ask():
    for module in ("pyroute2", "scapy", "netinspect.lab", "netinspect.engine.netlink"):
        assert not any(name == module or name.startswith(module + ".") for name in sys.modules), module
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the installed wheel and what it depends on, readable for everybody."""
    if importlib.util.find_spec("hatchling") is None:
        unavailable("hatchling, which builds the wheel, is not installed")
    directory = tmp_path_factory.mktemp("installed")
    for parent in (directory, *directory.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    build = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(directory / "wheel")]
    subprocess.run([sys.executable, *build], cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = (directory / "wheel").glob("*.whl")
    target = directory / "site"
    # With what is compiled: half a dozen programs load it all.
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, *install, str(wheel)], check=True, capture_output=True)
    for name in DEPENDENCIES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue  # pygments is for colours only
        source = Path(spec.origin)
        if source.name == "__init__.py":
            shutil.copytree(source.parent, target / name)
        else:
            shutil.copy(source, target)
    return target


def test_the_installed_program_loads_nothing_heavy_either(site: Path) -> None:
    assert (site / "bin" / "netinspect").read_text().startswith("#!/bin/sh\n")  # see test_script.py
    program = site / "bin" / "netinspect-python"
    assert program.read_text().startswith(f"#!{sys.executable}\n")
    command = [sys.executable, "-S", "-X", "importtime", str(program), "sockets", "-tan"]
    environment = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout.startswith("Protocol")
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "netinspect.nouns.sockets.command" in loaded
    assert HEAVY.isdisjoint(loaded), HEAVY & loaded


def test_the_wheel_installs_the_man_page_and_what_shells_load(site: Path) -> None:
    for name in (
        "man/man1/netinspect.1",
        "bash-completion/completions/netinspect",
        "zsh/site-functions/_netinspect",
        "fish/vendor_completions.d/netinspect.fish",
    ):
        assert "netinspect" in (site / "share" / name).read_text()


@pytest.fixture
def outside(site: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs pytest on a file with that text, in a directory of its own, with the installed wheel only."""

    def run(
        text: str, *options: str, become: Sequence[str] = (), python: str = sys.executable
    ) -> subprocess.CompletedProcess[str]:
        place = site.parent / tmp_path.name
        place.mkdir(exist_ok=True)
        (place / "test_theirs.py").write_text(text.format(site=str(site)) if "{site!r}" in text else text)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/tmp",
        }
        command = [python, "-S", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", *options]
        basetemp = ["--rootdir", str(place), "test_theirs.py"]
        return subprocess.run(
            [*become, *command, *basetemp], cwd=place, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def test_a_test_outside_the_repository_asserts_through_a_gateway(
    outside: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = outside(THROUGH_THE_GATEWAY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_an_ordinary_user_does_the_same(
    outside: Callable[..., subprocess.CompletedProcess[str]], need: Callable[[str], None]
) -> None:
    need("setpriv")
    if len(Path("/proc/self/uid_map").read_text().split("\n")) > 1 and _may_become_nobody():
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        python = _python_for(become)
    else:
        # The suite is an ordinary user's, in a user namespace: there, being without CAP_SYS_ADMIN is what counts.
        become = ["setpriv", "--bounding-set", "-sys_admin,-net_admin"]
        python = sys.executable
    done = outside(THROUGH_THE_GATEWAY, become=become, python=python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def _may_become_nobody() -> bool:
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", "true"], capture_output=True).returncode == 0


def _python_for(become: Sequence[str]) -> str:
    """A Python 3.11 or later that this user may execute: the suite's own may be in somebody's home directory."""
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        check = "import sys, encodings, socket; raise SystemExit(sys.version_info < (3, 11))"
        environment = {"PATH": os.environ["PATH"]}
        if subprocess.run([*become, python, "-S", "-c", check], capture_output=True, env=environment).returncode == 0:
            return python
    unavailable("no Python 3.11 that an ordinary user may execute")
    raise AssertionError


def test_the_report_of_a_failure_shows_the_lab_as_it_was_then(
    outside: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    topology_works("gateway")
    done = outside(FAILING)
    assert done.returncode == 1
    assert "no flow of 192.168.1.11 is tracked; tracked:" in done.stdout
    assert "- lab gateway-" in done.stdout
    # The socket was closed before the report was made, and yet is shown.
    assert "\n    tcp LISTEN 203.0.113.100:4711\n" in done.stdout
    assert "\n    0.0.0.0/0 via 192.168.1.1 dev eth0 proto static\n" in done.stdout
    assert "in wait" not in done.stdout


def test_labs_for_a_module_or_the_session_stay_and_are_in_the_reports(
    outside: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = outside(SHARED)
    assert "2 failed, 1 passed" in done.stdout
    # What the first test saw when it was to fail is in nobody's report.
    assert done.stdout.count("cannot be looked at: TypeError") == 2
    assert done.stdout.count("\n    10.0.0.0/24 dev eth0 proto kernel src 10.0.0.1\n") == 1


def test_loading_the_plugin_costs_those_nothing_who_do_not_use_it(
    outside: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = outside(UNUSED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_has_the_topologies_and_scenarios(site: Path) -> None:
    for kind, pattern in (("topologies", "*.toml"), ("scenarios", "*.py")):
        installed = {path.name for path in (site / "netinspect" / "lab" / "netns-lab" / kind).glob(pattern)}
        assert installed == {path.name for path in (CHECKOUT / "netns-lab" / kind).glob(pattern)}


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("test_*.py")), ids=lambda path: path.stem)
def test_the_documented_examples_pass(example: Path, outside: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = outside(example.read_text())
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documentation_shows_the_examples_as_they_are() -> None:
    text = (CHECKOUT / "docs" / "testing.md").read_text()
    examples = sorted(EXAMPLES.glob("test_*.py"))
    assert len(examples) >= 3
    for example in examples:
        assert f"```python\n{example.read_text()}```\n" in text, f"{example.name} differs from docs/testing.md"
