"""The run directory: what a run leaves behind, and what it needs to go on."""

import json
from pathlib import Path

from dcjax import InputError
from dcjax.data import Dataset
from experiments import config as configs
from experiments.config import Config
from experiments.processes import is_first


class RunDirectory:
    """What only the first of several processes writes, and all may read.

    Holds `config.json`, `data.json`, `metrics.jsonl`, `scores.json`, `checkpoints/`, `condensed.npz`, two pictures
    and `result.json`.
    """

    def __init__(self, path: str):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._metrics = self.path / "metrics.jsonl"

    def checkpoint_names(self) -> list[str]:
        """The iterations that a resumed run could start from."""
        return sorted(path.name for path in self.checkpoints.glob("*") if path.name.isdigit())

    def log(self, **metrics: float) -> None:
        if not is_first():
            return
        with self._metrics.open("a") as file:
            file.write(json.dumps(metrics) + "\n")

    def history(self) -> list[dict]:
        """Everything logged so far; a last line cut short by a kill is left out."""
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
        """Forgets what was logged after `iteration`: a resumed run logs it again."""
        rows = [row for row in self.history() if row["iteration"] <= iteration]
        write_text(self._metrics, "".join(json.dumps(row) + "\n" for row in rows))

    def read_scores(self, settings: dict) -> dict[str, list[float]]:
        """Accuracies of the students that are finished, if they were evaluated under these settings."""
        try:
            noted = json.loads((self.path / "scores.json").read_text())
        except (OSError, ValueError):
            return {}
        return noted["scores"] if noted["settings"] == settings else {}

    def write_json(self, name: str, content: dict) -> None:
        write_text(self.path / name, json.dumps(content, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes all or nothing, and in the first process alone."""
    if not is_first():
        return
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def check(config: Config) -> None:
    """Nothing is overwritten silently, and only a run that is there is resumed; settings are compared."""
    path = Path(config.workdir)
    saved = path / "config.json"
    if path.is_file():
        raise InputError(f"{path} is a file: give another --workdir.")
    if config.resume and not saved.is_file():
        raise InputError(f"There is no run to resume in {path}: give its --workdir, or leave --resume out.")
    if config.resume:
        configs.check_resumable(config, configs.load(saved))
    elif path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is not empty: give --resume to continue a run that is there, or another --workdir.")


def open_run(run: RunDirectory, config: Config, data: Dataset) -> None:
    """Makes the directory of a new run, or makes sure that a resumed one sees the data it was started on."""
    seen = {"dataset": config.dataset, "training_images": sum(data.train.counts), "sha256": data.fingerprint()}
    noted = run.path / "data.json"
    if config.resume and noted.is_file():
        before = json.loads(noted.read_text())
        if before != seen:
            raise InputError(
                f"This run was started on other training data ({before['training_images']} images then, "
                f"{seen['training_images']} now, or other contents): resume it with the data of then."
            )
        return
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        if not config.resume:
            run.write_json("config.json", configs.dump(config))
        run.write_json("data.json", seen)
    except OSError as error:
        raise InputError(f"{run.path} cannot be written ({error.strerror}): give another --workdir.") from None
