"""Runs the cells of a table one after the other, each from where it was stopped, and tabulates their accuracies."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from dcjax import InputError
from experiments.pipeline import lock, show, tabulated
from experiments.pipeline.endings import Diverged, Stopped
from experiments.pipeline.job import load_data, prepare
from experiments.pipeline.machine import environment, release_programs
from experiments.pipeline.rundir import write_text
from experiments.report import markdown, times
from experiments.report.records import Comparison
from experiments.settings.saved import dump, load
from experiments.settings.settings import Settings

Run = Callable[[list[str]], None]  # runs a command line of experiments.run
_DATA = ("dataset", "data_dir", "image_size", "channels", "only_classes", "statistics", "zca", "zca_epsilon")


class Cell(NamedTuple):
    """A run, with its row and column of a table."""

    row: str
    ipc: int | None  # the column; None where there is no number of images per class
    arguments: list[str]  # of experiments.run
    settings: Settings  # what these arguments say


def fill(run: Run, place: Path, cells: list[Cell], facts: dict) -> list[dict]:
    """Makes the runs that are not finished, then writes and prints the table, and gives its rows; `facts` go into its file."""
    _check(cells)
    with lock.held(place):
        return _fill(run, place, cells, facts)


def _fill(run, place, cells, facts):
    began = time.perf_counter()
    outcomes = [_finish(run, cell) for cell in cells]
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    cells = [cell for cell, outcome in zip(cells, outcomes) if not outcome.failure]
    if not cells:
        raise Diverged(failures[0])
    results = [_result(cell.settings) for cell in cells]
    result = {
        **facts,
        "rows": tabulated.rows(
            [tabulated.Finished(*cell[:2], cell.settings, result) for cell, result in zip(cells, results)]
        ),
        **(
            {"seconds": round(time.perf_counter() - began, 1)} if all(outcome.is_whole for outcome in outcomes) else {}
        ),  # a part of the time says nothing
        **environment(),
        "hardware": "; ".join(dict.fromkeys(result["hardware"] for result in results)),
    }
    found = Comparison(place, result)
    table = "\n".join(filter(None, [markdown.comparison(found), times.tabulated([found])]))
    write_text(place / "comparison.json", json.dumps(result, indent=2) + "\n")
    write_text(place / "comparison.md", table)
    print(table)
    for sentence in failures:
        show.say(f"Not in the table: {sentence}")
    return result["rows"]


def _check(cells):
    """Refuses a mistake in any cell before the first is run: cells that differ in their seed alone are built once."""
    data, built = {}, set()
    for cell in cells:
        check_place(cell.settings)
        if cell[:2] in built:
            continue
        built.add(cell[:2])
        source = tuple(cell.settings.values()[name] for name in _DATA)
        try:
            data[source] = data.get(source) or load_data(cell.settings)
            prepare(cell.settings, data[source])
        except InputError as error:
            of = "" if cell.ipc is None else f", {cell.ipc} image(s) per class"
            raise InputError(f"The runs of {cell.row}{of} cannot be made: {error}") from None


def check_place(settings):
    """Refuses a run directory that holds a run with other settings."""
    if not Path(settings.workdir, "config.json").is_file():
        return
    noted = load(Path(settings.workdir, "config.json"))
    if _decides(noted) != _decides(settings):
        raise InputError(f"{settings.workdir} holds a run with other settings: give another --workdir.")
    if _minutes(noted) > _minutes(settings):
        raise InputError(
            f"{settings.workdir} holds a run of {_minutes(noted):g} minutes: give --minutes {_minutes(noted):g} or more, or another --workdir."
        )


def _minutes(settings):
    return settings.values().get("minutes") or 0


def _decides(settings):
    """Gives the settings on which the figures of a run depend, but for those on the way; more minutes or students may be wanted later."""
    aside = {"workdir", "eval_at", "eval_minutes", "num_students", *(["iterations"] if _minutes(settings) else [])}
    found = {name: value for name, value in dump(settings).items() if name not in aside}
    return found | ({"minutes": bool(found["minutes"])} if "minutes" in found else {})


class Outcome(NamedTuple):
    """Says how a cell ended: whether it ran from its beginning, and why it has no result, if it diverged."""

    is_whole: bool
    failure: str = ""


def _finish(run, cell):
    """Runs a cell that is not finished, from where it was stopped. One that diverges leaves the others to be made."""
    place = Path(cell.settings.workdir)
    if (place / "result.json").is_file() and not _lacks(cell.settings, _result(cell.settings)):
        return Outcome(is_whole=False)
    is_begun = (place / "config.json").is_file()
    try:
        run([*cell.arguments, *(["--resume"] if is_begun else [])])
    except Stopped as stopped:
        stopped.advice = "What was done is kept: give the same command again."
        raise
    except Diverged as diverged:
        return Outcome(not is_begun, f"{place}. {diverged}")
    finally:
        release_programs()
    return Outcome(not is_begun)


def _lacks(settings, result):
    """Tells whether a run has not been evaluated, or not by as many students or made for as many minutes as are wanted now."""
    if not result.get("complete"):
        return True
    made = result.get("condense_seconds", 0) + 0.1  # it is rounded
    score = next(iter(result["accuracy"].values()))
    trained = score["students"] + score.get("diverged", 0)
    return trained < settings.num_students or made < 60 * _minutes(settings)


def _result(settings):
    return json.loads(Path(settings.workdir, "result.json").read_text())
