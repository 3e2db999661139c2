"""Measures what dcjax costs and prints one table: `python -m benchmarks.run` (under ten minutes on two cores).

Every workload is done by dcjax, by a PyTorch peer as published, and by the same peer with an allocator that keeps its memory,
in turn, so that a machine whose speed drifts favours none. README.md beside this file says what the columns mean.
"""

import argparse
import dataclasses
import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import alone, golden, growth, start, tables
from benchmarks.compare import compare
from benchmarks.workload import PRECISIONS, Workload
from dcjax import sharding
from experiments.pipeline.machine import configure_jax, environment

DEFAULT = {
    "step": (
        Workload("step", "mnist", 128, ipc=1),
        Workload("step", "mnist", 32, ipc=1),
        Workload("step", "cifar10", 32, ipc=1),
        Workload("step", "cifar10", 128, ipc=10, classes=2),  # both sides take classes one after another
    ),
    "idc": (
        Workload("idc", "mnist", 128, real=64, network_steps=8),
        Workload("idc", "mnist", 32, real=64, network_steps=8),
        Workload("idc", "cifar10", 32, real=64, network_steps=32),
    ),
    # An unrolled step is as long as it has steps of training: 50 to 200, as published, take as many times longer on both sides.
    "unrolled": (
        Workload("unrolled", "cifar10", 128, real=64, network_steps=2),
        Workload("unrolled", "cifar10", 32, real=64, network_steps=8),
        Workload("unrolled", "cifar10", 32, real=64, network_steps=4, tasks=2),
    ),
    "trajectory": (
        Workload("trajectory", "cifar10", 128, network_steps=10),
        Workload("trajectory", "cifar10", 32, network_steps=10),
        Workload("hallucinated", "cifar10", 128, network_steps=10),
        Workload("hallucinated", "cifar10", 32, network_steps=10),
    ),
    # Matching and inner training have the shares that they have in 10 matches of 256 real images and 450 epochs; about a thirtieth.
    "outer": (Workload("outer", ipc=10, real=64, epochs=14),),
    # A hundredth of 20 students: a tenth of the epochs and of the test images, for two.
    "students": (Workload("students", students=2, epochs=100, test=1000),),
}
FULL = {
    "step": tuple(
        Workload("step", shape, width, ipc=ipc)
        for shape in ("mnist", "cifar10")
        for width in (128, 32)
        for ipc in (1, 10)
    ),
    "idc": tuple(
        Workload("idc", shape, width, ipc=ipc, real=64, network_steps=steps)
        for shape, steps in (("mnist", 8), ("cifar10", 32))
        for width in (128, 32)
        for ipc in (1, 10)
    ),
    "unrolled": tuple(
        Workload("unrolled", "cifar10", width, real=64, network_steps=50, tasks=tasks)
        for width in (128, 32)
        for tasks in (1, 2)
    ),
    "trajectory": tuple(
        Workload(kind, "cifar10", width, ipc=ipc, network_steps=steps)
        for kind in ("trajectory", "hallucinated")
        for width in (128, 32)
        for ipc, steps in ((1, 50), (10, 30))
    ),
    "outer": (Workload("outer", ipc=10, epochs=45),),  # a tenth
    "students": (Workload("students", students=2, epochs=1001, test=10_000),),  # a tenth
}
TINY = {"shape": "tiny_imagenet", "classes": 200, "test": 10_000}  # 64x64, so that the ConvNet has four blocks
ALONE = {
    "memory": (Workload("step", "cifar10", ipc=50, classes=100),),  # 5000 condensed and 25 600 real images in one step
    "classes": (
        *(Workload(kind, ipc=ipc, **TINY) for kind in ("step", "dm") for ipc in (1, 10)),
        Workload("step", ipc=10, compared=20, **TINY),
    ),
}
PARTS = (*DEFAULT, "start", "growth", *ALONE)
ON_REQUEST = ("unrolled", "trajectory", *ALONE)  # long: most of it is compiling, or large steps


def main(argv: list[str]) -> None:
    chosen = parse(argv)
    if has_peer(chosen) and importlib.util.find_spec("torch") is None:
        sys.exit("error: the peer needs PyTorch: pip install -e '.[bench]'")
    began = time.perf_counter()
    result = {"command": " ".join(["python -m benchmarks.run", *argv]), "rows": []}
    for part, found in measure(chosen):
        if part in ("rows", "alone"):
            result.setdefault(part, []).append(found)
            print(tables.progress(found) if part == "rows" else tables.taken(found), flush=True)
        else:
            result[part] = found
        result["minutes"] = round((time.perf_counter() - began) / 60, 1)
        if chosen.out:
            chosen.out.write_text(json.dumps(result, indent=1) + "\n")  # what is measured is kept
    print(tables.report(result))


def measure(chosen: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Yields the name of each part of the result, and what was found."""
    yield "golden", golden.check_in_processes(("ours", "peer") if has_peer(chosen) else ("ours",))
    for part, works in (FULL if chosen.full else DEFAULT).items():
        for work in works if part in chosen.only else ():
            work = dataclasses.replace(work, precision=chosen.precision)
            yield "rows", compare(work, chosen.seconds, chosen.against)
    if "start" in chosen.only:
        yield "start", start.measure()
    for part, works in ALONE.items():
        for work in works if part in chosen.only else ():
            yield "alone", alone.measure(dataclasses.replace(work, precision=chosen.precision))
    if "growth" in chosen.only:
        yield "growth", growth.measure()
    configure_jax()
    with sharding.across():
        facts = environment()
    yield "versions", facts["versions"] | ({"torch": metadata.version("torch")} if has_peer(chosen) else {})
    yield "hardware", facts["hardware"]


def has_peer(chosen: argparse.Namespace) -> bool:
    """Tells whether any part is compared with PyTorch."""
    return not chosen.against and any(part not in ("growth", *ALONE) for part in chosen.only)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    usual = [part for part in PARTS if part not in ON_REQUEST]
    parser.add_argument("--only", nargs="+", choices=PARTS, default=usual, help=f"parts to run ({' '.join(usual)})")
    parser.add_argument("--full", action="store_true", help="larger slices of the same work; about two hours")
    parser.add_argument("--seconds", type=float, default=6, help="seconds for each workload, two turns at least (6)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default=PRECISIONS[0], help="precision of both sides on a GPU (float32)"
    )
    parser.add_argument("--against", type=Path, help="another checkout of this repository, instead of the peer")
    parser.add_argument("--out", type=Path, help="where to write the measurements as JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main(sys.argv[1:])
