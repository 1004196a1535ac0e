"""MPTCP's own state, in structs of every age; test_inet_diag.py compares whole ones with what ss shows."""

from __future__ import annotations

import struct

import pytest
from fake_kernel import attribute, message, runs_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect.errors import NetlinkError
from netinspect.nouns.sockets.decode_inet import Decoder
from netinspect.nouns.sockets.request import AF_INET6
from netinspect.records import MptcpInfo

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
"""Fields that are told as they are: offset in struct mptcp_info (linux/mptcp.h), and struct format."""


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
    assert first.fallback == bool(raw[8] & 1)
    assert first.remote_key_received == bool(raw[8] & 2)
    assert first.checksum == (bool(raw[42]) if len(raw) > 42 else None)


def test_every_field_is_tested() -> None:
    assert {*FIELDS, "fallback", "remote_key_received", "checksum"} == set(MptcpInfo._fields)


def test_a_struct_shorter_than_the_first_is_malformed() -> None:
    with pytest.raises(NetlinkError, match="attribute 2 of 39 bytes where at least 40 were due"):
        decoded(bytes(FIRST - 1))
