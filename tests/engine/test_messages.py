"""Netlink framing: runs, columns and attributes, against a decoder that goes message by message."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable

import pytest
from fake_kernel import FakeKernel, attribute, done, message, runs_of, split
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.netlink import messages
from netinspect.engine.netlink.acknowledgments import acknowledgments
from netinspect.engine.netlink.attributes import Shape
from netinspect.engine.netlink.messages import Answer, Run, attributes
from netinspect.engine.netlink.transport import Dump
from netinspect.errors import NetlinkError
from netinspect.uapi.netlink import NLM_F_DUMP

BODY = 12
ANYTHING = Shape({})
KINDS = (18, 20, 0x1234)

Decoded = tuple[int, bytes, tuple[tuple[int, bytes], ...]]
"""Type, fixed header and attributes of a message."""

nested = 0x8000
attribute_lists = st.lists(
    st.tuples(st.integers(0, 30), st.binary(max_size=11)), max_size=5, unique_by=lambda pair: pair[0]
)
bodies = st.one_of(st.binary(min_size=BODY, max_size=BODY), st.just(bytes(BODY)))
messages_of_any_layout = st.builds(
    lambda kind, body, found: message(kind, body + b"".join(attribute(*pair) for pair in found)),
    st.sampled_from(KINDS),
    bodies,
    attribute_lists,
)
runs_of_messages = st.lists(
    st.tuples(messages_of_any_layout, st.integers(1, 4)).map(lambda pair: pair[0] * pair[1]), max_size=12
).map(b"".join)


def decoded_one_by_one(datagrams: list[bytes]) -> Counter[Decoded]:
    """The plainest decoder there is."""
    found: Counter[Decoded] = Counter()
    for datagram in datagrams:
        for single in split(datagram):
            length, kind = struct.unpack_from("=IH", single)
            body, at = single[16 : 16 + BODY], 16 + BODY
            payloads = {}
            while at + 4 <= length:
                size, number = struct.unpack_from("=HH", single, at)
                payloads[number & 0x3FFF] = single[at + 4 : at + size]
                at += size + 3 & ~3
            found[kind, body, tuple(sorted(payloads.items()))] += 1
    return found


def decoded_by_runs(datagrams: list[bytes]) -> Counter[Decoded]:
    return decoded_of(Dump(FakeKernel([*datagrams, done()]), b"", "listing"))


def decoded_of(runs: Iterable[Run]) -> Counter[Decoded]:
    found: Counter[Decoded] = Counter()
    for run in runs:
        for part, layout in run.by_layout(BODY, ANYTHING):
            bodies = part.unpack(16, f"{BODY}s")
            columns = {kind: part.unpack(at, f"{size}s") for kind, (at, size) in layout.items()}
            for index in range(part.count):
                payloads = tuple(sorted((kind, column[index]) for kind, column in columns.items()))
                found[part.kind, bodies[index], payloads] += 1
    return found


@given(st.lists(runs_of_messages.filter(bool), max_size=4))
def test_runs_have_what_a_decoder_of_single_messages_finds(datagrams: list[bytes]) -> None:
    assert decoded_by_runs(datagrams) == decoded_one_by_one(datagrams)


@given(st.lists(st.tuples(attribute_lists, st.booleans()), min_size=2, max_size=6))
def test_attributes_that_stand_twice_are_the_last_of_them_in_every_message(
    lists: list[tuple[list[tuple[int, bytes]], bool]],
) -> None:
    datagrams = [
        b"".join(
            message(20, bytes(BODY) + b"".join(attribute(*pair) for pair in (pairs + pairs[:1] if twice else pairs)))
            for pairs, twice in lists
        )
    ]
    assert decoded_by_runs(datagrams) == decoded_one_by_one(datagrams)


@given(st.lists(st.binary(min_size=24, max_size=24), min_size=1, max_size=20))
def test_columns_are_the_fields_of_each_message(bodies: list[bytes]) -> None:
    (run,) = runs_of(message(20, body) for body in bodies)
    assert run.count == len(bodies)

    def each(layout: str, offset: int) -> list[int]:
        return [struct.unpack_from(layout, body, offset - 16)[0] for body in bodies]

    assert list(run.u8(21)) == each("=B", 21)
    assert run.u16(22) == each("=H", 22)
    assert run.be16(22) == each(">H", 22)
    assert run.u32(24) == each("=I", 24)
    assert list(run.words(24)) == each("=I", 24)
    assert run.unpack(28, "Q") == each("=Q", 28)
    assert run.unpack(16, "24s") == bodies
    assert list(run.rows(20, "IB")) == [struct.unpack_from("=IB", body, 4) for body in bodies]
    assert run.same(24) == (len(set(each("=I", 24))) == 1)
    assert {value: part.unpack(16, "24s") for value, part in run.by_value(17)} == {
        value: [body for body in bodies if body[1] == value] for value in {body[1] for body in bodies}
    }


@given(st.binary(max_size=80))
def test_any_bytes_are_attributes_or_a_netlink_error(data: bytes) -> None:
    try:
        found = attributes(data, 0, len(data))
    except NetlinkError:
        return
    assert all(at + size <= len(data) for at, size in found.values())


@given(runs_of_messages, st.integers(0, 400), st.integers(0, 255))
def test_one_wrong_byte_is_read_or_a_netlink_error_and_nothing_else(data: bytes, place: int, value: int) -> None:
    wrong = bytearray(data or b"\0")
    wrong[place % len(wrong)] = value
    try:
        decoded_by_runs([bytes(wrong)])
    except NetlinkError as error:
        malformed = str(error)
    else:
        malformed = ""
    assert malformed == "" or malformed.startswith("listing: ")


@pytest.mark.parametrize(
    "buffer", [b"", b"\0" * 8, b"\x08\0\0\0" + b"\0" * 12, b"\xff\0\0\0" + b"\0" * 12, message(20, b"")[:-1]]
)
def test_a_malformed_answer_is_one_clear_error(buffer: bytes) -> None:
    with pytest.raises(NetlinkError, match=r"^testing: malformed netlink message: "):
        Answer(buffer, "testing")


def test_a_message_shorter_than_its_header_is_malformed() -> None:
    (run,) = runs_of([message(20, bytes(8))])
    with pytest.raises(
        NetlinkError, match=r"^replaying: malformed netlink message: 24 bytes where at least 28 were expected$"
    ):
        list(run.by_layout(BODY, ANYTHING))


@pytest.mark.parametrize(("length", "kind"), [(3, 1), (5, 1), (0xFFFF, 1), (0, 0)])
def test_an_attribute_with_an_impossible_length_is_malformed_in_any_message_of_a_run(length: int, kind: int) -> None:
    wrong, right = struct.pack("=HH", length, kind), attribute(1, b"")
    for place in range(3):
        tails = [right] * 3
        tails[place] = wrong
        runs = runs_of(message(20, bytes(BODY) + tail) for tail in tails)
        with pytest.raises(NetlinkError, match=r"malformed netlink message: attribute [01] of \d+ bytes with 4 left$"):
            decoded_of(runs)


def test_a_buffer_of_equal_messages_is_one_run_with_the_end_behind_it_or_not() -> None:
    single = message(20, bytes(BODY) + attribute(1, b"abc"))
    for tail in (b"", done()):
        answer = Answer(single * 100 + tail, "testing")
        assert [(run.count, run.kind, run.length) for run in answer.runs] == [(100, 20, len(single))]
        assert answer.done == bool(tail)


def test_messages_whose_length_is_no_multiple_of_four_are_padded() -> None:
    single = struct.pack("=IHHII", 16 + BODY + 5, 20, 2, 1, 0) + bytes(BODY) + struct.pack("=HHs", 5, 1, b"x")
    whole = single + b"\xee\xee\xee"  # padding says nothing
    answer = Answer(whole + whole + single, "testing")
    ((part, layout),) = list(answer.runs[0].by_layout(BODY, ANYTHING))
    assert part.count == 3
    assert layout == {1: (16 + BODY + 4, 1)}
    assert part.unpack(layout[1][0], "s") == [b"x"] * 3
    assert answer.runs[0].data.count(b"\xee") == 0


def test_a_run_whose_layouts_differ_is_split_once_for_each() -> None:
    one = message(20, bytes(BODY) + attribute(1, b"ab") + attribute(2, b"c"))
    two = message(20, bytes(BODY) + attribute(1, b"abc") + attribute(2, b"c"))
    three = message(20, bytes(BODY) + attribute(1, b"abc") + attribute(3, b"c"))
    (run,) = runs_of([one, two, three] * 50)
    parts = list(run.by_layout(BODY, ANYTHING))
    assert sorted(part.count for part, _ in parts) == [50, 50, 50]
    assert sorted(tuple(layout) for _, layout in parts) == [(1, 2), (1, 2), (1, 3)]


@given(st.lists(runs_of_messages.filter(bool), max_size=6), st.integers(1, 1000))
def test_collected_answers_have_the_same_messages_in_the_same_order(datagrams: list[bytes], size: int) -> None:
    found: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "GATHERED", size)
        for runs in messages.collected(Answer(datagram, "listing").runs for datagram in datagrams):
            singles = {
                position: run.data[at : at + run.length]
                for run in runs
                for position, at in zip(run.positions or (), range(0, len(run.data), run.length), strict=True)
            }
            found += [singles[position] for position in sorted(singles)]
    assert found == [single for datagram in datagrams for single in split(datagram)]


def test_a_nested_attribute_is_found_by_its_plain_number() -> None:
    (run,) = runs_of([message(20, bytes(BODY) + attribute(19 | nested, attribute(1, b"tls\0")))])
    ((_, layout),) = list(run.by_layout(BODY, ANYTHING))
    assert list(layout) == [19]


def test_requests_are_headers_with_padded_attributes() -> None:
    assert messages.attribute(3, b"abcde") == attribute(3, b"abcde")
    made = messages.message(20, NLM_F_DUMP, b"\1\2\3\4")
    assert made == struct.pack("=IHHII", 20, 20, 0x301, 1, 0) + b"\1\2\3\4"


def test_a_run_names_its_request() -> None:
    run = Run(message(20, bytes(4)), 20, 20, 1, "listing tests")
    with pytest.raises(NetlinkError, match=r"^listing tests: malformed"):
        list(run.by_layout(BODY, ANYTHING))


def test_acknowledgments_are_matched_by_sequence_number() -> None:
    def answer(sequence: int, number: int, words: bytes = b"") -> bytes:
        echoed = struct.pack("=IHHII", 16, 0, 0, 0, 0)
        told = attribute(1, words + b"\0") if words else b""  # NLMSGERR_ATTR_MSG
        body = struct.pack("=i", -number) + echoed + told
        return struct.pack("=IHHII", 16 + len(body), 2, 0x300 if words else 0x100, sequence, 0) + body

    buffer = answer(7, 0) + answer(8, 22, b"why not") + message(18, bytes(16)) + answer(9, 1)
    told = [
        (sequence, refusal and (refusal.errno, refusal.message)) for sequence, refusal in acknowledgments(buffer, "x")
    ]
    assert told == [(7, None), (8, (22, "why not")), (9, (1, ""))]
    for end in (1, 15, 17, len(buffer) - 1):
        with pytest.raises(NetlinkError):
            list(acknowledgments(buffer[:end], "x"))
