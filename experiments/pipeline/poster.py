"""Draws a whole training set beside the condensed images that stand for it."""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dcjax.files import writing
from experiments.pipeline.lettering import font

WIDTH = 1200  # pixels
_SHARE = 0.38  # of the width: about the height of the training images
_LINE, _GAP, _LETTERS = 32, 4, 20


def poster(path: Path, training: np.ndarray, condensed: np.ndarray, captions: tuple[str, str]) -> None:
    """Draws all training images, as small as they must be, and below them the condensed ones in rows.

    Args:
        path: file of the PNG.
        training: images [N, H, W, C] of uint8.
        condensed: pixel-space images [T, H, W, C]; values outside [0, 1] are clipped.
        captions: what is written above either.
    """
    parts = [_mosaic(training), _rows(np.clip(condensed, 0, 1))]
    height = sum(part.height + _LINE for part in parts) + _GAP
    canvas, top = Image.new("RGB", (WIDTH, height), "white"), 0
    draw = ImageDraw.Draw(canvas)
    for part, caption in zip(parts, captions):
        draw.text((0, top + 2), caption, "black", font(_LETTERS))
        canvas.paste(part, (0, top + _LINE))
        top += part.height + _LINE + _GAP
    with writing(path) as temporary:
        is_grey = training.shape[-1] == 1
        (canvas.convert("L") if is_grey else canvas).save(temporary, "PNG", optimize=True)


def _mosaic(images):
    """Lays out images that are made smaller, so that all of them have room; left to right, then downwards."""
    side = max(round(math.sqrt(_SHARE * WIDTH * WIDTH / len(images))), 1)
    columns = WIDTH // side
    rows = -(-len(images) // columns)
    tiles = np.full((rows * columns, side, side, 3), 255, np.uint8)
    tiles[: len(images)] = _shrunk(images, side)
    return Image.fromarray(_joined(tiles.reshape(rows, columns, side, side, 3)))


def _shrunk(images, side):
    """Makes images [N, H, W, C] smaller or larger by the mean over what a pixel covers, [N, side, side, 3]."""
    weights = [_coverage(length, side) for length in images.shape[1:3]]
    small = np.concatenate([np.einsum("ih,nhwc,jw->nijc", weights[0], part, weights[1]) for part in _parts(images)])
    return np.repeat(small, 3, -1).round().astype(np.uint8) if images.shape[-1] == 1 else small.round().astype(np.uint8)


def _parts(images):
    return (images[begin : begin + 1000].astype(np.float32) for begin in range(0, len(images), 1000))


def _coverage(length, side):
    """Makes the matrix [side, length] of the share that each old pixel has in a new one."""
    edges = np.arange(side + 1) * length / side
    low, high = edges[:-1, None], edges[1:, None]
    old = np.arange(length)
    return np.clip(np.minimum(high, old + 1) - np.maximum(low, old), 0, None).astype(np.float32) * side / length


def _rows(images):
    """Lays condensed images out in rows of at most ten, each over the whole width."""
    columns = min(len(images), 10)
    side = WIDTH // columns - _GAP
    pixels = np.round(255 * (images if images.shape[-1] == 3 else np.repeat(images[..., :1], 3, -1))).astype(np.uint8)
    rows = -(-len(images) // columns)
    canvas = Image.new("RGB", (WIDTH, rows * (side + _GAP)), "white")
    for i, image in enumerate(pixels):
        tile = Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(tile, (i % columns * (side + _GAP), i // columns * (side + _GAP)))
    return canvas


def _joined(tiles):
    rows, columns, height, width, channels = tiles.shape
    return tiles.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
