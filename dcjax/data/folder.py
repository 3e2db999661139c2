"""Reads a folder of images: one subfolder per class, or `train/` and `test/` with one subfolder per class each."""

import os
import stat
from pathlib import Path

from dcjax.base import InputError
from dcjax.data.cache import cached
from dcjax.data.pictures import decode_files, fits, shown
from dcjax.data.sources import Arrays, stratified_split
from dcjax.files import first_line

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


def folder(path: Path, image_size: int | None) -> Arrays:
    """Reads, checks and decodes a folder; without `test/`, a seeded part of every class is set aside for testing."""
    if not os.path.isdir(path):  # unlike that of `Path`, it takes any text
        raise InputError(f"There is no folder {path}: give one with a subfolder of images for every class.")
    parts = split_folders(path)
    files = {part: class_files(where) for part, where in parts.items()}
    class_names = tuple(files["train"])
    check_classes(path, files)
    stamp = [_stamp(f) for part in files.values() for c in part.values() for f in c]
    identity = ("folder", str(path.resolve()), image_size, stamp)
    arrays = cached(identity, lambda: decode_files(files, image_size), lambda arrays: fits(arrays, files, image_size))
    if "test" not in files:
        return stratified_split(arrays["train_image"], arrays["train_label"], class_names)
    return Arrays(**arrays, class_names=class_names)


def split_folders(path: Path) -> dict[str, Path]:
    """Tells where the splits are: `train/` and one of `test/`, `val/`, `validation/`; `train/` alone; or the folder itself."""
    train = path / "train"
    if not (os.path.isdir(train) and any(map(os.path.isdir, _entries(train)))):
        return {"train": path}
    test = next((path / name for name in ("test", "val", "validation") if os.path.isdir(path / name)), None)
    return {"train": train} | ({"test": test} if test else {})


def class_files(root: Path) -> dict[str, list[Path]]:
    """Lists the image files of every class, by its name, both sorted. Hidden folders and files that are no images are passed over.

    Raises:
        InputError: a folder cannot be listed, a link leads nowhere, a class has no readable name, or what is named like an image is no
            file: opening a pipe would block for good.
    """
    visible = [entry for entry in _entries(root) if not entry.name.startswith(".")]
    lost = next((entry for entry in visible if not os.path.exists(entry)), None)
    if lost:
        raise InputError(f"{shown(lost)} is {_kind(lost)}: repair or remove it.")
    classes = [entry for entry in visible if os.path.isdir(entry)]
    unnamed = next((entry for entry in classes if shown(entry) != str(entry)), None)
    if unnamed:
        raise InputError(f"{shown(unnamed)} is named in another encoding than UTF-8: rename it, as it names a class.")
    files = {c.name: [f for f in _entries(c) if f.suffix.lower() in SUFFIXES] for c in classes}
    for file in (file for members in files.values() for file in members):
        kind = _kind(file)
        if kind != "a file":
            raise InputError(f"{shown(file)} is named like an image but is {kind}: repair or remove it.")
    return files


def _entries(folder):
    """Lists what is in a folder, sorted."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{shown(folder)} cannot be listed ({first_line(error)}): give yourself the right to."
        ) from None


def _kind(file):
    """Says what is at a path, without opening it."""
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        return f"a link that leads nowhere ({first_line(error)})" if os.path.islink(file) else "gone"
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _stamp(file):
    """Gives what changes when a file does."""
    try:
        facts = os.stat(file)
    except OSError as error:
        raise InputError(
            f"{shown(file)} has vanished ({first_line(error)}): leave the images there and try again."
        ) from None
    return str(file), facts.st_size, facts.st_mtime_ns


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
