"""Learns images as they are."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from dcjax.base import Array, Batch, InputError, Key, Parameterization
from dcjax.normalisation import Normalisation

Start = Callable[[Key, Batch, int], Array]  # (key, real [K, N, ...], ipc) -> images [K, ipc, H, W, C]


def from_noise(key: Key, real: Batch, ipc: int) -> Array:
    """Draws standard normal values in normalised space."""
    num_classes, _, *image_shape = real.image.shape
    return jax.random.normal(key, (num_classes, ipc, *image_shape))


def from_clamped_noise(key: Key, real: Batch, ipc: int) -> Array:
    """Draws normal values of mean 1/2 and deviation 1/4, clamped to [0, 1], for images kept `in_pixel_space` (IDC's "noise")."""
    return jnp.clip(0.5 + from_noise(key, real, ipc) / 4, 0, 1)


def from_grey_noise(key: Key, real: Batch, ipc: int) -> Array:
    """Draws values uniformly from [0, 1), for images kept `in_pixel_space`."""
    num_classes, _, *image_shape = real.image.shape
    return jax.random.uniform(key, (num_classes, ipc, *image_shape))


def from_glorot(key: Key, real: Batch, ipc: int) -> Array:
    """Draws small values uniformly, as `glorot` does for all images together (BPTT and Remember the Past)."""
    num_classes, _, *image_shape = real.image.shape
    return glorot(key, (num_classes * ipc, *image_shape)).reshape(num_classes, ipc, *image_shape)


def glorot(key: Key, shape: tuple[int, ...]) -> Array:
    """Draws as Glorot & Bengio (2010) do for a tensor whose first two axes are outputs and inputs, as PyTorch counts them.

    An image's channels are its inputs: [b, h, w, C] counts as [b, C, h, w].
    """
    channels_first = (shape[0], shape[-1], *shape[1:-1]) if len(shape) == 4 else shape
    outputs, inputs, *window = channels_first
    bound = math.sqrt(6 / ((outputs + inputs) * math.prod(window)))
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def from_real(key: Key, real: Batch, ipc: int) -> Array:
    """Takes the first `ipc` images per class of the (random) draw."""
    del key
    return first_images(real, ipc, f"ipc = {ipc}")


def first_images(real: Batch, count: int, asked: str) -> Array:
    """Takes `count` images of every class of a draw, [K, count, H, W, C], or raises an error that names what was `asked`."""
    available = real.image.shape[1]
    if count > available:
        raise InputError(
            f"Starting from real images needs at least {asked} of every class, but the draw holds {available}: draw more, "
            "lower it or start from noise."
        )
    return real.image[:, :count]


def pixels(ipc: int, start: Start = from_noise) -> Parameterization:
    """Learns the images themselves, `ipc` of each class with its hard label: `{"image": [K, ipc, H, W, C]}`.

    Args:
        ipc: images per class, at least 1.
        start: makes the images to begin with: `from_noise` as in DC, or `from_real` as in DSA and DM.
    """
    if ipc < 1:
        raise InputError(f"ipc is the number of images per class and at least 1, not {ipc}.")

    def decode(syn):
        return Batch(syn["image"], class_labels(*syn["image"].shape[:2]))

    return Parameterization(init=lambda key, real: {"image": start(key, real, ipc)}, decode=decode)


def in_pixel_space(parameterization: Parameterization, normalisation: Normalisation) -> Parameterization:
    """Keeps images as pixels, real ones in [0, 1], and normalises them when they are decoded.

    So bounds such as `optimizers.keep_within(0, 1)` mean what they say, and a learning rate is one of pixels (as in IDC).

    Args:
        parameterization: the one to wrap; its `init` then sees, and its `decode` gives, images in pixel space.
        normalisation: that of the dataset, `data.train.normalisation`.
    """

    def init(key, real):
        return parameterization.init(key, real._replace(image=normalisation.invert(real.image)))

    def decode(syn):
        batch = parameterization.decode(syn)
        return batch._replace(image=normalisation.apply(batch.image))

    return Parameterization(init, decode)


def class_labels(num_classes: int, per_class: int) -> Array:
    """Makes the hard labels of a class-grouped set, [K, M, K]."""
    return jnp.broadcast_to(jnp.eye(num_classes)[:, None], (num_classes, per_class, num_classes))
