"""Tests condensed sets on networks and under recipes that they were not made for, beside random images and the whole data.

python -m experiments.evaluate runs/dc-mnist-1 --networks convnet,mlp,lenet,alexnet,vgg11,resnet18
python -m experiments.evaluate runs/dc-mnist-1 --networks convnet:norm=none,convnet:norm=layer,convnet:norm=group,convnet:depth=4,width=64
python -m experiments.evaluate runs/a runs/b --recipes dc,dsa,idc --augmentation both
python -m experiments.evaluate dc-mnist-1
python -m experiments.evaluate theirs.pt folder/of/pngs --dataset cifar10 --recipes dc
python -m experiments.evaluate data.pt --factor 2 --dataset cifar10

Every set is tested with every combination of network, recipe and augmentation. The accuracies are in `evaluation.json` beside the
set, or in the working directory for one that comes with the package; a command that was stopped goes on when it is given again.
"""

import contextlib
import dataclasses
import functools
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import jax
import tyro

import dcjax as dc
from dcjax import foreign, sharding
from dcjax.shipped import PLACE
from experiments.parts.networks import ConvNet
from experiments.parts.values import MaybeCount, MaybeSide, MaybeSize, Seed, Steps, check_ranges, flag
from experiments.pipeline import lock, scores, sets, show
from experiments.pipeline.endings import Diverged, exit_code
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.memory import check_memory
from experiments.pipeline.recipes import PAPERS, recipe
from experiments.pipeline.rivals import Entry, Terms, Tests, finish, known, network
from experiments.pipeline.stop import StopRequest
from experiments.settings.flags import read
from experiments.settings.networks import specifications, specified


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Tests condensed sets on several networks and under several recipes, beside random images and the whole data."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Sets to test: run directories, .npz files, folders with a subfolder of images per class, or published .pt files."""
    networks: tuple[str, ...] = ("convnet",)
    """Architectures to test on, separated by commas; settings of their own follow a colon: convnet:depth=4,norm=none,mlp."""
    recipes: tuple[Literal[("own", *PAPERS)], ...] = ("own",)
    """Recipes that students are trained by: the set's or its method's own, or DC's, DSA's or IDC's as published for such a set."""
    augmentation: Literal["with", "without", "both"] = "with"
    """Students are trained with the recipe's augmentation, without it, or both ways."""
    rivals: tuple[Literal["random", "whole", "none"], ...] = ("random", "whole")
    """Rivals that the set is compared with: random real images, the whole training set, or none."""
    num_students: Steps = 20
    """Students (networks trained from scratch) for each accuracy."""
    epochs: MaybeCount = None
    """Epochs that every student is trained for; the recipe's own number when not given."""
    whole_epochs: MaybeCount = 20
    """Epochs that a student is trained for on the whole training set; None for each recipe's own, which scores that compare with it need."""
    whole_students: Steps = 3
    """Students trained on the whole training set."""
    width: MaybeSize = None
    """Channels of the ConvNet; as many as the set was made with, or 128, when not given."""
    dataset: str | None = None
    """Data set to test on; the one that the set was made from when not given."""
    data_dir: str | None = None
    """Folder of prepared TFDS datasets (or set TFDS_DATA_DIR); as for the run when not given."""
    image_size: MaybeSide = None
    """Pixels along each side, to which test images are cropped and resized; as for the run when not given."""
    factor: MaybeSize = None
    """Cells along each side of the images in IDC's data.pt, which does not say it: 1 for IDC-I, 2 for IDC."""
    seed: Seed = 0
    """Seed of all random numbers."""
    workdir: str | None = None
    """Folder for the accuracies, each in RUN-evaluation.json; evaluation.json where each run is when not given."""
    devices: MaybeCount = None
    """Number of devices that students are divided among; all when not given."""

    def __post_init__(self):
        if not self.runs:
            raise dc.InputError("There is nothing to evaluate: give run directories or files of condensed sets.")
        for name in ("networks", "recipes", "rivals"):
            if not getattr(self, name):
                raise dc.InputError(f"{flag(name)} names nothing: give at least one.")
        check_ranges(self)
        for text in specifications(self.networks):
            specified(text)


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(evaluate, argv)


