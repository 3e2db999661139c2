"""Lists the image files in folders, sorted, and refuses what cannot be read before it is opened."""

import os
import stat
from pathlib import Path

from dcjax.base import InputError
from dcjax.data.pictures import shown
from dcjax.files import first_line

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
IMAGES = "images"  # a subfolder that holds the images of a folder, as in Tiny ImageNet


def class_files(root: Path) -> dict[str, list[Path]]:
    """Lists the image files of every class, by its name, both sorted. Hidden folders and files that are no images are passed over.

    The images of a class are those in its folder, or those in its subfolder `images`.

    Raises:
        InputError: a class has images in both, a folder cannot be listed, a link leads nowhere, a class has no readable name, or what is named like an image is no
            file: opening a pipe would block for good.
    """
    visible = [entry for entry in entries(root) if not entry.name.startswith(".")]
    lost = next((entry for entry in visible if not os.path.exists(entry)), None)
    if lost:
        raise InputError(f"{shown(lost)} is {_kind(lost)}: repair or remove it.")
    classes = [entry for entry in visible if os.path.isdir(entry)]
    unnamed = next((entry for entry in classes if shown(entry) != str(entry)), None)
    if unnamed:
        raise InputError(f"{shown(unnamed)} is named in another encoding than UTF-8: rename it, as it names a class.")
    return {c.name: _files_of_class(c) for c in classes}


def _files_of_class(folder):
    own = image_files(folder)
    inner = image_files(folder / IMAGES) if os.path.isdir(folder / IMAGES) else []
    if own and inner:
        raise InputError(
            f"{shown(folder)} has images both in itself, such as {shown(Path(own[0].name))}, and in its folder {IMAGES}: keep one of both."
        )
    return own or inner


def subfolders(folder: Path) -> list[str]:
    """Names the folders in a folder, without hidden ones."""
    return [entry.name for entry in entries(folder) if os.path.isdir(entry) and not entry.name.startswith(".")]


def image_files(folder: Path) -> list[Path]:
    """Lists the image files in a folder, which are told by their suffix; hidden ones are passed over."""
    files = [file for file in entries(folder) if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    for file in files:
        kind = _kind(file)
        if kind != "a file":
            raise InputError(f"{shown(file)} is named like an image but is {kind}: repair or remove it.")
    return files


def entries(folder: Path) -> list[Path]:
    """Lists what is in a folder, sorted."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{shown(folder)} cannot be listed ({first_line(error)}): give yourself the right to."
        ) from None


def stamp(file: Path) -> tuple[str, int, int]:
    """Gives what changes when a file does: its path, size and time."""
    try:
        facts = os.stat(file)
    except OSError as error:
        raise InputError(
            f"{shown(file)} has vanished ({first_line(error)}): leave the files there and try again."
        ) from None
    return str(file), facts.st_size, facts.st_mtime_ns


def _kind(file):
    """Says what is at a path, without opening it."""
    try:
        mode = os.stat(file).st_mode
    except OSError as error:
        return f"a link that leads nowhere ({first_line(error)})" if os.path.islink(file) else "gone"
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
