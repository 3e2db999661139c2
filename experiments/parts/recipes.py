"""Holds the recipes that students are trained by when a set is judged."""

import dataclasses
from typing import Annotated, Any, Literal

import dcjax as dc
from dcjax import InputError
from dcjax.recipe import AnyStart, OneStart
from experiments.parts.choices import BATCHWISE, Strategy, augmenting, idle_strategy, strategic
from experiments.parts.part import Axis, Part
from experiments.parts.values import MOST, MOST_AT_ONCE, POSITIVE, Mark, MaybeSeed, at_least, at_most, below


@dataclasses.dataclass(frozen=True)
class DCRecipe(Part):
    """Trains students as DC does; DSA and DM do the same under an augmentation."""

    eval_epochs: Annotated[int, below(10**9), Mark.FREE] = 300
    """Epochs that every student is trained for."""
    eval_augment: Annotated[
        Literal[
            "none",
            "dc_digits",
            "dc_crop_noise",
            "dsa",
            "dsa_digits",
            "idc",
            "idc_digits",
            "idc_digits_cutout",
            *BATCHWISE,
        ],
        Mark.FREE,
    ] = "none"
    """Augmentation of the images that students are trained on; those that end in _batch draw one operator (DC's: take one mean) for a whole
    mini-batch, as published."""
    eval_dsa_strategy: Annotated[Strategy, Mark.FREE] = ()
    """Operators that DSA's augmentation of these images draws from; all when not given, but for dsa_digits, which does not flip."""
    eval_mix: Annotated[Literal["none", "cutmix"], Mark.FREE] = "none"
    """Mixing of the images that students are trained on."""
    eval_views: Annotated[Literal["all", "one"], Mark.FREE] = "all"
    """What an epoch sees of every source, if several images are decoded of it: all of them, or one drawn at random, as HaBa does."""

    schedule = staticmethod(dc.dc_recipe)

    def idle(self, settings: Any) -> dict[str, str]:
        idle = idle_strategy("eval_augment", "eval_dsa_strategy", self.eval_augment)
        part = settings.parts.get("parameterization")
        if part and part.views > 1:
            return idle
        return idle | {"eval_views": "images that are one view of their source each"}

    def build(self, views: int = 1) -> dc.Recipe:
        """Builds the recipe, for a set with so many views of every source."""
        return self._completed(self.schedule(self.eval_epochs), views)

    def _completed(self, recipe: dc.Recipe, views: int) -> dc.Recipe:
        recipe = recipe._replace(**augmenting(strategic(self.eval_augment, self.eval_dsa_strategy), self.eval_mix))
        return recipe.of_one_view(views) if self.eval_views == "one" and views > 1 else recipe


@dataclasses.dataclass(frozen=True)
class IDCRecipe(DCRecipe):
    """Trains students as IDC does: with smaller batches, and two drops of the learning rate."""

    schedule = staticmethod(dc.idc_recipe)


def _check_rate(part, settings):
    """Refuses to train students at a learned rate where none is learned."""
    if part.eval_rate is None and settings.values().get("learned_rate", "none") == "none":
        raise InputError(
            "Students are to be trained at the learned rate, but none is learned: give --eval-rate, or a --learned-rate."
        )


def _check_one_rate(part, settings):
    """Refuses as well to train students, who take one rate, at rates that were learned for each step."""
    _check_rate(part, settings)
    if part.eval_rate is None and settings.learned_rate == "each":
        raise InputError(
            f"--learned-rate each learns a rate for every step, but students of --eval-recipe {settings.eval_recipe} take one: give "
            "--eval-rate, --learned-rate one, or --eval-recipe replay."
        )


def _at(rate, recipe):
    return recipe.at_learned_rate(dc.rates.NAME) if rate is None else recipe


@dataclasses.dataclass(frozen=True)
class ConstantRecipe(DCRecipe):
    """Trains students as Remember the Past does: at a constant rate with momentum, without weight decay."""

    eval_rate: Annotated[float | None, *POSITIVE, Mark.FREE] = 0.01
    """Learning rate of students; None for the one that was learned with the images."""
    eval_batch: Annotated[int, at_least(1), at_most(MOST), Mark.FREE] = 640
    """Images in each training step of a student."""
    eval_momentum: Annotated[float, below(1), Mark.FREE] = 0.9
    """Momentum of students."""

    def check(self, settings: Any) -> None:
        _check_one_rate(self, settings)

    def build(self, views: int = 1) -> dc.Recipe:
        how = {"batch_size": self.eval_batch, "momentum": self.eval_momentum}
        recipe = dc.constant_recipe(self.eval_epochs, **how, learning_rate=self.eval_rate or 0.01)
        return _at(self.eval_rate, self._completed(recipe, views))


