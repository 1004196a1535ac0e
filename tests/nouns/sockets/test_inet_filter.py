"""Filter expressions in the kernel: the bytecode is accepted, and selects what the predicate and ss select.

One namespace with some hundred sockets serves all of these tests; none of them changes it.
"""

from __future__ import annotations

import ctypes
import errno
import shutil
import socket as sockets
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from availability import unavailable
from hypothesis import given, settings
from hypothesis import strategies as st
from throwaway import Namespace

from netinspect.engine.netlink.transport import Dump, connect
from netinspect.engine.places import local_ports
from netinspect.errors import NetlinkError, UsageError
from netinspect.nouns.sockets.decode_inet import Decoder
from netinspect.nouns.sockets.filter import Expression, Lookups, parse, predicate
from netinspect.nouns.sockets.filter_conditions import (
    LOCAL,
    REMOTE,
    Address,
    And,
    Cgroup,
    Condition,
    Interface,
    Not,
    Or,
    Port,
)
from netinspect.nouns.sockets.request import request
from netinspect.nouns.sockets.request_filter import check_refusal, compile_filter
from netinspect.records import Socket
from netinspect.uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC, NETLINK_SOCK_DIAG

ALL_STATES = (1 << 32) - 1
MARKS = (0x1, 0x2, 0x10001, 0xFF)
INTERFACES: dict[str, int] = {"lo": 1}
EPHEMERAL = (20000, 29999)
"""The range of ports that the kernel chooses from in this namespace: not the kernel's default."""
DUMPS = (("tcp", AF_UNSPEC, 6), ("udp", AF_INET, 17), ("udp", AF_INET6, 17))

IPV4 = ("127.0.0.1", "127.0.0.2", "127.1.0.1", "127.255.255.254", "10.1.2.3", "10.1.2.4", "10.200.0.1", "192.0.2.1")
IPV6 = ("::1", "2001:db8::1", "2001:db8::2", "2001:db8:8000::1", "fd00::1")
MAPPED = ("::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:127.1.0.1")
PORTS = (22, 53, 80, 443, 1023, 1024, 5000, 60999)


