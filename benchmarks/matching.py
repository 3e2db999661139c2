"""Tells what matching an expert's trajectory costs: `python -m benchmarks.matching`.

A step of MTT, of TESLA and of HaBa at the published size: CIFAR-10's shape, ConvNet-128, 1 image per class, 50 steps of training. The
memory is what the compilers account for, also for one TPU v5e chip where `libtpu` is installed. The seconds are of fewer steps.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median

import jax

import dcjax as dc
from benchmarks import ours, tables
from benchmarks.compile import NEEDED, shapes_of
from benchmarks.workload import Workload
from dcjax import sharding
from experiments.pipeline.machine import configure_jax

METHODS = ("mtt", "tesla", "haba")
STEPS, TIMED, TURNS = 50, 10, 5


def work(steps: int) -> Workload:
    return Workload("trajectory", "cifar10", network_steps=steps)


def memories() -> Iterator[tuple[str, ...]]:
    """Yields a row for each method: the GiB on each kind of device, at its usual precision, which a TPU's compiler is quickest with."""
    data = ours.random_data(work(STEPS))
    for method in METHODS:
        condenser, source = ours.of_experts(method, work(STEPS), data)
        with jax.default_matmul_precision("default"):
            needed = [
                count(dc.iteration(condenser, steps=1), shapes_of(condenser, source)) for count in NEEDED.values()
            ]
        yield method, *(f"{count / 2**30:.2f}" for count in needed)


def seconds() -> Iterator[tuple[str, ...]]:
    """Yields a row for each method, whose turns are interleaved, and how its time relates to the first method's."""
    with sharding.across():
        data = ours.random_data(work(TIMED)).replicated()
        runs = {method: ours.iterated(*ours.of_experts(method, work(TIMED), data)) for method in METHODS}
        turns = [{method: _taken(run) for method, run in runs.items()} for _ in range(TURNS + 1)][1:]
    for method in METHODS:
        taken = median(turn[method] for turn in turns)
        ratio = median(turn[method] / turn[METHODS[0]] for turn in turns)
        yield method, f"{taken:.3f}", f"{ratio:.2f}"


def _taken(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    configure_jax()
    print(tables.table((f"{STEPS} steps", *(f"{name}, GiB" for name in NEEDED)), memories()))
    print(tables.table((f"{TIMED} steps", "seconds", f"of those of {METHODS[0]}"), seconds()))


if __name__ == "__main__":
    main()
