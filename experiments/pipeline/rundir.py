"""Reads and writes the run directory: what a run leaves behind, and what it needs to go on."""

import contextlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dcjax import InputError, files
from dcjax.data import Dataset
from experiments.pipeline import lock
from experiments.pipeline.processes import is_first, on_first
from experiments.pipeline.show import say
from experiments.settings import saved
from experiments.settings.settings import Settings

FILES = (
    "config.json",
    "data.json",
    "metrics.jsonl",
    "scores.json",
    "condensed.npz",
    "condensed.png",
    "curves.png",
    "result.json",
)
_WHEN = ("eval_at", "eval_minutes")


class RunDirectory:
    """A run directory, which the first of several processes alone writes and all may read.

    Holds `FILES`, `checkpoints/`, accuracies under other settings as `scores-DIGEST.json`, and two hidden files by which a command keeps
    the directory for itself.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"

    def checkpoint_names(self) -> list[str]:
        """Names the iterations that a resumed run could start from."""
        return sorted(path.name for path in self.checkpoints.glob("*") if path.name.isdigit())

    def log(self, **metrics: float) -> None:
        if is_first():
            files.append_text(self.metrics, json.dumps(metrics) + "\n")

    def history(self) -> list[dict]:
        """Gives everything logged so far. Lines that are no rows, as a kill or damage may leave, are left out."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()
        return [row for row in map(_row, lines) if row]

    def seconds(self) -> list[float]:
        """Lists the seconds of the iterations that are logged."""
        return [row["seconds"] for row in self.history() if "loss" in row and "seconds" in row]

    def result(self) -> dict:
        """Reads `result.json` as it is so far; gives nothing where it is not there, or damaged."""
        try:
            return files.read_json(self.path / "result.json", "remove it")
        except InputError:
            return {}

    def rewind(self, iteration: int) -> None:
        """Removes what was logged after `iteration`, since a resumed run logs it again, and tells what is lacking before."""
        rows = [row for row in self.history() if row["iteration"] <= iteration]
        write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))
        lacking = len(self.unlogged(iteration))
        if lacking:
            say(
                f"{self.metrics} is damaged: {lacking} of {iteration} iterations are not in it, so the curves and the times of the "
                "run will lack them; the images do not depend on it."
            )

    def unlogged(self, iterations: int) -> set[int]:
        """Gives the iterations up to `iterations` that have no loss in the log."""
        return {*range(1, iterations + 1)} - {row["iteration"] for row in self.history() if "loss" in row}

    def write_json(self, name: str, content: dict) -> None:
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")


def under(history: list[dict], values: Mapping[str, Any]) -> list[dict]:
    """Leaves out accuracies on the way that students of other settings reached; earlier versions did not log which they had."""
    own = evaluation(values)
    return [row for row in history if row.get("evaluation", own) == own]


def evaluation(values: Mapping[str, Any]) -> int:
    """Digests those of a run's settings by which students are trained, as a number for the log; what chooses nothing is none of them."""
    names = [name for name in sorted(values) if name.startswith("eval_") and name not in _WHEN]
    return zlib.crc32(json.dumps({name: values[name] for name in names if values[name]}).encode())


def _row(line):
    """Reads one row of the log: numbers by name, the iteration among them; gives None if it is none."""
    try:
        row = json.loads(line)
        is_row = type(row["iteration"]) is int and all(type(value) in (int, float) for value in row.values())
        return row if is_row else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all, in the first process alone."""
    if is_first():
        files.write_text(path, text)


def check(settings: Settings) -> None:
    """Refuses to overwrite a directory, to resume a run that is not there, and to go on among files that are none."""
    path = Path(settings.workdir)
    if path.is_file():
        raise InputError(f"{path} is a file: give another --workdir.")
    if settings.resume and not (path / "config.json").exists():
        raise InputError(f"There is no run to resume in {path}: {saved.remedy(path, 'leave --resume out')}.")
    if not settings.resume and path.is_dir() and any(not _is_leftover(entry) for entry in path.iterdir()):
        raise InputError(f"{path} is not empty: give --resume to continue a run that is there, or another --workdir.")
    odd = [name for name in FILES if (path / name).exists() and not (path / name).is_file()]
    if odd:
        raise InputError(f"{path / odd[0]} is no regular file: move it away.")
    checkpoints = path / "checkpoints"
    if checkpoints.exists() and not checkpoints.is_dir():
        raise InputError(f"{checkpoints} is no directory of checkpoints: move it away.")


@contextlib.contextmanager
def held(settings: Settings) -> Iterator[None]:
    """Keeps the run directory for this run, and refuses one that another run holds or `check` does not like."""
    with contextlib.ExitStack() as stack:
        on_first(lambda: _hold(settings, stack))
        yield


def _hold(settings, stack):
    check(settings)  # before the directory is made
    path = Path(settings.workdir)
    stack.enter_context(lock.held(path))
    check(settings)  # again, as no other run can change anything now
    for entry in filter(_is_leftover, path.iterdir()):
        if entry.name not in lock.FILES:
            entry.unlink()


def _is_leftover(entry):
    """Tells whether a file in a run directory is no part of a run: a lock, or a file that a kill left half-written."""
    return entry.name in lock.FILES or (entry.suffix == ".tmp" and entry.name.startswith((*FILES, *lock.FILES)))


def open_run(run: RunDirectory, settings: Settings, data: Dataset) -> None:
    """Notes what a new run is made with, or refuses to resume one on other data than it was started on."""
    seen = {"dataset": settings.dataset, "training_images": sum(data.train.counts), "sha256": data.fingerprint()}
    trajectory = settings.parts.get("trajectory")
    taken = trajectory.taken(settings) if trajectory else {}
    before = noted(run.path)
    if settings.resume and before is not None:
        if {name: value for name, value in before.items() if name not in taken} != seen:
            raise InputError(
                f"This run was started on other training data ({before.get('training_images')} images then, "
                f"{seen['training_images']} now, or other contents): resume it with the earlier data."
            )
        return
    if not settings.resume:
        run.write_json("config.json", saved.dump(settings))
    run.write_json("data.json", {**seen, **taken})


def noted(path: Path) -> dict | None:
    """Gives what a run noted of its data and of what else it takes from elsewhere; None before it did."""
    remedy = "remove it, if the data are certainly those that the run was started on"
    return files.read_json(path / "data.json", remedy) if (path / "data.json").exists() else None
