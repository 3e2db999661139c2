"""Runs the cells of a table by `experiments.run`, each from where it was stopped, and tabulates what they are worth."""

import itertools
import json
import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dcjax import InputError
from experiments import cli, output
from experiments import config as configs
from experiments.command_line import parse
from experiments.endings import Stopped
from experiments.report import markdown
from experiments.report.records import Comparison
from experiments.run import run
from experiments.workdir import write_text

_ALONE = ("coordinator", "num_processes", "process_id")
OWN = ("method", "dataset", "ipc", "seed", "workdir", "resume", "baseline", "whole")


class Cell(NamedTuple):
    """One run of a table."""

    method: str  # the row
    ipc: int | None  # the column; None where there is no number of images per class
    arguments: list[str]  # of experiments.run


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The words before `--`, and those behind it, which go to every run."""
    return (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])


def check_passed(words: list[str], own: tuple[str, ...]) -> None:
    """What goes to every run must leave alone what makes the cells."""
    for word in words:
        name = word.split("=")[0].replace("_", "-")
        if name in {cli.flag(prefix + field) for field in own for prefix in ("", "no_")}:
            raise InputError(f"{name} is the comparison's own to set: give it before --, or leave it out.")
        if name in map(cli.flag, _ALONE):
            raise InputError(
                f"{name} is for a run by several processes, but a comparison is made by one: leave it out."
            )


def without(words: list[str], names: Iterable[str]) -> list[str]:
    """The words without these flags and their values: what would change nothing in a cell."""
    left_out = {cli.flag(name) for name in names}
    starts = [i for i, word in enumerate(words) if word.startswith("--")] + [len(words)]
    flags = [words[begin:end] for begin, end in itertools.pairwise(starts)]
    return [word for flag in flags if flag[0].split("=")[0].replace("_", "-") not in left_out for word in flag]


def words_of(settings: dict) -> list[str]:
    """Settings of a run as its flags."""
    return [*itertools.chain(*((cli.flag(name), str(value)) for name, value in settings.items()))]


def fill(place: Path, cells: list[Cell], facts: dict) -> None:
    """Runs what is not finished, then writes and prints the table; `facts` go into its file."""
    for cell in cells:  # all are understood before the first is run
        _check_place(parse(cell.arguments))
    began = time.perf_counter()
    made = [_finish(cell.arguments) for cell in cells]
    results = [_result(cell.arguments) for cell in cells]
    result = {
        **facts,
        "rows": _rows([*zip(cells, results)]),
        **({"seconds": round(time.perf_counter() - began, 1)} if all(made) else {}),  # of a part, it would say nothing
        **output.environment(),
        "hardware": "; ".join(dict.fromkeys(result["hardware"] for result in results)),
    }
    table = markdown.comparison(Comparison(place, result))
    write_text(place / "comparison.json", json.dumps(result, indent=2) + "\n")
    write_text(place / "comparison.md", table)
    print(table)


def command(module: str, argv: list[str]) -> str:
    return shlex.join(["python", "-m", f"experiments.{module}", *argv])


def _check_place(config):
    """What is there already must be of this comparison."""
    saved = Path(config.workdir, "config.json")
    if saved.is_file() and configs.dump(configs.load(saved)) != configs.dump(config):
        raise InputError(f"{config.workdir} holds a run with other settings: give another --workdir.")


def _finish(arguments):
    """Runs a cell that is not finished, from where it was stopped; whether it ran from its beginning."""
    place = Path(parse(arguments).workdir)
    if (place / "result.json").is_file() and _result(arguments).get("complete"):
        return False
    is_begun = (place / "config.json").is_file()
    try:
        run([*arguments, *(["--resume"] if is_begun else [])])
    except Stopped as stopped:
        stopped.advice = "What was done is kept: give the same command again."
        raise
    return not is_begun


def _result(arguments):
    return json.loads(Path(parse(arguments).workdir, "result.json").read_text())


def _rows(results):
    """One row a method and number of images per class: over all students, and over the sets' means."""
    rows = []
    for (method, ipc), group in itertools.groupby(results, key=lambda pair: pair[0][:2]):
        sets = [next(iter(result["accuracy"].values()))["values"] for _, result in group]
        everyone = np.concatenate(sets)
        rows.append(
            {
                "method": method,
                "ipc": ipc,
                "mean": round(float(everyone.mean()), 2),
                "std": round(float(everyone.std()), 2),
                "set_means": [round(float(np.mean(values)), 2) for values in sets],
                "students": len(everyone),
            }
        )
    return rows
