"""Limits of the distances; their values on the published implementation's inputs are in test_golden."""

import functools

import chex
import jax
import jax.numpy as jnp
import pytest

import dcjax
from dcjax import distances

ALL = {
    name: jax.jit(getattr(distances, name))
    for name in ("filterwise_cosine", "squared_error", "absolute_error", "cosine")
}


@functools.cache
def gradient(seed):
    keys = jax.random.split(jax.random.key(seed), 3)
    shapes = {"kernel": (3, 3, 2, 4), "dense": (5, 3), "bias": (4,)}
    return {name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items())}


@pytest.mark.parametrize("name", ALL)
def test_zero_only_at_equality(name):
    assert abs(ALL[name](gradient(0), gradient(0))) < 1e-4
    assert ALL[name](gradient(0), gradient(1)) > 0.1


@pytest.mark.parametrize("name", ["filterwise_cosine", "cosine"])
def test_cosines_ignore_the_scale(name):
    scaled = jax.tree.map(lambda x: 100 * x, gradient(1))
    assert ALL[name](gradient(0), scaled) == pytest.approx(float(ALL[name](gradient(0), gradient(1))), rel=1e-4)


def test_filterwise_cosine_counts_every_filter_of_every_kernel():
    opposite = jax.tree.map(jnp.negative, gradient(0))
    assert distances.filterwise_cosine(gradient(0), opposite) == pytest.approx(2 * (4 + 3), rel=1e-4)


def test_filterwise_cosine_ignores_biases():
    other = {**gradient(0), "bias": gradient(1)["bias"]}
    assert abs(distances.filterwise_cosine(gradient(0), other)) < 1e-4


@pytest.mark.parametrize("name", ALL)
def test_a_dead_filter_has_a_finite_gradient(name):
    dead = jax.tree.map(jnp.zeros_like, gradient(0))
    for other in (gradient(0), dead):
        chex.assert_tree_all_finite(jax.jit(jax.grad(ALL[name]))(dead, other))


def test_of_convolutions_leaves_everything_else_out():
    distance = distances.of_convolutions(distances.squared_error)
    other = {**gradient(1), "kernel": gradient(0)["kernel"]}
    assert distance(gradient(0), other) == 0
    assert distance(gradient(0), gradient(1)) == jnp.square(gradient(0)["kernel"] - gradient(1)["kernel"]).sum()
    with pytest.raises(dcjax.InputError, match="the network has none"):
        distance({"dense": jnp.zeros((3, 2))}, {"dense": jnp.zeros((3, 2))})


@pytest.mark.parametrize("name", [*ALL, "of_convolutions"])
@pytest.mark.parametrize(
    "change", [lambda tree: {**tree, "kernel": tree["kernel"][..., :1]}, lambda tree: {"bias": tree["bias"]}]
)
def test_trees_that_differ_are_refused(name, change):
    distance = ALL.get(name) or distances.of_convolutions(distances.squared_error)
    with pytest.raises(AssertionError):
        distance(gradient(0), change(gradient(0)))
