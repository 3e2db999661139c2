"""Compares what a network makes of real images after it was trained on the condensed ones (DD, BPTT, Remember the Past)."""

from collections.abc import Callable

import optax
from jax import lax

from dcjax.augment import identity, no_mixing
from dcjax.base import Array, Augmentation, InputError, Key, Mixing, Network, Objective, check_grouped
from dcjax.gradients import batch_loss
from dcjax.minibatches import Order
from dcjax.rates import InnerRate
from dcjax.training import cross_entropy, flatten, unroll
from dcjax.unroll import at_the_end


def unrolled(
    net: Network,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    order: Order,
    rate: InnerRate,
    window: int | None = None,
    place: Callable[[Key, int], Array] = at_the_end,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
) -> Objective:
    """Trains a network on the condensed set and asks how well it then classifies real images: back-propagation through time.

        cross_entropy(params_T, real),   params_(t+1) = params_t - rate_t update(grad cross_entropy(params_t, syn_t))

    Its gradient flows through all T steps to the images, the labels and the rates. Training begins at the trajectory's point: a new
    network each time with `fresh`, as published, or with `on_synthetic` one that goes on. Wang et al., Dataset Distillation, 2018
    (arXiv:1811.10959); Deng & Russakovsky, Remember the Past, NeurIPS 2022 (arXiv:2206.02916).

    Args:
        net: the network that is trained.
        optimizer: of rate one: `optax.sgd(1.0, momentum=0.9)` as in Remember the Past, `optax.sgd(1.0)` as in DD.
        steps: T, at least 1.
        order: says which images each step takes: `minibatches.balanced`, or `minibatches.in_order` as in DD.
        rate: the inner learning rate, `rates.fixed` or `rates.learned`.
        window: steps that the gradient flows through; all when None.
        place: where the window begins; `unroll.at_the_end`, or `unroll.anywhere`.
        augment: the augmentation of what the network trains on, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.

    Returns:
        An objective whose hyperparameters are what `rate` learns. Its metric `loss` is the loss on real images, `rate` the mean rate.
    """
    if steps < 1:
        raise InputError(f"A network is trained for at least one step before it is compared, not {steps}.")
    inner = cross_entropy(net)
    how = {"steps": steps, "order": order, "window": window, "place": place, "augment": augment, "mix": mix}

    def loss(key, hyper, point, syn, real):
        check_grouped(syn, real)
        rates = rate.value(hyper)
        params = unroll(key, inner, lax.stop_gradient(point.params), syn, optimizer, rate=rates, **how)
        value = batch_loss(inner, params, lax.stop_gradient(flatten(real)))
        return value, {"loss": value} | ({"rate": rates.mean()} if hyper else {})

    return Objective(rate.init, loss)
