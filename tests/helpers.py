"""What several tests share: golden arrays, a small dataset, and the registries of everything that composes."""

import functools
from pathlib import Path

import jax
import numpy as np
import optax

import dcjax as dc

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> dict[str, np.ndarray]:
    """Inputs and outputs of the published implementations."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def in_double(tree):
    """The same numbers in double precision, for programs under `jax.enable_x64`; integers stay as they are."""
    return jax.tree.map(lambda x: np.asarray(x, float) if np.issubdtype(x.dtype, np.floating) else x, tree)


def golden_params(arrays: dict[str, np.ndarray], prefix: str = "") -> dict:
    """A ConvNet's weights from names such as `conv0_kernel`."""
    leaves = {"conv": ("kernel", "bias"), "norm": ("scale", "bias"), "dense": ("kernel", "bias")}
    layers = [f"{kind}{i}" for kind in ("conv", "norm") for i in range(3)] + ["dense"]
    return {
        layer: {leaf: arrays[f"{prefix}{layer}_{leaf}"] for leaf in leaves[layer.rstrip("012")]} for layer in layers
    }


def golden_statistics(arrays: dict[str, np.ndarray], prefix: str = "") -> dict:
    """A ConvNet's statistics of batch norm from names such as `norm0_mean`."""
    return {f"norm{i}": {leaf: arrays[f"{prefix}norm{i}_{leaf}"] for leaf in ("mean", "var")} for i in range(3)}


def small_data(num_classes: int = 3, size: int = 8, channels: int = 1) -> dc.data.Dataset:
    """Separable classes of unequal size: bright bars at a height of their own, in noise."""
    generator = np.random.default_rng(0)
    label = np.repeat(np.arange(num_classes), [12 + 3 * k for k in range(num_classes)])
    image = generator.uniform(0, 0.4, (len(label), size, size, channels))
    for k in range(num_classes):
        image[label == k, 2 * k : 2 * k + 2] += 0.5
    return dc.data.from_arrays((image, label))


_network = functools.cache(dc.network)  # what is compiled for one serves all tests of a process


def small_net(data: dc.data.Dataset, **fields) -> dc.Network:
    return _network(dc.networks.ConvNet(data.num_classes, **{"width": 8, **fields}), data.image_shape)


def dense_net(data: dc.data.Dataset) -> dc.Network:
    """The quickest to compile, for what does not depend on the network."""
    return _network(dc.networks.MLP(data.num_classes), data.image_shape)


def relative_error(actual, expected) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def source_of(data: dc.data.Dataset, net: dc.Network, real_per_class: int) -> dc.Source:
    """A source of all that any trajectory takes: real images, a pool of networks to begin with, and segments that begin as it does."""
    pool, later = _pools(net)
    source = dc.with_pool(dc.source(data.train, real_per_class=real_per_class), pool)
    return dc.with_segments(source, pool, later)


@functools.cache
def _pools(net):
    init = jax.jit(jax.vmap(net.init))  # their weights as NumPy's, which are on no device
    return [jax.tree.map(np.asarray, init(jax.random.split(jax.random.key(seed), 3))) for seed in (9, 10)]


def loop_over(steps, state, *, key, step, source):
    """The obvious program: Python calls one step after another."""
    for step_key in jax.random.split(key, steps):
        draw_key, step_key = jax.random.split(step_key)
        state, metrics = step(step_key, state, source.draw(draw_key))
    return state, metrics


def trajectory_matching(net, scan):
    how = {"steps": 3, "order": dc.minibatches.reshuffled(4), "augment": dc.augment.dsa()}
    return dc.trajectory_matching(net, **how, rate=dc.rates.learned(0.01), scan=scan)


def fits(objective: str, trajectory: str) -> bool:
    """Whether the trajectory has what the objective compares with: an expert's later weights, or nothing of its own."""
    return trajectory == "expert" or not objective.startswith("trajectory_matching")


