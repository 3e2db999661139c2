"""Runs several methods on one dataset, judges all by one evaluation, and sets them side by side.

python -m experiments.compare --dataset digits --methods random,herding,dc,whole --ipc 1,10 --seeds 0,1,2
python -m experiments.compare --dataset mnist --methods random,dc --eval-epochs 300 --eval-augment none -- --num-students 5

What follows `--` goes to every `experiments.run` where it changes something. Stopped, it goes on where it was when started again.
"""

import dataclasses
import itertools
import sys
from pathlib import Path

from dcjax import InputError
from experiments import cli, grid
from experiments import config as configs
from experiments.config import EVALUATION, Config
from experiments.idle import idle_of
from experiments.presets import METHODS

_OWN = (*grid.OWN, *EVALUATION[1:])  # all but the number of students


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
    own, passed = grid.split(argv)
    wanted = cli.read(Compared, own)
    grid.check_passed(passed, _OWN)
    place = Path(wanted.workdir or f"runs/compare-{wanted.dataset.replace(':', '-').replace('/', '-')}")
    facts = {"command": grid.command("compare", argv), "dataset": wanted.dataset, "evaluation": _evaluation(wanted)}
    grid.fill(place, [*_cells(wanted, place, passed)], facts)


def _evaluation(wanted):
    """How every set is judged."""
    own = configs.defaults("dc", wanted.dataset, 1, Config.network)
    epochs = own.eval_epochs if wanted.eval_epochs is None else wanted.eval_epochs
    return {"eval_recipe": "dc", "eval_epochs": epochs, "eval_augment": wanted.eval_augment or own.eval_augment}


def _idle(methods):
    """Method -> flags that change nothing there, but do with another of the methods."""
    idle = {method: idle_of(method) for method in methods}
    nowhere = set.intersection(*idle.values())
    return {method: names - nowhere for method, names in idle.items()}


def _cells(wanted, place, passed):
    """The whole training set has no number of images per class."""
    idle = _idle(wanted.methods)
    for method, ipc, seed in itertools.product(wanted.methods, wanted.ipc, wanted.seeds):
        is_whole = method == "whole"
        if is_whole and ipc != wanted.ipc[0]:
            continue
        settings = {"method": method, "dataset": wanted.dataset, "ipc": ipc, "seed": seed, **_evaluation(wanted)}
        settings |= {"eval_mix": "none", "workdir": place / f"{method}-{ipc}-{seed}"}
        words = [
            *grid.words_of(settings),
            *([] if is_whole else ["--no-baseline"]),
            *grid.without(passed, idle[method]),
        ]
        yield grid.Cell(method, None if is_whole else ipc, words)


if __name__ == "__main__":
    sys.exit(cli.exit_code(compare, sys.argv[1:]))
