"""Searches for the best ConvNet with a condensed set in place of the training set, and says how far that can be trusted.

python -m experiments.architectures runs/dc-cifar10-10
python -m experiments.architectures runs/dc-digits-10 --sample 120 --whole-epochs 20
python -m experiments.architectures runs/dc-mnist-10 runs/dsa-mnist-10 --depths 1,2,3 --widths 32,64 --norms none,instance --whole top

The grid of DC's paper has 720 ConvNets. Each is trained on the condensed sets, on real images chosen at random and by herding, and, stopped
early, on the whole training set. Part of the training set is held out, and the accuracy on it ranks the networks; the test images judge the
one that is chosen, after training on the whole set. Condensed images have seen those that are held out, as they were learned from the whole
training set. What was measured is in `architectures.json`; a command that was stopped goes on when it is given again, and a larger --sample
adds candidates.
"""

import dataclasses
import math
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import jax
import tyro

from dcjax import InputError, sharding
from dcjax.networks import ACTIVATIONS, NORMS, POOLINGS
from dcjax.sharding import replicate
from experiments.parts.values import (
    MOST_WIDE,
    Count,
    MaybeCount,
    MaybeSide,
    MaybeSize,
    Range,
    Seed,
    at_least,
    at_most,
    check_once,
    check_ranges,
    flag,
)
from experiments.pipeline import candidates, figures, lock, sets, show, standings
from experiments.pipeline.endings import exit_code
from experiments.pipeline.machine import configure_jax, environment
from experiments.pipeline.proxies import SELECTIONS, condensed_sets, selection
from experiments.pipeline.recipes import PAPERS, recipe
from experiments.pipeline.record import EARLY, Record
from experiments.pipeline.search import Search
from experiments.pipeline.stop import StopRequest
from experiments.settings.flags import read
from experiments.settings.parse import safe_name

_FILE = "architectures.json"
Sizes = Annotated[tuple[int, ...], at_least(1), at_most(MOST_WIDE)]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Trains a grid of ConvNets on condensed sets and on the whole set, and says how far their rankings agree."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Condensed sets: run directories, .npz files, folders with a subfolder of images per class, or published .pt files."""
    depths: Sizes = (1, 2, 3, 4)
    """Numbers of blocks, separated by commas."""
    widths: Sizes = (32, 64, 128, 256)
    """Channels of every convolution."""
    activations: tuple[Literal[(*ACTIVATIONS,)], ...] = ("sigmoid", "relu", "leaky_relu")
    """Activation functions."""
    poolings: tuple[Literal[(*POOLINGS,)], ...] = ("none", "max", "avg")
    """Poolings at the end of every block."""
    norms: tuple[Literal[(*NORMS,)], ...] = tuple(NORMS)
    """Normalisation layers."""
    sample: MaybeCount = None
    """Number of candidates that are drawn from the grid with --seed; all when not given."""
    proxies: tuple[Literal[(*SELECTIONS, EARLY)], ...] = ("random", "herding", EARLY)
    """What else stands for the whole set: as many real images, or the whole set for the training time of the first condensed one."""
    whole: Literal["all", "top", "none"] = "all"
    """Candidates that are trained on the whole set: all, the ten that are best by each proxy, or none."""
    epochs: Count = 100
    """Epochs that a candidate is trained for on a proxy."""
    whole_epochs: Count = 100
    """Epochs that a candidate is trained for on the whole set."""
    recipe: Literal[(*PAPERS,)] = "dc"
    """Recipe of all trainings: DC's, DSA's or IDC's as published for the dataset and the first set, but for the epochs."""
    augment: bool = True
    """Train with the augmentation of the recipe."""
    hold_out: Annotated[float, Range("above 0 and below 1", lambda share: 0 < share < 1)] = 0.2
    """Share of every class that is held out of the training set to rank the candidates by."""
    seed: Seed = 0
    """Seed of all random numbers."""
    dataset: str | None = None
    """Data set; the one that the first set was made from when not given."""
    data_dir: str | None = None
    """Folder of prepared TFDS datasets (or set TFDS_DATA_DIR); as for the run when not given."""
    image_size: MaybeSide = None
    """Pixels along each side of the images; as for the run when not given."""
    factor: MaybeSize = None
    """Cells along each side of the images in IDC's data.pt, which does not say it: 1 for IDC-I, 2 for IDC."""
    workdir: str | None = None
    """Folder for the result; runs/architectures-DATASET when not given."""
    devices: MaybeCount = None
    """Number of devices that images of a mini-batch are divided among; all when not given."""

    def __post_init__(self):
        if not self.runs:
            raise InputError("There is no condensed set to search with: give run directories or files.")
        for name in ("depths", "widths", "activations", "poolings", "norms"):
            if not getattr(self, name):
                raise InputError(f"{flag(name)} names nothing: give at least one.")
        check_once(self, "proxies")
        check_ranges(self)

    def axes(self) -> dict[str, tuple]:
        """Gives the values of every setting of a ConvNet that is varied, each once."""
        plural = {
            "depth": "depths",
            "width": "widths",
            "activation": "activations",
            "pooling": "poolings",
            "norm": "norms",
        }
        return {setting: tuple(dict.fromkeys(getattr(self, name))) for setting, name in plural.items()}


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(search, argv)


