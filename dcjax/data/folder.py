"""Reads a folder of images: one subfolder per class, or `train/` and `test/` with one subfolder per class each.

Tiny ImageNet's layout is read as it is: `train/CLASS/images/`, and `val/` with a file of annotations as the test split.
"""

import os
from pathlib import Path

from dcjax.base import InputError
from dcjax.data.annotated import ANNOTATIONS, annotated_files, is_annotated
from dcjax.data.cache import cached
from dcjax.data.listing import IMAGES, SUFFIXES, class_files, entries, stamp, subfolders
from dcjax.data.pictures import decode_files, fits
from dcjax.data.sources import Arrays, stratified_split


def folder(path: Path, image_size: int | None) -> Arrays:
    """Reads, checks and decodes a folder; without `test/`, a seeded part of every class is set aside for testing."""
    if not os.path.isdir(path):  # unlike that of `Path`, it takes any text
        raise InputError(f"There is no folder {path}: give one with a subfolder of images for every class.")
    files = split_files(split_folders(path))
    class_names = tuple(files["train"])
    check_classes(path, files)
    stamps = [stamp(f) for part in files.values() for c in part.values() for f in c]
    identity = ("folder", str(path.resolve()), image_size, stamps)
    arrays = cached(identity, lambda: decode_files(files, image_size), lambda arrays: fits(arrays, files, image_size))
    if "test" not in files:
        return stratified_split(arrays["train_image"], arrays["train_label"], class_names)
    return Arrays(**arrays, class_names=class_names)


def split_folders(path: Path) -> dict[str, Path]:
    """Tells where the splits are: `train/` and one of `test/`, `val/`, `validation/`; `train/` alone; or the folder itself.

    A `test/` whose images are in no classes is passed over where there is another, as in Tiny ImageNet.
    """
    train = path / "train"
    if not (os.path.isdir(train) and any(map(os.path.isdir, entries(train)))):
        return {"train": path}
    others = [path / name for name in ("test", "val", "validation") if os.path.isdir(path / name)]
    if len(others) > 1 and others[0].name == "test" and _is_unlabelled(others[0]):
        del others[0]
    return {"train": train} | ({"test": others[0]} if others else {})


def _is_unlabelled(folder):
    return {*subfolders(folder)} <= {IMAGES} and not is_annotated(folder)


def split_files(parts: dict[str, Path]) -> dict[str, dict[str, list[Path]]]:
    """Lists the image files of every class of every split."""
    files = {"train": class_files(parts["train"])}
    if "test" in parts:
        files["test"] = _test_files(parts["test"], tuple(files["train"]))
    return files


def _test_files(folder, class_names):
    if is_annotated(folder):
        return annotated_files(folder, class_names)
    if {*subfolders(folder)} == {IMAGES} != {*class_names}:
        raise InputError(
            f"{folder} has images of no class: put {ANNOTATIONS} beside its folder {IMAGES}, sort them into a folder for each class, or rename it."
        )
    # Where annotated images were sorted since, their folder may be left, empty.
    return {name: files for name, files in class_files(folder).items() if files or name != IMAGES}


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
