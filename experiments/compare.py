"""Runs several methods on one dataset, judges all by one evaluation, and sets them side by side.

python -m experiments.compare --dataset digits --methods random,herding,dc,whole --ipc 1,10 --seeds 0,1,2
python -m experiments.compare --dataset mnist --methods random,dc --eval-epochs 300 --eval-augment none -- --num-students 5

What follows `--` goes to every `experiments.run`. Stopped, it goes on where it was when started again.
"""

import dataclasses
import itertools
import json
import shlex
import sys
import time
from pathlib import Path

import numpy as np

from dcjax import InputError
from experiments import cli, output
from experiments import config as configs
from experiments.command_line import parse
from experiments.config import EVALUATION, Config
from experiments.endings import Stopped
from experiments.presets import METHODS
from experiments.report import markdown
from experiments.report.records import Comparison
from experiments.run import run
from experiments.workdir import write_text

_OWN = ("method", "dataset", "ipc", "seed", "workdir", "resume", "baseline", "whole", *EVALUATION[1:])
_ALONE = ("coordinator", "num_processes", "process_id")


@dataclasses.dataclass(frozen=True)
class Compared:
    """Runs every method at every number of images per class with every seed, and tabulates them."""

    dataset: str = "digits"
    """As of experiments.run."""
    methods: tuple[str, ...] = METHODS
    """Methods of experiments.run, separated by commas."""
    ipc: tuple[int, ...] = (1, 10)
    """Images per class."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each makes a set of its own."""
    eval_epochs: int | None = None
    """Epochs of every network that a set is judged by; DC's for the dataset when not given."""
    eval_augment: str | None = None
    """Its augmentation, for all methods alike; DC's for the dataset when not given."""
    workdir: str | None = None
    """Where the run directories and the table go; runs/compare-DATASET when not given."""

    def __post_init__(self):
        for name in ("methods", "ipc", "seeds"):
            if not getattr(self, name):
                raise InputError(f"{cli.flag(name)} names nothing: give at least one.")
        for method in self.methods:
            if method not in METHODS:
                hint = cli.nearest(method, METHODS)
                raise InputError(f"There is no method {method!r}: choose among {', '.join(METHODS)}.{hint}")


def compare(argv: list[str]) -> None:
    own, passed = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    wanted = cli.read(Compared, own)
    _check_passed(passed)
    place = Path(wanted.workdir or f"runs/compare-{wanted.dataset.replace(':', '-').replace('/', '-')}")
    cells = [(cell, _arguments(wanted, place, cell, passed)) for cell in _cells(wanted)]
    for _, arguments in cells:  # all are understood before the first is run
        _check_place(parse(arguments))
    began = time.perf_counter()
    made = [_finish(arguments) for _, arguments in cells]
    result = {
        "command": shlex.join(["python", "-m", "experiments.compare", *argv]),
        "dataset": wanted.dataset,
        "evaluation": _evaluation(wanted),
        "rows": _rows([(cell, _result(arguments)) for cell, arguments in cells]),
        **({"seconds": round(time.perf_counter() - began, 1)} if all(made) else {}),  # of a part, it would say nothing
        **output.environment(),
    }
    table = markdown.comparison(Comparison(place, result))
    write_text(place / "comparison.json", json.dumps(result, indent=2) + "\n")
    write_text(place / "comparison.md", table)
    print(table)


def _check_passed(words):
    for word in words:
        name = word.split("=")[0].replace("_", "-")
        if name in {cli.flag(prefix + field) for field in _OWN for prefix in ("", "no_")}:
            raise InputError(f"{name} is the comparison's own to set: give it before --, or leave it out.")
        if name in map(cli.flag, _ALONE):
            raise InputError(
                f"{name} is for a run by several processes, but a comparison is made by one: leave it out."
            )


def _cells(wanted):
    """(method, ipc, seed); the whole training set has no number of images per class."""
    for method, ipc, seed in itertools.product(wanted.methods, wanted.ipc, wanted.seeds):
        if method != "whole" or ipc == wanted.ipc[0]:
            yield method, ipc, seed


def _evaluation(wanted):
    """How every set is judged."""
    own = configs.defaults("dc", wanted.dataset, 1, Config.network)
    epochs = own.eval_epochs if wanted.eval_epochs is None else wanted.eval_epochs
    return {"eval_recipe": "dc", "eval_epochs": epochs, "eval_augment": wanted.eval_augment or own.eval_augment}


def _arguments(wanted, place, cell, passed):
    method, ipc, seed = cell
    words = {"method": method, "dataset": wanted.dataset, "ipc": ipc, "seed": seed, **_evaluation(wanted)}
    words["workdir"] = place / f"{method}-{ipc}-{seed}"
    alone = [] if method == "whole" else ["--no-baseline"]
    return [*itertools.chain(*((cli.flag(name), str(value)) for name, value in words.items())), *alone, *passed]


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
                "ipc": None if method == "whole" else ipc,
                "mean": round(float(everyone.mean()), 2),
                "std": round(float(everyone.std()), 2),
                "set_means": [round(float(np.mean(values)), 2) for values in sets],
                "students": len(everyone),
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(cli.exit_code(compare, sys.argv[1:]))
