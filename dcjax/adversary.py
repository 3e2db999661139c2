"""Keeps the views of a source apart by an adversary: a network that learns to see them as alike (HaBa).

    trajectory = dcjax.with_adversary(dcjax.expert(), net, views=5)            # trains the network, `point.critic`
    objective = dcjax.with_diversity(objective, net, views=5)                  # the data are to make it fail

Liu, Wang, Yang, Ye & Wang, Dataset Distillation via Factorization, NeurIPS 2022 (arXiv:2210.16774).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from dcjax.base import Array, Batch, InputError, Key, Network, Objective, Params, Point, Trajectory, check_grouped
from dcjax.sharding import over_devices

_SMALLEST_SQUARE = 1e-16  # keeps the derivative of a norm finite where a network sees nothing


class Contest(NamedTuple):
    """Holds what the wrapped trajectory carries, and the state of the adversary's optimizer."""

    carry: Any
    opt_state: Any


def with_diversity(objective: Objective, net: Network, views: int, weight: float = 0.1) -> Objective:
    """Adds to an objective how alike the adversary sees two views of the same source: what is learned is to make them differ.

        objective + weight * mean of (cos(F(view i), F(view j)) + 1) / 2,   F the features of `point.critic`

    Args:
        objective: what is compared else.
        net: the adversary's network; its weights are those of `with_adversary`.
        views: images that are decoded of every source, at least 2; two of them are drawn in every step.
        weight: of the likeness, 0.1 as published.

    Returns:
        The objective, with the metric `likeness` beside its own. Its metric `loss` stays that of the objective.
    """
    _check_views(views)

    def loss(key, hyper, point, syn, real):
        check_grouped(syn, real)
        if not jax.tree.leaves(point.critic):
            raise InputError(
                "Diversity is measured by an adversary, but the trajectory trains none: wrap it in `with_adversary`."
            )
        key, pair_key = jax.random.split(key)
        value, metrics = objective.loss(key, hyper, point, syn, real)
        critic = lax.stop_gradient(point.critic)
        pair = two_views(pair_key, syn, views)
        alike = likeness(*_features(net, critic, pair), pair[0].label.any(-1))
        return value + weight * alike, metrics | {"likeness": alike}

    return Objective(objective.init, loss)


def with_adversary(
    trajectory: Trajectory,
    net: Network,
    views: int,
    *,
    optimizer: optax.GradientTransformation | None = None,
    weights: tuple[float, float, float] = (1.0, 0.1, 0.1),
    temperature: float = 0.07,
) -> Trajectory:
    """Trains a network beside a trajectory, `point.critic`, to see two views of a source as alike, by one step for every comparison.

        w1 cross-entropy of both views + w2 mean of (1 - cos(F(view i), F(view j))) / 2 + w3 supervised contrast of both

    Args:
        trajectory: says where the comparison is made.
        net: the adversary's network.
        views: images that are decoded of every source, at least 2; two of them are drawn in every step.
        optimizer: trains the adversary; SGD at 0.001 with momentum 0.9, as published, when None.
        weights: w1, w2 and w3.
        temperature: of the supervised contrast.
    """
    _check_views(views)
    optimizer = optimizer or optax.sgd(0.001, momentum=0.9)

    def loss(critic, pair):
        a, b = _features(net, critic, pair)
        label = jnp.concatenate([batch.label for batch in pair])
        classified = optax.softmax_cross_entropy(net.classify(critic, jnp.concatenate([a, b])), label)
        alike = likeness(a, b, pair[0].label.any(-1))
        terms = (_mean(classified, label.any(-1)), 1 - alike, supervised_contrast(a, b, label, temperature))
        return sum(weight * term for weight, term in zip(weights, terms, strict=True))

    def init(key, draw):
        key, critic_key = jax.random.split(key)
        point, critic = trajectory.init(key, draw), net.init(critic_key)
        return point._replace(critic=critic, carry=Contest(point.carry, optimizer.init(critic)))

    def advance(key, point, syn, draw):
        key, pair_key = jax.random.split(key)
        pair = two_views(pair_key, lax.stop_gradient(syn), views)
        gradient = jax.grad(loss)(point.critic, pair)
        updates, opt_state = optimizer.update(gradient, point.carry.opt_state, point.critic)
        critic = optax.apply_updates(point.critic, updates)
        after = trajectory.advance(key, _without(point), syn, draw)
        return after._replace(critic=critic, carry=Contest(after.carry, opt_state))

    return Trajectory(init, advance)


def _features(net: Network, critic: Params, pair: tuple[Batch, Batch]) -> tuple[Array, Array]:
    """Computes what the adversary sees of both views, the images divided among the devices where they may be."""
    both = jnp.concatenate([batch.image for batch in pair])
    features = over_devices(net.features) if net.per_image else net.features
    return tuple(jnp.split(features(critic, both), 2))


def _without(point: Point) -> Point:
    return point._replace(critic=(), carry=point.carry.carry)


def two_views(key: Key, syn: Batch, views: int) -> tuple[Batch, Batch]:
    """Draws two views and gives all sources in both, two flat batches [K * sources, ...] in one order.

    Args:
        key: draws the views; consumed.
        syn: a set [K, M, ...] whose M images of a class are views x sources, views outermost.
        views: how many there are.
    """
    num_classes, available = syn.label.shape[:2]
    if available % views:
        raise InputError(f"{available} images of each class are not {views} views of as many sources.")
    grid = jax.tree.map(lambda x: x.reshape(num_classes, views, available // views, *x.shape[2:]), syn)
    drawn = jax.random.permutation(key, views)[:2]
    first, second = (jax.tree.map(lambda x, v=v: x[:, v].reshape(-1, *x.shape[3:]), grid) for v in drawn)
    return first, second


def likeness(a: Array, b: Array, present: Array | None = None) -> Array:
    """Computes the mean of (cos + 1) / 2 over the rows of two sets of features, [B, D]: 1 if they are alike, 0 if opposite.

    `present` [B] says which rows are no padding; all when None.
    """
    return _mean((_unit(a) * _unit(b)).sum(-1) + 1, jnp.ones(len(a)) if present is None else present) / 2


def supervised_contrast(a: Array, b: Array, label: Array, temperature: float = 0.07) -> Array:
    """Computes the supervised contrastive loss of two views (Khosla et al., NeurIPS 2020, arXiv:2004.11362).

    Every row of both views is compared with all others; those of its class are to be near it. Soft labels count as classes by how
    much they have in common.

    Args:
        a: features of the first view, [B, D].
        b: features of the second, in the same order.
        label: labels of the first view's rows, then those of the second's, [2B, K]; rows without one are padding.
        temperature: divides the cosines.
    """
    rows = _unit(jnp.concatenate([a, b]))
    present = label.any(-1)
    others = (1 - jnp.eye(rows.shape[0])) * present[None]
    alike = (label @ label.T) * others
    cosines = rows @ rows.T / temperature
    of_others = jnp.where(others > 0, cosines, -jnp.inf)
    log_share = cosines - jax.nn.logsumexp(of_others, -1, keepdims=True)
    return -_mean((alike * log_share).sum(-1) / jnp.where(present, alike.sum(-1), 1), present)


def _mean(values, present):
    """Gives the mean of the rows that are no padding."""
    return (values * present).sum() / jnp.maximum(present.sum(), 1)


def _unit(rows):
    return rows / jnp.sqrt(jnp.maximum(jnp.square(rows).sum(-1, keepdims=True), _SMALLEST_SQUARE))


def _check_views(views):
    if views < 2:
        raise InputError(
            f"Views are told apart where every source has at least two, not {views}: learn more hallucinators."
        )
