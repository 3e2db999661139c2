"""Says what methods come to after some minutes of condensing: a table and a plot for every number of images per class."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from experiments.methods import CORESETS
from experiments.pipeline import figures
from experiments.report import cells, markdown, words
from experiments.report.cells import Setting
from experiments.report.records import Comparison


class Panel(NamedTuple):
    """What was measured in one setting at one number of images per class, row by row under its name."""

    setting: Setting
    ipc: int
    methods: dict[str, list[dict]]  # `minutes`, `mean` and `std` of every evaluation
    chosen: dict[str, dict]  # of real images, which take no time or little

    @property
    def title(self) -> str:
        """Names the data and the number of images per class."""
        return f"{words.dataset(self.setting.dataset)}, {words.count(self.ipc, 'image')} per class"


def is_timed(found: Comparison) -> bool:
    """Tells whether sets of a comparison were evaluated after some minutes."""
    return any(row.get("by_minutes") for row in found.rows)


def panels(comparisons: Iterable[Comparison]) -> list[Panel]:
    """Gathers what comparisons of one setting measured by time."""
    found: dict[tuple, Panel] = {}
    for each in filter(is_timed, comparisons):
        for row, figure in zip(each.rows, cells.of_comparison(each)):
            panel = found.setdefault((figure.setting, row["ipc"]), Panel(figure.setting, row["ipc"], {}, {}))
            if row["method"] in CORESETS:
                panel.chosen[cells.named(each, row["method"])] = row
            elif row.get("by_minutes"):
                panel.methods[cells.named(each, row["method"])] = row["by_minutes"]
    return [panel for panel in found.values() if panel.methods]


def tabulated(comparisons: Iterable[Comparison]) -> str:
    """Writes a table for each panel, and below it what real images come to."""
    return "\n".join(map(_table, panels(comparisons)))


def _table(panel):
    minutes = sorted({each["minutes"] for points in panel.methods.values() for each in points})
    lines = []
    for name, points in panel.methods.items():
        known = {each["minutes"]: words.accuracy(each) for each in points}
        lines.append([markdown.escape(name), *(known.get(each, "") for each in minutes)])
    heading = [markdown.escape(panel.title), *(f"{each:g} min" for each in minutes)]
    real = ", ".join(f"{name} {words.accuracy(row)}" for name, row in panel.chosen.items())
    beside = f"Real images: {real}. " if real else ""
    beside += f"{panel.setting.network}; students are trained for {panel.setting.evaluation}."
    return f"{markdown.table(heading, lines)}\n{markdown.escape(beside)}\n"


def plot(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Draws every panel into one file."""
    drawn = panels(comparisons)
    levels = [{name: row["mean"] for name, row in panel.chosen.items()} for panel in drawn]
    figures.times(path, {panel.title: (panel.methods, level) for panel, level in zip(drawn, levels)})
