"""Trains a network on a set, tests it, and takes the time of either apart from that of compiling."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import dcjax as dc
from dcjax.base import Params
from dcjax.evaluate import accuracy
from dcjax.training import cross_entropy, descend, steps_per_epoch

_STEPS = 2  # between two looks at the clock


class Trained(NamedTuple):
    """Weights, with what it took to train them."""

    params: Params
    seconds: float
    images: int  # that are kept for it, each counted once
    seen: int | None = None  # in all steps together, where that is not known beforehand


class Trials:
    """Trains and tests one network. What is compiled is kept: sets of one size share a program."""

    def __init__(self, net: dc.Network):
        self._net = net
        self._compiled: dict[tuple, Callable] = {}
        self._compile_seconds = 0.0

    def compiled(self) -> float:
        """Gives the seconds that compiling has taken since this was asked last."""
        seconds, self._compile_seconds = self._compile_seconds, 0.0
        return seconds

    def train(self, key: dc.Key, batch: dc.Batch, recipe: dc.Recipe) -> Trained:
        """Trains on a flat batch by a recipe."""
        params, seconds = self._run(_Training(self._net, recipe), key, batch)
        return Trained(params, seconds, batch.image.shape[0])

    def train_for(self, key: dc.Key, split: dc.data.Split, recipe: dc.Recipe, seconds: float) -> Trained:
        """Trains on a split as a recipe begins, but only for some seconds, or a few steps more."""
        total = sum(split.counts)
        size = min(_STEPS * recipe.batch_size, total)
        begin_key, order_key, train_key, settle_key = jax.random.split(key, 4)
        state, spent = self._run(_Beginning(self._net, recipe, total), begin_key)[0], 0.0
        for count, rows in enumerate(_parts(order_key, total, size), 1):
            state, took = self._run(
                _Advancing(self._net, recipe, total), jax.random.fold_in(train_key, count), state, split, rows
            )
            spent += took
            if spent >= seconds:
                break
        params, _ = self._run(_Settling(self._net, recipe), settle_key, state[0], split)
        return Trained(params, spent, min(count * size, total), count * size)

    def test(self, params: Params, split: dc.data.Split) -> float:
        """Gives the accuracy in [0, 1]; NaN for a network whose training diverged."""
        share, _ = self._run(_Testing(self._net), params, split)
        return float(share) if all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)) else float("nan")

    def _run(self, function: Callable, *args: Any) -> tuple[Any, float]:
        """Gives the result with the seconds that it took without compiling."""
        leaves, structure = jax.tree.flatten(args)
        kinds = tuple((leaf.shape, leaf.dtype, getattr(leaf, "sharding", None)) for leaf in leaves)
        program = (function, structure, kinds)
        if program not in self._compiled:
            began = time.perf_counter()
            self._compiled[program] = _called.lower(function, *args).compile()
            self._compile_seconds += time.perf_counter() - began
        began = time.perf_counter()
        result = jax.block_until_ready(self._compiled[program](*args))
        return result, time.perf_counter() - began


@functools.partial(jax.jit, static_argnums=0)
def _called(function, *args):
    return function(*args)


def _parts(key, total, size) -> Iterator[np.ndarray]:
    """Yields the next images of one reshuffled pass after another, without the few that a pass leaves over."""
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    while True:
        order = generator.permutation(total).astype(np.int32)
        yield from order[: total // size * size].reshape(-1, size)


class _Training(NamedTuple):
    net: dc.Network
    recipe: dc.Recipe

    def __call__(self, key, batch):
        return dc.train_student(key, self.net, batch, self.recipe)


class _Beginning(NamedTuple):
    """Begins the training on a whole set: weights, and the state of their optimizer."""

    net: dc.Network
    recipe: dc.Recipe
    total: int

    def __call__(self, key):
        params = self.recipe.begin(self.net, key)
        return params, _first_optimizer(self.recipe, self.total).init(params)


class _Advancing(NamedTuple):
    """Trains on some images of a whole set."""

    net: dc.Network
    recipe: dc.Recipe
    total: int

    def __call__(self, key, state, split, rows):
        recipe, size = self.recipe, rows.shape[0]
        batch = dc.Batch(split.normalise(split.image[rows]), jnp.eye(split.num_classes)[jnp.asarray(split.label)[rows]])
        how = {"batch_size": recipe.batch_size, "augment": recipe.augment, "mix": recipe.mix}
        how["steps"] = steps_per_epoch(size, recipe.batch_size)
        return descend(key, cross_entropy(self.net), *state, batch, _first_optimizer(recipe, self.total), **how)


class _Settling(NamedTuple):
    """Makes weights ready to be tested, as the end of a training does."""

    net: dc.Network
    recipe: dc.Recipe

    def __call__(self, key, params, split):
        ended = self.recipe._replace(phases=(), begin=lambda net, key: params)
        return dc.train_student(key, self.net, split.batch(), ended)


class _Testing(NamedTuple):
    net: dc.Network

    def __call__(self, params, split):
        return accuracy(self.net, params, split)


def _first_optimizer(recipe, total):
    return recipe.phases[0].optimizer(steps_per_epoch(total, recipe.batch_size), recipe.rate(()))
