"""Gathers finished runs into the rows of a comparison: accuracies over all their sets, what these store, and what they came to on the way."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from experiments.settings.settings import Settings


class Made(NamedTuple):
    """A finished run, with its row and column of a table."""

    row: str
    ipc: int | None
    settings: Settings
    result: dict


def rows(made: Iterable[Made]) -> list[dict]:
    """Gives a record for each row and column of a table: the mean over all students, and the mean of each set."""
    found = []
    for (row, ipc), group in itertools.groupby(made, key=lambda each: each[:2]):
        runs = [*group]
        results = [each.result for each in runs]
        sets = [next(iter(result["accuracy"].values()))["values"] for result in results]
        everyone = np.concatenate(sets)
        found.append(
            {
                "method": row,
                "ipc": ipc,
                "mean": round(float(everyone.mean()), 2),
                "std": round(float(everyone.std()), 2),
                "set_means": [round(float(np.mean(values)), 2) for values in sets],
                "students": len(everyone),
                **_sizes(results),
                **_by_minutes(runs[0].settings.values(), results),
            }
        )
    return found


def _by_minutes(settings, results):
    """Gives the mean over sets of what they came to after some minutes, where they were evaluated on the way, and at the end."""
    if not settings.get("eval_minutes"):
        return {}
    found = []
    for minutes in sorted({*settings["eval_minutes"], settings["minutes"]}):
        reached = [_after(minutes, result) for result in results]
        mean = float(np.mean([each["mean"] for each in reached]))
        square = np.mean([each["std"] ** 2 + (each["mean"] - mean) ** 2 for each in reached])
        students = sum(each.get("students", 0) for each in reached)
        found.append({"minutes": minutes, "mean": round(mean, 2), "std": round(float(square) ** 0.5, 2)})
        found[-1]["students"] = students
    return {"by_minutes": found}


def _after(minutes, result):
    """Gives the first accuracy that was measured after so many minutes; the last of all where none was."""
    later = [each for each in result.get("on_the_way", []) if each["minutes"] >= minutes - 1e-4]  # as they are rounded
    return later[0] if later else result["accuracy"]["condensed"]


def _sizes(results):
    """Says what the sets of a cell store and how many steps of what is learned they took; the mean of sets that differ."""
    stored = [result["stored_bytes"] for result in results if "stored_bytes" in result]
    configs = [result["config"] for result in results if "condense_seconds" in result]
    steps = [config["iterations"] * config["matches"] for config in configs]
    return {name: round(float(np.mean(found))) for name, found in {"bytes": stored, "steps": steps}.items() if found}
