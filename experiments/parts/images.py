"""Holds the settings of condensed images that all parameterizations share: their start, space, labels and optimizer."""

import dataclasses
from typing import Annotated, Any, Literal

import optax

import dcjax as dc
from dcjax import InputError
from dcjax.optimizers import keep_within, per_class_sgd
from dcjax.parameterizations import LOGITS
from experiments.parts.part import Part
from experiments.parts.values import MaybeRate, MaybeSteps, Range, Rate, Share


@dataclasses.dataclass(frozen=True)
class Images(Part):
    """The condensed images: what they start from, and how they are updated."""

    image_space: Literal["normalised", "pixel"] = "normalised"
    """Space that images are learned in: normalised, as networks see them, or pixels that stay in [0, 1]."""
    start: Literal["noise", "uniform", "glorot", "real"] = "noise"
    """What condensed images start from: normal noise (about grey and clamped to [0, 1] where they are pixels, as in IDC), pixels drawn uniformly, the
    smaller noise that weights are drawn with, or real images."""
    image_optimizer: Literal["sgd", "per_class_sgd", "adam", "fixed"] = "sgd"
    """Optimizer of the images; per_class_sgd moves them as far as IDC's separate steps for each class, fixed leaves them as they are."""
    image_rate: Rate = 0.1
    """Learning rate of the images."""
    image_momentum: Share = 0.5
    """Momentum of the images; Adam's first beta."""
    halve_every: MaybeSteps = None
    """Comparisons after which the learning rates of images and labels are halved, again and again; never when not given."""
    clip: MaybeRate = None
    """Largest norm of the gradient of all that is learned, to which it is scaled down; any when not given."""
    labels: Literal["hard", "soft"] = "hard"
    """Labels: one class each, or learned beside the images, on top of the bytes of --ipc."""
    label_rate: Rate = 0.1
    """Learning rate of learned labels' logits, by the optimizer of the images (by sgd where those are fixed)."""
    label_certainty: Annotated[float, Range("between 0 and 1", lambda value: 0 < value < 1)] = 0.9
    """Probability of an image's own class that learned labels start with."""

    def check(self, settings: Any) -> None:
        if self.start == "uniform" and self.image_space != "pixel":
            raise InputError(
                "--start uniform draws pixels: give --image-space pixel, or --start noise for values that are normalised."
            )
        if settings.zca and self.image_space == "pixel":
            raise InputError(
                "--zca whitens the images that are learned, but --image-space pixel keeps them as pixels: leave one of them out."
            )

    def idle(self, settings: Any) -> dict[str, str]:
        hard = dict.fromkeys(("label_rate", "label_certainty"), "--labels hard") if self.labels == "hard" else {}
        names = ("image_rate", "image_momentum", "halve_every") if self.labels == "hard" else ("image_rate",)
        fixed = dict.fromkeys(names, "--image-optimizer fixed") if self.image_optimizer == "fixed" else {}
        is_separate = self.image_optimizer == "per_class_sgd" and self.labels == "hard"
        separate = {"halve_every": "--image-optimizer per_class_sgd"} if is_separate else {}
        return hard | fixed | separate

    def begin(self, data: dc.data.Dataset, factor: int) -> Any:
        """Gives the `Start` of images that are cut into `factor` cells along each side."""
        if self.image_space == "normalised" and any(side % factor for side in data.image_shape[:2]):
            raise InputError(
                f"--factor {factor} does not divide images of {' x '.join(map(str, data.image_shape[:2]))}: padding is "
                "grey in pixel space alone, so give --image-space pixel, or a factor that divides them."
            )
        noise = {"pixel": dc.from_clamped_noise, "normalised": dc.from_noise}[self.image_space]
        starts = {
            "noise": noise,
            "uniform": dc.from_grey_noise,
            "glorot": dc.from_glorot,
            "real": dc.from_mixed(factor),
        }
        return starts[self.start]

    def kept(self, parameterization: dc.Parameterization, data: dc.data.Dataset) -> dc.Parameterization:
        """Wraps a parameterization so that its images are kept as `--image-space` says, and its labels learned if `--labels` says so."""
        if self.image_space == "pixel":
            parameterization = dc.in_pixel_space(parameterization, data.train.normalisation)
        return dc.soft_labels(parameterization, self.label_certainty) if self.labels == "soft" else parameterization

    def optimizer(self, num_classes: int) -> optax.GradientTransformation:
        """Builds the optimizer of the learned images, with their bounds."""
        if self.image_optimizer == "fixed":
            return optax.set_to_zero()
        if self.image_optimizer == "per_class_sgd":
            optimizer = per_class_sgd(self.image_rate, self.image_momentum, num_classes)
        else:
            optimizer = self.moving(self.image_rate)
        return optax.chain(optimizer, keep_within(0, 1)) if self.image_space == "pixel" else optimizer

    def moving(self, rate: float) -> optax.GradientTransformation:
        """Builds an optimizer of the images' kind, with their momentum and schedule, at a rate of its own."""
        if self.halve_every:
            rate = optax.exponential_decay(rate, self.halve_every, 0.5, staircase=True)
        if self.image_optimizer == "adam":
            return optax.adam(rate, b1=self.image_momentum)
        return optax.sgd(rate, momentum=self.image_momentum)

    def label_optimizers(self) -> dict[str, optax.GradientTransformation]:
        """Builds the optimizer of learned labels, by its name in what is learned; none of hard ones."""
        return {LOGITS: self.moving(self.label_rate)} if self.labels == "soft" else {}

    def clipped(self, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
        """Scales the gradient of all that is learned down to the norm of `--clip`."""
        return optax.chain(optax.clip_by_global_norm(self.clip), optimizer) if self.clip else optimizer
