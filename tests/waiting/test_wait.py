"""``netinspect wait`` and ``netinspect assert``: what wakes a wait, how it ends, and what it says instead."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from throwaway import NETINSPECT, Namespace

from netinspect.engine.json_schema import array_schema
from netinspect.engine.netlink.subscription import Subscription
from netinspect.engine.places import Place
from netinspect.environment import Environment
from netinspect.errors import UsageError
from netinspect.records import ConditionResult
from netinspect.testing import AssertingLab, LabFactory
from netinspect.waiting import until as until_module
from netinspect.waiting import wait as wait_module
from netinspect.waiting.command import Wait
from netinspect.waiting.conditions import Condition, Observation
from netinspect.waiting.endpoint import Endpoint, reached
from netinspect.waiting.until import until
from netinspect.waiting.wait import Outcome, Where, wait

LONG = "20"
"""Seconds that no wait here needs."""

Make = Callable[..., AssertingLab]


@pytest.fixture(params=["here", "user namespace"])
def make(request: pytest.FixtureRequest, lab: LabFactory) -> Make:
    """Makes labs in this process's user namespace, and in one of their own."""
    return lambda *arguments, **options: lab(*arguments, user_namespace=request.param == "user namespace", **options)


def condition(*words: str, **options: str) -> tuple[Condition, bool]:
    """A condition, and whether its opposite is meant, as the command line has them."""
    values = [f"--{name.replace('_', '-')}" + (f"={value}" if value else "") for name, value in options.items()]
    found = command(*values, "--", *words)
    return found.condition(), found.negated


def command(*arguments: str) -> Wait:
    """A command line of `netinspect wait`."""
    found = Wait.read(arguments, Environment(len, len, False, 80))
    assert found is not None
    return found


class Then:
    """A condition that, after its first look, does what makes it come true: so nothing is there too early."""

    def __init__(self, inner: Condition, action: Callable[[], object]) -> None:
        self.inner = inner
        self.looks = 0
        self._action = action

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        return self.inner.events

    @property
    def pause(self) -> float:
        return self.inner.pause

    def look(self, places: Sequence[Place]) -> Observation:
        seen = self.inner.look(places)
        self.looks += 1
        if self.looks == 1:
            self._action()
        return seen

    def nearest(self, places: Sequence[Place]) -> list[str]:
        return self.inner.nearest(places)


def waited(
    namespace: Namespace, words: Sequence[str], action: Callable[[], object], process: int | None = None, **options: str
) -> tuple[Outcome, int]:
    """How a wait ended in which ``action`` happened after the first look, and how often it looked."""
    inner, negated = condition(*words, **options)
    provoked = Then(inner, action)
    where = Where([namespace.path])
    try:
        return wait(provoked, where, float(LONG), negated=negated, process=process), provoked.looks
    finally:
        where.close()


@pytest.fixture
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word from the kernel no wait looks again before its time is up."""
    monkeypatch.setattr(until_module, "FIRST_PAUSE", 60.0)


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """Sockets that are closed behind the test."""
    kept: list[socket.socket] = []
    yield kept
    for one in kept:
        one.close()


def server(namespace: Namespace, address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    six = ":" in address
    family = socket.AF_INET6 if six else socket.AF_INET
    return namespace.call(lambda: socket.create_server((address, port), family=family, dualstack_ipv6=six))


def free_port(namespace: Namespace) -> int:
    """A port that nobody else takes in a namespace of this test's own."""
    with server(namespace) as probe:
        return int(probe.getsockname()[1])


# What wakes a wait


def test_a_listener_that_comes_later_is_found(namespace: Namespace, opened: list[socket.socket]) -> None:
    port = free_port(namespace)
    outcome, looks = waited(
        namespace, ("listening", f":{port}"), lambda: opened.append(server(namespace, "0.0.0.0", port))
    )
    assert outcome.holds
    assert looks >= 2
    assert [(row.state, row.local_port) for row in outcome.found] == [("LISTEN", port)]


def test_a_connection_that_comes_later_is_found(namespace: Namespace, opened: list[socket.socket]) -> None:
    listener = server(namespace)
    opened.append(listener)

    def connect() -> None:
        opened.append(namespace.call(lambda: socket.create_connection(listener.getsockname())))

    outcome, _ = waited(namespace, ("established", f"dport = :{listener.getsockname()[1]}"), connect)
    assert outcome.holds