class World:
    """The namespace, its sockets (kept open), and the record of each of them."""

    def __init__(self) -> None:
        self.namespace = Namespace()
        self._open: list[sockets.socket] = []
        for address in (*IPV4[4:], *IPV6[1:]):
            options = ("nodad",) if ":" in address else ()
            self.namespace.run("ip", "address", "add", address, "dev", "lo", *options)
        self.namespace.run("sh", "-c", f"echo {EPHEMERAL[0]} {EPHEMERAL[1]} > /proc/sys/net/ipv4/ip_local_port_range")
        self.namespace.call(self._populate)
        self.records = self._settled()

    def _populate(self) -> None:
        for number, address in enumerate((*IPV4, *IPV6, *MAPPED, "0.0.0.0", "::")):
            for shift, port in enumerate(PORTS[number % 3 :: 3]):
                if address in ("0.0.0.0", "::"):
                    port += 7
                listener = self._bound(address, port, sockets.SOCK_STREAM, number + shift)
                listener.listen(20)
                target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
                for turn in range(3):
                    self._connect(listener, target, port, number + turn)
            self._bound(address, 0, sockets.SOCK_STREAM, number).listen(1)
            self._bound(address, PORTS[number % len(PORTS)] + 3, sockets.SOCK_DGRAM, number)
            chosen = self._bound(address, 0, sockets.SOCK_DGRAM, number)
            if address not in ("0.0.0.0", "::"):
                chosen.connect((address, PORTS[number % len(PORTS)] + 3))

    def _settled(self) -> list[Socket]:
        """The records once no connection is on its way to another state: the answer to a FIN is delayed by 40 ms."""
        end = time.monotonic() + 5
        while True:
            records = self.dump(b"")
            if not {"FIN_WAIT1", "LAST_ACK", "CLOSING"} & {record.state for record in records}:
                return records
            assert time.monotonic() < end, "a connection stays half closed"
            time.sleep(0.01)

    def _socket(self, address: str, kind: int, number: int) -> sockets.socket:
        opened = sockets.socket(sockets.AF_INET6 if ":" in address else sockets.AF_INET, kind)
        self._open.append(opened)
        opened.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        if address == "::":
            opened.setsockopt(sockets.IPPROTO_IPV6, sockets.IPV6_V6ONLY, 1)
        if number % 3 == 0:
            opened.setsockopt(sockets.SOL_SOCKET, sockets.SO_MARK, MARKS[number % len(MARKS)])
        if number % 4 == 0:
            opened.setsockopt(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, b"lo")
        return opened

    def _bound(self, address: str, port: int, kind: int, number: int) -> sockets.socket:
        opened = self._socket(address, kind, number)
        opened.bind((address, port))
        return opened

    def _connect(self, listener: sockets.socket, address: str, port: int, number: int) -> None:
        """A connection in one of several states: both ends open, one closed, or time-wait."""
        client = self._socket(address, sockets.SOCK_STREAM, number)
        client.settimeout(5)
        if number % 5 == 1:
            client.bind((address, 30000 + len(self._open)))
        client.connect((address, port))
        accepted, _ = listener.accept()
        self._open.append(accepted)
        if number % 7 == 0:
            client.close()
        if number % 14 == 0:
            accepted.close()

    def local_ports(self) -> tuple[int, int]:
        return self.namespace.call(local_ports)

    def dump(self, bytecode: bytes, states: int = ALL_STATES) -> list[Socket]:
        """What the kernel selects, as records."""
        found: list[Socket] = []
        for protocol, family, number in DUMPS:
            opened = self.namespace.call(lambda: connect(NETLINK_SOCK_DIAG))
            asked = request(family, number, states, bytecode=bytecode)
            decoder = Decoder(protocol, lambda index: "lo" if index == 1 else f"if{index}")
            for run in Dump(opened, asked, f"listing {protocol} sockets"):
                for batch in decoder.batches(run):
                    found.extend(batch)
        return found

    def kernel(self, expression: Expression) -> set[int]:
        """The cookies of the sockets that the kernel selects."""
        bytecode = compile_filter(expression, interface_index=INTERFACES.get, local_ports=self.local_ports)
        check_jumps(bytecode)
        states = ALL_STATES if expression.states is None else expression.states
        return {cookie(record) for record in self.dump(bytecode, states)}

    def python(self, expression: Expression) -> set[int]:
        """The cookies of the sockets that the predicate selects from the full dump."""
        select = predicate(expression, interface_index=INTERFACES.get, local_ports=self.local_ports)
        return {cookie(record) for record in self.records if select(record)}

    def agree(self, *selections: Callable[[], set[int]]) -> None:
        """All of them select the same; once more with new records if not, for time-wait ends by itself."""
        first, *others = [select() for select in selections]
        if any(other != first for other in others):
            self.records = self.dump(b"")
            first, *others = [select() for select in selections]
        for other in others:
            assert other == first

    def close(self) -> None:
        for opened in self._open:
            opened.close()
        self.namespace.close()


def cookie(record: Socket) -> int:
    assert record.cookie
    return record.cookie


def check_jumps(bytecode: bytes) -> None:
    """What the kernel's audit wants: forward jumps to the start of an operation, to the end, or 4 bytes behind it."""
    starts, jumps, at = {len(bytecode), len(bytecode) + 4}, [], 0
    while at < len(bytecode):
        _, yes, no = struct.unpack_from("=BBH", bytecode, at)
        starts.add(at)
        jumps.append((at, at + no))
        assert yes >= 4
        assert yes % 4 == 0
        at += yes
    assert at == len(bytecode)
    for start, end in jumps:
        assert end > start
        assert end in starts


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if shutil.which("ip") is None:
        unavailable("ip is not installed")
    made = World()
    yield made
    made.close()


