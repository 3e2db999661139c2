"""Where in weight space the comparison is made: pairs of pure functions that carry a network from step to step."""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity
from dcjax.base import Array, Augmentation, Network, Params, Trajectory
from dcjax.training import cross_entropy, fit, flatten


class FreshPoint(NamedTuple):
    """A network as it was drawn."""

    params: Params


class AgedPoint(NamedTuple):
    """A network and how often it has been compared on."""

    params: Params
    age: Array  # int32 scalar, comparisons made on this network


def fresh(net: Network) -> Trajectory:
    """A new network for every comparison, never trained (DM's; where unrolled inner training starts, too)."""

    def init(key):
        return FreshPoint(net.init(key))

    def advance(key, point, syn, real):
        del point, syn, real
        return init(key)

    return Trajectory(init, advance)


def on_synthetic(
    net: Network,
    optimizer: optax.GradientTransformation,
    *,
    epochs: int,
    restart_every: int,
    batch_size: int = 256,
    augment: Augmentation = identity,
) -> Trajectory:
    """DC's trajectory: a network trained on the condensed set between comparisons (Zhao et al. 2021, algorithm 1).

    A network lives for `restart_every` steps; after each but the last it is trained for `epochs` on the condensed set as it
    then is, and a new one is drawn after the last.

    Args:
        net: the network.
        optimizer: of the inner training; its state starts afresh in every step.
        epochs: passes over the condensed set between two steps.
        restart_every: steps per network; at 1 the network is never trained.
        batch_size: of the inner training.
        augment: independent, for every image at every inner step.
    """
    loss = cross_entropy(net)

    def init(key):
        return AgedPoint(net.init(key), jnp.zeros((), jnp.int32))

    def train(key, point, syn):
        params = fit(
            key,
            loss,
            point.params,
            flatten(syn),
            optimizer,
            epochs=epochs,
            batch_size=batch_size,
            augment=augment,
        )
        return AgedPoint(params, point.age + 1)

    def advance(key, point, syn, real):
        del real
        if restart_every == 1:
            return init(key)
        is_last = point.age + 1 == restart_every
        return lax.cond(is_last, lambda key, *_: init(key), train, key, point, lax.stop_gradient(syn))

    return Trajectory(init, advance)
