"""Keeps what each training of a search came to in one JSON file, so that a stopped search goes on with the next."""

import json
import math
from pathlib import Path
from typing import Any

from dcjax import InputError
from dcjax.files import read_json
from experiments.pipeline.candidates import Candidate
from experiments.pipeline.rundir import write_text

EARLY, WHOLE = "early_stopping", "whole"  # what a candidate is trained on beside sets


class Record:
    """A record of the trainings of candidates, by their names, under some settings.

    Args:
        path: file of the record, which goes on if it is there.
        settings: settings that accuracies depend on. Of `sets`, what each proxy is by its name, others may be added.

    Raises:
        InputError: the file is damaged, or holds a search under other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]):
        self.path, self.settings, self.candidates = path, settings, {}
        self.facts: dict[str, Any] = {}  # what else is written
        if not path.exists():
            return
        remedy = "remove it, or give another --workdir"
        before = read_json(path, remedy)
        try:
            noted, self.candidates = before["settings"], before["candidates"]
            for found in self.candidates.values():
                _check_trainings(found["trained"])
            sets = noted["sets"] | settings["sets"]
            differing = [name for name in settings if name != "sets" and noted[name] != settings[name]]
            differing += [f"sets: {name}" for name in noted["sets"] if noted["sets"][name] != sets[name]]
        except (KeyError, TypeError, AttributeError):
            raise InputError(f"{path} is damaged or no search of ours: {remedy}.") from None
        if differing:
            raise InputError(f"{path} holds a search that differs in {', '.join(differing)}: give another --workdir.")
        self.settings = {**settings, "sets": sets}

    def trained(self, name: str) -> dict[str, dict]:
        """Gives what is noted of a candidate's trainings, by proxy."""
        return self.candidates.get(name, {}).get("trained", {})

    def note(self, candidate: Candidate, proxy: str, facts: dict[str, Any]) -> None:
        own = self.candidates.setdefault(candidate.name, {"parameters": candidate.parameters, "trained": {}})
        own["trained"][proxy] = facts

    def write(self) -> None:
        content = {**self.facts, "settings": self.settings, "candidates": self.candidates}
        write_text(self.path, json.dumps(content, indent=1) + "\n")


def _check_trainings(trained):
    for facts in trained.values():
        numbers = [facts["seconds"], facts["images"], facts["accuracy"] or 0, facts.get("test_accuracy") or 0]
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
            raise TypeError
