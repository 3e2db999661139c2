"""Makes differentiable siamese augmentation (Zhao & Bilen, ICML 2021, arXiv:2102.08259).

Every operator draws u, uniform in [0, 1) (one u or, where the axes differ, one for height and one for width), and is then
differentiable in the image [H, W, C]. Coordinates run from -1 to 1 from edge to edge of the image, so `rotate` turns them
as published also where the image is not square.
"""

import functools
import math
from collections.abc import Callable, Collection

import jax
import jax.numpy as jnp
from jax import lax

from dcjax.augment._combinators import chain, one_of
from dcjax.base import Array, Augmentation, InputError


def brightness(amount: float = 1.0) -> Augmentation:
    """Adds (u - 1/2) `amount` to every value."""
    return _drawn(lambda u, image: image + (u - 0.5) * amount)


def saturation(amount: float = 2.0) -> Augmentation:
    """Multiplies each pixel's distance to its mean over channels by u `amount`."""
    return _drawn(lambda u, image: _stretch(u * amount, image, _grey(image)))


def _grey(image):
    """Puts each pixel's mean over channels into every channel, by sums of rolls: a CPU is slow at reducing three neighbours."""
    channels = image.shape[-1]
    return sum(jnp.roll(image, i, -1) for i in range(channels)) / channels


def contrast(amount: float = 0.5) -> Augmentation:
    """Multiplies the distance to the mean over the whole image by u + `amount`."""
    return _drawn(lambda u, image: _stretch(u + amount, image, image.mean(keepdims=True)))


def color() -> Augmentation:
    """Applies brightness, saturation and contrast, one after the other."""
    return chain((brightness(), saturation(), contrast()))


def crop(ratio: float = 0.125) -> Augmentation:
    """Shifts an image by whole pixels, at most `ratio` of the side (rounded) on each axis; zeros come into view."""

    def apply(u, image):
        margin = [_rounded(size * ratio) for size in image.shape[:2]]
        start = [_integer(u, 2 * m + 1) for u, m in zip(u, margin)]
        padded = jnp.pad(image, [*((m, m) for m in margin), (0, 0)])
        return lax.dynamic_slice(padded, (*start, 0), image.shape)

    return _drawn(apply, (2,))


def cutout(ratio: float = 0.5) -> Augmentation:
    """Puts zeros on a box whose sides are `ratio` of the image's (rounded); up to half of a side may lie outside."""

    def apply(u, image):
        rows, columns = (_cut(u, size, _rounded(size * ratio)) for u, size in zip(u, image.shape))
        return jnp.where((rows[:, None] & columns[None])[..., None], 0, image)

    return _drawn(apply, (2,))


def _cut(u, size, side):
    """Makes a mask [size] of `side` neighbours whose middle is anywhere on the axis, its far end included if `side` is even."""
    place = jnp.arange(size) - (_integer(u, size + 1 - side % 2) - side // 2)
    return (place >= 0) & (place < side)


def flip(probability: float = 0.5) -> Augmentation:
    """Mirrors an image left and right if u < `probability`."""
    return _drawn(lambda u, image: jnp.where(u < probability, jnp.flip(image, 1), image))


def scale(ratio: float = 1.2) -> Augmentation:
    """Reads the image at coordinates multiplied, on each axis, by u (r - 1/r) + 1/r for the ratio r: bilinear, zeros outside."""

    def apply(u, image):
        factors = u * (ratio - 1 / ratio) + 1 / ratio
        places = (factor * _centred(size) + (size - 1) / 2 for factor, size in zip(factors, image.shape))
        weights = (_bilinear(place, size) for place, size in zip(places, image.shape))
        return jnp.einsum("ih,jw,hwc->ijc", *weights, image, precision="highest")

    return _drawn(apply, (2,))


def _bilinear(place, size):
    """Makes the matrix [size, size] of every pixel's weight where an axis is read at each of `place`."""
    return jnp.maximum(0, 1 - jnp.abs(place[:, None] - jnp.arange(size)[None]))


def rotate(degrees: float = 15.0) -> Augmentation:
    """Reads the image at (x cos t - y sin t, x sin t + y cos t), t = (2u - 1) `degrees`: bilinear, zeros outside."""

    def apply(u, image):
        angle = jnp.deg2rad((2 * u - 1) * degrees)
        height, width, _ = image.shape
        y, x = _centred(height)[:, None], _centred(width)[None]
        rows = y * jnp.cos(angle) + x * jnp.sin(angle) * (height / width) + (height - 1) / 2
        columns = x * jnp.cos(angle) - y * jnp.sin(angle) * (width / height) + (width - 1) / 2
        read = functools.partial(jax.scipy.ndimage.map_coordinates, coordinates=[rows, columns], order=1)
        return jax.vmap(read, -1, -1)(image)

    return _drawn(apply)


DSA_OPERATORS = (color, crop, cutout, flip, scale, rotate)


def dsa(without: Collection[Callable] = ()) -> Augmentation:
    """Applies one of DSA's six operators, as strong as published, chosen uniformly at each draw.

    Args:
        without: operators to leave out, such as `(cutout,)`: the functions themselves. For other strengths write
            `one_of((color(), crop(0.25), ...))`.
    """
    return one_of(operators_of_dsa(without))


def operators_of_dsa(without: Collection[Callable]) -> list[Augmentation]:
    """Makes the operators of which `dsa` applies one."""
    if unknown := [operator for operator in without if operator not in DSA_OPERATORS]:
        names = ", ".join(operator.__name__ for operator in DSA_OPERATORS)
        raise InputError(f"dsa can leave out {names} (the functions, not called), but was given {unknown}.")
    return [operator() for operator in DSA_OPERATORS if operator not in without]


def dsa_digits() -> Augmentation:
    """Applies DSA for MNIST and SVHN, without `flip` because a mirrored digit is no digit."""
    return dsa(without=(flip,))


def _drawn(apply: Callable[[Array, Array], Array], shape: tuple[int, ...] = ()) -> Augmentation:
    """Makes an augmentation of `apply(u, image)`, with u uniform in [0, 1) of this shape."""
    return lambda key: functools.partial(apply, _uniform(key, shape))


def _uniform(key, shape):
    return jax.random.uniform(key, shape)


def _stretch(factor, image, middle):
    return middle + factor * (image - middle)


def _integer(u, count):
    """Gives one of 0 to `count` - 1, all equally likely."""
    return jnp.floor(u * count).astype(int)


def _rounded(length):
    return math.floor(length + 0.5)


def _centred(size):
    return jnp.arange(size) - (size - 1) / 2
