"""Reads files that may be damaged or made by anyone, and writes files whole or not at all.

Every reader raises an `InputError` of one sentence for whatever it meets: memory is asked for only once a file is known to hold as
much, and nothing in a file is ever run. Every writer raises a `WriteError`, also when the disk is full.
"""

import contextlib
import json
import math
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dcjax.base import InputError

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that NumPy writes
_MOST_DEFLATED = 1032  # bytes that one byte of a deflated file can stand for


class WriteError(OSError):
    """Says, in one sentence, which file could not be written, why, and what to do."""


def check_regular(path: Path, what: str) -> None:
    """Refuses a path that is no regular file that may be read: one that is missing, a folder, a pipe or a device, which could block.

    Args:
        path: the file that is going to be read.
        what: what it should be, for the message: "an .npz file".
    """
    try:
        is_there, is_file = os.path.lexists(path), path.is_file()
    except (OSError, ValueError) as error:  # a name that is too long, or has a zero in it
        raise InputError(f"{str(path)!r} cannot be the path of {what} ({first_line(error)}): give another.") from None
    if not is_there:
        raise InputError(f"There is no file {path}: give the path of {what}.")
    if not is_file:
        raise InputError(f"{path} is no regular file, as a folder, a pipe or a broken link is none: give {what}.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read: give yourself the right to, or give another path.")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file; what is missing, damaged or something else is an `InputError`."""
    check_regular(path, "an .npz file")
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy and Python have some for odd headers
            members = archive.infolist()
            _check_names(members)
            check_sizes(members, path.stat().st_size)
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except Exception as error:  # whatever NumPy and Python raise for a file that is not what it should be
        raise InputError(f"{path} is damaged or no .npz file ({first_line(error)}): copy or make it again.") from None


def _check_names(members):
    """Refuses members that are no arrays, and two of one name."""
    names = [member.filename for member in members]
    odd = [name for name in names if not name.endswith(".npy")]
    if odd or len(set(names)) != len(names):
        raise ValueError(f"it holds {odd[0]!r}, which is no array" if odd else "it holds two arrays of one name")


def check_sizes(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuses the members of a zip file of `size` bytes if they cannot be read, or claim more than it or this machine's memory holds.

    Raises:
        ValueError: says what is wrong.
    """
    for member in members:
        if member.flag_bits & 1:
            raise ValueError("it is encrypted")
        if member.compress_type not in _COMPRESSIONS:
            raise ValueError("it is compressed in a way that NumPy does not write")
        is_stored = member.compress_type == zipfile.ZIP_STORED
        most = member.compress_size if is_stored else _MOST_DEFLATED * (member.compress_size + 1)
        if member.file_size > most:
            raise ValueError(f"{member.filename!r} claims to hold more than it can")
    if sum(member.compress_size for member in members) > size:
        raise ValueError("its arrays claim more bytes than there are in it")
    total = sum(member.file_size for member in members)
    if total > psutil.virtual_memory().total:
        raise ValueError(f"it takes {total / 2**30:.0f} GiB, more than this machine's memory")


def _array(archive, member):
    """Reads one array, once its header is known to claim just the bytes that are there."""
    with archive.open(member) as file:
        shape, dtype = _header(file, member.filename)
        if dtype.hasobject:
            raise ValueError(f"{member.filename!r} holds Python objects, which are never read")
        claimed, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
        if min(shape, default=0) < 0 or not dtype.itemsize or claimed != there:
            raise ValueError(f"the header of {member.filename!r} does not go with its {there} bytes")
    with archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if dtype.kind == "U":
        np.char.encode(array, "utf-8")  # raises an error for what is no text, and could not be shown
    return array.astype(dtype.newbyteorder("="), copy=False)  # JAX takes this machine's byte order alone


def _header(file, name):
    """Gives the shape and the type of an array, from the start of its file."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        shape, _, dtype = readers[np.lib.format.read_magic(file)](file)
    except zipfile.BadZipFile:
        raise
    except Exception:  # NumPy reads it as a piece of Python
        raise ValueError(f"{name!r} does not begin as an array does") from None
    return shape, dtype


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """Reads a JSON file that holds an object; for all else, raises an `InputError` that ends in `remedy`."""
    check_regular(path, "a JSON file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds {_kind(content)} instead of an object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({first_line(error)}): {remedy}.") from None
    return content


def _kind(content):
    return {list: "a list", str: "a text", type(None): "null"}.get(type(content), "a number")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Gives a file to write to beside `path`, which takes its place when the block ends well and is removed when it does not.

    Raises:
        WriteError: nothing can be written there, or the disk is full. What was at `path` before is still there.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> WriteError:
    """Makes the error that says that a file could not be written, and why."""
    reason = error.strerror or first_line(error)
    failed = WriteError(f"{path} cannot be written ({reason}): make room or give rights there, or write elsewhere.")
    failed.strerror = reason
    return failed


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes all of an .npz file or nothing, with its folder: a process killed half-way leaves what was there before."""
    with contextlib.suppress(OSError):  # what cannot be made is told below
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def write_text(path: Path, text: str) -> None:
    """Writes all of a text file or nothing."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_text(path: Path, text: str) -> None:
    """Adds a text to the end of a file."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise write_error(path, error) from error


def first_line(error: object, most: int = 160) -> str:
    """Gives the first line of what an error says, or its name; of the operating system's, what it says without the path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    return lines[0][:most] if lines else type(error).__name__
