"""Trains students on a set, and on the real images that it is compared with."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

import dcjax as dc
from dcjax.base import Hyper
from experiments.pipeline import show


class RandomDraws(NamedTuple):
    """Stands for `ipc` random real images of each class, drawn afresh for every student."""

    key: dc.Key
    ipc: int


def everything(data: dc.data.Dataset) -> dc.Batch:
    """Takes the whole training set as one group, [1, T, ...]."""
    return jax.tree.map(lambda x: x[None], data.train.batch())


def accuracies(
    key: dc.Key,
    net: dc.Network,
    batch: dc.Batch | RandomDraws,
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
    """Trains and tests students under a progress bar, all on one set or each on random images of its own.

    Args:
        key: consumed.
        net: network of every student.
        batch: training set [K, M, ...], or what stands for one of each student.
        data: data set whose test images are taken, and whose training images are drawn.
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

        how = {"recipe": recipe, "hyper": hyper, "num_students": students, "finished": finished, "on_scores": on_scores}
        if isinstance(batch, RandomDraws):
            return dc.evaluate_draws(key, batch.key, net, data.train, batch.ipc, data.test, **how)
        return dc.evaluate(key, net, batch, data.test, **how)
