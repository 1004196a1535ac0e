"""What goes wrong outside of us: closed and stubborn streams, a machine without /proc, no memory. Never a traceback."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from throwaway import NETINSPECT, Namespace

from netinspect import main
from netinspect.engine import watching as watch
from netinspect.environment import Environment

_MANY = 700
"""More sockets than a table holds back to find its widths: rows are written while the dump goes on."""
_F_SETPIPE_SZ = 1031


@pytest.fixture(scope="module")
def crowd() -> Iterator[Namespace]:
    """A namespace with many sockets."""
    namespace = Namespace()
    made: list[socket.socket] = []

    def make() -> None:
        for _ in range(_MANY):
            made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            made[-1].bind(("127.0.0.1", 0))

    namespace.call(make)
    yield namespace
    for opened in made:
        opened.close()
    namespace.close()


def shell(namespace: Namespace, command: str) -> subprocess.CompletedProcess[str]:
    """A shell command line in which ``ni`` is our command."""
    return namespace.run("bash", "-c", f'ni() {{ {" ".join(NETINSPECT)} "$@"; }}; {command}', check=False)


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["sockets -uan", "netstat -uan", "sockets -uan -j", "--help"])
def test_what_is_written_to_a_closed_output_goes_nowhere_else(crowd: Namespace, command: str, closed: str) -> None:
    # A netlink socket would get the number of the closed stream, and the table with it.
    result = shell(crowd, f"ni {command} {closed}")
    assert result.returncode == 1
    expected = "" if "2>" in closed else "netinspect: standard output: Bad file descriptor\n"
    assert result.stderr == expected


def test_a_closed_error_output_takes_nothing_from_the_listing(crowd: Namespace) -> None:
    result = shell(crowd, "ni sockets -uanj 2>&-")
    assert (result.returncode, len(json.loads(result.stdout))) == (0, _MANY)


def test_an_output_that_does_not_wait_gets_everything(crowd: Namespace) -> None:
    read, write = os.pipe()
    fcntl.fcntl(write, _F_SETPIPE_SZ, 4096)
    os.set_blocking(write, False)
    with crowd.popen([*NETINSPECT, "sockets", "-uan"], stdout=write, stderr=subprocess.PIPE) as listing:
        os.close(write)
        with open(read) as output:
            lines = output.readlines()
        _, error = listing.communicate()
    assert (listing.returncode, error, len(lines)) == (0, "", _MANY + 1)


@pytest.mark.parametrize("columns", [0, 1, 79])
def test_a_terminal_may_be_of_unknown_size_or_narrow(namespace: Namespace, columns: int) -> None:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 0, columns, 0, 0))
    # Nobody is there to leave a pager.
    environment = {**os.environ, "NETINSPECT_PAGER": "cat"}
    with namespace.popen(
        [*NETINSPECT, "explain", "LISTEN"], stdout=theirs, stderr=theirs, env=environment
    ) as explaining:
        os.close(theirs)
        output = b""
        try:
            while block := os.read(ours, 4096):
                output += block
        except OSError:
            pass  # the end of a terminal
    os.close(ours)
    assert explaining.returncode == 0, output
    widest = max(map(len, output.decode().splitlines()))
    assert widest <= max(columns or 80, 40)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("sockets -uan", 0, ""),
        ("netstat -uan", 0, ""),
        ("sockets -uanp", 3, "no processes in /proc: mount it"),
        ("netstat -uanp", 3, "no processes in /proc: mount it"),
        ("sockets -ua --peers", 3, "no processes in /proc: mount it"),
        ("sockets --pid 1", 1, "no processes in /proc: mount it"),
        ("sockets -ua --process x", 1, "no processes in /proc: mount it"),
        ("snapshot -", 3, "no processes in /proc: mount it"),
        ("links", 0, ""),
        ("sockets --all-netns", 1, "no processes in /proc: mount it"),
        ("sockets --netns 1", 1, "no network namespace '1'"),
    ],
)
def test_without_proc_there_is_what_needs_none_and_one_clear_line_else(
    crowd: Namespace, command: str, status: int, said: str
) -> None:
    result = without_proc(crowd, command)
    assert result.returncode == status, result.stderr
    assert said in result.stderr
    if command.startswith(("sockets", "netstat")):
        assert len(result.stderr.splitlines()) == (said != "")
        assert (len(result.stdout.splitlines()) > _MANY) == (status != 1)


def test_raw_sockets_are_unknown_without_sock_diag_and_procfs(namespace: Namespace) -> None:
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)):
        result = without_proc(namespace, "sockets -wanj")
    if json.loads(result.stdout):
        assert result.returncode == 0
    else:
        assert result.returncode == 3
        assert "procfs does not list them either: /proc is not there" in result.stderr


def without_proc(namespace: Namespace, command: str) -> subprocess.CompletedProcess[str]:
    """Our command where something else lies over /proc."""
    inside = f"mount -t tmpfs none /proc && exec {' '.join(NETINSPECT)} {command}"
    return namespace.run("unshare", "--mount", "sh", "-c", inside, check=False)


def test_a_proc_that_hides_processes_is_reported(crowd: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netinspect.nouns.sockets.owners.processes_hidden", lambda: True)
    for command, said in (("sockets -uanp", "hidepid"), ("netstat -uanp", "Not all processes could be identified")):
        complaints: list[bytes] = []
        environment = Environment(lambda _: None, complaints.append, False, 80)
        crowd.call(lambda: main.run(command.split(), environment))  # noqa: B023
        assert said in b"".join(complaints).decode()


_HOLDER = """
import socket, time
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.bind(("127.0.0.1", 9000))
group = socket.inet_aton("239.1.1.1") + socket.inet_aton("127.0.0.1")
held.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
print("ready", flush=True)
time.sleep(100)
"""
_HIDDEN = """mount -t proc -o hidepid=$0 proc /proc || exit
"$1" -c "$2" > "$3" &
until [ -s "$3" ]; do sleep 0.02; done
pid=$!
shift 3
for command; do
    eval "$command" > /dev/null
    echo "status $?" >&2
