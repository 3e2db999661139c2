"""Trajectories say where in weight space the sets are compared: pairs of pure functions that carry a network from step to step.

A trajectory's `init(key, draw)` gives the first `Point`, and `advance(key, point, syn, draw)` the next one. How a new network begins
is a function `(key, draw) -> params` of its own: `untrained(net)`, or `drawn` where the step's draw brings trained weights.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity, no_mixing
from dcjax.base import (
    Array,
    Augmentation,
    Draw,
    InputError,
    Key,
    Mixing,
    Network,
    Params,
    Point,
    Trajectory,
    check_grouped,
)
from dcjax.training import cross_entropy, descend, fit, flatten, steps_per_epoch

Begin = Callable[[Key, Draw], Params]


def untrained(net: Network) -> Begin:
    """Begins every new network with weights drawn at random."""
    return lambda key, draw: net.init(key)


def drawn(key: Key, draw: Draw) -> Params:
    """Begins a new network with the weights that the step's draw brings, such as those of a pool (IDC's faster choice)."""
    del key
    if not jax.tree.leaves(draw.start):
        raise InputError(
            "A network that begins as `drawn` takes its weights from the source, which gives none: add some, for instance by "
            "`with_pool(source, pool)`."
        )
    return draw.start


def known(net: Network, seed: int) -> Begin:
    """Begins every new network with the same weights, those drawn with a seed (DD's known initialisation)."""
    return lambda key, draw: net.init(jax.random.key(seed))


def fresh(net: Network, *, begin: Begin | None = None) -> Trajectory:
    """Takes a new network for every comparison and never trains it (DM's trajectory).

    Zhao & Bilen, Dataset Condensation with Distribution Matching, WACV 2023 (arXiv:2110.04181).

    Args:
        net: the network.
        begin: how a new network begins; `untrained(net)` when None.
    """
    begin = begin or untrained(net)

    def init(key, draw):
        return Point(begin(key, draw))

    def advance(key, point, syn, draw):
        del point, syn
        return init(key, draw)

    return Trajectory(init, advance)


def expert() -> Trajectory:
    """Takes for every comparison the segment of an expert's training that the draw brings: its first weights, and its last as target.

    An expert is a network that was trained on real images with its weights kept after every epoch. Cazenavette et al., Dataset
    Distillation by Matching Training Trajectories, CVPR 2022 (arXiv:2203.11932).
    """

    def init(key, draw):
        if not jax.tree.leaves(draw.target):
            raise InputError(
                "The trajectory `expert` takes segments of experts' training from the source, which gives none: add them by "
                "`with_segments(source, starts, targets)`."
            )
        return Point(drawn(key, draw), draw.target)

    def advance(key, point, syn, draw):
        del point, syn
        return init(key, draw)

    return Trajectory(init, advance)


def on_synthetic(
    net: Network,
    optimizer: optax.GradientTransformation,
    *,
    epochs: int,
    restart_every: int,
    batch_size: int = 256,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
    begin: Begin | None = None,
) -> Trajectory:
    """Trains a network on the condensed set between comparisons (DC's trajectory).

    A network lives for `restart_every` steps; after each but the last it is trained for `epochs` on the condensed set as the set
    then is, and a new network begins after the last. Zhao, Mopuri & Bilen, Dataset Condensation with Gradient Matching, ICLR 2021
    (arXiv:2006.05929).

    Args:
        net: the network.
        optimizer: trains the network; its state starts afresh in every step.
        epochs: passes over the condensed set between two comparisons.
        restart_every: comparisons on each network; at 1 the network is never trained.
        batch_size: images in each mini-batch.
        augment: the augmentation, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.
        begin: how a new network begins; `untrained(net)` when None.
    """
    _check_restarts(restart_every)
    loss, begin = cross_entropy(net), begin or untrained(net)

    def init(key, draw):
        return Point(begin(key, draw), carry=jnp.zeros((), jnp.int32))  # comparisons made on this network

    def train(key, point, syn, draw):
        del draw
        how = {"epochs": epochs, "batch_size": batch_size, "augment": augment, "mix": mix}
        params = fit(key, loss, point.params, flatten(syn), optimizer, **how)
        return Point(params, carry=point.carry + 1)

    def restart(key, point, syn, draw):
        del point, syn
        return init(key, draw)

    def advance(key, point, syn, draw):
        check_grouped(syn)
        if restart_every == 1:
            return init(key, draw)
        is_last = point.carry + 1 == restart_every
        return lax.cond(is_last, restart, train, key, point, lax.stop_gradient(syn), draw)

    return Trajectory(init, advance)


class Progress(NamedTuple):
    """Says how far a network's training has come."""

    opt_state: Any
    age: Array  # int32 scalar, comparisons made on this network


def on_real(
    net: Network,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    batch_size: int = 64,
    restart_every: int = 100,
    warm_up_epochs: int = 0,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
    begin: Begin | None = None,
) -> Trajectory:
    """Trains a network on real images between comparisons (IDC's trajectory).

    The condensed set has no part in the training, so the gradients that are matched are those of a network that learns from the data
    themselves. The network trains on the step's draw, on `steps` mini-batches of it, in several passes where it has fewer.
    Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022 (arXiv:2205.14959).

    Args:
        net: the network.
        optimizer: trains the network; its state goes on from step to step and starts afresh with a new network.
        steps: mini-batches between two comparisons.
        batch_size: images in each mini-batch.
        restart_every: comparisons on each network.
        warm_up_epochs: passes over the draw of that moment (IDC: over all real images) before a network's first comparison.
        augment: the augmentation, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.
        begin: how a new network begins; `untrained(net)` when None.
    """
    if steps < 1:
        raise InputError(
            f"on_real trains the network for at least one step between comparisons, not {steps}: take `fresh`."
        )
    _check_restarts(restart_every)
    loss, begin = cross_entropy(net), begin or untrained(net)

    def train(key, point, draw, steps=steps):
        how = {"steps": steps, "batch_size": batch_size, "augment": augment, "mix": mix}
        start = (point.params, point.carry.opt_state)
        params, opt_state = descend(key, loss, *start, flatten(draw.real), optimizer, **how)
        return Point(params, carry=Progress(opt_state, point.carry.age + 1))

    def untouched(key, draw):
        params = begin(key, draw)
        return Point(params, carry=Progress(optimizer.init(params), jnp.zeros((), jnp.int32)))

    def init(key, draw):
        if not warm_up_epochs:
            return untouched(key, draw)
        begin_key, train_key = jax.random.split(key)
        per_epoch = steps_per_epoch(draw.real.label[..., 0].size, batch_size)
        warm = train(train_key, untouched(begin_key, draw), draw, warm_up_epochs * per_epoch)
        return warm._replace(carry=warm.carry._replace(age=jnp.zeros((), jnp.int32)))

    def advance(key, point, syn, draw):
        del syn
        check_grouped(draw.real)
        is_last = point.carry.age + 1 == restart_every
        return lax.cond(is_last, lambda key, point, draw: init(key, draw), train, key, point, draw)

    return Trajectory(init, advance)


def _check_restarts(restart_every):
    if restart_every < 1:
        raise InputError(f"A network lives for at least one comparison, but restart_every is {restart_every}.")
