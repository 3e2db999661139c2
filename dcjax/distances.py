"""Distances say how far apart two gradients are: each takes two trees of one structure and gives a scalar.

Kernels keep their output axis last, so a filter is a column of `x.reshape(-1, x.shape[-1])`.
"""

import chex
import jax
import jax.numpy as jnp

from dcjax.base import Array, Distance, InputError, Params

_EPSILON = 1e-6  # DC's, added to the product of norms
_SMALLEST_SQUARE = 1e-20  # keeps the square root's derivative finite at a dead filter


def filterwise_cosine(a: Params, b: Params) -> Array:
    """Sums `1 - cos` over layers and output filters (DC's distance; Zhao et al. 2021, arXiv:2006.05929).

    Leaves with fewer than two axes (biases, norm scales) contribute nothing.
    """
    return _sum_over_leaves(lambda x, y: _cosine_distance(_filters(x), _filters(y)).sum(), _kernels(a), _kernels(b))


def squared_error(a: Params, b: Params) -> Array:
    """Sums squared differences over all parameters."""
    return _sum_over_leaves(lambda x, y: jnp.square(x - y).sum(), a, b)


def absolute_error(a: Params, b: Params) -> Array:
    """Sums absolute differences over all parameters."""
    return _sum_over_leaves(lambda x, y: jnp.abs(x - y).sum(), a, b)


def of_convolutions(distance: Distance) -> Distance:
    """Restricts a distance to the convolution kernels: no biases, norm scales or dense layers (IDC's, arXiv:2205.14959).

    Raises:
        InputError: the network has no convolution.
    """

    def between(a, b):
        kernels = [[leaf for leaf in jax.tree.leaves(tree) if leaf.ndim == 4] for tree in (a, b)]
        if not kernels[0]:
            raise InputError(
                "A distance of_convolutions compares convolution kernels, but the network has none: compare all with the distance itself."
            )
        return distance(*kernels)

    return between


def cosine(a: Params, b: Params) -> Array:
    """Computes `1 - cos` of the two gradients, each taken as one vector of all parameters."""
    dot, a_square, b_square = (_sum_over_leaves(lambda x, y: (x * y).sum(), x, y) for x, y in ((a, b), (a, a), (b, b)))
    return 1 - dot / (_root(a_square) * _root(b_square) + _EPSILON)


def _kernels(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if leaf.ndim >= 2]


def _filters(kernel):
    return kernel.reshape(-1, kernel.shape[-1])


def _cosine_distance(x, y):
    """Computes `1 - cos` of every column: [P, F], [P, F] -> [F]."""
    return 1 - (x * y).sum(0) / (_root(jnp.square(x).sum(0)) * _root(jnp.square(y).sum(0)) + _EPSILON)


def _root(square):
    return jnp.sqrt(jnp.maximum(square, _SMALLEST_SQUARE))


def _sum_over_leaves(function, a, b):
    chex.assert_trees_all_equal_shapes(a, b)
    return sum(jax.tree.leaves(jax.tree.map(function, a, b)), start=jnp.zeros(()))
