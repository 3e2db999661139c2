"""Runs all outer iterations with checkpoints, from wherever the run was stopped."""

import contextlib
import functools
import time

import jax
import numpy as np

import dcjax as dc
from dcjax import files
from dcjax.checkpoint import Checkpoints
from experiments.parts.values import MOST
from experiments.pipeline import older, show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.job import Job, Made
from experiments.pipeline.pretrain import Pretraining
from experiments.pipeline.processes import of_first
from experiments.pipeline.rundir import RunDirectory
from experiments.pipeline.score import evaluate_on_the_way, students_due
from experiments.pipeline.stop import StopRequest
from experiments.settings import saved

_RESERVED = {"iteration", "seconds", "deviation", "students"}  # names in metrics.jsonl that say what a row is


def condense(job: Job, directory: RunDirectory, checkpoints: Checkpoints, stop: StopRequest) -> Made:
    """Runs all outer iterations, from the newest checkpoint if there is one."""
    settings, total = job.settings, MOST if job.settings.minutes else job.settings.iterations
    start, state, source = _start(job, directory, checkpoints, Pretraining(job, stop), total)
    directory.write_json("config.json", saved.dump(settings))  # not before: a run that cannot go on is left as it was
    directory.rewind(start)
    taken = directory.seconds()
    spent, last = sum(taken), taken[-1] if taken else 0.0
    total = start if _is_over(settings, spent) else total
    step, compile_seconds = _compiled(job, state, source(start)) if start < total else (None, None)
    stop.check()
    students = students_due(settings, start, spent - last, spent)
    evaluate_on_the_way(job, directory, state.learned, start, students, stop)  # one that a stop left out
    with _progress(settings, total, start, spent) as advance:
        for t in range(start + 1, total + 1):
            state, loss, seconds = _iterated(step, state, source, t, directory, checkpoints)
            spent += seconds
            advance(f"loss {loss:.4g}", spent)
            stopping, over = stop.requested, _is_over(settings, spent)  # read once: a run stops only where it was saved
            students = students_due(settings, t, spent - seconds, spent)
            if stopping or over or students or t % settings.checkpoint_every == 0 or t == total:
                _check_finite(loss, state.learned, t, checkpoints)
                checkpoints.save(t, state, saved.dump(settings))
            if stopping:
                stop.check()
            evaluate_on_the_way(job, directory, state.learned, t, students, stop)
            if over:
                total = t
                break
    checkpoints.wait()
    return Made(state.learned, _facts(directory, total, compile_seconds), total)


def _iterated(step, state, source, t, directory, checkpoints):
    """Makes the `t`-th iteration and logs it; gives the state, the loss and the seconds that it took."""
    began = time.perf_counter()
    state, metrics = step(state, source(t - 1), np.int32(t - 1))
    values = {name: float(value) for name, value in metrics.items() if value.ndim == 0}
    _check_finite(values["loss"], values["loss"], t, checkpoints)
    checkpoints.check()
    seconds = round(of_first(time.perf_counter() - began), 4)  # all processes stop and evaluate together
    directory.log(iteration=t, **values, seconds=seconds)
    return state, values["loss"], seconds


def _is_over(settings, spent):
    """Tells whether the minutes are used up."""
    return bool(settings.minutes) and spent >= 60 * settings.minutes


@contextlib.contextmanager
def _progress(settings, total, start, spent):
    """Shows how many of the iterations, or of the seconds, are done; gives `advance(note, seconds spent)`."""
    if not settings.minutes:
        with show.progress("condensing", total, start) as advance:
            yield lambda note, seconds: advance(note)
        return
    whole = max(round(60 * settings.minutes), 1)
    done = min(int(spent), whole)
    with show.progress("condensing, seconds", whole, done) as advance:

        def until(note, seconds):
            nonlocal done
            now = min(int(seconds), whole)
            advance(note, now - done)
            done = now

        yield until


def _start(job, directory, checkpoints, pretrain, total):
    """Gives the iterations done and the state, of the newest checkpoint or the beginning, and iteration -> what its steps draw from."""
    done = checkpoints.latest or 0
    if done > total:
        raise dc.InputError(f"This run is at iteration {done} already: give --iterations {done} or more.")
    sources = job.sources(pretrain)
    state = jax.jit(job.initial_state)(sources(job.first_draw, 0))
    if done:
        done, state = _restored(job, directory, checkpoints, state)
    elif job.settings.resume:
        _check_lost(directory, checkpoints)
    return done, state, functools.partial(sources, job.draw)


def _restored(job, directory, checkpoints, like):
    """Restores the newest whole checkpoint, which must have been made with the settings of the run."""
    found = older.restored(checkpoints, like, job.settings)
    for iteration, reason in found.damaged.items():
        show.say(
            f"The checkpoint of iteration {iteration} is damaged ({reason}) and kept as damaged-{iteration}: the run goes on from iteration "
            f"{found.iteration}."
        )
    place, advice = (
        checkpoints.directory / str(found.iteration) / "config",
        "resume the run with the version that made it",
    )
    try:
        saved.check_resumable(job.settings, saved.restored(found.config, place, advice))
    except dc.InputError as error:
        raise dc.InputError(
            f"{directory.path / 'config.json'} does not go with the checkpoint of iteration {found.iteration} ({str(error).rstrip('.')}): "
            f"{saved.remedy(directory.path, 'restore it')}."
        ) from None
    return found.iteration, found.state


def _check_lost(directory, checkpoints):
    """Says that a run begins again, and refuses to where its log shows that its checkpoints were there once."""
    reached = max((row["iteration"] for row in directory.history()), default=0)
    config = files.read_json(directory.path / "config.json", "start the run again in another --workdir")
    due = [t for t in range(1, reached) if t % config.get("checkpoint_every", 10) == 0]
    if len(due) > 1:  # the last may have been under way when the run was stopped, the one before it was finished
        raise dc.InputError(
            f"The run had reached iteration {reached}, but there is no checkpoint in {checkpoints.directory}: put them back, or start "
            "the run again in another --workdir."
        )
    show.say("Nothing was saved before the run was stopped: it begins again with its first iteration.")


def _compiled(job, state, source):
    began = time.perf_counter()
    show.say("compiling ...", style="dim")
    run = dc.iteration(job.method.condenser, steps=job.settings.matches)
    lowered = run.lower(job.keys.step, state, source, np.int32(0))
    _check_metrics(lowered.out_info[1])
    return functools.partial(lowered.compile(), job.keys.step), time.perf_counter() - began


def _check_metrics(metrics):
    """Refuses an objective whose metrics cannot be logged."""
    taken = _RESERVED & set(metrics)
    if taken or "loss" not in metrics:
        raise dc.InputError(
            f"An objective gives a metric `loss` and none named {', '.join(sorted(_RESERVED))}, but this one gives "
            f"{', '.join(metrics) or 'nothing'}: rename its metrics."
        )


def _facts(directory, iterations, compile_seconds):
    """Gives the times of a run, as far as its log is whole; that of compiling where something was compiled now."""
    facts = {} if compile_seconds is None else {"compile_seconds": round(compile_seconds, 1)}
    seconds = directory.seconds()
    if not directory.unlogged(iterations):
        facts["condense_seconds"] = round(sum(seconds), 1)
    return facts | ({"seconds_per_iteration": round(float(np.median(seconds)), 4)} if seconds else {})


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
