"""The types every part of dcjax speaks: a decoded batch, a network, and the pairs of pure functions.

A condensation method is *what is learned* (a `Parameterization`), *what is compared* (an `Objective`) and *where in
weight space it is compared* (a `Trajectory`), under one optax optimizer (a `Condenser`). The three meet only at a decoded
`Batch` and at a point in weight space, so any of them works with any other.

Axis letters, used in every docstring: `K` classes, `N` real images per class, `M` condensed images per class, `B` a flat
batch, `H W C` an image (NHWC throughout), `D` features, `S` students, `T` steps.

Keys are typed (`jax.random.key`), come first, and are consumed by the function that takes them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Array = jax.Array
Key = jax.Array  # a typed key, `jax.random.key`
Params = Any  # a network's weights
Syn = Any  # the learned pytree of a parameterization
Hyper = Any  # the learned inner-loop hyperparameters of an objective; `()` for most
Point = Any  # a trajectory's state; it always has a field `params`
Metrics = dict[str, Array]
Augmentation = Callable[[Key], Callable[[Array], Array]]  # one draw, then a deterministic image -> image
Mixing = Callable[[Key], Callable[["Batch"], "Batch"]]  # one draw, then a deterministic flat batch -> batch
Distance = Callable[[Params, Params], Array]  # two trees of one structure -> a scalar
Loss = Callable[[Params, "Batch"], Array]


class Batch(NamedTuple):
    """Images with labels. Hard, soft and mixed labels are one code path.

    A label row that is all zeros marks padding: the image beside it counts nothing in a loss.
    """

    image: Array  # [..., H, W, C] float32, normalised
    label: Array  # [..., K] float32, each row sums to one


class Network(NamedTuple):
    """A classifier as three pure functions (`dcjax.network` makes one from a Flax Linen module)."""

    init: Callable[[Key], Params]
    apply: Callable[[Params, Array], Array]  # [B, H, W, C] -> logits [B, K]
    features: Callable[[Params, Array], Array]  # [B, H, W, C] -> [B, D], what the classifier sees


class Parameterization(NamedTuple):
    """What is learned. `decode` is deterministic and differentiable, and the only door to the images."""

    init: Callable[[Key, Batch], Syn]  # a real draw [K, N, ...] -> the learned pytree
    decode: Callable[[Syn], Batch]  # -> [K, M, ...]


class Objective(NamedTuple):
    """What is compared. `loss(key, hyper, point, syn, real)` is differentiated in `hyper` and `syn`."""

    init: Callable[[], Hyper]
    loss: Callable[[Key, Hyper, Point, Batch, Batch], tuple[Array, Metrics]]


class Trajectory(NamedTuple):
    """Where in weight space it is compared. `advance(key, point, syn, real)` gives the next step's point."""

    init: Callable[[Key], Point]
    advance: Callable[[Key, Point, Batch, Batch], Point]


class Learned(NamedTuple):
    """What the outer optimizer sees; address its parts with `optax.partition`."""

    syn: Syn
    hyper: Hyper


class CondenserState(NamedTuple):
    """All that a run carries from one step to the next. No key and no counter: a step depends on (seed, t) alone."""

    learned: Learned
    point: Point
    opt_state: Any

    @property
    def syn(self) -> Syn:
        return self.learned.syn


class Condenser(NamedTuple):
    """A whole method. `step` takes a state and gives one of the same type."""

    init: Callable[[Key, Batch], CondenserState]
    step: Callable[[Key, CondenserState, Batch], tuple[CondenserState, Metrics]]


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: what was expected, what came, what to change."""
