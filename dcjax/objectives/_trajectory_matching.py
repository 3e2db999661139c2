"""Compares where training on condensed images leads with where an expert's training on real ones led (MTT, TESLA)."""

import jax
import optax
from jax import lax

from dcjax.augment import identity, no_mixing
from dcjax.base import Augmentation, InputError, Mixing, Network, Objective, check_grouped
from dcjax.distances import squared_error
from dcjax.minibatches import Order
from dcjax.rates import InnerRate
from dcjax.scans import Scan, in_segments
from dcjax.training import cross_entropy, unroll


def trajectory_matching(
    net: Network,
    *,
    steps: int,
    order: Order,
    rate: InnerRate,
    augment: Augmentation = identity,
    mix: Mixing = no_mixing,
    scan: Scan = in_segments,
) -> Objective:
    """Trains a network on the condensed set from an expert's weights, and asks how close it comes to the expert's later weights.

        |params_T - target|^2 / |params_0 - target|^2,   params_(t+1) = params_t - rate grad cross_entropy(params_t, syn_t)

    It is 1 where nothing is learned and 0 where T steps on condensed images lead where the expert's epochs on real ones led. The
    trajectory says where training begins, `point.params`, and what it is to reach, `point.target`: take `expert`. Real images have no
    part in it. Cazenavette et al., Dataset Distillation by Matching Training Trajectories, CVPR 2022 (arXiv:2203.11932).

    Args:
        net: the network that is trained.
        steps: T, at least 1.
        order: says which images each step takes: `minibatches.reshuffled(batch_size)` as published.
        rate: the inner learning rate, `rates.learned(start)` as published.
        augment: the augmentation of what the network trains on, drawn anew for every image of every mini-batch.
        mix: the mixing, drawn anew for every mini-batch, after augmentation.
        scan: how the steps are differentiated: `scans.in_segments` gives the whole gradient, MTT's; `scans.unlinked` TESLA's, which
            leaves out how images act on the gradients of later steps and keeps the weights of one step alone.

    Returns:
        An objective whose hyperparameters are what `rate` learns. Its metric `loss` is the normalised distance, `rate` the mean rate.
    """
    if steps < 1:
        raise InputError(f"A network is trained for at least one step before it is compared, not {steps}.")
    inner = cross_entropy(net)
    how = {"steps": steps, "augment": augment, "mix": mix, "scan": scan}

    def loss(key, hyper, point, syn, real):
        check_grouped(syn, real)
        start, target = lax.stop_gradient((point.params, _target_of(point)))
        rates = rate.value(hyper)
        params = unroll(key, inner, start, syn, optax.sgd(1.0), order=order, rate=rates, **how)
        value = squared_error(params, target) / squared_error(start, target)
        return value, {"loss": value} | ({"rate": rates.mean()} if hyper else {})

    return Objective(rate.init, loss)


def _target_of(point):
    if not jax.tree.leaves(point.target):
        raise InputError(
            "Trajectory matching needs an expert's later weights in `point.target`, but the trajectory gives none: take `expert`."
        )
    return point.target
