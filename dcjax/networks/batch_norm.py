"""Normalises over a batch (Ioffe & Szegedy 2015, arXiv:1502.03167): by its own statistics while a network trains, by frozen ones else.

A network in training keeps no statistics: `settle` computes those of a batch when they are needed. They are a variable collection of
their own, so that they are no weights, and whatever matches, decays or moves weights leaves them alone.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from dcjax.base import Array, Params

STATISTICS = "statistics"  # the collection: "mean" and "var" of every batch norm


class Settled(NamedTuple):
    """Holds a network's weights with the statistics that its batch norms are frozen at."""

    params: Params
    statistics: Any


def weights(params: Params) -> Params:
    """Gives weights to train on, without the statistics of a network that was settled."""
    return params.params if isinstance(params, Settled) else params


class BatchNorm(nn.Module):
    """Normalises every channel over the images, height and width, with PyTorch's epsilon.

    Where the collection `statistics` is given, it normalises by that; where it may be written, it notes the mean and, as PyTorch
    does, the unbiased variance of the batch.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Array, present: Array | None = None) -> Array:
        """Normalises [B, H, W, C]; of a batch of which some rows are padding, `present` [B] says which are not."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        if self.has_variable(STATISTICS, "mean") and not self.is_mutable_collection(STATISTICS):
            mean, var = (lax.stop_gradient(self.get_variable(STATISTICS, name)) for name in ("mean", "var"))
        else:
            mean, var, count = _moments(x, present)
            if self.is_mutable_collection(STATISTICS):
                self.put_variable(STATISTICS, "mean", mean)
                self.put_variable(STATISTICS, "var", var * count / jnp.maximum(count - 1, 1))
        return (x - _spread(mean)) * _spread(scale * lax.rsqrt(var + self.epsilon)) + _spread(bias)


def among(present: Array | None) -> AbstractContextManager:
    """Tells all batch norms that are called inside which rows of the batch are not padding."""
    if present is None:
        return nullcontext()

    def tell(call, args, kwargs, context):
        return call(*args, **kwargs, **({"present": present} if isinstance(context.module, BatchNorm) else {}))

    return nn.intercept_methods(tell)


def _moments(x, present):
    """Computes mean and biased variance of every channel, [C], and the number of values they are of."""
    shares = jnp.ones(x.shape[0]) if present is None else present.astype(x.dtype)
    count = jnp.maximum(shares.sum(), 1) * (x.shape[1] * x.shape[2])
    shares = jnp.expand_dims(shares, (1, 2, 3))
    mean = (shares * x).sum((0, 1, 2)) / count
    return mean, (shares * jnp.square(x - _spread(mean))).sum((0, 1, 2)) / count, count


def _spread(per_channel):
    return jnp.expand_dims(per_channel, (0, 1, 2))
