"""Trains networks step by step of a stream, tests them on all steps so far, and notes weights and accuracies as soon as they are there."""

import contextlib
import dataclasses
import functools
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import dcjax as dc
from dcjax import continual
from dcjax.checkpoint import digest
from dcjax.chunks import chunk_size, map_in_chunks
from dcjax.evaluate import predictions
from dcjax.files import read_npz, write_npz
from dcjax.sharding import device_count
from experiments.pipeline import show
from experiments.pipeline.scores import ScoreStore
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.streams import Stream


class Scratch(NamedTuple):
    """Trains a network from scratch: `(batch, key) -> weights`."""

    net: dc.Network
    recipe: dc.Recipe

    def __call__(self, batch, key):
        return dc.train_student(key, self.net, batch, self.recipe)


class Onward(NamedTuple):
    """Trains a network on from the weights that it has: `(batch, key, weights) -> weights`."""

    net: dc.Network
    recipe: dc.Recipe

    def __call__(self, batch, key, params):
        return continual.go_on(key, self.net, params, batch, self.recipe)


class Distilled(NamedTuple):
    """Trains a network on, held to the answers that it gave before for the classes it knew."""

    net: dc.Network
    recipe: dc.Recipe
    known: int
    temperature: float

    def __call__(self, batch, key, params):
        how = {"known": self.known, "temperature": self.temperature}
        return continual.go_on_distilled(key, self.net, params, batch, self.recipe, **how)


TRAININGS = ("scratch", "onward", "distilled")


class Course(NamedTuple):
    """One order of a stream, learned with one kind of memory in one way."""

    name: str  # of the memories
    order: int
    training: str  # one of TRAININGS
    stream: Stream

    def case(self, step: int, task: int, seen: str) -> str:
        """Names an accuracy: after a step, on a task, of networks that were trained on memories with the digest `seen`."""
        return f"{self.name}/{self.training}/order {self.order}/step {step + 1}/task {task + 1}/memories {seen}"


class Memory(NamedTuple):
    """What networks are trained on of an earlier step, with a digest of what was stored of it."""

    batch: dc.Batch
    digest: str


