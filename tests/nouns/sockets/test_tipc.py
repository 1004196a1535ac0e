"""TIPC's sockets: on bytes as in linux/tipc_netlink.h, and real ones beside ss(8) where the kernel has them."""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter
from contextlib import ExitStack, suppress

import pytest
from fake_kernel import attribute, message, runs_of
from hypothesis import given
from hypothesis import strategies as st
from throwaway import Namespace

from netinspect.errors import MalformedError, NetlinkError
from netinspect.nouns.sockets.decode_other import Decoder
from netinspect.records import Socket, UnknownAttribute

COOKIE = 5 << 32 | 7


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def tipc(*attributes: bytes, state: int = 1, port: int = 77) -> bytes:
    """An answer: REF, ADDR, what else there is, TYPE, STATE, INO, UID, COOKIE (net/tipc/socket.c)."""
    inside = number(2, port) + number(1, 0x1001001) + b"".join(attributes)
    inside += number(6, 5) + number(9, state) + number(7, 123) + number(8, 1000)
    return message(20, attribute(1, inside + attribute(10, struct.pack("=II", 7, 5))))


CONNECTION = attribute(3, number(2, 0x1001002) + number(3, 4711))
FIGURES = attribute(5, number(1, 3) + number(2, 2) + number(5, 9))


def decoded(*messages: bytes) -> list[Socket]:
    decoder = Decoder("tipc", str)
    return [record for run in runs_of(messages) for batch in decoder.batches(run) for record in batch]


def test_a_connection_is_decoded() -> None:
    (record,) = decoded(tipc(CONNECTION, FIGURES))
    assert record == Socket(
        protocol="tipc",
        family="tipc",
        type="seqpacket",
        state="ESTABLISHED",
        recv_queue=3,
        send_queue=2,
        local_address="1001001",
        local_port=77,
        remote_address="1001002",
        remote_port=4711,
        interface=None,
        uid=1000,
        inode=123,
        cookie=COOKIE,
        drops=9,
    )


def test_a_socket_without_a_peer_and_an_attribute_that_nobody_knows() -> None:
    (record,) = decoded(tipc(attribute(4, b""), attribute(99, b"ab"), state=7))
    assert (record.state, record.remote_address, record.remote_port) == ("UNCONNECTED", None, None)
    assert (record.recv_queue, record.send_queue, record.drops) == (0, 0, None)
    assert record.unknown_attributes == (UnknownAttribute(99, 2, ()),)


def test_sockets_of_several_layouts_are_known_again_by_their_cookies() -> None:
    decoder = Decoder("tipc", str)
    for part in runs_of([tipc(FIGURES), tipc(FIGURES, port=8), tipc(CONNECTION, FIGURES)]):
        words = [record.cookie & 0xFFFFFFFF for batch in decoder.batches(part) for record in batch]
        assert list(decoder.identities(part)) == words


def test_one_that_cannot_be_read_costs_no_identity_of_another() -> None:
    broken = message(20, attribute(1, number(2, 1) + b"\1\0\1\0" + bytes(4)))
    good = message(20, attribute(1, number(2, 1) + attribute(10, struct.pack("=II", 7, 5)))[: len(broken) - 16])
    for run in runs_of([tipc(FIGURES), broken, good]):
        assert set(Decoder("tipc", str).identities(run)) <= {7}


def test_a_socket_without_a_state_is_malformed() -> None:
    with pytest.raises(MalformedError, match="a socket without attribute 6"):
        decoded(message(20, attribute(1, number(2, 1) + number(1, 1))))


@given(st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=12)), max_size=6))
def test_attributes_of_any_content_are_decoded_or_a_netlink_error(found: list[tuple[int, bytes]]) -> None:
    try:
        assert len(decoded(tipc(*(attribute(*pair) for pair in found)))) == 1
    except NetlinkError:
        pass


def made() -> list[socket.socket] | None:
    """A listener, both ends of a connection to it, and a socket of datagrams; None where the kernel has no TIPC."""
    with ExitStack() as stack:
        try:
            kinds = (socket.SOCK_SEQPACKET, socket.SOCK_SEQPACKET, socket.SOCK_RDM)
            listener, client, other = (stack.enter_context(socket.socket(socket.AF_TIPC, kind)) for kind in kinds)
        except OSError:
            return None
        listener.bind((socket.TIPC_ADDR_NAMESEQ, 18888, 1, 1))
        listener.listen(5)
        # The listener answers when it accepts.
        client.setblocking(False)
        with suppress(BlockingIOError):
            client.connect((socket.TIPC_ADDR_NAME, 18888, 1, 0))
        accepted = stack.enter_context(listener.accept()[0])
        other.bind((socket.TIPC_ADDR_NAMESEQ, 18889, 1, 1))
        stack.pop_all()
        return [listener, client, accepted, other]


def test_real_sockets_are_those_of_ss(namespace: Namespace) -> None:
    sockets = namespace.call(made)
    result = namespace.netinspect("sockets", "--tipc", "-a", "-j", check=False)
    if sockets is None:
        assert "this kernel has no tipc sockets" in result.stderr
        return
    rows = json.loads(result.stdout)
    states = Counter((row["state"], row["type"]) for row in rows)
    connection = [("ESTABLISHED", "seqpacket")] * 2
    # Beside them, a listener of the kernel's own.
    assert Counter([*connection, ("LISTEN", "seqpacket"), ("UNCONNECTED", "rdm")]) <= states
    shown = [line.split() for line in namespace.run("ss", "-Han", "--tipc").stdout.splitlines()]
    ports = [[str(row[name]) for name in ("local_port", "remote_port") if row[name]] for row in rows]
    assert sorted(ports) == sorted([word.rpartition(":")[2] for word in words[3:5] if word != "-"] for words in shown)
    assert sorted(words[1] for words in shown) == sorted(str(row["recv_queue"]) for row in rows)
    for one in sockets:
        one.close()
