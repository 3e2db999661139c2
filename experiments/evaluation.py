"""What a set is worth: students trained on it beside students trained on random real images, noted one by one."""

from collections.abc import Iterator

import jax

import dcjax as dc
from experiments import output
from experiments.config import EVALUATION
from experiments.job import Job
from experiments.stop import StopRequest
from experiments.students import accuracies, everything, random_draws
from experiments.workdir import RunDirectory

WHOLE_STUDENTS = 3  # students of the full training set: its accuracy hardly varies and takes long


def evaluate_if_due(job: Job, directory: RunDirectory, syn: dc.Syn, iteration: int, stop: StopRequest) -> None:
    """Evaluates at the iterations of `eval_at`, once: a resumed run does not repeat what is logged."""
    if iteration not in job.config.eval_at:
        return
    if any(row["iteration"] == iteration and "accuracy" in row for row in directory.history()):
        return
    key = jax.random.fold_in(job.keys.evaluate, iteration)  # 0 is the final evaluation's
    score = output.summary(_evaluate(job, key, f"evaluating iteration {iteration}", job.decoded(syn), stop))
    directory.log(iteration=iteration, accuracy=score["mean"], deviation=score["std"])


def _evaluate(job, key, title, batch, stop, students=None, finished=(), note=lambda scores: None):
    students = students or job.config.num_students
    with output.student_progress(title, students, len(finished)) as told:

        def on_scores(scores):
            told(scores)
            note(scores)
            stop.check()

        how = {"recipe": job.method.recipe, "finished": finished, "on_scores": on_scores}
        return accuracies(key, job.method.net, batch, job.data, students, **how)


def evaluate_all(
    job: Job, directory: RunDirectory, syn: dc.Syn, stop: StopRequest
) -> Iterator[tuple[dict[str, dict], bool]]:
    """The set that was made and, by the same recipe, what it is compared with.

    Gives what is known after each of them, and whether that is all. Every student's accuracy is noted at once, and a stopped
    evaluation goes on with the next student.
    """
    settings = {name: getattr(job.config, name) for name in ("iterations", *EVALUATION)}
    scores = directory.read_scores(settings)
    accuracy, stages = {}, _stages(job, syn)
    for name, key, batch, students in stages:

        def note(values, name=name):
            scores[name] = [float(value) for value in values]
            directory.write_json("scores.json", {"settings": settings, "scores": scores})

        finished = scores.get(name, ())
        values = _evaluate(job, key, f"evaluating {name:9}", batch(), stop, students, finished, note)
        accuracy = {**accuracy, name: output.summary(values)}
        yield accuracy, len(accuracy) == len(stages)


def _stages(job, syn):
    """What is evaluated: (name, key, sets, students), the sets made when their turn comes."""
    config, data = job.config, job.data
    key = jax.random.fold_in(job.keys.evaluate, 0)
    condensed_key, draw_key, random_key, whole_key = jax.random.split(key, 4)
    if config.method == "whole":
        return [("whole", whole_key, lambda: everything(data), config.num_students)]
    stages = [("condensed", condensed_key, lambda: job.decoded(syn), config.num_students)]
    if config.baseline:
        draws = (draw_key, data, config.ipc, config.num_students)
        stages.append(("random", random_key, lambda: random_draws(*draws), config.num_students))
    if config.whole:
        stages.append(("whole", whole_key, lambda: everything(data), WHOLE_STUDENTS))
    return stages
