"""``netinspect sockets`` as a user runs it, against real sockets of every kind and against real ss."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from held_sockets import Sockets
from jsonschema import Draft202012Validator
from patience import until
from tcp_states import Young, young
from throwaway import NETINSPECT, Namespace

from netinspect import main
from netinspect.environment import Environment
from netinspect.records import Socket

SS_STATES = {
    "ESTAB": "ESTABLISHED",
    "SYN-SENT": "SYN_SENT",
    "SYN-RECV": "SYN_RECV",
    "FIN-WAIT-1": "FIN_WAIT1",
    "FIN-WAIT-2": "FIN_WAIT2",
    "TIME-WAIT": "TIME_WAIT",
    "UNCONN": "UNCONNECTED",
    "CLOSE-WAIT": "CLOSE_WAIT",
    "LAST-ACK": "LAST_ACK",
    "LISTEN": "LISTEN",
    "CLOSING": "CLOSING",
}


@pytest.fixture(scope="module")
def worlds() -> Iterator[Young]:
    with young("zoo") as made:
        yield made


@pytest.fixture
def zoo(worlds: Young) -> Sockets:
    """A namespace with a socket of every kind and state."""
    return worlds.get()


def listed(namespace: Namespace, *arguments: str) -> list[dict[str, Any]]:
    """The records that a listing gives as JSON."""
    records: list[dict[str, Any]] = json.loads(namespace.netinspect("sockets", "--json", *arguments).stdout)
    return records


def as_ss_writes(row: dict[str, Any]) -> tuple[str, str, int, int, str, str]:
    """Protocol, state, queues and both ends of one of our records, the ends in ss's spelling."""
    ends = []
    for side in ("local", "remote"):
        address, port = row[f"{side}_address"], row[f"{side}_port"]
        host = f"[{address}]" if ":" in address else address
        if side == "local" and row["interface"]:
            host += f"%{row['interface']}"
        ends.append(f"{host}:{port or '*'}")
    return (row["protocol"], row["state"], row["recv_queue"], row["send_queue"], *ends)  # type: ignore[return-value]


def as_ss_wrote(line: str) -> tuple[str, str, int, int, str, str]:
    protocol, state, recv_queue, send_queue, local, remote = line.split()[:6]
    # ss writes a wildcard that takes both families as "*", and a peer's scope, which is the local end's.
    local, remote = (re.sub(r"^\*:", "[::]:", end) for end in (local, remote))
    remote = re.sub(r"%\w+:", ":", remote)
    return protocol, SS_STATES[state], int(recv_queue), int(send_queue), local, remote


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("family", ["-4", "-6"])
def test_the_same_sockets_as_ss_lists(zoo: Sockets, need: Callable[[str], None], protocol: str, family: str) -> None:
    need("ss")
    ours = Counter(map(as_ss_writes, listed(zoo.namespace, f"--{protocol}", "-an", family)))
    lines = zoo.namespace.run("ss", "-HOan", f"--{protocol}", family, "-t" if protocol == "tcp" else "-u").stdout
    theirs = Counter(map(as_ss_wrote, (f"{protocol} {line}" for line in lines.splitlines())))
    # ss of iproute2 before 6.8 does not ask for sockets that are bound and neither listen nor are connected.
    bound = Counter(row for row in ours.elements() if row[1] == "CLOSE")
    assert ours - bound == theirs - bound
    assert len(theirs) >= 4


def test_every_tcp_state_is_listed_in_every_family(zoo: Sockets) -> None:
    states = {row["state"] for row in listed(zoo.namespace, "-ta4")}
    assert states >= set(SS_STATES.values()) - {"UNCONNECTED"}
    assert {row["state"] for row in listed(zoo.namespace, "-ta6")} == states


