"""Completion in real shells, each on a terminal, and the values that they ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_server import engine, podman
from terminals import Terminal
from throwaway import NETINSPECT, Namespace

from netinspect.completion.command_tables import completed
from netinspect.completion.command_values import KINDS
from netinspect.main import COMMANDS

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(netinspect completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D; source <(netinspect completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "netinspect completion fish | source"),
}


COMPLETED = (
    ("netinspect capab", "netinspect capabilities"),
    ("netinspect sockets --listen", "netinspect sockets --listening"),
    ("netinspect links --format nd", "netinspect links --format ndjson"),
    ("netinspect conntrack exp", "netinspect conntrack expectations"),
    ("netinspect links unc", "netinspect links uncommon"),
    ("netinspect routes -i unc", "netinspect routes -i uncommon"),
    ("netinspect sockets --state=fin-wait-2,estab", "netinspect sockets --state=fin-wait-2,established"),
    ("netinspect neighbours --columns address,link_addr", "netinspect neighbours --columns address,link_address"),
    ("netinspect lab up dualst", "netinspect lab up dualstack"),
    ("netinspect completion fi", "netinspect completion fish"),
    ("netinspect wait link unc", "netinspect wait link uncommon"),
    ("netinspect sockets state time", "netinspect sockets state time-wait"),
    ("netinspect sockets fwm", "netinspect sockets fwmark"),
    ("netinspect links further-n", "netinspect links further-name-of-uncommon"),
    ("netinspect lab traffic some half", "netinspect lab traffic some half-closed"),
    ("netinspect lab break some hairpin-f", "netinspect lab break some hairpin-from-outside-only"),
    ("netinspect lab run pair idle -- netinspect capab", "netinspect lab run pair idle -- netinspect capabilities"),
    ("netinspect explain tcp_info.retransmission_t", "netinspect explain tcp_info.retransmission_timeout"),
    ("netinspect stats MPTcp", "netinspect stats MPTcpExt"),
    ("netinspect stats explain TcpExt.ListenDr", "netinspect stats explain TcpExt.ListenDrops"),
    ("netinspect conntrack --status SEEN", "netinspect conntrack --status SEEN_REPLY"),
    ("netinspect conntrack --protocol udpl", "netinspect conntrack --protocol udplite"),
    ("netinspect routes --table mai", "netinspect routes --table main"),
    ("netinspect routes --type blackh", "netinspect routes --type blackhole"),
    ("netinspect links --kind macvt", "netinspect links --kind macvtap"),
    ("netinspect sockets --user nobod", "netinspect sockets --user nobody"),
)
"""What is typed before Tab, and what the line becomes: commands, options, fixed values, views, live values."""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A directory with the program ``netinspect``."""
    path = tmp_path / "netinspect"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m netinspect "$@"\n')
    path.chmod(0o755)
    return tmp_path


@pytest.fixture(params=SHELLS)
def shell(
    request: pytest.FixtureRequest, program: Path, need: Callable[[str], None], namespace: Namespace
) -> Iterator[Terminal]:
    need(request.param)
    words, source = SHELLS[request.param]
    namespace.run("ip", "link", "add", "uncommon", "type", "bridge")
    namespace.run("ip", "link", "property", "add", "dev", "uncommon", "altname", "further-name-of-uncommon")
    environment = {"PATH": f"{program}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(program), "PS1": "ready> "}
    with Terminal(words, 120, 40, start=namespace.popen, environment=environment) as terminal:
        terminal.type(f"{source}; echo load''ed\n")
        terminal.until(lambda: "\nloaded" in terminal.text, "the script to be loaded")
        yield terminal
        terminal.type("\x03\x04")


def test_a_shell_completes(shell: Terminal) -> None:
    for typed, wanted in COMPLETED:
        shell.type(f"{typed}\t")
        shell.until(lambda wanted=wanted: wanted in shell.text, wanted)
        shell.type("\x15")  # the line is emptied


def test_every_command_and_option_is_in_the_scripts() -> None:
    found = completed()
    assert {one.name for one in found if " " not in one.name} == set(COMMANDS)
    for name in SHELLS:
        script = subprocess.run([*NETINSPECT, "completion", name], check=True, capture_output=True, text=True).stdout
        for one in found:
            assert one.name in script
            for option in one.options:
                assert option.long in script
                if option.value is not None and option.value.live:
                    assert option.value.live.split()[0] in KINDS


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("interfaces", "lo"),
        ("states", "time-wait"),
        ("states neighbours", "reachable"),
        ("states conntrack", "SYN_SENT2"),
        ("fields", "cookie"),
        ("fields links", "carrier_changes"),
        ("topologies", "gateway"),
    ],
)
def test_values_are_printed_one_a_line(arguments: str, value: str) -> None:
    words = [*NETINSPECT, "completion", "--values", *arguments.split()]
    assert value in subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\n")


