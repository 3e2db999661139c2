"""Reads what runs and comparisons left behind; only `result.json` or `comparison.json` must be there."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import PIL.Image

import dcjax as dc
from dcjax import InputError
from experiments.methods import METHODS
from experiments.pipeline.rundir import RunDirectory
from experiments.report import checks

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
    def paper(self) -> dict[str, dict]:
        return self.result.get("paper", {})


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


def find(paths: Iterable[str]) -> tuple[list[Run], list[Comparison]]:
    """Reads each directory in the paths once: gives runs by dataset, method and images per class, comparisons as given.

    Args:
        paths: run directories, comparison directories, and folders of either.

    Raises:
        InputError: a path holds neither, or a file in it is damaged.
    """
    places = dict.fromkeys(place for path in paths for place in _places(Path(path).expanduser()))
    comparisons = [_comparison(place) for place in places if (place / "comparison.json").is_file()]
    runs = [_run(place) for place in places if not (place / "comparison.json").is_file()]
    return sorted(runs, key=_order), comparisons


def _places(path):
    if _holds_record(path):
        return [path]
    found = sorted(filter(_holds_record, path.iterdir())) if path.is_dir() else []
    if not found:
        raise InputError(
            f"{path} holds no result.json and no comparison.json, nor does a folder in it: give finished runs or comparisons, "
            "or the folder they are in."
        )
    return found


def _holds_record(path):
    return any((path / name).is_file() for name in ("result.json", "comparison.json"))


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
        _history(path),
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
