"""Puts figures into tables: a row for every method, and for every number of images per class ours, the paper's and random's."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from experiments.methods import CORESETS, METHODS
from experiments.report import words
from experiments.report.cells import Figure, Setting
from experiments.report.pooling import of_most, pooled


class Cell(NamedTuple):
    """The accuracies of a row at some images per class, in words; empty where nothing is known."""

    ours: str
    paper: str
    random: str
    notes: tuple[str, ...]


class Line(NamedTuple):
    """A row of a table."""

    setting: Setting
    method: str  # as in `Figure`
    label: str
    cells: list[Cell]
    means: list[float | None]


class Table(NamedTuple):
    """A table of figures, with the images per class of its columns."""

    sizes: list[int]
    lines: list[Line]


def table(figures: Iterable[Figure]) -> Table:
    """Merges figures of some settings; those of one cell are pooled.

    Random images are a column, and a row where no other shows them or a paper's figure stands beside them.
    """
    cells: dict[tuple, list[Figure]] = {}
    for each in figures:
        cells.setdefault((each.setting, each.method, each.label, each.ipc), []).append(each)
    found = {key: pooled(several) for key, several in cells.items()}
    sizes = sorted({each.ipc for each in found.values()} - {None})
    random = _randoms(found.values())
    found = {key: _as_column(each, random) for key, each in found.items()}
    rows = sorted(dict.fromkeys(key[:3] for key in found), key=_place)  # in the order of methods, others as they came
    lines = [_line(row, found, sizes, random) for row in rows]
    shown = {
        (line.setting, ipc)
        for line in lines
        if line.method != "random"
        for ipc, cell in zip(sizes, line.cells)
        if cell.random
    }
    return Table(sizes, [line for line in lines if not _is_usual(line) or _adds(line, sizes, shown)])


def settings(figures: Iterable[Figure]) -> dict[Setting, list[Figure]]:
    """Groups figures by their setting."""
    groups: dict[Setting, list[Figure]] = {}
    for each in figures:
        groups.setdefault(each.setting, []).append(each)
    return groups


def columns(found: Table, all_real: str = "all real images") -> list[tuple[str, list[str]]]:
    """Lists the columns behind the label: a heading and a text for each line. Those that would be empty are left out."""
    listed = []
    for i, ipc in enumerate(found.sizes or [None]):
        heading = f"{ipc} per class" if ipc else all_real
        listed.append((heading, [_with_notes(line.cells[i]) for line in found.lines]))
        for name in ("paper", "random"):
            texts = [getattr(line.cells[i], name) for line in found.lines]
            listed += [(name, texts)] if any(texts) else []
    return listed


def best(found: Table) -> list[float]:
    """Gives the highest mean of every column, the whole training set left aside."""
    means = [[line.means[i] for line in found.lines if line.method != "whole"] for i in range(len(found.sizes))]
    return [max((mean for mean in column if mean is not None), default=float("inf")) for column in means]


def _with_notes(cell):
    return f"{cell.ours} ({', '.join(cell.notes)})" if cell.notes else cell.ours


def _adds(line, sizes, shown):
    """Tells whether a row of random images has more to show than the column of other rows does."""
    return any(cell.ours and (cell.paper or (line.setting, ipc) not in shown) for ipc, cell in zip(sizes, line.cells))


def _place(key):
    setting, method, _ = key
    order = [*METHODS]
    return order.index(method) if method in order else len(order), setting.network, setting.evaluation


def _randoms(figures: Iterable[Figure]) -> dict[tuple[Setting, int | None], dict]:
    """Gives the accuracy of random images for every setting and size: of those that were measured, that of most students."""
    found: dict[tuple[Setting, int | None], dict] = {}
    for each in figures:
        for score in (each.random, each.score if _is_usual(each) else None):
            found[each.setting, each.ipc] = of_most([found.get((each.setting, each.ipc)), score])
    return {key: score for key, score in found.items() if score}


def _is_usual(row):
    """Tells whether random images were chosen and judged as they are beside a method, by settings that no label must name."""
    return row.method == "random" and row.label == words.method("random")


def _as_column(figure, random):
    """Gives random images in a row the accuracy that their column shows, which may be of a run of another method."""
    return figure._replace(score=random[figure.setting, figure.ipc]) if _is_usual(figure) else figure


def _line(row, found, sizes, random):
    """Makes a row; the whole training set has the same figure at every size that its setting has."""
    setting, method, label = row
    own = {key[3] for key in found if key[0] == setting} - {None} or {*sizes, None}
    figures: Sequence[Figure | None] = [
        found.get((*row, ipc), found.get((*row, None)) if ipc in own else None) for ipc in sizes or [None]
    ]
    cells = [_cell(each, each and (each.random or random.get((setting, each.ipc)))) for each in figures]
    return Line(setting, method, label, cells, [each.score["mean"] if each else None for each in figures])


def _cell(figure, random):
    if figure is None:
        return Cell("", "", "", ())
    ours, paper, notes = figure.score, figure.paper, []
    if paper and round(ours["mean"] - paper["mean"], 1) < 0:
        notes.append("a miss")
    if random and figure.method not in CORESETS and ours["mean"] < random["mean"]:
        notes.append("below random")
    if figure.shortened:
        notes.append("{} of {} iterations".format(*figure.shortened))
    notes += [] if figure.is_complete else ["not complete"]
    beside = "" if figure.method == "random" else words.accuracy(random)
    return Cell(words.accuracy(ours), words.accuracy(paper), beside, tuple(notes))
