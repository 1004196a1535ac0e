"""Time against size: wall time above, user and system time below, a panel for each table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "netinspect"  # the same figures give the same file

from matplotlib import pyplot  # noqa: E402

if TYPE_CHECKING:
    from report import Point


def growth(points: Sequence[Point], path: Path) -> None:
    """Both axes are logarithmic: a straight line at 45 degrees is a cost that grows like the table."""
    tables = list(dict.fromkeys(point.series.table for point in points))
    figure, panels = pyplot.subplots(2, len(tables), figsize=(6 * len(tables), 12), squeeze=False, sharey=True)
    for kind, row in zip(("wall", "processor"), panels, strict=True):
        for panel, name in zip(row, tables, strict=True):
            for series in dict.fromkeys(point.series for point in points if point.series.table == name):
                mine = [point for point in points if point.series == series]
                ours = series.command.startswith("netinspect")
                panel.plot(
                    [point.rows for point in mine],
                    [getattr(point.cost, kind) for point in mine],
                    "o-" if ours else "x--",
                    label=series.command,
                    linewidth=2 if ours else 1,
                )
            panel.set(xscale="log", yscale="log", xlabel=name, title=name)
            panel.grid(alpha=0.3)
            panel.legend(fontsize="small")
    panels[0][0].set_ylabel("seconds of wall time, whole process")
    panels[1][0].set_ylabel("seconds of user and system time")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
