"""Reads arrays and pictures; each reader gives what it found, not yet compared with a dataset."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dcjax._content import odd_notes, read_notes
from dcjax.base import InputError
from dcjax.data import Dataset
from dcjax.data.folder import check_classes, split_folders
from dcjax.data.listing import class_files
from dcjax.data.pictures import decode_files
from dcjax.files import first_line
from dcjax.foreign._adopt import Found, are_probabilities, other_classes
from dcjax.foreign._names import folder_names
from dcjax.foreign._write import NOTED, PLAIN


def npz(path: Path, arrays: dict[str, np.ndarray]) -> Found:
    """Reads plain arrays, as `dcjax.foreign` describes them."""
    if not {"images", "labels"} <= set(arrays):
        raise InputError(f"{path} needs images and labels, but holds {', '.join(arrays) or 'nothing'}.")
    image, label = arrays["images"], arrays.get("soft_labels", arrays["labels"])
    image = image[..., None] if image.ndim == 3 else image
    if image.dtype == np.uint8:
        image = image / np.float32(255)
    elif not np.issubdtype(image.dtype, np.floating):
        raise InputError(f"{path} needs images of uint8, or floats in [0, 1], not {image.dtype}.")
    is_ours = str(arrays.get("format")) == PLAIN
    if not is_ours:
        _check_foreign(path, image, label)
    hyper = {name.removeprefix("hyper/"): x for name, x in arrays.items() if name.startswith("hyper/")}
    meta = _about(path, arrays["about"]) if is_ours and "about" in arrays else {}
    return Found(image, label, class_names=names_of(arrays.get("class_names")), meta=meta, hyper=hyper)


def _check_foreign(path, image, label):
    """Refuses labels and images that others have and that the file does not explain: those of KIP are both."""
    if label.dtype.kind == "f" and label.ndim == 2 and not are_probabilities(label):
        raise InputError(
            f"{path} has soft labels that are no probabilities, as those of KIP are not, whose files do not say either whether images "
            "are whitened: it needs labels whose rows sum to one, and images in [0, 1]."
        )
    if image.size and not np.isnan(image).any() and (image.min() < 0 or image.max() > 1):
        raise InputError(
            f"{path} has floats from {image.min():.3g} to {image.max():.3g} as pixels, but they must lie in [0, 1]: undo their "
            "normalisation (images * std + mean), and clip what learned pixels leave outside."
        )


def _about(path, array):
    try:
        return noted(read_notes(array))
    except ValueError as error:
        raise InputError(f"{path} has something beside its images that does not fit ({first_line(error)}).") from None


def folder(path: Path, data: Dataset) -> Found:
    """Reads pictures in a subfolder for every class of the dataset."""
    files = class_files(split_folders(path)["train"])
    check_classes(path, {"train": files})
    allowed = (data.class_names, folder_names(data.class_names))
    names = next((names for names in allowed if set(names) == set(files)), None)
    if names is None:
        raise other_classes(path, files, data)
    in_order = {name: files[name] for name in names}  # as the dataset counts: "2" before "10"
    arrays = decode_files({"train": in_order}, None)
    return Found(arrays["train_image"] / np.float32(255), arrays["train_label"])


def noted(about: Any) -> dict[str, Any]:
    """Gives those of a file's notes that a set's `meta` has too.

    Raises:
        ValueError: a note is not of its kind.
    """
    if not isinstance(about, dict):
        raise ValueError("what it notes is no JSON object")
    fault = next(odd_notes(about), None)
    if fault:
        raise ValueError(fault)
    return {name: about[name] for name in NOTED if name in about}


def names_of(values: Iterable | None) -> tuple[str, ...] | None:
    """Gives names of classes as texts, or None where there are none."""
    return None if values is None else tuple(str(value) for value in np.atleast_1d(values))
