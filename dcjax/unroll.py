"""Differentiates a loop of T steps with about 2 sqrt(T) of its states in memory; everything else is computed again.

The steps are divided into segments. The forward pass keeps the state at the start of each; the backward pass goes through a segment once
more, keeping the state before each of its steps, and then once more through every step for what is inside it (Griewank, 1992).
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

_recomputed = functools.partial(jax.checkpoint, prevent_cse=False)  # a loop's body cannot be merged with another's


def scan_in_segments(step: Callable[[Any, Any], tuple[Any, None]], carry: Any, inputs: Any) -> Any:
    """Runs `lax.scan(step, carry, inputs)` and gives the last carry; the difference is in how its gradient is computed.

    Args:
        step: `(carry, input) -> (carry, None)`.
        carry: the state to start from.
        inputs: a tree of arrays [T, ...], a row for every step.
    """
    total = jax.tree.leaves(inputs)[0].shape[0]
    length = segment_length(total)
    divided = total // length * length

    @_recomputed
    def segment(carry, inputs):
        return lax.scan(_recomputed(step), carry, inputs)

    segments = jax.tree.map(lambda x: x[:divided].reshape(-1, length, *x.shape[1:]), inputs)
    carry, _ = lax.scan(segment, carry, segments)
    if divided < total:
        carry, _ = segment(carry, jax.tree.map(lambda x: x[divided:], inputs))
    return carry


def segment_length(steps: int) -> int:
    """Chooses the steps of a segment: about the square root of all, rather a divisor, because a rest would be compiled by itself."""
    root = math.isqrt(steps)
    return min(range(1, steps + 1), key=lambda n: steps // n + n + (root if steps % n else 0), default=1)
