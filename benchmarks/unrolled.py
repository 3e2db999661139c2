"""Tells how unrolled training grows with its steps: `python -m benchmarks.unrolled`.

The peak memory is that of one step of Remember the Past on CIFAR-10's shape (ConvNet-128, 320 images in each of T steps), as the compiler
accounts for it: on a CPU without running it, and for one TPU v5e chip where `libtpu` is installed. The seconds are those of a ConvNet-32.
"""

import dataclasses
import os
from collections.abc import Iterator
from statistics import median

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # do not look for a TPU in this machine

import dcjax as dc
from benchmarks import ours, tables
from benchmarks.compile import NEEDED, shapes_of
from benchmarks.workload import Workload
from experiments.pipeline.job import prepare
from experiments.settings.settings import defaults

WORK = Workload("unrolled", "cifar10", 128, real=64)
SHORT, LONG = 20, 200
TIMED, TURNS = (2, 4, 8), 3


def program(steps: int, work: Workload = WORK):
    """Gives the jitted outer step through `steps` steps of training, and the shapes of its arguments."""
    data = ours.random_data(work)
    sizes = {"width": work.width, "unroll_steps": steps, "real_batch": work.real}
    condenser, source = ours.of_job(prepare(defaults("rtp", work.shape, work.ipc).replace(**sizes), data), data)
    return dc.iteration(condenser, steps=1), shapes_of(condenser, source)


def memories() -> Iterator[tuple[str, ...]]:
    """Yields a row for each kind of device."""
    for name, needed in NEEDED.items():
        short, long = (needed(*program(steps)) for steps in (SHORT, LONG))
        yield name, f"{short / 2**30:.2f}", f"{long / 2**30:.2f}", f"{long / short:.2f}"


def seconds() -> Iterator[tuple[str, ...]]:
    """Yields a row for each number of steps, whose turns are interleaved."""
    works = {steps: dataclasses.replace(WORK, width=32, network_steps=steps) for steps in TIMED}
    clocks = {steps: ours.prepare(work) for steps, work in works.items()}
    turns = [{steps: clock() for steps, clock in clocks.items()} for _ in range(TURNS + 1)][1:]  # the first compiles
    for steps in TIMED:
        taken = median(turn[steps] for turn in turns)
        yield str(steps), f"{taken:.2f}", f"{taken / steps:.3f}"


def main() -> None:
    print(
        tables.table(("device", f"T = {SHORT}, GiB at the peak", f"T = {LONG}, GiB at the peak", "ratio"), memories())
    )
    print(tables.table(("T, ConvNet-32", "seconds", "seconds / T"), seconds()))


if __name__ == "__main__":
    main()
