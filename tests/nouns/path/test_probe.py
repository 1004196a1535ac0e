"""`path --probe` and `--watch`: one packet is sent through a gateway, and what happened to it is told beside what was
predicted; whatever happens to the command, nothing of it stays behind.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest
from drop_source import drops_may_be_seen
from throwaway import NETINSPECT

from netinspect.testing import AssertingLab

INSIDE, OUTSIDE, GATEWAY = "10.0.0.2", "203.0.113.100", "203.0.113.1"
RULES = (
    "add table ip nat; add chain ip nat post { type nat hook postrouting priority srcnat; };"
    'add rule ip nat post oifname "g1" masquerade;'
    "add table ip fw; add chain ip fw through { type filter hook forward priority filter; };"
    "add rule ip fw through ct state established,related accept;"
    "add rule ip fw through tcp dport 81 drop; add rule ip fw through iifname g0 accept; add rule ip fw through drop"
)


class Gateway:
    """A gateway between a host inside and one outside which listens on port 80."""

    def __init__(self, lab: AssertingLab, stack: ExitStack) -> None:
        self.inside, self.gateway, self.outside = lab.host("in"), lab.host("gw", forwarding=True), lab.host("out")
        lab.link(self.inside, self.gateway, (f"{INSIDE}/24",), ("10.0.0.1/24",), names=("i0", "g0"))
        lab.link(self.outside, self.gateway, (f"{OUTSIDE}/24",), (f"{GATEWAY}/24",), names=("o0", "g1"))
        self.inside.run("ip", "route", "add", "default", "via", "10.0.0.1")
        self.gateway.run("nft", RULES)
        stack.enter_context(self.outside.call(lambda: socket.create_server((OUTSIDE, 80))))

    def path(self, *words: str, status: int = 0) -> list[dict[str, Any]]:
        answer = self.run(*words, "--json")
        assert answer.returncode == status, answer.stderr + answer.stdout
        rows: list[dict[str, Any]] = json.loads(answer.stdout)
        return rows

    def run(self, *words: str) -> Any:
        return self.gateway.run(*NETINSPECT, "path", *words, check=False, stdin=subprocess.DEVNULL)

    def traces(self) -> None:
        """Waits until the command traces here."""
        deadline = monotonic() + 60
        while "netinspect" not in self.gateway.run("nft", "list", "ruleset").stdout:
            assert monotonic() < deadline
            sleep(0.05)

    def leaves_nothing(self) -> None:
        """Nothing traces here any more."""
        assert "netinspect" not in self.gateway.run("nft", "list", "ruleset").stdout


@pytest.fixture(scope="module")
def world() -> Iterator[Gateway]:
    drops_may_be_seen()
    with AssertingLab() as lab, ExitStack() as stack:
        yield Gateway(lab, stack)


@pytest.fixture
def gateway(need: Callable[[str], None], request: pytest.FixtureRequest) -> Gateway:
    for what in ("nft", "ip"):
        need(what)
    found: Gateway = request.getfixturevalue("world")
    return found


def told(rows: list[dict[str, Any]], source: str, direction: str = "there") -> list[tuple[str, Any]]:
    return [
        (row["subject"], row["predicted"]) for row in rows if row["source"] == source and row["direction"] == direction
    ]


@pytest.mark.parametrize("protocol", ["tcp", "icmp"])
def test_a_packet_is_sent_and_answered_as_predicted(gateway: Gateway, protocol: str) -> None:
    to = f"{OUTSIDE}:80" if protocol == "tcp" else OUTSIDE
    rows = gateway.path(INSIDE, to, "--probe", "--yes", "-p", protocol)
    rules = [subject for subject, predicted in told(rows, "nftrace") if predicted]
    assert [any(word in rule for rule in rules) for word in ("iifname", "masquerade")] == [True, True]
    assert [predicted for subject, predicted in told(rows, "conntrack") if subject == "new"] == [True]
    assert any("established" in subject and predicted for subject, predicted in told(rows, "nftrace", "back"))
    assert rows[-1]["subject"] == "it was answered"
    assert rows[-1]["predicted"] is True
    assert not [row for row in rows if row["predicted"] is False]
    gateway.leaves_nothing()


def test_a_packet_of_this_machine_itself_is_sent_by_it(gateway: Gateway) -> None:
    rows = gateway.path(GATEWAY, f"{OUTSIDE}:80", "--probe", "--yes")
    assert rows[0]["evidence"] == ["sent here"]
    assert rows[-1]["subject"] == "it was answered"


def test_a_rule_that_drops_it_is_named_with_the_reason(gateway: Gateway) -> None:
    rows = gateway.path(INSIDE, f"{OUTSIDE}:81", "--probe", "--yes", status=4)
    assert any("tcp dport 81 drop" in subject and predicted for subject, predicted in told(rows, "nftrace"))
    assert set(told(rows, "drop")) <= {("NETFILTER_DROP", True)}
    assert "tcp dport 81 drop" in rows[-1]["subject"]


def test_what_was_not_predicted_is_shown_as_such(gateway: Gateway) -> None:
    # The listener's queue is full: it is there, and answers nobody.
    server = gateway.gateway.call(lambda: socket.create_server((GATEWAY, 82), backlog=0))
    held = []
    try:
        for _ in range(3):
            client = gateway.gateway.call(socket.socket)
            client.setblocking(False)
            client.connect_ex((GATEWAY, 82))
            held.append(client)
        answer = gateway.run(INSIDE, f"{GATEWAY}:82", "--probe", "--yes")
    finally:
        for each in (server, *held):
            each.close()
    assert "it got through, and no answer was seen   [NOT AS PREDICTED]" in answer.stdout
    assert "differ from what was predicted" in answer.stdout
    assert answer.returncode == 4


def test_without_yes_nothing_is_sent_where_nobody_can_be_asked(gateway: Gateway) -> None:
    answer = gateway.run(INSIDE, f"{OUTSIDE}:80", "--probe")
    assert answer.returncode == 2
    assert "--yes" in answer.stderr
    assert gateway.run(INSIDE, OUTSIDE, "--yes").returncode == 2


def test_real_packets_of_a_flow_are_watched_and_nothing_is_sent(gateway: Gateway) -> None:
    watching = gateway.gateway.popen(
        [*NETINSPECT, "path", INSIDE, f"{OUTSIDE}:80", "--watch", "--for", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert watching.stdout is not None
    gateway.traces()
    with gateway.inside.call(lambda: socket.create_connection((OUTSIDE, 80), 20)):
        output = ""
        for wanted in ("masquerade", "established"):  # a rule on the way there, and one on the way back
            while wanted not in output:
                line = watching.stdout.readline()
                assert line, output
                output += line
    watching.send_signal(signal.SIGINT)
    output += watching.stdout.read()
    watching.wait(timeout=60)
    assert "it was answered" in output
    gateway.leaves_nothing()


def test_killed_at_any_moment_it_leaves_nothing_behind(gateway: Gateway) -> None:
    random = Random(7)
    for number in range(12):
        command = [*NETINSPECT, "path", INSIDE, f"{OUTSIDE}:80", "--probe", "--yes", "--for", "0.4"]
        process = gateway.gateway.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sleep(random.uniform(0.05, 1))
        process.send_signal(signal.SIGKILL if number % 3 else signal.SIGTERM)
        process.wait(timeout=30)
        gateway.leaves_nothing()
