"""Reads a split whose images lie in one folder, with the class of each in a text file beside it, as Tiny ImageNet's `val/`."""

import os
from pathlib import Path
from typing import NamedTuple

from dcjax.base import InputError
from dcjax.data.listing import IMAGES, image_files, subfolders
from dcjax.data.pictures import shown
from dcjax.files import check_regular, first_line

ANNOTATIONS = "val_annotations.txt"


class _Line(NamedTuple):
    """One line of a file of annotations."""

    number: int
    where: str  # for messages
    image: str
    class_name: str


def is_annotated(folder: Path) -> bool:
    """Tells whether a file of annotations says what the classes are: it is there, and images were not sorted into folders since."""
    if not os.path.lexists(folder / ANNOTATIONS):
        return False
    sorted_since = any(name != IMAGES for name in subfolders(folder))
    return not sorted_since or bool(os.path.isdir(folder / IMAGES) and image_files(folder / IMAGES))


def annotated_files(folder: Path, class_names: tuple[str, ...]) -> dict[str, list[Path]]:
    """Lists the image files of every class, sorted by name, as `val_annotations.txt` assigns them.

    Args:
        folder: holds `images/` and `val_annotations.txt`, whose lines are the name of an image, its class and more, separated by tabs.
        class_names: the classes that there are; each is in the result.

    Raises:
        InputError: names a line that cannot be read, an image that is missing, annotated twice or not at all, or a class that is unknown.
    """
    if not os.path.isdir(folder / IMAGES):
        raise InputError(
            f"{folder} has {ANNOTATIONS} but no folder {IMAGES}: put the images that it names into {folder / IMAGES}."
        )
    there = {file.name: file for file in image_files(folder / IMAGES)}
    files: dict[str, list[Path]] = {name: [] for name in class_names}
    taken: dict[str, int] = {}
    for line in _lines(folder / ANNOTATIONS):
        _check(line, there, files, taken)
        taken[line.image] = line.number
        files[line.class_name].append(there[line.image])
    left = next((file for name, file in there.items() if name not in taken), None)
    if left:
        raise InputError(f"{shown(left)} has no line in {folder / ANNOTATIONS}: add one with its class, or remove it.")
    return {name: sorted(members) for name, members in files.items()}


def _lines(path):
    """Yields the lines that are not empty."""
    check_regular(path, "a text file of annotations")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}): copy or make it again.") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where, columns = f"Line {number} of {path}", line.rstrip("\r").split("\t")
        if len(columns) < 2:
            raise InputError(
                f"{where} is {columns[0][:60]!r}, but holds the name of an image, a tab and its class: repair it."
            )
        yield _Line(number, where, *columns[:2])


def _check(line, there, files, taken):
    _, where, image, class_name = line
    if image not in there:
        raise InputError(f"{where} names {image!r}, which is no image in {IMAGES}: put it there or remove the line.")
    if class_name not in files:
        raise InputError(
            f"{where} says that {image!r} is of class {class_name!r}, which has no training folder: repair the line or add the class."
        )
    if image in taken:
        raise InputError(f"{where} names {image!r} again, after line {taken[image]}: remove one of them.")
