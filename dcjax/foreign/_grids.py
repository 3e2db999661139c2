"""Reads the set that IDC's program stores: pixels in [0, 1], which a factor that the file does not hold cuts into several images."""

from pathlib import Path

import numpy as np

from dcjax.artifact import Condensed
from dcjax.base import InputError
from dcjax.data import Dataset
from dcjax.decoders import decoded
from dcjax.foreign._adopt import Found, adopt
from dcjax.parameterizations._formation import check_sides

_FARTHEST = 0.1  # mean distance from [0, 1]: learned pixels leave it a little, normalised images have 0.3 and more


def adopt_grids(path: Path, found: Found, factor: int | None, data: Dataset) -> Condensed:
    """Decodes grids of pixels as IDC's evaluation does (Kim et al., ICML 2022), and keeps them as the compact parameters.

    Args:
        path: the file that they come from.
        found: images in pixel space, with integer labels.
        factor: cells along each side of an image, 1 where images are whole; nothing is guessed when None.
        data: what the set is to be evaluated on.
    """
    if factor is None:
        raise InputError(
            f"{path} is a bare pair of images and labels, which does not say what the images are: give the factor (--factor) of IDC's "
            "data.pt, pixels in [0, 1] (1 for IDC-I), or save normalised images as {'data': [[images, labels]]}."
        )
    if factor < 1:
        raise InputError(f"The factor of a grid is the number of cells along a side, at least 1, not {factor}.")
    whole = adopt(
        path, found._replace(normalisation=data.train.normalisation), data
    )  # equal, so pixels stay as they are
    check_sides(data.image_shape[:2], factor)
    stored = np.asarray(whole.batch.image)
    _check_grids(path, found.label, stored, factor)
    arguments = {"ipc": stored.shape[1], "factor": factor}
    decoder = {"name": "multi_formation", "arguments": arguments, "image_space": "pixel", "labels": "hard"}
    batch = decoded({"image": stored}, decoder, data.train.normalisation)
    method = "idc_i" if factor == 1 else "idc"
    meta = {"method": method, "ipc": stored.shape[1], "decoder": decoder, "told": {"factor": factor}}
    return whole._replace(batch=batch, compact={"image": stored}, meta=meta)


def _check_grids(path, label, stored, factor):
    if label.dtype.kind not in "iu" or label.ndim != 1 or len({*np.bincount(label)}) > 1:
        raise InputError(
            f"{path} needs as many images of every class as of the others, with integer labels, to be cut by the factor {factor}."
        )
    if np.abs(stored - stored.clip(0, 1)).mean() > _FARTHEST:
        raise InputError(
            f"{path} has values from {stored.min():.3g} to {stored.max():.3g}, too far outside [0, 1] to be the pixels of IDC's data.pt: "
            "save normalised images as {'data': [[images, labels]]}."
        )
