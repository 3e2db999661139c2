"""Tells what every method needs of a TPU: `python -m benchmarks.compile` compiles their outer iterations for v5e chips.

python -m benchmarks.compile
python -m benchmarks.compile --methods dc,rtp --ipc 10 --chips 1 --out compile.json

The programs are those of `python -m experiments.run --method METHOD --dataset cifar10 --ipc N`, at the published settings. No TPU is
needed, but the package `libtpu` (`pip install dcjax[compile]`), which brings the TPU's own compiler: the program is traced as on a TPU,
and the compiler accounts for its memory. Nothing is run. TFLOP are those of the products and convolutions of an iteration.
"""

import argparse
import functools
import importlib.util
import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # do not look for a TPU in this machine

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import dcjax as dc
from benchmarks import tables
from benchmarks.flops import flops
from dcjax import backend, experts, sharding
from experiments.methods import METHODS
from experiments.pipeline.build import made_on
from experiments.pipeline.job import prepare
from experiments.settings.parse import parse

CHIP_MEMORY = 16 * 2**30  # bytes of a v5e, of which its compiler gives programs 15.75 GiB
MOST_CHIPS = 4
METHODS_COMPILED = tuple(name for name, method in METHODS.items() if method.condenses)


class Work(NamedTuple):
    """An outer iteration of a method on CIFAR-10's shape, at the published settings."""

    method: str
    ipc: int
    chips: int


class Need(NamedTuple):
    """What the compiler accounts for on one chip, in bytes, the seconds of compiling, and the operations of all chips together."""

    arguments: int | None  # None of a program that the compiler refused, since it does not fit
    temporaries: int | None
    peak: int | None  # of what is alive at a time, which the allocation of temporaries may pass
    seconds: float
    flops: int

    @property
    def allocated(self) -> int | None:
        """Gives the bytes that a chip must have."""
        return None if self.peak is None else max(self.peak, self.arguments + self.temporaries)


def compiled_for_tpu(run: Callable, args: Any, chips: int) -> Any:
    """Compiles a jitted `run(*args)` for 1 to 4 v5e chips; `args` are arrays or their shapes, whole on each chip."""
    devices = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2").devices
    mesh = Mesh(np.array(devices[:chips]), ("devices",), axis_types=(AxisType.Auto,))
    whole = NamedSharding(mesh, PartitionSpec())
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), args)
    with sharding.across(mesh=mesh, axis="devices"), backend.answering_for("tpu", memory=CHIP_MEMORY):
        return run.lower(*shapes).compile()


def shapes_of(condenser: dc.Condenser, source: dc.Source) -> tuple:
    """Gives the shapes of what an iteration takes: the key, the state, the source and the number of the step."""
    key, source = jax.eval_shape(lambda: (jax.random.key(0), source))
    state = jax.eval_shape(lambda key, source: condenser.init(key, source.draw(key)), key, source)
    return key, state, source, jnp.zeros((), jnp.int32)


def taken_on_cpu(run: Callable, args: Any) -> int:
    """Adds up the bytes that a program takes: on a CPU, XLA's own figure for the peak leaves the temporaries out."""
    memory = run.lower(*args).compile().memory_analysis()
    return memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes


def peak_on_chip(run: Callable, args: Any) -> int:
    """Gives the bytes at a program's peak on one v5e chip, without having one."""
    return compiled_for_tpu(run, args, chips=1).memory_analysis().peak_memory_in_bytes


NEEDED = {"CPU": taken_on_cpu} | ({"TPU v5e chip": peak_on_chip} if importlib.util.find_spec("libtpu") else {})


def outer_iteration(method: str, ipc: int) -> tuple[Callable, tuple]:
    """Gives the jitted iteration of a command and the shapes of its arguments."""
    words = ["--method", method, "--dataset", "cifar10", "--ipc", str(ipc)]
    with tempfile.TemporaryDirectory() as place:
        if METHODS[method].settings("cifar10", ipc, "convnet").get("trajectory") == "expert":
            words += ["--experts", place]
            _store_experts(Path(place), words)
        settings = parse(words)
        job = prepare(settings, _cifar10(settings.zca))
        source = job.sources(_untrained(job.method.net))
        shapes = [jax.eval_shape(lambda made: made, source(count, 0)) for count in (job.first_draw, job.draw)]
    state = jax.eval_shape(job.initial_state, shapes[0])
    run = dc.iteration(job.method.condenser, steps=settings.matches)
    return run, (job.keys.step, state, shapes[1], jnp.zeros((), jnp.int32))


