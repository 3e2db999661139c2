"""Writes the files that a run leaves: the set, its pictures and its result."""

import dataclasses
import functools

import jax
import numpy as np

import dcjax as dc
from dcjax.base import Learned
from experiments.pipeline import figures, pictures, show
from experiments.pipeline.job import Job, Made
from experiments.pipeline.machine import environment
from experiments.pipeline.processes import is_first
from experiments.pipeline.rundir import RunDirectory, under
from experiments.pipeline.verdict import verdict
from experiments.settings.parse import command
from experiments.settings.saved import dump
from experiments.settings.settings import published


def save_condensed(
    job: Job, directory: RunDirectory, learned: Learned, accuracy: dict[str, dict] | None = None
) -> None:
    """Writes `condensed.npz` and the pictures; `accuracy` is added to the file and the curves once it is known."""
    batch = job.decoded(learned.syn)  # by all processes, as everything that is computed
    if not is_first():
        return
    dc.save_condensed(directory.path / "condensed.npz", batch, learned, job.data, _meta(job, accuracy or {}))
    if accuracy is None:  # the images are the same later
        pixels = np.asarray(job.data.train.denormalise(np.asarray(batch.image)))
        stored = pictures.what_is_stored(learned.syn, pixels, functools.partial(_to_pixels, job))
        pictures.image_grid(directory.path / "condensed.png", pixels, job.data.class_names, stored)
    if job.method.condenser:
        history = under(directory.history(), job.settings.values())
        figures.curves(directory.path / "curves.png", history, job.settings.iterations, accuracy or {})


def _to_pixels(job, images):
    is_normalised = job.method.decoder["image_space"] == "normalised"
    return np.asarray(job.data.train.denormalise(images)) if is_normalised else images


def _meta(job, accuracy):
    """Gives the metadata that the artefact holds."""
    settings = job.settings
    recipe = {
        "training": job.method.recipe.description,
        "normalisation": job.data.train.normalisation.description,
        "schedule": settings.eval_recipe,
        "settings": dataclasses.asdict(settings.parts["eval_recipe"]),
        "views": job.method.recipe.views,
        "network": {"network": settings.network, **dataclasses.asdict(settings.parts["network"])},
    }
    names = ("method", "dataset", "ipc", "seed", "statistics", *(["iterations"] if job.method.condenser else []))
    about = {name: getattr(settings, name) for name in names}
    version = environment()["versions"]["dcjax"]
    return {**about, "version": version, "decoder": job.method.decoder, "recipe": recipe, "accuracy": accuracy}


def save_result(job: Job, directory: RunDirectory, made: Made, accuracy: dict[str, dict], is_all: bool) -> None:
    """Writes `result.json`, the artefact and the curves with the accuracies known so far; `is_all` says whether these are all."""
    if made.learned is not None:
        save_condensed(job, directory, made.learned, accuracy)
    paper = published(job.settings)
    told = verdict(accuracy, show.subject(job.settings))
    result = {
        "command": command(job.settings),
        "accuracy": accuracy,
        **({"against_random": told} if told else {}),
        "complete": is_all,
        "paper": {name: {"mean": mean} | ({} if std is None else {"std": std}) for name, (mean, std) in paper.items()},
        **_spent(directory.result(), made.facts),
        **_on_the_way(under(directory.history(), job.settings.values())),
        **({"stored_bytes": _bytes(made.learned.syn)} if made.learned is not None else {}),
        **_with_earlier(directory.result(), environment()),
        "config": dump(job.settings),
    }
    directory.write_json("result.json", result)


def _spent(before, facts):
    """Adds to the times of a run those that an earlier process measured and that this one, which went on from there, did not."""
    return {name: before[name] for name in ("compile_seconds", "choose_seconds") if name in before} | facts


def _with_earlier(before, now):
    """Names the machines of earlier processes before this one's: a set may be made on one and tested on another."""
    machines = [*filter(None, before.get("hardware", "").split("; ")), now["hardware"]]
    return {**now, "hardware": "; ".join(dict.fromkeys(machines))}


def _on_the_way(history):
    """Lists the accuracies that were measured on the way, each with the minutes when its iteration began and ended."""
    seconds = {row["iteration"]: row["seconds"] for row in history if "loss" in row and "seconds" in row}

    def minutes(before):
        return round(sum(took for t, took in seconds.items() if t < before) / 60, 7)  # finer than what is logged

    found = [
        {
            "iteration": row["iteration"],
            "began": minutes(row["iteration"]),
            "minutes": minutes(row["iteration"] + 1),
            "mean": row["accuracy"],
            "std": row["deviation"],
            **({"students": row["students"]} if "students" in row else {}),
        }
        for row in history
        if "deviation" in row
    ]
    return {"on_the_way": found} if found else {}


def _bytes(syn):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(syn))
