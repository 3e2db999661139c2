"""Computes gradients of a mean loss over a flat batch, divided among devices and into micro-batches, and differentiates them again.

The sum of the images' losses splits into any parts, and so do its derivatives of every order.

batch_gradient, divided_gradient   a part is finished before the next begins, also in the derivative, which computes the gradient again
kept_gradient                      what the derivative needs of all parts is kept
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from dcjax.backend import current
from dcjax.base import Array, Batch, Loss, Params
from dcjax.sharding import device_count, summed_over_devices, whole

Gradient = Callable[[Loss, Params, Batch], Params]  # of a mean loss over a flat batch


def pad_to(batch: Batch, size: int) -> Batch:
    """Appends padding rows (zero image, zero label) to a flat batch until it has `size` rows."""
    return jax.tree.map(lambda x: jnp.pad(x, [(0, size - x.shape[0])] + [(0, 0)] * (x.ndim - 1)), batch)


def image_count(batch: Batch) -> Array:
    """Counts the images of a batch by their labels: rows whose label is all zeros are padding. It is one if all are, to divide by.

    No maximum is taken: a part of one image would lie where it has no derivative in the labels.
    """
    total = batch.label.sum()
    return jnp.where(total > 0, total, 1)


def batch_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """Computes the gradient in `params` of a mean `loss` over a flat batch, divided among the cores of a CPU and into micro-batches.

    The gradient is exact up to rounding for networks that treat every image by itself (no batch norm), and is differentiable in
    `params` and in the batch.
    """
    return _gradient(loss, device_count() if current().shares_memory else 1, params, batch)


def divided_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """Computes what `batch_gradient` does, divided among devices of every kind.

    Chips send each other a gradient for it at every step. That pays where the step is long: of hundreds of images, or differentiated.
    """
    return _gradient(loss, device_count(), params, batch)


def kept_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """Computes what `divided_gradient` does, and keeps what its derivative needs, the activations of all images among it.

    The derivative is a quarter quicker for it, since it is the gradient's own work, 3 of 12 parts, that is not done again.
    """
    return _mean_of(_kept_sum(loss, device_count(), params, batch), batch)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def batch_loss(loss: Loss, params: Params, batch: Batch) -> Array:
    """Computes a mean `loss` over a flat batch, its gradient in `params` along with it, part by part; the batch is a constant."""
    return _batch_loss(loss, params, batch)[0]


def _batch_loss(loss, params, batch):
    """Computes the loss with its gradient: what the backward pass has left to do is to scale it."""

    def part(params, part):
        return _times(part.label.sum(), jax.value_and_grad(loss)(params, part)), ()

    devices = device_count()
    return _mean_of(_over_parts(part, devices, params, _divided(batch, devices))[0], batch)


def _batch_loss_backward(loss, gradient, cotangent):
    del loss
    return _times(cotangent, gradient), None


batch_loss.defvjp(_batch_loss, _batch_loss_backward)


def _gradient(loss, devices, params, batch):
    return _mean_of(_sum(loss, devices, params, batch), batch)


def _mean_of(total, batch):
    return _times(1 / image_count(batch), total)


def _times(factor, tree):
    return jax.tree.map(lambda x: factor * x, tree)


def _sum_of(loss):
    """Makes the gradient of the sum, not of the mean, of a part's losses."""
    return lambda params, part: _times(part.label.sum(), jax.grad(loss)(params, part))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _sum(loss, devices, params, batch):
    """Adds up the gradients of all images' losses."""
    of_part = _sum_of(loss)
    return _over_parts(lambda params, part: (of_part(params, part), ()), devices, params, _divided(batch, devices))[0]


def _sum_backward(loss, devices, residuals, cotangent):
    """Pulls a cotangent back to the weights, summed over the parts, and to the images and labels of each part."""
    params, batch = residuals

    def part(shared, part):
        params, cotangent = shared
        return jax.vjp(_sum_of(loss), params, part)[1](cotangent)

    of_params, of_parts = _over_parts(part, devices, (params, cotangent), _divided(batch, devices))
    return of_params, _joined(of_parts, batch)


_sum.defvjp(lambda loss, devices, *args: (_sum(loss, devices, *args), args), _sum_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _kept_sum(loss, devices, params, batch):
    return _sum(loss, devices, params, batch)


def _kept_sum_forward(loss, devices, params, batch):
    total, pulls = _over_parts(functools.partial(jax.vjp, _sum_of(loss)), devices, params, _divided(batch, devices))
    return total, (pulls, batch)


def _kept_sum_backward(loss, devices, residuals, cotangent):
    del loss
    pulls, batch = residuals
    of_params, of_parts = _over_parts(lambda cotangent, pull: pull(cotangent), devices, cotangent, pulls)
    return of_params, _joined(of_parts, batch)


_kept_sum.defvjp(_kept_sum_forward, _kept_sum_backward)


def _divided(batch, devices):
    """Divides a flat batch into parts, [parts, images, ...]: as many on every device, of about as many images as the backend likes."""
    on_each = -(-batch.image.shape[0] // devices)
    liked = min(current().micro_batch or on_each, on_each)
    count = devices * round(on_each / liked)  # rather a little more than liked than a last part that is mostly padding
    size = -(-batch.image.shape[0] // count)
    return jax.tree.map(lambda x: x.reshape(count, size, *x.shape[1:]), pad_to(batch, count * size))


def _joined(parts, batch):
    """Undoes `_divided`."""
    return jax.tree.map(lambda x: whole(x.reshape(-1, *x.shape[2:])[: batch.image.shape[0]]), parts)


def _over_parts(function, devices, shared, parts):
    """Adds up the first result of `function(shared, part)` over all parts, and stacks the second: as many rows as parts.

    Where there are several devices, each has its share of the parts, and keeps its share of the rows.
    """
    on_one_device = functools.partial(_in_turn, function)
    return (summed_over_devices(on_one_device) if devices > 1 else on_one_device)(shared, parts)


def _in_turn(function, shared, parts):
    first = jax.tree.map(lambda x: x[0], parts)
    if jax.tree.leaves(parts)[0].shape[0] == 1:
        total, row = function(shared, first)
        return total, jax.tree.map(lambda x: jnp.expand_dims(x, 0), row)

    def accumulate(total, part):
        found, row = function(shared, part)
        return jax.tree.map(jnp.add, total, found), row

    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, shared, first)[0])
    return lax.scan(accumulate, start, parts)
