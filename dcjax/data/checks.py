"""Checks images, labels and names of classes that somebody gives as arrays."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from dcjax.base import InputError

_MOST_CLASSES = 2**31


def class_list(names: Any) -> tuple[str, ...]:
    """Gives the names of classes as texts, or says in one sentence why they are none."""
    array = _array(names, "Class names")
    if array.ndim != 1 or not array.size:
        raise InputError(f"Class names must be a list, one a class, not of shape {array.shape}.")
    texts = tuple(map(str, array))
    twice = repeated(texts)
    if twice is not None:
        raise InputError(f"Two classes have the name {twice!r}: give every class a name of its own.")
    return texts


def repeated(names: Sequence[str]) -> str | None:
    """Finds a name that is there twice; None if all differ."""
    in_order = sorted(names)
    return next((one for one, other in itertools.pairwise(in_order) if one == other), None)


def check(image: Any, label: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gives uint8 images [T, H, W, C] and int labels [T], or says in one sentence what is wrong."""
    image, label = _array(image, "Images"), _array(label, "Labels")
    image = image[..., None] if image.ndim == 3 else image
    if image.ndim != 4 or image.shape[-1] not in (1, 3) or not len(image):
        raise InputError(f"Images must be [T, H, W] or [T, H, W, C] with 1 or 3 channels, not {image.shape}.")
    if not image.size:
        raise InputError(f"Images must be at least one pixel high and wide, not {image.shape[1]} by {image.shape[2]}.")
    if label.shape != image.shape[:1] or not np.issubdtype(label.dtype, np.integer):
        raise InputError(
            f"Labels must be {len(image)} integers from 0, one an image, not {label.dtype} of shape {label.shape}."
        )
    if label.min() < 0 or label.max() > _MOST_CLASSES:
        raise InputError(f"Labels must count classes from 0, but go from {label.min()} to {label.max()}.")
    return _bytes(image), label.astype(np.int64)


def _array(given, what):
    try:
        return np.asarray(given)
    except (ValueError, TypeError):  # lists of several lengths
        raise InputError(f"{what} must be an array, or lists of one length, but these make none.") from None


def _bytes(image):
    """Gives images as uint8, from floats in [0, 1]."""
    if image.dtype == np.uint8:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"Images must be uint8, or finite floats in [0, 1], not {image.dtype}: convert them.")
    odd = int(np.sum(~np.isfinite(image).all((1, 2, 3))))
    if odd:
        raise InputError(f"Float images must be finite, but {odd} of {len(image)} hold NaN or infinity: repair them.")
    if image.min() < 0 or image.max() > 1:
        raise InputError(f"Float images must lie in [0, 1], but go from {image.min():.3g} to {image.max():.3g}.")
    return np.round(image * 255).astype(np.uint8)
