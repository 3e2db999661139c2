"""Reads other people's formats; each reader gives what it found, not yet compared with a dataset."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dcjax.base import InputError
from dcjax.data import PAPER_STATISTICS, Dataset
from dcjax.data.folder import check_classes, split_folders
from dcjax.data.listing import class_files
from dcjax.data.pictures import decode_files
from dcjax.files import first_line
from dcjax.foreign._adopt import Found, other_classes
from dcjax.foreign._names import folder_names
from dcjax.foreign._torch import as_array, is_tensor, load
from dcjax.foreign._write import PLAIN
from dcjax.normalisation import MeanStd


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
    elif str(arrays.get("format")) != PLAIN and image.size and not np.isnan(image).any():
        low, high = image.min(), image.max()
        if low < 0 or high > 1:
            raise InputError(
                f"{path} has floats from {low:.3g} to {high:.3g} as pixels, but they must lie in [0, 1]: undo their "
                "normalisation (images * std + mean)."
            )
    hyper = {name.removeprefix("hyper/"): x for name, x in arrays.items() if name.startswith("hyper/")}
    return Found(image, label, class_names=_names(arrays.get("class_names")), hyper=hyper)


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


def pt(path: Path, data: Dataset) -> list[Found]:
    """Reads PyTorch tensors as published; one set for every experiment in the file."""
    content = load(path)
    facts = content if isinstance(content, dict) else {}
    pairs = facts.get("data", content)
    pairs = [pairs] if _is_pair(pairs) else pairs
    if not (isinstance(pairs, list | tuple) and pairs and all(map(_is_pair, pairs))):
        raise InputError(
            f"{path} holds no condensed images: it needs {{'data': [[images, labels], ...]}}, pairs of tensors "
            "[T, C, H, W] of floats and [T]."
        )
    try:
        normalisation = _statistics(facts, data)
        accuracies = {str(n): [float(v) for v in values] for n, values in facts.get("accs_all_exps", {}).items()}
        labels = [as_array(facts.get("soft_labels", label)) for _, label in pairs]
        images = [np.moveaxis(as_array(image), 1, -1) for image, _ in pairs]
        names = _names(facts.get("class_names"))
        learned = facts.get("about", {}).get("learned", {})
        hyper = {str(name): np.asarray(value, np.float32) for name, value in learned.items()}
    except Exception as error:  # whatever comes of other things in their places
        raise InputError(f"{path} has something beside its images that does not fit ({first_line(error)}).") from None
    notes = [{"experiment": i, "accuracies": accuracies} for i in range(len(pairs))]
    return [Found(image, label, normalisation, names, note, hyper) for image, label, note in zip(images, labels, notes)]


def _is_pair(content):
    return (
        isinstance(content, list | tuple)
        and len(content) == 2
        and all(map(is_tensor, content))
        and content[0].is_floating_point()
        and content[0].ndim == 4
    )


def _statistics(facts, data):
    """Gives the normalisation that a file says its images are in, or the published one of the dataset."""
    published = dict(zip(("mean", "std"), PAPER_STATISTICS.get(data.name, (data.mean, data.std))))
    values = [facts.get(name, value) for name, value in published.items()]
    mean, std = (np.array(as_array(x) if is_tensor(x) else [float(v) for v in x], np.float32).ravel() for x in values)
    if {len(data.mean)} != {mean.size, std.size}:
        raise ValueError(f"mean and std need {len(data.mean)} numbers")
    if not (np.isfinite([mean, std]).all() and (std > 0).all()):
        raise ValueError("mean and std must be finite, and std positive")
    return MeanStd(*(tuple(map(float, x)) for x in (mean, std)))


def _names(values: Iterable | None):
    return None if values is None else tuple(str(value) for value in np.atleast_1d(values))
