"""Keeps a directory for one command at a time, so that two never write to the same files."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import filelock

from dcjax import InputError, files
from experiments.pipeline.show import say

NAME = ".lock"
_OWNER = ".lock.owner"
FILES = (NAME, _OWNER)


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """Holds a directory, which is made if it is not there, until the block ends or the process does, even by a kill.

    Raises:
        InputError: another process holds it.
        WriteError: the directory cannot be made or written to.
    """
    lock = filelock.FileLock(directory / NAME)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        files.write_text(directory / _OWNER, f"process {os.getpid()} on {platform.node()}")
    except filelock.Timeout:
        raise InputError(
            f"{directory} is in use by {_owner(directory)}: wait for it, stop it, or give another directory."
        ) from None
    except NotImplementedError:  # a file system without locks, as some network drives are
        say(f"{directory} is on a file system without locks: make sure that no other command writes there.")
    except OSError as error:
        raise files.write_error(directory, error) from None
    try:
        yield
    finally:
        lock.release()


def _owner(directory):
    try:
        return (directory / _OWNER).read_text()[:200]
    except (OSError, ValueError):
        return "another process"
