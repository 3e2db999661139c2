"""What outer optimizers need beside optax."""

import jax
import jax.numpy as jnp
import optax


def keep_within(low: float, high: float) -> optax.GradientTransformation:
    """Ends a chain: every value that the updates would carry out of [`low`, `high`] stops at the bound (up to rounding).

    For images kept `in_pixel_space`. The published IDC clamps once per network; this does at every step.
    """

    def update(updates, state, params):
        return jax.tree.map(lambda p, u: jnp.clip(p + u, low, high) - p, params, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def per_class_sgd(learning_rate: float, momentum: float, num_classes: int) -> optax.GradientTransformation:
    """SGD in one step for all classes that moves each as far as the published IDC's one step per class does.

    There, a class gets a gradient in one of K steps and in the others moves on by its momentum m alone: after a sweep by
    1 + m + ... + m^(K-1) times its step, with m^K of the velocity left. Seen from the class's own next gradient that is exactly

        rate (1 - m^K) / (1 - m)  with momentum  m^K

    or about twice the rate without momentum for IDC's m = 0.5 and ten classes.

    Args:
        learning_rate: of each of the published steps.
        momentum: m, below 1.
        num_classes: K.
    """
    left = momentum**num_classes
    return optax.sgd(learning_rate * (1 - left) / (1 - momentum), momentum=left)