def test_the_namespace_has_every_kind_of_socket_that_filters_distinguish(world: World) -> None:
    records = world.records
    assert len(records) > 300
    assert len({cookie(record) for record in records}) == len(records)
    assert {"ESTABLISHED", "LISTEN", "TIME_WAIT", "FIN_WAIT2", "CLOSE_WAIT", "UNCONNECTED"} <= {
        record.state for record in records
    }
    assert {("tcp", "inet"), ("tcp", "inet6"), ("udp", "inet"), ("udp", "inet6")} == {
        (record.protocol, record.family) for record in records
    }
    assert {None, "lo"} == {record.interface for record in records}
    assert {0, *MARKS} == {record.mark for record in records if record.mark is not None}
    assert any((record.local_address or "").startswith("::ffff:") for record in records)


addresses = st.sampled_from((*IPV4, *IPV6, *MAPPED, "0.0.0.0", "::", "127.9.9.9", "2001:db8::9"))
ports = st.one_of(
    st.sampled_from((*PORTS, *(port + 3 for port in PORTS), *(port + 7 for port in PORTS), 0, 65535)),
    st.integers(20000, 31000),
    st.integers(0, 65535),
)


@st.composite
def hosts(draw: st.DrawFn) -> str:
    address = draw(addresses)
    text = f"[{address}]" if ":" in address else address
    if draw(st.booleans()):
        text += f"/{draw(st.integers(0, 128 if ':' in address else 32))}"
    if draw(st.booleans()):
        text += f":{draw(ports)}"
    family = draw(st.sampled_from(("", "", "", "inet6:" if ":" in address else "inet:")))
    return family + text


@st.composite
def conditions(draw: st.DrawFn) -> str:
    """One condition as a user writes it."""
    kind = draw(st.integers(0, 11))
    sign = draw(st.sampled_from(("=", "!=", "")))
    if kind < 4:
        comparison = draw(st.sampled_from(("=", "!=", "<", ">", "<=", ">=")))
        return f"{draw(st.sampled_from(('sport', 'dport')))} {comparison} :{draw(ports)}"
    if kind < 8:
        return f"{draw(st.sampled_from(('src', 'dst')))} {sign} {draw(hosts())}"
    if kind == 8:
        return f"dev {sign} {draw(st.sampled_from(('lo', '1', '0', '2', 'absent')))}"
    if kind == 9:
        mark = draw(st.sampled_from((0, *MARKS, 3)))
        mask = draw(st.sampled_from(("", "/0xff", "/1", "/0", "/0xffff0000")))
        return f"fwmark {sign} {mark}{mask}"
    if kind == 10:
        return draw(
            st.sampled_from(("src *", "src inet:*", "dst inet6:*", "src unix:*", "sport = netlink:22", "dst :*"))
        )
    return f"{draw(st.sampled_from(('src', 'dst')))} {draw(st.sampled_from(('*', '')))}:{draw(ports)}"


expressions = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ( {text} )"),
        st.tuples(inner, st.sampled_from(("and", "or", "")), inner).map(lambda parts: f"( {' '.join(parts)} )"),
        st.lists(inner, min_size=2, max_size=5).map(" and ".join),
        st.lists(inner, min_size=2, max_size=5).map(" or ".join),
    ),
    max_leaves=12,
)
states = st.sampled_from(("", "", "state established", "exclude time-wait", "state listening", "state bucket"))


@settings(max_examples=2 * settings().max_examples)
@given(states, expressions)
def test_the_kernel_selects_what_the_predicate_selects_from_the_full_dump(
    world: World, selection: str, text: str
) -> None:
    expression = parse(f"{selection} {text}")
    world.agree(partial(world.kernel, expression), partial(world.python, expression))


