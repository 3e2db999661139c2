"""Whitens whole images by ZCA (Krizhevsky 2009; Kessy et al. 2018, arXiv:1512.00809)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import lax

from dcjax.base import Array, InputError
from dcjax.normalisation._mean_std import Fit, MeanStd, channel_statistics

_MOST = 2**14  # values of an image that ZCA takes: its matrices have the square of it, and finding them takes the cube
_ROWS = 4096  # images whose covariance is computed at a time: all of them in float64 would fill the memory


@struct.dataclass
class ZCA:
    """Whitens images [H, W, C] as vectors of D = H W C values: (x - mean) U diag(1 / sqrt(l + epsilon)) U^T.

    U and l are the eigenvectors and eigenvalues of the training set's covariance. The training set's covariance becomes
    U diag(l / (l + epsilon)) U^T, the identity where epsilon is small beside l.
    """

    mean: Array  # [D]
    basis: Array  # [D, D], U: an eigenvector in every column
    spectrum: Array  # [D], l
    whitening: Array  # [D, D], the product of the three matrices: one product is half the work of two
    epsilon: float = struct.field(pytree_node=False)
    channels: MeanStd = struct.field(pytree_node=False)  # describes the data; takes no part in whitening

    @property
    def description(self) -> str:
        return f"ZCA whitening of pixels in [0, 1] with epsilon {self.epsilon:g}"

    @property
    def identity(self) -> tuple:
        return *self.channels.identity, "zca", self.epsilon

    def apply(self, image: Any) -> Array:
        rows = jnp.asarray(image).reshape(-1, self.mean.size)
        return _product(rows - self.mean[None], self.whitening).reshape(image.shape)

    def invert(self, image: Any) -> Array:
        rows = _product(jnp.asarray(image).reshape(-1, self.mean.size), self.basis)
        rows = _product(rows * jnp.sqrt(self.spectrum + self.epsilon)[None], self.basis.T)
        return (rows + self.mean[None]).reshape(image.shape)

    def stored(self) -> dict[str, np.ndarray]:
        arrays = {
            "mean": self.mean,
            "basis": self.basis,
            "spectrum": self.spectrum,
            "epsilon": np.float64(self.epsilon),
        }
        return self.channels.stored() | {f"zca/{name}": np.asarray(x) for name, x in arrays.items()}


def _product(a, b):
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)  # accelerators would round to 8 or 11 bits otherwise


def zca(epsilon: float = 0.1) -> Fit:
    """Makes the fit that measures a `ZCA`.

    Args:
        epsilon: a number above 0, added to every eigenvalue of the covariance of pixels in [0, 1]. The published default (MTT's) is
            0.1, without standardising the images before.
    """
    if not 0 < epsilon < np.inf:
        raise InputError(f"ZCA's epsilon is added to variances and must be a positive number, not {epsilon}: give 0.1.")

    def fit(pixels):
        size = int(np.prod(pixels.shape[1:]))
        if size > _MOST:
            raise InputError(
                f"ZCA whitens images of at most {_MOST} values, but {pixels.shape[1:]} are {size}: make the images smaller."
            )
        mean, covariance = _moments(pixels.reshape(-1, size))
        spectrum, basis = np.linalg.eigh(covariance)
        return whitening_from(mean, basis, spectrum.clip(0), epsilon, channel_statistics(pixels))

    return fit


def _moments(rows):
    """Computes the mean [D] and the covariance [D, D] of rows [T, D], in float64."""
    mean = rows.mean(0, dtype=np.float64)
    covariance = np.zeros((mean.size, mean.size))
    for start in range(0, len(rows), _ROWS):
        centred = rows[start : start + _ROWS] - mean
        covariance += centred.T @ centred
    return mean, covariance / max(len(rows) - 1, 1)


def whitening_from(mean: Any, basis: Any, spectrum: Any, epsilon: float, channels: MeanStd) -> ZCA:
    """Makes a `ZCA` of the mean [D], the eigenvectors [D, D] and the eigenvalues [D] of a training set's images."""
    mean, basis, spectrum = (np.asarray(x, np.float32) for x in (mean, basis, spectrum))
    exact = basis.astype(np.float64)
    whitening = (exact / np.sqrt(spectrum.astype(np.float64) + epsilon)) @ exact.T
    return ZCA(*(jnp.asarray(x, jnp.float32) for x in (mean, basis, spectrum, whitening)), float(epsilon), channels)
