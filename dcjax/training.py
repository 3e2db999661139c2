"""Trains one network and computes what it makes of a batch, for objectives, trajectories, coresets and evaluation alike."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity, independent, no_mixing
from dcjax.backend import current
from dcjax.base import Array, Augmentation, Batch, Key, Loss, Mixing, Network, Params
from dcjax.sharding import device_count, over_devices, sum_over_devices, whole
from dcjax.unroll import scan_in_segments


def cross_entropy(net: Network) -> Loss:
    """Makes the loss that is the mean cross-entropy of a batch; rows whose label is all zeros are padding and count nothing."""

    def loss(params, batch):
        log_probability = jax.nn.log_softmax(net.apply(params, batch.image))
        count = jnp.maximum(batch.label.sum(), 1)  # a micro-batch of padding alone has loss 0, not 0/0
        return -(batch.label * log_probability).sum() / count

    return loss


def flatten(batch: Batch) -> Batch:
    """Flattens a batch that is grouped by class: [K, M, ...] -> [K*M, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def pad_to(batch: Batch, size: int) -> Batch:
    """Appends padding rows (zero image, zero label) to a flat batch until it has `size` rows."""
    return jax.tree.map(lambda x: jnp.pad(x, [(0, size - x.shape[0])] + [(0, 0)] * (x.ndim - 1)), batch)


def map_images(function: Callable[[Any, Array], Any], shared: Any, image: Array) -> Any:
    """Computes `function(shared, image)` for a flat batch [B, ...], divided among the devices and some images at a time on each.

    The function treats every image by itself and does not close over arrays: what all images need is `shared`.
    """

    def on_one_device(shared, image):
        total = image.shape[0]
        size = min(current().forward_batch, total)
        count = -(-total // size)
        padded = jnp.pad(image, [(0, count * size - total)] + [(0, 0)] * (image.ndim - 1))
        out = lax.map(functools.partial(function, shared), padded.reshape(count, size, *image.shape[1:]))
        return jax.tree.map(lambda x: x.reshape(count * size, *x.shape[2:])[:total], out)

    return over_devices(on_one_device)(shared, image)


def batch_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """Computes the gradient in `params` of a mean `loss` over a flat batch, divided among the cores of a CPU and into micro-batches.

    The gradient is exact up to rounding for networks that treat every image by itself (no batch norm). Where it is to be differentiated
    again, take `jax.grad` of the loss instead: micro-batches would only store more.
    """
    gradient = functools.partial(_weighted_gradient, loss)
    if current().shares_memory:  # others would send each other a gradient at every step, so each takes all images
        devices = device_count()
        batch = pad_to(batch, -(-batch.image.shape[0] // devices) * devices)
        gradient = sum_over_devices(gradient)
    total, weight = gradient(params, batch)
    return jax.tree.map(lambda t: t / jnp.maximum(weight, 1), total)  # a batch of padding alone has gradient 0


def _weighted_gradient(loss, params, batch):
    """Computes the sum of the images' gradients, micro-batch by micro-batch, and the number of images."""
    size = batch.image.shape[0]
    micro = min(current().micro_batch or size, size)
    count = round(size / micro)  # rather a little more than `micro` at a time than a last part that is mostly padding
    micro = -(-size // count)
    parts = jax.tree.map(lambda x: x.reshape(count, micro, *x.shape[1:]), pad_to(batch, count * micro))

    def accumulate(total, part):
        weight = part.label.sum()
        return jax.tree.map(lambda t, g: t + weight * g, total, jax.grad(loss)(params, part)), weight

    total, weights = lax.scan(accumulate, jax.tree.map(jnp.zeros_like, params), parts)
    return total, weights.sum()


def fit(
    key: Key,
    loss: Loss,
    params: Params,
    batch: Batch,
    optimizer: optax.GradientTransformation,
    *,
    epochs: int,
    batch_size: int = 256,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
) -> Params:
    """Trains `params` on a flat batch for whole epochs of reshuffled mini-batches; the last may be smaller.

    Args:
        key: shuffles, augments and mixes; consumed.
        loss: `(params, Batch) -> scalar`, a mean over the batch.
        params: the weights to start from.
        batch: the training set, [B, H, W, C] and [B, K].
        optimizer: updates the weights; its state starts afresh.
        epochs: passes over the set.
        batch_size: images in each mini-batch.
        augment: the augmentation, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.

    Returns:
        The trained weights.
    """
    size = batch.image.shape[0]
    step = _descent(loss, _padded(batch, batch_size), optimizer, augment, mix)

    def epoch(carry, key):
        order_key, step_key = jax.random.split(key)
        order = shuffled(order_key, size, batch_size)
        return lax.scan(step, carry, (jax.random.split(step_key, len(order)), order))[0], None

    carry = (params, optimizer.init(params))
    return lax.scan(epoch, carry, jax.random.split(key, epochs))[0][0]


def descend(
    key: Key,
    loss: Loss,
    params: Params,
    opt_state: Any,
    batch: Batch,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    batch_size: int = 256,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
) -> tuple[Params, Any]:
    """Trains `params` as `fit` does, but for a number of steps and from an optimizer's state: gives the weights and the new state.

    The steps take the mini-batches of one reshuffled pass over the set, and of further passes where that is not enough.
    """
    step = _descent(loss, _padded(batch, batch_size), optimizer, augment, mix)
    return lax.scan(step, (params, opt_state), _draws(key, batch.image.shape[0], steps, batch_size))[0]


def unroll(
    key: Key,
    loss: Loss,
    params: Params,
    batch: Batch,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    batch_size: int = 256,
    rate: Array,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
) -> Params:
    """Trains `params` as `descend` does, differentiably in `params`, in the batch and in the rate.

    The gradient of T steps keeps about 2 sqrt(T) copies of the weights and the optimizer's state, and the activations of one step:
    the steps are divided into segments, of which only the starts are kept, and everything else is computed again.

    Args:
        key: shuffles, augments and mixes; consumed.
        loss: `(params, Batch) -> scalar`, a mean over the batch, differentiated twice.
        params: the weights to start from.
        batch: the training set, [B, H, W, C] and [B, K].
        optimizer: any of rate one, whose updates are multiplied by `rate`: `optax.sgd(1.0, momentum=0.5)` is then PyTorch's
            gradient descent with momentum. Its state starts afresh.
        steps: T, mini-batches in all; 0 gives `params` as they are.
        batch_size: images in each mini-batch.
        rate: the learning rate, one of all steps or one of each, [T].
        augment: the augmentation, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.

    Returns:
        The trained weights.
    """
    rates = jnp.broadcast_to(rate, (steps,))
    inputs = (*_draws(key, batch.image.shape[0], steps, batch_size), rates)
    minibatch = _minibatches(_padded(batch, batch_size), augment, mix)

    def step(carry, inputs):
        params, opt_state = carry
        *drawn, rate = inputs
        gradient = jax.grad(loss)(params, minibatch(*drawn))
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        updates = jax.tree.map(lambda u: rate * u, updates)
        return (optax.apply_updates(params, updates), opt_state), None

    return scan_in_segments(step, (params, optimizer.init(params)), inputs)[0]


def _descent(loss, batch, optimizer, augment, mix):
    """Makes a training step on the images of `batch` at some indices: `((params, opt_state), (key, indices)) -> (..., None)`."""
    minibatch = _minibatches(batch, augment, mix)

    def step(carry, inputs):
        params, opt_state = carry
        gradient = batch_gradient(loss, params, minibatch(*inputs))
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    return step


def _minibatches(batch, augment, mix):
    """Makes `(key, indices) -> Batch`, the images of `batch` at some indices, augmented and mixed."""

    def minibatch(key, indices):
        augment_key, mix_key = jax.random.split(key)
        images = independent(augment, augment_key, batch.image[indices])
        return mix(mix_key)(Batch(images, batch.label[indices]))

    return minibatch


def _draws(key, size, steps, batch_size):
    """Draws each step's key, [T], and its mini-batch's indices, [T, batch_size], of one reshuffled pass after another."""
    order_key, step_key = jax.random.split(key)
    passes = -(-steps // steps_per_epoch(size, batch_size))
    orders = jax.vmap(lambda key: shuffled(key, size, batch_size))(jax.random.split(order_key, passes))
    return jax.random.split(step_key, steps), orders.reshape(-1, orders.shape[-1])[:steps]


def _padded(batch, batch_size):
    """Pads a batch to whole mini-batches and puts all of it on every device, because a step picks from anywhere."""
    size = batch.image.shape[0]
    return whole(pad_to(batch, steps_per_epoch(size, batch_size) * min(batch_size, size)))


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Counts the mini-batches that `size` images make."""
    return -(-size // min(batch_size, size))


def shuffled(key: Key, size: int, batch_size: int) -> Array:
    """Draws one epoch's indices [steps, batch_size]; what the last mini-batch lacks is made up by indices from `size` on."""
    steps = steps_per_epoch(size, batch_size)
    total = steps * min(batch_size, size)
    order = jnp.concatenate([jax.random.permutation(key, size), jnp.arange(size, total)])
    return order.reshape(steps, -1)
