"""Refuses what cannot fit into memory, by the shapes of what must be there at once, before anything is computed."""

from typing import Any

import jax
import psutil

from dcjax import InputError, backend
from dcjax.sharding import device_count


def check_memory(**needed: Any) -> None:
    """Refuses trees of shapes that all devices together cannot hold.

    Args:
        needed: trees of arrays or of their shapes, by what they are in words with underscores.

    Raises:
        InputError: names the largest of them, with what there is and which flags to lower.
    """
    sizes = {
        name: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)) for name, tree in needed.items()
    }
    total, there = sum(sizes.values()), memory()
    if total > there:
        largest = max(sizes, key=sizes.get)
        raise InputError(
            f"At least {total / 2**30:.3g} GiB are needed, {sizes[largest] / 2**30:.3g} of them for the {largest.replace('_', ' ')}, but "
            f"there are {there / 2**30:.3g}: give smaller numbers, of images first, or a narrower network."
        )


def memory() -> int:
    """Gives the bytes that all devices have: a CPU's, those of the machine."""
    return (backend.device_memory() or 0) * device_count() or psutil.virtual_memory().total
