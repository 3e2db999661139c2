"""Accuracies noted student by student in one JSON file, so that an evaluation which was stopped goes on."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dcjax import InputError, ranking
from experiments import output
from experiments.workdir import write_text

_CASE = ("network", "recipe", "augmented")


class Scorebook:
    """What was measured under `settings`. A file of other settings is refused, not overwritten.

    It holds `settings`, `rows`, `scores` (every student's accuracy, by case) and the machine.
    """

    def __init__(self, path: Path, settings: dict):
        self.path = path
        self._content = {"settings": settings, "rows": [], "scores": {}}
        if path.is_file():
            self._content = self._read(settings)
        elif path.exists() or not os.access(path.parent, os.W_OK):
            raise InputError(f"{path} cannot be written: give another --out.")

    def _read(self, settings):
        try:
            noted = json.loads(self.path.read_text())
            before = noted["settings"], noted["rows"], noted["scores"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(
                f"{self.path} is damaged or no evaluation of ours: remove it, or give another --out."
            ) from None
        if before[0] != settings:
            raise InputError(f"{self.path} holds an evaluation under other settings: remove it, or give another --out.")
        return noted

    def fill(self, case: str, run: Callable[[Sequence[float], Callable], np.ndarray]) -> dict:
        """Gives the summary of `run(finished, note)`, of which the finished students are not run again."""

        def note(scores):
            self._content["scores"][case] = [float(score) for score in scores]
            self._write()

        return output.summary(run(self._content["scores"].get(case, []), note))

    def finish(self, rows: list[dict]) -> list[dict]:
        """Adds rows, in place of those of the same case, with what needs several of them; gives the ones added."""
        fresh = [_case(row) for row in rows]
        everything = [row for row in self._content["rows"] if _case(row) not in fresh] + rows
        self._content["rows"] = [{**row, "ars": _augmentation_robust(row, everything)} for row in everything]
        self._content |= output.environment()
        self._write()
        return self._content["rows"][-len(rows) :]

    def _write(self):
        write_text(self.path, json.dumps(self._content, indent=2) + "\n")


def _case(row):
    return tuple(row[name] for name in _CASE)


def _augmentation_robust(row, rows):
    """ARS, where the same was measured with and without augmentation."""
    gains = {
        other["augmented"]: other["ior"] for other in rows if "ior" in other and _case(other)[:2] == _case(row)[:2]
    }
    return round(ranking.augmentation_robust_score(gains[True], gains[False]), 4) if len(gains) == 2 else None