@dataclasses.dataclass(frozen=True)
class Lessons:
    """Trains and tests several networks for every course, from wherever that was stopped.

    Weights after every step are in `place` until all is done; those after the first do not depend on how later ones are trained.
    """

    net: dc.Network  # with an output for every class that will come
    recipe: dc.Recipe
    temperature: float
    networks: int
    place: Path
    store: ScoreStore
    stop: StopRequest

    def accuracies(self, course: Course, memories: Callable[[int], Sequence[Memory]]) -> np.ndarray:
        """Gives accuracies [T, T, S]: after step t, on task s, of each network; NaN where s has not come or training diverged.

        Args:
            course: what is learned.
            memories: gives the memories that the networks of a step are trained on.
        """
        steps, scores = course.stream.steps, self.store.content["scores"]
        found = np.full((steps, steps, self.networks), np.nan)
        for t in range(steps):
            seen = self._seen(course, t, memories)
            cases = [course.case(t, s, seen) for s in range(t + 1)]
            if len(scores.get(cases[-1], ())) < self.networks:
                tested = self._tested(course, t, self._weights(course, t, memories))
                scores |= {case: row.tolist() for case, row in zip(cases, tested)}
                self.store.write()
            found[t, : t + 1] = [scores[case][: self.networks] for case in cases]
        return found

    def forget_weights(self) -> None:
        """Removes the weights, and the folder around them unless it holds others: those of a stopped command, or a user's files."""
        shutil.rmtree(self.place, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.place.parent.rmdir()

    def _tested(self, course, t, params):
        net, diverged = self._known(course, t), ~_finite(params)
        rows = course.stream.accuracies(lambda test: np.asarray(_mapped(_Predict(net), test, params)), t)
        return [np.where(diverged, np.nan, row) for row in rows]

    def _weights(self, course, t, memories):
        """Gives the weights of all networks after a step, from disk as far as they are there."""
        first = course.training == "scratch" or t == 0
        file = self.place / f"{_name(course, t)}-{self._seen(course, t, memories)}.npz"
        like = jax.eval_shape(
            lambda: jax.vmap(self._shaped(course.stream.image_shape))(_keys(course, t, self.networks))
        )
        kept = _kept(file, like)
        done = len(kept[0])
        if done < self.networks:
            batch = course.stream.batch([each.batch for each in memories(t)], t)
            before = () if first else (self._weights(course, t - 1, memories),)
            rows = (_keys(course, t, self.networks), *before)
            lesson = self._lesson(course, t)
            at_once = device_count() * chunk_size(lesson, batch, *rows)
            title = f"{course.name}, {course.training}, order {course.order}, step {t + 1}"
            with show.progress(title, self.networks, done) as advance:
                for start in range(done, self.networks, at_once):
                    part = jax.tree.map(lambda x, start=start: x[start : start + at_once], rows)
                    new = jax.tree.leaves(_mapped(lesson, batch, *part))
                    kept = [np.concatenate([old, np.asarray(leaf)]) for old, leaf in zip(kept, new)]
                    write_npz(file, {str(i): leaf for i, leaf in enumerate(kept)})
                    advance("", len(kept[0]) - start)
                    self.stop.check()
        return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(leaf[: self.networks]) for leaf in kept])

    def _seen(self, course, t, memories):
        """Digests what may be otherwise when the command is given again: the memories up to a step, and how answers are distilled."""
        is_distilled = course.training == "distilled" and t > 0
        beside = {"temperature": self.temperature} if is_distilled else {}
        return digest([], {"memories": [each.digest for each in memories(t)], **beside})[:12]

    def _shaped(self, image_shape):
        """Gives what makes weights of the shapes that trained ones have, with the statistics of batch norm if there is some."""
        return lambda key: self.net.settle(self.net.init(key), jnp.zeros((2, *image_shape)))

    def _lesson(self, course, t):
        net = self._known(course, t)
        if course.training == "scratch" or t == 0:
            return Scratch(net, self.recipe)
        if course.training == "onward":
            return Onward(net, self.recipe)
        return Distilled(net, self.recipe, course.stream.seen(t - 1), self.temperature)

    def _known(self, course, t):
        return continual.of_first(self.net, course.stream.seen(t))


class _Predict(NamedTuple):
    net: dc.Network

    def __call__(self, test, params):
        return predictions(self.net, params, test)


@functools.partial(jax.jit, static_argnums=0)
def _mapped(function, shared, *rows):
    return map_in_chunks(function, shared, *rows)


def _name(course, t):
    """Names the weights after a step: after the first, what is learned later makes no difference, nor do memories that are not there yet."""
    if t == 0:
        return f"{course.name if course.stream.memories(0) else 'all'}-{course.order}-1"
    return f"{course.name}-{course.training}-{course.order}-{t + 1}"


def _keys(course, t, count):
    """Gives every network's key, which does not depend on how many there are."""
    seed = jax.random.fold_in(jax.random.key(course.order), zlib.crc32(_name(course, t).encode()))
    return jax.vmap(lambda i: jax.random.fold_in(seed, i))(jnp.arange(count))


def _kept(file, like):
    """Reads the weights of the networks that are trained; none if the file is not there, damaged or of others."""
    with contextlib.suppress(dc.InputError, KeyError):
        arrays = read_npz(file)
        kept = [arrays[str(i)] for i in range(len(jax.tree.leaves(like)))]
        alike = [(x.shape[1:], x.dtype) == (y.shape[1:], y.dtype) for x, y in zip(kept, jax.tree.leaves(like))]
        if all(alike) and len({len(x) for x in kept}) == 1:
            return kept
    return [np.zeros((0, *leaf.shape[1:]), leaf.dtype) for leaf in jax.tree.leaves(like)]


def _finite(params: Any) -> np.ndarray:
    """Tells which of S networks have finite weights, [S]."""
    leaves = [np.isfinite(np.asarray(leaf)).reshape(len(leaf), -1).all(1) for leaf in jax.tree.leaves(params)]
    return np.logical_and.reduce(leaves)