# Every member of the three columns, as (net) -> member. A new method is one line here, and every test of composition,
# sharding and resuming covers it. Parameterizations store two images of each class, and cut them in two along each side.
PARAMETERIZATIONS = {
    "pixels": lambda net: dc.pixels(2),
    "multi_formation": lambda net: dc.multi_formation(2, 2),
    "multi_scale_formation": lambda net: dc.multi_scale_formation(2, 2),
    "bounded_formation": lambda net: dc.bounded_formation(2, 2, 10),
    "in_pixel_space": lambda net: dc.in_pixel_space(
        dc.pixels(2, dc.from_real), dc.normalisation.MeanStd((0.5,), (0.25,))
    ),
    "addressable_memory": lambda net: dc.addressable_memory(4, 8, 2),
    "grown_memory": lambda net: dc.grown_memory(4, 8, 2, known=np.ones((3, 4, 4, 1), np.float32)),
    "hallucinated": lambda net: dc.hallucinated(2, 3),
    "soft_labels": lambda net: dc.soft_labels(dc.pixels(2, dc.from_real)),
}
OBJECTIVES = {
    "gradient_matching": lambda net: dc.gradient_matching(net),
    "gradient_matching_squared_error": lambda net: dc.gradient_matching(net, distance=dc.distances.squared_error),
    "gradient_matching_augmented": lambda net: dc.gradient_matching(net, augment=dc.augment.dsa()),
    "on_minibatch": lambda net: dc.on_minibatch(dc.gradient_matching(net), syn=1, real=3),
    "distribution_matching": lambda net: dc.distribution_matching(net),
    "on_classes": lambda net: dc.on_classes(dc.gradient_matching(net), 2),
    "unrolled": lambda net: dc.unrolled(
        net,
        optax.sgd(1.0, momentum=0.9),
        steps=3,
        order=dc.minibatches.balanced(2),
        rate=dc.rates.learned(0.01),
        augment=dc.augment.crop(),
    ),
    "unrolled_windowed": lambda net: dc.unrolled(
        net,
        optax.sgd(1.0),
        steps=4,
        order=dc.minibatches.in_order(1),
        rate=dc.rates.learned(0.01, 4),
        window=2,
        place=dc.unroll.anywhere,
    ),
    "trajectory_matching": lambda net: trajectory_matching(net, dc.scans.in_segments),
    "trajectory_matching_unlinked": lambda net: trajectory_matching(net, dc.scans.unlinked),
    "distribution_matching_augmented": lambda net: dc.distribution_matching(net, augment=dc.augment.dsa()),
}
TRAJECTORIES = {
    "fresh": lambda net: dc.fresh(net),
    "expert": lambda net: dc.expert(),
    "fresh_drawn": lambda net: dc.fresh(net, begin=dc.drawn),
    "on_synthetic": lambda net: dc.on_synthetic(net, optax.sgd(0.01), epochs=2, restart_every=3),
    "on_real": lambda net: dc.on_real(
        net, optax.sgd(0.01, momentum=0.9), steps=3, batch_size=5, restart_every=2, mix=dc.augment.cutmix()
    ),
    "on_real_warm": lambda net: dc.on_real(
        net, optax.sgd(0.01, momentum=0.9), steps=1, batch_size=8, restart_every=2, warm_up_epochs=1
    ),
    "on_synthetic_untrained": lambda net: dc.on_synthetic(net, optax.sgd(0.01), epochs=1, restart_every=1),
    "on_synthetic_augmented": lambda net: dc.on_synthetic(
        net, optax.sgd(0.01, momentum=0.9), epochs=1, restart_every=2, batch_size=4, augment=dc.augment.crop()
    ),
    "on_synthetic_drawn": lambda net: dc.on_synthetic(net, optax.sgd(0.01), epochs=1, restart_every=2, begin=dc.drawn),
    "on_real_drawn": lambda net: dc.on_real(
        net, optax.sgd(0.01, momentum=0.9), steps=1, batch_size=8, restart_every=2, warm_up_epochs=1, begin=dc.drawn
    ),
}
