"""Measures what a lower precision does to DC's matching: how far the loss and the gradient of the images move, on many random inputs.

`python -m benchmarks.rounding` prints medians and the largest deviations over random networks and images like those of the golden files.
A CPU computes in float32, so rounding is emulated: of operands, results and cotangents of every convolution.
"""

import argparse
import contextlib
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import dcjax as dc
from dcjax import convolution
from dcjax.parameterizations import class_labels

BITS = {"tensorfloat32": 10, "bfloat16": 7}  # of a mantissa
SHAPES = ((28, 28, 1), (32, 32, 3))  # of the golden files, which have three classes, and a ConvNet of width 8
_CLASSES, _REAL, _CONDENSED, _WIDTH = 3, 4, 2, 8


def rounded_convolution(bits: int) -> Callable:
    """Makes a stand-in for `convolution.convolve` that rounds what goes into it and what comes out."""

    def rounded(x):
        return lax.reduce_precision(x, exponent_bits=8, mantissa_bits=bits)

    return lambda image, kernel, *window: rounded(convolution.convolve(rounded(image), rounded(kernel), *window))


@contextlib.contextmanager
def _convolving(convolve: Callable) -> Iterator[None]:
    exact, dc.networks.layers.convolve = dc.networks.layers.convolve, convolve
    try:
        yield
    finally:
        dc.networks.layers.convolve = exact


def deviations(keys: dc.Key, shape: tuple[int, int, int], precision: str) -> np.ndarray:
    """Gives the relative deviation of the loss, and of the gradient of all images together, on every random input: [S, 2].

    Args:
        keys: one for each input, [S].
        shape: of an image.
        precision: one of `BITS`.
    """
    net = dc.network(dc.networks.ConvNet(_CLASSES, width=_WIDTH), shape)
    objective = dc.gradient_matching(net)

    def loss(image, label, params, real):
        return objective.loss(jax.random.key(0), (), dc.Point(params), dc.Batch(image, label), real)[0]

    def on_one(key):
        params, syn, real = _drawn(key, net, shape)
        value, slope = jax.value_and_grad(loss)(*syn, params, real)
        with _convolving(rounded_convolution(BITS[precision])):
            other, tilted = jax.value_and_grad(loss)(*syn, params, real)
        away = jnp.linalg.norm(jnp.ravel(tilted - slope)) / jnp.linalg.norm(jnp.ravel(slope))
        return jnp.stack([jnp.abs(other / value - 1), away])

    return np.asarray(jax.jit(lambda keys: lax.map(on_one, keys))(keys))


def _drawn(key, net, shape):
    """Draws a network as it begins, its norms a little off the identity, and standard normal images, as in the golden files."""
    init_key, norm_key, *image_keys = jax.random.split(key, 4)
    params = net.init(init_key)
    layers = [name for name in params if name.startswith("norm")]
    for name, layer_key in zip(layers, jax.random.split(norm_key, len(layers))):
        leaves, structure = jax.tree.flatten(params[name])
        keys = jax.random.split(layer_key, len(leaves))
        leaves = [leaf + 0.1 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
        params = {**params, name: jax.tree.unflatten(structure, leaves)}
    counts = (_CONDENSED, _REAL)
    batches = (
        dc.Batch(jax.random.normal(k, (_CLASSES, n, *shape)), class_labels(_CLASSES, n))
        for k, n in zip(image_keys, counts)
    )
    return params, *batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=250, help="random inputs of each shape")
    inputs = parser.parse_args().inputs
    keys = jax.random.split(jax.random.key(0), inputs)
    print(f"| on {inputs * len(SHAPES)} inputs | loss, median | most | gradient of the images, median | most |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for precision in BITS:
        found = np.concatenate([deviations(keys, shape, precision) for shape in SHAPES])
        cells = [f"{100 * function(found[:, i]):.2g} %" for i in (0, 1) for function in (np.median, np.max)]
        print(f"| {precision} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
