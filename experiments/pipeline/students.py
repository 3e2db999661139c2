"""Trains students on a set, and makes the sets of real images that it is compared with."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

import dcjax as dc
from dcjax.base import Hyper
from experiments.pipeline import show


def random_draws(key: dc.Key, data: dc.data.Dataset, ipc: int, students: int) -> dc.Batch:
    """Draws `ipc` real images per class afresh for each of S students, [S, K, ipc, ...]."""
    return jax.vmap(lambda key: data.sample(key, ipc))(jax.random.split(key, students))


def everything(data: dc.data.Dataset) -> dc.Batch:
    """Takes the whole training set as one group, [1, T, ...]."""
    return jax.tree.map(lambda x: x[None], data.train.batch())


def accuracies(
    key: dc.Key,
    net: dc.Network,
    batch: dc.Batch,
    data: dc.data.Dataset,
    students: int,
    *,
    title: str,
    recipe: dc.Recipe,
    hyper: Hyper = (),
    finished: Sequence[float] = (),
    note: Callable[[np.ndarray], None] = lambda scores: None,
    check: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Trains and tests students under a progress bar: one on each of several sets [S, K, M, ...], or `students` on one [K, M, ...].

    Args:
        key: consumed.
        net: network of every student.
        batch: training set, or one for each student.
        data: data set whose test images are taken.
        students: number of students, S.
        title: title of the bar.
        recipe: how students are trained.
        hyper: hyperparameters learned beside the images, for a recipe at a learned rate.
        finished: accuracies of the students that were trained before.
        note: called with all accuracies so far whenever students are done.
        check: called after `note`; may raise to stop.
    """
    with show.student_progress(title, students, len(finished)) as told:

        def on_scores(scores):
            told(scores)
            note(scores)
            check()

        how = {"recipe": recipe, "hyper": hyper, "finished": finished, "on_scores": on_scores}
        if batch.image.ndim == 6:
            return dc.evaluate_each(key, net, batch, data.test, **how)
        return dc.evaluate(key, net, batch, data.test, num_students=students, **how)
