"""Names of services, users and hosts; the resolver is a fake one that is slow, fails or lies."""

import os
import pwd
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from throwaway import Namespace

from netinspect.engine import answering, names
from netinspect.engine import in_time as bound
from netinspect.engine.columns import Batch
from netinspect.engine.names import HostNames, HostsFile, ServiceNames, UserNames, as_named, as_named_in_order
from netinspect.engine.schema import rows_of
from netinspect.records import Socket

SERVICES = """\
# a comment
first   7001/tcp    alias   # the first of two
second  7001/tcp
datagrams 7002/udp
  indented 7003/tcp
wrapped 72540/tcp
hex 0x1b5d/tcp
upper 7006/TCP
closing 7007/tcp#comment
lonely
broken x7/tcp
"""


@pytest.fixture
def services(tmp_path: Path) -> Path:
    path = tmp_path / "services"
    path.write_text(SERVICES)
    return path


def shown(services: Path, protocol: str, *, last: bool = False) -> list[str]:
    found = ServiceNames(protocol, last=last, path=str(services))
    return [found[port] for port in range(7001, 7009)]


def test_ports_have_the_names_of_the_services_file(services: Path) -> None:
    assert shown(services, "tcp") == ["first", "7002", "indented", "wrapped", "hex", "7006", "closing", "7008"]
    assert shown(services, "udp")[:2] == ["7001", "datagrams"]


def test_udplite_and_mptcp_have_the_names_of_udp_and_tcp(services: Path) -> None:
    assert shown(services, "udplite") == shown(services, "udp")
    assert shown(services, "mptcp") == shown(services, "tcp")


def test_without_a_services_file_ports_are_numbers(tmp_path: Path) -> None:
    assert ServiceNames("tcp", path=str(tmp_path / "none"))[22] == "22"


def test_names_of_users_and_services_that_are_not_utf_8_cost_no_more_than_themselves(
    monkeypatch: pytest.MonkeyPatch, services: Path
) -> None:
    entry = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda _: type(entry)(("b\udce9a", *entry[1:])))
    assert UserNames()[7001] == "b\\xe9a"

    def fail(*_: object) -> str:
        return b"\xff".decode()

    monkeypatch.setattr("_socket.getservbyport", fail)
    found = ServiceNames("tcp", path=str(services))
    found._ask = True
    assert (found[7001], found[7099]) == ("first", "7099")


def test_port_zero_is_any_port() -> None:
    assert ServiceNames("tcp")[0] == "*"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_first_name_of_a_port_is_the_one_of_getservbyport(protocol: str) -> None:
    def real(port: int) -> str:
        try:
            return socket.getservbyport(port, protocol)
        except OSError:
            return str(port)

    found = ServiceNames(protocol)
    ports = range(1, 10_000)
    assert [found[port] for port in ports] == [real(port) for port in ports]


def test_raw_sockets_have_the_names_of_ip_protocols() -> None:
    found = ServiceNames("raw")
    assert (found[socket.getprotobyname("icmp")], found[socket.getprotobyname("udp")], found[254]) == (
        "icmp",
        "udp",
        "254",
    )


def test_the_last_name_of_a_port_is_the_one_that_netstat_shows(
    namespace: Namespace, need: Callable[[str], None], services: Path
) -> None:
    need("netstat")

    def listeners() -> list[socket.socket]:
        return [socket.create_server(("127.0.0.1", port)) for port in range(7001, 7009)]

    opened = namespace.call(listeners)
    command = f"mount --bind {services} /etc/services && exec netstat -tl --numeric-hosts"
    listing = namespace.run("unshare", "--mount", "sh", "-c", command).stdout
    for listener in opened:
        listener.close()
    theirs = {line.split()[3].removeprefix("127.0.0.1:") for line in listing.splitlines()[2:]}
    assert theirs == set(shown(services, "tcp", last=True))
    assert "second" in theirs


def test_users_have_their_names_and_others_their_number() -> None:
    found = UserNames()
    assert found[0] == pwd.getpwuid(0).pw_name
    nobody = next(uid for uid in range(3_000_000_000, 4_000_000_000) if uid not in {u.pw_uid for u in pwd.getpwall()})
    assert found[nobody] == str(nobody)
    assert found[None] is None


