"""Makes what outer optimizers need beside optax."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from dcjax.base import InputError


def by_name(optimizers: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """Gives every leaf of `Learned(syn, hyper)` the optimizer, with its bounds, that has its name.

        by_name({"image": optax.chain(optax.sgd(5e-3), keep_within(0, 1)), "raw_rate": optax.sgd(0.1)})

    The name of a leaf is the outermost dict key on the path to it that `optimizers` has: "raw_rate" for `hyper["raw_rate"]` (the inverse
    softplus of a learned rate r, whose own steps are r^2 as large where r is small), and "image" for all that is under `syn["image"]`.

    Args:
        optimizers: gradient transformations by name; each name must be that of something learned.
    """

    def labels(learned):
        found = jax.tree_util.tree_map_with_path(lambda way, _: _name(way, optimizers), learned)
        idle = set(optimizers) - set(jax.tree.leaves(found))
        if idle:
            raise InputError(
                f"There is an optimizer for {', '.join(sorted(idle))}, but nothing that is learned has that name."
            )
        return found

    return optax.partition(dict(optimizers), labels)


def _name(way, optimizers):
    keys = [key.key for key in way if isinstance(key, jax.tree_util.DictKey)]
    known = [key for key in keys if key in optimizers]
    if not known:
        raise InputError(
            f"{jax.tree_util.keystr(way)} is learned, but the optimizers are for {', '.join(optimizers) or 'nothing'}: add one by "
            "its name."
        )
    return known[0]


def keep_within(low: float, high: float) -> optax.GradientTransformation:
    """Ends a chain of updates: a value that they would carry out of [`low`, `high`] stops at the bound (up to rounding).

    The bounds are for images kept `in_pixel_space`; `by_name` keeps them from whatever else is learned. The published IDC clamps once
    per network; this does at every step.
    """

    def update(updates, state, params):
        return jax.tree.map(lambda p, u: jnp.clip(p + u, low, high) - p, params, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def per_class_sgd(learning_rate: float, momentum: float, num_classes: int) -> optax.GradientTransformation:
    """Makes SGD that moves each class, in one step for all, as far as the published IDC's one step per class does.

    There, a class gets a gradient in one of K steps and in the others moves on by its momentum m alone: after a sweep by
    1 + m + ... + m^(K-1) times its step, with m^K of the velocity left. Seen from the class's own next gradient that is exactly

        rate (1 - m^K) / (1 - m)  with momentum  m^K

    or about twice the rate without momentum for IDC's m = 0.5 and ten classes (Kim et al. 2022, arXiv:2205.14959).

    Args:
        learning_rate: the rate of one published step.
        momentum: m, below 1.
        num_classes: K, the number of classes.
    """
    left = momentum**num_classes
    return optax.sgd(learning_rate * (1 - left) / (1 - momentum), momentum=left)
