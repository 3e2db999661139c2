"""Compares what was found in a file with the dataset, then groups and normalises it as the images of the dataset are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dcjax.artifact import Condensed, load_condensed
from dcjax.base import Batch, InputError
from dcjax.data import Dataset
from dcjax.data.checks import repeated
from dcjax.decoders import factor_of
from dcjax.normalisation import MeanStd, is_equal, renormalised

_PIXELS = MeanStd((0.0,), (1.0,))  # of images that are not normalised


class Found(NamedTuple):
    """Holds what was found in a file, before it is compared with the dataset."""

    image: np.ndarray  # [T, H, W, C]
    label: np.ndarray  # integers [T] or probabilities [T, K]
    normalisation: MeanStd = _PIXELS  # the one that the images are in
    class_names: tuple[str, ...] | None = None  # in the order of the labels, where the file gives them
    meta: dict[str, Any] = {}
    hyper: dict[str, np.ndarray] = {}  # what was learned beside the images


def adopt_own(path: Path, data: Dataset) -> Condensed:
    """Reads a set that dcjax saved; its labels are taken as they are.

    Where its classes come in another order than those of the data, or its images in another normalisation, the compact parameters
    and their decoder are left out, but for its factor: they would be decoded into the file's own.
    """
    found = load_condensed(path)
    order = _class_order(path, found.class_names, data)
    _check_shape(path, found.batch.image, data)
    image, label = (np.asarray(x)[order] for x in found.batch)
    normalisation = data.train.normalisation
    is_same = is_equal(found.normalisation, normalisation) and found.class_names == data.class_names
    image = renormalised(image, found.normalisation, normalisation)
    batch = Batch(jnp.asarray(image), jnp.asarray(label[..., order]))
    kept = found if is_same else found._replace(compact={}, meta=_undecoded(found.meta))
    return kept._replace(batch=batch, class_names=data.class_names, normalisation=normalisation)


def _undecoded(meta):
    factor = {"factor": factor_of(meta)} if "decoder" in meta else {}
    return {name: value for name, value in meta.items() if name != "decoder"} | factor


def adopt(path: Path, found: Found, data: Dataset) -> Condensed:
    """Compares what was found with the dataset, and groups and normalises it."""
    if found.image.ndim != 4 or not len(found.image):
        raise InputError(f"{path} needs images [T, H, W, C], not {found.image.shape}.")
    _check_shape(path, found.image, data)
    names = found.class_names or data.class_names
    order = _class_order(path, names, data)
    label = _probabilities(path, found.label, len(found.image), data)[:, order]
    with np.errstate(all="ignore"):  # what comes of it is named below
        image = np.asarray(renormalised(found.image, found.normalisation, data.train.normalisation), np.float32)
    if not np.isfinite(image).all():
        raise InputError(f"{path} has pixels that are not finite numbers: make it again.")
    odd = [name for name, x in found.hyper.items() if x.dtype.kind not in "fiu" or not np.isfinite(x).all()]
    if odd:
        raise InputError(f"{path} has a learned {odd[0]!r} that is no finite number: make it again.")
    absent = [name for name, weight in zip(data.class_names, label.sum(0)) if not weight]
    if absent:
        raise InputError(f"{path} has no image of class {absent[0]!r}: {data.name} has {data.num_classes} classes.")
    batch = Batch(*(jnp.asarray(_grouped(x, label.argmax(1), data.num_classes)) for x in (image, label)))
    return Condensed(batch, data.class_names, data.train.normalisation, {}, found.hyper, found.meta)


def _probabilities(path, label, count, data):
    """Makes probabilities [T, K] float32 of integers [T] or of probabilities."""
    classes = data.num_classes
    if np.issubdtype(label.dtype, np.integer) and label.shape == (count,):
        if label.min() < 0 or label.max() >= classes:
            raise InputError(
                f"{path} has labels from {label.min()} to {label.max()}, but {data.name} has {classes} classes: they must be "
                f"0 to {classes - 1}."
            )
        return np.eye(classes, dtype=np.float32)[label]
    if label.shape != (count, classes):
        raise InputError(
            f"{path} has labels of {label.dtype}, {label.shape}, but {count} images of {data.name} need integers ({count},) or "
            f"probabilities ({count}, {classes})."
        )
    if label.dtype.kind not in "fiub":
        raise InputError(f"{path} has labels of {label.dtype}, but they must be numbers.")
    label = label.astype(np.float32)
    if not are_probabilities(label):
        raise InputError(
            f"{path} has soft labels that are no probabilities: every row must sum to one, none be negative."
        )
    return label


def are_probabilities(label: np.ndarray) -> bool:
    """Tells whether rows [T, K] are probabilities: none is negative, and every row sums to one."""
    return bool((label >= 0).all() and np.allclose(label.sum(1), 1, atol=1e-3))


def _check_shape(path, image, data):
    if image.shape[-3:] != data.image_shape:
        given, expected = ("x".join(map(str, shape)) for shape in (image.shape[-3:], data.image_shape))
        raise InputError(
            f"{path} has images of {given} (height, width, channels), but {data.name} has {expected}: give the dataset "
            "that it was condensed from."
        )


def _class_order(path, names, data):
    """Tells where each of the dataset's classes stands among `names`."""
    if tuple(names) == tuple(data.class_names):
        return np.arange(len(names))
    twice = repeated(names)
    if twice is not None:
        raise InputError(f"{path} has two classes of the name {twice!r}: give every class a name of its own.")
    if sorted(names) != sorted(data.class_names):
        raise other_classes(path, names, data)
    return np.array([names.index(name) for name in data.class_names])


def other_classes(path: Path, names: Sequence[str], data: Dataset) -> InputError:
    """Says how the names of the classes differ from those of the dataset."""
    odd = sorted(set(names) ^ set(data.class_names))
    example = f", and {odd[0]!r} is in only one of them" if odd else ""
    return InputError(
        f"{path} has {len(names)} classes and {data.name} has {data.num_classes}{example}: both need the same names."
    )


def _grouped(rows, owner, num_classes):
    """Groups rows [T, ...] by class, [K, M, ...], in the order of the rows; zeros fill what smaller classes lack."""
    counts = np.bincount(owner, minlength=num_classes)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    order = np.argsort(owner, kind="stable")
    grouped = np.zeros((len(counts), counts.max(), *rows.shape[1:]), np.float32)
    grouped[owner[order], place] = rows[order]
    return grouped