class Resolver:
    """Answers when it is let to, and keeps count."""

    def __init__(self, answer: Callable[[str], str] = lambda address: f"host-{address.replace('.', '-')}") -> None:
        self.answer = answer
        self.gate = threading.Event()
        self.asked: list[str] = []
        self.active = 0
        self.most_active = 0
        self.lock = threading.Lock()

    def __call__(self, address: str) -> str:
        with self.lock:
            self.asked.append(address)
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        self.gate.wait(60)
        with self.lock:
            self.active -= 1
        return self.answer(address)


@pytest.fixture
def slow() -> Iterator[Resolver]:
    """A resolver that hangs until its gate is opened."""
    resolver = Resolver()
    yield resolver
    resolver.gate.set()


@pytest.fixture
def prompt() -> Resolver:
    resolver = Resolver()
    resolver.gate.set()
    return resolver


def test_hosts_have_names_after_settling(prompt: Resolver) -> None:
    hosts = HostNames(60, resolve=prompt)
    hosts.want(["192.0.2.1", "192.0.2.2", "192.0.2.1"])
    hosts.settle()
    assert [hosts.get(address) for address in ("192.0.2.1", "192.0.2.2")] == ["host-192-0-2-1", "host-192-0-2-2"]
    assert sorted(prompt.asked) == ["192.0.2.1", "192.0.2.2"]
    assert not hosts.incomplete
    assert not hosts.pending


def test_wildcards_are_not_looked_up(prompt: Resolver) -> None:
    hosts = HostNames(60, resolve=prompt)
    hosts.want(["0.0.0.0", "::", "*", "", None])
    hosts.settle()
    assert prompt.asked == []
    assert hosts.get("0.0.0.0") == "0.0.0.0"


def test_wanting_does_not_wait(slow: Resolver) -> None:
    hosts = HostNames(60, resolve=slow)
    hosts.want(["192.0.2.1"])
    assert hosts.pending == {"192.0.2.1"}
    assert hosts.get("192.0.2.1") == "192.0.2.1"


def test_look_ups_run_side_by_side() -> None:
    together = threading.Barrier(8)

    def answer(address: str) -> str:
        together.wait(60)  # breaks unless all eight are here at once
        return "met"

    resolver = Resolver(answer)
    resolver.gate.set()
    hosts = HostNames(60, threads=8, resolve=resolver)
    addresses = [f"192.0.2.{number}" for number in range(8)]
    hosts.want(addresses)
    hosts.settle()
    assert [hosts.get(address) for address in addresses] == ["met"] * 8


def test_the_number_of_threads_is_bounded(prompt: Resolver) -> None:
    hosts = HostNames(60, threads=3, resolve=prompt)
    for third in range(4):
        hosts.want(f"192.0.{third}.{number}" for number in range(100))
    hosts.settle()
    assert len(prompt.asked) == 400
    assert prompt.most_active <= 3


