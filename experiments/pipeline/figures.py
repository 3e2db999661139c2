"""Draws plots of what was measured; `pictures` draws the images themselves."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dcjax.files import writing


def curves(path: Path, history: list[dict], iterations: int, accuracy: dict[str, dict]) -> None:
    """Draws the loss over iterations, and the accuracies measured beside that of random real images.

    Args:
        path: file of the PNG.
        history: rows of `metrics.jsonl`.
        iterations: number of the last iteration, at which `accuracy` was measured.
        accuracy: `condensed` and `random` with `mean` and `std` in percent, as far as they are known.
    """
    losses = [(row["iteration"], row["loss"]) for row in history if "loss" in row]
    scores = [(row["iteration"], row["accuracy"], row["deviation"]) for row in history if "deviation" in row]
    if "condensed" in accuracy and iterations not in [row[0] for row in scores]:
        scores.append((iterations, accuracy["condensed"]["mean"], accuracy["condensed"]["std"]))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    left.plot(*zip(*losses), linewidth=0.8)
    left.set(xlabel="iteration", ylabel="loss", yscale="log")
    if scores:
        x, mean, deviation = zip(*scores)
        right.errorbar(x, mean, deviation, marker="o", capsize=3, label="condensed")
    if "random" in accuracy:
        random, deviation = accuracy["random"]["mean"], accuracy["random"]["std"]
        right.axhspan(random - deviation, random + deviation, color="grey", alpha=0.2, linewidth=0)
        right.axhline(random, color="grey", linestyle="--", label="random real images ± deviation")
        right.legend()
    right.set(xlabel="iteration", ylabel="test accuracy (%)", xlim=(0, 1.05 * iterations))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    _save(figure, path, 120)


def varied(path: Path, names: list[str], labels: list[tuple[str, list[str]]], rows: list[dict]) -> None:
    """Draws accuracies over the first of some settings, a line for each method, combination of the others and images per class.

    Args:
        path: file of the PNG.
        names: names of the settings.
        labels: the label of every row, with the values of the settings.
        rows: rows of a comparison, with `method`, `ipc`, `mean` and `std`.
    """
    lines: dict[str, list[tuple]] = {}
    for row in rows:
        label, (first, *others) = next(each for each in labels if row["method"].endswith(each[0]))
        beside = [*filter(None, [row["method"].removesuffix(label).removesuffix(": ")])]
        beside += [f"{name.replace('_', ' ')} {value}" for name, value in zip(names[1:], others)]
        lines.setdefault(", ".join([*beside, f"{row['ipc']} per class"]), []).append((first, row["mean"], row["std"]))
    figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    for name, points in lines.items():
        x, mean, deviation = zip(*points)
        axes.errorbar(x, mean, deviation, marker="o", capsize=3, label=name)  # values are words, evenly spaced
    axes.set(xlabel=names[0].replace("_", " "), ylabel="test accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path, 120)


def heat(
    path: Path, title: str, rows: Sequence[str], columns: Sequence[str], cells: dict[tuple[str, str], dict]
) -> None:
    """Draws the accuracy of every combination, with what each stored and how many steps it took.

    Args:
        path: file of the PNG.
        title: above it.
        rows: names of the rows.
        columns: names of the columns.
        cells: (row, column) -> a row of a comparison.
    """
    mean = np.array([[cells.get((row, column), {"mean": np.nan})["mean"] for column in columns] for row in rows])
    figure, axes = plt.subplots(figsize=(1.9 * len(columns) + 1.8, 0.8 * len(rows) + 1), layout="constrained")
    axes.imshow(mean, cmap="viridis", aspect="auto")
    axes.set_title(title)
    middle = (np.nanmin(mean) + np.nanmax(mean)) / 2
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            cell = cells.get((row, column))
            if not cell:
                axes.text(j, i, "diverged", ha="center", va="center", fontsize=8)
                continue
            text = f"{cell['mean']:.1f} ± {cell['std']:.1f}\n{cell.get('bytes', 0)} bytes, {cell.get('steps', 0)} steps"
            colour = "white" if mean[i, j] < middle else "black"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(columns)), [name.replace("_", " ") for name in columns])
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
    axes.tick_params(length=0)
    _save(figure, path, 120)


def times(path: Path, panels: Sequence[tuple[str, dict[str, list[dict]], dict[str, dict]]]) -> None:
    """Draws for every panel the accuracies of methods over the minutes that they condensed for, and those of real images as level lines.

    Args:
        path: file of the PNG.
        panels: title, the points of every method (`minutes`, `mean`, `std`, and the `mark` that is written below), and the accuracy of
            every choice of real images.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 3.8), squeeze=False, layout="constrained")
    for axis, (title, lines, levels) in zip(axes[0], panels):
        for name, points in lines.items():
            x, mean, deviation = zip(*((point["minutes"], point["mean"], point["std"]) for point in points))
            axis.errorbar(x, mean, deviation, marker="o", capsize=3, label=name)
        for style, (name, level) in zip(itertools.cycle(("--", ":", "-.", (0, (5, 1)), (0, (1, 3)))), levels.items()):
            axis.axhline(level["mean"], color="grey", linestyle=style, label=name)
            axis.axhspan(
                level["mean"] - level["std"], level["mean"] + level["std"], color="grey", alpha=0.1, linewidth=0
            )
        marks = sorted({point["mark"] for points in lines.values() for point in points})
        axis.set(title=title, xlabel="minutes of condensing", ylabel="test accuracy (%)", xscale="log")
        axis.set_xticks(marks, [f"{mark:g}" for mark in marks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    _save(figure, path, 120)


def agreement(path: Path, panels: dict[str, list[tuple[float, float]]]) -> None:
    """Draws for every proxy a point for each network: its accuracy after training on the proxy, and after training on the whole set.

    Args:
        path: file of the PNG.
        panels: by the name of the proxy, pairs of accuracies in percent.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.8 * len(panels) + 0.6, 3.1), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, (name, points) in zip(axes[0], panels.items()):
        axis.plot(*np.reshape(points, (-1, 2)).T, "o", markersize=3, alpha=0.6)
        axis.set(title=name.replace("_", " "), xlabel="trained on it (%)")
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("trained on the whole set (%)")
    _save(figure, path, 120)


def steps(path: Path, labels: Sequence[str], lines: dict[str, list[tuple[float, float]]]) -> None:
    """Draws the accuracy after every step, a line for each way to learn.

    Args:
        path: file of the PNG.
        labels: the label of every step.
        lines: name -> mean and deviation after every step.
    """
    figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
    for name, points in lines.items():
        mean, deviation = zip(*points)
        axes.errorbar(range(len(labels)), mean, deviation, marker="o", capsize=3, label=name)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("test accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path, 120)


def _save(figure, path, dpi):
    with writing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")
    plt.close(figure)
