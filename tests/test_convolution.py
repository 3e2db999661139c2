"""The convolution equals XLA's, with its first and second derivatives, in every branch."""

import jax
import jax.numpy as jnp
import pytest
from helpers import relative_error
from jax import lax

from dcjax.convolution import convolve

# (image, kernel, padding, stride): patches for few channels, another window or a stride, Winograd for 3x3 over many channels.
CASES = {
    "patches": ((2, 8, 8, 1), (3, 3, 1, 8), 1, 1),
    "patches, padding 3": ((2, 7, 8, 3), (3, 3, 3, 20), 3, 1),
    "patches, 5x5": ((2, 8, 9, 4), (5, 5, 4, 6), 2, 1),
    "fewer channels, padding 3": ((2, 7, 8, 20), (3, 3, 20, 3), 3, 1),
    "fewer channels, 5x4": ((2, 8, 9, 6), (5, 4, 6, 4), 1, 1),
    "winograd": ((2, 8, 8, 16), (3, 3, 16, 24), 1, 1),
    "winograd, odd size": ((2, 7, 9, 16), (3, 3, 16, 16), 1, 1),
    "winograd, no padding": ((1, 8, 7, 17), (3, 3, 17, 16), 0, 1),
    "stride 2": ((2, 8, 7, 16), (3, 3, 16, 24), 1, 2),
    "stride 2, 1x1": ((2, 7, 8, 4), (1, 1, 4, 6), 0, 2),
    "stride 3, no padding": ((1, 10, 9, 3), (2, 2, 3, 5), 0, 3),
}


def xla_convolve(image, kernel, padding, stride):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(image, kernel, (stride, stride), [(padding, padding)] * 2, dimension_numbers=layout)


@pytest.mark.parametrize("case", CASES)
def test_equals_xla_to_second_order(case):
    image_shape, kernel_shape, padding, stride = CASES[case]
    keys = jax.random.split(jax.random.key(0), 4)
    image, kernel = jax.random.normal(keys[0], image_shape), jax.random.normal(keys[1], kernel_shape)
    directions = jax.random.normal(keys[2], image_shape), jax.random.normal(keys[3], kernel_shape)

    def derivatives(convolution):
        def loss(*args):
            return jnp.sin(convolution(*args, padding, stride)).sum()

        def slope(*args):  # along the directions: its gradient needs every second derivative
            return sum((g * d).sum() for g, d in zip(jax.grad(loss, (0, 1))(*args), directions))

        args = image, kernel
        return convolution(*args, padding, stride), *jax.grad(loss, (0, 1))(*args), *jax.grad(slope, (0, 1))(*args)

    ours, theirs = (jax.jit(derivatives, static_argnums=0)(f) for f in (convolve, xla_convolve))
    for actual, expected in zip(ours, theirs):
        assert actual.shape == expected.shape
        assert relative_error(actual, expected) < 1e-5
