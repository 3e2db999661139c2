"""Writes a condensed set for other programs.

python -m experiments.export runs/dc-mnist-1 --format npz       # images, labels: nothing but arrays
python -m experiments.export runs/dc-mnist-1 --format pt        # for PyTorch, in the layout of DC's and DM's files
python -m experiments.export runs/dc-mnist-1 --format png       # a folder of images per class, and what rounding costs
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import tyro
from rich.markup import escape
from rich.table import Table

import dcjax as dc
from dcjax import foreign, sharding
from dcjax.shipped import PLACE, located
from experiments.parts.values import Steps, check_ranges
from experiments.pipeline import show
from experiments.pipeline.build import build
from experiments.pipeline.endings import exit_code
from experiments.pipeline.job import load_data
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.rundir import write_text
from experiments.pipeline.students import accuracies
from experiments.settings import saved
from experiments.settings.flags import read
from experiments.settings.settings import Settings

WRITERS = {"npz": foreign.write_npz, "png": foreign.write_png, "pt": foreign.write_pt}


@dataclasses.dataclass(frozen=True)
class Export:
    """Writes a condensed set for other programs."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory, its condensed.npz, or the name of a set that comes with dcjax."""
    format: Literal["npz", "png", "pt"]
    """npz: plain arrays. png: a folder of 8-bit images per class. pt: PyTorch tensors in the layout of DC's and DM's files."""
    out: str | None = None
    """File or folder to write; images.npz, images.pt or images/ beside condensed.npz, or NAME-images in the working directory, when not given."""
    evaluate: bool = True
    """png: measure what rounding to 8 bits costs in accuracy, by the recipe of the run."""
    num_students: Steps = 5
    """png: students (networks trained from scratch) on the exact set, and as many on the rounded one."""
    data_dir: str | None = None
    """png: folder of prepared TFDS datasets; as for the run when not given."""

    def __post_init__(self):
        check_ranges(self)


def main(argv: list[str]) -> int:
    return exit_code(run, argv)


def run(argv: list[str]) -> None:
    """Writes the set, once everything that it needs has been read and checked."""
    request = read(Export, argv)
    configure_jax()
    source = located(Path(request.run).expanduser())
    source = source / "condensed.npz" if source.is_dir() else source
    condensed = dc.load_condensed(source)
    suffix = "" if request.format == "png" else f".{request.format}"
    usual = Path(f"{source.stem}-images{suffix}") if source.parent == PLACE else source.with_name(f"images{suffix}")
    out = Path(request.out).expanduser() if request.out else usual
    setting = _setting(source, request) if request.format == "png" and request.evaluate else None
    WRITERS[request.format](out, condensed)
    show.say(f"{np.prod(condensed.batch.image.shape[:2])} images are in {out}")
    if setting:
        with sharding.across():
            accuracy = _compare({"exact": source, "png": out}, *setting, request.num_students)
        note = out / "export.json"
        write_text(note, json.dumps({**json.loads(note.read_text()), "accuracy": accuracy}, indent=2) + "\n")
        show.console.print(_table(setting[0], accuracy))


def _setting(source, request) -> tuple[Settings, dc.data.Dataset]:
    """Loads the settings and data of the run that made the set."""
    config = source.with_name("config.json")
    if not config.is_file():
        raise dc.InputError(f"There is no {config} to evaluate by: give --no-evaluate, or the whole run directory.")
    settings = saved.load(config)
    configure_jax(settings.precision)
    return settings, load_data(settings, request.data_dir)


def _compare(paths, settings, data, students):
    """Trains students on each of the sets, with the same starts and shuffling, and summarises their accuracies."""
    method = build(settings, data)
    how = {"recipe": method.recipe, "hyper": dc.load_condensed(paths["exact"]).hyper}
    accuracy = {}
    for name, path in paths.items():
        key, batch = jax.random.key(settings.seed), foreign.real_rows(foreign.read(path, data)[0].batch)
        scores = accuracies(key, method.net, batch, data, students, title=f"evaluating {name:5}", **how)
        accuracy[name] = show.summary(scores)
    return accuracy


def _table(settings, accuracy):
    table = Table(title=escape(f"{settings.method} on {settings.dataset}: test accuracy (%)"))
    for name in ("training set", "accuracy", "students"):
        table.add_column(name, justify="left" if name == "training set" else "right")
    for name, label in (("exact", "as it is"), ("png", "as PNG (8 bits)")):
        score = accuracy[name]
        table.add_row(label, f"{score['mean']:.1f} ± {score['std']:.1f}", str(score["students"]))
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
