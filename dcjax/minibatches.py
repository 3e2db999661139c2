"""Draws the mini-batches that networks are trained on: orders say which images a step takes, and `picked` fetches them.

An order is `(key, shape, steps) -> indices [T, b]` into the flattened set, where `shape` is that of the set without images: `(B,)`,
or `(K, M)` for one that is grouped by class. An index of `B` or more stands for padding.

    reshuffled   all images in random order, then all again       DC, MTT and every recipe
    balanced     some images of every class, at random            RTP
    in_order     the next images of every class, again and again  DD
    of_one_view  as another order says, all of one view at a time   HaBa
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dcjax.augment import independent
from dcjax.base import Array, Augmentation, Batch, InputError, Key, Mixing

Order = Callable[[Key, tuple[int, ...], int], Array]


def reshuffled(batch_size: int) -> Order:
    """Takes `batch_size` images a step, of one reshuffled pass over the set after another; the last of a pass may be fewer."""
    if batch_size < 1:
        raise InputError(f"A mini-batch takes at least one image, not {batch_size}.")

    def order(key, shape, steps):
        size = math.prod(shape)
        passes = -(-steps // steps_per_epoch(size, batch_size))
        orders = jax.vmap(lambda key: shuffled(key, size, batch_size))(jax.random.split(key, passes))
        return orders.reshape(-1, orders.shape[-1])[:steps]

    return order


def balanced(per_class: int) -> Order:
    """Takes `per_class` images of every class at random, anew at every step, or all of a class that has no more."""
    if per_class < 1:
        raise InputError(f"A mini-batch takes at least one image of each class, not {per_class}.")

    def order(key, shape, steps):
        num_classes, available = shape
        taken = min(per_class, available)

        def of_class(key):
            return jax.random.permutation(key, available)[:taken] if taken < available else jnp.arange(available)

        within = jax.vmap(jax.vmap(of_class))(jax.random.split(key, (steps, num_classes)))
        return _flat(within, available)

    return order


def in_order(per_class: int) -> Order:
    """Takes the next `per_class` images of every class at each step, from the first to the last and then again (DD)."""
    if per_class < 1:
        raise InputError(f"A mini-batch takes at least one image of each class, not {per_class}.")

    def order(key, shape, steps):
        del key
        num_classes, available = shape
        if available % per_class:
            raise InputError(
                f"{available} images of each class cannot be taken {per_class} at a time in order: give a number that divides {available}."
            )
        taken = jnp.arange(steps)[:, None] % (available // per_class) * per_class + jnp.arange(per_class)[None]
        return _flat(jnp.broadcast_to(taken[:, None], (steps, num_classes, per_class)), available)

    return order


def of_one_view(views: int, order: Order) -> Order:
    """Takes what another order takes of the sources, in a view that is drawn for every step (HaBa: one hallucinator).

    Args:
        views: how many images are decoded of every source; a set counts views x sources, views outermost.
        order: says which sources each step takes.
    """

    def viewed(key, shape, steps):
        num_classes, available = shape
        _check_views(views, available)
        order_key, view_key = jax.random.split(key)
        sources = available // views
        chosen = order(order_key, (num_classes, sources), steps)
        return _seen(chosen, jax.random.randint(view_key, (steps, 1), 0, views), views, num_classes, sources)

    return viewed


def one_view_each(views: int, num_classes: int) -> Callable[[Key, int, int], Array]:
    """Makes what `shuffled` is for a set of views x sources: an epoch sees every source once, in a view drawn for it alone (HaBa).

    Args:
        views: how many images are decoded of every source; a set counts views x sources, views outermost.
        num_classes: K; the flat set has its images class by class, as many of each.
    """

    def epoch(key, size, batch_size):
        if size % num_classes:
            raise InputError(
                f"{size} images are not as many of each of {num_classes} classes, which views are told apart by."
            )
        _check_views(views, size // num_classes)
        order_key, view_key = jax.random.split(key)
        sources = size // num_classes // views
        chosen = shuffled(order_key, num_classes * sources, batch_size)
        return _seen(chosen, jax.random.randint(view_key, chosen.shape, 0, views), views, num_classes, sources)

    return epoch


def _check_views(views, available):
    if available % views:
        raise InputError(f"{available} images of each class are not {views} views of as many sources.")


def _seen(chosen, view, views, num_classes, sources):
    """Turns indices of sources into those of their images in some views; padding remains padding."""
    available = views * sources
    (classes, source), padding = jnp.divmod(chosen, sources), chosen - num_classes * sources
    return jnp.where(padding < 0, classes * available + view * sources + source, num_classes * available + padding)


def _flat(within, available):
    """Turns indices within every class, [T, K, n], into indices of the flattened set, [T, K*n]."""
    steps, num_classes, taken = within.shape
    first = available * jnp.arange(num_classes)
    return (within + jnp.expand_dims(first, (0, 2))).reshape(steps, num_classes * taken)


def picked(batch: Batch, augment: Augmentation, mix: Mixing) -> Callable[[Key, Array], Batch]:
    """Makes `(key, indices) -> Batch`, the images of a padded flat batch at some indices, augmented one by one and then mixed."""

    def minibatch(key, indices):
        augment_key, mix_key = jax.random.split(key)
        images = independent(augment, augment_key, batch.image[indices])
        return mix(mix_key)(Batch(images, batch.label[indices]))

    return minibatch


def steps_per_epoch(size: int, batch_size: int) -> int:
    """Counts the mini-batches that `size` images make."""
    return -(-size // min(batch_size, size))


def shuffled(key: Key, size: int, batch_size: int) -> Array:
    """Draws one epoch's indices [steps, batch_size]; what the last mini-batch lacks is made up by indices from `size` on."""
    steps = steps_per_epoch(size, batch_size)
    total = steps * min(batch_size, size)
    order = jnp.concatenate([jax.random.permutation(key, size), jnp.arange(size, total)])
    return order.reshape(steps, -1)
