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
from experiments import cli, output
from experiments import config as configs
from experiments.build import build
from experiments.output import console, say
from experiments.run import configure_jax
from experiments.workdir import write_text

WRITERS = {"npz": foreign.write_npz, "png": foreign.write_png, "pt": foreign.write_pt}


@dataclasses.dataclass(frozen=True)
class Export:
    """Writes a condensed set for other programs."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory, or its condensed.npz."""
    format: Literal["npz", "png", "pt"]
    """npz: plain arrays. png: a folder of 8-bit images per class. pt: PyTorch tensors in the layout of DC's and DM's files."""
    out: str | None = None
    """Where to write; images.npz, images.pt or the folder images/ beside condensed.npz when not given."""
    evaluate: bool = True
    """png: measure what 8 bits cost, by the recipe of the run."""
    num_students: int = 5
    """png: networks trained from scratch on the set as it is, and on the rounded one."""
    data_dir: str | None = None
    """png: where TFDS datasets are prepared; where they were for the run when not given."""

    def __post_init__(self):
        if self.num_students < 1:
            raise dc.InputError(f"--num-students must be at least 1, not {self.num_students}.")


def main(argv: list[str]) -> int:
    return cli.exit_code(run, argv)


def run(argv: list[str]) -> None:
    """Reads and checks everything before anything is written."""
    request = cli.read(Export, argv)
    configure_jax()
    source = Path(request.run).expanduser()
    source = source / "condensed.npz" if source.is_dir() else source
    condensed = dc.load_condensed(source)
    suffix = "" if request.format == "png" else f".{request.format}"
    out = Path(request.out).expanduser() if request.out else source.with_name(f"images{suffix}")
    setting = _setting(source, request) if request.format == "png" and request.evaluate else None
    WRITERS[request.format](out, condensed)
    say(f"{np.prod(condensed.batch.image.shape[:2])} images are in {out}")
    if setting:
        with sharding.across():
            accuracy = _compare({"exact": source, "png": out}, *setting, request.num_students)
        note = out / "export.json"
        write_text(note, json.dumps({**json.loads(note.read_text()), "accuracy": accuracy}, indent=2) + "\n")
        console.print(_table(setting[0], accuracy))


def _setting(source, request) -> tuple[configs.Config, dc.data.Dataset]:
    """The settings and data of the run that made the set."""
    saved = source.with_name("config.json")
    if not saved.is_file():
        raise dc.InputError(f"There is no {saved} to evaluate by: give --no-evaluate, or the whole run directory.")
    config = configs.load(saved)
    configure_jax(config.precision)
    data_dir = request.data_dir or config.data_dir
    return config, dc.data.load(config.dataset, data_dir=data_dir, image_size=config.image_size)


def _compare(paths, config, data, num_students):
    """Students that start and shuffle alike, on each of the sets."""
    method = build(config, data)
    accuracy = {}
    for name, path in paths.items():
        batch = foreign.real_rows(foreign.read(path, data)[0].batch)
        key = jax.random.key(config.seed)
        with output.student_progress(f"evaluating {name:5}", num_students) as told:
            settings = {"recipe": method.recipe, "num_students": num_students, "on_scores": told}
            accuracy[name] = output.summary(dc.evaluate(key, method.net, batch, data.test, **settings))
    return accuracy


def _table(config, accuracy):
    table = Table(title=escape(f"{config.method} on {config.dataset}: test accuracy (%)"))
    for name in ("training set", "accuracy", "students"):
        table.add_column(name, justify="left" if name == "training set" else "right")
    for name, label in (("exact", "as it is"), ("png", "as PNG (8 bits)")):
        score = accuracy[name]
        table.add_row(label, f"{score['mean']:.1f} ± {score['std']:.1f}", str(score["students"]))
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
