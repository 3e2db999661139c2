"""The stages of one run: condense with checkpoints, evaluate against baselines, leave the files."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

import dcjax as dc
from dcjax.checkpoint import Checkpoints
from dcjax.sharding import replicate
from experiments import config as configs
from experiments import figures, report
from experiments.build import Method, build
from experiments.config import Config
from experiments.processes import is_first
from experiments.report import say
from experiments.stop import StopRequest
from experiments.workdir import RunDirectory

_EVALUATION = ("iterations", "num_students", "eval_epochs", "eval_augment")  # what final accuracies depend on
WHOLE_STUDENTS = 3  # students of the full training set: its accuracy hardly varies and takes long


class Diverged(RuntimeError):
    """The loss is no longer a number."""


class Keys(NamedTuple):
    """The run's randomness, all from one seed; a step folds in its iteration, so nothing of it is stored."""

    init: dc.Key
    draw: dc.Key
    step: dc.Key
    evaluate: dc.Key


class Job(NamedTuple):
    config: Config
    data: dc.data.Dataset
    method: Method
    keys: Keys
    real_batch: int  # images per class in a comparison: the configured number or the smallest class

    def initial_state(self, real: dc.data.Split) -> dc.CondenserState:
        draw = max(self.real_batch, self.config.ipc)  # a start from real images takes ipc of every class
        return self.method.condenser.init(self.keys.init, real.sample(self.keys.draw, draw))


def prepare(config: Config, data: dc.data.Dataset) -> Job:
    """Builds the method and checks that the data can give what is asked, before anything is computed."""
    smallest = min(data.train.counts)
    if config.ipc > smallest:
        name = data.class_names[data.train.counts.index(smallest)]
        raise dc.InputError(
            f"--ipc {config.ipc} asks for more images than there are: class {name!r} has {smallest} to train on."
        )
    keys = Keys(*replicate(jax.random.split(jax.random.key(config.seed), 4)))
    job = Job(config, data, build(config, data), keys, real_batch=min(config.real_batch, smallest))
    jax.eval_shape(job.initial_state, data.train)
    return job


def condense(
    job: Job, directory: RunDirectory, checkpoints: Checkpoints, stop: StopRequest
) -> tuple[dc.CondenserState, dict]:
    """All outer iterations, from the newest checkpoint if there is one. Gives the state and what it took."""
    total = job.config.iterations
    start, state = _start(job, checkpoints)
    settings = configs.dump(job.config)
    directory.write_json("config.json", settings)  # not before: a run that cannot go on is left as it was
    directory.rewind(start)
    step, compile_seconds = _compiled(job, state)
    stop.check()
    with report.progress("condensing", total, start) as advance:
        for t in range(start + 1, total + 1):
            _evaluate_if_due(job, directory, state, t - 1, stop)
            began = time.perf_counter()
            state, metrics = step(job.keys.step, state, job.data.train, np.int32(t - 1))
            loss = float(metrics["loss"])
            _check_finite(loss, loss, t, checkpoints)
            directory.log(iteration=t, loss=loss, seconds=round(time.perf_counter() - began, 4))
            advance(f"loss {loss:.4g}")
            stopping = stop.requested  # read once: what is stopped is what was saved
            if stopping or t % job.config.checkpoint_every == 0 or t == total or t in job.config.eval_at:
                _check_finite(loss, state.learned, t, checkpoints)
                checkpoints.save(t, state, settings)
            if stopping:
                stop.check()
    _evaluate_if_due(job, directory, state, total, stop)
    checkpoints.wait()
    seconds = [row["seconds"] for row in directory.history() if "loss" in row]
    return state, {
        "compile_seconds": round(compile_seconds, 1),
        "condense_seconds": round(sum(seconds), 1),
        "seconds_per_iteration": round(float(np.median(seconds)), 4),
    }


def _start(job, checkpoints):
    """(iterations done, state): the newest checkpoint's, or the beginning."""
    done = checkpoints.latest or 0
    if done > job.config.iterations:
        raise dc.InputError(f"This run is at iteration {done} already: give --iterations {done} or more.")
    state = jax.jit(job.initial_state)(job.data.train)
    return done, checkpoints.restore(state) if done else state


def _compiled(job, state):
    began = time.perf_counter()
    say("compiling ...", style="dim")
    run = dc.iteration(job.method.condenser, steps=job.config.matches, real_per_class=job.real_batch)
    step = run.lower(job.keys.step, state, job.data.train, np.int32(0)).compile()
    return step, time.perf_counter() - began


def _check_finite(loss, values, iteration, checkpoints):
    if all(np.isfinite(value).all() for value in jax.tree.leaves(values)):
        return
    checkpoints.wait()
    kept = (
        f"the last good state, of iteration {checkpoints.latest}, is in {checkpoints.directory}"
        if checkpoints.latest
        else "nothing was saved before"
    )
    raise Diverged(
        f"The loss or the images stopped being finite in iteration {iteration} (loss {loss}); {kept}: run again with "
        "lower rates, --image-rate first."
    )


