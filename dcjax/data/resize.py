"""Brings images to one square size, within limits, and to one number of channels."""

import math
from typing import Any

import numpy as np
import psutil

from dcjax.base import InputError

SMALLEST, LARGEST = 4, 4096  # pixels along a side that images can be resized to
_LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue, as television weighs them


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


def recoloured(images: np.ndarray, channels: int | None) -> np.ndarray:
    """Gives uint8 images [T, H, W, C] in 1 channel, as their luminance, or in 3 equal ones; as they are when None."""
    if channels not in (None, 1, 3):
        raise InputError(f"Images have 1 channel or 3, not {channels}.")
    if channels in (None, images.shape[-1]):
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    return np.round(images @ np.array(_LUMINANCE, np.float32)).astype(np.uint8)[..., None]
