"""Holds what comes one step after another: groups of the classes of one data set, or whole data sets."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

import dcjax as dc
from dcjax import continual
from dcjax.training import flatten

Predict = Callable[[dc.data.Split], np.ndarray]  # the class that each of S networks takes each image for, [S, T]


class Classes(NamedTuple):
    """The classes of one data set in some order, as many in every step; all that is left of them are memories."""

    data: dc.data.Dataset
    order: tuple[int, ...]
    steps: int

    @property
    def num_classes(self) -> int:
        return len(self.order)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.data.image_shape

    def data_of(self, step: int) -> dc.data.Dataset:
        """Gives the data set that the images of a step are of."""
        del step
        return self.data

    def of_step(self, step: int) -> tuple[int, ...]:
        """Gives the classes that come in a step."""
        size = len(self.order) // self.steps
        return self.order[step * size : (step + 1) * size]

    def seen(self, step: int) -> int:
        """Counts the classes that have come by the end of a step."""
        return (step + 1) * len(self.order) // self.steps

    def memories(self, step: int) -> int:
        """Counts the memories that networks of a step are trained on."""
        return step + 1

    def batch(self, memories: Sequence[dc.Batch], step: int) -> dc.Batch:
        """Gives what networks of a step are trained on."""
        return continual.joined(memories, self.seen(step))

    def accuracies(self, predict: Predict, step: int) -> list[np.ndarray]:
        """Gives the accuracies of all S networks on the classes of every step so far, each an array [S]."""
        place = np.argsort(self.order)[self.data.test.label]  # where a class stands in the order
        right = predict(self.data.test) == place
        group = place // len(self.of_step(0))
        return [right[:, group == earlier].mean(1) for earlier in range(step + 1)]

    def weights(self, step: int) -> np.ndarray:
        """Gives the weights of these in the accuracy on all that was seen: the shares of the test images."""
        counts = np.array([sum(self.data.test.counts[k] for k in self.of_step(t)) for t in range(step + 1)])
        return counts / counts.sum()


class Sets(NamedTuple):
    """Data sets of the same classes; each is there as a whole in its own step, and as a memory afterwards."""

    sets: tuple[dc.data.Dataset, ...]

    @property
    def num_classes(self) -> int:
        return self.sets[0].num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.sets[0].image_shape

    def data_of(self, step: int) -> dc.data.Dataset:
        return self.sets[step]

    @property
    def steps(self) -> int:
        return len(self.sets)

    def seen(self, step: int) -> int:
        del step
        return self.num_classes

    def memories(self, step: int) -> int:
        return step

    def batch(self, memories: Sequence[dc.Batch], step: int) -> dc.Batch:
        parts = [self.sets[step].train.batch(), *map(flatten, memories)]
        return jax.tree.map(lambda *leaves: jax.numpy.concatenate(leaves), *parts)

    def accuracies(self, predict: Predict, step: int) -> list[np.ndarray]:
        tests = [data.test for data in self.sets[: step + 1]]
        return [(predict(test) == test.label).mean(1) for test in tests]

    def weights(self, step: int) -> np.ndarray:
        """Gives every task the same weight, as Zhao et al. do."""
        return np.full(step + 1, 1 / (step + 1))


Stream = Classes | Sets
