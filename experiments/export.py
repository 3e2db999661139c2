"""Writes a condensed set for other programs.

python -m experiments.export runs/dc-mnist-1 --format npz       # images, labels: nothing but arrays
python -m experiments.export runs/dc-mnist-1 --format pt        # for PyTorch, in the layout of DC's and DM's files
python -m experiments.export runs/compare-mnist/dc-1-* --format pt --workdir exported   # a set for every seed
python -m experiments.export runs/dc-mnist-1 --format png       # a folder of images per class, and what rounding costs
python -m experiments.export dc-mnist-1 --format poster         # one picture: all training images beside those that replace them
"""

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import jax
import numpy as np
import tyro
from rich.markup import escape
from rich.table import Table

import dcjax as dc
from dcjax import foreign, sharding
from dcjax.shipped import PLACE, located
from experiments.parts.networks import NETWORKS
from experiments.parts.values import Steps, check_ranges
from experiments.pipeline import show
from experiments.pipeline.build import build
from experiments.pipeline.endings import exit_code
from experiments.pipeline.job import load_data
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.poster import poster
from experiments.pipeline.recipes import recipe
from experiments.pipeline.rivals import known
from experiments.pipeline.rundir import write_text
from experiments.pipeline.sets import source as source_of
from experiments.pipeline.stated import to_state
from experiments.pipeline.students import accuracies
from experiments.settings import saved
from experiments.settings.flags import read


def _write_pt(out, *sets):
    foreign.write_pt(out, *sets, accuracies=to_state(sets))


WRITERS = {"npz": foreign.write_npz, "png": foreign.write_png, "pt": _write_pt}
_SUFFIXES = {"npz": "images.npz", "pt": "images.pt", "png": "images", "poster": "poster.png"}


