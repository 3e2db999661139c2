"""Makes classifiers from one addressable memory that it was not made for: of some classes alone, and on mixed labels.

python -m experiments.recall runs/rtp-digits-1 --subsets 0+1+2 7+9
python -m experiments.recall runs/rtp-mnist-1 --random-subsets 3 --size 5 --recondense

A memory recalls images for any label vector. For every subset of classes, students are trained on what it recalls for them, and beside
that on all real images of these classes; with `--recondense` also on a memory of the same size that is made for the subset alone, by the
run's own settings. `mixed` trains students that tell all classes apart on images recalled at random mixtures of two labels, too. The
accuracies are in `recall.json` beside the memory; a command that was stopped goes on when it is given again.
"""

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.table import Table

import dcjax as dc
from dcjax import sharding
from dcjax.checkpoint import digest
from experiments.parts.values import Count, MaybeCount, Seed, Steps, at_least, at_most, check_ranges
from experiments.pipeline import lock, memories, scores, show
from experiments.pipeline.endings import exit_code
from experiments.pipeline.job import load_data
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.stop import StopRequest
from experiments.settings import saved
from experiments.settings.flags import read


@dataclasses.dataclass(frozen=True)
class Recalled:
    """Makes classifiers of some classes, and on mixed labels, from one addressable memory."""

    run: Annotated[str, tyro.conf.Positional]
    """Run directory with an addressable memory."""
    subsets: tuple[str, ...] = ()
    """Subsets of the classes, each as class numbers with + between them: 0+1+2 7+9."""
    random_subsets: Annotated[int, at_least(0), at_most(10**4)] = 3
    """Random subsets beside these."""
    size: Count = 3
    """Classes of a random subset."""
    mixtures: MaybeCount = 45
    """Mixed labels that students are trained on beside those of the classes; none leaves that test out."""
    recondense: bool = False
    """Also make a memory of the same size for each subset alone, a run below the memory's that takes as long as it did."""
    num_students: Steps = 5
    """Students (networks trained from scratch) for each accuracy."""
    whole_epochs: Count = 20
    """Epochs that a student is trained for on all real images of a subset."""
    seed: Seed = 0
    """Seed of all random numbers; a memory that --recondense makes has the run's own."""
    devices: MaybeCount = None
    """Number of devices that students are divided among; all when not given."""

    def __post_init__(self):
        check_ranges(self)


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(recall, argv)


def recall(argv: list[str]) -> None:
    wanted = read(Recalled, argv)
    configure_jax()
    place = Path(wanted.run).expanduser()
    settings, memory = _memory(place)
    with StopRequest() as stop, sharding.across(wanted.devices), lock.held(place, "recall"):
        data = load_data(settings).replicated()
        subsets = _subsets(wanted, data.num_classes)
        stop.advice = "What was measured is kept: give the same command again."
        store = scores.resumed(place / "recall.json", _depends_on(wanted, settings, memory))
        tests = memories.Tests(
            place, settings, memory, data, store, stop, wanted.num_students, wanted.whole_epochs, wanted.seed
        )
        rows = [tests.of_subset(subset, wanted.recondense) for subset in subsets]
        rows += [tests.of_mixtures(wanted.mixtures)] if wanted.mixtures else []
        store.content |= {"command": shlex.join(["python", "-m", "experiments.recall", *argv]), "rows": rows}
        store.write()
        show.console.print(_table(rows))
        show.say(memories.sizes(memory, data))


def _depends_on(wanted, settings, memory):
    """Gives all that an accuracy depends on beside its case: those under other settings are measured anew."""
    recipe = {"eval_recipe": settings.eval_recipe, **dataclasses.asdict(settings.parts["eval_recipe"])}
    return {"seed": wanted.seed, **recipe, "memory": digest(memory.compact, {})}


def _memory(place):
    file = place / "condensed.npz"
    if not file.is_file():
        raise dc.InputError(
            f"There is no {file}: give the directory of a finished run with --parameterization addressable_memory."
        )
    condensed = dc.load_condensed(file)
    name = condensed.meta.get("decoder", {}).get("name")
    if name != "addressable_memory":
        raise dc.InputError(
            f"{file} holds no addressable memory but {name}: give a run with --parameterization addressable_memory."
        )
    settings = saved.load(place / "config.json")
    if settings.labels == "soft":
        raise dc.InputError(
            f"The labels of {place} were learned, but what a memory recalls has the label that it is recalled by: give a run with --labels hard."
        )
    return settings, condensed


def _subsets(wanted, num_classes):
    """Reads the subsets, and draws random ones: tuples of class numbers."""
    chosen = []
    for text in wanted.subsets:
        words = text.split("+")
        if not all(word.isdecimal() and int(word) < num_classes for word in words) or len({*map(int, words)}) < 2:
            raise dc.InputError(
                f"{text!r} is no subset: give at least two different class numbers from 0 to {num_classes - 1} with + between them, such as 0+1."
            )
        chosen.append(tuple(sorted({int(word) for word in words})))
    if wanted.random_subsets and not 2 <= wanted.size <= num_classes:
        raise dc.InputError(f"--size {wanted.size} is no number of classes to tell apart: give 2 to {num_classes}.")
    generator = np.random.default_rng(wanted.seed)
    drawn = [
        tuple(sorted(generator.permutation(num_classes)[: wanted.size].tolist())) for _ in range(wanted.random_subsets)
    ]
    return list(dict.fromkeys(chosen + drawn))


def _table(rows):
    columns = list(dict.fromkeys(name for row in rows for name in row["accuracy"]))
    out = Table(title="test accuracy (%) of classifiers from one memory")
    out.add_column("classes")
    for name in columns:
        out.add_column(name, justify="right")
    for row in rows:
        found = [row["accuracy"].get(name) for name in columns]
        out.add_row(row["classes"], *(f"{score['mean']:.1f} ± {score['std']:.1f}" if score else "" for score in found))
    return out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
