"""Keeps a directory for one command at a time, so that two never write to the same files."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import filelock

from dcjax import InputError, files
from experiments.pipeline.show import say

LOCK, OWNER = ".lock", ".lock.owner"
FILES = (LOCK, OWNER)


@contextlib.contextmanager
def held(directory: Path, what: str = "") -> Iterator[None]:
    """Holds a directory, which is made if it is not there, until the block ends or the process does, even by a kill.

    Args:
        directory: the directory.
        what: the beginning of the names of the lock's files, where only a part of the directory is held.

    Raises:
        InputError: another process holds it.
        WriteError: the directory cannot be made or written to.
    """
    lock, owner = filelock.FileLock(directory / f"{what}{LOCK}"), directory / f"{what}{OWNER}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        files.write_text(owner, f"process {os.getpid()} on {platform.node()}")
    except filelock.Timeout:
        raise InputError(
            f"{directory} is in use by {_read(owner)}: wait for it, stop it, or give another directory."
        ) from None
    except NotImplementedError:  # a file system without locks, as some network drives are
        say(f"{directory} is on a file system without locks: make sure that no other command writes there.")
    except OSError as error:
        raise files.write_error(directory, error) from None
    try:
        yield
    finally:
        lock.release()


def _read(owner):
    try:
        return owner.read_text()[:200]
    except (OSError, ValueError):
        return "another process"
