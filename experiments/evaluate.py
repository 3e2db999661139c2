"""Tests condensed sets on networks and under recipes that they were not made for, beside random images and the whole data.

python -m experiments.evaluate runs/dc-mnist-1 --networks convnet,mlp,lenet,alexnet,vgg11,resnet18
python -m experiments.evaluate runs/a runs/b --recipes dc,dsa,idc --augmentation both
python -m experiments.evaluate theirs.pt folder/of/pngs --dataset cifar10

Every set is tested as often as there are networks, recipes and augmentations. What was measured is in `evaluation.json` beside the
set; a command that was stopped goes on where it was when given again.
"""

import dataclasses
import functools
import hashlib
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import tyro

import dcjax as dc
from dcjax import foreign, sharding
from dcjax.data.cache import read_npz
from experiments import cli, output
from experiments import config as configs
from experiments.config import Config
from experiments.contest import Contest, Entry, Terms, network
from experiments.run import configure_jax
from experiments.scorebook import Scorebook
from experiments.stop import StopRequest


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Tests condensed sets on several networks and under several recipes, beside random images and the whole data."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run directories, condensed.npz or other .npz files, folders of images with a subfolder per class, published .pt files."""
    networks: tuple[Literal["convnet", "mlp", "lenet", "alexnet", "vgg11", "resnet18"], ...] = ("convnet",)
    """Architectures, separated by commas."""
    recipes: tuple[Literal["own", "dc", "dsa", "idc"], ...] = ("own",)
    """How students are trained: by the set's own recipe, or DC's, DSA's, IDC's as published for the dataset."""
    augmentation: Literal["with", "without", "both"] = "with"
    """Whether the recipe's augmentation is used."""
    rivals: tuple[Literal["random", "whole", "none"], ...] = ("random", "whole")
    """What the set is compared with: random real images, the whole training set, or none."""
    num_students: int = 20
    """Networks trained from scratch for each accuracy."""
    epochs: int | None = None
    """Epochs of each; the recipe's own number when not given."""
    whole_epochs: int = 20
    """Epochs on the whole training set."""
    whole_students: int = 3
    """Networks trained on it."""
    width: int | None = None
    """Channels of the ConvNet; those that the set was made for, or 128, when not given."""
    dataset: str | None = None
    """What to test on; the one that the set was made from when not given."""
    data_dir: str | None = None
    """Where TFDS datasets are prepared (or TFDS_DATA_DIR)."""
    image_size: int | None = None
    """Crop and resize test images to this many pixels a side; as for the run when not given."""
    seed: int = 0
    """The one seed."""
    out: str | None = None
    """Where to write what was measured; evaluation.json in the run directory when not given."""
    devices: int | None = None
    """Devices that share the students; all when not given."""

    def __post_init__(self):
        if not self.runs:
            raise dc.InputError("There is nothing to evaluate: give run directories or files of condensed sets.")
        for name in ("networks", "recipes", "rivals"):
            if not getattr(self, name):
                raise dc.InputError(f"{cli.flag(name)} names nothing: give at least one.")
        for name in ("num_students", "whole_students", "whole_epochs", "width", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise dc.InputError(f"{cli.flag(name)} must be at least 1, not {value}.")


def evaluate(argv: list[str]) -> None:
    wanted = cli.read(Evaluation, argv)
    configure_jax()
    with StopRequest() as stop, sharding.across(wanted.devices):
        entries = _entries(wanted)  # all are checked before any is tested
        contest = Contest(_terms(wanted), stop)
        stop.advice = "What was measured is kept: give the same command again."
        command = shlex.join(["python", "-m", "experiments.evaluate", *argv])
        for entry in entries:
            rows = entry.book.finish([{**row, "command": command} for row in contest.rows(entry)])
            output.console.print(output.contest_table(entry.name, rows))
            output.say(f"Written to {entry.book.path}")


def _terms(wanted):
    augmented = {"with": (True,), "without": (False,), "both": (True, False)}[wanted.augmentation]
    same = {name: getattr(wanted, name) for name in Terms._fields if name != "augmented"}
    return Terms(augmented=augmented, **same)


def _entries(wanted):
    """Every set that is named, found to fit its data and the networks."""
    load = functools.cache(lambda name, data_dir, size: _loaded(name, data_dir, size, wanted))
    entries, places = [], set()
    for path in map(_found, wanted.runs):
        data, fingerprint = load(*_source(path, wanted))
        sets = foreign.read(path, data)
        for i, condensed in enumerate(sets):
            name, index = (str(path), "") if len(sets) == 1 else (f"{path} [{i}]", f"-{i}")
            place = _place(path, index, wanted)
            if place in places:
                raise dc.InputError(f"Several sets would be written to {place}: evaluate them one by one.")
            places.add(place)
            width = wanted.width or _own_width(condensed)
            seen = {"width": width, "dataset": data.name, "data": fingerprint, "set": _digest(condensed)}
            book = Scorebook(place, {**_settings(wanted), **seen})
            entries.append(Entry(name, condensed, data, fingerprint, width, book))
    return entries


def _found(path):
    path = Path(path).expanduser()
    if not path.exists():
        raise dc.InputError(f"There is no {path}: give a run directory or the file of a condensed set.")
    return path


def _loaded(name, data_dir, size, wanted):
    """The data and a digest of them; the networks must be able to take them."""
    data = dc.data.load(name, data_dir=data_dir, image_size=size).replicated()
    for architecture in wanted.networks:
        jax.eval_shape(network(architecture, wanted.width or Config.width, data).init, jax.random.key(0))
    tested = hashlib.sha256(np.asarray(data.test.image).tobytes()).hexdigest()
    return data, data.fingerprint() + tested


def _source(path, wanted):
    """(name, folder, image size) of what a set is tested on: as the flags say, else as its run had it."""
    saved = (path if path.is_dir() else path.parent) / "config.json"
    own = {"dataset": _dataset(path), "data_dir": None, "image_size": None}
    if (path.is_dir() or path.name == "condensed.npz") and saved.is_file():
        config = configs.load(saved)
        own = {name: getattr(config, name) for name in own}
    chosen = {name: getattr(wanted, name) or value for name, value in own.items()}
    if not chosen["dataset"]:
        raise dc.InputError(f"{path} does not say what it was made from: give --dataset.")
    return tuple(chosen.values())


def _dataset(path):
    own = next((p for p in (path, path / "condensed.npz") if p.is_file() and p.suffix == ".npz"), None)
    return dc.load_condensed(own).meta.get("dataset") if own and "meta" in read_npz(own) else None


def _place(path, index, wanted):
    """Where the accuracies go."""
    if wanted.out:
        out = Path(wanted.out).expanduser()
        return out.with_name(f"{out.stem}{index}{out.suffix}")
    path = path.resolve()
    if (path / "condensed.npz").is_file():
        return path / "evaluation.json"
    return path.with_name(f"{path.name}-evaluation{index}.json")


def _settings(wanted):
    """What accuracies depend on. The first students are the same however many there are: a later command may add some."""
    return {name: getattr(wanted, name) for name in ("epochs", "whole_epochs", "seed")}


def _own_width(condensed):
    return condensed.meta.get("recipe", {}).get("network", {}).get("width", Config.width)


def _digest(condensed):
    """Of what is stored where that is known: normalised images differ in their last bits between machines."""
    says = [condensed.meta[name] for name in ("ipc", "recipe", "decoder") if name in condensed.meta]
    digest = hashlib.sha256(repr(says).encode())
    for array in condensed.compact.values() or condensed.batch:
        digest.update(np.asarray(array).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(cli.exit_code(evaluate, sys.argv[1:]))