leaf_conditions = st.one_of(
    st.builds(Port, st.sampled_from((LOCAL, REMOTE)), st.sampled_from(("=", "<=", ">=")), ports),
    st.builds(Address, st.sampled_from((LOCAL, REMOTE)), st.just(sockets.inet_aton("127.0.0.0")), st.integers(8, 16)),
    st.just(Interface("lo")),
    st.just(And(())),
    st.just(Or(())),
)
nested = st.recursive(
    leaf_conditions,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=4).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=4).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=40,
)


@given(nested)
def test_conditions_nested_in_any_way_select_the_same_in_the_kernel(world: World, condition: Condition) -> None:
    """``And(())`` and ``Or(())`` in all places, which the language cannot say, but the compiler must bear."""
    expression = Expression(None, condition)
    world.agree(partial(world.kernel, expression), partial(world.python, expression))


def test_autobound_selects_ports_that_the_kernel_chose_and_not_those_of_accepted_connections(world: World) -> None:
    first, last = EPHEMERAL
    assert world.local_ports() == EPHEMERAL
    selected = world.kernel(parse("autobound"))
    found = {cookie(record): record for record in world.records if cookie(record) in selected}
    assert found
    assert all(first <= (record.local_port or 0) <= last for record in found.values())
    assert set(found) <= world.python(parse("autobound"))
    # Ports that bind(2) chose, in this range or outside of it, are not: time-wait sockets alone have forgotten it.
    chosen = {cookie(r) for r in world.records if 30000 < (r.local_port or 0) < 31000 or (r.local_port or 0) < 6000}
    assert not chosen & set(found)
    everything = {cookie(record) for record in world.records}
    assert world.kernel(parse("not autobound")) == everything - set(found)


def test_a_port_of_the_kernel_s_range_that_bind_chose_is_not_autobound(namespace: Namespace) -> None:
    def open_two() -> tuple[sockets.socket, sockets.socket, list[int]]:
        chosen = sockets.create_server(("127.0.0.1", 40001))
        automatic = sockets.create_server(("127.0.0.1", 0))
        asked = request(AF_INET, 6, ALL_STATES, bytecode=compile_filter(parse("autobound")))
        dump = Dump(connect(NETLINK_SOCK_DIAG), asked, "listing tcp sockets")
        found = [record for run in dump for batch in Decoder("tcp", str).batches(run) for record in batch]
        return chosen, automatic, [record.local_port or 0 for record in found]

    chosen, automatic, found = namespace.call(open_two)
    with chosen, automatic:
        assert found == [automatic.getsockname()[1]]


def test_the_cgroup_of_a_socket_selects_it(world: World) -> None:
    by_cgroup = {record.cgroup_id or 0 for record in world.records}
    if not any(by_cgroup):
        unavailable("this kernel does not report the cgroup of sockets")
    for number in by_cgroup:
        expression = Expression(None, Cgroup("/", number))
        world.agree(partial(world.kernel, expression), partial(world.python, expression))
    assert world.kernel(Expression(None, Cgroup("/", 1 << 60))) == set()


