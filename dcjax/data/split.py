"""A set of labelled images on the device: bytes grouped by class, normalised only after they are gathered."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from dcjax.base import Array, Batch, InputError, Key


@struct.dataclass
class Split:
    """Images of one split, sorted by class. A pytree: pass it to compiled functions as an argument.

    Classes may be of any size; `counts` holds the true ones and no image is left out.
    """

    image: Array  # [T, H, W, C] uint8
    counts: tuple[int, ...] = struct.field(pytree_node=False)  # images of each class
    mean: tuple[float, ...] = struct.field(pytree_node=False)  # per channel, of values in [0, 1]
    std: tuple[float, ...] = struct.field(pytree_node=False)

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.image.shape[1:]

    @property
    def label(self) -> np.ndarray:
        """Class indices [T]."""
        return np.repeat(np.arange(self.num_classes), self.counts)

    def normalise(self, image: Any) -> Array:
        """uint8 [..., C] -> float32, zero mean and unit deviation over the training set."""
        mean, std = (np.asarray(x, np.float32).reshape(*[1] * (image.ndim - 1), -1) for x in (self.mean, self.std))
        return (image.astype(jnp.float32) / 255 - mean) / std

    def denormalise(self, image: Any) -> Any:
        """The inverse, to pixel space: [0, 1] for real images, wherever it lies for learned ones."""
        mean, std = (np.asarray(x, np.float32).reshape(*[1] * (image.ndim - 1), -1) for x in (self.mean, self.std))
        return image * std + mean

    def sample(self, key: Key, n: int) -> Batch:
        """Draws `n` images of every class without replacement: [K, n, ...]. The key is consumed."""
        if n > min(self.counts):
            raise InputError(f"Cannot draw {n} images of every class: the smallest class has {min(self.counts)}.")
        counts = np.array(self.counts)
        is_image = np.arange(counts.max()) < counts[:, None]
        order = jnp.where(is_image, jax.random.uniform(key, is_image.shape), -1)
        return self.take(jax.lax.top_k(order, n)[1] + (np.cumsum(counts) - counts)[:, None])

    def take(self, chosen: Array) -> Batch:
        """The images at indices [K, M], the k-th row of class k, as a class-grouped batch [K, M, ...]."""
        label = jnp.broadcast_to(jnp.eye(self.num_classes)[:, None], (*chosen.shape, self.num_classes))
        return Batch(self.normalise(self.image[chosen]), label)

    def batch(self) -> Batch:
        """All images as one flat batch [T, ...]."""
        return Batch(self.normalise(self.image), jnp.eye(self.num_classes)[self.label])


def group_by_class(image: np.ndarray, label: np.ndarray, num_classes: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Sorts images by label (stably) and counts every class."""
    counts = np.bincount(label, minlength=num_classes)
    return image[np.argsort(label, kind="stable")], tuple(int(n) for n in counts)