@functools.cache
def _cifar10(whitened: bool) -> dc.data.Dataset:
    """Makes data of CIFAR-10's shape: 50 000 images, all black."""
    label = np.repeat(np.arange(10), 5000)
    train, test = np.zeros((len(label), 32, 32, 3), np.uint8), np.zeros((10, 32, 32, 3), np.uint8)
    fit = dc.normalisation.zca(0.1) if whitened else None
    return dc.data.from_arrays((train, label), (test, np.arange(10)), name="cifar10", normalisation=fit)


def _store_experts(place: Path, words: list[str]) -> None:
    """Stores one expert without any training, which has the shapes of one that was trained."""
    settings = parse(words)
    data, part = _cifar10(settings.zca), settings.parts["trajectory"]
    epochs = part.max_start + part.span - 1
    net = dc.network(settings.parts["network"].build(data.num_classes), data.image_shape)
    params = net.init(jax.random.key(0))
    for epoch in range(epochs + 1):
        experts.save(place, 0, epoch, params)
    experts.note(place, {"number": 1, "epochs": epochs, "made_on": made_on(settings, data)})


def _untrained(net: dc.Network) -> Callable:
    """Gives a stand-in for networks that are trained before a run begins, which have the same shapes."""
    return lambda networks, training, augment: jax.vmap(net.init)(jax.random.split(jax.random.key(0), networks))


def need(work: Work) -> Need:
    """Compiles an outer iteration, and says what it needs."""
    run, args = outer_iteration(work.method, work.ipc)
    with backend.answering_for("tpu", memory=CHIP_MEMORY):
        operations = flops(run, args)
    began = time.perf_counter()
    try:
        memory = compiled_for_tpu(run, args, work.chips).memory_analysis()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        sizes = None, None, None
    else:
        sizes = memory.argument_size_in_bytes, memory.temp_size_in_bytes, memory.peak_memory_in_bytes
    return Need(*sizes, time.perf_counter() - began, operations)


def table(rows: list[tuple[Work, Need]]) -> str:
    """Writes a line for every method and number of images, with the memory on each chip for every number of chips."""
    chips = sorted({work.chips for work, _ in rows})
    lines = []
    for (method, ipc), group in itertools.groupby(rows, key=lambda row: row[0][:2]):
        needs = {work.chips: need for work, need in group}
        found = [needs.get(number) for number in chips]
        operations = f"{next(iter(needs.values())).flops / 1e12:.3g}"
        seconds = [f"{need.seconds:.0f}" if need else "" for need in found]
        lines.append((METHODS[method].title, ipc, *map(_gib, found), operations, *seconds))
    on = [f"{number} chip{'s' * (number > 1)}" for number in chips]
    heading = (
        "method",
        "images per class",
        *(f"GiB, {text}" for text in on),
        "TFLOP",
        *(f"compiled in, {text}, s" for text in on),
    )
    return tables.table(heading, lines)


def _gib(need):
    if need is None:
        return ""
    return "does not fit" if need.allocated is None else f"{need.allocated / 2**30:.2f}"


def _listed(one: Callable[[str], Any]) -> Callable[[str], list]:
    """Gives a function that reads values separated by commas, each of them by `one`, which raises ValueError for a wrong one."""

    def read(text):
        try:
            return [one(word) for word in text.split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _method(word):
    if word not in METHODS_COMPILED:
        raise ValueError(f"{word!r} is none of {', '.join(METHODS_COMPILED)}")
    return word


def _between(low, high):
    def read(word):
        if not word.isdecimal() or not low <= int(word) <= high:
            raise ValueError(f"{word!r} is no number from {low} to {high}")
        return int(word)

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=_listed(_method), default=METHODS_COMPILED)
    parser.add_argument(
        "--ipc", type=_listed(_between(1, 1000)), default=(1, 10), help="images per class, such as 1,10"
    )
    parser.add_argument("--chips", type=_listed(_between(1, MOST_CHIPS)), default=(1, 4))
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    rows = []
    for method, ipc, chips in itertools.product(wanted.methods, wanted.ipc, wanted.chips):
        work = Work(method, ipc, chips)
        rows.append((work, need(work)))
        print(METHODS[method].title, f"{ipc} per class, chips {chips}, GiB: {_gib(rows[-1][1])}", flush=True)
        if wanted.out:
            found = [{**work._asdict(), **need._asdict()} for work, need in rows]
            facts = {"chip_memory": CHIP_MEMORY, "jax": jax.__version__, "rows": found}
            wanted.out.write_text(json.dumps(facts, indent=1) + "\n")  # what is measured is kept
    print(table(rows))


if __name__ == "__main__":
    main()