SS = [
    "sport = :22",
    "sport = 22",
    "sport = ssh",
    "sport eq :domain",
    "sport != :22",
    "dport ne 80",
    "dport < :1024",
    "dport lt :1024",
    "sport > :1023",
    "sport gt :1023",
    "sport <= :443",
    "sport leq :443",
    "dport >= :443",
    "dport geq :443",
    "sport :22",
    "dst 10.0.0.0/8",
    "src 127/8",
    "src 127.1/16",
    "src 127.0.0.0/255.255.0.0",
    "src = 127.0.0.2",
    "src 127.0.0.1:22",
    "src 127.0.0.1:ssh or src 10.1.2.3:*",
    "dst 10.1.2.3:22",
    "dst [2001:db8::1]",
    "dst [2001:db8::1/33]",
    "src [::1]:22 or src [::1]:80",
    "src [::]:*",
    "src ::/0",
    "src [::ffff:0:0/96]",
    "src 0.0.0.0/0",
    "src *",
    "src any",
    "src *:22",
    "src :22",
    "sport = *",
    "not src *",
    "src inet:*",
    "src inet6:*",
    "src inet:127.0.0.0/8",
    "src inet6:[::ffff:127.0.0.0/104]",
    "! sport = :22",
    "not ( sport = :22 or sport = :80 )",
    "! ( sport < :30000 & src 127.0.0.0/8 )",
    "( sport = :22 or sport = :80 ) and dst 127.0.0.0/8",
    "sport = :22 | dport = :22 | sport = :80",
    "sport = :22 || dport = :22",
    "src 127.0.0.0/8 && sport = :22",
    "src 127.0.0.0/8 sport < :30000",
    "src 127.0.0.0/8 not sport = :22",
    "sport = :22 or ( dst 10.0.0.0/8 and not dport >= :1024 )",
    "fwmark = 1",
    "fwmark != 0",
    "fwmark = 0x1/0xff",
    "fwmark 0x0/0x1",
    "dev = lo",
    "dev lo",
    "dev != lo",
    "dev 1",
    "dev = lo and sport < :1024",
    "dev != lo or sport < :1024",
    "autobound",
    "autobound and dst 127.0.0.0/8",
]


def ss(world: World, *arguments: str) -> set[int]:
    """The cookies of the sockets that ss lists."""
    words = world.namespace.run("ss", "-Hntue", *arguments).stdout.split()
    return {int(word[3:], 16) for word in words if word.startswith("sk:")}


@pytest.mark.parametrize("text", SS)
def test_ss_selects_the_same_sockets(world: World, text: str, need: Callable[[str], None]) -> None:
    need("ss")
    expression = parse(text)
    world.agree(partial(world.kernel, expression), partial(ss, world, "-a", text))


@pytest.mark.parametrize("selection", ["state established", "state listening state time-wait", "exclude established"])
@pytest.mark.parametrize("text", ["", "sport = :22", "( src 127.0.0.0/8 or dport = :80 )"])
def test_ss_selects_the_same_states(world: World, selection: str, text: str, need: Callable[[str], None]) -> None:
    need("ss")
    expression = parse(f"{selection} {text}")
    world.agree(partial(world.kernel, expression), partial(ss, world, *selection.split(), text))


def test_and_binds_closer_than_or_as_in_ss(world: World) -> None:
    loose = world.kernel(parse("sport = :22 or sport = :80 and src 10.0.0.0/8"))
    assert loose == world.kernel(parse("sport = :22 or ( sport = :80 and src 10.0.0.0/8 )"))
    assert loose != world.kernel(parse("( sport = :22 or sport = :80 ) and src 10.0.0.0/8"))


def test_a_long_expression_reaches_over_jumps_of_more_than_a_byte(world: World) -> None:
    text = " or ".join(f"( src 10.9.{number % 256}.0/24 and sport = :{number} )" for number in range(1, 1200))
    expression = parse(f"{text} or sport = :22")
    assert len(compile_filter(expression)) > 32_768
    assert world.kernel(expression) == world.kernel(parse("sport = :22 or ( src 10.9.0.0/16 and sport < :1200 )"))


def longest(operations: int) -> Expression:
    """Operations of 16 bytes, which is 12 of a port and 4 of a jump, except the last."""
    return Expression(None, Or(tuple(Port(LOCAL, "=", number) for number in range(operations))))


