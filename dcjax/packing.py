"""Says how the real images of a step wait in memory until their class is compared: as they are, or as the bytes that they come from."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dcjax.base import Array
from dcjax.normalisation import Normalisation, normalised_bytes


class Packing(NamedTuple):
    """Holds a function and its inverse, which do not close over arrays."""

    pack: Callable[[Array], Array]
    unpack: Callable[[Array], Array]


as_they_are = Packing(lambda image: image, lambda image: image)


def as_bytes(normalisation: Normalisation) -> Packing:
    """Packs images into bytes, a quarter of their memory, which is exact for those of a `Split`.

    A step of many classes draws all their images at once, but compares a class at a time: unpacked, they would take most of its memory.

    Args:
        normalisation: that of the data set. Where it is more than numbers, as whitening is, images stay as they are.
    """
    if jax.tree.leaves(normalisation):
        return as_they_are

    def pack(image):
        return jnp.round(255 * normalisation.invert(image)).astype(jnp.uint8)

    return Packing(pack, lambda packed: normalised_bytes(normalisation, packed))
