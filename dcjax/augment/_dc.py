"""Makes the augmentations of DC's own evaluation (Zhao et al., ICLR 2021, arXiv:2006.05929).

What comes into view takes the image's own mean, unless a `fill` is given; the published code takes the mean over the mini-batch, as
`dc_digits_batch` does.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dcjax.augment._combinators import one_of
from dcjax.base import Array, Augmentation


def dc_crop(pixels: int, fill: Array | None = None) -> Augmentation:
    """Shifts an image by -`pixels` to `pixels` - 1 on each axis.

    Args:
        pixels: the farthest that it is shifted.
        fill: a value for every channel, [C], of what comes into view; the image's own means when None.
    """

    def draw(key):
        start = jax.random.randint(key, (2,), 0, 2 * pixels)

        def apply(image):
            height, width, channels = image.shape
            value = image.mean((0, 1)) if fill is None else fill
            canvas = jnp.broadcast_to(value, (height + 2 * pixels, width + 2 * pixels, channels))
            padded = lax.dynamic_update_slice(canvas, image, (pixels, pixels, 0))
            return lax.dynamic_slice(padded, (start[0], start[1], 0), image.shape)

        return apply

    return draw


def dc_scale(amount: float) -> Augmentation:
    """Resizes each axis of an image by its own factor in 1 -/+ `amount` (nearest pixel), kept centred, zeros outside."""

    def draw(key):
        factor = jax.random.uniform(key, (2,), minval=1 - amount, maxval=1 + amount)

        def apply(image):
            sizes = (factor * np.array(image.shape[:2], np.float32)).astype(int)
            canvas = jnp.maximum(sizes.max(), max(image.shape[:2]))
            rows, columns = (_resized_indices(n, size, canvas) for n, size in zip(image.shape[:2], sizes))
            inside = (rows >= 0)[:, None, None] & (columns >= 0)[None, :, None]
            return jnp.where(inside, image[rows][:, columns], 0)

        return apply

    return draw


def _resized_indices(length, size, canvas):
    """Tells where each pixel of an axis reads, for `length` pixels resized to `size` in the middle of `canvas`; -1 outside."""
    place = jnp.arange(length) + (canvas - length) // 2 - (canvas - size) // 2
    return jnp.where((place >= 0) & (place < size), place * length // size, -1)


def dc_rotate(degrees: int, fill: Array | None = None) -> Augmentation:
    """Turns an image by a whole number of degrees from -`degrees` to `degrees` - 1, by cubic splines.

    It turns about its centre, or half a pixel beside it where the published program has it so (see `_turns`).

    Args:
        degrees: the farthest that it is turned.
        fill: the value of points outside the image; the mean over all its values when None.
    """

    def draw(key):
        number = jax.random.randint(key, (), -degrees, degrees) + degrees
        return lambda image: _turned(image, jnp.asarray(_turns(degrees, *image.shape[:2]), jnp.float32)[number], fill)

    return draw


def _turns(degrees, height, width):
    """Describes the published rotation by each angle from -`degrees` to `degrees`, [2 `degrees` + 1, 4].

    Each is a cosine, a sine, and the rows and columns by which the centre is off. The published program turns an image onto a canvas
    that holds all of it (`scipy.ndimage.rotate`) and cuts out the middle, rounded towards the top left: half a pixel beside the
    centre where the canvas is longer by an odd number.
    """
    angle = np.deg2rad(np.arange(-degrees, degrees + 1))
    cosine, sine = np.cos(angle), np.sin(angle)
    canvas = np.abs(cosine) * [[height], [width]] + np.abs(sine) * [[width], [height]]
    longer = (canvas + 0.5).astype(int) - [[height], [width]]
    return np.stack([cosine, sine, *np.fmod(longer, 2) / 2], 1)


def _turned(image, turn, fill=None):
    rows, columns = _turned_places(turn, *image.shape[:2])
    return _spline_sample(image, rows, columns, image.mean() if fill is None else fill)


def _turned_places(turn, height, width):
    """Tells at which row and column, [H, W] each, the pixels of an image that makes a turn are read."""
    cosine, sine, up, left = turn
    y, x = np.arange(height)[:, None] - (height - 1) / 2 - up, np.arange(width)[None, :] - (width - 1) / 2 - left
    return cosine * y + sine * x + (height - 1) / 2, cosine * x - sine * y + (width - 1) / 2


def _spline_sample(image, rows, columns, fill):
    """Reads [H, W, C] at fractional coordinates [H, W] by cubic B-splines with mirrored edges; `fill` outside."""
    height, width, _ = image.shape
    coefficients = jnp.einsum("ij,kl,jlc->ikc", _spline_filter(height), _spline_filter(width), image)
    (row_taps, row_weights), (column_taps, column_weights) = (
        _spline_taps(place, size) for place, size in ((rows, height), (columns, width))
    )
    sampled = sum(  # term by term: all taps at once would be an array 16 times the image
        coefficients[row, column] * (row_weight * column_weight)[..., None]
        for row, row_weight in zip(row_taps, row_weights)
        for column, column_weight in zip(column_taps, column_weights)
    )
    inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
    return jnp.where(inside[..., None], sampled, fill)


def _spline_filter(size):
    """Makes the matrix [size, size] from samples to the coefficients of the cubic B-spline that passes through them."""
    basis = np.diag(np.full(size, 4 / 6)) + np.diag(np.full(size - 1, 1 / 6), 1) + np.diag(np.full(size - 1, 1 / 6), -1)
    basis[0, 1] = basis[-1, -2] = 2 / 6
    return np.linalg.inv(basis).astype(np.float32)


def _spline_taps(place, size):
    """Gives the four mirrored indices around each place, and their weights: both [4, *place.shape]."""
    base = jnp.floor(place)
    t = place - base
    weights = jnp.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    taps = jnp.stack([base + offset for offset in (-1, 0, 1, 2)]).astype(int)
    return jnp.abs(size - 1 - jnp.abs(size - 1 - taps)), weights


def dc_digits() -> Augmentation:
    """Applies one of crop (4 pixels), scale (0.2) and rotate (45 degrees), as DC's evaluation does to digits."""
    return one_of((dc_crop(4), dc_scale(0.2), dc_rotate(45)))


def dc_crop_noise() -> Augmentation:
    """Applies one of crop (4 pixels) and noise (0.001), as DC's evaluation does where a network has batch norm."""
    return one_of((dc_crop(4), dc_noise(0.001)))


def dc_noise(deviation: float) -> Augmentation:
    """Adds normal noise of this standard deviation to every value."""

    def draw(key):
        numbers, kind = jax.random.key_data(key), jax.random.key_impl(key)  # used again for every image of the draw

        def add(image):
            noise = jax.random.normal(jax.random.wrap_key_data(numbers, impl=kind), image.shape, image.dtype)
            return image + deviation * noise

        return add

    return draw
