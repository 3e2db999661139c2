"""Does the work in dcjax, through the same functions that users call."""

import time
from collections.abc import Callable

import jax
import numpy as np
import optax

import dcjax as dc
from benchmarks.workload import Workload
from dcjax import backend, sharding
from experiments.pipeline.build import build
from experiments.pipeline.job import Job
from experiments.pipeline.job import prepare as prepared
from experiments.pipeline.machine import configure_jax
from experiments.settings.settings import defaults


def random_data(work: Workload) -> dc.data.Dataset:
    """Makes a dataset of noise in the shape of a real one."""
    generator = np.random.default_rng(0)

    def split(count):
        image = generator.integers(0, 256, (count, *work.image_shape), np.uint8)
        return image, np.sort(np.arange(count) % work.classes)

    return dc.data.from_arrays(split(work.per_class * work.classes), split(max(work.test, work.classes)))


def condensation(work: Workload, data: dc.data.Dataset) -> Callable[[], None]:
    """Gives a function that does one outer iteration, from the same state every time."""
    return iterated(*matching(work, data), steps=work.matches)


def matching(work: Workload, data: dc.data.Dataset) -> tuple[dc.Condenser, dc.Source]:
    """Builds DC; its networks are trained where the work is an outer iteration."""
    net = dc.network(dc.networks.ConvNet(work.classes, work.width), work.image_shape)
    if work.kind == "outer":
        trajectory = dc.on_synthetic(net, optax.sgd(0.01), epochs=work.epochs, restart_every=max(work.matches, 2))
    else:
        trajectory = dc.on_synthetic(net, optax.sgd(0.01), epochs=0, restart_every=1)
    compare = dc.gradient_matching(net, packing=dc.packing.as_bytes(data.train.normalisation))
    objective = dc.on_classes(compare, work.compared or work.classes)
    method = dc.condenser(dc.pixels(work.ipc), objective, trajectory, optax.sgd(0.1, momentum=0.5))
    return method, dc.source(data.train, real_per_class=work.real)


def distributions(work: Workload, data: dc.data.Dataset) -> tuple[dc.Condenser, dc.Source]:
    """Builds DM as `experiments.run` does."""
    sizes = {"width": work.width, "real_batch": work.real, "classes": work.compared}
    return of_job(prepared(defaults("dm", work.shape, work.ipc).replace(**sizes), data), data)


def idc(work: Workload, data: dc.data.Dataset) -> Callable[[], None]:
    """Gives a function that does one step of the published settings as `experiments.run` does, from the same state every time."""
    sizes = {"width": work.width, "network_steps": work.network_steps, "real_batch": work.real}
    return iterated(*of_job(prepared(defaults("idc", work.shape, work.ipc).replace(**sizes), data), data))


def iterated(condenser: dc.Condenser, source: dc.Source, steps: int = 1) -> Callable[[], None]:
    """Gives a function that does some steps, compiled with its first call."""
    args = first_arguments(condenser, source)
    run = dc.iteration(condenser, steps=steps)
    return lambda: jax.block_until_ready(run(*args))


def first_arguments(condenser: dc.Condenser, source: dc.Source) -> tuple:
    """Makes what the first iteration takes: the key, the state, the source and the number of the iteration."""
    init_key, draw_key, key = jax.random.split(jax.random.key(0), 3)
    state = jax.jit(lambda source: condenser.init(init_key, source.draw(draw_key)))(source)
    return key, state, source, np.int32(0)


def of_job(job: Job, data: dc.data.Dataset) -> tuple[dc.Condenser, dc.Source]:
    return job.method.condenser, dc.source(data.train, real_per_class=job.draw)


def unrolled(work: Workload, data: dc.data.Dataset) -> Callable[[], None]:
    """Gives a function that does one step of Remember the Past as `experiments.run` does, from the same state every time."""
    sizes = {"width": work.width, "unroll_steps": work.network_steps, "real_batch": work.real, "tasks": work.tasks}
    return iterated(*of_job(prepared(defaults("rtp", work.shape, work.ipc).replace(**sizes), data), data))


def matched(work: Workload, data: dc.data.Dataset) -> Callable[[], None]:
    """Gives a function that does one step of MTT or HaBa as `experiments.run` does, from the same state every time."""
    method = {"trajectory": "mtt", "hallucinated": "haba"}[work.kind]
    return iterated(*of_experts(method, work, data, augment="none"))


def of_experts(method: str, work: Workload, data: dc.data.Dataset, **settings) -> tuple[dc.Condenser, dc.Source]:
    """Builds a method that matches experts' trajectories; two new networks are in place of two that an expert went through."""
    sizes = {"width": work.width, "unroll_steps": work.network_steps, "zca": False}
    built = build(defaults(method, work.shape, work.ipc).replace(**sizes, **settings), data)
    keys = jax.random.split(jax.random.key(1), (2, 1))
    ends = (jax.vmap(built.net.init)(key) for key in keys)
    return built.condenser, dc.with_segments(dc.source(data.train, real_per_class=work.ipc), *ends)


def students(work: Workload, data: dc.data.Dataset) -> Callable[[], None]:
    net = dc.network(dc.networks.ConvNet(work.classes, work.width), work.image_shape)
    recipe = dc.dc_recipe(work.epochs - 1, dc.augment.dc_digits())  # the recipe adds one, as published
    draw_key, key = jax.random.split(jax.random.key(0))
    condensed = data.sample(draw_key, work.ipc)
    return lambda: dc.evaluate(key, net, condensed, data.test, recipe=recipe, num_students=work.students)


KINDS = {
    "students": students,
    "idc": idc,
    "unrolled": unrolled,
    "trajectory": matched,
    "hallucinated": matched,
    "dm": lambda work, data: iterated(*distributions(work, data)),
}


def prepare(work: Workload) -> Callable[[], float]:
    """Gives a function that does the work once, on as many devices as `experiments.run` takes, and gives its seconds."""
    configure_jax(work.precision)
    with sharding.across():
        data = random_data(work).replicated()
        run = KINDS.get(work.kind, condensation)(work, data)

    def timed():
        with sharding.across():
            began = time.perf_counter()
            run()
            return time.perf_counter() - began

    return timed


def matmul() -> Callable[[], float]:
    """Gives a function that measures the machine's own limit: the rate of a large float32 product, in GFLOP/s."""
    size, repeats = (2048, 4) if backend.current().platform == "cpu" else (8192, 10)
    a, b = (jax.random.normal(key, (size, size)) for key in jax.random.split(jax.random.key(1)))
    product = jax.jit(lambda a, b: a @ b)

    def rate():
        began = time.perf_counter()
        jax.block_until_ready([product(a, b) for _ in range(repeats)])
        return repeats * 2 * size**3 / (time.perf_counter() - began) / 1e9

    return rate


def peak_device_bytes() -> int | None:
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
