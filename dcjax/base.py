"""Defines the types that all parts of dcjax share: a decoded batch, a network, and the pairs of pure functions.

A condensation method is *what is learned* (a `Parameterization`), *what is compared* (an `Objective`) and *where in
weight space it is compared* (a `Trajectory`), under one optax optimizer (a `Condenser`). The three meet only at a decoded
`Batch` and at a point in weight space, so any of them works with any other.

Axis letters, used in every docstring: `K` classes, `N` real images per class, `M` condensed images per class, `B` a flat
batch, `H W C` an image (NHWC throughout), `D` features, `S` students, `T` steps.

Keys are typed (`jax.random.key`), come first, and are consumed by the function that takes them: its caller uses them no more.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax

Array = jax.Array
Key = jax.Array  # a typed key, `jax.random.key`
Params = Any  # a network's weights
Syn = Any  # the learned pytree of a parameterization
Hyper = Any  # the learned inner-loop hyperparameters of an objective; `()` for most
Metrics = dict[str, Array]
Augmentation = Callable[[Key], Callable[[Array], Array]]  # one draw, then a deterministic image -> image
Mixing = Callable[[Key], Callable[["Batch"], "Batch"]]  # one draw, then a deterministic flat batch -> batch
Distance = Callable[[Params, Params], Array]  # two trees of one structure -> a scalar
# A mean over the images of a batch. One with an attribute `per_image` that is False is of the batch as a whole, which is not split.
Loss = Callable[[Params, "Batch"], Array]


class Batch(NamedTuple):
    """Holds images with labels; hard, soft and mixed labels are one code path.

    A label row that is all zeros marks padding: the image beside it counts nothing in a loss.
    """

    image: Array  # [..., H, W, C] float32, normalised
    label: Array  # [..., K] float32, each row sums to one


class Draw(NamedTuple):
    """Holds all that one step sees from outside. A source makes it, so nothing hides in a closure or in a program's constants."""

    real: Batch  # [K, N, ...], the same number of real images of every class
    start: Params = ()  # trained weights that a network may begin with: of a pool, or of an expert at some epoch
    target: Params = ()  # the same expert's weights some epochs later


class Point(NamedTuple):
    """Holds a place in weight space. All trajectories share the type, so that wrappers and objectives know what they get."""

    params: Params  # where the comparison is made
    target: Params = ()  # where an expert was later (trajectory matching)
    critic: Params = ()  # a feature network that is trained against the condensed data
    carry: Any = ()  # the trajectory's own: the network's age, its optimizer's state


def _no_classify(params, features):
    raise InputError(
        "This network does not say how it classifies features, as an adversary needs it: give it `classify`."
    )


def _nothing_to_settle(params, image, momentum=1.0, present=None):
    del image, momentum, present
    return params


class Network(NamedTuple):
    """Holds a classifier as pure functions, of which `apply` is `classify` of `features`; `dcjax.network` makes one of a Flax module.

    Most treat every image by itself. One with batch norm does so only with weights that are settled: with others, what it makes of an
    image depends on its batch, of which a third argument of `apply` says which rows are not padding, [B].
    """

    init: Callable[[Key], Params]
    apply: Callable[[Params, Array], Array]  # [B, H, W, C] -> logits [B, K]
    features: Callable[[Params, Array], Array]  # [B, H, W, C] -> [B, D], what the classifier sees
    classify: Callable[[Params, Array], Array] = _no_classify  # [B, D] -> logits [B, K]; an adversary alone needs it
    per_image: bool = True  # a batch may be split and padded
    # (weights, images [B, H, W, C], momentum, which rows are not padding) -> weights with frozen statistics: of these images all the way
    # from those of a network that has seen nothing, or only as far as the momentum says
    settle: Callable[..., Params] = _nothing_to_settle

    @property
    def settled(self) -> "Network":
        """Gives the same network for settled weights, with which it treats every image by itself."""
        return self._replace(per_image=True)


class Parameterization(NamedTuple):
    """Says what is learned: a pytree that `decode`, deterministic and differentiable, alone turns into images."""

    init: Callable[[Key, Batch], Syn]  # a real draw [K, N, ...] -> the learned pytree
    decode: Callable[[Syn], Batch]  # -> [K, M, ...]; M counts views x sources, views outermost


class Objective(NamedTuple):
    """Says what is compared: `loss(key, hyper, point, syn, real)` is differentiated in `hyper` and `syn`."""

    init: Callable[[], Hyper]
    loss: Callable[[Key, Hyper, Point, Batch, Batch], tuple[Array, Metrics]]


class Trajectory(NamedTuple):
    """Says where in weight space the sets are compared: `advance(key, point, syn, draw)` gives the next step's point."""

    init: Callable[[Key, Draw], Point]
    advance: Callable[[Key, Point, Batch, Draw], Point]


class Learned(NamedTuple):
    """Holds what the outer optimizer updates; `optimizers.by_name` gives each leaf an optimizer of its own."""

    syn: Syn
    hyper: Hyper


class CondenserState(NamedTuple):
    """Holds all that a run carries from step to step: no key and no counter, because a step depends on (seed, t) alone."""

    learned: Learned
    point: Point
    opt_state: Any

    @property
    def syn(self) -> Syn:
        return self.learned.syn


class Condenser(NamedTuple):
    """Holds a whole method: `init` gives a state, and `step` takes one and gives one of the same type."""

    init: Callable[[Key, Draw], CondenserState]
    step: Callable[[Key, CondenserState, Draw], tuple[CondenserState, Metrics]]


def check_grouped(*batches: Batch) -> None:
    """Asserts that batches are grouped by class, [K, M, H, W, C] with labels [K, M, K], and all have the same K."""
    for batch in batches:
        chex.assert_rank([batch.image, batch.label], [5, 3])
        chex.assert_equal_shape_prefix([batch.image, batch.label], 2)
    chex.assert_equal_shape_prefix([batch.label for batch in batches], 1)


class InputError(ValueError):
    """Says, in one sentence, why what was given cannot be used: what was expected, what came, what to change."""