def test_unix_sockets_are_those_that_ss_lists(zoo: Sockets, need: Callable[[str], None]) -> None:
    need("ss")
    command = ["nsenter", f"--net={zoo.namespace.path}", "ss", "-HOxan"]
    # Names here hold spaces, line ends and bytes that are no text: only the numbers are sure.
    output = subprocess.run(command, capture_output=True, check=True).stdout.decode("latin-1")
    theirs = set(re.findall(r" (\d+) +\S+ \d+ *$", output, re.MULTILINE))
    ours = {str(row["inode"]) for row in listed(zoo.namespace, "-xa")}
    assert theirs <= ours
    assert all(f" {inode} " in output for inode in ours - {"0"})


def test_the_table_has_the_rows_of_the_json(zoo: Sockets) -> None:
    rows = listed(zoo.namespace, "-tuan")
    lines = zoo.namespace.netinspect("sockets", "-tuan").stdout.splitlines()
    assert lines[0].split()[:4] == ["Protocol", "State", "Recv-Q", "Send-Q"]
    table = Counter(tuple(line.split()) for line in lines[1:])
    assert table == Counter(tuple(map(str, as_ss_writes(row))) for row in rows)


@pytest.mark.parametrize(
    "options",
    [("-a",), ("-tuaeimop",), ("-ap", "--peers"), ("-xae",), ("-lt",), ("--columns", "state,processes,cookie", "-a")],
)
def test_json_follows_the_schema_and_ndjson_and_csv_have_the_same_fields(
    zoo: Sockets, options: tuple[str, ...]
) -> None:
    namespace = zoo.namespace
    schema = json.loads(namespace.netinspect("schema", "sockets").stdout)
    rows = listed(namespace, *options)
    Draft202012Validator(schema).validate(rows)
    ndjson = namespace.netinspect("sockets", *options, "--format", "ndjson").stdout
    assert [set(json.loads(line)) for line in ndjson.splitlines()] == [set(row) for row in rows]
    comma = list(csv.DictReader(io.StringIO(namespace.netinspect("sockets", *options, "--format", "csv").stdout)))
    assert [set(row) for row in comma] == [set(row) for row in rows]
    assert set(schema["items"]["properties"]) == set(Socket._fields)


def test_every_socket_has_owners_or_a_reason(zoo: Sockets) -> None:
    for row in listed(zoo.namespace, "-ap"):
        assert bool(row["processes"]) == (row["owner_reason"] is None), row
    mine = [row for row in listed(zoo.namespace, "-tap") if row["processes"]]
    assert mine
    assert all(holder["pid"] == os.getpid() for row in mine for holder in row["processes"])


def test_the_peer_of_a_loopback_connection_is_found_even_where_a_filter_leaves_it_out(zoo: Sockets) -> None:
    client = zoo["inet ESTABLISHED client"]
    [row] = listed(zoo.namespace, "-t", "--peers", "-p", f"sport = :{client.local_port} and dst 127.0.0.1")
    assert [peer["pid"] for peer in row["peers"]] == [os.getpid()]


def test_the_summary_counts_what_is_listed(zoo: Sockets) -> None:
    rows = listed(zoo.namespace, "-a")
    counted = json.loads(zoo.namespace.netinspect("sockets", "-as", "-o", "json").stdout)
    assert {(row["protocol"], row["family"], row["state"]): row["sockets"] for row in counted} == Counter(
        (row["protocol"], row["family"], row["state"]) for row in rows
    )
    assert "total" in zoo.namespace.netinspect("sockets", "-as").stdout


