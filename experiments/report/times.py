"""Says what methods come to after some minutes of condensing: a table for every setting, and a plot for every number of images per class."""

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


class Timed(NamedTuple):
    """A table of one setting, as plain text: a column for every size and mark, and what stands below it."""

    title: str
    heading: list[str]
    lines: list[list[str]]
    below: str


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


def tables(comparisons: Iterable[Comparison]) -> list[Timed]:
    """Makes a table for each setting, a column for every size and mark, and below it what real images come to."""
    of_setting: dict[Setting, list[Panel]] = {}
    for panel in panels(comparisons):
        of_setting.setdefault(panel.setting, []).append(panel)
    return [_table(setting, group) for setting, group in of_setting.items()]


def tabulated(comparisons: Iterable[Comparison]) -> str:
    """Writes those tables in Markdown."""
    texts = [
        f"{markdown.table([*map(markdown.escape, found.heading)], [[*map(markdown.escape, line)] for line in found.lines])}"
        f"\n{markdown.escape(found.below)}\n"
        for found in tables(comparisons)
    ]
    return "\n".join(texts)


def _table(setting, group):
    columns = [(panel, mark) for panel in group for mark in _marks(panel)]
    lines = []
    for name in dict.fromkeys(name for panel in group for name in panel.methods):
        points = (_at(panel.methods.get(name, ()), mark) for panel, mark in columns)
        lines.append([name, *(_cell(point) if point else "" for point in points)])
    heading = [words.dataset(setting.dataset), *(f"{panel.ipc} per class, {mark:g} min" for panel, mark in columns)]
    real = [
        f"at {panel.ipc} per class {', '.join(map(_real, panel.chosen.items()))}" for panel in group if panel.chosen
    ]
    beside = f"Real images: {'; '.join(real)}. " if real else ""
    beside += f"{setting.network}; students are trained for {setting.evaluation}. {_COUNTED}"
    title = ", ".join([words.dataset(setting.dataset), setting.network, setting.evaluation])
    return Timed(title, heading, lines, beside)


def _marks(panel):
    return sorted({each["mark"] for points in panel.methods.values() for each in points})


def _at(points, mark):
    return next((each for each in points if each["mark"] == mark), None)


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
