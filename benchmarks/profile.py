"""Measures where the time of a gradient goes: `python -m benchmarks.profile [WIDTH [BATCH]]` times the parts of one micro-batch alone.

The parts of one real micro-batch's gradient (ConvNet, MNIST's shape) are each compiled alone and timed in turn. The table has
their medians, their share of the whole, and GFLOP/s by the operations of the direct algorithm.
"""

import functools
import sys
import time
from collections.abc import Callable
from statistics import median

import jax
import jax.numpy as jnp
from jax import lax

import dcjax as dc
from benchmarks import tables
from benchmarks.ours import matmul
from dcjax import backend
from dcjax.convolution import convolve
from dcjax.networks import ACTIVATIONS, NORMS, POOLINGS
from dcjax.training import cross_entropy
from experiments.pipeline.machine import configure_jax

TURNS, CALLS = 5, 20


def parts(width: int, batch: int) -> dict[str, tuple]:
    """Maps the name of a part to (function, its arguments, operations of the direct algorithm)."""
    key = jax.random.key(0)
    found = {}
    for layer, (size, channels, padding) in enumerate([(28, 1, 3), (16, width, 1), (8, width, 1)]):
        image = jax.random.normal(key, (batch, size, size, channels))
        kernel = jax.random.normal(key, (3, 3, channels, width))
        out = convolve(image, kernel, padding)
        flops = 2 * 9 * channels * out.size
        apply = functools.partial(convolve, padding=padding)
        found[f"convolution {layer}, forward"] = apply, (image, kernel), flops
        found[f"convolution {layer}, weight gradient"] = _transpose(apply, 1), (image, kernel, out), flops
        if layer:
            found[f"convolution {layer}, image gradient"] = _transpose(apply, 0), (image, kernel, out), flops
        found[f"norm, ReLU, pooling {layer}, both ways"] = *_block(width, out), 0
    return found


def _transpose(apply, argument):
    def gradient(image, kernel, cotangent):
        return jax.vjp(apply, image, kernel)[1](cotangent)[argument]

    return gradient


def _block(width, out):
    norm = NORMS["instance"](width, None)

    def both_ways(params, x):
        pooled, back = jax.vjp(lambda *args: POOLINGS["avg"](ACTIVATIONS["relu"](norm.apply(*args))), params, x)
        return back(pooled)

    return both_ways, (norm.init(jax.random.key(0), out), out)


def whole_gradient(width: int, batch: int) -> tuple:
    net = dc.network(dc.networks.ConvNet(10, width), (28, 28, 1))
    real = dc.Batch(jax.random.normal(jax.random.key(1), (batch, 28, 28, 1)), jnp.eye(10)[jnp.arange(batch) % 10])
    return jax.grad(cross_entropy(net)), (net.init(jax.random.key(0)), real), 0


def timed(function: Callable, args: tuple) -> Callable[[], float]:
    """Gives a clock of one call among many in a compiled loop, as in a step: buffers are made once, and stay in the cache."""

    @jax.jit
    def loop(args):
        def body(carry, _):
            args, out = carry
            seen = jax.tree.leaves(out)[0].ravel()[
                0
            ]  # every call needs the last, so that none is taken out of the loop
            args = jax.tree.map(lambda x: x.at[(0,) * x.ndim].set(seen), args)
            return (args, function(*args)), None

        start = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *args))
        return lax.scan(body, (args, start), None, length=CALLS)[0]

    def seconds():
        began = time.perf_counter()
        jax.block_until_ready(loop(args))
        return (time.perf_counter() - began) / CALLS

    return seconds


def main(width: int = 128, batch: int | None = None) -> None:
    configure_jax()
    batch = batch or backend.current().micro_batch or 256
    described = {**parts(width, batch), "whole gradient": whole_gradient(width, batch)}
    clocks = {name: timed(function, args) for name, (function, args, _) in described.items()}
    turns = [{name: clock() for name, clock in clocks.items()} for _ in range(TURNS + 1)][1:]  # the first compiles
    seconds = {name: median(turn[name] for turn in turns) for name in clocks}
    rows = [row(name, value, seconds["whole gradient"], described[name][-1]) for name, value in seconds.items()]
    limit = median(clock() for clock in [matmul()] * TURNS)
    print(f"ConvNet-{width}, {batch} images; a large matrix product reaches {limit:.0f} GFLOP/s\n")
    print(tables.table(("part", "ms", "of the whole", "GFLOP/s"), rows))


def row(name: str, seconds: float, whole: float, flops: int) -> tuple[str, ...]:
    return (
        name,
        f"{1000 * seconds:.2f}",
        f"{100 * seconds / whole:.0f} %",
        f"{flops / seconds / 1e9:.0f}" if flops else "",
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
