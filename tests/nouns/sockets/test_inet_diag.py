"""The decoder of TCP, UDP, UDP-Lite, MPTCP and SCTP sockets: against what the test made, ss, pyroute2 and itself."""

from __future__ import annotations

import errno
import os
import posix
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from availability import unavailable
from fake_kernel import FakeKernel, attribute, done, message, recorded, runs_of
from held_sockets import Held, Sockets
from hypothesis import given
from hypothesis import strategies as st
from ss_text import COMMAND, compared
from tcp_states import Young, young
from throwaway import Namespace

from netinspect.engine.netlink.messages import Run
from netinspect.engine.places import Place
from netinspect.errors import NetlinkError
from netinspect.nouns.sockets import decode_inet as inet_diag
from netinspect.nouns.sockets.decode_common import STATES, UNCONNECTED_STATES
from netinspect.nouns.sockets.decode_inet import Decoder
from netinspect.nouns.sockets.listing import Query, SocketListing, state_mask
from netinspect.nouns.sockets.request import PROTOCOLS, request
from netinspect.records import Memory, Socket, Timer, UnknownAttribute
from netinspect.uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC
from netinspect.uapi.sock_diag import (
    INET_DIAG_CGROUP_ID,
    INET_DIAG_MARK,
    INET_DIAG_SHUTDOWN,
    INET_DIAG_SKMEMINFO,
    INET_DIAG_SKV6ONLY,
    INET_DIAG_SOCKOPT,
    INET_DIAG_ULP_INFO,
)

ALL = 0xFFFFFFFF
TCP_STATES = set(STATES[1:12])
HELD_PROTOCOLS = ("tcp", "udp", "udplite", "mptcp")


@pytest.fixture(scope="module")
def worlds() -> Iterator[Young]:
    with young("sockets") as made:
        yield made


@pytest.fixture
def held(worlds: Young) -> Sockets:
    return worlds.get()


def messages(held: Sockets, family: int, protocol: str, states: int = ALL) -> list[bytes]:
    asked = request(family, PROTOCOLS[protocol][0], states, tcp_info=True, memory=True)
    return held.namespace.call(lambda: recorded(asked))


def decoded(protocol: str, data: list[bytes], name: Callable[[int], str] = "if{}".format) -> list[Socket]:
    decoder = Decoder(protocol, name)
    return [record for run in runs_of(data) for batch in decoder.batches(run) for record in batch]


def listed(held: Sockets, protocol: str, states: int = ALL) -> list[Socket]:
    """Both families, with the names of the namespace's interfaces."""
    data = [single for family in (AF_INET, AF_INET6) for single in messages(held, family, protocol, states)]
    return held.namespace.call(lambda: decoded(protocol, data, socket.if_indextoname))


# --- against what the test made --------------------------------------------------------------------------------------


def test_there_is_a_socket_in_every_tcp_state(held: Sockets) -> None:
    for family in ("inet", "inet6"):
        states = {one.state for one in held if (one.protocol, one.family) == ("tcp", family)}
        # A socket that is only bound is not listed before Linux 6.8.
        assert TCP_STATES - states <= {"CLOSE"}


def probed(held: Sockets, protocol: str) -> Counter[Any]:
    """The sockets of a protocol that the test holds; without any this kernel does not have it."""
    known = Counter(one[1:] for one in held if one.protocol == protocol)
    if not known:
        unavailable(f"this kernel has no {protocol}")
    return known


@pytest.mark.parametrize("protocol", HELD_PROTOCOLS)
def test_every_socket_that_is_held_is_listed_once_with_all_that_is_known_of_it(held: Sockets, protocol: str) -> None:
    known = probed(held, protocol)
    fields = Held._fields[1:]
    found = Counter(tuple(getattr(record, field) for field in fields) for record in listed(held, protocol))
    assert known - found == Counter()
    if protocol != "tcp":
        assert found == known


