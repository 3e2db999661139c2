"""Decodes files of pictures into arrays, one shape and kind for all."""

import math
import warnings
from pathlib import Path

import numpy as np

from dcjax.base import InputError
from dcjax.data.resize import check_memory, resized
from dcjax.files import first_line

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 2**26  # of one picture, as what a few bytes claim must not fill the memory


def shown(path: Path) -> str:
    """Gives a path as text that can be shown: a name in another encoding with escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def decode_files(files: dict[str, dict[str, list[Path]]], image_size: int | None) -> dict[str, np.ndarray]:
    """Decodes `SPLIT_image` and `SPLIT_label` of every split."""
    decoded, first, count = {}, None, sum(len(members) for classes in files.values() for members in classes.values())
    for part, classes in files.items():
        images = []
        for file in (file for members in classes.values() for file in members):
            image = _read(file)
            image = image if image_size is None else resized(image, image_size)
            if first is None:
                first = file, image.shape
                check_memory(count, image.shape)
            _check_same(first, (file, image.shape))
            images.append(image)
        decoded[f"{part}_image"] = np.stack(images)
        decoded[f"{part}_label"] = _labels(classes)
    return decoded


def _labels(classes):
    return np.repeat(np.arange(len(classes)), [len(members) for members in classes.values()])


def fits(arrays: dict[str, np.ndarray], files: dict[str, dict[str, list[Path]]], image_size: int | None) -> bool:
    """Tells whether arrays are of the names, types and shapes that `decode_files` makes of the files."""
    if set(arrays) != {f"{part}_{kind}" for part in files for kind in ("image", "label")}:
        return False
    images = [arrays[f"{part}_image"] for part in files]
    size = images[0].shape[1:3] if image_size is None else (image_size, image_size)
    is_one_kind = len({image.shape[1:] for image in images}) == 1 and images[0].shape[1:] in ((*size, 1), (*size, 3))
    return is_one_kind and all(
        arrays[f"{part}_image"].dtype == np.uint8
        and arrays[f"{part}_label"].dtype == np.int64
        and len(arrays[f"{part}_image"]) == len(_labels(classes))
        and np.array_equal(arrays[f"{part}_label"], _labels(classes))
        for part, classes in files.items()
    )


def _read(file):
    """Reads uint8 [H, W, 1] for a grey file, [H, W, 3] for any other, upright; 16 bits become 8, transparency is dropped."""
    from PIL import Image, ImageOps

    try:
        # Pillow warns of what is large or a little damaged, and runs another program for some formats that are left out here.
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as picture:
            if math.prod(picture.size) > MAX_PIXELS:
                raise Image.DecompressionBombError
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                return np.atleast_3d(np.asarray(upright).astype(np.uint16) // 257).astype(np.uint8)
            if upright.mode in ("I", "F"):
                raise ValueError(f"its pixels are of mode {upright.mode}, not 8 or 16 bits")
            kind = "L" if upright.mode in ("1", "L", "LA") else "RGB"
            return np.atleast_3d(np.asarray(upright.convert(kind)))
    except Image.DecompressionBombError:
        raise InputError(f"{shown(file)} has more than {MAX_PIXELS} pixels: make it smaller or remove it.") from None
    except Exception as error:  # whatever Pillow raises for a damaged picture
        raise InputError(
            f"{shown(file)} cannot be read as an image ({first_line(error)}): repair or remove it."
        ) from None


def _check_same(first, other):
    (first_file, first_shape), (file, shape) = first, other
    kinds = {1: "grey", 3: "colour"}
    if first_shape[2] != shape[2]:
        raise InputError(
            f"{shown(first_file)} is {kinds[first_shape[2]]} but {shown(file)} is {kinds[shape[2]]}: convert them all to one kind."
        )
    if first_shape != shape:
        sizes = [f"{width}x{height}" for height, width, _ in (first_shape, shape)]
        raise InputError(
            f"{shown(first_file)} is {sizes[0]} but {shown(file)} is {sizes[1]}: give one size for all with --image-size."
        )
