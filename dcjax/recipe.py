"""A recipe says how a student is trained on a condensed set; `recipes` makes the published ones."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dcjax import rates
from dcjax.augment import identity, no_mixing
from dcjax.base import Array, Augmentation, Batch, Hyper, InputError, Key, Loss, Mixing, Network, Params
from dcjax.minibatches import in_order, one_view_each, shuffled, steps_per_epoch
from dcjax.settling import on_training_set
from dcjax.training import fit, unroll

# A recipe is an argument of compiled functions, and JAX compares such arguments. Its callables are NamedTuples because two of those
# that are made alike are equal, where two closures are not.


class ConstantRate(NamedTuple):
    """Gives a rate that is known before training."""

    rate: float

    def __call__(self, hyper: Hyper) -> float:
        return self.rate


def _itself(rate: Array) -> Array:
    return rate


def _at(known):
    return f"`at_learned_rate({next(iter(known))!r})`" if len(known) == 1 else "with a rate of its own"


class LearnedRate(NamedTuple):
    """Gives a rate that was learned with the images, as one of the hyperparameters by name."""

    name: str
    stands_for: Callable[[Array], Array] = _itself  # what is stored -> the rate

    def __call__(self, hyper: Hyper) -> Array:
        known = dict(hyper)
        if self.name not in known:
            raise InputError(
                f"The recipe trains at the learned {self.name!r}, but {', '.join(known) or 'nothing'} was learned beside the "
                f"images: give `hyper`, or a recipe {_at(known)}."
            )
        return self.stands_for(jnp.asarray(known[self.name]))


class Phase(NamedTuple):
    """Trains for some epochs of reshuffled mini-batches under one optimizer, whose state starts afresh."""

    optimizer: Callable[[int, Any], optax.GradientTransformation]  # from the steps in an epoch and the recipe's rate
    epochs: int

    def train(self, key: Key, loss: Loss, params: Params, batch: Batch, recipe: "Recipe", rate: Any) -> Params:
        if jnp.ndim(rate):
            raise InputError(
                f"{len(rate)} rates were learned, one for every step of a replay, but this recipe trains at one: give `replay_recipe`, or a rate."
            )
        optimizer = self.optimizer(steps_per_epoch(batch.image.shape[0] // recipe.views, recipe.batch_size), rate)
        order = one_view_each(recipe.views, batch.label.shape[-1]) if recipe.views > 1 else shuffled
        how = {"batch_size": recipe.batch_size, "augment": recipe.augment, "mix": recipe.mix, "epoch_order": order}
        return fit(key, loss, params, batch, optimizer, epochs=self.epochs, **how)


class Replay(NamedTuple):
    """Takes the images of a class-grouped set some at a time in their order, by plain gradient steps, each at a rate of its own (DD)."""

    passes: int

    def train(self, key: Key, loss: Loss, params: Params, batch: Batch, recipe: "Recipe", rate: Any) -> Params:
        size, num_classes = batch.label.shape
        if size % num_classes:
            raise InputError(
                f"{size} images are not as many of each of {num_classes} classes, whose images are taken in order: give another recipe."
            )
        grouped = jax.tree.map(lambda x: x.reshape(num_classes, -1, *x.shape[1:]), batch)
        steps = size // num_classes // recipe.batch_size * self.passes
        if jnp.ndim(rate) and len(rate) != steps:
            raise InputError(
                f"{len(rate)} rates were learned, but {self.passes} passes over these images have {steps} steps: give as many passes as "
                "they were learned with."
            )
        how = {"order": in_order(recipe.batch_size), "rate": rate, "augment": recipe.augment, "mix": recipe.mix}
        return unroll(key, loss, params, grouped, optax.sgd(1.0), steps=steps, **how)


class AnyStart(NamedTuple):
    """Begins every student with weights drawn at random."""

    def __call__(self, net: Network, key: Key) -> Params:
        return net.init(key)


class OneStart(NamedTuple):
    """Begins every student with the same weights, those drawn with a seed: for sets that are learned for one known network (DD)."""

    seed: int

    def __call__(self, net: Network, key: Key) -> Params:
        del key
        return net.init(jax.random.key(self.seed))


class Recipe(NamedTuple):
    """Says how a student is trained: in phases, one after the other."""

    phases: tuple[Phase | Replay, ...]
    batch_size: int  # images in a step: of all classes together, but in a `Replay` of each class
    augment: Augmentation = identity
    mix: Mixing = no_mixing
    description: str = ""  # for whoever trains on the set elsewhere
    # The rate, from what was learned beside the images; a phase's optimizer takes it, or a fraction of it.
    rate: Callable[[Hyper], Any] = ConstantRate(0.01)
    begin: Callable[[Network, Key], Params] = AnyStart()
    views: int = 1  # of every source; where there are several, an epoch sees one of them, drawn at random (HaBa)

    @property
    def replays(self) -> bool:
        """Tells whether it takes images in their order, as many of each class, as only a condensed set has them."""
        return any(isinstance(phase, Replay) for phase in self.phases)

    def plain(self) -> "Recipe":
        """Gives the same recipe without augmentation and mixing."""
        return self._replace(augment=identity, mix=no_mixing)

    def settle(self, key: Key, net: Network, params: Params, batch: Batch) -> Params:
        """Settles a student on its training set, a flat batch, by random mini-batches of the size that it was trained on; see `settling`."""
        size = self.batch_size * (batch.label.shape[-1] if self.replays else 1)
        return on_training_set(key, net, params, batch, batch_size=size, augment=self.augment, mix=self.mix)

    def of_one_view(self, views: int) -> "Recipe":
        """Gives the same recipe for a set of so many views of every source, of which an epoch sees one, drawn for each source."""
        if self.replays:
            raise InputError(
                "A replay takes the images in their order, all of them: give a recipe of epochs, or one of all views."
            )
        description = f"{self.description}; an epoch sees every source in one of its {views} views, drawn at random"
        return self._replace(views=views, description=description)

    def at_learned_rate(self, name: str = rates.NAME) -> "Recipe":
        """Gives the same recipe at a rate that was learned, `hyper[name]`, which may differ without compiling anew.

        `rates.NAME`, as which objectives learn one, stands for the softplus of what is stored, any other name for the rate itself.
        """
        is_raw = name == rates.NAME
        words = f"the softplus of the learned {name}" if is_raw else f"the learned {name}"
        description = f"{self.description}; {words} takes the place of that rate"
        return self._replace(rate=LearnedRate(name, jax.nn.softplus if is_raw else _itself), description=description)