def test_containers_are_offered_by_name(tmp_path: Path) -> None:
    environment = {**os.environ, "CONTAINER_HOST": f"unix://{tmp_path}/engine", "DOCKER_HOST": ""}
    with engine(tmp_path / "engine", podman()):
        for kind in ("containers", "namespaces"):
            words = [*NETINSPECT, "completion", "--values", kind]
            found = subprocess.run(words, check=True, capture_output=True, text=True, env=environment).stdout
            assert "web" in found.split("\n")


def test_hosts_of_a_lab_are_offered(tmp_path: Path) -> None:
    environment = {**os.environ, "NETINSPECT_LAB_DIRECTORY": str(tmp_path)}

    def offered(*words: str) -> list[str]:
        command = [*NETINSPECT, "completion", "--values", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.splitlines()

    subprocess.run([*NETINSPECT, "lab", "up", "pair"], check=True, capture_output=True, env=environment)
    try:
        assert offered("labs") == ["pair"]
        assert offered("hosts", "pair") == ["client", "server"]
        assert {"lab:pair/client", "lab:pair/server"} <= {*offered("namespaces")}
        assert offered("hosts", "another") == offered("hosts", "../pair") == []
        (tmp_path / "netinspect-labs").chmod(0o755)
        assert offered("hosts", "pair") == []
        (tmp_path / "netinspect-labs").chmod(0o700)
    finally:
        subprocess.run([*NETINSPECT, "lab", "down", "pair"], check=True, capture_output=True, env=environment)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_values_load_nothing_heavy(kind: str) -> None:
    """Within 40 ms: what a listing loads would take them already."""
    program = (
        f"import sys; sys.argv[1:] = ['completion', '--values', {kind!r}]; from netinspect.main import main; main()"
    )
    command = [sys.executable, "-I", "-X", "importtime", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert loaded.isdisjoint({"typing", "re", "socket", "pathlib", "tomllib", "json", "subprocess", "dataclasses"})


def test_what_is_asked_for_without_sense_is_refused() -> None:
    for arguments in ("", "tcsh", "--values nothing", "bash zsh"):
        words = [*NETINSPECT, "completion", *arguments.split()]
        assert subprocess.run(words, check=False, capture_output=True).returncode == 2


def test_a_name_that_a_shell_would_take_apart_is_put_in_as_one_word(
    shell: Terminal, program: Path, namespace: Namespace
) -> None:
    """Nothing in a name is expanded or run."""
    names = ("q$(>x)q7", "t'bt7", 'v"wv7', "s*?s7", "w\\ww7", "y=zy7", "j;>x&j7", "c`>x`c7", "p@p7", "m!{a,b}m7")
    for name in (*names, "-n", "lou"):
        namespace.run("ip", "link", "add", "name", name, "type", "bridge")
    words = program / "words"
    words.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > part && mv part words.txt\n')
    words.chmod(0o755)
    shell.type(f"cd {program}\n")
    before = set(program.iterdir())
    typed = [(name[0], name) for name in names]
    typed += [
        ("'q", names[0]),
        ('"q', names[0]),
        ("'v", names[2]),
        ('"v', names[2]),
        ("'t", names[1]),
        ("y=", names[5]),
    ]
    for beginning, name in typed:
        shell.type(f"netinspect links {beginning}\t")
        end = name[-2:]
        shell.until(lambda end=end: end in shell.text.rstrip().splitlines()[-1], f"{name} to be put in")
        shell.type("\x01words \n")
        shell.until(lambda: (program / "words.txt").exists(), "the words of the line")
        assert (program / "words.txt").read_text().splitlines() == ["netinspect", "links", name]
        (program / "words.txt").unlink()
    assert {path.name for path in set(program.iterdir()) - before} <= {".config", ".local", ".cache"}
    # What begins with a dash would be an option.
    offered = namespace.netinspect("completion", "--values", "interfaces").stdout.splitlines()
    assert set(offered) == {*names, "lo", "lou", "uncommon", "further-name-of-uncommon"}
