"""Trains one network and computes what it makes of a batch, for objectives, trajectories, coresets and evaluation alike."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity, no_mixing
from dcjax.backend import current
from dcjax.base import Array, Augmentation, Batch, Key, Loss, Mixing, Network, Params
from dcjax.gradients import batch_gradient as batch_gradient
from dcjax.gradients import image_count
from dcjax.gradients import pad_to as pad_to
from dcjax.minibatches import picked, reshuffled
from dcjax.minibatches import shuffled as shuffled
from dcjax.minibatches import steps_per_epoch as steps_per_epoch
from dcjax.sharding import over_devices, whole
from dcjax.unroll import unroll as unroll


@dataclasses.dataclass(frozen=True)
class _CrossEntropy:
    net: Network

    @property
    def per_image(self) -> bool:
        return self.net.per_image

    def __call__(self, params: Params, batch: Batch) -> Array:
        present = () if self.per_image else (batch.label.any(-1),)
        log_probability = jax.nn.log_softmax(self.net.apply(params, batch.image, *present))
        return -(batch.label * log_probability).sum() / image_count(batch)  # of padding alone: 0


def cross_entropy(net: Network) -> Loss:
    """Makes the loss that is the mean cross-entropy of a batch; rows whose label is all zeros are padding and count nothing."""
    return _CrossEntropy(net)


def flatten(batch: Batch) -> Batch:
    """Flattens a batch that is grouped by class: [K, M, ...] -> [K*M, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


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
    epoch_order: Callable[[Key, int, int], Array] = shuffled,
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
        epoch_order: says which images the steps of an epoch take, `(key, B, batch_size) -> [steps, b]`; an index of B or more is padding.

    Returns:
        The trained weights.
    """
    size = batch.image.shape[0]
    step = _descent(loss, _padded(batch, batch_size), optimizer, augment, mix)

    def epoch(carry, key):
        order_key, step_key = jax.random.split(key)
        order = epoch_order(order_key, size, batch_size)
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


def _descent(loss, batch, optimizer, augment, mix):
    """Makes a training step on the images of `batch` at some indices: `((params, opt_state), (key, indices)) -> (..., None)`."""
    minibatch = picked(batch, augment, mix)

    def step(carry, inputs):
        params, opt_state = carry
        gradient = batch_gradient(loss, params, minibatch(*inputs))
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    return step


def _draws(key, size, steps, batch_size):
    """Draws each step's key, [T], and its mini-batch's indices, [T, batch_size], of one reshuffled pass after another."""
    order_key, step_key = jax.random.split(key)
    return jax.random.split(step_key, steps), reshuffled(batch_size)(order_key, (size,), steps)


def _padded(batch, batch_size):
    """Pads a batch by a mini-batch and puts all of it on every device, because a step picks from anywhere."""
    size = batch.image.shape[0]
    return whole(pad_to(batch, size + min(batch_size, size)))
