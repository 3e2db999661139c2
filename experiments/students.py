"""What students are trained on beside a condensed set, and training them."""

import jax
import numpy as np

import dcjax as dc


def random_draws(key: dc.Key, data: dc.data.Dataset, ipc: int, students: int) -> dc.Batch:
    """A fresh draw of `ipc` real images per class for each of S students, [S, K, ipc, ...]."""
    return jax.vmap(lambda key: data.sample(key, ipc))(jax.random.split(key, students))


def everything(data: dc.data.Dataset) -> dc.Batch:
    """The whole training set as one group, [1, T, ...]."""
    return jax.tree.map(lambda x: x[None], data.train.batch())


def accuracies(
    key: dc.Key, net: dc.Network, batch: dc.Batch, data: dc.data.Dataset, students: int, **how
) -> np.ndarray:
    """One student on each of several sets [S, K, M, ...], or `students` on one set [K, M, ...]."""
    if batch.image.ndim == 6:
        return dc.evaluate_each(key, net, batch, data.test, **how)
    return dc.evaluate(key, net, batch, data.test, num_students=students, **how)
