"""Reads what commands left behind; only the file that a command writes at its end, one of `RECORDS`, must be there."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import PIL.Image

import dcjax as dc
from dcjax import InputError
from experiments.methods import METHODS
from experiments.pipeline.rundir import RunDirectory, under
from experiments.report import checks
from experiments.settings.settings import whole_epochs

RECORDS = ("result.json", "comparison.json", "continual.json", "architectures.json")
DATASETS = ("mnist", "fashion_mnist", "svhn_cropped", "cifar10", "cifar100", "digits")  # in the order of a report


class Run(NamedTuple):
    """A finished run: its `result.json`, and the other files that it left."""

    path: Path
    result: dict
    condensed: dc.Condensed | None
    picture: bytes | None  # `condensed.png`
    history: list[dict]  # rows of `metrics.jsonl`
    evaluation: dict | None  # `evaluation.json` with its `rows`

    @property
    def config(self) -> dict:
        return self.result["config"]

    @property
    def accuracy(self) -> dict[str, dict]:
        return self.result["accuracy"]

    @property
    def whole_epochs(self) -> int | None:
        """Gives the epochs that students were trained for on the whole training set; None where they are not known."""
        return self.accuracy.get("whole", {}).get("epochs", self.config.get("eval_epochs"))

    @property
    def paper(self) -> dict[str, dict]:
        """Gives the paper's figures; that of the whole training set is for as many epochs as the paper trains for."""
        found = self.result.get("paper", {})
        if "whole" in found and self.whole_epochs != whole_epochs(self.config["dataset"]):
            return {name: found[name] for name in found if name != "whole"}
        return found

    @property
    def own(self) -> str:
        """Names the accuracy that a run is about: of its set, or of the whole training set."""
        return "condensed" if "condensed" in self.accuracy else next(iter(self.accuracy))

    @property
    def has_all_students(self) -> bool:
        """Tells whether its own accuracy is of every student that was asked for, also where another of its accuracies is not."""
        asked, score = self.config.get("num_students"), self.accuracy[self.own]
        trained = score.get("students", 0) + score.get("diverged", 0)
        return self.result.get("complete", True) or (asked is not None and trained >= asked)

    @property
    def state(self) -> str:
        """Says what was to be evaluated and was not; empty where all was."""
        if self.result.get("complete", True):
            return ""
        return "random or whole not complete" if self.has_all_students else "not complete"


class Comparison(NamedTuple):
    """A finished comparison: its `comparison.json`."""

    path: Path
    result: dict

    @property
    def rows(self) -> list[dict]:
        return self.result["rows"]

    @property
    def command(self) -> str:
        return self.result["command"]

    def pictures(self) -> list[tuple[str, bytes]]:
        """Gives the pictures of the sets whose runs are in its directory, with their names."""
        places = sorted(path.parent for path in self.path.glob("*/condensed.png"))
        return [(place.name, _picture(place / "condensed.png")) for place in places]


class Found(NamedTuple):
    """What was measured: runs by dataset, method and images per class, the others as they were found."""

    runs: list[Run] = []
    comparisons: list[Comparison] = []
    continual: list[tuple[Path, dict]] = []  # `continual.json` of a directory
    searches: list[tuple[Path, dict]] = []  # `architectures.json`


def find(paths: Iterable[str]) -> Found:
    """Reads each directory in the paths once.

    Args:
        paths: directories that a run, a comparison, a course of continual learning or an architecture search wrote to, and folders of
            these, also folders of such folders.

    Raises:
        InputError: a path holds neither, or a file in it is damaged.
    """
    places = dict.fromkeys(place for path in paths for place in _places(Path(path).expanduser()))
    of_kind = {name: [place for place in places if _record(place) == name] for name in RECORDS}
    runs = sorted(map(_run, of_kind["result.json"]), key=_order)
    comparisons = [*map(_comparison, of_kind["comparison.json"])]
    learned = [(place, _read(place / "continual.json", checks.continual)) for place in of_kind["continual.json"]]
    searched = [(place, _read(place / "architectures.json", checks.search)) for place in of_kind["architectures.json"]]
    return Found(runs, comparisons, learned, searched)


def _places(path):
    found = [*_below(path, 2)]
    if not found:
        raise InputError(
            f"{path} holds no {', '.join(RECORDS[:-1])} or {RECORDS[-1]}, nor does a folder in it: give finished runs or comparisons, "
            "or the folder they are in."
        )
    return found


def _below(path, depth):
    """Yields the directories with a record, so many folders down; what is below one is its own."""
    if _record(path):
        yield path
    elif depth and path.is_dir():
        for place in sorted(path.iterdir()):
            yield from _below(place, depth - 1)


def _record(path):
    """Names the record in a directory; the first that is there, None without any."""
    order = ("comparison.json", *RECORDS)
    return next((name for name in order if (path / name).is_file()), None)


def _order(run):
    def place(name, order):
        return (order.index(name) if name in order else len(order), name)

    return place(run.config["dataset"], DATASETS), place(run.config["method"], [*METHODS]), run.config["ipc"]


def _run(path):
    result, evaluation = _read(path / "result.json", checks.result), path / "evaluation.json"
    return Run(
        path,
        result,
        _condensed(path, result),
        _picture(path / "condensed.png"),
        under(_history(path), result["config"]),
        _read(evaluation, checks.evaluation) if evaluation.is_file() else None,
    )


def _condensed(path, result):
    """Reads the set of a run; where its directory has none, the one that comes with dcjax if that is the same run's."""
    own, known = path / "condensed.npz", dc.shipped().get(path.name)
    if known and not own.is_file() and known.accuracy == result["accuracy"]:
        own = known.path
    return dc.load_condensed(own) if own.is_file() else None


def _history(path):
    try:
        run = RunDirectory(str(path))
        if run.metrics.exists():
            run.metrics.read_text(encoding="utf-8")  # a run goes on without what is damaged, but a report names it
        return run.history()
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'metrics.jsonl'} is damaged ({error}): remove it.") from None


def _comparison(path):
    return Comparison(path, _read(path / "comparison.json", checks.comparison))


def _picture(path):
    """Reads the bytes of a PNG, and refuses one that is damaged."""
    if not path.is_file():
        return None
    try:
        with PIL.Image.open(path, formats=["PNG"]) as image:
            image.verify()
        return path.read_bytes()
    except (OSError, SyntaxError) as error:
        raise InputError(f"{path} is damaged or no PNG ({error}): remove it.") from None


def _read(path: Path, check: Callable[[dict], None]) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise InputError(
            f"{path} is damaged or not what this version writes ({reason}): make it again, or leave it out."
        ) from None
    return content
