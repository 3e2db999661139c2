"""Makes more images from the same bytes: IDC's multi-formation (Kim et al., ICML 2022, arXiv:2205.14959)."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dcjax.base import Batch, InputError, Parameterization
from dcjax.parameterizations._pixels import Start, class_labels, first_images, pixels

_GREY = 0.5  # what fills up a grid


def from_mixed(factor: int) -> Start:
    """Starts with a real image of its own, made smaller, in every cell of a `factor` x `factor` grid (IDC's "mix").

    As published, an image is made smaller by leaving out rows and columns. What `multi_formation` decodes are then those images,
    upsampled. Where the factor does not divide a side, the last cell is smaller. The start takes `factor`^2 `ipc` real images of
    every class; at factor 1 it is `from_real`.
    """

    def start(key, real, ipc):
        del key
        chosen = first_images(real, factor**2 * ipc, f"factor^2 ipc = {factor**2 * ipc}")
        cells = chosen.reshape(chosen.shape[0], factor, factor, ipc, *chosen.shape[2:])
        heights, widths = (_cell_sizes(side, factor) for side in chosen.shape[2:4])
        rows = [
            jnp.concatenate([_thinned(cells[:, i, j], height, width) for j, width in enumerate(widths)], 3)
            for i, height in enumerate(heights)
        ]
        return jnp.concatenate(rows, 2)

    return start


def _cell_sizes(side, factor):
    """Gives the sizes of the cells along one side, as `_cut` cuts it."""
    cell = -(-side // factor)
    return [min(cell, side - i * cell) for i in range(factor)]


def _thinned(image, height, width):
    """Takes some rows and columns of images [K, M, H, W, C], evenly spaced from the first."""
    rows, columns = (np.arange(count) * side // count for count, side in zip((height, width), image.shape[2:4]))
    return image[:, :, rows][:, :, :, columns]


def multi_formation(ipc: int, factor: int, start: Start | None = None) -> Parameterization:
    """Learns images that are grids of `factor` x `factor` smaller ones (IDC's own).

    Cut along the grid and upsampled bilinearly to the full size, [K, ipc, H, W, C] decodes to `factor`^2 `ipc` images of each
    class from the same bytes; the grid cell is the outer index, row by row. Where the factor does not divide a side, grey
    (0.5, so keep such images `in_pixel_space`) is added at its end. At factor 1 it is `pixels`.

    Args:
        ipc: stored images per class, at least 1.
        factor: cells along each side; at most half the side, so that a cell has two pixels.
        start: makes the stored images to begin with; `from_mixed(factor)` as in IDC when None.
    """
    return _formation(ipc, ((factor, slice(None)),), start)


def multi_scale_formation(ipc: int, factor: int, start: Start | None = None) -> Parameterization:
    """Decodes as `multi_formation` does at every factor from 1 to `factor`, in this order (IDC's alternative)."""
    return _formation(ipc, tuple((f, slice(None)) for f in range(1, factor + 1)), start)


def bounded_formation(ipc: int, factor: int, bound: int, start: Start | None = None) -> Parameterization:
    """Decodes at most `bound` images of each class, where there would be too many otherwise (IDC's alternative).

    The bound is for condensation, where it saves memory. IDC's program evaluates what was learned under it with every image cut, which is
    what `multi_formation(ipc, factor)` decodes it to.

    From `factor` down, n = (places left - images left) // `f`^2 of the images left are cut into `f` x `f`, as published. That keeps
    a place for every image, and an image that is cut does not use its own: some of the bound may stay empty.

    Args:
        ipc: stored images per class, at least 1.
        factor: cells along each side, at most.
        bound: decoded images per class, at least `factor`^2 and at least `ipc`.
        start: as in `multi_formation`.
    """
    if bound < max(factor**2, ipc):
        raise InputError(
            f"A bound of {bound} decoded images per class is too small: give at least {max(factor**2, ipc)}, what one image "
            f"of {factor} x {factor} cells or {ipc} uncut ones make."
        )
    groups, done, room = [], 0, bound  # room: decoded images that there is still place for
    for f in range(factor, 0, -1):
        left = ipc - done
        count = left if f == 1 else min((room - left) // f**2, left)
        groups.append((f, slice(done, done + count)))
        done, room = done + count, room - count * f**2
    return _formation(ipc, tuple(group for group in groups if group[1].start < group[1].stop), start)


def _formation(ipc, groups, start):
    """Decodes parts of the stored images, each with a factor of its own: groups of (factor, slice of the stored images)."""
    if not groups or groups[0][0] < 1:
        raise InputError("The factor of a multi-formation is the number of cells along a side and at least 1.")
    stored = pixels(ipc, start or from_mixed(max(factor for factor, _ in groups)))

    def init(key, real):
        for factor, _ in groups:
            check_sides(real.image.shape[2:4], factor)
        return stored.init(key, real)

    def decode(syn):
        image = jnp.concatenate([_cells(syn["image"][:, part], factor) for factor, part in groups], 1)
        return Batch(image, class_labels(*image.shape[:2]))

    return Parameterization(init, decode)


def check_sides(sides: Sequence[int], factor: int) -> None:
    """Refuses images one of whose sides has no two pixels for every cell, the last of which may be smaller but not empty."""
    for side in sides:
        cell = -(-side // factor)
        if factor > 1 and (cell < 2 or (factor - 1) * cell >= side):
            raise InputError(
                f"Images of side {side} cannot be cut into {factor} cells of at least two pixels along it: take a smaller factor."
            )


def _cells(image, factor):
    """Cuts all stored images: [K, M, H, W, C] -> [K, factor^2 M, H, W, C], the cell outermost."""
    cut = jax.vmap(jax.vmap(functools.partial(_cut, factor=factor)), 1, 2)  # over the stored images, under the cell
    return cut(image).reshape(image.shape[0], -1, *image.shape[2:])


def _cut(image, factor):
    """Cuts one image [H, W, C] into its cells and upsamples them, [factor^2, H, W, C]."""
    *sides, channels = image.shape
    height, width = (-(-side // factor) for side in sides)
    margins = ((0, factor * height - sides[0]), (0, factor * width - sides[1]), (0, 0))
    grid = jnp.pad(image, margins, constant_values=_GREY).reshape(factor, height, factor, width, channels)
    cells = grid.transpose(0, 2, 1, 3, 4).reshape(-1, height, width, channels)
    return jax.image.resize(cells, (factor**2, *image.shape), "bilinear")
