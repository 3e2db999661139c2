"""Holds the settings of unrolled training: DD's objective, and that of Remember the Past."""

import dataclasses
from typing import Any, Literal

import optax

import dcjax as dc
from dcjax import InputError
from experiments.parts.choices import Strategy, augmentation, idle_strategy, strategic
from experiments.parts.part import Context, ObjectivePart
from experiments.parts.values import Count, MaybeSteps, Rate, Share, Steps


@dataclasses.dataclass(frozen=True)
class Unrolled(ObjectivePart):
    """Compares how well a network that is trained on condensed images classifies real ones (DD, BPTT, RTP)."""

    unroll_steps: Steps = 150
    """Steps that the network is trained for, all of which the gradient flows through."""
    unroll_batch: Count = 32
    """Condensed images of each class in each of these steps; all where there are no more."""
    unroll_order: Literal["random", "in_order"] = "random"
    """Which images a step takes: some at random, or the next ones, so that each has steps of its own (DD)."""
    unroll_window: MaybeSteps = None
    """Only so many of the steps that the gradient flows through; all when not given."""
    unroll_window_place: Literal["end", "anywhere"] = "end"
    """Place of these steps: the last ones, or anywhere, where training then ends."""
    unroll_rate: Rate = 0.01
    """Learning rate of these steps, or what a learned one starts from."""
    unroll_momentum: Share = 0.9
    """Momentum of these steps."""
    learned_rate: Literal["none", "one", "each"] = "none"
    """Whether that rate is learned with the images: not, one for all steps, or one for each (DD)."""
    rate_rate: Rate = 0.001
    """Learning rate of the learned rate."""
    augment: Literal["none", "dsa", "dsa_digits", "color_crop", "color_crop_cutout"] = "none"
    """Augmentation of the images that the network is trained on, drawn anew for each of them."""
    dsa_strategy: Strategy = ()
    """Operators that DSA's augmentation draws from; all when not given, but for dsa_digits, which does not flip."""

    @property
    def augmentation(self) -> str:
        return strategic(self.augment, self.dsa_strategy)

    def check(self, settings: Any) -> None:
        if self.unroll_window and self.unroll_window > self.unroll_steps:
            raise InputError(
                f"--unroll-window {self.unroll_window} is more than the --unroll-steps {self.unroll_steps} that there are: give fewer."
            )

    def idle(self, settings: Any) -> dict[str, str]:
        fixed = {"rate_rate": "--learned-rate none"} if self.learned_rate == "none" else {}
        fixed |= idle_strategy("augment", "dsa_strategy", self.augment)
        return fixed | ({} if self.unroll_window else {"unroll_window_place": "all steps"})

    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        return {} if self.learned_rate == "none" else {dc.rates.NAME: optax.adam(self.rate_rate, b1=0.5)}

    def build(self, context: Context) -> dc.Objective:
        steps = self.unroll_steps
        order = {"random": dc.minibatches.balanced, "in_order": dc.minibatches.in_order}[self.unroll_order]
        rate = {
            "none": dc.rates.fixed,
            "one": dc.rates.learned,
            "each": lambda start: dc.rates.learned(start, steps),
        }[self.learned_rate]
        place = {"end": dc.unroll.at_the_end, "anywhere": dc.unroll.anywhere}[self.unroll_window_place]
        return dc.unrolled(
            context.net,
            optax.sgd(1.0, momentum=self.unroll_momentum or None),
            steps=steps,
            order=order(self.unroll_batch),
            rate=rate(self.unroll_rate),
            window=self.unroll_window,
            place=place,
            augment=augmentation(self.augmentation),
        )