def test_the_summary_has_a_row_for_each_namespace(zoo: Sockets) -> None:
    empty = Namespace()
    with empty.call(lambda: socket.create_server(("127.0.0.1", 0))):
        both = ("--netns", zoo.namespace.path, "--netns", empty.path)
        counted = json.loads(zoo.namespace.netinspect("sockets", "-tus", "-a", "--json", *both).stdout)
        table = zoo.namespace.netinspect("sockets", "-tus", "-a", *both).stdout.splitlines()
    empty.close()
    schema = json.loads(zoo.namespace.netinspect("schema", "summary").stdout)
    Draft202012Validator(schema).validate(counted)
    assert all(row["sockets"] for row in counted)
    rows = Counter((row["protocol"], row["family"], row["state"]) for row in listed(zoo.namespace, "-tua"))
    first = {(row["protocol"], row["family"], row["state"]): row["sockets"] for row in counted[:-1]}
    assert ({row["netns"] for row in counted[:-1]}, first) == ({zoo.namespace.path}, rows)
    assert counted[-1] == {"netns": empty.path, "protocol": "tcp", "family": "inet", "state": "LISTEN", "sockets": 1}
    assert table[0].split() == ["Namespace", "Protocol", "Family", "State", "Sockets"]
    assert table[-2].split() == [empty.path, "tcp", "inet", "LISTEN", "1"]
    assert table[-1].split() == ["total", str(rows.total() + 1)]


def test_states_are_selected_by_name_group_and_expression(zoo: Sockets) -> None:
    def states(*arguments: str) -> set[str]:
        return {row["state"] for row in listed(zoo.namespace, *arguments)}

    assert states("-t", "--state", "syn-recv,TIME_WAIT") == {"SYN_RECV", "TIME_WAIT"}
    assert states("-t", "--state", "bucket") == {"SYN_RECV", "TIME_WAIT"}
    assert states("-tl") == {"LISTEN"}
    assert states("-t", "state", "established") == {"ESTABLISHED"}
    assert "LISTEN" not in states("-t")
    assert states("-t", "exclude", "listening", "exclude", "time-wait") == states("-ta") - {"LISTEN", "TIME_WAIT"}
    assert states("-ul") == {"UNCONNECTED"}
    assert states("-u") == {"ESTABLISHED"}


def test_sorting_is_by_value_and_reversed_by_a_minus(zoo: Sockets) -> None:
    ports = [row["local_port"] for row in listed(zoo.namespace, "-ta", "--sort", "local_port")]
    assert ports == sorted(ports)
    keys = [(row["state"], -row["local_port"]) for row in listed(zoo.namespace, "-ta", "--sort", "state,-local_port")]
    assert keys == sorted(keys)


def test_dash_o_is_timers_alone_and_a_format_before_its_name(zoo: Sockets) -> None:
    assert "keepalive," in zoo.namespace.netinspect("sockets", "-tno").stdout
    json.loads(zoo.namespace.netinspect("sockets", "-tn", "-o", "json").stdout)
    assert "timer" in json.loads(zoo.namespace.netinspect("sockets", "-tojson", "-o").stdout)[0]


def test_columns_of_ones_own_show_addresses_and_nobody_is_asked_for_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netinspect.engine.names.HostNames", None)
    said: list[bytes] = []
    environment = Environment(lambda _: None, said.append, False, 80)
    assert main.run(["sockets", "-ta", "--columns", "local_address"], environment) == 0
    assert main.run(["sockets", "-ta"], environment) == 1
    assert len(said) == 1


def test_hostile_names_reach_neither_a_terminal_nor_break_the_json(zoo: Sockets) -> None:
    for arguments in (["-xan"], ["-xap", "--peers"], ["-xa", "--format", "csv"]):
        text = zoo.namespace.run(*NETINSPECT, "sockets", *arguments).stdout
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), arguments
    text = zoo.namespace.netinspect("sockets", "-xa", "-j").stdout
    assert text.isascii()
    assert any(
        "\n" in (row["local_address"] or "") or "\x1b" in (row["local_address"] or "") for row in json.loads(text)
    )


def test_extended_and_internal_information_is_shown(zoo: Sockets) -> None:
    text = zoo.namespace.netinspect("sockets", "-taneim").stdout
    for word in ("reno", "wscale:", "rtt:", "skmem:(r", "mss:", "Inode", "Cgroup"):
        assert word in text