done
"""
_UNPRIVILEGED = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
_NOT_OF_ROOTS_GROUP = ("setpriv", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
"""Root's group may see all (proc(5): gid=)."""


@pytest.mark.parametrize("mode", [1, 2, 4])
def test_under_a_proc_that_hides_processes_nothing_is_reported_as_complete(
    namespace: Namespace, need: Callable[[str], None], tmp_path: Path, mode: int
) -> None:
    """Mode 1 hides what processes have open, 2 and 4 (ptraceable) that they are there."""
    need("setpriv")
    unseen, hidden = "may not be seen", "/proc hides processes of others (proc(5): hidepid)"
    may = subprocess.run([*_NOT_OF_ROOTS_GROUP, "true"], capture_output=True).returncode == 0
    # In a user namespace it depends on whose: root's group sees that they are there.
    either = (unseen,) if mode == 1 else (hidden,) if may else (unseen, hidden)
    said = {
        "sockets -uanp": "owners may be missing",
        "sockets -uan --columns local_port,processes": "owners may be missing",
        "sockets -ua --process 'pyth*'": "some of their sockets may be missing",
        "sockets -ua --process no-such-name": "some of their sockets may be missing",
        "sockets -ua --peers": "owners may be missing",
        "groups -4 -g 239.1.1.1 -s": "the members of 1 group are not known completely",
        "links --all-netns": "the network namespaces of",
        "snapshot -": "owners may be missing",
        "assert listening --udp :9000 --process 'pyth*'": "could not be checked",
        "assert not listening --udp :9000 --process 'pyth*'": "could not be checked",
        "sockets -ua --pid $pid": "",
    }
    become = shlex.join([*(_NOT_OF_ROOTS_GROUP if may else _UNPRIVILEGED), *NETINSPECT])
    result = namespace.run(
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _HIDDEN, str(mode), sys.executable),
        *(_HOLDER, str(tmp_path / "ready"), *(f"{become} {command}" for command in said)),
        check=False,
    )
    answers = result.stderr.split("status ")
    assert len(answers) == len(said) + 1, result.stderr
    for (command, words), answer, after in zip(said.items(), answers, answers[1:], strict=False):
        if "--pid" in command and "or /proc hides it" in answer and hidden in either:
            assert int(after.split()[0]) == 2
            continue
        assert int(after.split()[0]) == 3, (command, answer)
        assert words in answer, (command, answer)
        assert any(text in answer for text in (*either, *([unseen] if "netns" in command else ()))), (command, answer)


