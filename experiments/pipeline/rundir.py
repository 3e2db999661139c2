"""Reads and writes the run directory: what a run leaves behind, and what it needs to go on."""

import json
from pathlib import Path

from dcjax import InputError
from dcjax.data import Dataset
from experiments.pipeline.processes import is_first
from experiments.settings import saved
from experiments.settings.settings import Settings


class RunDirectory:
    """A run directory, which the first of several processes alone writes and all may read.

    Holds `config.json`, `data.json`, `metrics.jsonl`, `scores.json`, `checkpoints/`, `condensed.npz`, two pictures
    and `result.json`.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._metrics = self.path / "metrics.jsonl"

    def checkpoint_names(self) -> list[str]:
        """Names the iterations that a resumed run could start from."""
        return sorted(path.name for path in self.checkpoints.glob("*") if path.name.isdigit())

    def log(self, **metrics: float) -> None:
        if not is_first():
            return
        with self._metrics.open("a") as file:
            file.write(json.dumps(metrics) + "\n")

    def history(self) -> list[dict]:
        """Gives everything logged so far; a last line cut short by a kill is left out."""
        if not self._metrics.exists():
            return []
        rows = []
        for line in self._metrics.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def rewind(self, iteration: int) -> None:
        """Removes what was logged after `iteration`, since a resumed run logs it again."""
        rows = [row for row in self.history() if row["iteration"] <= iteration]
        write_text(self._metrics, "".join(json.dumps(row) + "\n" for row in rows))

    def write_json(self, name: str, content: dict) -> None:
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all, in the first process alone."""
    if not is_first():
        return
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def check(settings: Settings) -> None:
    """Refuses to overwrite a directory, and to resume a run that is not there."""
    path = Path(settings.workdir)
    noted = path / "config.json"
    if path.is_file():
        raise InputError(f"{path} is a file: give another --workdir.")
    if settings.resume and not noted.is_file():
        raise InputError(f"There is no run to resume in {path}: give its --workdir, or leave --resume out.")
    if not settings.resume and path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is not empty: give --resume to continue a run that is there, or another --workdir.")


def open_run(run: RunDirectory, settings: Settings, data: Dataset) -> None:
    """Makes the directory of a new run, or refuses to resume one on other data than it was started on."""
    seen = {"dataset": settings.dataset, "training_images": sum(data.train.counts), "sha256": data.fingerprint()}
    noted = run.path / "data.json"
    if settings.resume and noted.is_file():
        before = json.loads(noted.read_text())
        if before != seen:
            raise InputError(
                f"This run was started on other training data ({before['training_images']} images then, "
                f"{seen['training_images']} now, or other contents): resume it with the earlier data."
            )
        return
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        if not settings.resume:
            run.write_json("config.json", saved.dump(settings))
        run.write_json("data.json", seen)
    except OSError as error:
        raise InputError(f"{run.path} cannot be written ({error.strerror}): give another --workdir.") from None
