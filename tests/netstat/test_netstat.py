"""``netinspect netstat`` against net-tools' netstat in the same namespace, line for line except the order."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from availability import unavailable
from held_sockets import Sockets
from patience import until
from tcp_states import Young, deafen, young
from throwaway import NETINSPECT, Namespace

from netinspect.environment import Environment
from netinspect.main import run
from netinspect.netstat import command as netstat

LONG = "fd12:3456:789a:bcde:f012:3456:789a:bcde"
CHANCES = 10
ODD_NAMES = ("newline", "escape", "right to left", "space")
"""Names of unix sockets that net-tools prints raw, or in parts."""


@pytest.fixture(scope="module")
def worlds() -> Iterator[Young]:
    def more(made: Sockets) -> None:
        made.namespace.run("ip", "address", "add", f"{LONG}/128", "dev", "lo", "nodad")
        made.namespace.call(lambda: make_more(made))

    with young("zoo", more) as made:
        yield made


@pytest.fixture
def zoo(worlds: Young) -> Sockets:
    """A namespace with a socket of every kind and state, long addresses, known ports, and many a reference."""
    return worlds.get()


def make_more(made: Sockets) -> None:
    def keep(opened: socket.socket) -> socket.socket:
        made.opened[f"more {len(made.opened)}"] = opened
        return opened

    def bound(kind: int, family: int, address: str, port: int) -> socket.socket:
        opened = keep(socket.socket(family, kind))
        opened.bind((address, port))
        return opened

    # Addresses that are cut, and ports of one to five digits, some of which have names.
    for port in (7, 22, 443, 8080, 20123):
        server = bound(socket.SOCK_STREAM, socket.AF_INET6, LONG, port)
        server.listen()
        client = keep(socket.socket(socket.AF_INET6))
        reach(client, port)
        keep(server.accept()[0])
        reach(bound(socket.SOCK_DGRAM, socket.AF_INET6, LONG, port), 9)
    bound(socket.SOCK_DGRAM, socket.AF_INET, "0.0.0.0", 53)
    bound(socket.SOCK_DGRAM, socket.AF_INET, "127.255.255.254", 65535)
    # Raw sockets: unbound, bound, connected, with an unread packet.
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        # This one would get a copy of every TCP segment, and its queue would grow between two listings.
        deafen(keep(socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)))
        keep(socket.socket(family, socket.SOCK_RAW, 200)).bind((address, 0))
        connected = keep(socket.socket(family, socket.SOCK_RAW, 201))
        connected.connect((address, 0))
        connected.send(b"to itself")
    # Unix sockets that several others name, that name themselves, and whose other end is gone.
    for name in (b"\0hub", b"\0itself"):
        hub = keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        hub.bind(name)
    hub.connect(b"\0itself")
    for _ in range(3):
        keep(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).connect(b"\0hub")
    left, gone = socket.socketpair()
    keep(left)
    gone.close()
    for number, kind in enumerate((socket.SOCK_STREAM, socket.SOCK_SEQPACKET)):
        listener = keep(socket.socket(socket.AF_UNIX, kind))
        listener.bind(b"\0waiting%d" % number)
        listener.listen(5)
        for _ in range(3):
            client = keep(socket.socket(socket.AF_UNIX, kind))
            client.connect(b"\0waiting%d" % number)
        client.close()
    try:
        os.seteuid(12345)
    except OSError:
        return  # a user namespace with one user
    try:
        keep(socket.create_server(("127.0.0.1", 0)))
    finally:
        os.seteuid(0)


def reach(opened: socket.socket, port: int) -> None:
    """Connects to an address of our own: a kernel thread adds the route, moments after the address, and may do so again
    when the interface has come up."""
    until(lambda: opened.connect_ex((LONG, port)) == 0, "route")


def lines(namespace: Namespace, argv: Sequence[str]) -> list[str]:
    """What a command prints, in order."""
    environment = {**os.environ, "LC_ALL": "C"}
    result = namespace.run(*argv, check=False, env=environment, errors="backslashreplace")
    return sorted(result.stdout.splitlines())


def called(*arguments: str) -> tuple[int, str, str]:
    """Exit status, output and complaints of the command, run here."""
    output: list[bytes] = []
    complaints: list[bytes] = []
    status = run(["netstat", *arguments], Environment(output.append, complaints.append, False, 80))
    return status, b"".join(output).decode(), b"".join(complaints).decode()


def without(found: list[str], inodes: set[int]) -> list[str]:
    """Without the unix sockets that have these inodes."""
    return [line for line in found if not (line.startswith("unix") and inodes.intersection(map(int, numbers(line))))]


def numbers(line: str) -> list[str]:
    return re.findall(r"(?<= )\d+(?= )", line)


def odd_inodes(zoo: Sockets) -> set[int]:
    return {held.inode for held in zoo if held.protocol == "unix" and held.label.endswith(ODD_NAMES)}


TIMER = re.compile(r"\((\d+\.\d\d)/(\d+)/")


def without_times(line: str) -> str:
    """Without the time left and, for a request, without how often was sent again: of that procfs counts less."""
    return TIMER.sub("(T/N/" if "SYN_RECV" in line else r"(T/\2/", line)


def assert_same_lines(zoo: Sockets, *options: str) -> None:
    """Both print the same. A socket may change its state between the two, so they get several chances."""
    for _ in range(CHANCES):
        expected = lines(zoo.namespace, ("netstat", *options))
        ours = sorted(zoo.namespace.call(lambda: called(*options))[1].splitlines())
        odd = odd_inodes(zoo)
        expected, ours = (sorted(map(without_times, without(found, odd))) for found in (expected, ours))
        if ours == expected:
            assert expected
            return
    assert ours == expected


@pytest.mark.parametrize(
    "options",
    [
        *("-t", "-ta", "-tan", "-tln", "-tanp", "-tane", "-tanee", "-tano", "-tanW", "-taW", "-tuaneoW"),
        *("-u", "-ua", "-uan", "-ul", "-uaneo", "-U", "-Ua", "-Uano", "-Ul", "-w", "-wa", "-wan", "-wl", "-waneo"),
        *("-x", "-xa", "-xl", "-xap", "-xan", "-xaneo", "-la", "", "-a", "-an", "-l", "-ln", "-n", "-W", "-anpeoW"),
        *("-4", "-6", "-4a", "-6an", "-4l", "-46a", "-4x", "-6tan", "-4tu", "-6wa", "-4xl", "-tx", "-tuxwUa"),
        *("--inet -a", "--inet6 -a", "--ip -a", "--unix", "-A inet -a", "-A inet6 -an", "-A unix,inet -a", "-A ip6 -a"),
        *("-A tcpip -t", "--protocol=unix -a", "--tcp --udp --all --numeric", "--listening --raw --udplite"),
        *("-ta --numeric-hosts", "-ta --numeric-ports", "-tae --numeric-users", "-ua --numeric-h", "-N -ta", "-d -t"),
        *("-t --programs", "-ta --extend", "-ta --timers", "-ta --wide", "-t --verbose -a", "--ex -t"),
    ],
)  # fmt: skip
def test_every_option_gives_the_lines_of_netstat(zoo: Sockets, need: Callable[[str], None], options: str) -> None:
    need("netstat")
    # Without the file net-tools lists nothing more; netinspect goes on.
    if ("U" in options or "udplite" in options) and not Path("/proc/net/udplite").exists():
        unavailable("this kernel has no UDP-Lite (until Linux 7.0)")
    assert_same_lines(zoo, *options.split())


def test_the_program_prints_the_same_lines(zoo: Sockets, need: Callable[[str], None]) -> None:
    need("netstat")
    for _ in range(CHANCES):
        expected = lines(zoo.namespace, ("netstat", "-tuwan"))
        ours = lines(zoo.namespace, (*NETINSPECT, "netstat", "-tuwan"))
        if ours == expected:
            break
    assert ours == expected


def test_the_time_left_of_a_timer_runs_down_between_two_looks_of_netstat(
    zoo: Sockets, need: Callable[[str], None]
) -> None:
    need("netstat")

    def times(argv: Sequence[str]) -> dict[str, float]:
        found = [line for line in lines(zoo.namespace, argv) if "keepalive" in line or "timewait" in line]
        return {line.partition("(")[0]: float(TIMER.findall(line)[0][0]) for line in found}

    before = times(("netstat", "-tano"))
    ours = times((*NETINSPECT, "netstat", "-tano"))
    after = times(("netstat", "-tano"))
    common = before.keys() & ours.keys() & after.keys()
    assert any("keepalive" in line for line in common)
    for line in common:
        assert before[line] + 0.01 >= ours[line] >= after[line] - 0.01


def test_protocols_come_in_the_order_of_netstat(zoo: Sockets) -> None:
    output = zoo.namespace.netinspect("netstat", "-a").stdout
    kinds = [line.split()[0].removesuffix("6") for line in output.splitlines()]
    order = ("Active", "Proto", "tcp", "udp", "udpl", "raw", "Active", "Proto", "unix")
    assert [kind for at, kind in enumerate(kinds) if kind != kinds[at - 1]] == [kind for kind in order if kind in kinds]


def test_odd_paths_are_whole_and_escaped_and_the_rest_of_their_rows_is_the_same(
    zoo: Sockets, need: Callable[[str], None]
) -> None:
    need("netstat")
    for label in ODD_NAMES:
        for kind in ("path", "abstract"):
            held = zoo[f"unix {kind} {label}"]
            expected, ours = (
                [line for line in lines(zoo.namespace, (*argv, "-xa")) if str(held.inode) in numbers(line)]
                for argv in (("netstat",), (*NETINSPECT, "netstat"))
            )
            assert len(expected) == len(ours) == 1
            start = expected[0].index(str(held.inode)) + 9
            assert ours[0][:start] == expected[0][:start]
            path = held.local_address or ""
            escaped = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in path)
            assert ours[0][start:] == escaped.replace("\\n", "\\x0a")


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """What runs a command with names of our own for addresses and ports."""
    (tmp_path / "hosts").write_text(f"127.0.0.1 a-rather-long-name.example.com short\n{LONG} six.example\n::1 loop\n")
    (tmp_path / "services").write_text(
        "echo 7/tcp\nfirst 22/tcp\nlast 22/tcp\nsixteen-letters- 443/tcp\nweb 8080/tcp\nnine 9/udp\necho 7/udp\n"
    )
    (tmp_path / "protocols").write_text("tcp 6 TCP\nsome 200 SOME\nother 201 OTHER\nlast 201 LAST\n")
    binds = "".join(f"mount --bind {tmp_path}/{name} /etc/{name} && " for name in ("hosts", "services", "protocols"))
    return ["unshare", "--mount", "sh", "-c", binds + 'exec "$@"', "sh"]


@pytest.mark.parametrize("options", ["-ta", "-taW", "-ua", "-wa", "-wl", "-ta --numeric-hosts", "-ta --numeric-ports"])
def test_names_are_those_that_netstat_finds_and_cut_in_the_same_places(
    zoo: Sockets, names: list[str], need: Callable[[str], None], options: str
) -> None:
    need("netstat")
    for _ in range(CHANCES):
        expected = lines(zoo.namespace, (*names, "netstat", *options.split()))
        ours = lines(zoo.namespace, (*names, *NETINSPECT, "netstat", *options.split()))
        if ours == expected:
            break
    assert ours == expected
    if options == "-taW":
        assert any("a-rather-long-name.example.com:" in line for line in ours)
        assert any(":last " in line for line in ours)


def test_processes_of_another_user_are_reported_as_unreadable(zoo: Sockets) -> None:
    # The same in a user namespace, where nobody but we are ours.
    result = zoo.namespace.run("unshare", "--user", *NETINSPECT, "netstat", "-tanp", check=False)
    if "Operation not permitted" in result.stderr:
        unavailable("no user namespaces")
    assert result.returncode == 0
    assert "(Not all processes could be identified" in result.stderr
    assert f"{'-':<20}" in result.stdout


# --- options ----------------------------------------------------------------------------------------------------------


def test_contexts_are_shown_where_selinux_is_enabled_and_else_are_an_error(
    zoo: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netinspect import procfs
    from netinspect.nouns.sockets import owners_contexts as contexts

    monkeypatch.setattr(contexts, "_SELINUX", "/nonexistent")
    assert called("-tZ") == (1, "", "netinspect: SELinux is not enabled on this machine\n")
    monkeypatch.setattr(contexts, "_SELINUX", "/")
    monkeypatch.setattr(contexts, "security_context", lambda pid: f"user:role:type:{pid}")
    status, output, _ = zoo.namespace.call(lambda: called("-tlnZ"))
    assert status == 0
    heading, *rows = output.splitlines()[1:]
    assert heading[80:] == f"{'PID/Program name':<20}{' Security Context':<50}"
    assert {row[101:] for row in rows} == {f"user:role:type:{os.getpid()}".ljust(50)}
    assert procfs.security_context(0) is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-q"], "unknown option -q"),
        (["--nonsense"], "unknown option --nonsense"),
        (["--num"], "ambiguous: --numeric, --numeric-hosts, --numeric-ports, --numeric-users"),
        (["-A"], "needs a value"),
        (["-A", "decnet"], "no address family 'decnet'"),
        (["-A", "inet,"], "no address family ''"),
        (["--tcp=1"], "takes no value"),
    ],
)
def test_bad_options_are_one_line_and_status_2(arguments: list[str], complaint: str) -> None:
    status, output, complaints = called(*arguments)
    assert (status, output) == (2, "")
    assert complaint in complaints
    assert complaints.count("\n") == 1


def test_a_family_that_the_kernel_lacks_is_reported_and_the_rest_listed(need: Callable[[str], None]) -> None:
    for option, name in [("--ax25", "AX25"), ("--ipx", "IPX"), ("-A ddp", "DDP"), ("-2", "BLUETOOTH"), ("-f", "BLUE")]:
        status, output, complaint = called("-t", *option.split())
        assert status == 3
        assert "Active Internet connections (w/o servers)" in output
        assert "UNIX" not in output
        assert f"no support for `AF {name}" in complaint


def test_verbose_reports_families_that_the_kernel_lacks() -> None:
    assert "AF IPX" not in called()[2]
    status, _, complaint = called("-v")
    assert status == 0
    assert "no support for `AF IPX' on this system" in complaint
    assert "AF IPX" not in called("-v", "-x")[2]


def test_only_verbose_reports_that_raw_sockets_come_from_procfs() -> None:
    # Nothing is missing then, and net-tools writes nothing on standard error.
    assert called("-an")[::2] == called("-wan")[::2] == (0, "")
    status, _, complaint = called("-wanv")
    assert status == 0
    assert complaint == "" or "raw_diag" in complaint


def test_a_protocol_without_sock_diag_is_reported_even_if_not_requested(monkeypatch: pytest.MonkeyPatch) -> None:
    from netinspect import procfs

    monkeypatch.setattr(procfs, "has_protocol", lambda _: True)
    status, _, complaint = called("-an")
    assert (status == 3) == ("sctp sockets are not listed" in complaint)


def test_a_family_without_a_netlink_source_is_not_shown_as_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    from netinspect import procfs

    monkeypatch.setattr(procfs, "has_protocol", lambda name: name in ("ax25", "rfcomm"))
    for option in ("--ax25", "--bluetooth"):
        status, _, complaint = called(option)
        assert status == 3
        assert "are not listed" in complaint


def test_operands_are_ignored_but_not_without_a_word() -> None:
    status, output, complaint = called("-x", "5\x1b[m")
    assert status == 0
    assert output.startswith("Active UNIX")
    assert "is ignored" in complaint
    assert "\x1b" not in complaint


def test_help_and_version_need_no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netstat, "SocketListing", None)
    assert called("-t", "--help")[1] == netstat.COMMAND.help()
    assert "net-tools 2.10" in called("-V")[1]


def test_a_continuous_listing_repeats_itself_until_interrupted(zoo: Sockets) -> None:
    with zoo.namespace.popen((*NETINSPECT, "netstat", "-xc"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        headings = 0
        while headings < 2:
            headings += child.stdout.readline().startswith("Active UNIX")
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=10)
        assert child.returncode == 130
