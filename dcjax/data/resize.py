"""Brings an image to one square size."""

from typing import Any

import numpy as np


def resized(image: Any, size: int) -> np.ndarray:
    """Crops the centre to a square and resizes it to `size` pixels a side; takes and gives uint8 [H, W, C]."""
    from PIL import Image, ImageOps

    image = np.asarray(image)
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    fitted = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(fitted).reshape(size, size, image.shape[-1])
