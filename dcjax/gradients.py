"""Computes gradients of a mean loss over a flat batch, divided among devices and into micro-batches, and differentiates them again.

The sum of the images' losses splits into any parts, and so do its derivatives of every order. A part is finished before the next
begins: the activations of one micro-batch are all that a gradient, or the derivative of a gradient, keeps in memory. Where an image's
loss depends on its batch, as under batch norm, the loss says so (`per_image`), and its batches are left whole.
"""

import functools

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.backend import current
from dcjax.base import Array, Batch, Loss, Params
from dcjax.sharding import device_count, summed_over_devices


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

    The gradient is exact up to rounding, and is differentiable in `params` and in the batch.
    """
    return _gradient(loss, _parts(loss, device_count() if current().shares_memory else 1), params, batch)


def divided_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """Computes what `batch_gradient` does, divided among devices of every kind.

    Chips send each other a gradient for it at every step. That pays where the step is long: of hundreds of images, or differentiated.
    """
    return _gradient(loss, _parts(loss, device_count()), params, batch)


def _parts(loss, devices):
    """Gives the number of devices that batches of a loss are divided among; 0 where a batch is to be left whole."""
    return devices if getattr(loss, "per_image", True) else 0


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def batch_loss(loss: Loss, params: Params, batch: Batch) -> Array:
    """Computes a mean `loss` over a flat batch, its gradient in `params` along with it, part by part; the batch is a constant."""
    return _batch_loss(loss, params, batch)[0]


def _batch_loss(loss, params, batch):
    """Computes the loss with its gradient: what the backward pass has left to do is to scale it."""

    def part(params, part):
        return jax.value_and_grad(loss)(params, part)

    return _mean(part, _parts(loss, device_count()), params, batch)


def _batch_loss_backward(loss, gradient, cotangent):
    del loss
    return _times(cotangent, gradient), None


batch_loss.defvjp(_batch_loss, _batch_loss_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _gradient(loss, devices, params, batch):
    return _mean(jax.grad(loss), devices, params, batch)


def _gradient_backward(loss, devices, residuals, cotangent):
    """Pulls a cotangent of the gradient back to the weights, summed over the parts, and to the images and labels of each part.

    The gradient is a sum over images divided by their number, the sum of all labels, so that a label counts in both.
    """
    params, batch = residuals
    count = image_count(batch)
    cotangent = _times(1 / count, cotangent)

    def part(shared, part):
        params, cotangent = shared
        gradient, pull = jax.vjp(
            lambda params, part: _times(part.label.sum(), jax.grad(loss)(params, part)), params, part
        )
        of_params, of_part = pull(cotangent)
        return (of_params, optax.tree.vdot(gradient, cotangent)), of_part

    (of_params, product), of_batch = _over_parts(part, devices, (params, cotangent), batch)
    return of_params, of_batch._replace(label=of_batch.label - product / count)


_gradient.defvjp(lambda loss, devices, *args: (_gradient(loss, devices, *args), args), _gradient_backward)


def _mean(function, devices, params, batch):
    """Computes the mean over images of `function(params, part)`, itself a mean over the images of a part."""

    def weighted(params, part):
        return _times(part.label.sum(), function(params, part)), ()

    total, _ = _over_parts(weighted, devices, params, batch)
    count = image_count(batch)
    return _times(1 / count, total)


def _times(factor, tree):
    return jax.tree.map(lambda x: factor * x, tree)


def _over_parts(function, devices, shared, batch):
    """Adds up the first result of `function(shared, part)` over all parts, and joins the rows of the second: [B, ...].

    A part is a micro-batch on one of the devices, or the whole batch where there are 0; the function gives
    `(tree to sum, tree of rows)`.
    """
    if not devices:
        return function(shared, batch)
    size = batch.image.shape[0]
    padded = pad_to(batch, -(-size // devices) * devices)
    on_one_device = functools.partial(_in_micro_batches, function)
    run = summed_over_devices(on_one_device) if devices > 1 else on_one_device
    total, rows = run(shared, padded)
    return total, jax.tree.map(lambda x: x[:size], rows)


def _in_micro_batches(function, shared, batch):
    size = batch.image.shape[0]
    micro = min(current().micro_batch or size, size)
    count = round(size / micro)  # rather a little more than `micro` at a time than a last part that is mostly padding
    micro = -(-size // count)
    parts = jax.tree.map(lambda x: x.reshape(count, micro, *x.shape[1:]), pad_to(batch, count * micro))
    first = jax.tree.map(lambda x: x[0], parts)
    if count == 1:
        total, rows = function(shared, first)
        return total, jax.tree.map(lambda x: x[:size], rows)

    def accumulate(total, part):
        found, rows = function(shared, part)
        return jax.tree.map(jnp.add, total, found), rows

    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, shared, first)[0])
    total, rows = lax.scan(accumulate, start, parts)
    return total, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:size], rows)
