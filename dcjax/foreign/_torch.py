"""Loads files of PyTorch that may be anyone's: tensors and numbers alone, and no tensor larger than what is stored of it."""

import codecs
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dcjax.base import InputError
from dcjax.files import check_sizes, first_line

_MOST_ITEMS = 10**6  # in all lists and dicts of a file: a small one can hold lists of the same lists without an end


def load(path: Path) -> Any:
    """Loads tensors and numbers; nothing else in a file is made into an object.

    Raises:
        InputError: PyTorch is not there, or the file is damaged or holds anything else.
    """
    try:
        import torch
    except ImportError:
        raise InputError(f"{path} can only be read with PyTorch: pip install torch.") from None
    try:
        if zipfile.is_zipfile(path):  # not in the format of PyTorch before 1.6, which has no checksums
            _check_archive(path)
        with torch.serialization.safe_globals(_allowed()), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever PyTorch raises for a file that is no file of its own
        name = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it asks for {name[1]}" if name else _reason(error)
        raise InputError(f"{path} is damaged, or holds more than tensors and numbers ({reason}).") from None
    _check_tensors(path, content)
    return content


def is_tensor(content: Any) -> bool:
    return hasattr(content, "is_floating_point")


def as_array(tensor: Any) -> np.ndarray:
    """Gives a tensor as an array, floats in single precision."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _allowed():
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(name)) for name in ("float16", "float32", "float64", "int32", "int64")}
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")  # NumPy 1 and 2
    return [np.dtype, codecs.encode, *kinds, *((scalar, f"{module}.scalar") for module in modules)]


def _check_archive(path):
    """Compares sizes and checksums, which PyTorch takes as they come."""
    with zipfile.ZipFile(path) as archive:
        check_sizes(archive.infolist(), path.stat().st_size)
        if archive.testzip():
            raise ValueError("its contents do not go with its checksums")


def _reason(error):
    return first_line(error) if isinstance(error, ValueError) else type(error).__name__


def _check_tensors(path, content):
    """Refuses tensors that claim more values than their file holds, and more items than a condensed set has."""
    for tensor in _tensors(path, content):
        if str(tensor.layout) != "torch.strided" or tensor.is_quantized or tensor.device.type != "cpu":
            raise InputError(f"{path} holds a tensor that is sparse, quantized or of another device: save it dense.")
        claimed, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if claimed > stored:
            raise InputError(
                f"{path} holds a tensor of shape {tuple(tensor.shape)} that claims {claimed} bytes but stores {stored}: save a "
                "contiguous copy of it."
            )


def _tensors(path, content) -> Iterator[Any]:
    waiting, seen = [content], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > _MOST_ITEMS:
            raise InputError(f"{path} holds lists of more than {_MOST_ITEMS} items, more than any condensed set.")
        if is_tensor(item):
            yield item
        elif isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple | set):
            waiting.extend(item)
