"""Holds the settings of trajectory matching: MTT's objective, and TESLA's."""

import dataclasses
from typing import Any, Literal

import optax

import dcjax as dc
from dcjax import InputError
from experiments.parts.choices import Strategy, augmentation, idle_strategy, strategic
from experiments.parts.part import Context, ObjectivePart
from experiments.parts.values import MOST, MaybeCount, Rate, Steps


@dataclasses.dataclass(frozen=True)
class TrajectoryMatching(ObjectivePart):
    """Compares where training on condensed images leads with where an expert's training on real ones led (MTT)."""

    unroll_steps: Steps = 50
    """Steps that the network is trained for on condensed images, all of which the gradient flows through."""
    student_batch: MaybeCount = None
    """Condensed images in each of these steps; all when not given, or where there are no more."""
    unroll_rate: Rate = 0.01
    """Learning rate of these steps, or what a learned one starts from."""
    learned_rate: Literal["none", "one", "each"] = "one"
    """Whether that rate is learned with the images: not, one for all steps, or one for each."""
    rate_rate: Rate = 0.1
    """Learning rate of the learned rate, whose inverse softplus is stored: 0.1 moves a rate of 0.01 as 1e-5 on the rate itself does."""
    augment: Literal["none", "dsa", "dsa_digits", "color_crop", "color_crop_cutout"] = "dsa"
    """Augmentation of the images that the network is trained on, drawn anew for each of them."""
    dsa_strategy: Strategy = ()
    """Operators that DSA's augmentation draws from; all when not given, but for dsa_digits, which does not flip."""

    scan = staticmethod(dc.scans.in_segments)

    @property
    def augmentation(self) -> str:
        return strategic(self.augment, self.dsa_strategy)

    def check(self, settings: Any) -> None:
        if settings.trajectory != "expert":
            raise InputError(
                f"--objective {settings.objective} compares with where an expert's training led, which --trajectory "
                f"{settings.trajectory} does not bring: give --trajectory expert."
            )
        if settings.syn_batch and settings.parts["parameterization"].views > 1:
            raise InputError(
                f"--syn-batch {settings.syn_batch} draws single images, but --objective {settings.objective} trains on whole views of the "
                "bases: leave it out; --student-batch says how many images are in a step."
            )

    def idle(self, settings: Any) -> dict[str, str]:
        fixed = {"rate_rate": "--learned-rate none"} if self.learned_rate == "none" else {}
        return fixed | idle_strategy("augment", "dsa_strategy", self.augment)

    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        return {} if self.learned_rate == "none" else {dc.rates.NAME: optax.sgd(self.rate_rate, momentum=0.5)}

    def build(self, context: Context) -> dc.Objective:
        rate = {
            "none": dc.rates.fixed,
            "one": dc.rates.learned,
            "each": lambda start: dc.rates.learned(start, self.unroll_steps),
        }[self.learned_rate](self.unroll_rate)
        order = dc.minibatches.reshuffled(self.student_batch or MOST)
        if context.views > 1:
            order = dc.minibatches.of_one_view(context.views, order)
        how = {"steps": self.unroll_steps, "order": order, "rate": rate, "scan": self.scan}
        return dc.trajectory_matching(context.net, **how, augment=augmentation(self.augmentation))


@dataclasses.dataclass(frozen=True)
class Tesla(TrajectoryMatching):
    """Compares as MTT does, with a gradient that leaves out how images act on later steps and keeps one step in memory (TESLA)."""

    scan = staticmethod(dc.scans.unlinked)
