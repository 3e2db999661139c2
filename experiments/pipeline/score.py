"""Measures what a set is worth: trains students on it and on random real images, and notes their accuracies one by one."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax

import dcjax as dc
from dcjax.base import Learned
from experiments.pipeline import scores, show
from experiments.pipeline.job import Job
from experiments.pipeline.rundir import RunDirectory, evaluation, under
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.students import RandomDraws, accuracies, everything
from experiments.settings.settings import Settings

_LONG = 100  # iterations
WHOLE_STUDENTS = 3  # students of the full training set: its accuracy hardly varies and takes long


def evaluate_on_the_way(
    job: Job, directory: RunDirectory, learned: Learned, iteration: int, students: int, stop: StopRequest
) -> None:
    """Evaluates by some students, if any, once: a resumed run does not repeat what is logged."""
    if not students:
        return
    values = job.settings.values()
    if any(row["iteration"] == iteration and "deviation" in row for row in under(directory.history(), values)):
        return
    key = jax.random.fold_in(job.keys.evaluate, iteration)  # 0 is the final evaluation's
    how = {"title": f"evaluating iteration {iteration}", "recipe": job.method.recipe, "hyper": learned.hyper}
    score = show.summary(
        accuracies(key, job.method.net, job.decoded(learned.syn), job.data, students, check=stop.check, **how)
    )
    measured = {"accuracy": score["mean"], "deviation": score["std"], "students": students}
    directory.log(iteration=iteration, **measured, evaluation=evaluation(values))


def students_due(settings: Settings, iteration: int, began: float, ended: float) -> int:
    """Counts the students of the evaluation after an iteration, 0 where none is due.

    Args:
        settings: `eval_at` names iterations, `eval_minutes` times; by default a quarter and a half of the way are due.
        iteration: the iteration that has ended.
        began: seconds of all iterations before it.
        ended: those seconds with its own.
    """
    if any(began < 60 * minutes <= ended for minutes in settings.eval_minutes):
        return settings.num_students
    return due(settings).get(iteration, 0)


def due(settings: Settings) -> dict[int, int]:
    """Maps the iterations after which a set is evaluated to the number of students.

    Unless `eval_at` names some, they are a quarter and a half of the way of a run that is long and has many students in the end, a tenth
    of which cost little.
    """
    if settings.eval_at:
        return {t: settings.num_students for t in settings.eval_at if t}
    students = settings.num_students // 10
    if settings.minutes or settings.iterations < _LONG or not students:
        return {}
    return {settings.iterations // part: students for part in (4, 2)}


def evaluate_all(
    job: Job, directory: RunDirectory, learned: Learned | None, stop: StopRequest
) -> Iterator[tuple[dict[str, dict], bool]]:
    """Evaluates the set that was made and, by the same recipe, what it is compared with.

    Yields the accuracies so far after each of them, and whether these are all. Every student's accuracy is noted at once, and a
    stopped evaluation goes on with the next student.
    """
    store = scores.resumed(directory.path / "scores.json", _depends_on(job))
    accuracy, stages = {}, _stages(job, learned)
    for stage in stages:
        evaluation = functools.partial(_evaluation, job, learned, stage, stop)
        depends = _set_depends_on(job) if stage.name == "condensed" else {}
        accuracy = {**accuracy, stage.name: store.measure(stage.name, evaluation, depends) | stage.facts}
        yield accuracy, len(accuracy) == len(stages)


class Stage(NamedTuple):
    """One entry of the evaluation; its training sets are made when its turn comes."""

    name: str
    key: dc.Key
    sets: Callable[[], dc.Batch | RandomDraws]
    students: int
    facts: dict[str, int] = {}  # that stand beside the accuracy


def _evaluation(job, learned, stage, stop, finished, note):
    return accuracies(
        stage.key,
        job.method.net,
        stage.sets(),
        job.data,
        stage.students,
        title=f"evaluating {stage.name:9}",
        recipe=job.method.recipe if stage.name == "condensed" else job.method.recipe._replace(views=1),
        hyper=learned.hyper if learned else (),
        finished=finished[: stage.students],
        note=note,
        check=stop.check,
    )


def _depends_on(job):
    """Gives the settings that change accuracies and that a resumed run may change. The number of students is none: some may be added."""
    return {"eval_recipe": job.settings.eval_recipe, **dataclasses.asdict(job.settings.parts["eval_recipe"])}


def _set_depends_on(job):
    """Gives the settings that change the set itself, and so its own accuracy alone."""
    settings = job.settings
    if not settings.about.condenses:
        return {}
    is_other = job.method.decoder["name"] != settings.parameterization
    seen = {"decoder": job.method.decoder} if is_other else {}  # students do not see what was compared
    return {"iterations": settings.iterations, **seen}


def _stages(job, learned):
    settings = job.settings
    key = jax.random.fold_in(job.keys.evaluate, 0)
    condensed_key, draw_key, random_key, whole_key = jax.random.split(key, 4)
    students = settings.num_students
    if settings.about.takes_all:
        return [_whole(whole_key, job, students)]
    stages = [Stage("condensed", condensed_key, lambda: job.decoded(learned.syn), students)]
    if settings.baseline:
        stages.append(Stage("random", random_key, lambda: RandomDraws(draw_key, settings.ipc), students))
    if settings.whole:
        stages.append(_whole(whole_key, job, WHOLE_STUDENTS))
    return stages


def _whole(key, job, students):
    """Gives the stage of the whole training set, whose accuracy says nothing without the epochs that it took."""
    return Stage("whole", key, lambda: everything(job.data), students, {"epochs": job.settings.eval_epochs})
