"""Training one network, and what it makes of a batch: what objectives, trajectories, coresets and evaluation share."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity, independent, no_mixing
from dcjax.base import Array, Augmentation, Batch, Key, Loss, Mixing, Network, Params
from dcjax.sharding import device_count, over_devices, sum_over_devices

_FORWARD_BATCH = 500  # images that only go forward, at a time, where memory and not the cache is the limit


def cross_entropy(net: Network) -> Loss:
    """The mean cross-entropy of a batch. Rows whose label is all zeros are padding and count nothing."""

    def loss(params, batch):
        log_probability = jax.nn.log_softmax(net.apply(params, batch.image))
        count = jnp.maximum(batch.label.sum(), 1)  # a micro-batch of padding alone has loss 0, not 0/0
        return -(batch.label * log_probability).sum() / count

    return loss


def flatten(batch: Batch) -> Batch:
    """[K, M, ...] -> [K*M, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)


def pad_to(batch: Batch, size: int) -> Batch:
    """Appends padding rows (zero image, zero label) to a flat batch until it has `size` rows."""
    return jax.tree.map(lambda x: jnp.pad(x, [(0, size - x.shape[0])] + [(0, 0)] * (x.ndim - 1)), batch)


def default_micro_batch() -> int | None:
    """Images whose activations a CPU keeps in its cache; elsewhere a batch is taken whole."""
    return 8 if jax.default_backend() == "cpu" else None


def map_images(function: Callable[[Any, Array], Any], shared: Any, image: Array) -> Any:
    """`function(shared, image)` for a flat batch [B, ...], divided among the devices and some images at a time on each.

    The function treats every image by itself and does not close over arrays: what all images need is `shared`.
    """

    def on_one_device(shared, image):
        total = image.shape[0]
        size = min(default_micro_batch() or _FORWARD_BATCH, total)
        count = -(-total // size)
        padded = jnp.pad(image, [(0, count * size - total)] + [(0, 0)] * (image.ndim - 1))
        out = lax.map(functools.partial(function, shared), padded.reshape(count, size, *image.shape[1:]))
        return jax.tree.map(lambda x: x.reshape(count * size, *x.shape[2:])[:total], out)

    return over_devices(on_one_device)(shared, image)


def batch_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """The gradient in `params` of a mean `loss` over a flat batch, divided among the cores of a CPU and into micro-batches.

    Exact up to rounding for networks that treat every image by itself (no batch norm). For a gradient that is to be
    differentiated again, take `jax.grad` of the loss instead: micro-batches would only store more.
    """
    gradient = functools.partial(_weighted_gradient, loss)
    if _cores_are_devices():
        devices = device_count()
        batch = pad_to(batch, -(-batch.image.shape[0] // devices) * devices)
        gradient = sum_over_devices(gradient)
    total, weight = gradient(params, batch)
    return jax.tree.map(lambda t: t / jnp.maximum(weight, 1), total)  # a batch of padding alone has gradient 0


def _cores_are_devices():
    """Whether the devices share their memory. Others would send a gradient at every step of training: each takes the whole batch."""
    return jax.default_backend() == "cpu" and jax.process_count() == 1


def _weighted_gradient(loss, params, batch):
    """The sum of the images' gradients, micro-batch by micro-batch, and how many images there are."""
    size = batch.image.shape[0]
    micro = min(default_micro_batch() or size, size)
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
        optimizer: its state starts afresh.
        epochs: passes over the set.
        batch_size: images per step.
        augment: drawn anew for every image at every step.
        mix: drawn anew for every mini-batch, after augmentation.

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
    """As `fit` for a number of steps, with an optimizer that goes on from where it was: gives the weights and its state.

    The steps take the mini-batches of one reshuffled pass over the set, and of further ones where that is not enough.
    """
    size = batch.image.shape[0]
    order_key, step_key = jax.random.split(key)
    passes = -(-steps // steps_per_epoch(size, batch_size))
    orders = jax.vmap(lambda key: shuffled(key, size, batch_size))(jax.random.split(order_key, passes))
    indices = orders.reshape(-1, orders.shape[-1])[:steps]
    step = _descent(loss, _padded(batch, batch_size), optimizer, augment, mix)
    return lax.scan(step, (params, opt_state), (jax.random.split(step_key, steps), indices))[0]


def _descent(loss, batch, optimizer, augment, mix):
    """One step of training on the images of `batch` at some indices: `((params, opt_state), (key, indices)) -> (..., None)`."""

    def step(carry, inputs):
        params, opt_state = carry
        key, indices = inputs
        augment_key, mix_key = jax.random.split(key)
        images = independent(augment, augment_key, batch.image[indices])
        gradient = batch_gradient(loss, params, mix(mix_key)(Batch(images, batch.label[indices])))
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    return step


def _padded(batch, batch_size):
    """So many rows that whole mini-batches come out."""
    size = batch.image.shape[0]
    return pad_to(batch, steps_per_epoch(size, batch_size) * min(batch_size, size))


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Mini-batches that `size` images make."""
    return -(-size // min(batch_size, size))


def shuffled(key: Key, size: int, batch_size: int) -> Array:
    """One epoch's indices [steps, batch_size]; what the last mini-batch lacks is made up by indices from `size` on."""
    steps = steps_per_epoch(size, batch_size)
    total = steps * min(batch_size, size)
    order = jnp.concatenate([jax.random.permutation(key, size), jnp.arange(size, total)])
    return order.reshape(steps, -1)
