"""How students are trained on a condensed set: the published evaluation recipes."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import optax

from dcjax.augment import cutmix, dsa, idc, identity, no_mixing
from dcjax.base import Augmentation, Mixing


class Phase(NamedTuple):
    """Some epochs under one optimizer, whose state starts afresh."""

    optimizer: Callable[[int], optax.GradientTransformation]  # from the number of steps in an epoch, for its schedule
    epochs: int


class Recipe(NamedTuple):
    """How a student is trained: phases one after the other."""

    phases: tuple[Phase, ...]
    batch_size: int
    augment: Augmentation = identity
    mix: Mixing = no_mixing
    description: str = ""  # for whoever trains on the set elsewhere

    def plain(self) -> "Recipe":
        """The same without augmentation and mixing."""
        return self._replace(augment=identity, mix=no_mixing)


def sgd(rate: float) -> optax.GradientTransformation:
    """SGD with momentum 0.9 and weight decay 5e-4, as all of these use."""
    return optax.chain(optax.add_decayed_weights(5e-4), optax.sgd(rate, momentum=0.9))


@functools.cache
def dc_recipe(epochs: int = 300, augment: Augmentation = identity, learning_rate: float = 0.01) -> Recipe:
    """DC's evaluation: SGD, momentum 0.9, weight decay 5e-4, batch 256, a tenth of the rate from half-way.

    The published loop runs `epochs` + 1 epochs and starts a new optimizer after the (`epochs` // 2 + 2)-th; so does this.
    The paper takes 300 epochs without augmentation and 1000 with it.
    """
    first = min(epochs // 2 + 2, epochs + 1)
    phases = (
        Phase(lambda steps: sgd(learning_rate), first),
        Phase(lambda steps: sgd(learning_rate / 10), epochs + 1 - first),
    )
    description = (
        f"SGD, batch 256, momentum 0.9, weight decay 5e-4, rate {learning_rate} for {first} epochs and a tenth of it, with "
        f"momentum from zero, for {phases[1].epochs}"
    )
    return Recipe(phases, 256, augment, description=description)


@functools.cache
def dsa_recipe(epochs: int = 1000, augment: Augmentation | None = None) -> Recipe:
    """DSA's evaluation, also DM's: DC's with 1000 epochs under DSA's augmentation (Zhao & Bilen 2021)."""
    return dc_recipe(epochs, augment or dsa())


@functools.cache
def idc_recipe(epochs: int = 1000, augment: Augmentation | None = None, mix: Mixing | None = None) -> Recipe:
    """IDC's evaluation: SGD, rate 0.01, times 0.2 after two thirds and five sixths of the epochs, batch 64 (Kim et al. 2022).

    Args:
        epochs: passes over the condensed set.
        augment: `augment.idc()` when None.
        mix: CutMix with probability 0.5 when None.
    """
    drops = (2 * epochs // 3, 5 * epochs // 6)
    phase = Phase(
        lambda steps: sgd(optax.piecewise_constant_schedule(0.01, {drop * steps: 0.2 for drop in drops})), epochs
    )
    description = (
        f"SGD, batch 64, momentum 0.9, weight decay 5e-4, rate 0.01 for {epochs} epochs, times 0.2 after {drops[0]} and "
        f"{drops[1]}"
    )
    return Recipe((phase,), 64, augment or idc(), mix or cutmix(probability=0.5), description)
