"""Gathers finished runs into the rows of a comparison: accuracies over all their sets, what these store, and what they came to on the way."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from experiments.settings.settings import Settings


class Finished(NamedTuple):
    """A finished run, with its row and column of a table."""

    row: str
    ipc: int | None
    settings: Settings
    result: dict


def rows(made: Iterable[Finished]) -> list[dict]:
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
    """Gives what sets came to after some minutes, where all of them were evaluated then, and at the end: means, with the minutes it took."""
    if not settings.get("eval_minutes"):
        return {}
    marks = {mark: [_after(mark, result) for result in results] for mark in sorted(settings["eval_minutes"])}
    marks[settings["minutes"]] = [*map(_in_the_end, results)]
    return {"by_minutes": [_pooled(mark, reached) for mark, reached in marks.items() if all(reached)]}


def _after(mark, result):
    """Gives the accuracy after the iteration in which a minute mark was passed; None where none was measured then."""
    rounding = 1e-6  # of the minutes
    found = result.get("on_the_way", [])
    passed = [each for each in found if each["began"] < mark <= each["minutes"] + rounding]
    return passed[0] if passed else None


def _in_the_end(result):
    """Gives the accuracy of the finished set; None where its minutes are not known, since a part of the log was lost."""
    seconds = result.get("condense_seconds")
    return None if seconds is None else {**result["accuracy"]["condensed"], "minutes": seconds / 60}


def _pooled(mark, reached):
    """Pools students whose means and deviations are known set by set, all of as many students."""
    mean = float(np.mean([each["mean"] for each in reached]))
    students = [each.get("students") for each in reached]  # earlier versions did not note those on the way
    square = np.mean([each["std"] ** 2 + (each["mean"] - mean) ** 2 for each in reached])
    return {
        "mark": mark,
        "minutes": round(float(np.mean([each["minutes"] for each in reached])), 2),
        "mean": round(mean, 2),
        "std": round(float(square) ** 0.5, 2),
        **({"students": sum(students)} if all(students) else {}),
    }


def _sizes(results):
    """Says what the sets of a cell store, and how many steps or seconds of choosing they took; the mean of sets that differ."""
    stored = [result["stored_bytes"] for result in results if "stored_bytes" in result]
    configs = [result["config"] for result in results if "condense_seconds" in result]
    steps = [config["iterations"] * config["matches"] for config in configs]
    chosen = [result["choose_seconds"] for result in results if "choose_seconds" in result]
    facts = {"bytes": stored, "steps": steps, "choose_seconds": chosen}
    return {name: round(float(np.mean(found))) for name, found in facts.items() if found}
