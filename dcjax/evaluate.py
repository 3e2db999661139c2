"""Measures what a condensed set is worth: how well students that are trained on it from scratch classify real images."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from dcjax.base import Array, Batch, Hyper, InputError, Key, Network, Params
from dcjax.chunks import chunk_size, map_in_chunks
from dcjax.data import Split
from dcjax.networks import Settled
from dcjax.normalisation import normalised_bytes
from dcjax.recipe import Recipe
from dcjax.recipes import dc_recipe
from dcjax.sharding import device_count
from dcjax.training import cross_entropy, flatten, map_images


def evaluate(
    key: Key,
    net: Network,
    condensed: Batch,
    test: Split,
    *,
    recipe: Recipe | None = None,
    hyper: Hyper = (),
    num_students: int = 20,
    finished: Sequence[float] = (),
    on_scores: Callable[[np.ndarray], None] = lambda scores: None,
) -> np.ndarray:
    """Trains students from scratch on one condensed set and tests the last iterate of each.

    Args:
        key: initialises, shuffles and augments; consumed.
        net: the student's architecture.
        condensed: the condensed set, [K, M, ...], normalised as the test images are.
        test: the real images to classify.
        recipe: how students are trained; DC's own without augmentation when None.
        hyper: what was learned beside the images, for a recipe `at_learned_rate`.
        num_students: S, students to train; the first of more are the same.
        finished: accuracies of the first students, from the same call, or one for fewer, earlier; they are not trained again.
        on_scores: called with the accuracies so far whenever students are done; it may raise to stop.

    Returns:
        Accuracies in [0, 1], [S]; NaN for a student whose training diverged.
    """
    chex.assert_rank([condensed.image, condensed.label], [5, 3])
    _check_fits(condensed, test)
    keys = jax.random.split(key, num_students)
    student = _Student(net, recipe or dc_recipe())
    return _in_turn(student, (test, hyper, flatten(condensed)), (keys,), finished, on_scores)


def evaluate_each(
    key: Key,
    net: Network,
    sets: Batch,
    test: Split,
    *,
    recipe: Recipe | None = None,
    hyper: Hyper = (),
    finished: Sequence[float] = (),
    on_scores: Callable[[np.ndarray], None] = lambda scores: None,
) -> np.ndarray:
    """Trains and tests one student for each of S sets, as `evaluate` does for one set: [S, K, M, ...] -> [S]."""
    chex.assert_rank([sets.image, sets.label], [6, 4])
    _check_fits(sets, test)
    keys = jax.random.split(key, sets.image.shape[0])
    student = _Student(net, recipe or dc_recipe())
    return _in_turn(student, (test, hyper), (keys, jax.vmap(flatten)(sets)), finished, on_scores)


def evaluate_draws(
    key: Key,
    draw_key: Key,
    net: Network,
    train: Split,
    ipc: int,
    test: Split,
    *,
    recipe: Recipe | None = None,
    hyper: Hyper = (),
    num_students: int = 20,
    finished: Sequence[float] = (),
    on_scores: Callable[[np.ndarray], None] = lambda scores: None,
) -> np.ndarray:
    """Trains and tests every student, as `evaluate` does, on `ipc` random real images of each class, drawn for it alone: [S].

    A student's images are there only while it is trained.
    """
    keys, draw_keys = (jax.random.split(each, num_students) for each in (key, draw_key))
    student = _OnDraw(_Student(net, recipe or dc_recipe()), ipc)
    return _in_turn(student, (test, hyper, train), (keys, draw_keys), finished, on_scores)


def train_student(key: Key, net: Network, batch: Batch, recipe: Recipe, hyper: Hyper = ()) -> Params:
    """Trains one student from scratch on a flat batch.

    Args:
        key: initialises, shuffles and augments; consumed.
        net: the student's architecture.
        batch: the training set, [B, H, W, C] and [B, K].
        recipe: how the student is trained.
        hyper: what was learned beside the images, for a recipe `at_learned_rate`.

    Returns:
        The trained weights, settled on the training set where the network has batch norm.
    """
    init_key, *phase_keys, settle_key = jax.random.split(key, 2 + len(recipe.phases))
    params, rate = recipe.begin(net, init_key), recipe.rate(hyper)
    for phase_key, phase in zip(phase_keys, recipe.phases):
        params = phase.train(phase_key, cross_entropy(net), params, batch, recipe, rate)
    return recipe.settle(settle_key, net, params, batch)


def _check_fits(batch, test):
    """Refuses a set that is of other classes or images than the test, or not normalised."""
    ours, theirs = (batch.label.shape[-1], batch.image.shape[-3:]), (test.num_classes, test.image_shape)
    if ours != theirs:
        raise InputError(
            f"The set has {ours[0]} classes and images {ours[1]}, but the test has {theirs[0]} and {theirs[1]}: take a test of the same data."
        )
    if not jnp.issubdtype(batch.image.dtype, jnp.floating):
        raise InputError(f"The images of a set are normalised floats, not {batch.image.dtype}: `normalise` them first.")


class _Student(NamedTuple):
    """Trains one student and tests it: `(shared, key, *own) -> accuracy`.

    `(*shared, *own)` are the test set, the learned hyperparameters and the training set.
    """

    net: Network
    recipe: Recipe

    def __call__(self, shared, key, *own):
        test, hyper, batch = (*shared, *own)
        params = train_student(key, self.net, batch, self.recipe, hyper)
        is_finite = jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
        return jnp.where(is_finite, accuracy(self.net, params, test), jnp.nan)


class _OnDraw(NamedTuple):
    """Trains and tests a student on its own draw of real images: `(shared, key, draw_key) -> accuracy`."""

    student: _Student
    ipc: int

    def __call__(self, shared, key, draw_key):
        test, hyper, train = shared
        return self.student((test, hyper), key, flatten(train.sample(draw_key, self.ipc)))


def _in_turn(student, shared, rows, finished, on_scores):
    """Trains as many students at a time as the devices take; in between, the host may report and stop."""
    count = len(rows[0])
    at_once = device_count() * chunk_size(student, shared, *rows)
    scores = np.array(finished, float)[:count]
    for start in range(len(scores), count, at_once):
        part = jax.tree.map(lambda x, start=start: x[start : start + at_once], rows)
        scores = np.concatenate([scores, np.asarray(_scores(student, shared, *part))])
        on_scores(scores)
    return scores


@functools.partial(jax.jit, static_argnums=0)
def _scores(student, shared, *rows):
    return map_in_chunks(student, shared, *rows)


def accuracy(net: Network, params: Params, test: Split) -> Array:
    """Computes the share of a split's images that the network, settled if it has batch norm, classifies correctly."""
    return (predictions(net, params, test) == test.label).mean()


def predictions(net: Network, params: Params, test: Split) -> Array:
    """Computes the class that the network, settled if it has batch norm, takes each of a split's images for, [T]."""
    if not (net.per_image or isinstance(params, Settled)):
        raise InputError(
            "A network with batch norm is tested with frozen statistics, but these are the weights of one in training: settle them, by "
            "`net.settle` or `settling.on_training_set`."
        )

    def predict(shared, image):
        params, normalisation = shared
        return net.apply(params, normalised_bytes(normalisation, image)).argmax(-1)

    return map_images(predict, (params, test.normalisation), test.image)
