"""The files that a run leaves: the set, its pictures and its result."""

import numpy as np

import dcjax as dc
from experiments import config as configs
from experiments import figures, output
from experiments.command_line import command
from experiments.idle import network_fields
from experiments.job import Job, Made
from experiments.processes import is_first
from experiments.workdir import RunDirectory


def save_condensed(job: Job, directory: RunDirectory, syn: dc.Syn, accuracy: dict[str, dict] | None = None) -> None:
    """Writes `condensed.npz` and the pictures; `accuracy` is added to the file once it is known."""
    config = job.config
    batch = job.decoded(syn)  # by all processes, as everything that is computed
    if not is_first():
        return
    meta = {
        "method": config.method,
        "dataset": config.dataset,
        "ipc": config.ipc,
        "seed": config.seed,
        "version": output.environment()["versions"]["dcjax"],
        "decoder": job.method.decoder,
        "recipe": {
            "training": job.method.recipe.description,
            "epochs": config.eval_epochs,
            "schedule": config.eval_recipe,
            "augmentation": config.eval_augment,
            "mixing": config.eval_mix,
            "network": {name: getattr(config, name) for name in ("network", *network_fields(config.network))},
        },
        "accuracy": accuracy or {},
    }
    dc.save_condensed(directory.path / "condensed.npz", batch, syn, job.data, meta)
    pixels = job.data.train.denormalise(np.asarray(batch.image))
    figures.image_grid(directory.path / "condensed.png", pixels, job.data.class_names)
    if job.method.condenser:
        figures.curves(directory.path / "curves.png", directory.history(), config.iterations, accuracy or {})


def save_result(job: Job, directory: RunDirectory, made: Made, accuracy: dict[str, dict], is_all: bool) -> None:
    """Writes `result.json`, the artefact and the curves with the accuracies known so far, all of them or not yet."""
    config = job.config
    if made.syn is not None:
        save_condensed(job, directory, made.syn, accuracy)
    paper = configs.published(config)
    result = {
        "command": command(config),
        "accuracy": accuracy,
        "complete": is_all,
        "paper": {name: {"mean": mean} | ({} if std is None else {"std": std}) for name, (mean, std) in paper.items()},
        **made.facts,
        **output.environment(),
        "config": configs.dump(config),
    }
    directory.write_json("result.json", result)