@dataclasses.dataclass(frozen=True)
class LearnedRecipe(DCRecipe):
    """Trains students as MTT does: as DC, at the rate that was learned with the images."""

    eval_rate: Annotated[float | None, *POSITIVE, Mark.FREE] = None
    """Learning rate that students begin with; None for the one that was learned with the images."""

    def check(self, settings: Any) -> None:
        _check_one_rate(self, settings)

    def build(self, views: int = 1) -> dc.Recipe:
        recipe = dc.dc_recipe(self.eval_epochs, learning_rate=self.eval_rate or 0.01)
        return _at(self.eval_rate, self._completed(recipe, views))


@dataclasses.dataclass(frozen=True)
class ReplayRecipe(Part):
    """Trains students as DD does: by the very steps that the images were learned for."""

    eval_passes: Annotated[int, at_least(1), at_most(MOST_AT_ONCE), Mark.FREE] = 3
    """How often a student takes all images."""
    eval_per_class: Annotated[int, at_least(1), at_most(MOST), Mark.FREE] = 1
    """Images of each class in a step, taken in order."""
    eval_rate: Annotated[float | None, *POSITIVE, Mark.FREE] = None
    """Learning rate of every step; None for those that were learned with the images."""
    eval_start: Annotated[MaybeSeed, Mark.FREE] = None
    """Seed of the one network that every student begins as; each begins as its own when not given."""

    def check(self, settings: Any) -> None:
        _check_rate(self, settings)
        if settings.values().get("parameterization", "pixels") != "pixels":
            raise InputError(
                f"--eval-recipe replay takes images in the order that they are stored in, but --parameterization {settings.parameterization} "
                "decodes others: give --parameterization pixels, or another --eval-recipe."
            )
        if settings.about.takes_all or settings.values().get("whole"):
            raise InputError(
                "--eval-recipe replay takes as many images of every class, which the whole training set has not: leave it out, or give another "
                "--eval-recipe."
            )
        steps = settings.ipc // self.eval_per_class * self.eval_passes
        if settings.ipc % self.eval_per_class:
            raise InputError(
                f"--eval-per-class {self.eval_per_class} does not divide the {settings.ipc} image(s) of each class: give a number that does."
            )
        if settings.values().get("learned_rate") == "each" and self.eval_rate is None:
            self._check_learned(settings, steps)

    def _check_learned(self, settings, steps):
        """Refuses rates that were learned for other steps than students make."""
        if steps != settings.unroll_steps:
            raise InputError(
                f"--unroll-steps {settings.unroll_steps} learns as many rates, but students make {steps} steps: give --unroll-steps "
                f"{steps}, or another --eval-passes."
            )
        values = settings.values()
        if "unroll_batch" not in values:
            return
        taken, order = min(values["unroll_batch"], settings.ipc), values["unroll_order"]
        if (taken, order) != (self.eval_per_class, "in_order"):
            raise InputError(
                f"The learned rates are of steps on {taken} image(s) of each class, {order}, but students take {self.eval_per_class}, in_order: "
                f"give --unroll-order in_order and --eval-per-class {taken}, or --eval-rate."
            )

    def build(self, views: int = 1) -> dc.Recipe:
        del views  # images are taken in order
        recipe = dc.replay_recipe(self.eval_passes, self.eval_per_class, self.eval_rate or 0.02)
        begin = AnyStart() if self.eval_start is None else OneStart(self.eval_start)
        return _at(self.eval_rate, recipe._replace(begin=begin))


RECIPES = Axis(
    "eval_recipe",
    "How students are trained: as DC does (DSA and DM too), IDC, Remember the Past (constant) or MTT (learned), or by replaying DD's steps.",
    dc=DCRecipe,
    idc=IDCRecipe,
    constant=ConstantRecipe,
    learned=LearnedRecipe,
    replay=ReplayRecipe,
)