def test_both_families_of_tcp_come_in_one_dump(held: Sockets) -> None:
    both = decoded("tcp", messages(held, AF_UNSPEC, "tcp"))
    apart = decoded("tcp", messages(held, AF_INET, "tcp")) + decoded("tcp", messages(held, AF_INET6, "tcp"))

    def lasting(records: list[Socket]) -> list[Any]:
        return sorted(record[:11] + record[12:14] for record in records if record.timer is None)

    assert len(both) == len(apart)
    assert {record.cookie for record in both} == {record.cookie for record in apart}
    assert {record.family for record in both} == {"inet", "inet6"}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("unread", {"recv_queue": 1000, "send_queue": 0, "timer": None}),
        ("unacknowledged", {"recv_queue": 0, "send_queue": 500, "shutdown": "none"}),
        ("backlog", {"recv_queue": 3, "send_queue": 2}),
        ("marked", {"mark": 0x2A}),
        ("v6only", {"v6only": True}),
        ("dual stack", {"v6only": False}),
        ("dual stack client", {"family": "inet", "remote_address": "127.0.0.1"}),
        ("dual stack server", {"family": "inet6", "remote_address": "::ffff:127.0.0.1"}),
        ("inet LAST_ACK server", {"shutdown": "both"}),
        ("inet FIN_WAIT2 client", {"shutdown": "send"}),
        ("inet FIN_WAIT2 server", {"shutdown": "receive"}),
        ("inet CLOSING client", {"shutdown": "both"}),
        ("udp inet server", {"shutdown": "none", "tcp_info": None, "timer": None}),
        ("bound to device", {"interface": "lo", "send_queue": 7}),
    ],
)
def test_what_a_socket_was_given_shows(held: Sockets, label: str, expected: dict[str, object]) -> None:
    one = held[label]
    (record,) = [record for record in listed(held, one.protocol) if record.inode == one.inode]
    assert {field: getattr(record, field) for field in expected} == expected


def test_unread_datagrams_are_in_the_receive_queue(held: Sockets) -> None:
    (record,) = [record for record in listed(held, "udp") if record.inode == held["udp inet server"].inode]
    assert record.recv_queue >= 150
    assert record.memory is not None
    assert record.recv_queue == record.memory.receive_allocated


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("unacknowledged", "retransmit"),
        ("keepalive", "keepalive"),
        ("closed window", "probe"),
        ("inet TIME_WAIT", "timewait"),
        ("inet SYN_RECV", "retransmit"),
        ("inet SYN_SENT", "retransmit"),
    ],
)
def test_the_timer_that_runs_is_named(held: Sockets, label: str, name: str) -> None:
    one = held[label]
    (record,) = [
        record
        for record in listed(held, "tcp")
        if (record.inode, record.local_port, record.remote_port) == (one.inode, one.local_port, one.remote_port)
    ]
    assert record.timer is not None
    assert record.timer.name == name
    limits = {"keepalive": (600_000, 900_000), "timewait": (1, 60_000)}
    least, most = limits.get(name, (0, 120_000))
    assert least <= record.timer.remaining <= most


def test_only_the_states_that_are_asked_for_come(held: Sockets) -> None:
    assert {record.state for record in listed(held, "tcp", 1 << 10)} == {"LISTEN"}
    assert {record.state for record in listed(held, "tcp", 1 << 3 | 1 << 6)} == {"SYN_RECV", "TIME_WAIT"}
    assert {record.state for record in listed(held, "udp", 1 << 7)} == {"UNCONNECTED"}
    # Sockets that are no more than bound are asked for with a bit of their own, since Linux 6.8.
    assert {record.state for record in listed(held, "tcp", 1 << 13)} <= {"CLOSE"}


def test_without_the_privilege_there_is_no_mark(held: Sockets) -> None:
    without = [_without_attribute(single, INET_DIAG_MARK) for single in messages(held, AF_INET, "tcp")]
    assert {record.mark for record in decoded("tcp", without)} == {None}


def _without_attribute(single: bytes, kind: int) -> bytes:
    tail = b"".join(attribute(number, payload) for number, payload in _naive_attributes(single, 88) if number != kind)
    return message(20, single[16:88] + tail)


