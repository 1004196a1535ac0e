"""The figures as JSON, as one table in Markdown, and as a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from cases import Case, Series
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
    lines: tuple[int, int]
    """What both wrote: lines, with headings."""


class Report:
    """Collects what was measured, and writes it."""

    def __init__(self, scale: str, machine: dict[str, str]) -> None:
        self.scale = scale
        self.machine = machine
        self.compared: list[Compared] = []
        self.points: list[Point] = []
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
                    "goal": compared.case.goal,
                    "ratio": round(compared.comparison.ratio, 3),
                    "best_ratio": round(compared.comparison.best_ratio, 3),
                    "processor_ratio": round(compared.comparison.processor_ratio, 3),
                    "lines": compared.lines,
                    "runs": {
                        name: [dict(zip(cost._fields, cost, strict=True)) for cost in costs]
                        for name, costs in zip(("netinspect", "peer"), compared.comparison, strict=True)
                    },
                }
                for compared in self.compared
            ],
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
            " in turns, output to /dev/null. A ratio is netinspect's wall time for the peer's: the median over pairs of"
            " runs, beside it that of the quickest runs, and that of user and system time.",
            "",
            *(f"- {name}: {value}" for name, value in self.machine.items()),
            "",
            "| netinspect | peer | rows | ratio | goal | quickest | user+sys | wall ms | peer's wall ms | user | sys |"
            " memory MiB | peer's memory MiB | runs |",
            "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
            *map(self._row, self.compared),
        ]
        if self.points:
            lines += ["", "## Growth", "", "Wall time in milliseconds, and peak memory in MiB, at each size.", ""]
            if plot is not None:
                lines += [f"![time against size]({plot})", ""]
            lines += self._growth()
        if self.left_out:
            lines += ["", "## Left out", "", *(f"- {text}" for text in self.left_out)]
        return "\n".join(lines) + "\n"

    def _row(self, compared: Compared) -> str:
        case, comparison = compared.case, compared.comparison
        ours, peer = typical(comparison.ours), typical(comparison.peer)
        mark = "" if case.goal is None or self.scale == "tiny" else f"{case.goal:g}"
        if mark and comparison.ratio > (case.goal or 0):
            mark += " (missed)"
        title = f"`{case.ours}`" + (f" ({case.name})" if case.name else "")
        figures = (
            f"{compared.rows:,}",
            f"**{comparison.ratio:.2f}**",
            mark,
            f"{comparison.best_ratio:.2f}",
            f"{comparison.processor_ratio:.2f}",
            f"{ours.wall * 1000:.0f}",
            f"{peer.wall * 1000:.0f}",
            f"{ours.user * 1000:.0f}",
            f"{ours.system * 1000:.0f}",
            f"{ours.memory / 1024:.0f}",
            f"{peer.memory / 1024:.0f}",
            str(len(comparison.ours)),
        )
        return f"| {title} | `{case.peer}` | {' | '.join(figures)} |".replace("||", "| |")

    def _growth(self) -> list[str]:
        sizes = sorted({point.rows for point in self.points})
        heading = "| command | " + " | ".join(f"{size:,}" for size in sizes) + " |"
        lines = [heading, "|---|" + "--:|" * len(sizes)]
        for series in dict.fromkeys(point.series for point in self.points):
            found = {point.rows: point for point in self.points if point.series == series}
            cells = [
                f"{found[size].cost.wall * 1000:,.0f} ms, {found[size].cost.memory / 1024:.0f} MiB"
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
