"""The operations of a program are counted as often as they are done."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from benchmarks.flops import flops

SQUARE = jnp.ones((8, 8))
PRODUCT = 2 * 8**3


def repeated(x):
    return lax.scan(lambda carry, _: (carry @ SQUARE, None), x, length=10)[0]


def convolved(x):
    return lax.conv_general_dilated(
        x, jnp.ones((3, 3, 3, 16)), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


CASES = {
    "a product": (lambda x: x @ SQUARE, SQUARE, PRODUCT),
    "the same in a function of its own": (jax.jit(lambda x: x @ SQUARE), SQUARE, PRODUCT),
    "ten in a loop": (repeated, SQUARE, 10 * PRODUCT),
    "five in a loop by number": (lambda x: lax.fori_loop(0, 5, lambda _, y: y @ SQUARE, x), SQUARE, 5 * PRODUCT),
    "ten and the ten of their derivative": (jax.grad(lambda x: repeated(x).sum()), SQUARE, 20 * PRODUCT),
    "one of each row": (lambda x: lax.map(lambda row: row @ SQUARE, x), jnp.ones((4, 8, 8)), 4 * PRODUCT),
    "the costly side of a branch": (
        lambda x: lax.cond(x[0, 0] > 0, lambda: repeated(x), lambda: x),
        SQUARE,
        10 * PRODUCT,
    ),
    "a convolution": (convolved, jnp.ones((2, 8, 8, 3)), 2 * 2 * 8 * 8 * 16 * 27),
    "nothing but sums": (jnp.sin, SQUARE, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_the_operations_are_counted(case):
    run, x, expected = CASES[case]
    assert flops(jax.jit(run), (x,)) == expected


def test_a_loop_without_a_known_end_is_refused():
    run = jax.jit(lambda x: lax.while_loop(lambda y: y[0, 0] < 9, lambda y: y @ SQUARE, x))
    with pytest.raises(ValueError, match="until a condition holds"):
        flops(run, (SQUARE,))
