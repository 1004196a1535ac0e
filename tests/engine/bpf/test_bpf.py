"""The kernel's types, programs made by hand, and the ring buffer."""

from __future__ import annotations

import os
import struct
import time

import pytest
from availability import unavailable
from hypothesis import given
from hypothesis import strategies as st
from types_by_hand import Types, some

from netinspect.engine.bpf.assembler import Assembler
from netinspect.engine.bpf.btf import VMLINUX, Btf
from netinspect.engine.bpf.ring import Ring
from netinspect.errors import NetinspectError
from netinspect.nouns.drops.names import short, texts
from netinspect.nouns.drops.request import RECORD, WANTED, Layout, program

WHAT = ("outer", "bits", "reasons", "btf_trace_event", "btf_trace_none")


def test_offsets_go_through_typedefs_and_what_has_no_name() -> None:
    types = Btf(some().data(), WHAT)
    assert types.offset("outer", "first") == 0
    assert types.offset("outer", "either") == 8
    assert types.offset("outer", "or.deeper") == 12
    assert types.offset("outer", "last.deeper") == 20
    assert types.offset("bits", "b") == 5
    assert types.offset("outer", "none") is None
    assert types.offset("outer", "first.deep") is None
    assert types.offset("none", "first") is None
    assert types.values("reasons") == {0: "REASON_NONE", 7: "REASON_ONE"}
    assert types.values("none") == {}
    assert types.tracepoint_arguments("event") == 4
    assert types.tracepoint_arguments("none") is None


def test_types_that_make_no_sense_are_an_error() -> None:
    whole = some().data()
    for broken in (b"", whole[:20], whole[:-1], b"\0" + whole[1:], whole[:24] + b"\xff" * (len(whole) - 24)):
        with pytest.raises(NetinspectError):
            Btf(broken, WHAT)
    circle = Types()
    circle.structure("outer", ("", 2, 0))
    circle.add("", 8, 1)
    with pytest.raises(NetinspectError, match="loop"):
        Btf(circle.data(), WHAT).offset("outer", "x")


@given(st.data())
def test_no_change_to_the_types_is_a_traceback(data: st.DataObject) -> None:
    whole = bytearray(some().data())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        types = Btf(bytes(whole), WHAT)
        types.offset("outer", "or.deeper")
        types.values("reasons")
        types.tracepoint_arguments("event")
    except NetinspectError:
        pass


def test_types_of_the_kernel() -> None:
    if not os.path.exists(VMLINUX):
        unavailable("this kernel does not report its types")
    with open(VMLINUX, "rb") as file:
        data = file.read()
    took = []
    for _ in range(3):  # the best of three: who else runs on the processor makes it slower
        begun = time.process_time()
        types = Btf(data, WANTED)
        layout = Layout(types)
        took.append(time.process_time() - begun)
    assert min(took) < 0.3
    assert layout.arguments in (2, 3, 4)
    assert types.offset("sk_buff", "dev") == layout.offsets["dev"]
    names = {short(name) for name in types.values("skb_drop_reason").values()}
    assert {"NO_SOCKET", "NETFILTER_DROP"} <= names
    # Those of this kernel are all explained, except what is no reason.
    assert names - set(texts()) <= {"NOT_DROPPED_YET", "CONSUMED", "MAX", "MASK", "SUBSYS_MASK"}
    assert len(program(layout, 3, 4, (1, 2, 4026531840))) % 8 == 0


def test_instructions() -> None:
    code = Assembler()
    code.move(6, 1)
    code.jump_if(1, 0xFFFFFFFF, "end")
    code.load(2, 3, 10, -8)
    code.store(8, 10, -16, 3)
    code.map(1, 5)
    code.label("back")
    code.count(0, 8, 1)
    code.jump_if_not(1, -1, "back")
    code.label("end")
    code.exit()
    if struct.pack("=H", 1) == b"\1\0":
        assert code.program().hex(" ", 8).split() == [
            *("bf16000000000000", "16010600ffffffff", "69a3f8ff00000000", "7b3af0ff00000000"),
            *("1811000005000000", "0000000000000000", "db10080000000000", "5501feffffffffff"),
            *("b700000000000000", "9500000000000000"),
        ]
    code.jump("nowhere")
    with pytest.raises(ValueError, match="nowhere"):
        code.program()


SIZE = 256
STEP = 32


class Written:
    """The kernel's side of a ring of 256 bytes with records of 24."""

    def __init__(self, position: int) -> None:
        self.consumer, self.producer = bytearray(8), bytearray(16 + 2 * SIZE)
        struct.pack_into("Q", self.consumer, 0, position)
        self.position = position
        self.publish()

    def publish(self) -> None:
        struct.pack_into("Q", self.producer, 0, self.position)

    def write(self, number: int, *, busy: bool = False) -> bool:
        (read,) = struct.unpack_from("Q", self.consumer)
        if self.position + STEP - read > SIZE:
            return False
        record = struct.pack("=IIQQQ", 24 | busy << 31, 0, number, number, number)
        for at, byte in enumerate(record, self.position % SIZE):
            self.producer[16 + at % SIZE] = self.producer[16 + SIZE + at % SIZE] = byte
        self.position += STEP
        self.publish()
        return True


def numbers(taken: bytes) -> list[int]:
    return [number for *_, number in struct.iter_unpack("=IIQQQ", taken)]


def test_a_ring_gives_whole_records_in_order() -> None:
    written = Written(SIZE - STEP)  # so that it goes over the end at once
    ring = Ring(written.consumer, written.producer, SIZE, 24, data=16)
    assert ring.take(10) == b""
    for number in range(5):
        assert written.write(number, busy=number == 3)
    assert numbers(ring.take(2)) == [0, 1]
    assert numbers(ring.take(10)) == [2]
    assert numbers(ring.take(10)) == []
    written.position -= 2 * STEP
    written.write(3)
    written.write(4)
    assert numbers(ring.take(10)) == [3, 4]


@given(st.lists(st.integers(0, 12), max_size=40))
def test_nothing_of_a_ring_is_lost_or_seen_twice(steps: list[int]) -> None:
    written = Written(0)
    ring = Ring(written.consumer, written.producer, SIZE, 24, data=16)
    sent: list[int] = []
    seen: list[int] = []
    for step in steps:
        if step > 6:
            seen += numbers(ring.take(step - 6))
        else:
            sent += [number for number in range(len(sent), len(sent) + step) if written.write(number)]
    assert seen + numbers(ring.take(100)) == sent
    assert RECORD.size % 8 == 0