def search(argv: list[str]) -> None:
    """Reads the command line, trains the candidates and prints how each proxy ranks them."""
    wanted = read(Wanted, argv)
    configure_jax()
    with StopRequest() as stop, sharding.across(wanted.devices):
        paths = [sets.found(path) for path in dict.fromkeys(wanted.runs)]
        loaded = _loaded(paths, wanted)
        rest, held_out = loaded.train.hold_out(jax.random.key(wanted.seed), wanted.hold_out)
        data = dataclasses.replace(loaded, train=rest).replicated()
        tried, left_out = _candidates(wanted, data)
        condensed, known = condensed_sets(paths, data, wanted.factor)
        selections = [
            selection(name, known["ipc"], data, wanted.seed, stop) for name in wanted.proxies if name != EARLY
        ]
        recipes = [_recipe(wanted, known, data.name, epochs) for epochs in (wanted.epochs, wanted.whole_epochs)]
        place = Path(wanted.workdir or f"runs/architectures-{safe_name(data.name)}").expanduser()
        with lock.held(place):
            settings = _settings(wanted, loaded)
            _record(wanted, place, settings, condensed)  # so that a wrong --workdir is refused before images are chosen
            stop.advice = "What was measured is kept: give the same command again."
            found = condensed + [make() for make in selections]
            record = _record(wanted, place, settings, found)
            own = Search(data, replicate(held_out), found, EARLY in wanted.proxies, *recipes, wanted.seed, record, stop)
            record.facts = _facts(argv, own, tried, left_out)
            _tabulate(own, tried)  # what an earlier command measured stays in the table if this one is stopped
            own.try_all(tried, wanted.whole, lambda: _tabulate(own, tried))
            record.facts["complete"] = True
            _tabulate(own, tried)
            _draw(own, tried, place)
        show.console.print(standings.table(f"{len(tried)} architectures on {data.name}", record.facts["rows"]))
        show.say(standings.RANKED, style="dim")
        show.say(f"Written to {record.path}")


def _loaded(paths, wanted):
    """Loads the data that all sets were made from, which a run and a file say in other words."""
    found = {sets.source(path, wanted.dataset, wanted.data_dir, wanted.image_size): path for path in paths}
    (source, path), *others = found.items()
    data = source.load()
    for other, theirs in others:
        if sets.fingerprint(other.load()) != sets.fingerprint(data):
            raise InputError(f"{path} and {theirs} are of different data: search with each alone.")
    return data


def _candidates(wanted, data):
    """Gives the candidates, and those of the sample that cannot take the images with the reason; without a sample, refuses these."""
    convnets = candidates.grid(**wanted.axes())
    if wanted.sample and wanted.sample > len(convnets):
        raise InputError(f"--sample {wanted.sample} asks for more than the {len(convnets)} candidates: give fewer.")
    convnets = candidates.drawn(convnets, wanted.sample or len(convnets), wanted.seed)
    tried, refused = candidates.built(convnets, data)
    for name, reason in refused.items():
        if not wanted.sample:
            raise InputError(f"{len(refused)} of {len(convnets)} candidates cannot be, such as {name}: {reason}")
        show.say(f"Left out: {name}. {reason}")
    if not tried:
        raise InputError("None of the candidates that were drawn can take these images: give other flags.")
    return tried, refused


def _recipe(wanted, known, dataset, epochs):
    found = recipe(wanted.recipe, known, dataset, epochs)[1]
    return found if wanted.augment else found.plain()


def _settings(wanted, loaded):
    """Gives the settings that accuracies depend on."""
    names = ("epochs", "whole_epochs", "recipe", "augment", "hold_out", "seed")
    return {"dataset": loaded.name, **{name: getattr(wanted, name) for name in names}, "data": sets.fingerprint(loaded)}


def _record(wanted, place, settings, found):
    made = {proxy.name: proxy.digest for proxy in found}
    early = {EARLY: f"as long as {found[0].digest}"} if EARLY in wanted.proxies else {}
    return Record(place / _FILE, {**settings, "sets": {**made, **early}})


def _facts(argv, own, tried, left_out):
    """Gives what is written beside the table and the trainings."""
    counts = {"train": own.data.train, "held_out": own.held_out, "test": own.data.test}
    return {
        "command": shlex.join(["python", "-m", "experiments.architectures", *argv]),
        "dataset": own.data.name,
        "image_shape": own.data.image_shape,
        "images": {name: sum(split.counts) for name, split in counts.items()},
        "asked_for": len(tried),
        "left_out": left_out,
        "complete": False,
        "note": standings.RANKED,
    }


def _tabulate(own, tried):
    """Writes the table of the candidates so far beside what was measured."""
    found = _measured(own, tried)
    rows, image = standings.rows(found, own.names, own.seed), 4 * math.prod(own.data.image_shape)
    known = {proxy.name: {"bytes": proxy.stored_bytes, "made_seconds": proxy.made_seconds} for proxy in own.proxies}
    own.record.facts["rows"] = [
        {**row, **known.get(row["proxy"], {"bytes": row.get("images", 0) * image})} for row in rows
    ]
    own.record.facts |= environment()
    own.record.write()


def _measured(own, tried):
    names = [candidate.name for candidate in tried]
    return {name: own.record.candidates[name] for name in names if name in own.record.candidates}


def _draw(own, tried, place):
    panels = standings.points(_measured(own, tried), own.names)
    if any(panels.values()):
        figures.agreement(place / "architectures.png", panels)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
