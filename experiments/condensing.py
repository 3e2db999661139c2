"""Condenses with checkpoints: all iterations of a run, from wherever it was stopped."""

import time

import jax
import numpy as np

import dcjax as dc
from dcjax.checkpoint import Checkpoints
from experiments import config as configs
from experiments import output
from experiments.endings import Diverged
from experiments.evaluation import evaluate_if_due
from experiments.job import Job, Made
from experiments.output import say
from experiments.stop import StopRequest
from experiments.workdir import RunDirectory


def condense(job: Job, directory: RunDirectory, checkpoints: Checkpoints, stop: StopRequest) -> Made:
    """All outer iterations, from the newest checkpoint if there is one."""
    total = job.config.iterations
    start, state = _start(job, checkpoints)
    settings = configs.dump(job.config)
    directory.write_json("config.json", settings)  # not before: a run that cannot go on is left as it was
    directory.rewind(start)
    step, compile_seconds = _compiled(job, state)
    stop.check()
    with output.progress("condensing", total, start) as advance:
        for t in range(start + 1, total + 1):
            evaluate_if_due(job, directory, state.syn, t - 1, stop)
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
    evaluate_if_due(job, directory, state.syn, total, stop)
    checkpoints.wait()
    seconds = [row["seconds"] for row in directory.history() if "loss" in row]
    facts = {
        "compile_seconds": round(compile_seconds, 1),
        "condense_seconds": round(sum(seconds), 1),
        "seconds_per_iteration": round(float(np.median(seconds)), 4),
    }
    return Made(state.syn, facts)


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
    run = dc.iteration(job.method.condenser, steps=job.config.matches, real_per_class=job.draw)
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