# --- against ss ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [AF_INET, AF_INET6, AF_UNSPEC])
def test_ss_shows_the_same_of_the_very_same_bytes(
    held: Sockets, need: Callable[[str], None], tmp_path: Path, family: int
) -> None:
    need("ss")
    data = messages(held, family, "tcp")
    path = tmp_path / "dump"
    path.write_bytes(b"".join(data) + done())
    result = held.namespace.run(*COMMAND, "-t", env={**os.environ, "TCPDIAG_FILE": str(path)})
    lines = {_cookie(line): line for line in result.stdout.splitlines()}
    records = held.namespace.call(lambda: decoded("tcp", data, socket.if_indextoname))
    assert len(lines) == len(records) == len(data)
    for record in records:
        shown, expected = compared(lines[record.cookie or 0], record)
        assert shown == expected


@pytest.mark.parametrize(("protocol", "option"), [("udp", "-u"), ("mptcp", "-M")])
def test_ss_shows_the_same_of_other_protocols(
    held: Sockets, need: Callable[[str], None], protocol: str, option: str
) -> None:
    need("ss")
    probed(held, protocol)
    records = listed(held, protocol)
    lines = {_cookie(line): line for line in held.namespace.run(*COMMAND, option).stdout.splitlines()}
    assert len(lines) == len(records)
    for record in records:
        shown, expected = compared(lines[record.cookie or 0], record)
        assert shown == expected


@pytest.mark.parametrize("states", ["listening", "established", "time-wait", "syn-recv", "all"])
def test_ss_lists_the_same_sockets(held: Sockets, need: Callable[[str], None], states: str) -> None:
    need("ss")
    bits = {"listening": 1 << 10, "established": 1 << 1, "time-wait": 1 << 6, "syn-recv": 1 << 3, "all": 0xFFF}[states]
    result = held.namespace.run("ss", "-H", "-O", "-n", "-t", "-e", "state", states)
    # Newer versions of ss mean those that are no more than bound as well, when they say all.
    shown = [line for line in result.stdout.splitlines() if not line.startswith("UNCONN")]
    assert sorted(map(_cookie, shown)) == sorted(record.cookie or 0 for record in listed(held, "tcp", bits))


def test_ss_shows_the_same_socket_options(held: Sockets, need: Callable[[str], None]) -> None:
    need("ss")
    if "--inet-sockopt" not in subprocess.run(["ss", "--help"], capture_output=True, text=True).stdout:
        pytest.skip("this ss does not know --inet-sockopt")
    free = held.opened["udp any"]
    free.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
    free.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    free.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    result = held.namespace.run("ss", "-H", "-O", "-n", "-a", "-u", "-e", "--inet-sockopt")
    lines = {_cookie(line): line for line in result.stdout.splitlines()}
    names = {"bind_address_no_port": "bind_addr_no_port"}
    for record in listed(held, "udp"):
        assert record.options is not None
        shown = lines[record.cookie or 0].split("inet-sockopt:")[1].strip(" ()").split()
        assert shown == [names.get(name, name) for name in record.options]
        if record.inode == held["udp any"].inode:
            assert {"freebind", "bind_address_no_port", "recverr"} <= set(record.options)


def _cookie(line: str) -> int:
    (word,) = [word for word in line.split() if word.startswith("sk:")]
    return int(word[3:], 16)


