"""Keeps a run's state on disk, by Orbax: written beside the old one and renamed, so that a kill in mid-save loses nothing.

Every checkpoint holds a digest of its contents. One that does not go with its digest is never restored: the one before it is.
"""

import contextlib
import errno
import functools
import gc
import glob
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from dcjax.base import CondenserState, InputError
from dcjax.files import WriteError, first_line

_CAUSES = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
Fill = Callable[[Any], Any]  # a tree of arrays -> the same tree with the values of a checkpoint


class Restored(NamedTuple):
    """Holds what was restored, and why newer checkpoints were not."""

    iteration: int
    state: CondenserState
    config: dict[str, Any]  # as given to `save`
    damaged: dict[int, str]  # iteration -> what is wrong with its checkpoint, which is kept as `damaged-ITERATION`


class Checkpoints:
    """Keeps the newest `keep` states of one run; leaving its context waits for the last save.

    Raises:
        WriteError: a state cannot be saved. Saving goes on in the background, so any later call may raise it.
    """

    def __init__(self, directory: Path, keep: int = 2):
        self.directory = Path(directory).resolve()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        with self._saving():
            self.directory.mkdir(parents=True, exist_ok=True)
            self._surroundings = contextlib.ExitStack()
            plain = self._surroundings.enter_context(_plain_path(self.directory))
            self._manager = ocp.CheckpointManager(plain, options=options)
            self._surroundings.enter_context(_without_late_reports())

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        ignored = contextlib.suppress(WriteError) if kind else contextlib.nullcontext()  # one error is enough
        with self._surroundings, ignored, self._saving():
            self._manager.close()

    @property
    def latest(self) -> int | None:
        """Gives the newest saved iteration, None where there is none."""
        return self._manager.latest_step()

    def save(self, iteration: int, state: CondenserState, config: dict) -> None:
        """Saves a state in the background; one that is already there is kept."""
        if iteration == self.latest:
            return
        content = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            config=ocp.args.JsonSave(config),
            digest=ocp.args.JsonSave({"sha256": digest(state, config)}),
        )
        with self._saving():
            self._manager.save(iteration, args=content)

    def check(self) -> None:
        """Raises what went wrong in the background, if anything did."""
        with self._saving():
            self._manager.check_for_errors()

    def wait(self) -> None:
        """Waits until everything is on disk."""
        with self._saving():
            self._manager.wait_until_finished()

    def restore(self, like: CondenserState, arrange: Callable[[Fill, Any], CondenserState] | None = None) -> Restored:
        """Gives the newest state that is whole, and sets newer ones aside as `damaged-ITERATION`, whatever kept them from being read.

        Args:
            like: a state of the structure, types and placement to restore.
            arrange: `arrange(fill, like)` gives the state where a checkpoint may be of another structure; `fill` fills any tree of arrays.

        Raises:
            InputError: no state is whole.
        """
        damaged: dict[int, str] = {}
        for iteration in sorted(self._manager.all_steps(), reverse=True):
            try:
                fill = functools.partial(self._fill, iteration)
                state = arrange(fill, like) if arrange else fill(like)
                config = self._restored(iteration, config=ocp.args.JsonRestore()).config
                self._check_digest(iteration, state, config)
            except Exception as error:  # whatever a damaged file makes Orbax and its storage raise
                damaged[iteration] = f"{type(error).__name__}: {first_line(error)}"
                del error
                gc.collect()  # what the storage still has to say of it, it says now, to nobody
                continue
            self._set_aside(damaged)
            return Restored(iteration, state, config, damaged)
        if not damaged:
            raise InputError(f"There is no checkpoint in {self.directory}: start again without --resume.")
        found = "; ".join(f"iteration {iteration}: {reason}" for iteration, reason in damaged.items())
        raise InputError(
            f"No checkpoint in {self.directory} is whole ({found}): start the run again in another --workdir."
        )

    def _set_aside(self, iterations):
        """Renames checkpoints, in the first process alone, so that the run may save others in their place."""
        if not iterations:
            return
        try:
            for iteration in iterations if jax.process_index() == 0 else ():
                aside = self.directory / f"damaged-{iteration}"
                shutil.rmtree(aside, ignore_errors=True)
                (self.directory / str(iteration)).rename(aside)
        except OSError as error:
            raise WriteError(
                f"No checkpoint can be renamed in {self.directory} ({_cause(error)}): give rights there."
            ) from None
        finally:
            if jax.process_count() > 1:
                from jax.experimental import multihost_utils

                multihost_utils.sync_global_devices("checkpoints set aside")
        self._manager.reload()

    def _fill(self, iteration, like):
        return self._restored(iteration, state=ocp.args.StandardRestore(like)).state

    def _restored(self, iteration, **what):
        return self._manager.restore(iteration, args=ocp.args.Composite(**what))

    def _check_digest(self, iteration, state, config):
        if not (self.directory / str(iteration) / "digest").is_dir():
            return  # earlier versions noted none
        noted = self._restored(iteration, digest=ocp.args.JsonRestore()).digest
        if noted != {"sha256": digest(state, config)}:
            raise ValueError("its contents do not go with its digest")

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Orbax and its storage have many for a disk that is full
            raise WriteError(
                f"No checkpoint can be saved in {self.directory} ({_cause(error)}): make room or give rights there."
            ) from None


def digest(state: Any, config: dict) -> str:
    """Digests all arrays of a state, which every process must hold or be able to gather, and the configuration beside it."""
    seen = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for leaf in jax.tree.leaves(state):
        array = _gathered(leaf)
        seen.update(f"{array.dtype} {array.shape}".encode())
        seen.update(np.ascontiguousarray(array).data)
    return seen.hexdigest()


def _gathered(leaf):
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        from jax.experimental import multihost_utils

        return multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(leaf)


@contextlib.contextmanager
def _plain_path(directory: Path) -> Iterator[Path]:
    """Gives a path to the directory that Orbax can search below, for which brackets are patterns."""
    if not glob.has_magic(str(directory)):
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="dcjax-") as place:
        link = Path(place, "checkpoints")
        link.symlink_to(directory)
        yield link


@contextlib.contextmanager
def _without_late_reports() -> Iterator[None]:
    """Keeps what Orbax's storage still finds wrong with a damaged checkpoint, after that was told, from being printed."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda report: None if "Event loop is closed" in str(report.exc_value) else hook(report)
    try:
        yield
    finally:
        sys.unraisablehook = hook


def _cause(error):
    """Names what a failed save met: the operating system's word for it where there is one."""
    text = str(error)
    return next((word for word in map(os.strerror, _CAUSES) if word in text), first_line(error))
