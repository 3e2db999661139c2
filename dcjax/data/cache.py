"""Keeps decoded images on disk, so that a dataset is decoded once."""

import contextlib
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dcjax.base import InputError


def cache_dir() -> Path:
    """Gives the folder of the cache: `$DCJAX_CACHE`, else `dcjax` under `$XDG_CACHE_HOME` or `~/.cache`."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dcjax"
    return Path(os.environ.get("DCJAX_CACHE", default))


def cached(identity: tuple, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Gives the arrays that `make()` gives, from disk when they were made before for the same `identity`."""
    path = cache_dir() / "data" / f"{hashlib.sha256(repr(identity).encode()).hexdigest()[:24]}.npz"
    if path.exists():
        with contextlib.suppress(InputError):  # damaged: made again below
            return read_npz(path)
    arrays = make()
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not correctness
        write_npz(path, arrays)
    return arrays


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file; what is missing, damaged or something else is an `InputError`."""
    if not path.is_file():
        raise InputError(f"There is no file {path}: give the path of an .npz file.")
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged or no .npz file ({error}): copy or make it again.") from None


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes all of an .npz file or nothing: a process killed half-way leaves what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
