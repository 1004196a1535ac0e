"""The decoder of unix domain sockets: against what the test made, ss, pyroute2, procfs and itself."""

from __future__ import annotations

import re
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_kernel import attribute, message, recorded, runs_of
from held_sockets import Held, Sockets
from hypothesis import given
from hypothesis import strategies as st
from tcp_states import every_socket
from throwaway import Namespace

from netinspect.engine.kernel_release import is_at_least
from netinspect.engine.text import text
from netinspect.errors import NetlinkError
from netinspect.nouns.sockets import decode_unix as unix_diag
from netinspect.records import Memory, Socket
from netinspect.uapi.sock_diag import UNIX_DIAG_NAME, UNIX_DIAG_PEER, UNIX_DIAG_RQLEN, UNIX_DIAG_SHUTDOWN, UNIX_DIAG_UID

ALL = 0xFFFFFFFF
SHUTDOWNS = ("none", "receive", "send", "both")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    namespace = Namespace()
    with every_socket(namespace, tmp_path_factory.mktemp("sockets")) as made:
        yield made
    namespace.close()


def messages(held: Sockets, states: int = ALL) -> list[bytes]:
    return held.namespace.call(lambda: recorded(unix_diag.request(states, memory=True)))


def decoded(data: list[bytes]) -> list[Socket]:
    runs = runs_of(data)
    names = dict(pair for run in runs for pair in unix_diag.names_by_inode(run))
    return [record for run in runs for batch in unix_diag.decode(run, names) for record in batch]


def by_inode(held: Sockets) -> dict[int, Socket]:
    return {record.inode: record for record in decoded(messages(held))}


def test_every_socket_that_is_held_is_listed_once_with_all_that_is_known_of_it(held: Sockets) -> None:
    # Pairs of datagram sockets are connected since Linux 5.15.
    paired = "ESTABLISHED" if is_at_least(5, 15) else "UNCONNECTED"
    known = Counter(
        (one._replace(state=paired) if (one.type, one.state) == ("dgram", "ESTABLISHED") else one)[1:]
        for one in held
        if one.protocol == "unix"
    )
    fields = Held._fields[1:]
    found = Counter(tuple(getattr(record, field) for field in fields) for record in decoded(messages(held)))
    assert known - found == Counter()
    # The other end of a connection that waits for accept is not told.
    assert found == known


def test_both_ends_of_a_connection_name_each_other(held: Sockets) -> None:
    records = by_inode(held)
    for one, two in (("pair one", "pair two"), ("client", "server")):
        for kind in ("stream ", "dgram ", "seqpacket ") if one == "pair one" else ("",):
            first, second = held[f"unix {kind}{one}"].inode, held[f"unix {kind}{two}"].inode
            assert (records[first].peer_inode, records[second].peer_inode) == (second, first)
    client, server = records[held["unix client"].inode], records[held["unix server"].inode]
    assert client.remote_address == server.local_address
    assert server.remote_address is None


def test_queues_and_shutdowns_show(held: Sockets) -> None:
    records = by_inode(held)
    assert records[held["unix server"].inode].recv_queue == 200
    assert records[held["unix server"].inode].shutdown == "receive"
    assert records[held["unix client"].inode].shutdown == "send"
    assert records[held["unix client"].inode].send_queue > 0
    assert records[held["unix stream pair two"].inode].recv_queue == 30
    listener = records[held["unix listener"].inode]
    assert (listener.recv_queue, listener.send_queue) == (1, 3)


def test_only_the_states_that_are_asked_for_come(held: Sockets) -> None:
    assert {record.state for record in decoded(messages(held, 1 << 10))} == {"LISTEN"}
    assert {record.state for record in decoded(messages(held, 1 << 7))} == {"UNCONNECTED"}


def test_memory_is_reported_only_on_request(held: Sockets) -> None:
    data = held.namespace.call(lambda: recorded(unix_diag.request(ALL)))
    assert {record.memory for record in decoded(data)} == {None}
    assert all(record.memory for record in decoded(messages(held)))