def test_at_the_deadline_addresses_stay_in_digits(slow: Resolver) -> None:
    hosts = HostNames(0.05, threads=2, resolve=slow)
    hosts.want(["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    hosts.settle()
    assert hosts.incomplete
    assert not hosts.pending
    assert hosts.get("192.0.2.1") == "192.0.2.1"


def test_there_is_one_deadline_for_all_look_ups_together(slow: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(names, "monotonic", lambda: now[0])
    hosts = HostNames(2.0, resolve=slow)
    hosts.want(["192.0.2.1"])
    now[0] += 1.9
    hosts.want(["192.0.2.2"])
    assert hosts.pending == {"192.0.2.1", "192.0.2.2"}
    now[0] += 0.2
    hosts.want(["192.0.2.3"])
    assert not hosts.pending
    assert hosts.incomplete
    hosts.settle()  # returns at once: the clock stands still, so any wait would be for ever
    assert "192.0.2.3" not in slow.asked


def test_an_answer_that_comes_late_serves_the_next_listing(slow: Resolver) -> None:
    hosts = HostNames(0.01, threads=1, resolve=slow)
    hosts.want(["192.0.2.1"])
    hosts.settle()
    assert hosts.incomplete
    hosts.restart()
    assert not hosts.incomplete
    slow.gate.set()
    hosts._deadline = 60
    hosts.want(["192.0.2.1"])
    hosts.settle()
    assert hosts.get("192.0.2.1") == "host-192-0-2-1"
    assert slow.asked == ["192.0.2.1"]


def test_what_was_given_up_before_it_was_asked_is_asked_in_the_next_listing(slow: Resolver) -> None:
    hosts = HostNames(0.01, threads=1, resolve=slow)
    hosts.want(["192.0.2.1"])
    hosts.want(["192.0.2.2"])  # no thread is left for it
    hosts.settle()
    hosts.restart()
    slow.gate.set()
    hosts._deadline = 60
    hosts.want(["192.0.2.2"])
    hosts.settle()
    assert hosts.get("192.0.2.2") == "host-192-0-2-2"


def test_known_names_are_not_asked_again(prompt: Resolver) -> None:
    hosts = HostNames(60, resolve=prompt)
    for _ in range(3):
        hosts.want(["192.0.2.1"])
        hosts.settle()
        hosts.restart()
    assert prompt.asked == ["192.0.2.1"]


def test_the_absence_of_a_name_is_remembered_too() -> None:
    asked = []

    def resolve(address: str) -> str:
        asked.append(address)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    hosts = HostNames(60, resolve=resolve)
    for _ in range(2):
        hosts.want(["192.0.2.1"])
        hosts.settle()
        hosts.restart()
    assert asked == ["192.0.2.1"]
    assert hosts.get("192.0.2.1") == "192.0.2.1"
    assert not hosts.incomplete


@pytest.mark.parametrize(
    "error",
    [OSError("refused"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), ValueError("odd"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_a_resolver_that_fails_leaves_the_address_and_the_threads_go_on(error: Exception) -> None:
    def resolve(address: str) -> str:
        if address == "192.0.2.1":
            raise error
        return "fine"

    hosts = HostNames(60, threads=1, resolve=resolve)
    hosts.want(["192.0.2.1"])
    hosts.want(["192.0.2.2"])
    hosts.settle()
    assert [hosts.get(address) for address in ("192.0.2.1", "192.0.2.2")] == ["192.0.2.1", "fine"]


@pytest.mark.parametrize(
    "name",
    ["", "\x1b[2Jgone", "evil\nrow", "a b", "8.8.8.8", "10.0.0.1.", "::1", "bücher", "right\u202eleft", "a" * 300],
)
def test_a_name_that_is_no_host_name_is_dropped(name: str) -> None:
    hosts = HostNames(60, resolve=lambda address: name)
    hosts.want(["192.0.2.1"])
    hosts.settle()
    assert hosts.get("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("name", ["localhost", "www.example.org", "xn--bcher-kva.example", "_sip.example", "1e100.net"])
def test_a_host_name_is_kept(name: str) -> None:
    hosts = HostNames(60, resolve=lambda address: name)
    hosts.want(["192.0.2.1"])
    hosts.settle()
    assert hosts.get("192.0.2.1") == name


def test_where_no_thread_can_be_started_addresses_stay_in_digits(
    prompt: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(names, "start_new_thread", refuse)
    hosts = HostNames(60, resolve=prompt)
    hosts.want(["192.0.2.1"])
    hosts.settle()  # and does not wait for the deadline
    assert hosts.incomplete
    assert hosts.get("192.0.2.1") == "192.0.2.1"


def test_look_ups_on_their_way_are_bounded(slow: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_MOST_PENDING", 10)
    hosts = HostNames(60, threads=1, resolve=slow)
    hosts.want(f"192.0.2.{number}" for number in range(100))
    assert len(hosts.pending) == 10
    assert hosts.incomplete


def test_a_hanging_resolver_does_not_keep_the_process_alive() -> None:
    program = """
import time
from netinspect.engine.names import HostNames
hosts = HostNames(0.01, threads=4, resolve=lambda address: time.sleep(600))
hosts.want(f"192.0.2.{number}" for number in range(20))
hosts.settle()
print("settled", hosts.incomplete)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("settled True\n", "", 0)


def test_all_other_look_ups_have_one_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "monotonic", lambda: clock[0])
    clock = [100.0]
    patience = bound._Patience()
    monkeypatch.setattr(patience, "_left", 0.05)
    never = threading.Event()
    assert patience.ask(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        patience.ask(int, "x")
    with pytest.raises(TimeoutError, match="timed out"):
        patience.ask(never.wait)
    asked: list[object] = []
    monkeypatch.setattr(patience, "_left", 0.0)
    with pytest.raises(TimeoutError):
        patience.ask(asked.append, 1)
    assert not asked
    clock[0] += 60  # a program that runs long may ask again
    assert patience.ask(int, "8") == 8
    monkeypatch.setattr(answering, "start_new_thread", _no_thread)
    assert patience.ask(int, "9") == 9
    never.set()


def _no_thread(*_: object) -> int:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("kind", ["passwd", "services"])
def test_users_and_services_whose_look_up_times_out_are_numbers_and_that_is_said_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def times_out(*arguments: object) -> object:
        asked.append(arguments)
        raise TimeoutError

    asked: list[object] = []
    monkeypatch.setattr(bound, "in_time", times_out)
    monkeypatch.setattr(names, "_services_elsewhere", lambda: True)
    said: dict[str, str] = {}
    monkeypatch.setattr(names, "notes", said)
    found: UserNames | ServiceNames = UserNames() if kind == "passwd" else ServiceNames("tcp")
    assert [found[64001], found[64002]] == ["64001", "64002"]
    assert len(asked) == 1
    assert list(said) == [kind]


def test_loopback_has_the_name_that_the_system_gives_it() -> None:
    try:
        name = socket.gethostbyaddr("127.0.0.1")[0]
    except OSError:
        name = "127.0.0.1"
    hosts = HostNames(60)
    hosts.want(["127.0.0.1"])
    hosts.settle()
    assert hosts.get("127.0.0.1") == name


def rows(*addresses: tuple[str, str]) -> Batch:
    blank = Socket("tcp", "inet", "stream", "ESTABLISHED", 0, 0, None, 1, None, 2, None, 0, 1, 1)
    return rows_of([blank._replace(local_address=local, remote_address=remote) for local, remote in addresses])


def remotes(batch: Batch) -> list[str]:
    return list(batch.values("remote_address"))


def test_rows_that_need_no_look_up_pass_by_those_that_wait(slow: Resolver) -> None:
    hosts = HostNames(60, resolve=slow)
    batches = [
        rows(("0.0.0.0", "192.0.2.1"), ("0.0.0.0", "0.0.0.0")),
        rows(("::", "192.0.2.2"), ("*", "*")),
        rows(("::", "::")),
    ]
    named = as_named(iter(batches), hosts)
    assert [remotes(next(named)) for _ in range(3)] == [["0.0.0.0"], ["*"], ["::"]]
    assert hosts.pending == {"192.0.2.1", "192.0.2.2"}
    slow.gate.set()
    rest = [address for batch in named for address in remotes(batch)]
    assert rest == ["192.0.2.1", "192.0.2.2"]
    assert hosts.get("192.0.2.2") == "host-192-0-2-2"


def test_the_writer_is_notified_of_waiting_rows(slow: Resolver) -> None:
    told: list[list[str]] = []

    def waiting(held: Sequence[Batch]) -> None:
        told.extend(map(remotes, held))
        slow.gate.set()

    hosts = HostNames(60, resolve=slow)
    named = as_named([rows(("0.0.0.0", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"))], hosts, on_wait=waiting)
    assert list(map(remotes, named)) == [["0.0.0.0"], ["192.0.2.1"]]
    assert told == [["192.0.2.1"]]
    assert not hosts.incomplete
    told.clear()
    assert list(map(remotes, as_named([rows(("0.0.0.0", "192.0.2.1"))], hosts, on_wait=waiting))) == [["192.0.2.1"]]
    assert not told


def test_the_resolver_of_the_system_is_asked_for_many_names_at_once(namespace: Namespace, tmp_path: Path) -> None:
    # Nobody gets an answer before half of all have asked: one after the other they would wait for ever.
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    asked: dict[bytes, list[tuple[bytes, object]]] = {}
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 53))

        def serve() -> None:
            while data := server.recvfrom(512):
                query, sender = data
                if query == b"stop":
                    return
                asked.setdefault(query[12:], []).append((query, sender))
                if len(asked) >= 16:
                    for query, sender in [one for some in asked.values() for one in some]:
                        server.sendto(query[:2] + b"\x81\x83" + query[4:], sender)  # no such name

        thread = threading.Thread(target=serve)
        thread.start()
        program = (
            "from netinspect.engine.names import HostNames\n"
            "hosts = HostNames(60)\n"
            "hosts.want(f'192.0.2.{number}' for number in range(32))\n"
            "hosts.settle()\n"
            "print(hosts.incomplete)\n"
        )
        binds = "".join(f"mount --bind {tmp_path}/{name} /etc/{name} && " for name in ("resolv.conf", "nsswitch.conf"))
        done = namespace.run("unshare", "--mount", "sh", "-c", f'{binds}exec "$@"', "sh", sys.executable, "-c", program)
        server.sendto(b"stop", server.getsockname())
        thread.join()
    assert done.stdout == "False\n"


def test_where_all_answers_are_near_the_rows_keep_their_order(
    prompt: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_GRACE", 60)
    hosts = HostNames(60, resolve=prompt)
    batches = [rows(("127.0.0.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0")), rows(("127.0.0.1", "192.0.2.2"))]
    found = [address for batch in as_named(batches, hosts) for address in remotes(batch)]
    assert found == ["192.0.2.1", "0.0.0.0", "192.0.2.2"]


def test_rows_in_order_wait_for_each_other_and_all_of_them_are_asked_for_at_once(slow: Resolver) -> None:
    hosts = HostNames(60, resolve=slow)
    batches = [rows(("0.0.0.0", "0.0.0.0")), rows(("0.0.0.0", "192.0.2.2")), rows(("0.0.0.0", "192.0.2.1"))]
    given = 0

    def counted() -> Iterator[Batch]:
        nonlocal given
        for batch in batches:
            given += 1
            if given == len(batches):
                assert hosts.pending == {"192.0.2.2"}
                slow.gate.set()
            yield batch

    named = as_named_in_order(counted(), hosts, ("local_address", "remote_address"))
    assert remotes(next(named)) == ["0.0.0.0"]
    assert given == 1
    assert [remotes(batch) for batch in named] == [["192.0.2.2"], ["192.0.2.1"]]
    assert hosts.get("192.0.2.1") == "host-192-0-2-1"


def test_no_row_is_lost_or_doubled_whatever_the_resolver_does(slow: Resolver) -> None:
    def answer(address: str) -> str:
        if int(address.rpartition(".")[2]) % 2:
            raise OSError
        return "named"

    slow.answer = answer
    hosts = HostNames(0.1, threads=2, resolve=slow)
    expected = [f"192.0.{third}.{number}" for third in range(5) for number in range(50)]
    batches = [rows(*(("0.0.0.0", address) for address in expected[at : at + 50])) for at in range(0, 250, 50)]
    assert sorted(address for batch in as_named(batches, hosts) for address in remotes(batch)) == sorted(expected)


def test_the_rows_held_back_are_bounded(slow: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_MOST_HELD", 3)
    hosts = HostNames(0.05, resolve=slow)
    given = []

    def batches() -> Iterator[Batch]:
        for number in range(10):
            given.append(number)
            yield rows(("0.0.0.0", f"192.0.2.{number}"))

    assert remotes(next(as_named(batches(), hosts))) == ["192.0.2.0"]
    assert len(given) == 4


def test_the_module_starts_fast() -> None:
    program = (
        "import sys; before = set(sys.modules); import netinspect.engine.names; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ}, timeout=60
    )
    assert not set(done.stdout.split()) & {"typing", "threading", "socket", "queue", "re", "enum", "collections", "pwd"}


def test_names_of_the_hosts_file_are_the_first_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# all\n10.0.0.1 one uno # more\n10.0.0.1 two\nbad line\n2001:db8:0::1\tsix\nlonely\n")
    hosts = HostNames(resolve=HostsFile(str(path)))
    hosts.want(["10.0.0.1", "2001:db8::1", "10.0.0.2"])
    hosts.settle()
    assert [hosts.get(address) for address in ("10.0.0.1", "2001:db8::1", "10.0.0.2")] == ["one", "six", "10.0.0.2"]
    assert not hosts.incomplete
