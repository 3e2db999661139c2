"""Draws the condensed images of a run: pixel by pixel, enlarged without smoothing, each class beside its name."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

import dcjax as dc
from dcjax.files import writing
from experiments.pipeline.lettering import LETTER, font, legible, wrapped

TILE = 100  # pixels that the longer side of an image takes at least ...
_LARGEST = 1024  # ... and at most
_MOST_PIXELS = 2**24  # of a block, which takes a second to write
_COLUMNS, _FEWEST_COLUMNS, _ROWS = 20, 5, 100
_GAP, _NAMES, _LINE, _LINES = (
    4,
    150,
    18,
    3,
)  # pixels between images, for names beside them and for a line; lines of a name


class Block(NamedTuple):
    """Some images of a picture, [rows, columns, H, W, C] of uint8, with what stands beside them."""

    tiles: np.ndarray
    names: tuple[str, ...]  # of the rows; where there is one row, of the columns; or none
    notes: tuple[str, ...]  # what is not shown


def image_grid(path: Path, images: np.ndarray, class_names: Sequence[str], stored: np.ndarray | None = None) -> None:
    """Draws pixel-space images [K, M, H, W, C], and above them what they were decoded from, if that is given.

    A class has a row; at one image per class, all classes stand side by side. Values outside [0, 1] are clipped. Of very many or
    very large images some are shown, or some of their pixels, and the picture says so.

    Args:
        path: file of the PNG.
        images: what is decoded.
        class_names: names of the classes; a class whose name the font cannot write goes by its number.
        stored: what is stored, in pixel space, [K, m, h, w, C]; or [1, b, h, w, C] of images that all classes share.
    """
    blocks = {"": of_classes(images, class_names)}
    if stored is not None:
        of_each = of_classes if len(stored) == len(images) else shared
        blocks = {"stored": of_each(stored, class_names), "decoded": blocks[""]}
    parts = [_drawn(title, block) for title, block in blocks.items()]
    canvas = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    with writing(path) as temporary:
        canvas.save(temporary, "PNG")


def what_is_stored(syn: dc.Syn, images: np.ndarray, to_pixels: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """Gives what a set stores as images, [K, m, h, w, C] or [1, b, h, w, C]; None where its images are stored as they are.

    Args:
        syn: what was learned.
        images: what is decoded of it, in pixel space.
        to_pixels: brings stored images to pixel space. Bases of a memory are no images: each is stretched to its own range.
    """
    if "bases" in syn:
        bases = np.concatenate([np.asarray(syn[name]) for name in ("known", "bases") if name in syn])
        return _stretched(bases)[None]
    kept = np.asarray(syn["image"]) if "image" in syn else images
    if kept.shape == images.shape:
        return None
    return to_pixels(kept) if kept.shape[2:] == images.shape[2:] else _stretched(kept)


def _stretched(images):
    low, high = (extreme(images, axis=(-3, -2, -1), keepdims=True) for extreme in (np.min, np.max))
    return (images - low) / np.maximum(high - low, 1e-12)


def of_classes(images: np.ndarray, class_names: Sequence[str]) -> Block:
    """Lays images [K, M, H, W, C] out: a row per class, or all classes in rows of twenty at one image each."""
    names, notes = tuple(map(legible, range(len(class_names)), class_names)), []
    scaled_pixels = _tile_pixels(images.shape[2:4])
    columns = min(images.shape[1], _COLUMNS)
    while columns > _FEWEST_COLUMNS and columns * min(len(images), _ROWS) * scaled_pixels > _MOST_PIXELS:
        columns = max(columns // 2, _FEWEST_COLUMNS)
    most = min(_ROWS, max(_MOST_PIXELS // (columns * scaled_pixels), 1))
    chosen = np.linspace(0, len(images) - 1, min(len(images), most)).round().astype(int)
    if len(chosen) < len(images):
        notes.append(f"{len(chosen)} of {len(images)} classes")
    if columns < images.shape[1]:
        notes.append(f"the first {columns} of {images.shape[1]} images of each")
    tiles, smaller = _scaled(images[chosen, :columns])
    names = tuple(names[k] for k in chosen)
    tiles = tiles.swapaxes(0, 1) if columns == images.shape[1] == 1 else tiles
    return Block(tiles, names, (*notes, *smaller))


def shared(images: np.ndarray, class_names: Sequence[str]) -> Block:
    """Lays images [1, b, h, w, C] out that all classes share: in one row, without names."""
    del class_names
    most = max(min(5 * _COLUMNS, _MOST_PIXELS // _tile_pixels(images.shape[2:4])), 1)
    tiles, smaller = _scaled(images[:, :most])
    left = (f"the first {most} of {images.shape[1]}",) if most < images.shape[1] else ()
    return Block(tiles, (), (*left, *smaller))


def _factors(shape):
    """Gives by how much images [H, W] are enlarged, and of how many of their pixels one is shown."""
    longer = max(shape)
    return math.ceil(TILE / longer), math.ceil(longer / _LARGEST)


def _tile_pixels(shape):
    larger, smaller = _factors(shape)
    return math.prod(-(-side // smaller) * larger for side in shape)


def _scaled(images):
    """Makes bytes of images [.., H, W, C] of up to three channels, every pixel a square of as many."""
    larger, smaller = _factors(images.shape[2:4])
    shown = np.clip(images[:, :, ::smaller, ::smaller], 0, 1)
    shown = shown[..., :3] if shown.shape[-1] >= 3 else np.repeat(shown[..., :1], 3, -1)
    shown = np.round(255 * shown).astype(np.uint8).repeat(larger, 2).repeat(larger, 3)
    note = f"one pixel of {smaller} along each side of images of {images.shape[2]}x{images.shape[3]}"
    return shown, (note,) if smaller > 1 else ()


def _drawn(title, block):
    """Draws a block with its title, names and notes."""
    across = len(block.tiles) == 1
    tiles = (
        _in_rows(block)
        if across
        else [(block.tiles[k : k + 1], block.names[k : k + 1]) for k in range(len(block.tiles))]
    )
    height, width = (side + _GAP for side in block.tiles.shape[2:4])
    written = {name: wrapped(name, width if across else _NAMES) for name in block.names}
    left, under = _room(written.values(), across)
    above = _LINE + _GAP if title else 0
    size = left + width * tiles[0][0].shape[1], above + (height + under) * len(tiles) + _LINE * bool(block.notes)
    notes = "; ".join(block.notes)
    canvas = Image.new("RGB", (max(size[0], int(LETTER * len(notes))), size[1]), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((0, 0), title, "black", font())
    for row, (images, names) in enumerate(tiles):
        top = above + row * (height + under)
        for i, image in enumerate(images[0]):
            canvas.paste(Image.fromarray(image), (left + i * width, top))
        for i, name in enumerate(names):
            at = (i * width, top + height) if across else (0, top + height // 2 - _LINE)
            draw.multiline_text(at, "\n".join(written[name]), "black", font(), spacing=1)
    draw.text((0, size[1] - _LINE), notes, "black", font())
    return canvas


def _room(names, across):
    """Gives the pixels that names take beside the images, and below them: some lines each."""
    lines, letters = (max(map(of, names), default=0) for of in (len, lambda lines: max(map(len, lines))))
    return (0, _LINE * lines) if across else (math.ceil(LETTER * (letters + 1)), 0)


def _in_rows(block):
    """Breaks one long row into several of equal length."""
    count = block.tiles.shape[1]
    length = -(-count // -(-count // _COLUMNS))
    return [(block.tiles[:, i : i + length], block.names[i : i + length]) for i in range(0, count, length)]
