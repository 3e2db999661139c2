"""Settles networks with batch norm: freezes the statistics that they normalise by, so that they treat every image by itself.

    settle = settling.on_real(per_class=16)                # before a match: real images of every class
    params = settling.on_training_set(key, net, ...)       # before a test: what the network was trained on

A network without batch norm is left as it is. Statistics are constants: nothing matches, decays or moves them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from dcjax.augment import identity, no_mixing
from dcjax.base import Augmentation, Batch, InputError, Key, Mixing, Network, Params
from dcjax.minibatches import picked
from dcjax.networks import Settled, weights

Settling = Callable[[Network, Params, Batch], Params]  # (net, weights, real [K, N, ...]) -> settled weights


def on_real(per_class: int = 16, momentum: float = 1.0) -> Settling:
    """Settles on real images, `per_class` of each class or all where there are fewer, in one batch, as DC does before every match.

    Args:
        per_class: real images of each class.
        momentum: how far statistics go from those of a network that has seen nothing (mean 0, variance 1) to those of the images. The
            published program of DC stops a tenth of the way, 0.1, before the first comparison on a network.
    """
    if per_class < 1:
        raise InputError(f"A network is settled on at least one image of each class, not {per_class}.")

    def settle(net, params, real):
        image = real.image[:, :per_class]
        return lax.stop_gradient(net.settle(params, image.reshape(-1, *image.shape[2:]), momentum))

    return settle


def on_training_set(
    key: Key,
    net: Network,
    params: Params,
    batch: Batch,
    *,
    batch_size: int,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
) -> Params:
    """Settles on one pass over a training set: statistics are the means over mini-batches that are drawn as those of training are.

    Args:
        key: shuffles and augments; consumed.
        net: the network.
        params: its weights.
        batch: the training set, flat [B, ...]; padding among it counts nothing.
        batch_size: images in each mini-batch; what is left of a pass is left out.
        augment: the augmentation, drawn anew for every image.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.
    """
    if net.per_image:
        return params
    minibatch = picked(batch, augment, mix)
    order_key, draw_key = jax.random.split(key)
    size = batch.image.shape[0]
    taken = min(batch_size, size)
    order = jax.random.permutation(order_key, size)[: size // taken * taken].reshape(-1, taken)

    def of_minibatch(key, indices):
        drawn = minibatch(key, indices)
        present = drawn.label.any(-1)
        return net.settle(params, drawn.image, 1.0, present).statistics, present.mean()

    def add(total, row):
        found, share = of_minibatch(*row)
        return jax.tree.map(lambda x, y: x + share * y, total, (found, 1.0)), None

    keys = jax.random.split(draw_key, len(order))
    found = jax.eval_shape(net.settle, params, batch.image[:taken]).statistics
    start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found), 0.0
    (total, shares), _ = lax.scan(add, start, (keys, order))
    return Settled(weights(params), jax.tree.map(lambda x: x / shares, total))
