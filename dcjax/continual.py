"""Trains networks on tasks that come one after the other, and says how much they forget.

Of earlier tasks a network sees again only what a memory holds: condensed images, or chosen ones. It has an output for every class that
will ever come, of which `of_first` leaves those that have come, so that weights keep their shapes from task to task.

    seen = of_first(net, 4)                                                   # after two tasks of two classes each
    memory = joined([first, second], num_classes=4)
    params = dcjax.train_student(key, seen, memory, recipe)                   # from scratch, as Zhao & Bilen do (arXiv:2110.04181)
    params = go_on(key, seen, params, memory, recipe)                         # from the weights after the first task
    params = go_on_distilled(key, seen, params, memory, recipe, known=2)      # and to their answers, as Kim et al. do (arXiv:2205.14959)
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dcjax.base import Array, Batch, InputError, Key, Loss, Network, Params
from dcjax.gradients import image_count
from dcjax.networks import weights
from dcjax.optimizers import by_name
from dcjax.recipe import Recipe
from dcjax.training import cross_entropy, flatten


@dataclasses.dataclass(frozen=True)
class _FirstOutputs:
    function: Callable[[Params, Array], Array]
    count: int

    def __call__(self, params: Params, x: Array, *present: Array) -> Array:
        return self.function(params, x, *present)[..., : self.count]


def of_first(net: Network, count: int) -> Network:
    """Gives the network that tells the first `count` classes apart: its other outputs are left out, its weights are the same.

    Equal networks give equal ones, so that what takes them as static arguments is compiled once.
    """
    return net._replace(apply=_FirstOutputs(net.apply, count), classify=_FirstOutputs(net.classify, count))


def joined(memories: Sequence[Batch], num_classes: int) -> Batch:
    """Joins memories of classes that came one after the other into one flat batch, with labels [B, num_classes].

    Args:
        memories: the memory of every task, [K, M, ...] with labels of its own K classes; K and M may differ.
        num_classes: classes of the labels, at least those of all memories together.
    """
    total = sum(memory.label.shape[-1] for memory in memories)
    if total > num_classes:
        raise InputError(f"The memories are of {total} classes together, more than the {num_classes} of the labels.")
    parts, first = [], 0
    for memory in memories:
        own = memory.label.shape[-1]
        label = jnp.pad(memory.label, [(0, 0), (0, 0), (first, num_classes - first - own)])
        parts.append(flatten(Batch(memory.image, label)))
        first += own
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


def go_on(key: Key, net: Network, params: Params, batch: Batch, recipe: Recipe) -> Params:
    """Trains a network further on a flat batch, by all phases of a recipe, from weights that it has; the key is consumed."""
    *phase_keys, settle_key = jax.random.split(key, 1 + len(recipe.phases))
    params = _trained(phase_keys, cross_entropy(net), weights(params), batch, recipe)
    return recipe.settle(settle_key, net, params, batch)


def go_on_distilled(
    key: Key, net: Network, params: Params, batch: Batch, recipe: Recipe, *, known: int, temperature: float = 2.0
) -> Params:
    """Trains a network further as `go_on` does, while it is held to the answers that it gave before for the classes it knew.

    Args:
        key: shuffles, augments and mixes; consumed.
        net: the network.
        params: its weights, from which it goes on and with which it answers as its own teacher.
        batch: the training set, [B, H, W, C] and [B, K].
        recipe: how it is trained; the teacher sees the same augmented images.
        known: the number of first classes that it knew.
        temperature: divides the logits of both; `distillation` says how.
    """
    if recipe.replays:
        raise InputError("A replay takes its own steps, none of which is held to a teacher: give a recipe of epochs.")
    phases = tuple(phase._replace(optimizer=_BesideTeacher(phase.optimizer)) for phase in recipe.phases)
    *phase_keys, settle_key = jax.random.split(key, 1 + len(phases))
    both = {"student": weights(params), "teacher": params}
    loss = distillation(net, known, temperature)
    both = _trained(phase_keys, loss, both, batch, recipe._replace(phases=phases))
    return recipe.settle(settle_key, net, both["student"], batch)


def _trained(keys, loss, params, batch, recipe):
    rate = recipe.rate(())
    for key, phase in zip(keys, recipe.phases):
        params = phase.train(key, loss, params, batch, recipe, rate)
    return params


class _BesideTeacher(NamedTuple):
    """Makes a phase's optimizer for the student, which leaves the teacher as it is."""

    student: Callable[[int, Any], optax.GradientTransformation]

    def __call__(self, steps, rate):
        return by_name({"student": self.student(steps, rate), "teacher": optax.set_to_zero()})


@dataclasses.dataclass(frozen=True)
class _Distillation:
    net: Network
    known: int
    temperature: float

    @property
    def per_image(self) -> bool:
        return self.net.per_image

    def __call__(self, params: Params, batch: Batch) -> Array:
        present = () if self.per_image else (batch.label.any(-1),)
        logits = self.net.apply(params["student"], batch.image, *present)
        answers = jax.lax.stop_gradient(self.net.settled.apply(params["teacher"], batch.image))
        student, teacher = (jax.nn.log_softmax(x[:, : self.known] / self.temperature) for x in (logits, answers))
        divergence = (jnp.exp(teacher) * (teacher - student)).sum(-1) * batch.label.sum(-1)
        crossed = -(batch.label * jax.nn.log_softmax(logits)).sum()
        return (crossed + self.temperature**2 * divergence.sum()) / image_count(batch)


def distillation(net: Network, known: int, temperature: float) -> Loss:
    """Makes the loss of `{"student": ..., "teacher": ...}`: cross-entropy, and T^2 KL(teacher || student) of softmax(logits / T).

    The divergence is over the first `known` classes, which the teacher tells apart. T^2 keeps its gradient as large at any
    temperature T (Hinton et al., arXiv:1503.02531). The teacher gets no gradient, and is settled if it has batch norm.
    """
    return _Distillation(net, known, temperature)


def forgetting(accuracy: np.ndarray) -> float:
    """Computes how much of earlier tasks was forgotten at the end, from accuracies [T, T] after step t (row) on task s <= t (column).

    It is the mean over all tasks s but the last of  max over s <= t < T - 1 of a[t, s]  -  a[T - 1, s]  (Chaudhry et al., arXiv:1801.10112):
    the best accuracy after an earlier step minus that after the last. It is negative where a task gained, and 0 after a single step.
    """
    accuracy = np.asarray(accuracy, float)
    last = len(accuracy) - 1
    lost = [accuracy[s:last, s].max() - accuracy[last, s] for s in range(last)]
    return float(np.mean(lost)) if lost else 0.0


def class_order(seed: int, num_classes: int) -> tuple[int, ...]:
    """Draws the order in which classes come, as the published experiments on CIFAR-100 do: NumPy's older generator, one permutation."""
    return tuple(np.random.RandomState(seed).permutation(num_classes).tolist())
