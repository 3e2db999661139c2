"""Reads files of PyTorch as published: those of DC, DSA and DM, and the bare pair of IDC."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from dcjax.base import InputError
from dcjax.data import PAPER_STATISTICS, Dataset
from dcjax.files import first_line
from dcjax.foreign._adopt import Found
from dcjax.foreign._read import names_of, noted
from dcjax.foreign._torch import as_array, is_tensor
from dcjax.normalisation import MeanStd

_NAME = re.compile(r"res_(DC|DSA|DM)_.+_\d+ipc\.pth?")  # as their programs name what they write


def is_pair(content: Any) -> bool:
    """Tells whether content is images [T, C, H, W] of floats and labels, and nothing that says what they are."""
    return (
        isinstance(content, list | tuple)
        and len(content) == 2
        and all(map(is_tensor, content))
        and content[0].is_floating_point()
        and content[0].ndim == 4
    )


def pair(content: Any) -> Found:
    """Reads a bare pair, its images as they are."""
    image, label = map(as_array, content)
    return Found(np.moveaxis(image, 1, -1), label)


def pt(path: Path, content: Any, data: Dataset) -> list[Found]:
    """Reads tensors as published with DC, DSA and DM; one set for every experiment in the file."""
    facts = content if isinstance(content, dict) else {}
    pairs = facts.get("data", content)
    pairs = [pairs] if is_pair(pairs) else pairs
    if not (isinstance(pairs, list | tuple) and pairs and all(map(is_pair, pairs))):
        raise InputError(
            f"{path} holds no condensed images: it needs {{'data': [[images, labels], ...]}}, pairs of tensors "
            "[T, C, H, W] of floats and [T]."
        )
    try:
        normalisation, names = _statistics(facts, data), names_of(facts.get("class_names"))
        labels = [as_array(label) for label in _labels(facts, pairs)]
        abouts = _each(facts.get("about", {}), len(pairs), "notes")
        notes = [_notes(path, facts, about, i, len(pairs)) for i, about in enumerate(abouts)]
        hypers = [_learned(about) for about in abouts]
    except Exception as error:  # whatever comes of other things in their places
        raise InputError(f"{path} has something beside its images that does not fit ({first_line(error)}).") from None
    images = [pair(each).image for each in pairs]
    return [Found(x, y, normalisation, names, *beside) for x, y, *beside in zip(images, labels, notes, hypers)]


def _labels(facts, pairs):
    if "soft_labels" in facts:
        return _each(facts["soft_labels"], len(pairs), "soft labels")
    return [label for _, label in pairs]


def _each(content, count, what):
    """Gives the item of every set: a list has one for each, anything else is that of all."""
    if isinstance(content, list) and len(content) != count:
        raise ValueError(f"there are {count} sets, but {what} of {len(content)}")
    return content if isinstance(content, list) else [content] * count


def _notes(path, facts, about, i, count):
    """Gives what a file says of its experiment `i`: its method, which may be in the file's name, and its accuracies."""
    named = _NAME.fullmatch(path.name)
    method = {"method": named[1].lower()} if named else {}
    stated = facts.get("accs_all_exps", {})
    accuracies = {str(name): _share([float(value) for value in values], i, count) for name, values in stated.items()}
    return {**method, **noted(about), "experiment": i, "accuracies": accuracies}


def _share(values, i, count):
    """Gives the accuracies of experiment `i`, as the programs append those of one after the other; none, if they cannot be divided."""
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("its accuracies must be from 0 to 1")
    each, rest = divmod(len(values), count)
    return [] if rest else values[i * each : (i + 1) * each]


def _learned(about):
    return {str(name): np.asarray(value, np.float32) for name, value in about.get("learned", {}).items()}


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
