"""Training one network, and its gradient on a batch: what objectives, trajectories and evaluation share."""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity, independent
from dcjax.base import Augmentation, Batch, Key, Loss, Network, Params


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
    return 16 if jax.default_backend() == "cpu" else None


def batch_gradient(loss: Loss, params: Params, batch: Batch) -> Params:
    """The gradient in `params` of a mean `loss` over a flat batch, accumulated over micro-batches.

    Exact up to rounding for networks that treat every image by itself (no batch norm). For a gradient that is to be
    differentiated again, take `jax.grad` of the loss instead: micro-batches would only store more.
    """
    size = batch.image.shape[0]
    micro = default_micro_batch()
    if micro is None or size <= micro:
        return jax.grad(loss)(params, batch)
    count = round(size / micro)  # rather a little more than `micro` at a time than a last part that is mostly padding
    micro = -(-size // count)
    batch = jax.tree.map(lambda x: x.reshape(count, micro, *x.shape[1:]), pad_to(batch, count * micro))

    def accumulate(total, part):
        weight = part.label.sum()
        return jax.tree.map(lambda t, g: t + weight * g, total, jax.grad(loss)(params, part)), weight

    total, weights = lax.scan(accumulate, jax.tree.map(jnp.zeros_like, params), batch)
    return jax.tree.map(lambda t: t / weights.sum(), total)


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
) -> Params:
    """Trains `params` on a flat batch for whole epochs of reshuffled mini-batches; the last may be smaller.

    Args:
        key: shuffles and augments; consumed.
        loss: `(params, Batch) -> scalar`, a mean over the batch.
        params: the weights to start from.
        batch: the training set, [B, H, W, C] and [B, K].
        optimizer: its state starts afresh.
        epochs: passes over the set.
        batch_size: images per step.
        augment: drawn anew for every image at every step.

    Returns:
        The trained weights.
    """
    size = batch.image.shape[0]
    batch_size = min(batch_size, size)
    steps = -(-size // batch_size)
    batch = pad_to(batch, steps * batch_size)

    def step(carry, inputs):
        params, opt_state = carry
        key, indices = inputs
        images = independent(augment, key, batch.image[indices])
        gradient = batch_gradient(loss, params, Batch(images, batch.label[indices]))
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    def epoch(carry, key):
        order_key, step_key = jax.random.split(key)
        order = jnp.concatenate([jax.random.permutation(order_key, size), jnp.arange(size, steps * batch_size)])
        keys = jax.random.split(step_key, steps)
        return lax.scan(step, carry, (keys, order.reshape(steps, batch_size)))[0], None

    carry = (params, optimizer.init(params))
    return lax.scan(epoch, carry, jax.random.split(key, epochs))[0][0]
