"""Checks what a file of a condensed set holds, so that whoever uses a loaded set can rely on it."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dcjax.base import InputError
from dcjax.data.checks import repeated

FORMAT = "dcjax-condensed-1"
_DICTS = ("recipe", "decoder", "accuracy", "bytes")  # what `meta` may note, by kind
_TEXTS = ("method", "dataset", "version")
_COUNTS = {"ipc": 10**9, "width": 2**20}  # with the most of each
_DEPTH = 20  # of dicts and lists in `meta`
_TOLERANCE = 1e-3  # of labels that sum to one


def check_content(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Gives the `meta` of a set whose arrays are all there.

    Raises:
        InputError: names the first thing that no run writes.
    """
    meta = read_notes(arrays["meta"])
    fault = next(itertools.chain(_misfits(arrays), _odd_meta(meta)), None)
    if fault:
        raise InputError(
            f"{path} is not a condensed set of dcjax ({FORMAT}), or parts of it do not fit ({fault}): make it again."
        )
    with np.errstate(over="ignore"):
        if not all(np.isfinite(x.astype(np.float32)).all() for name, x in arrays.items() if _is_used(name)):
            raise InputError(f"{path} holds values that are not finite: the run that made it diverged, make it again.")
    fault = next(_odd_values(arrays), None)
    if fault:
        raise InputError(f"{path} holds values that no run writes ({fault}): make it again.")
    return meta


def branch(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Gives the arrays `name/REST`, by their `REST`."""
    return {key.removeprefix(f"{name}/"): x for key, x in arrays.items() if key.startswith(f"{name}/")}


def _is_used(name):
    """Tells whether an array goes into every use of a set; the compact parameters do not, as the images are stored beside them."""
    return name in ("images", "labels", "mean", "std") or name.startswith(("hyper/", "zca/"))


def read_notes(array: np.ndarray) -> Any:
    """Reads what a set notes of itself, or gives None if it is no JSON text, or too deep for whoever reads it further."""
    try:
        meta = json.loads(str(array))
        json.dumps(
            meta, ensure_ascii=False
        ).encode()  # raises a ValueError for halves of characters, which cannot be shown
        return meta if _depth(meta) <= _DEPTH else None
    except (ValueError, RecursionError):
        return None


def _depth(content):
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _misfits(arrays) -> Iterator[str]:
    """Yields what is wrong with the types and shapes of the arrays, the next only if the one before is right."""
    images, labels, names = (arrays[name] for name in ("images", "labels", "class_names"))
    for name in ("images", "labels", "mean", "std"):
        if arrays[name].dtype not in (np.float16, np.float32, np.float64):
            yield f"{name} are {arrays[name].dtype} instead of floats"
    if (names.dtype.kind, names.ndim) != ("U", 1) or not names.size:
        yield "class_names are no list of texts"
    twice = repeated(list(map(str, names)))
    if twice is not None:
        yield f"two classes have the name {twice!r}"
    if images.ndim != 4 or not images.size or len(images) % len(names):
        yield f"images are {images.shape} instead of [T, H, W, C], as many of each of {len(names)} classes"
    if labels.shape != (len(images), len(names)):
        yield f"labels are {labels.shape} instead of {(len(images), len(names))}"
    for name in ("mean", "std"):
        if arrays[name].shape != images.shape[-1:]:
            yield f"{name} is {arrays[name].shape}, but images have {images.shape[-1]} channels"
    if not _is_whole(branch(arrays, "zca"), int(np.prod(images.shape[1:]))):
        yield "the whitening is not whole, or of other images"
    odd = [name for name, x in arrays.items() if name.startswith(("compact/", "hyper/")) and x.dtype.kind not in "fiub"]
    if odd:
        yield f"{odd[0]!r} holds no numbers"


def _is_whole(zca, size):
    """Tells whether a set has no whitening, or all of it, for images of `size` values."""
    shapes = {"mean": (size,), "basis": (size, size), "spectrum": (size,), "epsilon": ()}
    return not zca or (
        {name: x.shape for name, x in zca.items()} == shapes
        and all(np.issubdtype(x.dtype, np.floating) for x in zca.values())
    )


def _odd_values(arrays) -> Iterator[str]:
    """Yields what is wrong with finite values. A label row that is all zeros marks padding, but not of a whole class."""
    labels, names = arrays["labels"].astype(np.float32), arrays["class_names"]
    if not (arrays["std"].astype(np.float32) > 0).all():
        yield "std has a deviation of 0 or below"
    if labels.min() < 0:
        yield f"labels go down to {labels.min():.3g}"
    totals = labels.sum(1)
    wrong = totals[(totals != 0) & (np.abs(totals - 1) > _TOLERANCE)]
    if wrong.size:
        yield f"labels of an image sum to {wrong[0]:.3g} instead of one"
    empty = np.flatnonzero(~totals.reshape(len(names), -1).any(1))
    if empty.size:
        yield f"no image of class {str(names[empty[0]])!r} has a label"


def _odd_meta(meta) -> Iterator[str]:
    """Yields what is wrong with `meta`, the next only if the one before is right."""
    if not isinstance(meta, dict):
        yield "its meta is no JSON object of at most 20 levels"
    if meta.get("format") != FORMAT:
        yield f"its format is {_short(meta.get('format'))}"
    yield from odd_notes(meta)


def odd_notes(meta: dict[str, Any]) -> Iterator[str]:
    """Yields what is wrong with the facts that a set notes of itself, the next only if the one before is right."""
    for name in _DICTS:
        if not isinstance(meta.get(name, {}), dict):
            yield f"its {name} is {_short(meta[name])} instead of facts by name"
    for name in _TEXTS:
        if not isinstance(meta.get(name, ""), str):
            yield f"its {name} is {_short(meta[name])} instead of a text"
    network = meta.get("recipe", {}).get("network", {})
    if not isinstance(network, dict):
        yield f"the network of its recipe is {_short(network)} instead of facts by name"
    for name, value in (("ipc", meta.get("ipc", 1)), ("width", network.get("width", 1))):
        if type(value) is not int or not 1 <= value <= _COUNTS[name]:
            yield f"its {name} is {_short(value)} instead of an integer from 1 to {_COUNTS[name]}"


def _short(value):
    return repr(value)[:60]
