"""MPTCP's own state, in structs of every age; test_inet_diag.py compares whole ones with what ss shows."""

from __future__ import annotations

import json
import socket
import struct
import sys
from contextlib import ExitStack
from typing import Any

import pytest
from availability import unavailable
from fake_kernel import attribute, message, runs_of
from hypothesis import given
from hypothesis import strategies as st
from throwaway import Namespace

from netinspect.errors import NetlinkError
from netinspect.nouns.sockets.decode_inet import Decoder
from netinspect.records import MptcpInfo
from netinspect.uapi.netlink import AF_INET6

FIRST = 40
FIELDS = {
    "subflows": (0, "B"),
    "addresses_signaled": (1, "B"),
    "addresses_accepted": (2, "B"),
    "subflows_max": (3, "B"),
    "addresses_signaled_max": (4, "B"),
    "addresses_accepted_max": (5, "B"),
    "token": (12, "I"),
    "write_sequence": (16, "Q"),
    "send_unacknowledged": (24, "Q"),
    "receive_next": (32, "Q"),
    "local_addresses_used": (40, "B"),
    "local_addresses_max": (41, "B"),
    "retransmits": (44, "I"),
    "bytes_retransmitted": (48, "Q"),
    "bytes_sent": (56, "Q"),
    "bytes_received": (64, "Q"),
    "bytes_acked": (72, "Q"),
    "subflows_total": (80, "B"),
    "last_data_sent": (84, "I"),
    "last_data_received": (88, "I"),
    "last_ack_received": (92, "I"),
}
"""Fields that are reported as they are: offset in struct mptcp_info (linux/mptcp.h), and struct format."""


def decoded(*infos: bytes) -> list[MptcpInfo]:
    runs = runs_of(message(20, bytes([AF_INET6, 1]) + bytes(70) + attribute(2, info)) for info in infos)
    batches = [batch for run in runs for batch in Decoder("mptcp", str).batches(run)]
    assert all(record.tcp_info is None for batch in batches for record in batch)
    return [info for batch in batches for info in batch.values("mptcp_info")]


@given(st.binary(min_size=FIRST, max_size=110))
def test_a_struct_of_any_age_has_all_its_whole_fields_and_none_else(raw: bytes) -> None:
    first, second = decoded(raw, raw)
    assert first == second
    for name, (offset, layout) in FIELDS.items():
        whole = offset + struct.calcsize(layout) <= len(raw)
        assert getattr(first, name) == (struct.unpack_from(f"={layout}", raw, offset)[0] if whole else None)
    flags = int.from_bytes(raw[8:12], sys.byteorder)
    assert first.fallback == bool(flags & 1)
    assert first.remote_key_received == bool(flags & 2)
    assert first.checksum == (bool(raw[42]) if len(raw) > 42 else None)


def test_every_field_is_tested() -> None:
    assert {*FIELDS, "fallback", "remote_key_received", "checksum"} == set(MptcpInfo._fields)


def test_a_struct_shorter_than_the_first_is_malformed() -> None:
    with pytest.raises(NetlinkError, match="attribute 2 of 39 bytes where at least 40 were expected"):
        decoded(bytes(FIRST - 1))


def test_a_column_asks_the_kernel_for_what_it_takes(namespace: Namespace) -> None:
    def listed(*arguments: str) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = json.loads(namespace.netinspect("sockets", "-n", "--json", *arguments).stdout)
        return records

    with ExitStack() as held:
        try:
            listener = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP))
        except OSError as error:
            unavailable(f"no MPTCP: {error}")
        held.enter_context(listener).bind(("127.0.0.1", 0))
        listener.listen()
        client = held.enter_context(
            namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_MPTCP))
        )
        client.connect(listener.getsockname())
        held.enter_context(listener.accept()[0])
        for row in listed("-M", "--columns", "mptcp_info"):
            assert row["mptcp_info"]["remote_key_received"]
        assert len(listed("-M", "--columns", "mptcp_info", "--sort", "mptcp_info")) == 2
        assert {row["upper_layer_protocol"] for row in listed("-t", "--columns", "upper_layer_protocol")} == {"mptcp"}
        # What only the order needs is asked for as well.
        server = held.enter_context(namespace.call(lambda: socket.create_server(("127.0.0.1", 0))))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
        sizes = [row["memory"]["receive_buffer"] for row in listed("-at", "--columns", "memory", "--sort", "memory")]
        assert len(set(sizes)) > 1
        order = [row["inode"] for row in listed("-at", "--columns", "inode", "--sort", "-memory")]
        assert order == [row["inode"] for row in listed("-at", "--columns", "inode,memory", "--sort", "-memory")]
        # With the information of TCP comes that of MPTCP, where it is listed, in ss's words.
        assert all(row["mptcp_info"] and row["tcp_info"] is None for row in listed("-Mi"))
        assert all("mptcp_info" not in row for row in listed("-ti"))
        shown = namespace.netinspect("sockets", "-nMiH").stdout.splitlines()
        told = namespace.run("ss", "-nMiH").stdout.splitlines()[1::2]
        ours = [set(line.split()[6:]) for line in shown]
        theirs = [{word for word in line.split() if not word.startswith("last_")} for line in told]
        # An older ss knows fewer of them.
        assert len(ours) == len(theirs) == 2
        assert all(any(words <= other for other in ours) for words in theirs)
