"""Labs that end, in order or by kill -9 at any moment, leave nothing behind."""

from __future__ import annotations

import gc
import itertools
import os
import random
import select
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_needs import topology_works

from netinspect.lab import registry, traffic
from netinspect.lab.errors import LabError
from netinspect.lab.lab import Lab
from netinspect.lab.processes import MARK, Holder, orphans
from netinspect.lab.topology_file import load, names
from netinspect.testing import LabFactory

ROUNDS = int(os.environ.get("NETINSPECT_LAB_ROUNDS", "20"))
EVERY = bool(os.environ.get("NETINSPECT_LAB_ALL_ROUNDS"))
"""Every scenario twenty times in every topology takes minutes; otherwise twenty rounds are shared among them.

Guests of other kernels, where a lab takes long, have fewer.
"""
WITNESS = "NETINSPECT_TEST_WITNESS"
DETACHED = "setsid sleep 300 & sleep 300"
"""A command whose child outlives it."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of this test's own for the files of labs that stay up."""
    chosen = tmp_path / "labs"
    monkeypatch.setenv(registry.DIRECTORY, str(chosen))
    return chosen


def files(place: Path) -> list[str]:
    """What the registry there has besides its mark; nothing where it is gone, since no lab came of it."""
    own = place / registry.OWN
    return sorted(set(os.listdir(own)) - {registry.MARKER}) if own.exists() else []


class Witness:
    """Sees what is left of labs made by a child: a pipe that all its forked processes hold, a variable for the others.

    Namespaces here have no names: without a process that is inside or holds a descriptor there is none.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.value = uuid.uuid4().hex
        monkeypatch.setenv(WITNESS, self.value)

    def start(self, life: Callable[[], object]) -> int:
        """Forks a child that lives like that until it is killed."""
        self.reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                while True:
                    life()
            finally:
                os._exit(0)
        os.close(writing)
        return child

    def forked_are_gone(self) -> bool:
        """Whether every process that was forked without an exec has ended, within some seconds."""
        gone = bool(select.select([self.reading], [], [], 30)[0])
        os.close(self.reading)
        return gone

    def others(self) -> list[int]:
        """Processes that were started in the labs and are still there."""
        wanted = f"{WITNESS}={self.value}".encode()
        found = []
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            try:
                if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(int(pid))
            except OSError:
                continue
        return found


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    return Witness(monkeypatch)


def until(condition: Callable[[], bool], patience: float = 30) -> bool:
    """Whether that comes true."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def duration(life: Callable[[], object]) -> float:
    """Seconds that a life takes once everything is imported: a child that imports first would be killed doing so."""
    life()
    started = time.monotonic()
    life()
    return time.monotonic() - started


def busy_life(user_namespace: bool) -> Callable[[], None]:
    """A lab with all that may be left behind: links, commands, a daemon, processes that hold sockets, traffic."""
    pair, scale = load("pair"), load("scale", {"sockets": 20, "routes": 5, "flows": 5})

    def live() -> None:
        with Lab(pair, user_namespace=user_namespace) as lab:
            lab.client.popen(["sh", "-c", DETACHED])
            lab.traffic("idle")
            with Lab(scale, user_namespace=user_namespace) as second:
                second.big.run("true")

    return live