def test_the_longest_code_that_an_attribute_can_hold_is_accepted_and_a_longer_one_is_a_usage_error(
    world: World,
) -> None:
    code = compile_filter(longest(4095))
    assert len(code) == 16 * 4095 - 4
    assert world.kernel(longest(4095)) == world.python(longest(4095))
    with pytest.raises(UsageError, match="longer than the 65528 bytes that the kernel accepts"):
        compile_filter(longest(4096))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("src *", ""),
        ("", ""),
        ("not src *", "01040800"),
        ("src unix:/x", "01040800"),
        ("not src unix:/x", ""),
        ("autobound and src unix:/x", None),
        ("sport = :22", "070c1000" + "00000000" + "16000000"),
        ("dport >= :22", "04080c00" + "00001600"),
        ("dport = netlink:65536", "01040c0001040800"),
        ("not dport <= netlink:65536", "0104080001040800"),
        ("src 10.0.0.0/8", "07101400" + "02080000" + "ffffffff" + "0a000000"),
        ("fwmark 1/3", "0a0c1000" + "01000000" + "03000000"),
        ("dev lo", "09080c00" + "01000000"),
        ("dev absent", "01040800"),
        # Not: where the condition holds, a jump to the end's other side.
        ("not dport >= :22", "04080c00" + "00001600" + "01040800"),
    ],
)
@pytest.mark.skipif(sys.byteorder == "big", reason="the bytes are those of a little-endian machine")
def test_bytecode_is_as_linux_inet_diag_h_has_it(text: str, code: str | None) -> None:
    found = compile_filter(parse(text), interface_index=INTERFACES.get)
    check_jumps(found)
    if code is not None:
        assert found.hex() == code


def test_a_mistyped_interface_is_an_error_where_the_caller_knows_the_interfaces() -> None:
    with pytest.raises(UsageError, match="no interface 'eth7'"):
        parse("dev eth7", lookups=Lookups(interface_exists=INTERFACES.__contains__))


def refusal(number: int) -> NetlinkError:
    return NetlinkError("listing tcp sockets", number)


@pytest.mark.parametrize(
    ("text", "number", "said"),
    [
        (
            "fwmark 1",
            errno.EPERM,
            "filter: 'fwmark': Operation not permitted: marks are visible only with CAP_NET_ADMIN",
        ),
        ("cgroup /x or dev lo", errno.EINVAL, "filter: 'cgroup': Invalid argument: this kernel does not report"),
        ("not autobound", errno.EINVAL, "filter: 'autobound'"),
        ("sport 22", errno.EINVAL, "listing tcp sockets: Invalid argument"),
        ("dev lo", errno.ENOENT, "listing tcp sockets: No such file"),
        ("dev lo", errno.EPERM, "listing tcp sockets: Operation not permitted"),
    ],
)
def test_a_refusal_that_records_cannot_answer_is_one_clear_error(text: str, number: int, said: str) -> None:
    class Cgroups(Lookups):
        def cgroup_id(self, path: str) -> int:
            return 1

    with pytest.raises(NetlinkError) as caught:
        check_refusal(parse(text, lookups=Cgroups()), refusal(number))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("text", ["dev lo", "fwmark 1", "sport 22 or not dev 2"])
def test_the_predicate_replaces_filters_that_an_older_kernel_refuses(text: str) -> None:
    check_refusal(parse(text), refusal(errno.EINVAL))


def drop_net_admin() -> None:
    """Takes CAP_NET_ADMIN from this thread alone (capset(2); linux/capability.h)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~(1 << 12)
    assert libc.capset(header, sets) == 0


def test_a_mark_without_cap_net_admin_is_a_clear_error_and_not_an_empty_listing(namespace: Namespace) -> None:
    expression = parse("fwmark 1")
    caught: list[NetlinkError] = []

    def ask() -> None:
        asked = request(AF_INET, 6, ALL_STATES, bytecode=compile_filter(expression))
        opened = namespace.call(lambda: connect(NETLINK_SOCK_DIAG))
        drop_net_admin()
        try:
            list(Dump(opened, asked, "listing tcp sockets"))
        except NetlinkError as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert caught[0].errno == errno.EPERM
    with pytest.raises(
        NetlinkError, match="'fwmark': Operation not permitted: marks are visible only with CAP_NET_ADMIN"
    ):
        check_refusal(expression, caught[0])
