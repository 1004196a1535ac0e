"""Helpers: an FTP client announces a data connection through a gateway that translates, which then expects it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from nat_lab import SERVER, lab_with_traffic, netinspect
from patience import eventually, until
from throwaway import NETINSPECT

from netinspect.engine.netlink.messages import Answer, attribute, message
from netinspect.errors import NetlinkError
from netinspect.nouns.conntrack import decode_expectations as expectations


@pytest.fixture
def nft(need: Callable[[str], None]) -> None:
    need("nft")


@contextmanager
def with_helper() -> Iterator[tuple[Any, Callable[[], tuple[bytes, socket.socket]]]]:
    """The gateway, and what has a client announce a data connection: what the server hears of it, and the client."""
    with lab_with_traffic("gateway") as (lab, traffic), ExitStack() as opened:
        made = lab["gateway"]
        made.run(
            "nft",
            'add table ip h; add ct helper ip h ftp { type "ftp" protocol tcp; };'
            "add chain ip h c { type filter hook prerouting priority filter; };"
            'add rule ip h c tcp dport 21 ct helper set "ftp"',
        )
        listener = traffic.listen("wan", SERVER, 21)

        def connect() -> socket.socket:
            return socket.create_connection((SERVER, 21), timeout=10)

        def announce() -> tuple[bytes, socket.socket]:
            client = opened.enter_context(lab["lan1"].call(connect))
            server = opened.enter_context(listener.accept()[0])
            server.settimeout(10)
            # The helper takes up a connection with its first whole line.
            client.sendall(b"USER x\r\n")
            server.recv(100)
            # RFC 959: the client awaits a data connection at 192.168.1.11, port 200 * 256 + 10.
            client.sendall(b"PORT 192,168,1,11,200,10\r\n")
            announced = server.recv(100)
            client.sendall(b"NOOP\r\n")
            server.recv(100)
            return announced, client

        yield made, announce


@pytest.fixture(scope="module")
def world() -> Iterator[Any]:
    with with_helper() as (made, announce):
        made.announced, client = announce()
        made.port = client.getsockname()[1]
        yield made


@pytest.fixture
def gateway(nft: None, request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("world")


def test_the_expectation_is_listed_with_its_master(gateway: Any) -> None:
    assert gateway.announced == b"PORT 203,0,113,1,200,10\r\n"
    (found,) = json.loads(netinspect(gateway, "conntrack", "expectations", "-j").stdout)
    assert (found["family"], found["protocol"]) == ("inet", "tcp")
    assert (found["source_address"], found["source_port"], found["source_port_mask"]) == (SERVER, 0, 0)
    assert (found["destination_address"], found["destination_port"]) == ("203.0.113.1", 200 * 256 + 10)
    assert (found["destination_mask"], found["destination_port_mask"]) == ("255.255.255.255", 65535)
    assert (found["master_source_address"], found["master_source_port"]) == ("192.168.1.11", gateway.port)
    assert (found["master_destination_address"], found["master_destination_port"]) == (SERVER, 21)
    assert found["helper"] == "ftp"
    assert 0 < found["timeout"] <= 300


def test_events_have_the_time_and_what_a_helper_expects(nft: None) -> None:
    with with_helper() as (made, announce):
        watching = [
            made.popen([*NETINSPECT, "conntrack", "events", *more], stdout=subprocess.PIPE, bufsize=1)
            for more in (("--format", "ndjson"), ("-n", "--event", "expect"), ("-s", "192.0.2.77"))
        ]
        # A flow has events where somebody listened as it began (net.netfilter.nf_conntrack_events = 2).
        until(lambda: subscribed(made) == len(watching), "subscription of each")
        announce()
        records = up_to(watching[0].stdout, '"expect"')
        table = up_to(watching[1].stdout, "expect ")
        for process in watching:
            process.send_signal(signal.SIGINT)
        # Not by communicate(), which knows nothing of what has been read ahead.
        records += watching[0].stdout.read()
        table += watching[1].stdout.read()
        others = watching[2].stdout.read()
        assert [process.wait(timeout=60) for process in watching] == [130] * 3
    (expected,) = [row for row in map(json.loads, records.splitlines()) if row["event"] == "expect"]
    assert (expected["destination_address"], expected["destination_port"]) == ("203.0.113.1", 51210)
    assert (expected["helper"], expected["status"], expected["reply_source_address"]) == ("ftp", [], None)
    heading, first = table.splitlines()
    assert heading.split()[:2] == ["Time", "Event"]
    assert re.match(r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6} +expect .* 203\.0\.113\.1:51210 .* - *$", first)
    assert "expect" not in others


def subscribed(host: Any) -> int:
    """How many sockets there hear of connection tracking: those of protocol 12 with a group."""
    rows = map(str.split, host.run("cat", "/proc/thread-self/net/netlink").stdout.splitlines()[1:])
    return sum(words[1] == "12" and int(words[3], 16) > 0 for words in rows)


def up_to(lines: Any, word: str) -> str:
    """The lines up to the first that has the word."""
    text = ""
    for line in lines:
        text += line
        if word in line:
            return text
    raise AssertionError(f"no {word} in {text}")


def test_conntrack_lists_the_same_expectation(gateway: Any, need: Callable[[str], None]) -> None:
    need("conntrack")
    line = gateway.run("conntrack", "-L", "expect").stdout
    theirs: dict[str, str] = dict(re.findall(r"([a-z-]+)=(\S+)", line))
    (ours,) = json.loads(netinspect(gateway, "conntrack", "expectations", "-j").stdout)
    assert theirs["mask-dst"] == ours["destination_mask"]
    assert int(theirs["master-sport" if "master-sport" in theirs else "sport"]) in (gateway.port, 0)
    assert str(ours["destination_port"]) in line
    table = netinspect(gateway, "conntrack", "expectations").stdout
    assert f"203.0.113.1:{200 * 256 + 10}" in table
    (count,) = json.loads(netinspect(gateway, "conntrack", "count", "-j").stdout)
    assert count["expectations"] == 1


def test_the_flow_names_its_helper_and_can_be_selected_by_it(gateway: Any) -> None:
    (flow,) = json.loads(netinspect(gateway, "conntrack", "-j", "--helper", "ftp").stdout)
    assert (flow["helper"], flow["source_port"], flow["destination_port"]) == ("ftp", gateway.port, 21)
    assert "HELPER" in flow["status"]


def test_netstat_shows_shifted_sequence_numbers(gateway: Any) -> None:
    def check() -> None:
        lines = netinspect(gateway, "netstat", "-Mne").stdout.splitlines()
        (row,) = [line.split() for line in lines if f"{gateway.port} -> 21" in line]
        # 203,0,113,1 is shorter than 192,168,1,11 by one character.
        assert int(row[2]) > 0
        assert (row[3], row[4]) == ("-1", "0")

    eventually(check)


def test_malformed_expectations_are_one_clear_error() -> None:
    body = b"\2\0\0\0"
    for content in (
        attribute(4, b"\1"),
        attribute(7, b"\1"),
        attribute(2 | 0x8000, attribute(1 | 0x8000, attribute(1, b"\1"))),
    ):
        (run,) = Answer(message(0x200, 0, body + content), "testing").runs
        with pytest.raises(NetlinkError, match="malformed"):
            [list(batch) for batch in expectations.batches(run)]
