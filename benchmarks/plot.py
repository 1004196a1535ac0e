"""Time against size, a panel for each table."""

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
    figure, panels = pyplot.subplots(1, len(tables), figsize=(6 * len(tables), 6), squeeze=False, sharey=True)
    for panel, name in zip(panels[0], tables, strict=True):
        for series in dict.fromkeys(point.series for point in points if point.series.table == name):
            mine = [point for point in points if point.series == series]
            ours = series.command.startswith("netinspect")
            panel.plot(
                [point.rows for point in mine],
                [point.cost.wall for point in mine],
                "o-" if ours else "x--",
                label=series.command,
                linewidth=2 if ours else 1,
            )
        panel.set(xscale="log", yscale="log", xlabel=name, title=name)
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    panels[0][0].set_ylabel("seconds, whole process")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