def test_ss_shows_the_same(held: Sockets, need: Callable[[str], None]) -> None:
    need("ss")
    records = by_inode(held)
    result = held.namespace.run("ss", "-H", "-O", "-n", "-a", "-x", "-e", "-m", errors="backslashreplace")
    shown = re.findall(
        r"^(u_\w+) +(\w+) +(\d+) +(\d+) +(.*?) (\d+) +(\S+) (\d+) +(skmem:\S+) (.-.)",
        result.stdout,
        re.MULTILINE | re.DOTALL,
    )
    assert len(shown) == len(records)
    kinds = {"u_str": "stream", "u_dgr": "dgram", "u_seq": "seqpacket"}
    states = {"ESTAB": "ESTABLISHED", "UNCONN": "UNCONNECTED", "LISTEN": "LISTEN"}
    for kind, state, received, sent, name, inode, _, peer, memory, shutdown in shown:
        record = records[int(inode)]
        assert record.type == kinds[kind]
        assert record.state == states[state]
        assert (record.recv_queue, record.send_queue) == (int(received), int(sent))
        assert (record.local_address or "*").replace("\0", "@") == name
        assert (record.peer_inode or 0) == int(peer)
        assert record.memory is not None
        assert list(record.memory) == list(map(int, re.findall(r"\d+", memory)))
        assert record.shutdown == SHUTDOWNS[(shutdown[0] == "-") + 2 * (shutdown[2] == "-")]


def test_pyroute2_finds_the_same_in_the_same_bytes(held: Sockets) -> None:
    from pyroute2.netlink.diag import unix_diag_msg

    data = messages(held)
    records = {record.inode: record for record in decoded(data)}
    kinds = {1: "stream", 2: "dgram", 5: "seqpacket"}
    states = {1: "ESTABLISHED", 7: "UNCONNECTED", 10: "LISTEN"}
    for single in data:
        oracle = unix_diag_msg(single)
        oracle.decode()
        record = records[oracle["udiag_ino"]]
        assert record.type == kinds[oracle["udiag_type"]]
        assert record.state == states[oracle["udiag_state"]]
        # Two numbers of 32 bits, the low one first, which pyroute2 reads as one of 64 (sock_diag_save_cookie).
        low, high = struct.unpack("=II", struct.pack("=Q", oracle["udiag_cookie"]))
        assert record.cookie == high << 32 | low
        assert record.peer_inode == oracle.get_attr("UNIX_DIAG_PEER")
        queues = oracle.get_attr("UNIX_DIAG_RQLEN")
        assert (record.recv_queue, record.send_queue) == (queues["udiag_rqueue"], queues["udiag_wqueue"])
        assert record.shutdown == SHUTDOWNS[oracle.get_attr("UNIX_DIAG_SHUTDOWN")]
        memory = bytes.fromhex(oracle.get_attr("UNIX_DIAG_MEMINFO").replace(":", ""))
        assert record.memory == Memory(*struct.unpack("=9I", memory))


def test_procfs_has_the_same_names(held: Sockets) -> None:
    def read() -> bytes:
        with open("/proc/thread-self/net/unix", "rb") as table:
            return table.read()

    records = by_inode(held)
    table = held.namespace.call(read)
    for one in held:
        if one.protocol == "unix" and one.local_address and "newline" not in one.label:
            (row,) = re.findall(rb"(?m)^.* %d .*$" % one.inode, table)
            name = row.split(b" %d " % one.inode)[1]
            assert (records[one.inode].local_address or "").replace("\0", "@") == text(name)


# --- against a decoder of single messages ----------------------------------------------------------------------------

names = st.one_of(
    st.binary(min_size=1, max_size=20).filter(lambda name: name[0]).map(lambda name: name + b"\0"),
    st.binary(max_size=20).map(lambda name: b"\0" + name),
)
_ATTRIBUTES: dict[int, st.SearchStrategy[bytes]] = {
    UNIX_DIAG_NAME: names,
    UNIX_DIAG_PEER: st.integers(1, 3).map(lambda inode: struct.pack("=I", inode)),
    UNIX_DIAG_RQLEN: st.binary(min_size=8, max_size=8),
    UNIX_DIAG_SHUTDOWN: st.binary(min_size=1, max_size=1),
    UNIX_DIAG_UID: st.binary(min_size=4, max_size=4),
    1: st.binary(min_size=8, max_size=8),
}
unix_messages = st.builds(
    lambda kind, state, inode, cookie, found: message(
        20,
        struct.pack("=BBBxIII", 1, kind, state, inode, cookie & 0xFFFFFFFF, cookie >> 32)
        + b"".join(attribute(*pair) for pair in found.items()),
    ),
    st.sampled_from([1, 2, 5, 9]),
    st.integers(0, 255),
    st.integers(1, 5),
    st.integers(0, (1 << 64) - 1),
    st.fixed_dictionaries({}, optional=_ATTRIBUTES),
)