def _decoded(job, state) -> dc.Batch:
    return job.method.parameterization.decode(state.syn)


def _evaluate_if_due(job, directory, state, iteration, stop):
    """Evaluates at the iterations of `eval_at`, once: a resumed run does not repeat what is logged."""
    if iteration not in job.config.eval_at:
        return
    if any(row["iteration"] == iteration and "accuracy" in row for row in directory.history()):
        return
    key = jax.random.fold_in(job.keys.evaluate, iteration)  # 0 is the final evaluation's
    score = report.summary(_evaluate(job, key, f"evaluating iteration {iteration}", _decoded(job, state), stop))
    directory.log(iteration=iteration, accuracy=score["mean"], deviation=score["std"])


def _evaluate(job, key, title, batch, stop, num_students=None, finished=(), note=lambda scores: None):
    """One student on each of several sets [S, K, M, ...], or several on one set [K, M, ...]."""
    students = num_students or job.config.num_students
    done = len(finished)
    with report.progress(title, students, done) as advance:

        def on_scores(scores):
            nonlocal done
            advance(f"accuracy {100 * scores.mean():.1f} %", len(scores) - done)
            done = len(scores)
            note(scores)
            stop.check()

        common = {"recipe": job.method.recipe, "finished": finished, "on_scores": on_scores}
        if batch.image.ndim == 6:
            return dc.evaluate_each(key, job.method.net, batch, job.data.test, **common)
        return dc.evaluate(key, job.method.net, batch, job.data.test, num_students=students, **common)


def evaluate_all(
    job: Job, directory: RunDirectory, state: dc.CondenserState, stop: StopRequest
) -> Iterator[dict[str, dict]]:
    """The condensed set and, by the same recipe, a fresh random draw for every student; with `whole`, everything.

    Gives what is known after each of them. Every student's accuracy is noted at once, and a stopped evaluation goes on with
    the next student.
    """
    key = jax.random.fold_in(job.keys.evaluate, 0)
    condensed_key, draw_key, random_key, whole_key = jax.random.split(key, 4)
    draws = jax.vmap(lambda key: job.data.sample(key, job.config.ipc))(
        jax.random.split(draw_key, job.config.num_students)
    )
    stages = [("condensed", condensed_key, _decoded(job, state), None), ("random", random_key, draws, None)]
    if job.config.whole:
        everything = jax.tree.map(lambda x: x[None], job.data.train.batch())
        stages.append(("whole", whole_key, everything, WHOLE_STUDENTS))
    settings = {name: getattr(job.config, name) for name in _EVALUATION}
    scores = directory.read_scores(settings)
    accuracy = {}
    for name, stage_key, batch, students in stages:

        def note(values, name=name):
            scores[name] = [float(value) for value in values]
            directory.write_json("scores.json", {"settings": settings, "scores": scores})

        title = f"evaluating {name:9}"
        finished = scores.get(name, ())
        values = _evaluate(job, stage_key, title, batch, stop, students, finished, note)
        accuracy = {**accuracy, name: report.summary(values)}
        yield accuracy


def save_condensed(
    job: Job, directory: RunDirectory, state: dc.CondenserState, accuracy: dict[str, dict] | None = None
) -> None:
    """Writes `condensed.npz` and the pictures; `accuracy` is added to the file once it is known."""
    config = job.config
    batch = _decoded(job, state)  # by all processes, as everything that is computed
    if not is_first():
        return
    meta = {
        "method": config.method,
        "dataset": config.dataset,
        "ipc": config.ipc,
        "seed": config.seed,
        "version": report.environment()["versions"]["dcjax"],
        "decoder": job.method.decoder,
        "recipe": {
            "training": job.method.recipe.description,
            "augmentation": config.eval_augment,
            "network": {n: getattr(config, n) for n in ("network", "width", "depth", "norm", "activation", "pooling")},
        },
        "accuracy": accuracy or {},
    }
    dc.save_condensed(directory.path / "condensed.npz", batch, state.syn, job.data, meta)
    pixels = job.data.train.denormalise(np.asarray(batch.image))
    figures.image_grid(directory.path / "condensed.png", pixels, job.data.class_names)
    figures.curves(directory.path / "curves.png", directory.history(), config.iterations, accuracy or {})


def save_result(
    job: Job, directory: RunDirectory, state: dc.CondenserState, accuracy: dict[str, dict], facts: dict
) -> None:
    """Writes `result.json`, the artefact and the curves with the accuracies known so far."""
    config = job.config
    save_condensed(job, directory, state, accuracy)
    paper = configs.published(config)
    result = {
        "command": configs.command(config),
        "accuracy": accuracy,
        "paper": {name: {"mean": mean, "std": std} for name, (mean, std) in paper.items()},
        **facts,
        **report.environment(),
        "config": configs.dump(config),
    }
    directory.write_json("result.json", result)
