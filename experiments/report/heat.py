"""Makes heat maps of accuracies across networks and recipes."""

import itertools
from typing import NamedTuple

from experiments.report import words
from experiments.report.checks import BOUNDED, SCORES
from experiments.report.records import Run


class Cell(NamedTuple):
    """A number in a heat map; `heat` is its place between the least and the greatest, None for no colour."""

    text: str
    heat: float | None


class Heat(NamedTuple):
    """A heat map: rows are named by network and recipe."""

    columns: list[str]
    rows: list[tuple[str, str, list[Cell]]]
    left_out: list[str] = []  # sentences on the scores and accuracies that are not there


def networks(evaluation: dict) -> Heat:
    """Maps one set on every network and under every recipe, beside its rivals, with DD-Ranking's scores."""
    rows = [_bounded(row) for row in evaluation["rows"]]
    rivals = list(dict.fromkeys(name for row in rows for name in row["accuracy"]))
    scores = [name for name in SCORES if any(row.get(name) is not None for row in rows)]
    warmth = _warmth([score["mean"] for row in rows for score in row["accuracy"].values()])
    relative = _warmth([row["relative"] for row in rows if row.get("relative") is not None])
    columns = [_named(name, evaluation) for name in rivals]
    columns += ["relative to whole" if name == "relative" else name.upper() for name in scores]
    lines = [
        (
            *_case(evaluation, row),
            [_accuracy(row["accuracy"].get(name), warmth) for name in rivals]
            + [_score(row.get(name), relative if name == "relative" else None) for name in scores],
        )
        for row in rows
    ]
    left_out = dict.fromkeys(row["left_out"] for row in rows if row.get("left_out"))
    diverged = [f"Not in the table: {sentence}" for sentence in evaluation.get("diverged", {}).values()]
    return Heat(columns, lines, [*left_out, *diverged])


def _named(rival, evaluation):
    """Names a rival; the whole training set with the epochs that its students were trained for."""
    if rival != "whole":
        return rival.replace("_", ", ", 1).replace("_", " ")
    noted = [row["accuracy"]["whole"].get("epochs") for row in evaluation["rows"] if "whole" in row["accuracy"]]
    epochs = [str(number or evaluation["settings"].get("whole_epochs", "")) for number in noted]
    return f"whole, {' or '.join(dict.fromkeys(epochs))} epochs" if all(epochs) else "whole"


def _bounded(row):
    """Leaves out the scores against the whole set that an earlier version noted, however briefly it had trained on it."""
    if "epochs" in row["accuracy"].get("whole", {"epochs": 0}) or not row.keys() & set(BOUNDED):
        return row
    reason = (
        "HLR, LRS and the share of the whole set are left out: an earlier version noted them for any number of epochs."
    )
    return {name: value for name, value in row.items() if name not in BOUNDED} | {"left_out": reason}


def across(runs: list[Run]) -> list[tuple[str, Heat]]:
    """Maps the tested sets of a dataset beside each other, for every dataset that has several."""
    found = []
    for name, group in itertools.groupby(runs, key=lambda run: run.config["dataset"]):
        tested = [run for run in group if run.evaluation and run.evaluation["rows"]]
        if len(tested) > 1:
            found.append((words.dataset(name), _sets(tested)))
    return found


def _sets(runs):
    """Makes a heat map with a row for each network and recipe, and a column for each set."""
    cases = {}
    for run in runs:
        for row in run.evaluation["rows"]:
            cases.setdefault(_case(run.evaluation, row), {})[run.path] = row["accuracy"]["condensed"]
    warmth = _warmth([score["mean"] for scores in cases.values() for score in scores.values()])
    columns = [f"{words.method(run.config['method'])}, {run.config['ipc']} per class" for run in runs]
    lines = [(*case, [_accuracy(found.get(run.path), warmth) for run in runs]) for case, found in cases.items()]
    return Heat(columns, lines)


def _case(evaluation, row):
    """Gives the network and the recipe of a row in words."""
    width = evaluation["settings"].get("width")
    return words.network(row["network"], width), words.recipe(row["recipe"], row["augmented"])


def _accuracy(score, warmth):
    return Cell(words.accuracy(score), warmth(score["mean"]) if score else None)


def _score(value, warmth):
    if value is None:
        return Cell("", None)
    return Cell(words.minus(f"{value:.3f}"), warmth(value) if warmth else None)


def _warmth(values):
    """Gives the function from a value to its place in [0, 1] among `values`."""
    low, high = min(values, default=0), max(values, default=0)
    return lambda value: round((value - low) / (high - low), 3) if high > low else 0.5
