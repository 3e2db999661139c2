"""Trains experts epoch by epoch, several at a time, and keeps what a kill would lose: the state of those in training."""

import functools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

import dcjax as dc
from dcjax import InputError, experts
from dcjax.checkpoint import Checkpoints
from dcjax.chunks import map_in_chunks
from dcjax.training import cross_entropy, descend, steps_per_epoch
from experiments.pipeline import show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.stop import StopRequest

_ROOM = 1.05  # of the weights' bytes: Orbax's notes beside them


class School(NamedTuple):
    """Says how many experts are trained, how, and how they are kept."""

    net: dc.Network
    split: dc.data.Split
    key: dc.Key
    number: int
    epochs: int
    optimizer: optax.GradientTransformation
    batch_size: int
    augment: Any
    at_once: int  # experts that are trained together
    stored: str  # "float32" or "float16"

    def bytes(self) -> int:
        params = jax.eval_shape(self.net.init, self.key)
        return experts.stored_bytes(params, self.number, self.epochs, self.stored)


def check_room(school: School, directory: Path) -> None:
    """Says what the experts take on disk, and refuses to begin where there is too little."""
    there = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    needed = max(school.bytes() * _ROOM - there, 0)
    nearest = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    free = shutil.disk_usage(nearest).free
    show.say(
        f"{school.number} experts x {school.epochs} epochs as {school.stored} take {_size(needed)} more on disk, of which {_size(free)} are free."
    )
    if needed > free:
        raise InputError(
            f"{_size(needed)} are more than the {_size(free)} that are free in {nearest}: make room, keep them in --stored float16, or "
            "train fewer experts or epochs."
        )


def _size(count):
    return f"{count / 2**30:.2f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"


def train(school: School, directory: Path, about: dict[str, Any], complete: int, stop: StopRequest) -> None:
    """Trains all experts, from where it was stopped, and notes those that are complete.

    Args:
        school: says how.
        directory: of the experts.
        about: what is noted of them.
        complete: experts that are there already.
        stop: asks to end.
    """
    total = school.epochs + 1
    _note(school, directory, about, complete)
    programs = [jax.jit(functools.partial(each, school)) for each in (_untrained, _epoch)]
    with (
        Checkpoints(directory / "in_training") as kept,
        show.progress("training experts", school.number * total, complete * total) as advance,
    ):
        while complete < school.number:
            numbers = complete // school.at_once * school.at_once + np.arange(school.at_once, dtype=np.int32)
            new = int(min(numbers[-1] + 1, school.number)) - complete
            for age in _train_together(school, programs, directory, kept, numbers):
                advance(f"{new} to epoch {age}", new)
                if stop.requested:
                    kept.wait()
                stop.check()
            complete += new
            _note(school, directory, about, complete)


def _note(school, directory, about, complete):
    experts.note(directory, {**about, "number": complete, "epochs": school.epochs})


def _train_together(school, programs, directory, kept, numbers) -> Iterator[int]:
    """Trains the experts of some numbers, from where that was stopped; yields every epoch whose weights are saved."""
    untrained, epoch = programs
    first, state = _in_training(kept, school, numbers) or (0, untrained(numbers))
    for age in range(first, school.epochs + 1):
        if age > first:
            state = epoch(numbers, np.int32(age), state, school.split)
        _save(school, directory, numbers, age, state)
        kept.save((kept.latest or 0) + 1, state, {"saved": _wanted(school, numbers), "age": age})
        yield age
    kept.wait()


def _in_training(kept, school, numbers):
    """Gives the age and the state of experts that were stopped in training; None if these were not, or were at their last epoch."""
    if not kept.latest:
        return None
    found = kept.restore(jax.eval_shape(functools.partial(_untrained, school), numbers))
    is_it = found.config["saved"] == _wanted(school, numbers) and found.config["age"] < school.epochs
    return (found.config["age"], found.state) if is_it else None


def _wanted(school, numbers):
    """Gives the numbers of those that are kept: the last ones that are trained together may be too many."""
    return [int(number) for number in numbers if number < school.number]


def _untrained(school, numbers):
    params = jax.vmap(lambda number: school.net.init(jax.random.fold_in(jax.random.clone(school.key), number)))(numbers)
    return params, jax.vmap(school.optimizer.init)(params)


def _epoch(school, numbers, age, state, split):
    """Trains the experts of some numbers through their epoch of number `age`; each is the same in any company, up to rounding."""
    steps = steps_per_epoch(sum(split.counts), school.batch_size)
    how = {"steps": steps, "batch_size": school.batch_size, "augment": school.augment}
    loss = cross_entropy(school.net)

    def one(batch, number, params, opt_state):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.clone(school.key), number), age)
        return descend(key, loss, params, opt_state, batch, school.optimizer, **how)

    return map_in_chunks(one, split.batch(), numbers, *state)


def _save(school, directory, numbers, age, state):
    params = jax.tree.map(np.asarray, state[0])
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        raise Diverged(f"An expert diverged in epoch {age}: give a smaller --rate.")
    for row, expert in enumerate(_wanted(school, numbers)):
        experts.save(directory, expert, age, jax.tree.map(lambda x, row=row: x[row], params), school.stored)
