"""What the live view is made of, without a screen: tables of samples, rates, marks, history, figures."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Iterator, Sequence
from struct import Struct

import pytest

from netinspect.engine.places import Place
from netinspect.top.figures import bars, per_second, short
from netinspect.top.frame import ENDED, NEW, Column, Frame, Marks, added_up
from netinspect.top.history import History
from netinspect.top.memory import cycles_looked_for_rarely
from netinspect.top.meter import Meter, Sparse, added, total
from netinspect.top.sampling import Sampled, Sampling, ordered
from netinspect.top.source import Places, Source

_NAME = Column("name", "Name")
_RATE = Column("rate", "Rate", short, right=True)


def frame(*rows: tuple[int, str | None, float | None]) -> Frame:
    keys = [key for key, _, _ in rows]
    return Frame(keys, {"name": [name for _, name, _ in rows], "rate": [rate for _, _, rate in rows]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.254, "0.254"), (7, "7"), (99.96, "100"), (999.4, "999"), (999.6, "1.00k"), (1234, "1.23k")),
        *((9_996, "10.0k"), (99_960, "100k"), (45_600_000, "45.6M"), (3.2e13, "32.0T"), (-1500, "-1.50k")),
    ],
)
def test_figures_are_short(value: float, text: str) -> None:
    assert short(value) == text
    assert len(text.lstrip("-")) <= 5


def test_bars_are_as_wide_as_there_are_values() -> None:
    assert bars([0, 5, 10, None, 40], 10) == "▁▂▃ █"
    assert bars([1, 2, 3, 4], 2) == "▇█"
    assert bars([None, None], 5) == "  "
    assert bars([0, 0], 5) == "▁▁"
    assert (per_second(None), per_second(2500), per_second(8, "bit")) == ("-", "2.50k B/s", "8 bit/s")


def test_order() -> None:
    rows = frame((1, "b", 2.0), (2, None, None), (3, "a", 5.0), (4, "b", 2.0))
    assert ordered(rows, [_NAME, _RATE], ("rate", False)) == [2, 0, 3, 1]
    assert ordered(rows, [_NAME, _RATE], ("rate", True)) == [0, 3, 2, 1]
    assert ordered(rows, [_NAME, _RATE], ("name", False)) == [2, 0, 3, 1]
    assert ordered(rows, [_NAME, _RATE], ("name", True)) == [0, 3, 2, 1]
    assert ordered(rows, [_NAME, _RATE], ("other", False)) == [0, 1, 2, 3]
    # The second field decides where the first is the same.
    pair = Column("both", "Both", lambda name, rate: f"{name}:{rate}", fields=("name", "rate"))
    both = frame((1, "a", 9.0), (2, "a", 10.0), (3, "A", 11.0))
    assert both.ordered(pair, False) == [2, 0, 1]
    assert both.cell(0, pair) == "a:9.0"


def test_a_cell_is_one_line_without_control_characters() -> None:
    rows = frame((1, "a\nb\x1b[31m[red]x[/red]\u202e", 1.0), (2, None, None))
    assert rows.cell(0, _NAME) == "a\\x0ab\\x1b[31m[red]x[/red]\\u202e"
    assert (rows.cell(1, _NAME), rows.cell(1, _RATE)) == ("-", "-")


def test_marks() -> None:
    marks = Marks(seconds=3)
    assert marks.marked(frame((1, "a", 1.0), (2, "b", 2.0)), ["name", "rate"], 0).changes == {}
    second = marks.marked(frame((2, "b", 3.0), (3, "c", 4.0)), ["name", "rate"], 1)
    assert list(second.keys) == [2, 3, 1]
    assert second.changes == {3: NEW, 1: ENDED}
    assert [second.cell(row, _NAME) for row in second.ordered(_RATE, False)] == ["c", "b", "a"]
    # One that comes back has not ended; each mark goes after its time.
    third = marks.marked(frame((1, "a", 1.0), (2, "b", 3.0)), ["name", "rate"], 2)
    assert third.changes == {1: NEW, 3: ENDED}
    last = marks.marked(frame((1, "a", 1.0), (2, "b", 3.0)), ["name", "rate"], 6)
    assert (list(last.keys), last.changes) == ([1, 2], {})


def test_rates_of_counters() -> None:
    meter = Meter()
    assert meter.rates([1, 2], [10.0, 10.0], [[100, None]], 9.0) is None
    assert meter.rates([1, 2], [12.0, 12.0], [[100, None]], 11.0) == [[0.0, None]]
    # One is gone, one is new, one restarted, and one is counted from now on.
    assert meter.rates([3, 1, 2], [14.0] * 3, [[60, 500, 7]], 13.0) == [[20.0, 200.0, None]]
    assert list(meter.fresh) == [0]
    assert meter.rates([3, 1, 2], [15.0] * 3, [[50, 500, 8]], 14.0) == [[0.0, 0.0, 1.0]]


def _tables(seed: int) -> Iterator[tuple[list[int], list[tuple[int, ...] | None], list[float]]]:
    """Samples of a table: rows come and go, change their places, and some counters move, or are no more counted."""
    chance = random.Random(seed)
    rows: list[tuple[int, tuple[int, ...] | None]] = []
    for number in range(12):
        rows = [row for row in rows if chance.random() > 0.1 * (number % 4 == 1)]
        for _ in range(chance.choice((0, 0, 3, 30))):
            counters = (
                None if number > 6 and chance.random() < 0.1 else (chance.randrange(5), chance.randrange(1 << 40))
            )
            rows.insert(chance.randrange(len(rows) + 1), (chance.randrange(10**6), counters))
        if number % 5 == 4:
            chance.shuffle(rows)
        if number > 1:
            for at in chance.sample(range(len(rows)), min(len(rows), 10)):
                key, counters = rows[at]
                lost = counters is None or (number > 8 and chance.random() < 0.2)
                rows[at] = (
                    key,
                    None if lost or counters is None else (counters[0] + 3, counters[1] + chance.choice((-9, 1))),
                )
        yield (
            [key for key, _ in rows],
            [counters for _, counters in rows],
            [10.0 * number + chance.random() for _ in rows],
        )


@pytest.mark.parametrize("seed", range(20))
def test_rates_are_those_of_each_row_by_itself(seed: int) -> None:
    layout = Struct(">2Q")
    columns, packed, marks, plain_marks = Meter(), Meter(), Marks(), Marks()
    before: dict[int, tuple[tuple[int, ...] | None, float]] | None = None
    began = 0.0
    for keys, counters, times in _tables(seed):
        start = 10.0 * began  # of this sample; a new row counts since that of the one before
        rates = columns.rates(keys, times, [[row and row[at] for row in counters] for at in (0, 1)], start)
        other = packed.packed_rates(keys, times, [row and layout.pack(*row) for row in counters], layout, start)
        if before is None:
            assert rates is other is None
        else:
            expected: list[list[float | None]] = [[], []]
            for key, row, at in zip(keys, counters, times, strict=True):
                was, then = before.get(key, ((0, 0), start - 10.0))
                for column, place in zip(expected, (0, 1), strict=True):
                    known = row is not None and was is not None
                    column.append(max(row[place] - was[place], 0) / (at - then) if known else None)
            assert rates == other == expected
            assert set(columns.fresh) == {row for row, key in enumerate(keys) if key not in before}
            for column in (*rates, *other, added(*rates), added(*other)):
                table = Frame(keys, {"rate": column})
                plain = Frame(keys, {"rate": [*column]})
                assert [table.ordered(_RATE, reverse) for reverse in (False, True)] == [
                    plain.ordered(_RATE, reverse) for reverse in (False, True)
                ]
                assert total(column) == pytest.approx(total([*column]))
        # A frame that knows what has changed is marked as one that does not.
        one, two = (Frame(keys, {"rate": [*times]}) for _ in range(2))
        one.compared = columns.compared
        assert marks.marked(one, ["rate"], began).changes == plain_marks.marked(two, ["rate"], began).changes
        before = dict(zip(keys, zip(counters, times, strict=True), strict=True))
        began += 1


class _Many(Source):
    """A table of many rows, of which a column tells in which thread it is made."""

    title = "Many"
    sort = "rate"
    makers: Sequence[threading.Thread] = ()

    def restart(self) -> None:
        pass

    def shown(self, group: str) -> Sequence[Column]:
        return _NAME, _RATE

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        return ()

    def sample(self, group: str) -> Frame:
        def make(name: str) -> list[str]:
            self.makers = [*self.makers, threading.current_thread()]
            return [str(row) for row in range(20_000)]

        return Frame(range(20_000), {"rate": Sparse([0.0] * 20_000, ())}, make, lambda name, row: str(row), seconds=1.0)


def test_a_key_does_not_wait_for_many_rows_to_be_put_in_order() -> None:
    source, heard = _Many(Places(lambda: [Place(None, None)])), []
    came = threading.Condition()

    def deliver(sampled: Sampled) -> None:
        with came:
            heard.append(sampled)
            came.notify()

    def wait(number: int) -> Sampled:
        with came:
            assert came.wait_for(lambda: len(heard) >= number, 30)
        return heard[number - 1]

    sampling = Sampling(deliver, 1000)
    try:
        sampling.show(source, "", ("rate", False))
        wait(1)
        sampling.freeze(True)  # a frozen table is put in another order as well
        shown = wait(2) if len(heard) > 1 else heard[0]
        assert shown.frame is not None
        assert shown.frame.orders_at_once(_RATE)
        assert not shown.frame.orders_at_once(_NAME)
        number = len(heard)
        sampling.reorder(shown, ("name", True))
        again = wait(number + 1)
        while not again.again:
            number += 1
            again = wait(number + 1)
        assert again.frame is shown.frame
        assert again.order == sorted(range(20_000), key=str, reverse=True)
        assert source.makers
        assert threading.current_thread() not in source.makers
    finally:
        sampling.end()


def test_cycles_are_looked_for_rarely_while_the_view_is_there() -> None:
    before = gc.get_threshold()
    with cycles_looked_for_rarely():
        assert gc.get_threshold()[0] > 20 * before[0]
    assert gc.get_threshold() == before


def test_rows_are_added_up() -> None:
    values = {"rate": [1.0, None, 2.0, None], "netns": ["x", "x", "x", "y"]}
    summed = added_up(["a", "b", "a", "a"], values, ["4 rows"], "count", None)
    assert list(summed.keys) == [("x", "a"), ("x", "b"), ("y", "a")]
    assert (summed.column("count"), summed.column("rate")) == ([2, 1, 1], [3.0, None, None])
    assert (summed.column("netns"), summed.column("group")) == (["x", "x", "y"], ["a", "b", "a"])
    assert summed.facts == ("3 of 4 rows",)


def test_history_is_bounded() -> None:
    history = History()
    for value in range(300):
        history.add(Frame([1], {"rate": [float(value)], "rtt": [None]}), [0], ["rate", "rtt"])
    assert len(history.of(1)) == 240
    assert history.of(1)[-1] == (299.0, None)
    history.add(Frame(range(5000), {"rate": [0.0] * 5000}), range(5000), ["rate"])
    assert history.of(1) == []
    assert sum(bool(history.of(key)) for key in range(5000)) == 1000
    history.clear()
    assert history.of(4999) == []
