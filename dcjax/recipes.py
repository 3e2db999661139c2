"""Makes the recipes by which the papers train students on their condensed sets."""

import functools
from typing import NamedTuple

import optax

from dcjax.augment import cutmix, dsa, idc, identity
from dcjax.base import Augmentation, Mixing
from dcjax.recipe import ConstantRate, Phase, Recipe, Replay


def sgd(rate: float) -> optax.GradientTransformation:
    """Makes SGD with momentum 0.9 and weight decay 5e-4, as all of these recipes use.

    Args:
        rate: the learning rate: a number, a traced value, or a schedule of the step.
    """
    return optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(rate, momentum=0.9))


class _Fraction(NamedTuple):
    """Makes SGD at a fraction of the rate."""

    divisor: int

    def __call__(self, steps, rate):
        return sgd(rate / self.divisor)


class _Constant(NamedTuple):
    """Makes SGD with momentum at the rate, without weight decay."""

    momentum: float

    def __call__(self, steps, rate):
        return optax.sgd(rate, momentum=self.momentum or None)


class _Dropping(NamedTuple):
    """Makes SGD whose rate is multiplied by 0.2 after some epochs."""

    epochs: tuple[int, ...]

    def __call__(self, steps, rate):
        return sgd(optax.piecewise_constant_schedule(rate, {epoch * steps: 0.2 for epoch in self.epochs}))


@functools.cache
def dc_recipe(epochs: int = 300, augment: Augmentation = identity, learning_rate: float = 0.01) -> Recipe:
    """Makes DC's recipe: SGD, momentum 0.9, weight decay 5e-4, batch 256, a tenth of the rate from half-way.

    The published loop (arXiv:2006.05929) runs `epochs` + 1 epochs and starts a new optimizer after the (`epochs` // 2 + 2)-th; so does
    this. The paper takes 300 epochs without augmentation and 1000 with it.
    """
    first = min(epochs // 2 + 2, epochs + 1)
    phases = (Phase(_Fraction(1), first), Phase(_Fraction(10), epochs + 1 - first))
    description = (
        f"SGD, batch 256, momentum 0.9, weight decay 5e-4, rate {learning_rate} for {first} epochs and a tenth of it, with "
        f"momentum from zero, for {phases[1].epochs}"
    )
    return Recipe(phases, 256, augment, description=description, rate=ConstantRate(learning_rate))


@functools.cache
def dsa_recipe(epochs: int = 1000, augment: Augmentation | None = None) -> Recipe:
    """Makes DSA's recipe, also DM's: DC's with 1000 epochs under DSA's augmentation (Zhao & Bilen 2021, arXiv:2102.08259)."""
    return dc_recipe(epochs, augment or dsa())


@functools.cache
def idc_recipe(epochs: int = 1000, augment: Augmentation | None = None, mix: Mixing | None = None) -> Recipe:
    """Makes IDC's recipe (arXiv:2205.14959): SGD, batch 64, rate 0.01, times 0.2 after 2/3 and 5/6 of the epochs.

    Args:
        epochs: passes over the condensed set.
        augment: the augmentation; `augment.idc()` when None.
        mix: the mixing; CutMix with probability 0.5 when None.
    """
    drops = (2 * epochs // 3, 5 * epochs // 6)
    description = (
        f"SGD, batch 64, momentum 0.9, weight decay 5e-4, rate 0.01 for {epochs} epochs, times 0.2 after {drops[0]} and "
        f"{drops[1]}"
    )
    phases = (Phase(_Dropping(drops), epochs),)
    return Recipe(phases, 64, augment or idc(), mix or cutmix(probability=0.5), description, ConstantRate(0.01))


@functools.cache
def constant_recipe(
    epochs: int = 300,
    augment: Augmentation = identity,
    *,
    batch_size: int = 640,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
) -> Recipe:
    """Makes the recipe of Remember the Past (arXiv:2206.02916): SGD with momentum at a constant rate, without weight decay."""
    description = (
        f"SGD, batch {batch_size}, momentum {momentum}, no weight decay, rate {learning_rate} for {epochs} epochs"
    )
    phases = (Phase(_Constant(momentum), epochs),)
    return Recipe(phases, batch_size, augment, description=description, rate=ConstantRate(learning_rate))


@functools.cache
def replay_recipe(passes: int = 3, per_class: int = 1, learning_rate: float = 0.02) -> Recipe:
    """Makes DD's recipe (Wang et al., arXiv:1811.10959): the very steps that the images were learned for.

    Args:
        passes: how often all images are taken.
        per_class: images of each class in a step, taken in order.
        learning_rate: the rate of every step; `at_learned_rate` takes those learned.
    """
    description = f"plain gradient steps on the next {per_class} image(s) of every class, {passes} times over, rate {learning_rate}"
    return Recipe((Replay(passes),), per_class, description=description, rate=ConstantRate(learning_rate))