def naive(data: list[bytes]) -> list[Socket]:
    parsed: list[tuple[tuple[Any, ...], dict[int, bytes]]] = []
    for single in data:
        found, at = {}, 32
        while at < len(single):
            size, kind = struct.unpack_from("=HH", single, at)
            found[kind] = single[at + 4 : at + size]
            at += size + 3 & ~3
        *head, low, high = struct.unpack_from("=BBBxIII", single, 16)
        parsed.append(((*head, high << 32 | low), found))
    known: dict[int, str] = {}
    for (_, _, _, inode, _), found in parsed:
        if 0 in found:
            known[inode] = shown(found[0])
    records = []
    for (_, kind, state, inode, cookie), found in parsed:
        peer = int.from_bytes(found[2], sys.byteorder) if 2 in found else None
        received, sent = struct.unpack("=II", found.get(4, bytes(8)))
        records.append(
            Socket(
                protocol="unix",
                family="unix",
                type={1: "stream", 2: "dgram", 5: "seqpacket"}.get(kind, str(kind)),
                state=unix_diag.UNCONNECTED_STATES[state],  # type: ignore[attr-defined]
                recv_queue=received,
                send_queue=sent,
                local_address=shown(found[0]) if 0 in found else None,
                local_port=None,
                remote_address=known.get(peer) if peer is not None else None,
                remote_port=None,
                interface=None,
                uid=int.from_bytes(found[7], sys.byteorder) if 7 in found else None,
                inode=inode,
                cookie=cookie,
                shutdown=SHUTDOWNS[found[6][0] & 3] if 6 in found else None,
                peer_inode=peer,
            )
        )
    return records


def shown(name: bytes) -> str:
    """The name of a socket, which gives its bytes back."""
    found = unix_diag.socket_name(name)
    assert unix_diag.socket_path(found) == (name if name[0] == 0 else name[: name.index(b"\0")])
    return found


@given(st.lists(st.sampled_from([b"@", b"\0", b"./", b"a", b"\\xc0", b"\xc0"]), max_size=6).map(b"".join))
def test_no_two_names_are_alike(name: bytes) -> None:
    address = name if name[:1] == b"\0" else name.split(b"\0", 1)[0]
    assert unix_diag.socket_path(unix_diag.socket_name(name)) == address
    assert (unix_diag.socket_name(name)[:1] == "@") == (name[:1] == b"\0")


@given(st.lists(unix_messages, max_size=12))
def test_a_dump_of_any_layouts_decodes_like_single_messages(data: list[bytes]) -> None:
    inodes = [struct.unpack_from("=I", single, 20)[0] for single in data]
    if len(set(inodes)) == len(inodes):
        assert Counter(map(repr, decoded(data))) == Counter(map(repr, naive(data)))
    else:
        assert len(decoded(data)) == len(data)


@given(st.binary(min_size=15, max_size=15), st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40)), max_size=5))
def test_attributes_of_any_content_are_decoded_or_a_netlink_error(body: bytes, found: list[tuple[int, bytes]]) -> None:
    data = [message(20, b"\1" + body + b"".join(attribute(*pair) for pair in found))] * 2
    try:
        records = decoded(data)
    except NetlinkError:
        return
    assert len(records) == 2


def test_a_name_of_no_bytes_is_an_empty_one() -> None:
    single = message(20, struct.pack("=BBBxIQ", 1, 1, 7, 1, 1) + attribute(0, b""))
    assert decoded([single])[0].local_address == ""


def test_a_socket_of_another_family_is_malformed() -> None:
    with pytest.raises(NetlinkError, match="a socket of another address family than 1"):
        decoded([message(20, struct.pack("=BBBxIQ", 2, 1, 7, 1, 1))])


def test_identities_are_the_low_words_of_the_cookies() -> None:
    data = [message(20, struct.pack("=BBBxIII", 1, 1, 7, 1, number, 9)) for number in (7, 0xFFFFFFFF)]
    (run,) = runs_of(data)
    assert list(unix_diag.identities(run)) == [7, 0xFFFFFFFF]


def test_the_request_is_what_pyroute2_would_send() -> None:
    from pyroute2.netlink.diag import unix_diag_req

    oracle = unix_diag_req(unix_diag.request(0x402, memory=True))
    oracle.decode()
    assert oracle["sdiag_family"] == socket.AF_UNIX
    assert oracle["udiag_states"] == 0x402
    assert oracle["udiag_show"] == 0x01 | 0x04 | 0x08 | 0x10 | 0x20 | 0x40
