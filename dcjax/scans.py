"""Makes a loop whose derivative takes bounded memory: a scan is `(step, shared, carry, inputs) -> carry`, and scans differ in that alone.

in_segments   the whole derivative; about sqrt(T) states where all do not fit                     BPTT, MTT
unlinked      without the way from a step's weights through later gradients; one state            TESLA

In segments, the backward pass starts a step from the state before it and from its gradient, and computes whatever else is in it again.
These T states are kept if they take a small part of the memory. Otherwise only the starts of about sqrt(T) segments are, and the
backward pass goes through a segment once more before it goes through its steps (Griewank, 1992).
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import psutil
from jax import lax

from dcjax.backend import current
from dcjax.base import InputError
from dcjax.sharding import devices_at_work

Step = Callable[[Any, Any, Any], Any]  # (shared, carry, row of the inputs) -> carry
Scan = Callable[[Step, Any, Any, Any], Any]

GRADIENT = (
    "inner gradient"  # what a step computes once more if its derivative is taken, except for a value of this name
)
_SHARE = 1 / 8  # of a device's memory for the states of all steps

_recomputed = functools.partial(jax.checkpoint, prevent_cse=False)  # a loop's body cannot be merged with another's
_but_gradients = functools.partial(_recomputed, policy=jax.checkpoint_policies.save_only_these_names(GRADIENT))


def in_segments(step: Step, shared: Any, carry: Any, inputs: Any) -> Any:
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


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def unlinked(step: Step, shared: Any, carry: Any, inputs: Any) -> Any:
    """Makes the steps of all inputs, and differentiates them as if the gradient of each were taken at constant weights (TESLA).

    Only for steps that change the carry by what does not otherwise depend on it, `carry + change(shared, input)`: plain gradient
    descent. Its gradient leaves out how a step's images act on the gradients of later steps, through the weights between them. The
    backward pass makes the steps once more, and keeps the state of one. Cui et al., Scaling Up Dataset Distillation to ImageNet-1K
    with Constant Memory, ICML 2023 (arXiv:2211.10586).

    Args:
        step: `(shared, carry, input) -> carry`.
        shared: what every step sees; floats.
        carry: `(params, opt_state)` to start from; the second holds no arrays, as in plain gradient descent.
        inputs: `(constants, rates)`, each with a row for every step; only the rates have a derivative.
    """
    if jax.tree.leaves(carry[1]):
        raise InputError(
            "A scan that is unlinked is of plain gradient descent, but this optimizer carries a state from step to step: give optax.sgd(1.0), "
            "or take in_segments."
        )
    return lax.scan(lambda carry, row: (step(shared, carry, row), None), carry, inputs)[0]


def _unlinked_forward(step, shared, carry, inputs):
    again = jax.tree.map(_for_a_second_time, inputs)
    return unlinked(step, shared, carry, inputs), (shared, carry, again)


def _unlinked_backward(step, residuals, cotangent):
    shared, carry, inputs = residuals

    def body(seen, row):
        carry, of_shared = seen
        constants, rate = row
        after, pull = jax.vjp(lambda shared, rate: step(shared, carry, (constants, rate)), shared, rate)
        of_step, of_rate = pull(cotangent)
        return (after, jax.tree.map(jnp.add, of_shared, of_step)), of_rate

    start = (carry, jax.tree.map(jnp.zeros_like, shared))
    (_, of_shared), of_rates = lax.scan(body, start, inputs)
    return of_shared, cotangent, (None, of_rates)


def _for_a_second_time(x):
    return jax.random.clone(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


unlinked.defvjp(_unlinked_forward, _unlinked_backward)


def segment_length(steps: int, state_bytes: int) -> int:
    """Chooses the steps of a segment: all where their states fit, or about the square root of all.

    Rather a divisor, because a rest would be compiled by itself.
    """
    kept = 2 * steps * state_bytes  # with the gradients, on every device
    if kept <= _SHARE * (current().memory or psutil.virtual_memory().total / devices_at_work()):  # cores share a memory
        return max(steps, 1)
    root = math.isqrt(steps)
    return min(range(1, steps + 1), key=lambda n: steps // n + n + (root if steps % n else 0))


def _bytes(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
