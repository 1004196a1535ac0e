"""Attributes are checked before they are read; a malformed message costs itself, and what is unknown is reported."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable

import pytest
from fake_kernel import FakeKernel, attribute, done, message, runs_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect import errors
from netinspect.engine.columns import Batch
from netinspect.engine.dumps import whole_dump, whole_list, whole_table
from netinspect.engine.netlink.attributes import ADDRESS, ANY, NUMBER, Attributes, Shape
from netinspect.engine.netlink.messages import Run
from netinspect.engine.netlink.transport import Dump
from netinspect.engine.rtnetlink import Names
from netinspect.engine.schema import Schema
from netinspect.errors import MalformedError, NetlinkError, NoAnswerError, TruncatedError
from netinspect.records import UnknownAttribute

NESTED = 0x8000
SHAPE = Shape({1: 4, 2: ADDRESS, 3: NUMBER, 4: ANY, 9: ANY}, (5,))


def inside(*pairs: tuple[int, bytes]) -> Attributes:
    return Attributes(b"".join(attribute(*pair) for pair in pairs), "testing", SHAPE)


def test_each_way_to_take_an_attribute_gives_it_or_none() -> None:
    found = inside(
        (1, struct.pack("=IB", 1, 2)), (2, bytes((10, 0, 0, 1))), (3, b"\1\2"), (4, b"name\0rest"), (3, b"\3\4")
    )
    assert found.struct(1, struct.Struct("=I")) == (1,)
    assert (found.address(2), found.big(3), found.text(4)) == ("10.0.0.1", 0x304, "name")
    assert list(found.each(3)) == [b"\1\2", b"\3\4"]
    assert found.unknown() == ()
    nothing = inside()
    assert (nothing.number(3), nothing.address(2), nothing.text(4), nothing.raw(9)) == (None,) * 4
    assert nothing.struct(1, struct.Struct("=I")) is None
    assert nothing.structs(4, struct.Struct("=I")) == []
    assert not nothing.nested(9, SHAPE)


@pytest.mark.parametrize(("kind", "size"), [(1, 3), (2, 5), (2, 0), (3, 3), (3, 16)])
def test_an_attribute_of_a_wrong_size_is_malformed_before_it_is_read(kind: int, size: int) -> None:
    with pytest.raises(MalformedError, match=rf"attribute {kind} of {size} bytes where .* were expected$"):
        inside((kind, bytes(size)))
    (run,) = runs_of([message(20, bytes(4) + attribute(kind, bytes(size)))])
    with pytest.raises(MalformedError, match=rf"attribute {kind} of {size} bytes"):
        list(run.by_layout(4, SHAPE))


@given(
    st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=20)), max_size=6),
    st.integers(0, 60),
    st.integers(0, 255),
)
def test_whatever_the_bytes_are_an_attribute_is_taken_or_malformed(
    pairs: list[tuple[int, bytes]], place: int, value: int
) -> None:
    data = bytearray(b"".join(attribute(*pair) for pair in pairs) or b"\0")
    data[place % len(data)] = value
    takes: list[Callable[[Attributes, int], object]] = [
        Attributes.number,
        Attributes.big,
        Attributes.text,
        Attributes.address,
        lambda found, kind: found.struct(kind, struct.Struct("=IHH")),
        lambda found, kind: found.structs(kind, struct.Struct("=IHH")),
        lambda found, kind: found.nested(kind, SHAPE).unknown(),
    ]
    for take in takes:
        for kind in range(12):
            try:
                take(Attributes(bytes(data), "testing", SHAPE), kind)
            except MalformedError as error:
                assert str(error).startswith("testing: malformed netlink message: ")  # noqa: PT017


def test_what_a_shape_does_not_name_is_unknown_with_the_way_to_it() -> None:
    assert inside((1, bytes(4)), (5, b""), (7, b"abc"), (600, b"")).unknown() == (
        UnknownAttribute(7, 3),
        UnknownAttribute(600, 0),
    )
    paths = Shape({(1,): ANY, (1, 2): 4}, ((3,),))
    told = attribute(1 | NESTED, attribute(2, bytes(4)) + attribute(6 | NESTED, attribute(1, b"x")))
    (run,) = runs_of([message(20, bytes(4) + told + attribute(3 | NESTED, attribute(9, b"")))])
    ((_, layout),) = run.by_paths(4, paths)
    assert paths.unknown(layout) == (UnknownAttribute(6, 8, (1,)),)


def good(number: int) -> bytes:
    return message(20, bytes(4) + attribute(1, struct.pack("=I", number)))


BAD = [
    message(20, bytes(4) + attribute(1, b"ab")),
    message(20, bytes(4) + b"\x09\0\1\0" + bytes(4)),
    message(20, b""),
]


def rows(run: Run) -> list[int]:
    return [number for part, layout in run.by_layout(4, SHAPE) for number in part.u32(layout[1][0])]


COUNTS = Schema.of_fields("SocketCount", ("identity",))


def batch(runs: list[Run]) -> Batch:
    numbers = [number for run in runs for number in rows(run)]
    return COUNTS.given(len(numbers), {"sockets": numbers, "identity": numbers})


@pytest.mark.parametrize("bad", [BAD[:1], BAD[1:2], BAD[2:], BAD])
def test_a_malformed_message_costs_that_message(bad: list[bytes]) -> None:
    datagrams = [good(1) + good(2) + b"".join(bad) + good(3), good(4), done()]

    def dump() -> Dump:
        return Dump(FakeKernel(datagrams), b"", "listing")

    problems: list[str] = []
    assert sorted(whole_list("listing", dump, rows, problems.append)) == [1, 2, 3, 4]
    tables = whole_table("listing", dump, batch, problems.append)
    assert sorted(number for found in tables for number in found.values("identity")) == [1, 2, 3, 4]
    dumps = whole_dump("listing", dump, lambda run: [batch([run])], None, "sockets", problems.append)
    assert sorted(number for found in dumps for number in found.values("sockets")) == [1, 2, 3, 4]
    first = "1 malformed message is" if len(bad) == 1 else f"{len(bad)} malformed messages are"
    assert len(problems) == 3
    assert {problem.startswith(f"listing: {first} left out: ") for problem in problems} == {True}


def test_each_error_has_one_meaning_and_survives_a_pickle() -> None:
    documented = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Exception)]
    assert all(found.__doc__ for found in documented)
    for kind in (NetlinkError, MalformedError, TruncatedError, NoAnswerError):
        error = pickle.loads(pickle.dumps(kind("asking", 0, "why", 3)))
        assert type(error) is kind
        assert (error.operation, error.errno, error.message, error.offset) == ("asking", 0, "why", 3)
    with pytest.raises(NoAnswerError, match=r"^asking: no answer in 30 s$"):
        list(Dump(FakeKernel([]), b"", "asking"))
    with pytest.raises(TruncatedError, match=r"^asking: an answer of 1048577 bytes was truncated$"):
        list(Dump(FakeKernel([bytes((1 << 20) + 1)]), b"", "asking"))


def test_a_table_notes_what_its_columns_cannot_show() -> None:
    from netinspect.environment import Environment
    from netinspect.nouns.routing.command_neighbours import Neighbours
    from netinspect.nouns.routing.decode_neighbours import Decoder

    body = struct.pack("=BxxxiHBB", 2, 1, 2, 0, 1) + attribute(1, bytes((10, 0, 0, 1)))
    known, strange = (message(28, body + more) for more in (b"", attribute(77, b"abc")))
    numbers = {number: str(number) for number in range(256)}
    for messages, said in (
        ([known], []),
        (
            [known, strange, strange],
            ["2 or more rows have attributes that this release does not know: [attribute 77 of 3 bytes]"],
        ),
    ):
        complaints: list[str] = []
        command = Neighbours.read(
            [], Environment(len, lambda line, said=complaints: said.append(line.decode()), False, 80)
        )
        assert command is not None
        batch = Decoder(Names(numbers, numbers, numbers, numbers)).batch(runs_of(messages))
        assert batch is not None
        command.write([batch])
        assert len(complaints) == len(said)
        assert all(words in complaint for words, complaint in zip(said, complaints, strict=True))