@dataclasses.dataclass(frozen=True)
class Export:
    """Writes a condensed set for other programs."""

    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Run directory, its condensed.npz, or the name of a set that comes with dcjax; pt: also runs of several seeds, or a comparison."""
    format: Literal["npz", "png", "pt", "poster"]
    """npz: plain arrays. png: a folder of 8-bit images per class. pt: PyTorch tensors in the layout of DC's and DM's files. poster: one picture
    of all training images and those that replace them."""
    workdir: str | None = None
    """Folder for images.npz, images.pt, poster.png or images/; that of condensed.npz when not given, or for a set that comes with dcjax the current one."""
    evaluate: bool = True
    """png: measure what rounding to 8 bits costs in accuracy, by the recipe of the run."""
    num_students: Steps = 5
    """png: students (networks trained from scratch) on the exact set, and as many on the rounded one."""
    data_dir: str | None = None
    """png, poster: folder of prepared TFDS datasets; as for the run when not given."""

    def __post_init__(self):
        if not self.runs:
            raise dc.InputError("There is nothing to export: give a run directory, or its condensed.npz.")
        check_ranges(self)


def main(argv: list[str]) -> int:
    return exit_code(run, argv)


def run(argv: list[str]) -> None:
    """Writes the set, once everything that it needs has been read and checked."""
    request = read(Export, argv)
    configure_jax()
    sources = [source for text in request.runs for source in _sources(Path(text).expanduser())]
    sets = [dc.load_condensed(source) for source in sources]
    _check(request, sources, sets)
    source = sources[0]
    name = _SUFFIXES[request.format]
    usual = Path(f"{source.stem}-{name}") if source.resolve().parent == PLACE else source.with_name(name)
    out = Path(request.workdir).expanduser() / usual.name if request.workdir else usual
    if request.format == "poster":
        _draw(out, source, sets[0], request.data_dir)
        return
    terms = _terms(source, sets[0], request.data_dir) if request.format == "png" and request.evaluate else None
    WRITERS[request.format](out, *sets)
    show.say(f"{sum(np.prod(each.batch.image.shape[:2]) for each in sets)} images are in {out}")
    if terms:
        with sharding.across():
            accuracy = _compare({"exact": source, "png": out}, terms, request.num_students)
        note = out / "export.json"
        write_text(note, json.dumps({**json.loads(note.read_text()), "accuracy": accuracy}, indent=2) + "\n")
        show.console.print(_table(terms.title, accuracy))


def _draw(out, source, condensed, data_dir):
    """Draws the poster, with the accuracies that the set notes."""
    data = source_of(source, None, data_dir, None).load()
    counts = sum(data.train.counts), math.prod(condensed.batch.image.shape[:2])
    known = [condensed.meta.get("accuracy", {}).get(name) for name in ("whole", "condensed")]
    beside = [
        f": networks trained on them reach {score['mean']:.1f} % on the test images" if score else "" for score in known
    ]
    captions = tuple(f"{count:,} images{text}".replace(",", " ") for count, text in zip(counts, beside))
    poster(out, np.asarray(data.train.image), condensed.pixels.reshape(-1, *data.image_shape), captions)
    show.say(f"The poster is {out}")


def _sources(place):
    """Gives the file of a run, or those of a comparison in the order of their seeds."""
    if (place / "comparison.json").is_file():
        found = place.glob("*/condensed.npz")
        return sorted(found, key=lambda file: (len(file.parent.name), file.parent.name))  # 2 before 10
    place = located(place)
    return [place / "condensed.npz" if place.is_dir() else place]


def _check(request, sources, sets):
    """Refuses several sets that one file of this format cannot hold, and those that are no experiments of one kind."""
    if not sets:
        raise dc.InputError(f"{request.runs[0]} holds no condensed.npz: let the comparison finish first.")
    if len(sets) == 1:
        return
    if request.format != "pt":
        raise dc.InputError(
            f"--format {request.format} writes one set, but there are {len(sets)}: give one run, or --format pt."
        )
    if not request.workdir:
        raise dc.InputError(f"{len(sets)} sets go into one file: give the folder for it by --workdir.")
    kinds = [[each.meta.get(name) for name in ("method", "dataset", "ipc")] for each in sets]
    odd = next((source for source, kind in zip(sources, kinds) if kind != kinds[0]), None)
    if odd:
        raise dc.InputError(
            f"{odd} is of another method, data set or number of images per class than {sources[0]}: export those of one kind."
        )


class Terms(NamedTuple):
    """Says how students are trained on a set: as its run trained them."""

    title: str
    data: dc.data.Dataset
    net: dc.Network
    recipe: dc.Recipe
    seed: int


def _terms(source, condensed, data_dir) -> Terms:
    """Gives the terms of the run that made the set, from its settings or, without these, from what the set notes."""
    meta, config = condensed.meta, source.with_name("config.json")
    title = f"{meta.get('method')} on {meta.get('dataset')}"
    if config.is_file():
        settings = saved.load(config)
        configure_jax(settings.precision)
        data = load_data(settings, data_dir)
        method = build(settings, data)
        return Terms(title, data, method.net, method.recipe, settings.seed)
    network = {**meta.get("recipe", {}).get("network", {})}
    kind = NETWORKS.members.get(network.pop("network", ""))
    if kind is None:
        raise dc.InputError(
            f"There is no {config}, and the set does not note its network: give --no-evaluate, or the whole run directory."
        )
    data = source_of(source, None, data_dir, None).load()
    net = dc.network(kind(**network).build(data.num_classes), data.image_shape)
    return Terms(title, data, net, recipe("own", known(condensed), data.name, None)[1], meta.get("seed", 0))


def _compare(paths, terms, students):
    """Trains students on each of the sets, with the same starts and shuffling, and summarises their accuracies."""
    how = {"recipe": terms.recipe, "hyper": dc.load_condensed(paths["exact"]).hyper}
    accuracy = {}
    for name, path in paths.items():
        key, batch = jax.random.key(terms.seed), foreign.real_rows(foreign.read(path, terms.data)[0].batch)
        scores = accuracies(key, terms.net, batch, terms.data, students, title=f"evaluating {name:5}", **how)
        accuracy[name] = show.summary(scores)
    return accuracy


def _table(title, accuracy):
    table = Table(title=escape(f"{title}: test accuracy (%)"))
    for name in ("training set", "accuracy", "students"):
        table.add_column(name, justify="left" if name == "training set" else "right")
    for name, label in (("exact", "as it is"), ("png", "as PNG (8 bits)")):
        score = accuracy[name]
        table.add_row(label, f"{score['mean']:.1f} ± {score['std']:.1f}", str(score["students"]))
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
