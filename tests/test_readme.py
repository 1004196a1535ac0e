"""The README's examples, run on the hosts of the lab that it names: each line of output is there, its numbers aside."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from throwaway import NETINSPECT

import netinspect
from netinspect.testing import AssertingLab, LabFactory

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"^    (lan1|lan2|gateway|wan)\$ (.*)\n((?:    (?!\w+\$ ).*\n)*)", README, re.MULTILINE)


@pytest.fixture(scope="module")
def gateway(module_lab: LabFactory) -> Iterator[AssertingLab]:
    net = module_lab("gateway")
    traffic = net.traffic("idle")
    yield net
    traffic.close()


def shape(line: str) -> str:
    """A line without what differs from run to run: numbers, widths of columns, and who runs the lab."""
    return re.sub(r"\s+", " ", re.sub(r'\(\("[^"]*"', '(("', re.sub(r"\d+", "0", line))).strip()


@pytest.mark.parametrize(("host", "command", "shown"), EXAMPLES, ids=[command for _, command, _ in EXAMPLES])
def test_each_example_shows_what_the_readme_does(
    gateway: AssertingLab, host: str, command: str, shown: str, tmp_path: Path
) -> None:
    listeners = netinspect.sockets("tcp", families="inet", states="listen", netns=gateway["wan"].path)
    port = next(listeners).local_port
    listeners.close()
    command = command.replace("41593", str(port))
    line = re.sub(r"\bnetinspect (?=\w)", f"{shlex.join(NETINSPECT)} ", command)
    # 0: all well; 3: process 1 of some machines refuses even root; 4: a finding
    result = gateway[host].run("sh", "-c", line, check=False, cwd=tmp_path)
    assert result.returncode in (0, 3, 4), result.stderr
    found = set(map(shape, result.stdout.splitlines()))
    wanted = [shape(row) for row in shown.splitlines()]
    assert [row for row in wanted if row not in found] == []


def test_lab_run_of_the_readme_shows_rows(tmp_path: Path) -> None:
    (command,) = re.findall(r"`netinspect (lab run gateway idle -- netinspect sockets -ta)`", README)
    words = command.replace("-- netinspect", f"-- {shlex.join(NETINSPECT)}").split()
    result = subprocess.run([*NETINSPECT, *words], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.stdout.count("ESTABLISHED") >= 5


def test_the_python_example_runs(gateway: AssertingLab) -> None:
    (program,) = re.findall(r"^    (import netinspect\n(?:    .*\n|\n)*)", README, re.MULTILINE)
    text = "\n".join(line.removeprefix("    ") for line in program.splitlines())
    assert "203.0.113.100" in gateway["wan"].run(sys.executable, "-c", text).stdout


def test_every_document_that_the_readme_names_is_there() -> None:
    for name in re.findall(r"\]\(([^)]+)\)", README):
        assert (Path(__file__).parents[1] / name).exists(), name
