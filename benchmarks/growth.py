"""Measures how the cost of a step grows with the work: the exponent between a small step and one that is larger in one respect."""

import dataclasses
import math
from statistics import median

from benchmarks import ours
from benchmarks.workload import Workload, gigaflops

BASE = Workload("step", width=32, ipc=1, classes=10, real=64)
GROWN = {"classes": 100, "ipc": 50, "real": 512, "width": 256}
TURNS = 3


def measure() -> list[dict]:
    """Gives for each respect the two sizes, their median seconds, and the exponents of the time and of the operations."""
    works = {"base": BASE} | {name: dataclasses.replace(BASE, **{name: size}) for name, size in GROWN.items()}
    clocks = {name: ours.prepare(work) for name, work in works.items()}
    turns = [{name: clock() for name, clock in clocks.items()} for _ in range(TURNS + 1)][1:]  # the first compiles
    seconds = {name: median(turn[name] for turn in turns) for name in clocks}
    return [
        {
            "grows": name,
            "sizes": [getattr(BASE, name), size],
            "seconds": [round(seconds["base"], 4), round(seconds[name], 4)],
            "exponent": _exponent(getattr(BASE, name), size, seconds["base"], seconds[name]),
            "of_operations": _exponent(getattr(BASE, name), size, gigaflops(BASE), gigaflops(works[name])),
        }
        for name, size in GROWN.items()
    ]


def _exponent(small, large, cost_of_small, cost_of_large):
    """Computes p, where cost goes as size to the power p."""
    return round(math.log(cost_of_large / cost_of_small) / math.log(large / small), 2)
