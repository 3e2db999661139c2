"""Counts the floating-point operations of a program's products and convolutions, from the program as JAX traces it.

XLA's own count takes the body of a loop once, however often it runs; here a scan counts as often as it has steps. Elementwise work is
left out.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core


def flops(run: Callable, args: Any) -> int:
    """Counts two operations for every multiply-add of a jitted `run(*args)`; of a branch, the most costly side.

    Raises:
        ValueError: a loop runs until a condition holds, so that nobody knows beforehand how often it does.
    """
    return _of(run.trace(*args).jaxpr.jaxpr)


def _of(jaxpr: core.Jaxpr) -> int:
    return sum(_counted(equation) for equation in jaxpr.eqns)


def _counted(equation: core.JaxprEqn) -> int:
    name, inner = equation.primitive.name, [_of(each) for each in _inner(equation)]
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = equation.params["dimension_numbers"].rhs_spec[0]
        return 2 * equation.outvars[0].aval.size * math.prod(kernel) // kernel[outputs]
    if name == "while" and sum(inner):
        raise ValueError("A loop with products runs until a condition holds: its number of steps is not known.")
    if name == "cond":
        return max(inner)
    return sum(inner) * equation.params.get("length", 1) if name == "scan" else sum(inner)


def _inner(equation: core.JaxprEqn) -> Iterator[core.Jaxpr]:
    """Yields the programs that an operation runs."""
    for leaf in jax.tree.leaves(equation.params, is_leaf=lambda x: isinstance(x, (core.ClosedJaxpr, core.Jaxpr))):
        if isinstance(leaf, (core.ClosedJaxpr, core.Jaxpr)):
            yield leaf.jaxpr if isinstance(leaf, core.ClosedJaxpr) else leaf
