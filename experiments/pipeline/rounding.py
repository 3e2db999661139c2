"""Measures what rounding a set to the bytes of pictures costs in accuracy."""

from pathlib import Path
from typing import NamedTuple

import jax
from rich.markup import escape
from rich.table import Table

import dcjax as dc
from dcjax import foreign
from experiments.parts.networks import NETWORKS
from experiments.pipeline import show
from experiments.pipeline.build import build
from experiments.pipeline.job import load_data
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.recipes import recipe
from experiments.pipeline.rivals import known
from experiments.pipeline.sets import source as source_of
from experiments.pipeline.students import accuracies
from experiments.settings import saved


class Judge(NamedTuple):
    """Says how students are trained on a set: as its run trained them."""

    title: str
    data: dc.data.Dataset
    net: dc.Network
    recipe: dc.Recipe
    seed: int


def judge(source: Path, condensed: dc.Condensed, data_dir: str | None) -> Judge:
    """Finds out how the run of a set trained students, by its settings or, without these, by what the set notes.

    Raises:
        InputError: neither says it.
    """
    meta, config = condensed.meta, source.with_name("config.json")
    title = f"{meta.get('method')} on {meta.get('dataset')}"
    if config.is_file():
        settings = saved.load(config)
        configure_jax(settings.precision)
        data = load_data(settings, data_dir)
        method = build(settings, data)
        return Judge(title, data, method.net, method.recipe, settings.seed)
    network = {**meta.get("recipe", {}).get("network", {})}
    kind = NETWORKS.members.get(network.pop("network", ""))
    advice = "give --no-evaluate, or the whole run directory"
    if kind is None or not meta.get("dataset"):
        raise dc.InputError(f"There is no {config}, and the set does not note its network and data: {advice}.")
    data = source_of(source, None, data_dir, None).load()
    if data.class_names != condensed.class_names:
        raise dc.InputError(f"There is no {config}, and the set is not of all classes of {data.name}: {advice}.")
    net = dc.network(kind(**network).build(data.num_classes), data.image_shape)
    return Judge(title, data, net, recipe("own", known(condensed), data.name, None)[1], meta.get("seed", 0))


def compared(paths: dict[str, Path], judge: Judge, students: int) -> dict[str, dict]:
    """Trains students on each of some sets, with the same starts and shuffling, and summarises their accuracies.

    Args:
        paths: the files by name, the one as it is under `exact`.
        judge: how students are trained.
        students: number of students on each.
    """
    how = {"recipe": judge.recipe, "hyper": dc.load_condensed(paths["exact"]).hyper}
    accuracy = {}
    for name, path in paths.items():
        key, batch = jax.random.key(judge.seed), foreign.real_rows(foreign.read(path, judge.data)[0].batch)
        scores = accuracies(key, judge.net, batch, judge.data, students, title=f"evaluating {name:5}", **how)
        accuracy[name] = show.summary(scores)
    return accuracy


def table(title: str, accuracy: dict[str, dict], loses_labels: bool) -> Table:
    """Makes the table of what a set is worth as it is and as pictures, in whose folders soft labels are lost."""
    made = Table(title=escape(f"{title}: test accuracy (%)"))
    for name in ("training set", "accuracy", "students"):
        made.add_column(name, justify="left" if name == "training set" else "right")
    for name, label in (
        ("exact", "as it is"),
        ("png", "as PNG (8 bits, hard labels)" if loses_labels else "as PNG (8 bits)"),
    ):
        score = accuracy[name]
        made.add_row(label, f"{score['mean']:.1f} ± {score['std']:.1f}", str(score["students"]))
    return made
