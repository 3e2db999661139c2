"""Draws condensed images as PNGs within the page."""

import base64
import io
from typing import NamedTuple

import numpy as np
import PIL.Image

import dcjax as dc
from experiments.report import words

SHOWN = 10  # images of a class
_COLUMNS = 5
_SIDE = 64  # pixels on the screen, about; an image alone has more
_SIDE_ALONE = 96
_MOST = 512  # pixels of an image that are shown along each side


class Picture(NamedTuple):
    """A PNG and the size it is shown at, in pixels of the screen."""

    uri: str
    width: int
    height: int
    alt: str
    label: str


def by_class(condensed: dc.Condensed, kind: str) -> list[Picture]:
    """Draws a picture for every class, with its first images side by side.

    Args:
        condensed: the set; pixels outside [0, 1] are clipped, and of large images some rows and columns left out.
        kind: what the images are, `condensed` or `chosen`.
    """
    images = condensed.pixels[:, :SHOWN]
    smaller = -(-max(images.shape[2:4]) // _MOST)
    images = images[:, :, ::smaller, ::smaller]
    count = images.shape[1]
    scale = max(1, round((_SIDE_ALONE if count == 1 else _SIDE) / images.shape[2]))
    pictures = []
    for name, group in zip(condensed.class_names, images):
        mosaic = _mosaic(_bytes(group))
        alt = f"{words.count(count, f'{kind} image')} of class {name}"
        height, width = (scale * side for side in mosaic.shape[:2])
        pictures.append(Picture(uri(_png(mosaic)), width, height, alt, name))
    return pictures


def whole(png: bytes, alt: str, label: str = "") -> Picture:
    """Gives a picture that a run left, as it is."""
    width, height = PIL.Image.open(io.BytesIO(png)).size
    return Picture(uri(png), width, height, alt, label)


def uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _bytes(images):
    """Turns pixels [M, H, W, C] into opaque colours [M, H, W, 4]; one channel is grey, of more the first three are shown."""
    colours = np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
    colours = colours[..., :3] if colours.shape[-1] >= 3 else np.repeat(colours[..., :1], 3, -1)
    return np.concatenate([colours, np.full_like(colours[..., :1], 255)], -1)


def _mosaic(images):
    """Puts images [M, H, W, 4] in rows of five, with clear gaps between them."""
    count, height, width, _ = images.shape
    gap = max(1, height // 16)
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    canvas = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for i, image in enumerate(images):
        y, x = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[y : y + height, x : x + width] = image
    return canvas


def _png(colours):
    file = io.BytesIO()
    PIL.Image.fromarray(colours).save(file, "PNG", optimize=True)
    return file.getvalue()