@pytest.mark.parametrize("limit", [25_000, 30_000, 40_000])
def test_without_memory_there_is_one_clear_line(crowd: Namespace, limit: int) -> None:
    result = shell(crowd, f"ulimit -v {limit}; ni sockets -uanp")
    if result.returncode != 0 and "netinspect: " in result.stderr:  # else Python itself did not come so far
        assert result.returncode == 1
        assert result.stderr.splitlines() == [result.stderr.rstrip("\n")]
        assert result.stderr.startswith("netinspect: out of memory")


def test_python_without_memory_for_its_own_error_is_out_of_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise SystemError("error return without exception set")

    monkeypatch.setattr(main, "_dispatch", fail)
    complaints: list[bytes] = []
    assert main.run(["links"], Environment(lambda _: None, complaints.append, False, 80)) == 1
    assert complaints[0].startswith(b"netinspect: out of memory: ")


def test_an_interrupt_at_any_time_is_no_traceback(crowd: Namespace) -> None:
    # From the first byte on the program is all our own.
    for _ in range(4):
        with crowd.popen(
            [*NETINSPECT, "sockets", "-uan", "--watch", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as listing:
            assert listing.stdout is not None
            listing.stdout.read(1)
            listing.send_signal(signal.SIGINT)
            listing.send_signal(signal.SIGINT)
            _, error = listing.communicate()
        assert listing.returncode == 130
        assert error in ("", "netinspect: interrupted\n")


def test_the_time_for_the_next_listing_may_be_over_already(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        assert seconds >= 0
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    clock: Callable[[], float] = iter([0, 0.5, 0.9, 1.5, 1.999, 2.1, 2.5, 3.5, *range(4, 40)]).__next__
    monkeypatch.setattr(watch, "monotonic", clock)
    monkeypatch.setattr(watch, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        watch.repeat(lambda: 0, 1)


@pytest.mark.parametrize(
    "command", ["path tcp 10.0.0.1 10.0.0.2 port", "drops --for 0.1 port", "conntrack --port", "assert listening"]
)
def test_words_that_are_not_utf8_are_bad_usage(command: str) -> None:
    complaints: list[bytes] = []
    environment = Environment(lambda _: None, complaints.append, False, 80)
    assert main.run([*command.split(), "\udcff"], environment) == 2
    assert b"\\udcff" in b"".join(complaints)
    assert b"codec" not in b"".join(complaints)


@pytest.mark.parametrize("limit", [4, 5, 6])
def test_without_descriptors_there_is_one_clear_line(crowd: Namespace, limit: int) -> None:
    """Python itself does not get far with four: it loads no installed package then, and what it says is its own."""
    python = f"{sys.executable} -S -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); import netinspect.__main__'"
    package = Path(__file__).parents[2]
    # The shell's own descriptors above the three are closed when it executes.
    result = shell(crowd, f"ulimit -n {limit}; exec {python} {package} sockets -uan")
    if limit > 4:
        assert result.returncode == 0
        assert len(result.stdout.splitlines()) > 10
    elif "netinspect: " in result.stderr:
        assert result.returncode == 1
        assert result.stderr == "netinspect: too many open files: raise the limit (ulimit -n)\n"