# --- against pyroute2 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", HELD_PROTOCOLS)
@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_pyroute2_finds_the_same_in_the_same_bytes(held: Sockets, family: int, protocol: str) -> None:
    from pyroute2.netlink.diag import inet_diag_msg

    probed(held, protocol)
    data = messages(held, family, protocol)
    records = {record.cookie: record for record in decoded(protocol, data)}
    for single in data:
        oracle = inet_diag_msg(single)
        oracle.decode()
        # Two numbers of 32 bits, the low one first, which pyroute2 reads as one of 64 (sock_diag_save_cookie).
        low, high = struct.unpack("=II", struct.pack("=Q", oracle["idiag_cookie"]))
        record = records[high << 32 | low]
        assert record.family == {AF_INET: "inet", AF_INET6: "inet6"}[oracle["idiag_family"]]
        assert record.recv_queue == oracle["idiag_rqueue"]
        assert record.send_queue == oracle["idiag_wqueue"]
        assert record.local_address == oracle["idiag_src"]
        assert record.remote_address == oracle["idiag_dst"]
        assert record.local_port == oracle["idiag_sport"]
        assert record.remote_port == oracle["idiag_dport"]
        assert record.interface == (f"if{oracle['idiag_if']}" if oracle["idiag_if"] else None)
        assert record.uid == oracle["idiag_uid"]
        assert record.inode == oracle["idiag_inode"]
        # Without a timer, Linux 5.10 gives what was in that memory before.
        assert record.timer is None or record.timer.remaining == oracle["idiag_expires"]
        assert (record.timer.retransmits if record.timer else 0) == oracle["idiag_retrans"]
        names = ("none", "receive", "send", "both")
        shutdown = oracle.get_attr("INET_DIAG_SHUTDOWN")
        assert record.shutdown == (None if shutdown is None else names[shutdown])
        only = oracle.get_attr("INET_DIAG_SKV6ONLY")
        assert record.v6only == (None if only is None else bool(only))
        assert record.cgroup_id == oracle.get_attr("INET_DIAG_CGROUP_ID")
        assert (record.mark or 0) == int.from_bytes(_hex(oracle, "INET_DIAG_MARK"), sys.byteorder)
        memory = _hex(oracle, "INET_DIAG_SKMEMINFO")
        assert record.memory == (Memory(*struct.unpack("=9I", memory)) if memory else None)
        if record.tcp_info:
            assert record.tcp_info.congestion_control == oracle.get_attr("INET_DIAG_CONG")


def _hex(oracle: Any, name: str) -> bytes:
    return bytes.fromhex((oracle.get_attr(name) or "").replace(":", ""))


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_the_request_is_what_pyroute2_would_send(protocol: str) -> None:
    from pyroute2.netlink.diag import inet_diag_req

    oracle = inet_diag_req(request(AF_INET6, PROTOCOLS[protocol][0], 0x1402, tcp_info=True, memory=True))
    oracle.decode()
    assert oracle["header"]["type"] == 20
    assert oracle["header"]["flags"] == 0x301
    assert oracle["sdiag_family"] == AF_INET6
    assert oracle["sdiag_protocol"] == PROTOCOLS[protocol][0]
    assert oracle["idiag_states"] == 0x1402
    assert oracle["idiag_ext"] == 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6


# --- against a decoder of single messages ----------------------------------------------------------------------------

