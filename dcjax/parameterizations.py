"""What is learned: pairs of pure functions from a pytree of parameters to the images and labels they stand for."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dcjax.base import Array, Batch, InputError, Key, Parameterization

Start = Callable[[Key, Batch, int], Array]  # (key, real [K, N, ...], ipc) -> images [K, ipc, H, W, C]


def from_noise(key: Key, real: Batch, ipc: int) -> Array:
    """Standard normal values in normalised space."""
    num_classes, _, *image_shape = real.image.shape
    return jax.random.normal(key, (num_classes, ipc, *image_shape))


def from_real(key: Key, real: Batch, ipc: int) -> Array:
    """The first `ipc` images per class of the (random) draw."""
    del key
    available = real.image.shape[1]
    if ipc > available:
        raise InputError(
            f"Starting from real images needs at least ipc = {ipc} of every class, but the draw holds {available}: "
            "draw more, lower ipc or start from noise."
        )
    return real.image[:, :ipc]


def pixels(ipc: int, start: Start = from_noise) -> Parameterization:
    """The images themselves, `ipc` of each class with its hard label: `{"image": [K, ipc, H, W, C]}`.

    Args:
        ipc: images per class, at least 1.
        start: where they begin; `from_noise` as in DC or `from_real` as in DSA and DM.
    """
    if ipc < 1:
        raise InputError(f"ipc is the number of images per class and at least 1, not {ipc}.")

    def decode(syn):
        return Batch(syn["image"], class_labels(*syn["image"].shape[:2]))

    return Parameterization(init=lambda key, real: {"image": start(key, real, ipc)}, decode=decode)


def class_labels(num_classes: int, per_class: int) -> Array:
    """Hard labels of a class-grouped set, [K, M, K]."""
    return jnp.broadcast_to(jnp.eye(num_classes)[:, None], (num_classes, per_class, num_classes))
