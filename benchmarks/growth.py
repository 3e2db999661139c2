"""How the cost of a step grows with the work: times at a few sizes and the exponent of a power law through them."""

import math
from statistics import median

from benchmarks import ours
from benchmarks.workload import Workload, gigaflops

# What grows -> its sizes, beside settings at which the whole sweep takes a minute or two on two cores.
SWEEPS = {
    "classes": ((10, 30, 100), {"width": 32, "real": 64}),
    "ipc": ((1, 10, 50), {"width": 32, "real": 64, "classes": 2}),
    "real": ((64, 192, 512), {"width": 32, "classes": 2}),
    "width": ((32, 90, 256), {"real": 64, "classes": 2}),
}


def sweep(name: str) -> dict:
    """Medians of the step time, its exponent and that of the number of operations, both by least squares in logarithms."""
    sizes, settings = SWEEPS[name]
    works = [Workload("step", **{**settings, name: size}) for size in sizes]
    clocks = [ours.prepare(work) for work in works]
    turns = [[clock() for clock in clocks] for _ in range(4)][1:]  # the first compiles
    seconds = [median(found) for found in zip(*turns)]
    return {
        "grows": name,
        "sizes": list(sizes),
        "seconds": [round(value, 4) for value in seconds],
        "exponent": round(_slope(sizes, seconds), 2),
        "theory": round(_slope(sizes, [gigaflops(work) for work in works]), 2),
        "settings": settings,
    }


def _slope(sizes, values):
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
