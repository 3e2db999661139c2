"""Decodes files of pictures into arrays, one shape for all."""

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
    """Decodes `SPLIT_image` and `SPLIT_label` of every split. Grey pictures among coloured ones become coloured."""
    image = _decoded(
        [file for classes in files.values() for members in classes.values() for file in members], image_size
    )
    decoded, done = {}, 0
    for part, classes in files.items():
        label = _labels(classes)
        decoded |= {f"{part}_image": image[done : done + len(label)], f"{part}_label": label}
        done += len(label)
    return decoded


def _decoded(files, image_size):
    """Decodes all pictures into one array, [T, H, W, C]: what is as large as this is there only once."""
    images = None
    for i, file in enumerate(files):
        image = _read(file)
        image = image if image_size is None else resized(image, image_size)
        if images is None:
            check_memory(len(files), image.shape)
            images = np.empty((len(files), *image.shape), np.uint8)
        _check_size((files[0], images.shape[1:]), (file, image.shape))
        if image.shape[-1] > images.shape[-1]:
            check_memory(len(files), image.shape)
            images = np.repeat(images, image.shape[-1], -1)
        images[i] = image  # which is broadcast where it is grey and others are not
    return images


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


def _check_size(first, other):
    (first_file, first_shape), (file, shape) = first, other
    if first_shape[:2] != shape[:2]:
        sizes = [f"{width}x{height}" for height, width, _ in (first_shape, shape)]
        raise InputError(
            f"{shown(first_file)} is {sizes[0]} but {shown(file)} is {sizes[1]}: give one size for all with --image-size."
        )
