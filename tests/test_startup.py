"""The records' named tuples beside those of typing, which they stand in for."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest

from netinspect import records
from netinspect.records import Link, Route
from netinspect.startup import named_tuple

EVERY_RECORD = [getattr(records, name) for name in records.MODULES]


class Theirs(typing.NamedTuple):
    """A sample."""

    index: int  # type: ignore[assignment]
    name: str = "eth0"
    flags: tuple[str, ...] = ()


Mine: Any = named_tuple("Theirs", Theirs.__annotations__, {"__module__": __name__, **Theirs._field_defaults})


@pytest.mark.parametrize("arguments", [(1,), (1, "a"), (1, "a", ("up",))])
def test_the_same_values_make_the_same_tuple(arguments: tuple[Any, ...]) -> None:
    mine, theirs = Mine(*arguments), Theirs(*arguments)
    assert mine == theirs
    # What is None or empty is left out.
    shown = ", ".join(f"{name}={value!r}" for name, value in theirs._asdict().items() if value not in (None, "", ()))
    assert repr(mine) == f"Theirs({shown})"
    assert mine._asdict() == theirs._asdict()
    assert (mine.index, mine.name, mine.flags) == (theirs.index, theirs.name, theirs.flags)
    assert mine._replace(name="b") == theirs._replace(name="b")
    assert hash(mine) == hash(theirs)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda kind: kind(),
        lambda kind: kind(1, 2, 3, 4),
        lambda kind: kind(1, other=2),
        lambda kind: kind(1)._replace(other=2),
        lambda kind: kind._make((1, 2)),
        lambda kind: setattr(kind(1), "name", "b"),
        lambda kind: setattr(kind(1), "other", "b"),
    ],
)
def test_the_same_mistakes_are_refused_in_the_same_way(wrong: typing.Callable[[Any], object]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        wrong(Theirs)
    with pytest.raises(theirs.type):
        wrong(Mine)


@pytest.mark.parametrize("record", EVERY_RECORD, ids=lambda record: record.__name__)
def test_every_record_has_its_fields_and_types(record: Any) -> None:
    hints = typing.get_type_hints(record, include_extras=True)
    assert tuple(hints) == record._fields == record.__match_args__
    assert all(typing.get_origin(hint) is typing.Annotated for hint in hints.values())
    assert set(record._field_defaults) <= set(record._fields)
    assert issubclass(record, tuple)
    assert record.__doc__


def test_records_can_be_copied_and_pickled_and_matched() -> None:
    link = Link(3, "eth0", None, "up", ("up",), 1500)
    assert pickle.loads(pickle.dumps(link)) == copy.deepcopy(link) == link
    match link:
        case Link(3, name="eth0", mtu=mtu):
            assert mtu == 1500
        case _:
            pytest.fail("no match")
    assert not isinstance(link, Route)


def test_a_record_does_not_load_typing() -> None:
    program = (
        "import sys, netinspect.records as r; [getattr(r, n) for n in r.MODULES]; sys.exit('typing' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-I", "-c", program]).returncode == 0


def test_records_are_the_same_without_the_interpreter_s_own_getter_of_fields() -> None:
    program = (
        "import _collections; del _collections._tuplegetter\n"
        "from netinspect.records import Link\n"
        "link = Link(3, 'eth0', None, 'up', ('up',), 1500)\n"
        "assert (link.index, link.name, link.mtu) == (3, 'eth0', 1500)\n"
        "assert link._replace(mtu=9000).mtu == 9000 and link._asdict()['name'] == 'eth0'\n"
        "assert isinstance(vars(Link)['name'], property)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
