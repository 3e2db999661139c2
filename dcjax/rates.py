"""Gives the learning rate of training within an objective: fixed, or learned with the images.

A learned rate is the softplus of what is stored, `raw_rate`, so that it is positive whatever the outer optimizer does.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dcjax.base import Array, Hyper, InputError

NAME = "raw_rate"


class InnerRate(NamedTuple):
    """Says what is stored of a rate, and which rate it stands for."""

    init: Callable[[], Hyper]
    value: Callable[[Hyper], Array]  # one rate for all steps, or one for each, [T]


def fixed(rate: float) -> InnerRate:
    """Gives the same rate always."""
    _check(rate)
    return InnerRate(lambda: (), lambda hyper: jnp.array(rate))


def learned(start: float, steps: int | None = None) -> InnerRate:
    """Learns one rate for all steps, or one for each of `steps` (DD), as `hyper["raw_rate"]`.

    Args:
        start: the rate to begin with.
        steps: T, where every step has a rate of its own.
    """
    _check(start)
    shape = () if steps is None else (steps,)
    return InnerRate(
        lambda: {NAME: jnp.full(shape, raw(start), jnp.float32)}, lambda hyper: jax.nn.softplus(hyper[NAME])
    )


def raw(rate: float) -> Array:
    """Gives the number whose softplus is the rate."""
    return rate + jnp.log(-jnp.expm1(-jnp.array(rate)))


def _check(rate):
    if not rate > 0:
        raise InputError(f"An inner learning rate is positive, not {rate}.")
