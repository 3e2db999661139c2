"""Stores accuracies student by student in one JSON file, so that a stopped evaluation goes on with the next student."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dcjax import InputError, files
from experiments.pipeline import show
from experiments.pipeline.processes import on_first
from experiments.pipeline.rundir import write_text

Evaluation = Callable[[Sequence[float], Callable[[np.ndarray], None]], np.ndarray]  # (finished, note) -> all accuracies


class ScoreStore:
    """A store of accuracies: `settings` that all depend on, `scores` (every student's, by case), and what else is added.

    Args:
        path: file of the store.
        settings: settings that the accuracies depend on; see also `measure`.
        content: content of the file, if it is there already.
    """

    def __init__(self, path: Path, settings: dict, content: dict | None = None):
        self.path = path
        self.content: dict[str, Any] = content or {"settings": settings, "scores": {}}

    def measure(self, case: str, evaluation: Evaluation, depends: dict[str, Any] | None = None) -> dict:
        """Evaluates a case, without training finished students again, and gives its summary. Students that are not asked for stay.

        Args:
            case: name of the accuracy.
            evaluation: trains and tests.
            depends: settings that this case depends on beside those of the store; measured under others, it is measured anew.
        """
        own = self.content.get("depends", {}).get(case, {})
        if not _hold(self.content["settings"] | own, depends or {}):  # earlier versions noted all in one
            self.content["scores"].pop(case, None)
        depends = _as_in_a_file(depends or {})
        if depends or own:
            self.content.setdefault("depends", {})[case] = depends

        def note(scores):
            self.content["scores"][case] = [float(score) for score in scores]
            self.write()

        scores = evaluation(self.content["scores"].get(case, []), note)
        if len(scores) > len(self.content["scores"].get(case, [])):
            note(scores)
        return show.summary(scores)

    def write(self) -> None:
        content = {name: value for name, value in self.content.items() if name != "sha256"}
        write_text(self.path, json.dumps({**content, "sha256": _digest(content)}, indent=2) + "\n")


def resumed(path: Path, settings: dict) -> ScoreStore:
    """Opens a command's own store. Accuracies under other settings, which a command may have when it is given again, are measured anew.

    Those that were there are set aside in `NAME-DIGEST.json`, the digest being that of their settings, and are taken up when these return.
    """
    on_first(lambda: _exchange(path, settings))
    content = _read(path)
    if content is None and path.exists():
        show.say(f"{path} is damaged: its accuracies are measured again.")
    return ScoreStore(path, _as_in_a_file(settings), content)


def _exchange(path, settings):
    """Puts a file of other settings aside, and that of these in its place, if there is one and none is there or it is damaged."""
    content = _read(path)
    if content and _hold(content["settings"], settings):
        return
    if content:
        path.replace(path.with_name(f"{path.stem}-{_digest(content['settings'])[:12]}{path.suffix}"))
    for place in sorted(path.parent.glob(f"{path.stem}-*{path.suffix}")):
        found = _read(place)
        if found and _hold(found["settings"], settings):
            place.replace(path)
            return


def opened(path: Path, settings: dict) -> ScoreStore:
    """Opens a store in a file that the user named, and refuses one that does not fit instead of overwriting it.

    Raises:
        InputError: the file is none of ours, was made under other settings, or cannot be written.
    """
    settings = _as_in_a_file(settings)
    if not path.exists() and os.access(path.parent, os.W_OK):
        return ScoreStore(path, settings, {"settings": settings, "scores": {}, "rows": []})
    if not path.is_file():
        raise InputError(f"{path} cannot be written: give another --workdir.")
    content = _read(path)
    if content is None or "rows" not in content:
        raise InputError(f"{path} is damaged or no evaluation of ours: remove it, or give another --workdir.")
    if content["settings"] != settings:
        raise InputError(f"{path} holds an evaluation under other settings: remove it, or give another --workdir.")
    return ScoreStore(path, settings, content)


def _hold(noted, settings):
    """Tells whether a file that noted these settings, an earlier version's maybe more, was made under `settings`."""
    chosen = _as_in_a_file(settings)
    return chosen.items() <= noted.items() and not (settings.keys() - chosen.keys()) & noted.keys()


def _as_in_a_file(settings):
    """Gives settings as they are read again. Those that choose nothing are left out, because earlier versions had none of them."""
    return json.loads(json.dumps({name: value for name, value in settings.items() if value != ()}))


def _read(path):
    """Reads a file of accuracies; gives None if it is none, or not as it was written."""
    try:
        content = files.read_json(path, "remove it")
        scores = [score for case in content["scores"].values() for score in case]
        is_right = isinstance(content["settings"], dict) and all(
            math.isnan(score) or 0 <= score <= 1 for score in scores
        )
    except (InputError, KeyError, TypeError, AttributeError):
        return None
    noted = content.pop("sha256", None)  # earlier versions noted none
    return content if is_right and noted in (None, _digest(content)) else None


def _digest(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
