"""Reads a folder of images: one subfolder per class, or `train/` and `test/` with one subfolder per class each."""

from pathlib import Path

import numpy as np

from dcjax.base import InputError
from dcjax.data.cache import cached
from dcjax.data.resize import resized
from dcjax.data.sources import Arrays, stratified_split

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def folder(path: Path, image_size: int | None) -> Arrays:
    """Reads, checks and decodes a folder; without `test/`, a seeded part of every class is set aside for testing."""
    if not path.is_dir():
        raise InputError(f"There is no folder {path}: give one with a subfolder of images for every class.")
    parts = split_folders(path)
    files = {part: class_files(where) for part, where in parts.items()}
    class_names = tuple(files["train"])
    check_classes(path, files)
    stamp = [
        (str(f), f.stat().st_size, f.stat().st_mtime_ns) for part in files.values() for c in part.values() for f in c
    ]
    arrays = cached(("folder", str(path.resolve()), image_size, stamp), lambda: decode_files(files, image_size))
    if "test" not in files:
        return stratified_split(arrays["train_image"], arrays["train_label"], class_names)
    return Arrays(**arrays, class_names=class_names)


def split_folders(path: Path) -> dict[str, Path]:
    """Tells where the splits are: `train/` and one of `test/`, `val/`, `validation/`; `train/` alone; or the folder itself."""
    train = path / "train"
    if not (train.is_dir() and any(entry.is_dir() for entry in train.iterdir())):
        return {"train": path}
    test = next((path / name for name in ("test", "val", "validation") if (path / name).is_dir()), None)
    return {"train": train} | ({"test": test} if test else {})


def class_files(root: Path) -> dict[str, list[Path]]:
    """Lists the image files of every class, by its name, both sorted. Hidden folders and files that are no images are passed over."""
    classes = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return {c.name: sorted(f for f in c.iterdir() if f.suffix.lower() in SUFFIXES) for c in classes}


def check_classes(path: Path, files: dict[str, dict[str, list[Path]]]) -> None:
    """Makes sure that every split has every class, and every class an image."""
    train = files["train"]
    if not train:
        raise InputError(f"{path} has no subfolders: put the images of every class into a subfolder named after it.")
    if len(train) < 2:
        raise InputError(f"{path} has one class, {next(iter(train))!r}: at least two are needed, a subfolder for each.")
    for part, classes in files.items():
        if set(classes) != set(train):
            odd = sorted(set(classes) ^ set(train))[0]
            raise InputError(f"Class {odd!r} is in only one of the training and test folders of {path}: both need it.")
        for name, members in classes.items():
            if not members:
                raise InputError(f"Class {name!r} of {path} ({part}) has no images ({', '.join(sorted(SUFFIXES))}).")


def decode_files(files: dict[str, dict[str, list[Path]]], image_size: int | None) -> dict[str, np.ndarray]:
    """Decodes `SPLIT_image` and `SPLIT_label` of every split."""
    decoded, first = {}, None
    for part, classes in files.items():
        images = []
        for file in (file for members in classes.values() for file in members):
            image = _read(file)
            image = image if image_size is None else resized(image, image_size)
            first = first or (file, image.shape)
            _check_same(first, (file, image.shape))
            images.append(image)
        decoded[f"{part}_image"] = np.stack(images)
        decoded[f"{part}_label"] = np.repeat(np.arange(len(classes)), [len(m) for m in classes.values()])
    return decoded


def _read(file):
    """Reads uint8 [H, W, 1] for a grey file, [H, W, 3] for any other, upright; 16 bits become 8, transparency is dropped."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                return np.atleast_3d(np.asarray(upright).astype(np.uint16) // 257).astype(np.uint8)
            if upright.mode in ("I", "F"):
                raise ValueError(f"its pixels are of mode {upright.mode}, not 8 or 16 bits")
            kind = "L" if upright.mode in ("1", "L", "LA") else "RGB"
            return np.atleast_3d(np.asarray(upright.convert(kind)))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} cannot be read as an image ({error}): repair or remove it.") from None


def _check_same(first, other):
    (first_file, first_shape), (file, shape) = first, other
    kinds = {1: "grey", 3: "colour"}
    if first_shape[2] != shape[2]:
        raise InputError(
            f"{first_file} is {kinds[first_shape[2]]} but {file} is {kinds[shape[2]]}: convert them all to one kind."
        )
    if first_shape != shape:
        sizes = [f"{width}x{height}" for height, width, _ in (first_shape, shape)]
        raise InputError(
            f"{first_file} is {sizes[0]} but {file} is {sizes[1]}: give one size for all with --image-size."
        )