def test_rows_of_several_and_of_all_namespaces_are_labelled(zoo: Sockets, namespace: Namespace) -> None:
    both = ("--netns", zoo.namespace.path, "--netns", zoo.other.path)
    rows = listed(namespace, "-t", *both)
    assert {row["netns"] for row in rows} == set(both[1::2])
    with zoo.other.popen(["sleep", "120"]) as sleeper:
        until(lambda: b"sleep" in Path(f"/proc/{sleeper.pid}/cmdline").read_bytes())
        result = namespace.netinspect("sockets", "-tan", "--all-netns", check=False)
        sleeper.kill()
    assert result.stdout.split()[0] == "Namespace"
    assert f"\n{sleeper.pid} " in result.stdout
    # In a user namespace of our own we may not enter those of the system, and the kernel refuses.
    assert (result.returncode == 3) == ("left out" in result.stderr or "not be seen" in result.stderr), result.stderr


@pytest.mark.parametrize("options", [("-ta6n",), ("-ta6np",), ("-ta6n", "--sort", "local_port"), ("-0a",)])
def test_interfaces_have_the_names_that_they_have_in_the_namespace_listed(
    zoo: Sockets, namespace: Namespace, options: tuple[str, ...]
) -> None:
    inside = zoo.namespace.netinspect("sockets", *options).stdout
    outside = namespace.netinspect("sockets", *options, "--netns", zoo.namespace.path).stdout
    assert "zoo0" in inside
    # What packet sockets have received grows meanwhile.
    queues = slice(2, 4) if options == ("-0a",) else slice(0)
    shown = [[words for line in text.splitlines() if (words := line.split())] for text in (inside, outside)]
    for words in chain.from_iterable(shown):
        del words[queues]
    assert sorted(shown[0]) == sorted(shown[1])


def run(namespace: Namespace, command: str) -> subprocess.CompletedProcess[str]:
    """A shell command line in which ``ni`` is our command."""
    shell = f'ni() {{ {" ".join(NETINSPECT)} "$@"; }}; {command}'
    return namespace.run("bash", "-c", shell, check=False)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("ni sockets --netns no-such-name", 1, "no network namespace 'no-such-name'"),
        ("ni sockets --frob", 2, "unknown option --frob"),
        ("ni sockets --s x", 2, "ambiguous"),
        ("ni sockets --state open", 2, "no state 'open'"),
        ("ni sockets 'sport ='", 2, "sport ="),
        ("ni sockets --user nobody-at-all", 2, "no user"),
        ("ni sockets --columns foo", 2, "no field 'foo'"),
        ("ni sockets --format yaml", 2, "no format 'yaml'"),
        ("ni sockets --watch 0", 2, "--watch takes"),
        ("ni sockets --watch", 2, "needs a value"),
        ("ni sockets --pid x", 2, "--pid takes a whole number"),
        ("ni sockets --pid $(printf %05000d 1)99999999", 2, "no process"),
        ("ni sockets --netns x --all-netns", 2, "exclude"),
        ("ni sockets -s --columns state", 2, "--summary has its own columns"),
        ("ni sockets -s --sort state", 2, "--summary has its own columns"),
        ("ni frob", 2, "no command 'frob'"),
        ("ni sockets -ta > /dev/full", 1, "standard output: No space left"),
        ("ni sockets -ta >&-", 1, "standard output: Bad file descriptor"),
        (r"ni sockets --state $'\e[31mred'", 2, r"\x1b[31mred"),
    ],
)
def test_each_mistake_is_one_clear_line_and_a_status(
    namespace: Namespace, command: str, status: int, said: str
) -> None:
    result = run(namespace, command)
    assert (result.returncode, said in result.stderr) == (status, True), result.stderr
    assert result.stderr.startswith("netinspect: ")
    assert "Traceback" not in result.stderr


