"""Normalises each image over height, width and groups of channels (Wu & He 2018, arXiv:1803.08494), its gradient in closed form.

With m and v the mean and variance of a group, r = 1 / sqrt(v + epsilon) and y = (x - m) r, the output is y * scale + bias. For a
cotangent g, with means again over the group,

    d x = r (g * scale - mean(g * scale) - y mean(g * scale * y)),   d scale = sum(g y),   d bias = sum(g).

Every sum is taken per image and channel first, so that both directions are two passes over the activations. What automatic
differentiation makes of the forward formula passes over them more often (benchmarks/README.md says what that cost).
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from dcjax.base import Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def group_norm(image: Array, scale: Array, bias: Array, groups: int, epsilon: float) -> Array:
    """Normalises [B, H, W, C] with `scale` and `bias` [C]; differentiable in reverse as often as one likes."""
    return _forward(image, scale, bias, groups, epsilon)[0]


def _forward(image, scale, bias, groups, epsilon):
    mean = _over_groups(image.mean((1, 2)), groups)
    variance = _over_groups(jnp.square(image - _spread(mean)).mean((1, 2)), groups)
    inverse = lax.rsqrt(variance + epsilon)
    gain = inverse * _row(scale)
    return image * _spread(gain) + _spread(_row(bias) - mean * gain), (image, scale, mean, inverse)


def _backward(groups, epsilon, residuals, cotangent):
    del epsilon
    image, scale, mean, inverse = residuals
    pull = cotangent.mean((1, 2))  # the mean of g, and of g y, per image and channel
    twist = ((cotangent * image).mean((1, 2)) - mean * pull) * inverse
    slope = -_over_groups(_row(scale) * twist, groups) * jnp.square(inverse)
    shift = -_over_groups(_row(scale) * pull, groups) * inverse - slope * mean
    pixels = image.shape[1] * image.shape[2]
    return (
        cotangent * _spread(_row(scale) * inverse) + image * _spread(slope) + _spread(shift),
        pixels * twist.sum(0),
        pixels * pull.sum(0),
    )


group_norm.defvjp(_forward, _backward)


def _over_groups(per_channel, groups):
    """Replaces every channel's value, [B, C], by the mean over its group."""
    batch, channels = per_channel.shape
    per_group = per_channel.reshape(batch, groups, -1).mean(-1)
    return jnp.repeat(per_group, channels // groups, axis=1)


def _spread(per_channel):
    return jnp.expand_dims(per_channel, (1, 2))


def _row(vector):
    return jnp.expand_dims(vector, 0)
