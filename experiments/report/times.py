"""Says what methods come to after some minutes of condensing: a table and a plot for every number of images per class."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from experiments.methods import CORESETS
from experiments.pipeline import figures
from experiments.report import cells, markdown, words
from experiments.report.cells import Setting
from experiments.report.records import Comparison

_COUNTED = (
    "Minutes are those of iterations: compiling, and networks that are trained before the first, are not counted."
)
_LATE = 1.05  # times the minutes of a mark: an accuracy that is measured later says when


class Panel(NamedTuple):
    """What was measured in one setting at one number of images per class, row by row under its name."""

    setting: Setting
    ipc: int
    methods: dict[str, list[dict]]  # `mark`, `minutes`, `mean` and `std` of every evaluation
    chosen: dict[str, dict]  # of real images

    @property
    def title(self) -> str:
        """Names the data and the number of images per class."""
        return f"{words.dataset(self.setting.dataset)}, {words.count(self.ipc, 'image')} per class"


def is_timed(found: Comparison) -> bool:
    """Tells whether sets of a comparison were evaluated after some minutes."""
    return any(row.get("by_minutes") for row in found.rows)


def panels(comparisons: Iterable[Comparison]) -> list[Panel]:
    """Gathers what comparisons of one setting measured by time; of two rows of one name, the second is named with its folder."""
    found: dict[tuple, Panel] = {}
    for each in filter(is_timed, comparisons):
        for row, figure in zip(each.rows, cells.of_comparison(each, aside=("minutes",))):
            panel = found.setdefault((figure.setting, row["ipc"]), Panel(figure.setting, row["ipc"], {}, {}))
            rows, value = (panel.chosen, row) if row["method"] in CORESETS else (panel.methods, row.get("by_minutes"))
            if value:
                rows[figure.label if figure.label not in rows else f"{figure.label} ({each.path.name})"] = value
    return [panel for panel in found.values() if panel.methods]


def tabulated(comparisons: Iterable[Comparison]) -> str:
    """Writes a table for each panel, and below it what real images come to."""
    return "\n".join(map(_table, panels(comparisons)))


def _table(panel):
    marks = sorted({each["mark"] for points in panel.methods.values() for each in points})
    lines = []
    for name, points in panel.methods.items():
        known = {each["mark"]: _cell(each) for each in points}
        lines.append([markdown.escape(name), *(known.get(mark, "") for mark in marks)])
    heading = [markdown.escape(panel.title), *(f"{mark:g} min" for mark in marks)]
    real = ", ".join(map(_real, panel.chosen.items()))
    beside = f"Real images: {real}. " if real else ""
    beside += f"{panel.setting.network}; students are trained for {panel.setting.evaluation}. {_COUNTED}"
    return f"{markdown.table(heading, lines)}\n{markdown.escape(beside)}\n"


def _cell(point):
    late = f" ({point['minutes']:.1f} min)" if point["minutes"] > _LATE * point["mark"] else ""
    return f"{words.accuracy(point)}{late}"


def _real(item):
    name, row = item
    taken = f" (chosen in {words.duration(row['choose_seconds'])})" if row.get("choose_seconds", 0) >= 1 else ""
    return f"{name} {words.accuracy(row)}{taken}"


def plot(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Draws every panel into one file."""
    drawn = [(f"{panel.title}, {panel.setting.network}", panel.methods, panel.chosen) for panel in panels(comparisons)]
    figures.times(path, drawn)