@pytest.mark.usefixtures("only_events")
@pytest.mark.parametrize("words", [("closed",), ("not", "listening")], ids=" ".join)
def test_the_kernel_reports_the_end_of_a_socket(namespace: Namespace, words: tuple[str, ...]) -> None:
    listener = server(namespace)
    outcome, looks = waited(namespace, (*words, f":{listener.getsockname()[1]}"), listener.close)
    assert outcome.holds
    assert looks >= 2


@pytest.mark.usefixtures("only_events")
@pytest.mark.parametrize(
    ("before", "change", "words"),
    [
        ("", "ip route add 10.9.0.0/16 dev lo", "route 10.9.0.0/16 dev lo"),
        ("ip route add 10.9.0.0/16 dev lo", "ip route del 10.9.0.0/16", "not route 10.9.0.0/16"),
        ("", "ip -6 route add fd09::/16 dev lo metric 7", "route fd09::/16 metric 7"),
        ("", "ip route add blackhole 10.9.0.0/16 table 77", "route blackhole 10.9.0.0/16 table 77"),
        ("", "ip route add unreachable 10.9.0.0/16 table 77", "route 10.9.0.0/16 type unreachable table all"),
        ("ip route add 10.9.0.0/16 dev lo", "ip link set lo down", "not route 10.9.0.0/16"),
        ("ip route add 10.9.0.0/16 dev lo", "ip addr add 10.1.0.1/32 dev lo", "route 10.1.0.1 dev lo"),
        ("ip link add v0 type veth peer name v1", "ip link set v0 mtu 1400", "link v0 down mtu 1400"),
        ("ip link add v0 type veth peer name v1", "ip link del v0", "not link v0"),
        ("", "ip link add v0 type veth peer name v1", "link v0"),
        ("ip link set lo down", "ip link set lo up", "link lo up"),
        ("ip link add b0 type bridge", "ip link add v0 master b0 type veth peer name v1", "link v0 master b0"),
        ("", "ip addr add 10.1.0.1/24 dev lo", "address 10.1.0.1/24 dev lo"),
        ("ip addr add fd01::1/64 dev lo", "ip addr del fd01::1/64 dev lo", "not address fd01::1"),
        ("ip route add 10.9.0.0/16 dev lo table 9", "ip rule add to 10.9.0.1 lookup 9", "route 10.9.0.1 dev lo"),
    ],
)
def test_the_kernel_reports_changes_of_routes_links_and_addresses(
    namespace: Namespace, need: Callable[[str], None], before: str, change: str, words: str
) -> None:
    need("ip")
    if before:
        namespace.run(*before.split())
    outcome, _ = waited(namespace, words.split(), lambda: namespace.run(*change.split()))
    assert outcome.holds


