"""Where in weight space the comparison is made: pairs of pure functions that carry a network from step to step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.augment import identity, no_mixing
from dcjax.base import Array, Augmentation, InputError, Mixing, Network, Params, Trajectory
from dcjax.training import cross_entropy, descend, fit, flatten, steps_per_epoch


class FreshPoint(NamedTuple):
    """A network as it was drawn."""

    params: Params


class AgedPoint(NamedTuple):
    """A network and how often it has been compared on."""

    params: Params
    age: Array  # int32 scalar, comparisons made on this network


class TrainedPoint(NamedTuple):
    """A network in training, and how often it has been compared on."""

    params: Params
    opt_state: Any
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
    mix: Mixing = no_mixing,
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
        mix: for every mini-batch, after augmentation.
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
            mix=mix,
        )
        return AgedPoint(params, point.age + 1)

    def advance(key, point, syn, real):
        del real
        if restart_every == 1:
            return init(key)
        is_last = point.age + 1 == restart_every
        return lax.cond(is_last, lambda key, *_: init(key), train, key, point, lax.stop_gradient(syn))

    return Trajectory(init, advance)


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
) -> Trajectory:
    """IDC's trajectory: a network trained on real images between comparisons (Kim et al. 2022).

    What is condensed has no part in it, so the gradients that are matched are those of a network that learns from the data
    themselves. It trains on the step's draw: `steps` `batch_size` images of it, or several passes over it where it has fewer.

    Args:
        net: the network; `from_pool(net, ...)` restarts from one that is trained already.
        optimizer: of the network; its state goes on from step to step and starts afresh with a new network.
        steps: training steps between two comparisons.
        batch_size: images in each.
        restart_every: comparisons per network.
        warm_up_epochs: passes over the draw of that moment (IDC: over all real images) before a new network's first comparison;
            the first network of a run has none, as no draw has been made when it is.
        augment: independent, for every image at every step.
        mix: for every mini-batch, after augmentation.
    """
    if steps < 1:
        raise InputError(
            f"on_real trains the network for at least one step between comparisons, not {steps}: take `fresh`."
        )
    loss = cross_entropy(net)

    def init(key):
        params = net.init(key)
        return TrainedPoint(params, optimizer.init(params), jnp.zeros((), jnp.int32))

    def train(key, point, real, steps=steps):
        how = {"steps": steps, "batch_size": batch_size, "augment": augment, "mix": mix}
        params, opt_state = descend(key, loss, point.params, point.opt_state, real, optimizer, **how)
        return TrainedPoint(params, opt_state, point.age + 1)

    def restart(key, point, real):
        del point
        if not warm_up_epochs:
            return init(key)
        init_key, train_key = jax.random.split(key)
        warm = train(train_key, init(init_key), real, warm_up_epochs * steps_per_epoch(real.image.shape[0], batch_size))
        return warm._replace(age=jnp.zeros((), jnp.int32))

    def advance(key, point, syn, real):
        del syn
        return lax.cond(point.age + 1 == restart_every, restart, train, key, point, flatten(real))

    return Trajectory(init, advance)


def from_pool(net: Network, pool: Params) -> Network:
    """The same network, but every new one is one of a pool of P, drawn at random: IDC's faster choice.

    The weights become constants of every program that draws from them: a pool of large networks makes programs as large.

    Args:
        net: the architecture.
        pool: weights of P networks, stacked along a first axis, for instance each trained for a few epochs.
    """

    def init(key):
        chosen = jax.random.randint(key, (), 0, jax.tree.leaves(pool)[0].shape[0])
        return jax.tree.map(lambda x: jnp.asarray(x)[chosen], pool)

    return net._replace(init=init)
