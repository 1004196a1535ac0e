"""Helpers: an FTP client announces a data connection through a gateway that translates, which then expects it."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nat_lab import SERVER, lab_with_traffic, netinspect

from netinspect.engine.netlink.messages import Answer, attribute, message
from netinspect.errors import NetlinkError
from netinspect.nouns.conntrack import decode_expectations as expectations


@pytest.fixture(scope="module")
def gateway() -> Iterator[Any]:
    from shutil import which

    from availability import unavailable

    if which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
        unavailable("nft is not installed")
    with lab_with_traffic("gateway") as (lab, traffic):
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

        client = lab["lan1"].call(connect)
        server = listener.accept()[0]
        server.settimeout(10)
        # The helper takes up a connection with its first whole line.
        client.sendall(b"USER x\r\n")
        server.recv(100)
        # RFC 959: the client awaits a data connection at 192.168.1.11, port 200 * 256 + 10.
        client.sendall(b"PORT 192,168,1,11,200,10\r\n")
        made.announced = server.recv(100)
        made.port = client.getsockname()[1]
        client.sendall(b"NOOP\r\n")
        server.recv(100)
        yield made
        client.close()
        server.close()


def test_the_expectation_is_told_with_its_master(gateway: Any) -> None:
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


def test_netstat_tells_how_sequence_numbers_are_shifted(gateway: Any) -> None:
    time.sleep(0.1)
    lines = netinspect(gateway, "netstat", "-Mne").stdout.splitlines()
    (row,) = [line.split() for line in lines if f"{gateway.port} -> 21" in line]
    # 203,0,113,1 is shorter than 192,168,1,11 by one character.
    assert int(row[2]) > 0
    assert (row[3], row[4]) == ("-1", "0")


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
