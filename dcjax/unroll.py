"""Differentiates the training of a network: T steps, their images and their rates.

The backward pass starts a step from the state before it and from its gradient, and computes whatever else is in it again. These T
states are kept if they take a small part of the memory. Otherwise the steps are divided into about sqrt(T) segments, of which only the
starts are kept: the backward pass then goes through a segment once more before it goes through its steps (Griewank, 1992).
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import psutil
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from dcjax.augment import identity, no_mixing
from dcjax.backend import current
from dcjax.base import Array, Augmentation, Batch, InputError, Key, Loss, Mixing, Params
from dcjax.gradients import divided_gradient, pad_to
from dcjax.minibatches import Order, picked
from dcjax.sharding import whole

_SHARE = 1 / 8  # of a device's memory for the states of all steps

_recomputed = functools.partial(jax.checkpoint, prevent_cse=False)  # a loop's body cannot be merged with another's
_but_gradients = functools.partial(_recomputed, policy=jax.checkpoint_policies.save_only_these_names("inner gradient"))


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

    Returns:
        The trained weights.
    """
    if window is not None and window < 1:
        raise InputError(f"The window of an unrolling has at least one step, not {window}.")
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
    return scan_in_segments(step, padded, carry, (jax.random.split(step_key, len(indices)), indices, rates))[0]


def _step(loss, optimizer, augment, mix, batch, carry, inputs):
    """Makes one step of training: `((params, opt_state), (key, indices, rate)) -> (params, opt_state)`."""
    params, opt_state = carry
    *drawn, rate = inputs
    gradient = divided_gradient(loss, params, picked(batch, augment, mix)(*drawn))
    gradient = checkpoint_name(gradient, "inner gradient")
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    updates = jax.tree.map(lambda u: rate * u, updates)
    return optax.apply_updates(params, updates), opt_state


def _constant(key, step, batch, carry, inputs, count):
    """Makes the first `count` steps, a traced number, without a derivative."""
    batch, carry, inputs = lax.stop_gradient((batch, carry, inputs))

    def body(t, carry):
        return step(batch, carry, (jax.random.fold_in(key, t), *(x[t] for x in inputs)))

    return lax.fori_loop(0, count, body, carry)


def scan_in_segments(step: Callable[[Any, Any, Any], Any], shared: Any, carry: Any, inputs: Any) -> Any:
    """Makes the steps `carry = step(shared, carry, input)` of all inputs; what it is about is how its gradient is computed.

    Args:
        step: `(shared, carry, input) -> carry`.
        shared: what every step sees.
        carry: the state to start from.
        inputs: a tree of arrays [T, ...], a row for every step.
    """
    total = jax.tree.leaves(inputs)[0].shape[0]
    length = segment_length(total, _bytes(carry))
    divided = total // length * length

    def segment(carry, inputs):
        body = _but_gradients(lambda carry, row: (step(shared, carry, row), None))
        return lax.scan(body, carry, inputs)

    if length == total:
        return segment(carry, inputs)[0]
    segments = jax.tree.map(lambda x: x[:divided].reshape(-1, length, *x.shape[1:]), inputs)
    carry, _ = lax.scan(_recomputed(segment), carry, segments)
    if divided < total:
        carry, _ = _recomputed(segment)(carry, jax.tree.map(lambda x: x[divided:], inputs))
    return carry


def segment_length(steps: int, state_bytes: int) -> int:
    """Chooses the steps of a segment: all where their states fit, or about the square root of all.

    Rather a divisor, because a rest would be compiled by itself.
    """
    kept = 2 * steps * state_bytes  # with the gradients
    if kept <= _SHARE * (current().memory or psutil.virtual_memory().total):
        return max(steps, 1)
    root = math.isqrt(steps)
    return min(range(1, steps + 1), key=lambda n: steps // n + n + (root if steps % n else 0))


def _bytes(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