def test_a_reader_that_has_seen_enough_ends_it_silently(zoo: Sockets) -> None:
    result = run(zoo.namespace, "set -o pipefail; ni sockets -ta --watch 0.1 | head -1")
    assert result.stderr == ""
    assert result.returncode == 128 + signal.SIGPIPE


def test_an_interrupted_watch_ends_with_130(namespace: Namespace) -> None:
    with namespace.popen(
        [*NETINSPECT, "sockets", "-ta", "--watch", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as watch:
        assert watch.stdout is not None
        for number in range(3):
            assert number == 0 or watch.stdout.readline() == "\n"
            assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}\n", watch.stdout.readline())
            assert watch.stdout.readline().startswith("Protocol")
        watch.send_signal(signal.SIGINT)
        _, error = watch.communicate(timeout=10)
    assert (watch.returncode, error) == (130, "netinspect: interrupted\n")


def test_a_missing_diag_module_is_reported_once_and_the_rest_listed(namespace: Namespace) -> None:
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)):
        result = namespace.netinspect("sockets", "-a", "-w", "-t", "-u", "--json")
        [row] = [row for row in json.loads(result.stdout) if row["protocol"] == "raw"]
    assert row["source"] in ("procfs", "sock_diag")
    assert result.stderr.count("raw_diag") == (2 if row["source"] == "procfs" else 0), result.stderr


def test_an_idle_namespace_gives_a_heading_and_an_empty_array(namespace: Namespace) -> None:
    assert namespace.netinspect("sockets", "-tuan").stdout.splitlines() == [
        "Protocol State Recv-Q Send-Q Local Address:Port Peer Address:Port"
    ]
    assert json.loads(namespace.netinspect("sockets", "-ta", "-j").stdout) == []
    assert namespace.netinspect("sockets", "-taH").stdout == ""


def test_every_option_is_in_the_help_and_the_man_page(namespace: Namespace) -> None:
    from netinspect.nouns.sockets.command import COMMAND

    text = namespace.netinspect("sockets", "--help").stdout
    manual = namespace.netinspect("help", "--man").stdout.replace("\\-", "-")
    for option in COMMAND.options():
        assert f"--{option.long}" in text
        assert f"--{option.long}" in manual


def test_who_names_a_protocol_without_peers_or_a_family_gets_what_ss_gives(namespace: Namespace) -> None:
    def protocols(*options: str) -> set[str]:
        return {row["protocol"] for row in json.loads(namespace.netinspect("sockets", "-nj", *options).stdout)}

    def make() -> list[socket.socket]:
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        bound = socket.socket()
        bound.bind(("127.0.0.1", 7001))
        return [packet, netlink, bound, *socket.socketpair()]

    opened = namespace.call(make)
    assert protocols("-0") == {"packet"}
    assert protocols("--netlink") == {"netlink"}
    assert "unix" in protocols()
    assert protocols("-4") == protocols("-6") == set()
    assert protocols("-4", "-x") == {"unix"}
    assert protocols("-4", "-a") <= {"tcp", "mptcp", "udp", "udplite", "sctp", "dccp", "raw"}
    if protocols("-t", "-a"):  # listed since about Linux 6.8
        assert protocols("-t", "--state", "close") == protocols("-t", "--state", "CLOSED") == {"tcp"}
    for one in opened:
        one.close()


def test_datagrams_that_a_full_socket_drops_are_counted(namespace: Namespace) -> None:
    receiver = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    receiver.bind(("127.0.0.1", 0))
    sender = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for _ in range(50):
        sender.sendto(bytes(500), receiver.getsockname())
    received = 0
    receiver.setblocking(False)
    listed = json.loads(namespace.netinspect("sockets", "-ua", "--json", "--columns", "local_port,drops").stdout)
    try:
        while receiver.recv(600):
            received += 1
    except BlockingIOError:
        pass
    found = {row["local_port"]: row["drops"] for row in listed}
    assert found[receiver.getsockname()[1]] == 50 - received > 0
    sender.close()
    receiver.close()
