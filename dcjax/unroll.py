"""Differentiates the training of a network: T steps, their images and their rates. How, and in how much memory, a scan says."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from dcjax.augment import identity, no_mixing
from dcjax.base import Array, Augmentation, Batch, InputError, Key, Loss, Mixing, Params
from dcjax.gradients import divided_gradient, pad_to
from dcjax.minibatches import Order, picked
from dcjax.scans import GRADIENT, Scan, in_segments
from dcjax.sharding import whole


def at_the_end(key: Key, latest: int) -> Array:
    """Places a window behind all other steps: the unrolling is truncated."""
    del key
    return jnp.array(latest)


def anywhere(key: Key, latest: int) -> Array:
    """Places a window at random, and training ends with it (Feng et al., ICLR 2024, arXiv:2310.04390)."""
    return jax.random.randint(key, (), 0, latest + 1)


def unroll(
    key: Key,
    loss: Loss,
    params: Params,
    batch: Batch,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    order: Order,
    rate: Array,
    window: int | None = None,
    place: Callable[[Key, int], Array] = at_the_end,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
    scan: Scan = in_segments,
) -> Params:
    """Trains `params` for some steps, differentiably in `params`, in the batch and in the rate.

    Args:
        key: draws mini-batches, augments, mixes and places the window; consumed.
        loss: `(params, Batch) -> scalar`, a mean over the batch, differentiated twice.
        params: the weights to start from.
        batch: the training set, flat [B, ...] or grouped by class [K, M, ...], as the order takes it.
        optimizer: any of rate one, whose updates are multiplied by `rate`: `optax.sgd(1.0, momentum=0.5)` is then PyTorch's
            gradient descent with momentum. Its state starts afresh.
        steps: T, mini-batches in all; 0 gives `params` as they are.
        order: says which images each step takes.
        rate: the learning rate, one of all steps or one of each, [T].
        window: steps that are differentiated; all when None. Those before are constants.
        place: where the window begins, `(key, latest) -> step`; `at_the_end` or `anywhere`. Steps behind it are not made.
        augment: the augmentation, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.
        scan: says how the steps are differentiated; `scans.in_segments` or `scans.unlinked`.

    Returns:
        The trained weights.
    """
    if window is not None and window < 1:
        raise InputError(f"The window of an unrolling has at least one step, not {window}.")
    if jnp.shape(rate) not in ((), (steps,)):
        raise InputError(
            f"There are rates of shape {jnp.shape(rate)}, but one for all or for each of {steps} steps are needed."
        )
    order_key, step_key = jax.random.split(key)
    shape = batch.label.shape[:-1]
    indices, rates = order(order_key, shape, steps), jnp.broadcast_to(rate, (steps,))
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[len(shape) :]), batch)
    padded = whole(
        pad_to(flat, flat.label.shape[0] + indices.shape[-1])
    )  # on every device, because a step picks from anywhere
    step = functools.partial(_step, loss, optimizer, augment, mix)
    carry = (params, optimizer.init(params))
    if window is not None and window < steps:
        place_key, constant_key, step_key = jax.random.split(step_key, 3)
        first = place(place_key, steps - window)
        carry = _constant(constant_key, step, padded, carry, (indices, rates), first)
        indices, rates = (x[first + jnp.arange(window)] for x in (indices, rates))
    drawn = (jax.random.split(step_key, len(indices)), indices)
    return scan(step, padded, carry, (drawn, rates))[0]


def _step(loss, optimizer, augment, mix, batch, carry, inputs):
    """Makes one step of training: `((params, opt_state), ((key, indices), rate)) -> (params, opt_state)`."""
    params, opt_state = carry
    drawn, rate = inputs
    gradient = divided_gradient(loss, params, picked(batch, augment, mix)(*drawn))
    gradient = checkpoint_name(gradient, GRADIENT)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    updates = jax.tree.map(lambda u: rate * u, updates)
    return optax.apply_updates(params, updates), opt_state


def _constant(key, step, batch, carry, inputs, count):
    """Makes the first `count` steps, a traced number, without a derivative."""
    batch, carry, inputs = lax.stop_gradient((batch, carry, inputs))

    def body(t, carry):
        indices, rates = inputs
        return step(batch, carry, ((jax.random.fold_in(key, t), indices[t]), rates[t]))

    return lax.fori_loop(0, count, body, carry)
