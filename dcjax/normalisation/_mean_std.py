"""Defines what every normalisation has, and the plain one: a mean and a deviation for every channel."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from flax import struct


class Normalisation(Protocol):
    """Describes what every kind of normalisation has; images are [..., H, W, C]."""

    @property
    def channels(self) -> "MeanStd": ...  # the mean and deviation of every channel of the training set

    @property
    def description(self) -> str: ...  # for whoever trains on a set elsewhere

    @property
    def identity(self) -> tuple: ...  # differs where two normalisations of the same images do

    def apply(self, image: Any) -> Any: ...  # pixels -> what networks see

    def invert(self, image: Any) -> Any: ...  # what networks see -> pixels

    def stored(self) -> dict[str, np.ndarray]: ...  # what `restored` makes the same normalisation of


_PART = 2**26  # values that are measured together

Fit = Callable[[np.ndarray], Normalisation]  # pixels [T, H, W, C] in [0, 1] -> the normalisation measured on them


@struct.dataclass
class MeanStd:
    """Subtracts a mean from every channel and divides by a deviation; its numbers are constants of programs, not leaves."""

    mean: tuple[float, ...] = struct.field(pytree_node=False)  # per channel, of pixels in [0, 1]
    std: tuple[float, ...] = struct.field(pytree_node=False)

    @property
    def channels(self) -> "MeanStd":
        return self

    @property
    def description(self) -> str:
        return "(pixels - mean) / std for every channel"

    @property
    def identity(self) -> tuple:
        return self.mean, self.std

    def apply(self, image: Any) -> Any:
        mean, std = self._like(image)
        return (image - mean) / std

    def invert(self, image: Any) -> Any:
        mean, std = self._like(image)
        return image * std + mean

    def stored(self) -> dict[str, np.ndarray]:
        return {"mean": np.array(self.mean, np.float32), "std": np.array(self.std, np.float32)}

    def _like(self, image):
        return (np.asarray(x, np.float32).reshape(*[1] * (image.ndim - 1), -1) for x in (self.mean, self.std))


def mean_std(mean: Sequence[float] | None = None, std: Sequence[float] | None = None) -> Fit:
    """Makes the fit that measures a `MeanStd`.

    Args:
        mean: the mean of every channel, of pixels in [0, 1]; measured when None.
        std: the deviation of every channel; measured when None.
    """

    def fit(pixels):
        measured = channel_statistics(pixels) if mean is None or std is None else None
        return MeanStd(
            measured.mean if mean is None else tuple(map(float, mean)),
            measured.std if std is None else tuple(map(float, std)),
        )

    return fit


def channel_statistics(image: np.ndarray, white: float = 1) -> MeanStd:
    """Measures the mean and deviation of every channel of images [T, H, W, C]; a constant channel is only centred.

    Args:
        image: pixel values from 0 to `white`.
        white: the pixel value that becomes 1.
    """
    count = image[..., 0].size
    mean = _summed(lambda part: part.astype(np.float64), image) / count
    variance = _summed(lambda part: np.square(part - mean), image) / count
    mean, std = mean / white, np.sqrt(variance) / white
    return MeanStd(tuple(map(float, mean)), tuple(map(float, np.where(std > 0, std, 1))))


def _summed(function, image):
    """Adds `function(images)`, of eight bytes a value, up by channel: some images at a time, with the bits of all at once.

    NumPy adds the pixels of several channels one after the other, so that a sum may go on; it adds those of one channel in pairs.
    """
    step = len(image) if image.shape[-1] == 1 else max(_PART // math.prod(image.shape[1:]), 1)
    total = function(image[:step]).sum((0, 1, 2))
    for i in range(step, len(image), step):
        rows = function(image[i : i + step]).reshape(-1, image.shape[-1])
        total = np.concatenate([total[None], rows]).sum(0)
    return total