@pytest.mark.usefixtures("only_events")
def test_an_address_can_be_used_when_duplicate_address_detection_is_over(
    namespace: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    namespace.host.sysctl("net.ipv6.conf.default.accept_dad", 1)
    namespace.run("ip", "-batch", "-", input="link add v0 type veth peer name v1\nlink set v0 up\nlink set v1 up\n")
    namespace.run("ip", "address", "add", "fd01::1/64", "dev", "v0")
    outcome, looks = waited(namespace, ("address", "fd01::1"), lambda: None)
    assert outcome.holds
    assert looks >= 2  # it was tentative at first: detection takes a second
    assert outcome.found[0].flags == ("permanent",)


def test_links_and_addresses_that_do_not_match_are_shown(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("ip")
    namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    status, said = asserted(namespace, "link", "v0", "up")
    assert status == 1
    assert "it is:\n  v0 veth broadcast,multicast state down mtu 1500" in said
    assert "links there:\n  lo " in asserted(namespace, "link", "no-such")[1]
    status, said = asserted(namespace, "address", "127.0.0.1/24")
    assert status == 1
    assert "it is:\n  127.0.0.1/8 on lo scope host" in said
    assert "addresses there:\n  ::1/128 on lo" in asserted(namespace, "address", "fd01::1")[1]


@pytest.mark.usefixtures("only_events")
def test_the_kernel_reports_a_membership(namespace: Namespace, opened: list[socket.socket]) -> None:
    member = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    opened.append(member)
    request = socket.inet_aton("239.1.1.1") + struct.pack("@4si", bytes(4), 1)
    outcome, _ = waited(
        namespace,
        ("member", "239.1.1.1", "dev", "lo"),
        lambda: member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request),
    )
    assert outcome.holds
    assert [(row.group, row.interface) for row in outcome.found] == [("239.1.1.1", "lo")]


@pytest.mark.usefixtures("only_events")
def test_the_kernel_reports_a_flow(
    namespace: Namespace, need: Callable[[str], None], opened: list[socket.socket]
) -> None:
    need("nft")
    namespace.run(
        "nft", "add table t; add chain t o { type filter hook output priority 0; }; add rule t o ct state new"
    )
    listener = server(namespace)
    opened.append(listener)
    port = listener.getsockname()[1]

    def connect() -> None:
        opened.append(namespace.call(lambda: socket.create_connection(listener.getsockname())))

    outcome, _ = waited(namespace, ("flow", f"proto tcp dst 127.0.0.1 dport {port} state established"), connect)
    assert outcome.holds
    assert outcome.found[0].destination_port == port


@pytest.mark.usefixtures("only_events")
def test_lost_events_count_as_a_change(
    namespace: Namespace, need: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("ip")
    monkeypatch.setattr(wait_module, "_BUFFER", 1)  # the kernel makes it as small as it may be
    lost = []

    class Counting(Subscription):
        def close(self) -> None:
            lost.append(self.lost)
            super().close()

    monkeypatch.setattr(wait_module, "Subscription", Counting)
    commands = "".join(f"route add 10.{number}.0.0/16 dev lo\n" for number in range(1, 100))
    outcome, _ = waited(
        namespace, ("route", "10.99.0.0/16"), lambda: namespace.run("ip", "-batch", "-", input=commands)
    )
    assert outcome.holds
    assert lost[0] > 0


@pytest.mark.usefixtures("only_events")
def test_a_wait_gives_up_when_the_process_has_ended(namespace: Namespace) -> None:
    process = subprocess.Popen(["sleep", LONG])

    def end() -> None:
        process.kill()
        process.wait()

    words = ("listening", ":1")
    outcome, _ = waited(namespace, words, end, process=process.pid, pid=str(process.pid))
    assert (outcome.holds, outcome.ended) == (False, process.pid)
    # One that had ended before is distinguished from nobody, too.
    outcome, looks = waited(namespace, words, lambda: None, process=process.pid, pid=str(process.pid))
    assert (outcome.holds, outcome.ended, looks) == (False, process.pid, 1)


# The loop


class Clock:
    """A clock that only sleeping and looking move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: float) -> None:
        self.now = 0.0
        self.cost = cost
        self.looks: list[float] = []
        self.wanted = 0
        monkeypatch.setattr(until_module, "monotonic", lambda: self.now)
        monkeypatch.setattr(until_module, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    def look(self) -> int:
        self.looks.append(self.now)
        self.now += self.cost
        return len(self.looks)


@given(
    timeout=st.floats(0, 10),
    cost=st.floats(1e-5, 0.5),
    wakes=st.lists(st.booleans(), max_size=20),
)
def test_it_looks_first_and_last_and_never_spends_most_of_its_time_looking(
    timeout: float, cost: float, wakes: list[bool]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch, cost)
        woken = iter(wakes)

        def pause(seconds: float) -> bool:
            if next(woken, False):
                return True
            clock.sleep(seconds)
            return False

        _, took = until(clock.look, lambda seen: False, timeout, pause)
        assert clock.looks[0] == 0
        assert clock.looks[-1] >= timeout
        assert len(clock.looks) == 1 or clock.looks[-2] < timeout
        assert took == pytest.approx(clock.now)
        gaps = [later - earlier for earlier, later in zip(clock.looks, clock.looks[1:-1], strict=False)]
        assert all(gap >= 1.99 * cost for gap in gaps)


def test_it_ends_with_the_look_that_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.0001)
    seen, _ = until(clock.look, lambda seen: seen == 5, 100)
    assert seen == len(clock.looks) == 5


# Endpoints


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        (":80", None, 80),
        ("80", None, 80),
        ("*:http", None, 80),
        ("10.0.0.1", "10.0.0.1", None),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("FD00::0:1", "fd00::1", None),
        ("[fd00::1]:80", "fd00::1", 80),
        ("[::]", "::", None),
    ],
)
def test_endpoints_are_read(text: str, address: str | None, port: int | None) -> None:
    assert Endpoint.parse(text) == (address, port)


@given(st.text())
def test_what_is_no_endpoint_is_refused_in_one_way(text: str) -> None:
    try:
        address, port = Endpoint.parse(text)
    except ValueError:
        return
    assert port is None or 0 < port < 65536
    assert address is None or socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


@pytest.mark.parametrize(
    ("bound", "asked", "expected"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("127.0.0.1", "10.0.0.1", False),
        ("::", "127.0.0.1", True),
        ("::", "::1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
    ],
)
def test_a_wildcard_is_reached_at_every_address_of_its_family(
    namespace: Namespace, bound: str, asked: str, expected: bool
) -> None:
    from netinspect import sockets

    with server(namespace, bound):
        (record,) = sockets(["tcp"], netns=namespace.path)
    assert reached(record, asked) is expected


def test_an_ipv6_only_wildcard_is_not_reached_over_ipv4(namespace: Namespace) -> None:
    from netinspect import sockets

    with namespace.call(lambda: socket.socket(socket.AF_INET6)) as only:
        only.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        only.bind(("::", 0))
        only.listen()
        (record,) = sockets(["tcp"], netns=namespace.path)
    assert not reached(record, "127.0.0.1")


# The commands


@pytest.mark.parametrize("family", [("-4", "10.9.0.0/16", "10.9.0.5"), ("-6", "fd09::/48", "fd09::5")], ids=("4", "6"))
def test_an_address_is_refused_by_the_type_of_its_route(
    namespace: Namespace, need: Callable[[str], None], family: tuple[str, str, str]
) -> None:
    """The kernel answers with an error there, which is no route of any other type."""
    need("ip")
    version, prefix, address = family
    refusing = ("blackhole", "unreachable", "prohibit")
    for kind in refusing:
        namespace.run("ip", version, "route", "replace", kind, prefix)
        for asked in (*refusing, "unicast"):
            sought, _ = condition("route", address, "type", asked)
            found = sought.look([Place(namespace.path)]).found
            assert [route.type for route in found] == [kind] * (asked == kind), (kind, asked)


def asserted(namespace: Namespace, *arguments: str) -> tuple[int, str]:
    """Exit status and standard error of an assertion."""
    result = namespace.netinspect("assert", *arguments, check=False)
    assert result.stdout == ""
    return result.returncode, result.stderr


def test_exit_statuses_of_true_false_usage_and_unknown(namespace: Namespace) -> None:
    with server(namespace) as listener:
        port = listener.getsockname()[1]
        assert asserted(namespace, "listening", f":{port}") == (0, "")
        assert asserted(namespace, "not", "listening", f":{port}")[0] == 1
        assert asserted(namespace, "closed", f":{port}")[0] == 1
        assert asserted(namespace, "not", "closed", f":{port}")[0] == 0
    assert asserted(namespace, "listening", f":{port}")[0] == 1
    assert asserted(namespace, "listening")[0] == 2
    assert asserted(namespace, "listening", f":{port}", "--netns", "no-such-namespace")[0] == 3


def test_a_wait_ends_with_1_when_time_is_up(namespace: Namespace) -> None:
    result = namespace.netinspect("wait", "listening", ":1", "--timeout", "0.05", check=False)
    assert result.returncode == 1
    assert "listens on tcp port 1 (waited 0.0" in result.stderr


def test_a_wait_in_another_process_is_woken(namespace: Namespace) -> None:
    port = free_port(namespace)
    command = [*NETINSPECT, "wait", "-v", "listening", f":{port}", "--timeout", LONG]
    with namespace.popen(command, stdout=-1) as process, server(namespace, port=port):
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output == f"tcp LISTEN 127.0.0.1:{port}\n"


def test_near_misses_are_shown(namespace: Namespace) -> None:
    other = Namespace()
    with server(namespace) as listener, server(other, "0.0.0.0") as elsewhere:
        port = listener.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        held = f"tcp LISTEN 127.0.0.1:{port} ({name} {os.getpid()}"
        status, said = asserted(namespace, "listening", f"10.0.0.1:{port}")
        assert status == 1
        assert f"not reachable at 10.0.0.1:{port}:\n  {held}" in said
        status, said = asserted(namespace, "listening", f":{port}", "--udp")
        assert f"on that port, but tcp:\n  {held}" in said
        status, said = asserted(namespace, "listening", f":{port}", "--process", "no-such-*")
        assert f"held by other processes:\n  {held}" in said
        assert status == 1
        status, said = asserted(namespace, "listening", f":{port}", "-6")
        assert f"not reachable over inet6:\n  {held}" in said
        status, said = asserted(namespace, "established", f"sport = :{port}")
        assert f"in any state:\n  {held}" in said
        # The other namespace is one of this process, which is in a third.
        port = elsewhere.getsockname()[1]
        holder = other.popen(["sleep", LONG])
        status, said = asserted(namespace, "listening", f":{port}")
        assert f"in other network namespaces:\n  tcp LISTEN 0.0.0.0:{port} (netns {holder.pid})" in said
        holder.kill()
        holder.wait()
    other.close()


def test_holders_are_found_by_name_and_by_process_id(namespace: Namespace) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    with server(namespace) as listener:
        where = f":{listener.getsockname()[1]}"
        assert asserted(namespace, "listening", where, "--process", f"{name[:3]}*")[0] == 0
        assert asserted(namespace, "listening", where, "--pid", str(os.getpid()))[0] == 0
        assert asserted(namespace, "listening", where, "--pid", "1")[0] == 1


def test_udp_and_unix_sockets_listen_too(namespace: Namespace, tmp_path: Path) -> None:
    with (
        namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as datagrams,
        namespace.call(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as stream,
        namespace.call(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as abstract,
    ):
        datagrams.bind(("127.0.0.1", 0))
        stream.bind(str(tmp_path / "s"))
        abstract.bind("\0name\x1b[31m")
        port = datagrams.getsockname()[1]
        assert asserted(namespace, "listening", f":{port}", "-u")[0] == 0
        assert asserted(namespace, "listening", f":{port}")[0] == 1
        status, said = asserted(namespace, "listening", "--unix", str(tmp_path / "s"))
        assert status == 1  # bound is not yet listening
        assert "\x1b" not in said
        stream.listen()
        assert asserted(namespace, "listening", "--unix", str(tmp_path / "s"))[0] == 0
        assert asserted(namespace, "closed", "--unix", str(tmp_path / "s"))[0] == 1
        assert asserted(namespace, "listening", "--unix", "@name\x1b[31m")[0] == 0
        result = namespace.netinspect("assert", "-v", "listening", "-x", "@name\x1b[31m")
        assert result.stdout == "unix UNCONNECTED @name\\x1b[31m\n"
    assert asserted(namespace, "closed", "--unix", str(tmp_path / "s"))[0] == 0


def test_time_wait_is_closed(namespace: Namespace) -> None:
    with server(namespace) as listener:
        port = listener.getsockname()[1]
        client = namespace.call(lambda: socket.create_connection(("127.0.0.1", port)))
        accepted = listener.accept()[0]
        assert asserted(namespace, "closed", f"dport = :{port}")[0] == 1
        # The server's end closes first: TIME_WAIT stays on its port.
        accepted.close()
        client.close()
    namespace.netinspect("wait", "closed", f":{port}")
    states = json.loads(namespace.netinspect("sockets", "-taj").stdout)
    assert [(row["state"], row["local_port"]) for row in states] == [("TIME_WAIT", port)]


def test_the_number_of_connections(namespace: Namespace, opened: list[socket.socket]) -> None:
    listener = server(namespace)
    opened.append(listener)
    for _ in range(2):
        opened.append(namespace.call(lambda: socket.create_connection(listener.getsockname())))
    where = f"dport = :{listener.getsockname()[1]}"
    assert asserted(namespace, "established", where, "--count", "2")[0] == 0
    assert asserted(namespace, "established", where, "--count", "3")[0] == 1


def test_several_namespaces_are_one_place_to_look_in(namespace: Namespace) -> None:
    other = Namespace()
    with server(other) as listener:
        where = f":{listener.getsockname()[1]}"
        both = ("--netns", namespace.path, "--netns", other.path)
        result = namespace.netinspect("assert", "-v", "listening", where, *both)
        assert result.stdout == f"tcp LISTEN 127.0.0.1{where} (netns {other.path})\n"
        assert asserted(namespace, "not", "listening", where, *both)[0] == 1
        missing = ("--netns", namespace.path, "--netns", "no-such-namespace")
        assert asserted(namespace, "not", "listening", where, *missing)[0] == 3
    other.close()


def test_everywhere_is_looked_into(namespace: Namespace) -> None:
    with server(namespace) as listener:
        # The command itself is a process in there.
        result = namespace.netinspect("assert", "-j", "listening", f":{listener.getsockname()[1]}", "--all-netns")
    assert [row["local_address"] for row in json.loads(result.stdout)[0]["found"]] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "words",
    [
        ("listening", "LISTENER"),
        ("listening", ":1"),
        ("route", "127.0.0.1"),
        ("route", "10.9.0.0/16"),
        ("member", "224.0.0.1"),
        ("link", "lo"),
        ("address", "127.0.0.1"),
        ("established",),
    ],
    ids=" ".join,
)
def test_json_follows_the_schema(namespace: Namespace, words: tuple[str, ...]) -> None:
    with server(namespace) as listener:
        words = tuple(f":{listener.getsockname()[1]}" if word == "LISTENER" else word for word in words)
        result = namespace.netinspect("assert", "--json", *words, check=False)
    (found,) = document = json.loads(result.stdout)
    Draft202012Validator(array_schema(ConditionResult)).validate(document)
    assert found["holds"] is (result.returncode == 0)
    assert bool(found["found"]) is found["holds"]
    assert bool(found["nearest"]) is not found["holds"]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "not",
        "lisening :80",
        "listening",
        "listening :0",
        "listening :65536",
        "listening 10.0.0.1",
        "listening 10.0.0:80",
        "listening [fd00::1:80",
        "listening :80 :81",
        "listening :80 --count 2",
        "listening :80 --natted-to 10.0.0.1",
        "listening :80 --pid x",
        "established dport",
        "established state listening",
        "established --unix",
        "closed",
        "closed no-such-thing",
        "route",
        "route 10.0.0.0/33",
        "route 10.0.0.0/8 via",
        "route 10.0.0.0/8 by 10.0.0.1",
        "route 10.0.0.0/8 via nowhere",
        "route 10.0.0.0/8 table no-such-table",
        "route 10.0.0.0/8 type broken",
        "route 10.0.0.0/8 metric -1",
        "link",
        "link lo sideways",
        "link lo mtu large",
        "address",
        "address lo",
        "address 10.0.0.1/33",
        "address 10.0.0.1/",
        "flow dport",
        "flow dport 70000",
        "flow colour red",
        "flow --natted-to :80",
        "member",
        "member 239.1.1",
        "member 239.1.1.1 from here",
        "member 239.1.1.1 from fd00::1",
        "member ff05::1 from 10.0.0.1",
        "member 10.0.0.1",
        "member fd00::ff",
        "route ::/0 via 10.0.0.1",
        "route fd00::1 via 10.0.0.1",
        "route 10.0.0.0/8 src fd00::1",
        "listening :80 --timeout -1",
        "listening :80 --timeout soon",
        "listening :80 --timeout nan",
        "listening :80 --netns a --all-netns",
    ],
)
def test_what_makes_no_sense_is_one_line_and_status_2(namespace: Namespace, arguments: str) -> None:
    with pytest.raises(UsageError):
        command(*arguments.split()).condition()


def test_usage_errors_leave_the_command_with_status_2(namespace: Namespace) -> None:
    result = namespace.netinspect("wait", "lisening", ":80", check=False)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


# In labs


def test_a_translated_flow_is_waited_for(make: Make) -> None:
    net = make("gateway")
    netinspect = (sys.executable, "-m", "netinspect")
    with net.wan.call(lambda: socket.create_server((net.wan.ipv4, 80))):
        filter = f"proto tcp src {net.lan1.ipv4} dport 80"
        waiting = net.gateway.popen(
            [*netinspect, "wait", "-v", "flow", filter, "--natted-to", "203.0.113.1", "--timeout", LONG], stdout=-1
        )
        with net.lan1.call(lambda: socket.create_connection((net.wan.ipv4, 80), timeout=5)):
            output = waiting.communicate(timeout=20)[0]
            said = net.gateway.run(*netinspect, "assert", "flow", filter, "--natted-to", "192.0.2.77", check=False)
    assert waiting.returncode == 0
    assert f"{net.lan1.ipv4}:" in str(output)
    assert "(source becomes 203.0.113.1:" in str(output)
    assert said.returncode == 1
    assert "(source becomes 203.0.113.1:" in said.stderr


def test_a_membership_with_its_source_is_asserted(make: Make) -> None:
    net = make("multicast")
    command = (sys.executable, "-m", "netinspect", "assert", "member")
    net.m2.run(*command, "239.1.1.1", "dev", "eth0", "from", net.sender.ipv4)
    refused = net.m2.run(*command, "239.1.1.1", "from", "192.0.2.99", check=False)
    assert refused.returncode == 1
    assert f"239.1.1.1 on eth0 only from {net.sender.ipv4}" in refused.stderr
