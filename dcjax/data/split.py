"""Keeps labelled images on the device as bytes, grouped by class; they are normalised only after they are gathered."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from dcjax.base import Array, Batch, InputError, Key
from dcjax.normalisation import Normalisation, normalised_bytes
from dcjax.sharding import by_rows


@struct.dataclass
class Split:
    """Holds the images of one split, sorted by class. It is a pytree: pass it to compiled functions as an argument.

    Classes may be of any size; `counts` holds the true ones and no image is left out.
    """

    image: Array  # [T, H, W, C] uint8
    counts: tuple[int, ...] = struct.field(pytree_node=False)  # images of each class
    normalisation: Normalisation  # the training set's, in every split

    @property
    def mean(self) -> tuple[float, ...]:
        """Gives the mean of every channel of the training set, of pixels in [0, 1]."""
        return self.normalisation.channels.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Gives the deviation of every channel of the training set."""
        return self.normalisation.channels.std

    @property
    def num_classes(self) -> int:
        return len(self.counts)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.image.shape[1:]

    @property
    def label(self) -> np.ndarray:
        """Gives the class of every image, [T]."""
        return np.repeat(np.arange(self.num_classes), self.counts)

    def normalise(self, image: Any) -> Array:
        """Turns uint8 images [..., H, W, C] into what networks see, float32.

        Where `image` is mapped over by a function that must not close over arrays, give `normalisation` to it and call
        `dcjax.normalisation.normalised_bytes`.
        """
        return normalised_bytes(self.normalisation, image)

    def denormalise(self, image: Any) -> Any:
        """Turns what networks see into pixels: in [0, 1] for real images, wherever they lie for learned ones."""
        return self.normalisation.invert(image)

    def sample(self, key: Key, n: int) -> Batch:
        """Draws `n` images of every class without replacement: [K, n, ...], classes divided among the devices.

        Args:
            key: chooses the images; consumed.
            n: images of each class, at most as many as the smallest has.
        """
        if n > min(self.counts):
            raise InputError(
                f"Cannot draw {n} images of every class: the smallest class has {min(self.counts)}, draw at most as many."
            )
        counts = np.array(self.counts)
        is_image = np.arange(counts.max()) < counts[:, None]
        order = jnp.where(is_image, jax.random.uniform(key, is_image.shape), -1)
        chosen = jax.lax.top_k(order, n)[1] + (np.cumsum(counts) - counts)[:, None]
        return by_rows(self.take(by_rows(chosen)))

    def take(self, chosen: Array) -> Batch:
        """Gives the images at indices [K, M], the k-th row of class k, as a class-grouped batch [K, M, ...]."""
        label = jnp.broadcast_to(jnp.eye(self.num_classes)[:, None], (*chosen.shape, self.num_classes))
        return Batch(self.normalise(self.image[chosen]), label)

    def only(self, classes: Sequence[int]) -> "Split":
        """Gives the split of some classes alone, numbered anew in the order given."""
        first = np.cumsum((0, *self.counts))
        rows = np.concatenate([np.arange(first[k], first[k + 1]) for k in classes])
        return self.replace(image=self.image[rows], counts=tuple(self.counts[k] for k in classes))

    def hold_out(self, key: Key, share: float) -> tuple["Split", "Split"]:
        """Takes a share of every class away, at random: gives (what remains, what was taken), neither without an image of any class.

        Args:
            key: chooses the images; consumed.
            share: of each class, rounded, and at least one image.
        """
        if min(self.counts) < 2:
            raise InputError("A share of every class cannot be held out: the smallest class has one image, give more.")
        taken = [min(max(round(share * count), 1), count - 1) for count in self.counts]
        orders = [
            np.asarray(jax.random.permutation(k, n)) for k, n in zip(jax.random.split(key, len(taken)), self.counts)
        ]
        first = np.cumsum((0, *self.counts))
        kept = np.concatenate([np.sort(order[n:]) + at for order, n, at in zip(orders, taken, first)])
        held = np.concatenate([np.sort(order[:n]) + at for order, n, at in zip(orders, taken, first)])
        rest = tuple(count - n for count, n in zip(self.counts, taken))
        return self.replace(image=self.image[kept], counts=rest), self.replace(
            image=self.image[held], counts=tuple(taken)
        )

    def batch(self) -> Batch:
        """Gives all images as one flat batch [T, ...]."""
        return Batch(self.normalise(self.image), jnp.eye(self.num_classes)[self.label])


def group_by_class(image: np.ndarray, label: np.ndarray, num_classes: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Sorts images by label (stably) and counts every class."""
    counts = tuple(int(n) for n in np.bincount(label, minlength=num_classes))
    is_sorted = (label[:-1] <= label[1:]).all()
    return image if is_sorted else image[np.argsort(label, kind="stable")], counts