def evaluate(argv: list[str]) -> None:
    wanted = read(Evaluation, argv)
    wanted = dataclasses.replace(wanted, networks=specifications(wanted.networks))
    configure_jax()
    with StopRequest() as stop, sharding.across(wanted.devices), contextlib.ExitStack() as held:
        entries = _entries(wanted)  # before any is tested, so that a wrong one costs no time
        tests = Tests(_terms(wanted), stop)
        stop.advice = "What was measured is kept: give the same command again."
        command = shlex.join(["python", "-m", "experiments.evaluate", *argv])
        for entry in entries:
            held.enter_context(lock.held(entry.store.path.parent, f".{entry.store.path.name}"))
            entry.store.content = scores.opened(
                entry.store.path, entry.store.content["settings"]
            ).content  # as it is now
        found = [_test(entry, tests, command) for entry in entries]
        if not any(rows for rows, _ in found):
            raise Diverged(found[0][1][0])


def _test(entry, tests, command):
    """Tests a set and tabulates what came of it: gives the rows, and a sentence for everything that diverged."""
    found, failures = tests.rows(entry)
    rows = finish(entry.store, [{**row, "command": command} for row in found], failures)
    if rows:
        show.console.print(show.rivals_table(entry.name, rows))
    for sentence in (*show.left_out(rows), *(f"Not in the table: {each}" for each in failures.values())):
        show.say(sentence)
    show.say(f"Written to {entry.store.path}")
    return rows, [*failures.values()]


def _terms(wanted):
    augmented = {"with": (True,), "without": (False,), "both": (True, False)}[wanted.augmentation]
    same = {name: getattr(wanted, name) for name in Terms._fields if name != "augmented"}
    return Terms(augmented=augmented, **same)


def _entries(wanted):
    """Reads every named set, and checks that it fits its data and the networks."""
    load = functools.cache(lambda source: _loaded(source, wanted))
    entries, places = [], set()
    for path in map(sets.found, wanted.runs):
        data, fingerprint = load(sets.source(path, wanted.dataset, wanted.data_dir, wanted.image_size))
        read_sets = foreign.read(path, data, wanted.factor)
        for i, condensed in enumerate(read_sets):
            name, index = (str(path), "") if len(read_sets) == 1 else (f"{path} [{i}]", f"-{i}")
            place = _place(path, index, wanted)
            if place in places:
                raise dc.InputError(
                    f"Several sets would be written to {place}: evaluate each with a --workdir of its own."
                )
            places.add(place)
            _check_recipes(name, condensed, data, wanted)
            width = wanted.width or _own_width(condensed)
            seen = {"width": width, "dataset": data.name, "data": fingerprint, "set": sets.digest(condensed)}
            store = scores.opened(place, {**_settings(wanted), **seen})
            entries.append(Entry(name, condensed, data, fingerprint, width, store))
    sets.check_told(wanted.factor, (entry.condensed for entry in entries))
    return entries


def _check_recipes(name, condensed, data, wanted):
    try:
        for named in wanted.recipes:
            recipe(named, known(condensed), data.name, wanted.epochs)
    except dc.InputError as error:
        raise dc.InputError(f"{name}: {error}") from None


def _loaded(source, wanted):
    """Loads the data with a digest of them, and checks that every network can take them."""
    data = source.load()
    for architecture in wanted.networks:
        try:
            weights = jax.eval_shape(network(architecture, wanted.width or ConvNet.width, data).init, jax.random.key(0))
        except dc.InputError as error:
            raise dc.InputError(f"{architecture}: {error}") from None
        check_memory(network=weights, gradient_of_the_network=weights)
    return data, sets.fingerprint(data)


def _place(path, index, wanted):
    """Gives the file that a set's accuracies go to: beside the set, or named after its run in the folder of --workdir."""
    path = path.resolve()
    is_run = (path / "condensed.npz").is_file()
    if wanted.workdir is not None:
        run = path.parent if path.name == "condensed.npz" else path
        named = path.stem if path.parent == PLACE else run.name
        return _folder(wanted.workdir) / f"{named}-evaluation{index}.json"
    if path.parent == PLACE:
        return Path(f"{path.stem}-evaluation.json")
    return path / "evaluation.json" if is_run else path.with_name(f"{path.name}-evaluation{index}.json")


def _folder(name):
    """Makes the folder that a command line names, unless it is there."""
    folder = Path(name).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise dc.InputError(f"{folder} cannot be made ({error.strerror}): give another --workdir.") from None
    return folder


def _settings(wanted):
    """Gives the settings that accuracies depend on. The number of students is none: a later command may add some."""
    return {name: getattr(wanted, name) for name in ("epochs", "whole_epochs", "seed")}


def _own_width(condensed):
    """Gives the width of the ConvNet that a set was made with, else the usual one."""
    made_with = condensed.meta.get("recipe", {}).get("network", {})
    return made_with.get("width", ConvNet.width) if made_with.get("network", "convnet") == "convnet" else ConvNet.width


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
