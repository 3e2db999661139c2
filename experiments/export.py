"""Writes a condensed set for other programs.

python -m experiments.export runs/dc-mnist-1 --format npz       # images, labels: nothing but arrays
python -m experiments.export runs/dc-mnist-1 --format pt        # for PyTorch, in the layout of DC's and DM's files
python -m experiments.export runs/compare-mnist/dc-1-* --format pt --workdir exported   # a set for every seed
python -m experiments.export runs/dc-mnist-1 --format png       # a folder of images per class, and what rounding costs
python -m experiments.export dc-mnist-1 --format poster         # one picture: all training images beside those that replace them
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

import dcjax as dc
from dcjax import foreign, sharding
from dcjax.shipped import PLACE, located
from experiments.parts.values import Steps, check_ranges
from experiments.pipeline import rounding, show
from experiments.pipeline.endings import exit_code
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.poster import caption, poster
from experiments.pipeline.rundir import write_text
from experiments.pipeline.sets import source as source_of
from experiments.pipeline.stated import to_state
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
    is_named = source.resolve().parent == PLACE and len(sets) == 1
    usual = Path(f"{source.stem}-{name}") if is_named else source.with_name(name)
    out = Path(request.workdir).expanduser() / usual.name if request.workdir else usual
    if request.format == "poster":
        _draw(out, source, sets[0], request.data_dir)
        return
    judge = rounding.judge(source, sets[0], request.data_dir) if request.format == "png" and request.evaluate else None
    WRITERS[request.format](out, *sets)
    show.say(f"{sum(np.prod(each.batch.image.shape[:2]) for each in sets)} images are in {out}")
    if judge:
        with sharding.across():
            accuracy = rounding.compared({"exact": source, "png": out}, judge, request.num_students)
        note = out / "export.json"
        write_text(note, json.dumps({**json.loads(note.read_text()), "accuracy": accuracy}, indent=2) + "\n")
        show.console.print(rounding.table(judge.title, accuracy, loses_labels=foreign.has_soft_labels(sets[0])))


def _draw(out, source, condensed, data_dir):
    """Draws the poster, with the accuracies that the set notes."""
    data = source_of(source, None, data_dir, None).load()
    score = condensed.meta.get("accuracy", {})
    images = condensed.pixels.reshape(-1, *data.image_shape)
    above = caption(sum(data.train.counts), "training images", score.get("whole"))
    below = caption(len(images), "images in their place", score.get("condensed"))
    poster(out, np.asarray(data.train.image), images, (above, below))
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
    first = _kind(sets[0])
    for source, each in zip(sources, sets):
        differing = [name for name, value in _kind(each).items() if value != first[name]]
        if differing:
            raise dc.InputError(f"{source} is of another {differing[0]} than {sources[0]}: export those of one kind.")


def _kind(condensed):
    """Gives what sets of one experiment have in common."""
    meta, names = condensed.meta, {"method": "method", "data set": "dataset", "number of images per class": "ipc"}
    usual = {"image_space": "normalised", "labels": "hard"}  # which an older file does not name
    common = {title: meta.get(name) for title, name in names.items()}
    return common | {"parameterization": usual | meta.get("decoder", {})}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
