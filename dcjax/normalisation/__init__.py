"""Turns pixels in [0, 1] into what networks see, and back.

A normalisation is a pytree with `apply` and `invert`. `MeanStd` shifts and scales every channel; `ZCA` whitens whole images. Both are
measured on a training set by a *fit*, a function `pixels [T, H, W, C] -> normalisation`:

    data = dcjax.data.load("cifar10", normalisation=dcjax.normalisation.zca(epsilon=0.1))
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from dcjax.base import Array
from dcjax.normalisation._mean_std import Fit as Fit
from dcjax.normalisation._mean_std import MeanStd as MeanStd
from dcjax.normalisation._mean_std import Normalisation as Normalisation
from dcjax.normalisation._mean_std import channel_statistics as channel_statistics
from dcjax.normalisation._mean_std import mean_std as mean_std
from dcjax.normalisation._zca import ZCA as ZCA
from dcjax.normalisation._zca import whitening_from
from dcjax.normalisation._zca import zca as zca


def restored(arrays: dict[str, np.ndarray]) -> Normalisation:
    """Makes a normalisation of what its `stored` gave, among other arrays."""
    channels = MeanStd(*(tuple(map(float, arrays[name])) for name in ("mean", "std")))
    if "zca/basis" not in arrays:
        return channels
    return whitening_from(*(arrays[f"zca/{name}"] for name in ("mean", "basis", "spectrum", "epsilon")), channels)


def is_equal(one: Normalisation, other: Normalisation) -> bool:
    """Tells whether two normalisations do the same to every image, as far as a file keeps them."""
    a, b = one.stored(), other.stored()
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def renormalised(image: Any, given: Normalisation, wanted: Normalisation) -> Any:
    """Brings images from one normalisation to another, through pixels; images are untouched where the two are equal."""
    return image if is_equal(given, wanted) else wanted.apply(given.invert(image))


def normalised_bytes(normalisation: Normalisation, image: Any) -> Array:
    """Turns uint8 images [..., H, W, C] into what networks see."""
    return normalisation.apply(image.astype(jnp.float32) / 255)
