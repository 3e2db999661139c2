"""Decoded images kept on disk, so that a dataset is decoded once."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


def cache_dir() -> Path:
    """`$DCJAX_CACHE`, else `dcjax` under `$XDG_CACHE_HOME` or `~/.cache`."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dcjax"
    return Path(os.environ.get("DCJAX_CACHE", default))


def cached(identity: tuple, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `make()` gives, from disk when they were made before for the same `identity`."""
    path = cache_dir() / "data" / f"{hashlib.sha256(repr(identity).encode()).hexdigest()[:24]}.npz"
    if path.exists():
        try:
            with np.load(path) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError):
            pass  # damaged: made again below
    arrays = make()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not correctness
        write_npz(path, arrays)
    return arrays


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes all or nothing: a process killed half-way leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
