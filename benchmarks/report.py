"""The figures as JSON, as one table in Markdown, and as a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from cases import Case, Series
from events import PEER, Heard
from measure import Comparison, Typical, typical


class Point(NamedTuple):
    """One command at one size."""

    series: Series
    rows: int
    cost: Typical
    runs: int


class Compared(NamedTuple):
    """One case, measured."""

    case: Case
    rows: int
    comparison: Comparison
    """As the machine is."""
    busy: Comparison | None
    """While every processor is kept busy."""
    lines: tuple[int, int]
    """What both wrote: lines, with headings."""

    def ratios(self) -> dict[str, tuple[float | None, float | None]]:
        """What was measured and what is the goal of it, by name."""
        goals = self.case.goals
        return {
            "wall": (self.comparison.ratio, goals.wall),
            "busy": (None if self.busy is None else self.busy.ratio, goals.busy),
            "user+sys": (self.comparison.processor_ratio, goals.processor),
        }

    def figures(self) -> str:
        """The same in words."""
        shown = [f"{name} {figure(*ratio)}" for name, ratio in self.ratios().items()]
        return f"{'  '.join(shown)}  quickest {self.comparison.best_ratio:.2f}"


def figure(ratio: float | None, goal: float | None) -> str:
    """A ratio with its goal, and whether that is missed."""
    if ratio is None:
        return "-"
    if goal is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} (goal {goal:g}{', missed' if ratio > goal else ''})"


class Events(NamedTuple):
    """What two listeners to conntrack events made of them."""

    rate: int
    seconds: float
    ours: Heard
    peer: Heard


class Report:
    """Collects what was measured, and writes it."""

    def __init__(self, scale: str, machine: dict[str, str]) -> None:
        self.scale = scale
        self.machine = machine
        self.compared: list[Compared] = []
        self.points: list[Point] = []
        self.events: Events | None = None
        self.left_out: list[str] = []

    def write(self, directory: Path) -> list[Path]:
        """Writes results.md and results.json, and growth.svg where matplotlib is installed."""
        suffix = "" if self.scale == "default" else f"-{self.scale}"
        plot = directory / f"growth{suffix}.svg"
        plotted = self._plot(plot)
        paths = {
            directory / f"results{suffix}.json": json.dumps(self._document(), indent=1) + "\n",
            directory / f"results{suffix}.md": self._markdown(plot.name if plotted else None),
        }
        for path, text in paths.items():
            path.write_text(text)
        return [*paths, *([plot] if plotted else [])]

    def _document(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "machine": self.machine,
            "comparisons": [
                {
                    "name": compared.case.name or compared.case.ours,
                    "table": compared.case.table,
                    "rows": compared.rows,
                    "netinspect": compared.case.ours,
                    "peer": compared.case.peer,
                    "goals": compared.case.goals._asdict(),
                    "ratio": round(compared.comparison.ratio, 3),
                    "best_ratio": round(compared.comparison.best_ratio, 3),
                    "processor_ratio": round(compared.comparison.processor_ratio, 3),
                    "busy_ratio": None if compared.busy is None else round(compared.busy.ratio, 3),
                    "lines": compared.lines,
                    "runs": _runs(compared.comparison),
                    "busy_runs": None if compared.busy is None else _runs(compared.busy),
                }
                for compared in self.compared
            ],
            "events": None
            if self.events is None
            else {**self.events._asdict(), "ours": self.events.ours._asdict(), "peer": self.events.peer._asdict()},
            "growth": [
                {
                    "table": point.series.table,
                    "command": point.series.command,
                    "rows": point.rows,
                    "runs": point.runs,
                    **point.cost._asdict(),
                }
                for point in self.points
            ],
            "left_out": self.left_out,
        }

    def _markdown(self, plot: str | None) -> str:
        lines = [
            "# Benchmark",
            "",
            f"Made by `make bench{'' if self.scale == 'default' else f' SCALE={self.scale}'}`: whole processes, started"
            " in turns, output to /dev/null. A ratio is netinspect's time for the peer's, the median over pairs of"
            " runs: of wall time on the machine as it is, of wall time while every processor is kept busy by another"
            " process, and of user and system time. The quickest runs are those of wall time on the machine as it is.",
            "",
            *(f"- {name}: {value}" for name, value in self.machine.items()),
            "",
            "| netinspect | peer | rows | wall | busy | user+sys | quickest | wall ms | peer's wall ms | user | sys |"
            " memory MiB | peer's memory MiB | runs |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
            *map(self._row, self.compared),
        ]
        if self.events is not None:
            lines += ["", "## Events", "", *self._heard(self.events)]
        if self.points:
            lines += ["", "## Growth", ""]
            lines += ["Wall time in ms, user and system time in brackets, and peak memory in MiB, at each size.", ""]
            if plot is not None:
                lines += [f"![time against size]({plot})", ""]
            lines += self._growth()
        if self.left_out:
            lines += ["", "## Left out", "", *(f"- {text}" for text in self.left_out)]
        return "\n".join(lines) + "\n"

    def _row(self, compared: Compared) -> str:
        case, comparison = compared.case, compared.comparison
        ours, peer = typical(comparison.ours), typical(comparison.peer)
        title = f"`{case.ours}`" + (f" ({case.name})" if case.name else "")
        figures = (
            f"{compared.rows:,}",
            *(figure(ratio, None if self.scale == "tiny" else goal) for ratio, goal in compared.ratios().values()),
            f"{comparison.best_ratio:.2f}",
            f"{ours.wall * 1000:.0f}",
            f"{peer.wall * 1000:.0f}",
            f"{ours.user * 1000:.0f}",
            f"{ours.system * 1000:.0f}",
            f"{ours.memory / 1024:.0f}",
            f"{peer.memory / 1024:.0f}",
            str(len(comparison.ours)),
        )
        return f"| {title} | `{case.peer}` | {' | '.join(figures)} |".replace("||", "| |")

    @staticmethod
    def _heard(events: Events) -> list[str]:
        return [
            f"{events.rate:,} conntrack events a second for {events.seconds:g} s: entries made, changed and deleted.",
            "",
            "| listener | events a second | events | lost | processor time s |",
            "|---|--:|--:|--:|--:|",
            *(
                f"| `{command}` | {heard.rate:,} | {heard.events:,} | {heard.lost:,} | {heard.processor:.2f} |"
                for command, heard in (("netinspect conntrack events -n", events.ours), (PEER, events.peer))
            ),
        ]

    def _growth(self) -> list[str]:
        sizes = sorted({point.rows for point in self.points})
        heading = "| command | " + " | ".join(f"{size:,}" for size in sizes) + " |"
        lines = [heading, "|---|" + "--:|" * len(sizes)]
        for series in dict.fromkeys(point.series for point in self.points):
            found = {point.rows: point for point in self.points if point.series == series}
            cells = [
                f"{found[size].cost.wall * 1000:,.0f} ({found[size].cost.processor * 1000:,.0f}) ms,"
                f" {found[size].cost.memory / 1024:.0f} MiB"
                if size in found
                else ""
                for size in sizes
            ]
            lines.append(f"| `{series.command}` | {' | '.join(cells)} |")
        return lines

    def _plot(self, path: Path) -> bool:
        if not self.points:
            return False
        try:
            import plot
        except ImportError:
            self.left_out.append("the plot: matplotlib is not installed (the extra `bench` has it)")
            return False
        plot.growth(self.points, path)
        return True


def _runs(comparison: Comparison) -> dict[str, list[dict[str, float]]]:
    return {
        name: [cost._asdict() for cost in costs] for name, costs in zip(("netinspect", "peer"), comparison, strict=True)
    }