_ATTRIBUTES = {
    INET_DIAG_SHUTDOWN: st.binary(min_size=1, max_size=1),
    INET_DIAG_SKV6ONLY: st.binary(min_size=1, max_size=1),
    INET_DIAG_MARK: st.binary(min_size=4, max_size=4),
    INET_DIAG_CGROUP_ID: st.binary(min_size=8, max_size=8),
    INET_DIAG_SKMEMINFO: st.sampled_from([32, 36]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    INET_DIAG_SOCKOPT: st.binary(min_size=2, max_size=2),
    INET_DIAG_ULP_INFO: st.sampled_from([attribute(1, b"tls\0"), attribute(1, b"mptcp\0"), b""]),
    77: st.binary(max_size=9),
}
bodies = st.builds(
    lambda family, rest, zero: bytes([family]) + (bytes(71) if zero else rest),
    st.sampled_from([AF_INET, AF_INET6]),
    st.binary(min_size=71, max_size=71),
    st.booleans(),
)
attribute_lists = st.fixed_dictionaries({}, optional=_ATTRIBUTES).map(lambda found: list(found.items()))
inet_messages = st.builds(
    lambda body, found, count: [message(20, body + b"".join(attribute(*pair) for pair in found))] * count,
    bodies,
    attribute_lists,
    st.integers(1, 3),
)


def _naive_attributes(single: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(single):
        size, kind = struct.unpack_from("=HH", single, at)
        yield kind & 0x3FFF, single[at + 4 : at + size]
        at += size + 3 & ~3


def naive(protocol: str, single: bytes) -> Socket:
    family, state, timer, retransmits = single[16:20]
    local_port, remote_port = struct.unpack_from("!HH", single, 20)
    interface, low, high, expires, received, sent, uid, inode = struct.unpack_from("=8I", single, 56)
    version = socket.AF_INET if family == AF_INET else socket.AF_INET6
    size = 4 if family == AF_INET else 16
    found = dict(_naive_attributes(single, 88))
    names = UNCONNECTED_STATES if protocol == "udp" else STATES
    timers = {1: "retransmit", 2: "keepalive", 3: "timewait", 4: "probe", 5: "delayed_ack"}
    options = ["recverr", "", "freebind", "hdrincl", "mc_loop", "transparent", "mc_all", "nodefrag"]
    options += ["bind_address_no_port", "recverr_rfc4884", "defer_connect"]
    options += [f"unknown-{bit}" for bit in range(11, 16)]
    memory = found.get(INET_DIAG_SKMEMINFO, b"")
    # Bit fields of C begin at the lowest bit of a byte, or at the highest where the byte order is big.
    order = range(8) if sys.byteorder == "little" else range(7, -1, -1)
    on = [byte >> bit & 1 for byte in found.get(INET_DIAG_SOCKOPT, b"") for bit in order]
    ulp = dict(_naive_attributes(found.get(INET_DIAG_ULP_INFO, b""), 0))
    return Socket(
        protocol=protocol,
        family="inet" if family == AF_INET else "inet6",
        type=PROTOCOLS[protocol][1],
        state=names[state],
        recv_queue=received,
        send_queue=sent,
        local_address=socket.inet_ntop(version, single[24 : 24 + size]),
        local_port=local_port,
        remote_address=socket.inet_ntop(version, single[40 : 40 + size]),
        remote_port=remote_port,
        interface=f"if{interface}" if interface else None,
        uid=uid,
        inode=inode,
        cookie=low | high << 32,
        timer=Timer(timers.get(timer, f"unknown-{timer}"), expires if expires < 1 << 31 else 0, retransmits)
        if timer
        else None,
        mark=int.from_bytes(found[15], sys.byteorder) if 15 in found else None,
        cgroup_id=int.from_bytes(found[21], sys.byteorder) if 21 in found else None,
        shutdown=("none", "receive", "send", "both")[found[8][0] & 3] if 8 in found else None,
        v6only=bool(found[11][0]) if 11 in found else None,
        upper_layer_protocol=(ulp[1].rstrip(b"\0").decode() if ulp else None) if 19 in found else None,
        options=tuple(name for name, is_on in zip(options, on, strict=False) if is_on and name)
        if 22 in found
        else None,
        memory=Memory(*struct.unpack(f"={len(memory) // 4}I", memory), *[0] * (9 - len(memory) // 4))
        if memory
        else None,
        drops=(int.from_bytes(memory[32:36], sys.byteorder) if memory else None),
        unknown_attributes=tuple(
            UnknownAttribute(kind, len(raw)) for kind, raw in found.items() if kind > 22 or not kind
        ),
    )


def _addresses(one: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """A column of addresses: all different, or few again and again."""
    few = st.lists(one, min_size=1, max_size=3).map(st.sampled_from)
    return st.one_of(st.just(one), few).flatmap(lambda address: st.lists(address, min_size=1, max_size=90))


IPV4 = st.binary(min_size=4, max_size=4)
IPV6 = st.binary(min_size=16, max_size=16)
MAPPED = IPV4.map((bytes(10) + b"\xff\xff").__add__)


@pytest.mark.parametrize(
    ("family", "one"),
    [(AF_INET, IPV4), (AF_INET6, IPV6), (AF_INET6, MAPPED), (AF_INET6, IPV6 | MAPPED)],
    ids=["IPv4", "IPv6", "mapped", "mixed"],
)
@given(data=st.data())
def test_address_text_is_that_of_inet_ntop_buffer_after_buffer(
    family: int, one: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    decoder = Decoder("tcp", str)
    for column in data.draw(st.lists(_addresses(one), min_size=1, max_size=4)):
        answer = [message(20, bytes([family]) + bytes(7) + raw.ljust(64, b"\0")) for raw in column]
        batches = [batch for run in runs_of(answer) for batch in decoder.batches(run)]
        texts = [text for batch in batches for text in batch.values("local_address")]
        assert texts == [socket.inet_ntop(family, raw) for raw in column]


@given(st.sampled_from(["tcp", "udp", "mptcp"]), st.lists(inet_messages, max_size=8))
def test_a_dump_of_any_layouts_decodes_like_single_messages(protocol: str, groups: list[list[bytes]]) -> None:
    data = [single for group in groups for single in group]
    expected = [naive(protocol, single) for single in data]
    assert Counter(map(repr, decoded(protocol, data))) == Counter(map(repr, expected))


@given(
    st.sampled_from(list(PROTOCOLS)),
    bodies,
    st.lists(st.tuples(st.integers(0, 25), st.one_of(st.binary(max_size=60), st.binary(min_size=100, max_size=300)))),
)
def test_attributes_of_any_content_are_decoded_or_a_netlink_error(
    protocol: str, body: bytes, found: list[tuple[int, bytes]]
) -> None:
    data = [message(20, body + b"".join(attribute(*pair) for pair in found))] * 2
    try:
        records = decoded(protocol, data)
    except NetlinkError as error:
        text = str(error)
        records = []
    else:
        text = "replaying: malformed netlink message: none"
    assert text.startswith("replaying: malformed netlink message: ")
    # The second is the same endpoint of SCTP again.
    assert len(records) in ((0, 1, 2) if protocol == "sctp" else (0, 2))


@given(st.binary(max_size=120))
def test_any_body_is_decoded_or_a_netlink_error(body: bytes) -> None:
    try:
        records = decoded("tcp", [message(20, body)])
    except NetlinkError:
        records = []
    assert len(records) <= 1


@pytest.mark.parametrize("protocol", ["sctp", "dccp", "raw"])
def test_a_protocol_whose_diag_module_is_missing_is_not_found(namespace: Namespace, protocol: str) -> None:
    for family in (AF_INET, AF_INET6):
        asked = request(family, PROTOCOLS[protocol][0], ALL)
        try:
            namespace.call(lambda: recorded(asked))  # noqa: B023
        except NetlinkError as error:
            missing = error.errno
        else:
            missing = errno.ENOENT
        assert missing == errno.ENOENT


# --- what this kernel does not send ----------------------------------------------------------------------------------


def made_up(family: int = AF_INET, state: int = 1, attributes: bytes = b"", **fields: int) -> bytes:
    body = struct.pack("=BBBB", family, state, fields.get("timer", 0), fields.get("retransmits", 0))
    body += struct.pack("!HH", 22, 33) + bytes([127, 0, 0, 1]) + bytes(12) + bytes([10, 0, 0, 1]) + bytes(12)
    body += struct.pack("=8I", 0, fields.get("cookie", 5), 0, fields.get("expires", 0), 0, 0, 0, fields.get("inode", 9))
    return message(20, body + attributes)


def test_an_sctp_association_has_its_own_states() -> None:
    peers = attribute(13, struct.pack("=H126x", AF_INET))
    locals_ = attribute(12, struct.pack("=H126x", AF_INET))
    data = [
        made_up(state=10, attributes=locals_),
        made_up(state=3, attributes=locals_ + peers, timer=4, expires=700, retransmits=2),
        made_up(state=7, attributes=locals_ + peers),
    ]
    records = sorted(decoded("sctp", data), key=lambda record: record.state)
    assert [record.state for record in records] == ["ESTABLISHED", "LISTEN", "SHUTDOWN_ACK_SENT"]
    assert records[0].timer == Timer("retransmit", 700, 2)
    assert {record.tcp_info for record in decoded("sctp", [made_up(attributes=attribute(2, bytes(192)))])} == {None}


def test_an_endpoint_of_sctp_that_the_kernel_sends_once_more_with_its_associations_is_one() -> None:
    data = [
        made_up(state=10, cookie=5, inode=1),
        made_up(state=10, cookie=6, inode=2),
        *(made_up(state=10, cookie=6, inode=2), made_up(state=3, cookie=6, inode=2, attributes=_PEERS)),
        made_up(state=3, cookie=6, inode=2, attributes=_PEERS),
    ]
    found = sorted((record.inode, record.state) for record in decoded("sctp", data))
    assert found == [(1, "LISTEN"), (2, "ESTABLISHED"), (2, "ESTABLISHED"), (2, "LISTEN")]


class Answering(Place):
    """A kernel that heeds no states in the request: it sends these messages for IPv4 and none for IPv6."""

    def __init__(self, *messages: bytes) -> None:
        super().__init__()
        self.asked: list[int] = []
        self._messages = messages

    def connect(self, protocol: int) -> Any:
        return FakeKernel(self._answer)

    def _answer(self, asked: bytes) -> list[bytes]:
        family, states = struct.unpack_from("=B3xI", asked, 16)
        self.asked.append(states)
        return [b"".join([*(self._messages if family == AF_INET else ()), done()])]


_PEERS = attribute(13, struct.pack("=H126x", AF_INET))


@pytest.mark.parametrize(
    ("protocol", "name", "numbers"),
    [
        # net/ipv4/raw_diag.c sends raw sockets of whatever state.
        ("raw", "established", [1]),
        ("raw", "listening", []),
        ("raw", "closed", [7]),
        # net/sctp/diag.c sends an association's endpoint too, whose states are the usual ones.
        ("sctp", "established", [1, 103]),
        ("sctp", "listening", [10]),
        ("sctp", "syn-sent", [101, 102]),
        ("sctp", "connected", [1, 101, 102, 103, 104, 105, 106, 107]),
    ],
)
def test_states_that_the_kernel_does_not_heed_are_looked_at(protocol: str, name: str, numbers: list[int]) -> None:
    """Numbers above 100 are those of associations."""
    sent = [1, 7] if protocol == "raw" else [1, 7, 10, *range(101, 108)]
    place = Answering(
        *(made_up(state=n % 100, cookie=n + 1, inode=n, attributes=_PEERS if n > 100 else b"") for n in sent)
    )
    listing = SocketListing(Query((protocol,), states=state_mask((name,))), (place,))
    assert sorted(record.inode for batch in listing.batches() for record in batch) == numbers


@pytest.mark.parametrize(
    ("release", "first"), [("5.10.0-30-amd64", 13), ("6.7.12", 13), ("6.8.0-rc1", 14), ("7.2.7", 14)]
)
def test_states_that_only_dccp_has_are_named_and_listed(monkeypatch: Any, release: str, first: int) -> None:
    monkeypatch.setattr(posix, "uname", lambda: SimpleNamespace(release=release))
    place = Answering(*(made_up(state=n, cookie=n, inode=n) for n in (1, 7, first, first + 1)))
    listing = SocketListing(Query(("dccp",)), (place,))
    found = {record.inode: record.state for batch in listing.batches() for record in batch}
    assert found == {1: "ESTABLISHED", first: "PARTOPEN", first + 1: "PASSIVE_CLOSEREQ"}
    assert all(asked >> 13 & 1 for asked in place.asked)


def test_a_timer_that_is_overdue_has_no_time_left() -> None:
    (record,) = decoded("tcp", [made_up(timer=1, expires=0xFFFFFFF6)])
    assert record.timer == Timer("retransmit", 0, 0)


def test_an_unknown_state_or_timer_is_shown_by_number() -> None:
    (record,) = decoded("tcp", [made_up(state=14, timer=9)])
    assert (record.state, record.timer) == ("UNKNOWN_14", Timer("unknown-9", 0, 0))


def test_a_socket_of_another_address_family_is_malformed() -> None:
    with pytest.raises(NetlinkError, match="malformed netlink message: a socket of address family 7"):
        decoded("tcp", [made_up(family=7)])


def test_identities_are_the_low_words_of_the_cookies() -> None:
    (run,) = runs_of([made_up(cookie=number) for number in (5, 0xFFFFFFFF, 0)])
    assert list(inet_diag.identities(run)) == [5, 0xFFFFFFFF, 0]
    with pytest.raises(NetlinkError, match="malformed"):
        inet_diag.identities(Run(bytes(20), 20, 20, 1))