@pytest.mark.parametrize(("user_namespace", "tries"), [(False, 25), (True, 15)])
def test_a_lab_killed_at_a_random_moment_leaves_nothing_after_the_sweep(
    place: Path, witness: Witness, user_namespace: bool, tries: int
) -> None:
    chance = random.Random(7)
    live = busy_life(user_namespace)
    span = duration(live)
    for _ in range(tries * ROUNDS // 20):
        child = witness.start(live)
        time.sleep(chance.uniform(0, 1.2 * span))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert witness.forked_are_gone()
        registry.sweep()
        assert until(lambda: not witness.others())
        assert files(place) == []


def test_an_up_killed_at_a_random_moment_leaves_nothing_or_a_whole_lab(place: Path, witness: Witness) -> None:
    chance = random.Random(7)
    pair = load("pair")
    numbers = itertools.count()

    def live() -> None:
        state = registry.up(pair, f"life-{next(numbers)}")
        registry.down(state)

    span = duration(live)
    for _ in range(20):
        child = witness.start(live)
        time.sleep(chance.uniform(0, 1.2 * span))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

        def settled() -> bool:
            registry.sweep()
            for state in registry.labs():
                # It was complete, and its command alone was killed: a lab like any other.
                with registry.attach(state) as attached:
                    assert attached.client.ipv4 == "10.0.0.1"
                registry.down(state)
            return files(place) == []

        assert until(lambda: _no_error(settled))
        assert witness.forked_are_gone()
        assert until(lambda: not witness.others())


def _no_error(settled: Callable[[], bool]) -> bool:
    try:
        return settled()
    except LabError:
        return False  # its holder, killed along with the command, ended just now


def test_a_killed_holder_is_swept_with_its_file_and_its_orphans(place: Path, witness: Witness) -> None:
    for _ in range(5):
        state = registry.up(load("pair"))
        inside = subprocess.Popen(
            ["sh", "-c", DETACHED],
            env={**os.environ, MARK: state.holder.mark(state.name)},
            preexec_fn=lambda state=state: registry.enter(state, "client"),
        )
        os.kill(state.holder.pid, signal.SIGKILL)
        assert until(lambda state=state: not state.holder.alive)
        assert files(place) == ["pair.json"]
        assert registry.labs() == []
        assert registry.sweep() >= 2
        inside.wait(30)
        assert files(place) == []
        assert until(lambda: not witness.others())
        assert registry.sweep() == 0


def test_down_kills_what_runs_inside_and_may_be_done_twice(place: Path, witness: Witness) -> None:
    state = registry.up(load("gateway"))
    process = subprocess.Popen(["sh", "-c", DETACHED], preexec_fn=lambda: registry.enter(state, "lan1"))
    registry.down(state)
    registry.down(state)
    assert process.wait(30) == -signal.SIGKILL
    assert until(lambda: not witness.others())
    assert files(place) == []


def test_closing_a_lab_ends_all_that_was_started_in_it(lab: LabFactory, witness: Witness) -> None:
    net = lab("pair")
    process = net.client.popen(["sh", "-c", DETACHED])
    assert until(lambda: len(witness.others()) >= 2)
    net.close()
    net.close()
    assert process.returncode == -signal.SIGKILL
    assert witness.others() == []


@pytest.mark.parametrize("user_namespace", [False, True])
def test_a_closed_lab_leaves_no_namespace_and_no_veth(lab: LabFactory, user_namespace: bool) -> None:
    """A veth whose other end is here goes when the kernel ends the lab's namespace, and not before."""
    net = lab("gateway", user_namespace=user_namespace)
    net.traffic("request")
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if user_namespace:
            # Only with privileges over both ends can a veth be made, and those over this end are not the lab's.
            inodes = {host.inode for host in net.hosts.values()}
            net.close()
            assert not held(inodes)
            return
        from pyroute2.netlink.rtnl import RTM_NEWLINK
        from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

        from netinspect.lab.requests import NLM_F_NEW, Requests

        name = f"w{uuid.uuid4().hex[:8]}"
        message = ifinfmsg()
        peer = {"attrs": [["IFLA_IFNAME", name], ["IFLA_NET_NS_FD", here]]}
        data = {"attrs": [["VETH_INFO_PEER", peer]]}
        information = {"attrs": [["IFLA_INFO_KIND", "veth"], ["IFLA_INFO_DATA", data]]}
        message["attrs"] = [["IFLA_IFNAME", "witness"], ["IFLA_LINKINFO", information]]
        requests = Requests(net.gateway.namespace.route)
        requests.add(message, RTM_NEWLINK, NLM_F_NEW, "a veth")
        requests.send()
        assert name in [interface for _, interface in socket.if_nameindex()]
        net.close()
        assert until(lambda: name not in [interface for _, interface in socket.if_nameindex()], 60)
    finally:
        os.close(here)


def held(inodes: set[int]) -> list[str]:
    """Every descriptor of this process and its children that refers to one of these network namespaces.

    Nobody else was given any; and others may have namespaces that got the same numbers since.
    """
    wanted = {f"net:[{inode}]" for inode in inodes}
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    found = []
    for pid in ("self", *children):
        try:
            links = [f"/proc/{pid}/ns/net", *(f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd"))]
        except OSError:
            continue
        for link in links:
            try:
                if os.readlink(link) in wanted:
                    found.append(link)
            except OSError:
                continue
    return found


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("topology", "user_namespace"),
    [*((name, False) for name in names()), ("pair", True), ("gateway", True), ("multicast", True)],
)
def test_up_traffic_and_down_many_times_in_a_row_leave_nothing(
    witness: Witness, topology: str, user_namespace: bool
) -> None:
    topology_works(topology)
    parsed = load(topology, {"sockets": 20, "routes": 20, "flows": 20} if topology == "scale" else {})
    fitting = [name for name in traffic.scenario_names() if traffic.fits(traffic.scenario(name), parsed)]
    before = None
    # Where nft runs in each round, or a user namespace is made, which take long, they are fewer.
    slow = user_namespace or any(host.nft for host in parsed.hosts.values())
    rounds = ROUNDS // 4 if slow else ROUNDS
    for scenario in fitting * ROUNDS if EVERY else itertools.islice(itertools.cycle(fitting), rounds):
        with Lab(parsed, user_namespace=user_namespace) as lab:
            inodes = {host.inode for host in lab.hosts.values()}
            lab.traffic(scenario)
            next(iter(lab.hosts.values())).run("true")
        assert held(inodes) == []
        before = before or descriptors()
    assert descriptors() == before
    assert witness.others() == []


def test_a_lab_that_cannot_be_made_leaves_nothing(lab: LabFactory, place: Path) -> None:
    from netinspect.lab.topology import HostSpec, Interface, Route, Topology

    wrong = Topology(
        "wrong",
        hosts={
            "a": HostSpec(interfaces={"lo": Interface(("10.0.0.1/32",))}, routes=(Route("default", via="10.9.9.9"),))
        },
    )
    lab("pair")  # all modules are loaded, all caches filled
    before = descriptors()
    for user_namespace in (False, True):
        with pytest.raises(LabError, match="the route to default"):
            Lab(wrong, user_namespace=user_namespace)
    with pytest.raises(LabError, match="the route to default"):
        registry.up(wrong)
    assert descriptors() == before
    assert files(place) == []


def test_labs_that_stay_up_have_names_of_their_own(place: Path) -> None:
    first, second = registry.up(load("pair")), registry.up(load("pair"))
    try:
        assert (first.name, second.name) == ("pair", "pair-2")
        with pytest.raises(LabError, match="a lab 'pair' is already up"):
            registry.up(load("pair"), "pair")
        with registry.attach(first) as one, registry.attach(second) as other:
            assert one.client.inode != other.client.inode
            played = one.traffic("request")
            assert played.counts["connections"] == 20
    finally:
        registry.down(first)
        registry.down(second)


def test_a_holder_that_ended_is_not_mistaken_for_a_later_process_with_its_id() -> None:
    own = Holder.current()
    assert own.alive
    assert not own._replace(start=own.start - 1).alive


def test_the_mark_of_another_pid_namespace_is_nobody_s_orphan(witness: Witness) -> None:
    dead = f"lab/{os.stat('/proc/self/ns/pid').st_ino + 1}/999999/1"
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: dead}) as process:
        try:
            assert process.pid not in list(orphans())
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def nothing_left(witness: Witness) -> Iterator[None]:
    yield
    assert until(lambda: not witness.others())
