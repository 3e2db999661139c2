"""Keeps experts on disk, networks trained on real images with their weights after every epoch, and reads segments of their training.

    experts = dcjax.experts.Experts("runs/experts-digits")
    starts, targets = experts.segments(seed=0, t=7, count=1, max_start=10, span=2)

Every epoch of every expert is a checkpoint of its own (Orbax), so that reading a segment takes the time and memory of its two ends,
whatever the number of experts. Cazenavette et al., Dataset Distillation by Matching Training Trajectories, CVPR 2022 (arXiv:2203.11932).
"""

import json
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from dcjax.base import InputError, Params
from dcjax.files import first_line, read_json, write_error, write_text

NOTE = "experts.json"
FORMATS = {"float32": np.float32, "float16": np.float16}
Segments = tuple[Params, Params]  # the weights at the starts and at the ends, each stacked along a first axis


def place(directory: Path, expert: int, epoch: int) -> Path:
    """Gives the directory of an expert's weights after an epoch; those of epoch 0 are untrained."""
    return Path(directory).absolute() / f"{expert:04d}" / f"{epoch:04d}"


def save(directory: Path, expert: int, epoch: int, params: Params, stored: str = "float32") -> None:
    """Saves the weights of an expert after an epoch, in the place of any that are there.

    Args:
        directory: of all experts.
        expert: its number.
        epoch: how many it was trained for.
        params: its weights.
        stored: "float32", or "float16" for half the bytes at three digits less.

    Raises:
        WriteError: nothing can be written there.
    """
    tree = jax.tree.map(lambda x: np.asarray(x, FORMATS[stored]), params)
    target = place(directory, expert, epoch)
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save(target, tree, force=True)
    except (OSError, ValueError) as error:  # the storage has a ValueError for a disk that is full
        raise write_error(target, error if isinstance(error, OSError) else OSError(first_line(error))) from None


def stored_bytes(params: Params, number: int, epochs: int, stored: str) -> int:
    """Counts the bytes of so many experts' weights, before any training and after every epoch."""
    values = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    return number * (epochs + 1) * values * np.dtype(FORMATS[stored]).itemsize


def note(directory: Path, content: dict[str, Any]) -> None:
    """Notes how the experts of a directory were made and how many are complete."""
    write_text(Path(directory) / NOTE, json.dumps(content, indent=2) + "\n")


def check_segments(whose: str, epochs: int, max_start: int, span: int) -> None:
    """Refuses segments that may end after the last of the epochs that experts, named for the message, are trained for."""
    if max_start < 1 or span < 1:
        raise InputError(
            f"A segment begins below epoch 1 or more and spans an epoch or more, not below {max_start} and {span}."
        )
    last = max_start - 1
    if last + span > epochs:
        raise InputError(
            f"Segments that begin up to epoch {last} and span {span} end at epoch {last + span}, but {whose} were trained for {epochs}: start "
            f"before {max(epochs - span + 1, 1)}, span fewer epochs, or train for more."
        )


class Experts:
    """Reads the experts of a directory.

    Attributes:
        about: what is noted of them: `number` that are complete, `epochs` that each was trained for, and how they were made.

    Raises:
        InputError: there are none.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        self.about = read_json(self.directory / NOTE, "make the experts again, in another directory")
        if not all(type(self.about.get(name)) is int and self.about[name] > 0 for name in ("number", "epochs")):
            raise InputError(
                f"{self.directory / NOTE} notes no experts that are complete: go on with the command that makes them."
            )

    def check(self, max_start: int, span: int) -> None:
        """Refuses segments that may end after the last epoch."""
        check_segments(f"the experts in {self.directory}", self.about["epochs"], max_start, span)

    def weights(self, expert: int, epoch: int) -> Params:
        """Reads the weights of one expert after an epoch, float32."""
        where = place(self.directory, expert, epoch)
        try:
            with ocp.PyTreeCheckpointer() as checkpointer:
                kinds = jax.tree.map(
                    lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray), _tree_of(checkpointer, where)
                )
                tree = checkpointer.restore(where, restore_args=kinds)
            return jax.tree.map(lambda x: np.asarray(x, np.float32), tree)
        except Exception as error:  # whatever a damaged file makes Orbax and its storage raise
            raise InputError(
                f"{where} is damaged or not there ({type(error).__name__}: {first_line(error)}): make the experts again, in another directory."
            ) from None

    def segments(self, seed: int, t: int, count: int, max_start: int, span: int, number: int | None = None) -> Segments:
        """Draws `count` segments, the same ones for the same seed and iteration: an expert and a start below `max_start` for each.

        The expert is one of the first `number`, or when None of all that are complete: then others come when experts are added.

        Raises:
            InputError: a segment may end after the last epoch, or there are fewer experts.
        """
        generator = np.random.default_rng([seed, t])
        self.check(max_start, span)
        complete = self.about["number"]
        if number is not None and not 1 <= number <= complete:
            raise InputError(
                f"{number} experts are asked for, but {complete} in {self.directory} are complete: make more, or take fewer."
            )
        number = number or complete
        chosen = [(generator.integers(number), generator.integers(max_start)) for _ in range(count)]
        ends = [[self.weights(expert, start + later) for expert, start in chosen] for later in (0, span)]
        starts, targets = (jax.tree.map(lambda *leaves: np.stack(leaves), *trees) for trees in ends)
        return starts, targets


def ahead(read: Callable[[int], Any]) -> Callable[[int], Any]:
    """Makes a function of t that reads what t + 1 will ask for in the background, while t is worked on."""
    pool, coming = ThreadPoolExecutor(1), {}

    def at(t: int) -> Any:
        now: Future = coming.pop(t, None) or pool.submit(read, t)
        coming.clear()
        value = now.result()
        coming[t + 1] = pool.submit(read, t + 1)
        return value

    return at


def _tree_of(checkpointer, where):
    return checkpointer.metadata(where).item_metadata.tree
