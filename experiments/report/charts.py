"""Turns a run's metrics over its iterations into line charts, as numbers for an SVG."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from experiments.report import words
from experiments.report.records import Run

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 336, 14, 204  # of the plotting area
_POINTS = 300  # a line needs no more


class Chart(NamedTuple):
    """A chart: positions in an SVG of WIDTH x HEIGHT, and what they say."""

    title: str
    summary: str  # for those who do not see it
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    line: list[tuple[float, float]]
    dots: list[tuple[float, float, float, float]]  # x, mean, and the ends of the deviation
    levels: list[tuple[float, str, str]]  # horizontal lines: y, name, and the end where the name is out of the way


def loss(run: Run) -> Chart | None:
    """Charts the loss over iterations: averaged if there are many, logarithmic if it falls far."""
    rows = _rows(run, "loss")
    if len(rows) < 2:
        return None
    together = math.ceil(len(rows) / _POINTS)
    points = np.array([rows[i : i + together].mean(0) for i in range(0, len(rows), together)])
    low, high = points[:, 1].min(), points[:, 1].max()
    falls_far = low > 0 and high / low > 20
    x_place, x_ticks = _axis(rows[:, 0], LEFT, RIGHT)
    y_place, y_ticks = (_logarithmic if falls_far else _axis)(points[:, 1], BOTTOM, TOP)
    averaged = f", mean of every {together} iterations" if together > 1 else ""
    summary = f"Loss from {points[0, 1]:.3g} at the start to {points[-1, 1]:.3g} at iteration {rows[-1, 0]:.0f}"
    line = [(x_place(x), y_place(y)) for x, y in points]
    return Chart(f"Loss{averaged}", summary, x_ticks, y_ticks, line, [], [])


def accuracy(run: Run) -> Chart | None:
    """Charts the accuracies measured on the way and at the end, beside that of random images."""
    rows = [tuple(row) for row in _rows(run, "accuracy", "deviation")]
    final, last = run.accuracy.get("condensed"), run.config.get("iterations")
    if final and last and last not in [row[0] for row in rows]:
        rows.append((last, final["mean"], final["std"]))
    if len(rows) < 2:
        return None
    random = run.accuracy.get("random")
    ends = [float(np.clip(mean + side * d, 0, 100)) for _, mean, d in rows for side in (-1, 1)]
    x_place, x_ticks = _axis([0, *(row[0] for row in rows)], LEFT, RIGHT)
    y_place, y_ticks = _axis(ends + ([random["mean"]] if random else []), BOTTOM, TOP)
    dots = [(x_place(x), y_place(mean), y_place(mean - d), y_place(mean + d)) for x, mean, d in rows]
    summary = "; ".join(f"{mean:.1f} ± {deviation:.1f} at iteration {x:.0f}" for x, mean, deviation in rows)
    summary += f"; random real images {random['mean']:.1f}" if random else ""
    levels = [_level(y_place(random["mean"]), "random", dots)] if random else []
    return Chart("Test accuracy (%)", summary, x_ticks, y_ticks, [dot[:2] for dot in dots], dots, levels)


def _level(y, name, dots):
    return y, name, "start" if abs(dots[0][1] - y) > abs(dots[-1][1] - y) else "end"


def _rows(run, *names):
    """Gives the logged rows that hold finite numbers by these names, [T, 1 + names]."""
    rows = [[row.get(name) for name in ("iteration", *names)] for row in run.history]
    rows = [row for row in rows if all(isinstance(x, (int, float)) and math.isfinite(x) for x in row)]
    return np.array(rows, float).reshape(-1, 1 + len(names))


def _axis(values, start, end):
    """Makes a linear axis from round numbers to round numbers: (value -> position, ticks)."""
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(min(values), max(values))

    def place(value):
        return _between(value, ticks[0], ticks[-1], start, end)

    return place, [(place(tick), _number(tick)) for tick in ticks]


def _logarithmic(values, start, end):
    """Makes an axis as `_axis` does, with equal ratios at equal distances."""
    low, high = min(values), max(values)
    ticks = LogLocator(subs=(1,) if high > 100 * low else (1, 2, 5)).tick_values(low, high)

    def place(value):
        return _between(math.log(value), math.log(low), math.log(high), start, end)

    return place, [(place(tick), _number(tick)) for tick in ticks if low <= tick <= high]


def _between(value, low, high, start, end):
    return round(start + (end - start) * (value - low) / (high - low), 1)


def _number(value):
    return words.minus(f"{round(value, 9):,.6g}").replace(",", "\N{THIN SPACE}")
