"""What a condensed set is worth: students trained on it from scratch, tested on real images."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from dcjax.base import Array, Batch, Key, Network, Params
from dcjax.chunks import chunk_size, map_in_chunks
from dcjax.data import Split
from dcjax.recipes import Recipe, dc_recipe
from dcjax.sharding import device_count
from dcjax.training import cross_entropy, fit, flatten, map_images, steps_per_epoch


def evaluate(
    key: Key,
    net: Network,
    condensed: Batch,
    test: Split,
    *,
    recipe: Recipe | None = None,
    num_students: int = 20,
    finished: Sequence[float] = (),
    on_scores: Callable[[np.ndarray], None] = lambda scores: None,
) -> np.ndarray:
    """Test accuracies of students trained from scratch on one condensed set; the last iterate of each.

    Args:
        key: initialises, shuffles and augments; consumed.
        net: the student's architecture.
        condensed: [K, M, ...], normalised as the test images are.
        test: real images.
        recipe: how students are trained; DC's own without augmentation when None.
        num_students: S.
        finished: accuracies of the first students, from the same call stopped earlier; they are not trained again.
        on_scores: called with the accuracies so far whenever students are done; it may raise to stop.

    Returns:
        Accuracies in [0, 1], [S]; NaN for a student whose training diverged.
    """
    chex.assert_rank([condensed.image, condensed.label], [5, 3])
    keys = jax.random.split(key, num_students)
    return _in_turn(_Student(net, recipe or dc_recipe()), (test, flatten(condensed)), (keys,), finished, on_scores)


def evaluate_each(
    key: Key,
    net: Network,
    sets: Batch,
    test: Split,
    *,
    recipe: Recipe | None = None,
    finished: Sequence[float] = (),
    on_scores: Callable[[np.ndarray], None] = lambda scores: None,
) -> np.ndarray:
    """As `evaluate`, with one student for each of S sets: [S, K, M, ...] -> [S]."""
    chex.assert_rank([sets.image, sets.label], [6, 4])
    keys = jax.random.split(key, sets.image.shape[0])
    student = _Student(net, recipe or dc_recipe())
    return _in_turn(student, (test,), (keys, jax.vmap(flatten)(sets)), finished, on_scores)


class _Student(NamedTuple):
    """Trains one student and tests it: `(shared, key, *own) -> accuracy`, with `(*shared, *own)` the test and training sets."""

    net: Network
    recipe: Recipe

    def __call__(self, shared, key, *own):
        test, condensed = (*shared, *own)
        init_key, *phase_keys = jax.random.split(key, 1 + len(self.recipe.phases))
        params = self.net.init(init_key)
        for phase_key, phase in zip(phase_keys, self.recipe.phases):
            params = fit(
                phase_key,
                cross_entropy(self.net),
                params,
                condensed,
                phase.optimizer(steps_per_epoch(condensed.image.shape[0], self.recipe.batch_size)),
                epochs=phase.epochs,
                batch_size=self.recipe.batch_size,
                augment=self.recipe.augment,
                mix=self.recipe.mix,
            )
        is_finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
        return jnp.where(is_finite, accuracy(self.net, params, test), jnp.nan)


def _in_turn(student, shared, rows, finished, on_scores):
    """Trains as many students at a time as the devices take; in between, the host may report and stop."""
    count = len(rows[0])
    at_once = device_count() * chunk_size(student, shared, *rows)
    scores = np.array(finished, float)
    for start in range(len(scores), count, at_once):
        part = jax.tree.map(lambda x, start=start: x[start : start + at_once], rows)
        scores = np.concatenate([scores, np.asarray(_scores(student, shared, *part))])
        on_scores(scores)
    return scores


@functools.partial(jax.jit, static_argnums=0)
def _scores(student, shared, *rows):
    return map_in_chunks(student, shared, *rows)


def accuracy(net: Network, params: Params, test: Split) -> Array:
    """The share of a split's images that the network classifies correctly."""
    predicted = map_images(lambda params, x: net.apply(params, test.normalise(x)).argmax(-1), params, test.image)
    return (predicted == test.label).mean()
