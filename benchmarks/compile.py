"""Tells the memory that a TPU would need: `python -m benchmarks.compile` compiles DC's outer iteration for v5e chips.

No TPU is needed, but the package `libtpu` (`pip install dcjax[compile]`), which brings the TPU's own compiler. The program is traced
as on a TPU and compiled for one chip and for four; the compiler accounts for its memory. Nothing is run.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # do not look for a TPU in this machine

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import dcjax as dc
from benchmarks import tables
from dcjax import backend, sharding

CHIP_MEMORY = 16 * 2**30  # bytes of a v5e


class Need(NamedTuple):
    """The memory that the compiler accounts for on one chip, in bytes, and the seconds of compiling."""

    arguments: int
    temporaries: int
    peak: int
    seconds: float


class Work(NamedTuple):
    """An outer iteration of DC on CIFAR-10's shape: `matches` steps, with inner training if there are several."""

    ipc: int
    matches: int
    epochs: int
    chips: int
    real: int = 256
    width: int = 128
    classes: int = 10
    per_class: int = 5000


WORK = (Work(1, 1, 1, chips=1), Work(1, 1, 1, chips=4), Work(10, 2, 50, chips=4))


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


def outer_iteration(work: Work) -> tuple[Callable, tuple]:
    """Gives the jitted iteration and the shapes of its arguments."""
    net = dc.network(dc.networks.ConvNet(work.classes, work.width), (32, 32, 3))
    trajectory = dc.on_synthetic(net, optax.sgd(0.01), epochs=work.epochs, restart_every=work.matches)
    condenser = dc.condenser(dc.pixels(work.ipc), dc.gradient_matching(net), trajectory, optax.sgd(0.1, momentum=0.5))
    label = np.repeat(np.arange(work.classes), work.per_class)
    image = np.zeros((len(label), 32, 32, 3), np.uint8)
    data = dc.data.from_arrays((image, label), (image[:: work.per_class], label[:: work.per_class]))
    args = shapes_of(condenser, dc.source(data.train, real_per_class=work.real))
    return dc.iteration(condenser, steps=work.matches), args


def need(work: Work) -> Need:
    run, args = outer_iteration(work)
    began = time.perf_counter()
    memory = compiled_for_tpu(run, args, work.chips).memory_analysis()
    seconds = time.perf_counter() - began
    return Need(memory.argument_size_in_bytes, memory.temp_size_in_bytes, memory.peak_memory_in_bytes, seconds)


def row(work: Work, need: Need) -> tuple[str, ...]:
    sizes = [f"{size / 2**30:.2f}" for size in need[:3]]
    return (str(work.chips), str(work.ipc), str(work.matches), *sizes, f"{need.seconds:.0f}")


def main() -> None:
    columns = ("v5e chips", "ipc", "matches", "arguments, GiB", "temporaries, GiB", "peak, GiB", "compiled in, s")
    print(tables.table(columns, [row(work, need(work)) for work in WORK]))


if __name__ == "__main__":
    main()
