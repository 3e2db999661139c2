"""Runs the stages of a run one after the other."""

import contextlib
import shlex

import jax

import dcjax as dc
from dcjax import backend
from dcjax.base import Learned
from dcjax.checkpoint import Checkpoints
from experiments.pipeline import processes, rundir, show
from experiments.pipeline.condense import condense
from experiments.pipeline.job import Job, Made, load_data, prepare
from experiments.pipeline.save import save_condensed, save_result
from experiments.pipeline.score import evaluate_all
from experiments.pipeline.select import select
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.verdict import verdict
from experiments.settings.flags import invoked
from experiments.settings.saved import dump
from experiments.settings.settings import Settings


def execute(settings: Settings, stop: StopRequest) -> None:
    """Makes a set, or goes on making it, evaluates it, and leaves everything in the run directory, which it holds meanwhile."""
    with _begun(settings, stop) as (job, directory):
        stop.advice = f"Continue with: {invoked('run')} --resume --workdir {shlex.quote(settings.workdir)}"
        show.say(f"{_named(settings)}, in {directory.path}")
        show.say("  ".join(f"{name}={value}" for name, value in settings.values().items()), style="dim")
        made = _make(job, directory, stop)
        job = job._replace(settings=_as_made(settings, made))
        if made.learned is not None:
            save_condensed(job, directory, made.learned)
        for accuracy, is_all in evaluate_all(job, directory, made.learned, stop):
            save_result(job, directory, made, accuracy, is_all)
        if processes.is_first():
            show.console.print(show.table(settings, accuracy))
        told = verdict(accuracy, show.subject(settings))
        if told:
            show.say(told["sentence"])
        took = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in made.facts.items())
        show.say(f"{took}. All that the run leaves is in {directory.path}".lstrip(". "))


def make(settings: Settings, stop: StopRequest) -> None:
    """Makes a set, or goes on making it, and leaves it in the run directory untested: `experiments.run --resume` may test it later."""
    with _begun(settings, stop) as (job, directory):
        show.say(f"{_named(settings)}, in {directory.path}")
        made = _make(job, directory, stop)
        save_condensed(job._replace(settings=_as_made(settings, made)), directory, made.learned)


def _named(settings):
    return f"{settings.method} on {settings.dataset}, {settings.ipc} image(s) per class"


@contextlib.contextmanager
def _begun(settings, stop):
    """Gives the job of a run with its directory, which is held until the block ends."""
    processes.on_first(lambda: rundir.check(settings))
    data = load_data(settings).replicated()
    stop.check()
    job = prepare(settings, data)
    with rundir.held(settings):  # not before: a mistake leaves no directory behind
        directory = rundir.RunDirectory(settings.workdir)
        _check_alike(settings, data, directory)
        processes.on_first(lambda: rundir.open_run(directory, settings, data))
        yield job, directory


def _as_made(settings, made):
    """Gives the settings that make the same set again: of a run by time, with the iterations that it came to."""
    if not (made.iterations and settings.minutes):
        return settings
    reached = tuple(t for t in settings.eval_at if t <= made.iterations)
    eval_at = (reached or (0,)) if settings.eval_at else ()
    return settings.replace(iterations=made.iterations, minutes=None, eval_minutes=(), eval_at=eval_at)


def _check_alike(settings, data, directory):
    """Refuses processes that would not do the same run."""
    processes.check_same(
        {
            "their settings": dump(settings),
            "the training data": data.fingerprint(),
            "what --workdir holds": directory.checkpoint_names(),
            "their devices": (jax.local_devices()[0].device_kind, backend.device_memory()),
        }
    )


def _make(job: Job, directory: rundir.RunDirectory, stop: StopRequest) -> Made:
    """Condenses images, or chooses real ones unless that was done before; for the whole data, makes nothing."""
    if job.method.condenser:
        with Checkpoints(directory.checkpoints) as checkpoints:
            return condense(job, directory, checkpoints, stop)
    directory.write_json("config.json", dump(job.settings))
    learned = _chosen_before(directory.path / "condensed.npz", job.settings) if job.settings.resume else None
    if learned is not None:
        return Made(learned, {})
    return Made(None, {}) if job.settings.about.takes_all else select(job, stop)


def _chosen_before(path, settings):
    """Gives the images that a run chose before it was stopped; None if it did not, or if others stand in their file."""
    if not path.exists():
        return None
    try:
        found = dc.load_condensed(path)
        if all(found.meta.get(name) == getattr(settings, name) for name in ("method", "dataset", "ipc", "seed")):
            return Learned({"image": found.compact["image"]}, ())
        reason = f"{path} is of another run"
    except (dc.InputError, KeyError) as error:
        reason = str(error).rstrip(".")
    show.say(f"{reason}, so the images are chosen again.")
    return None
