"""Draws a whole training set beside the condensed images that stand for it."""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dcjax import InputError
from dcjax.files import writing
from experiments.pipeline.lettering import font

WIDTH = 1200  # pixels
_SHARE = 0.38  # of the width: about the height of all training images together
_LINE, _GAP, _LETTERS = 32, 4, 20
_SOME = 20  # training images that are shown large enough to be seen


def poster(path: Path, training: np.ndarray, condensed: np.ndarray, captions: tuple[str, str]) -> None:
    """Draws all training images, as small as they must be, some of them larger, and the condensed ones.

    Args:
        path: file of the PNG.
        training: images [N, H, W, C] of uint8, of one channel or three.
        condensed: pixel-space images [T, H, W, C]; values outside [0, 1] are clipped.
        captions: what is written above all training images and above the condensed ones.
    """
    if training.shape[-1] not in (1, 3):
        raise InputError(f"A poster is of grey or coloured images, but these have {training.shape[-1]} channels.")
    some = training[np.linspace(0, len(training) - 1, min(_SOME, len(training))).astype(int)]
    parts = {
        captions[0]: _mosaic(training),
        f"{len(some)} of them": _rows(some, len(some)),
        captions[1]: _rows(np.round(255 * np.clip(condensed, 0, 1)).astype(np.uint8), 10),
    }
    canvas = Image.new("RGB", (WIDTH, sum(part.height + _LINE + _GAP for part in parts.values())), "white")
    draw, top = ImageDraw.Draw(canvas), 0
    for caption, part in parts.items():
        draw.text((0, top + 2), caption, "black", font(_LETTERS))
        canvas.paste(part, (0, top + _LINE))
        top += part.height + _LINE + _GAP
    with writing(path) as temporary:
        (canvas.convert("L") if training.shape[-1] == 1 else canvas).save(temporary, "PNG", optimize=True)


def _mosaic(images):
    """Lays out all images, made smaller, left to right and then downwards."""
    width = max(round(math.sqrt(_SHARE * WIDTH * WIDTH / len(images))), 1)
    sides = _height(images, width), width
    columns = WIDTH // width
    rows = -(-len(images) // columns)
    tiles = np.full((rows * columns, *sides, images.shape[-1]), 255, np.uint8)
    tiles[: len(images)] = _shrunk(images, sides)
    joined = tiles.reshape(rows, columns, *tiles.shape[1:]).swapaxes(1, 2)
    return _picture(joined.reshape(rows * sides[0], columns * width, -1))


def _shrunk(images, sides):
    """Makes images [N, H, W, C] smaller or larger by the mean over what a pixel covers, [N, *sides, C]."""
    down, across = (_coverage(length, side) for length, side in zip(images.shape[1:3], sides))
    parts = (images[begin : begin + 1000].astype(np.float32) for begin in range(0, len(images), 1000))
    return np.concatenate([np.einsum("ih,nhwc,jw->nijc", down, part, across) for part in parts]).round()


def _coverage(length, side):
    """Makes the matrix [side, length] of the share that each old pixel has in a new one."""
    edges = np.arange(side + 1) * length / side
    old = np.arange(length)
    shared = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.clip(shared, 0, None).astype(np.float32) * side / length


def _rows(images: np.ndarray, most: int) -> Image.Image:
    """Lays images out in rows of at most so many, each row over the whole width, pixel by pixel."""
    columns = min(len(images), most)
    width = WIDTH // columns - _GAP
    height = _height(images, width)
    canvas = Image.new("RGB", (WIDTH, -(-len(images) // columns) * (height + _GAP)), "white")
    for i, image in enumerate(images):
        tile = _picture(image).resize((width, height), Image.Resampling.NEAREST)
        canvas.paste(tile, (i % columns * (width + _GAP), i // columns * (height + _GAP)))
    return canvas


def _height(images, width):
    """Gives the height of an image that is so wide."""
    return max(round(width * images.shape[1] / images.shape[2]), 1)


def _picture(image):
    return Image.fromarray(np.broadcast_to(image, (*image.shape[:2], 3)).astype(np.uint8))


def caption(count: int, name: str, score: dict | None) -> str:
    """Writes above images how many they are and, if it is known, what networks that were trained on them come to."""
    text = f"{count:,} {name}".replace(",", " ")
    if not score:
        return text
    spread = f" ± {score['std']:.1f}" if score.get("students", 1) > 1 else ""
    epochs = f" after {score['epochs']} epochs" if "epochs" in score else ""
    return f"{text}: networks trained on them reach {score['mean']:.1f}{spread} %{epochs} on the test images"
