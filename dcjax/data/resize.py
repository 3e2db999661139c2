"""Brings images to one square size, within limits."""

import math
from typing import Any

import numpy as np
import psutil

from dcjax.base import InputError

SMALLEST, LARGEST = 4, 4096  # pixels along a side that images can be resized to


def check_size(size: int | None) -> None:
    """Refuses a size that images are not resized to; None leaves them as they are."""
    if size is not None and not SMALLEST <= size <= LARGEST:
        raise InputError(f"The image size is in pixels, at most {LARGEST} and at least {SMALLEST}, not {size}.")


def check_memory(count: int, shape: tuple[int, ...]) -> None:
    """Refuses more images [H, W, C] of bytes than this machine has memory for."""
    needed, there = count * math.prod(shape), psutil.virtual_memory().total
    if needed > there:
        raise InputError(
            f"{count} images of {'x'.join(map(str, shape))} take {needed / 2**30:.0f} GiB, but this machine has "
            f"{there / 2**30:.0f} GiB of memory: give fewer, or a smaller --image-size."
        )


def resized(image: Any, size: int) -> np.ndarray:
    """Crops the centre to a square and resizes it to `size` pixels a side; takes and gives uint8 [H, W, C]."""
    from PIL import Image, ImageOps

    image = np.asarray(image)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    fitted = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(fitted).reshape(size, size, image.shape[-1])
