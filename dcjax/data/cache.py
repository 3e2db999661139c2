"""Keeps decoded images on disk, so that a dataset is decoded once."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcjax.base import InputError
from dcjax.files import read_npz, write_npz


def cache_dir() -> Path:
    """Gives the folder of the cache: `$DCJAX_CACHE`, else `dcjax` under `$XDG_CACHE_HOME` or `~/.cache`."""
    default = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "dcjax")
    return Path(os.environ.get("DCJAX_CACHE", default))


def cached(
    identity: tuple, make: Callable[[], dict[str, np.ndarray]], fits: Callable[[dict[str, np.ndarray]], bool]
) -> dict[str, np.ndarray]:
    """Gives the arrays that `make()` gives, from disk when they were made before for the same `identity`.

    Args:
        identity: tells apart what is made; its `repr` counts.
        make: makes the arrays.
        fits: tells whether arrays from disk, whatever they are, are of the names, types and shapes that `make` gives.
    """
    path = cache_dir() / "data" / f"{hashlib.sha256(repr(identity).encode()).hexdigest()[:24]}.npz"
    with contextlib.suppress(InputError):  # not there, or damaged: made again below
        arrays = read_npz(path)
        if fits(arrays):
            return arrays
    arrays = make()
    with contextlib.suppress(OSError, ValueError):  # a cache that cannot be written costs time, not correctness
        write_npz(path, arrays)
    return arrays
