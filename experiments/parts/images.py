"""Holds the settings of condensed images that all parameterizations share: their start, their space and their optimizer."""

import dataclasses
from typing import Any, Literal

import optax

import dcjax as dc
from dcjax import InputError
from dcjax.optimizers import keep_within, per_class_sgd
from experiments.parts.part import Part
from experiments.parts.values import Rate, Share


@dataclasses.dataclass(frozen=True)
class Images(Part):
    """The condensed images: what they start from, and how they are updated."""

    image_space: Literal["normalised", "pixel"] = "normalised"
    """Space that images are learned in: normalised, as networks see them, or pixels that stay in [0, 1]."""
    start: Literal["noise", "real"] = "noise"
    """Noise or real images that condensed images start from."""
    image_optimizer: Literal["sgd", "per_class_sgd"] = "sgd"
    """Optimizer of the images; per_class_sgd moves them as far as IDC's separate steps for each class."""
    image_rate: Rate = 0.1
    """Learning rate of the images."""
    image_momentum: Share = 0.5
    """Momentum of the images."""

    def check(self, settings: Any) -> None:
        if settings.zca and self.image_space == "pixel":
            raise InputError(
                "--zca whitens the images that are learned, but --image-space pixel keeps them as pixels: leave one of them out."
            )

    def begin(self, data: dc.data.Dataset, factor: int) -> Any:
        """Gives the `Start` of images that are cut into `factor` cells along each side."""
        if self.image_space == "normalised" and any(side % factor for side in data.image_shape[:2]):
            raise InputError(
                f"--factor {factor} does not divide images of {' x '.join(map(str, data.image_shape[:2]))}: padding is "
                "grey in pixel space alone, so give --image-space pixel, or a factor that divides them."
            )
        noise = {"pixel": dc.from_grey_noise, "normalised": dc.from_noise}[self.image_space]
        return {"noise": noise, "real": dc.from_mixed(factor)}[self.start]

    def kept(self, parameterization: dc.Parameterization, data: dc.data.Dataset) -> dc.Parameterization:
        """Wraps a parameterization so that its images are kept as `--image-space` says."""
        if self.image_space == "normalised":
            return parameterization
        return dc.in_pixel_space(parameterization, data.train.normalisation)

    def optimizer(self, num_classes: int) -> optax.GradientTransformation:
        """Builds the optimizer of the learned images, with their bounds."""
        rates = {"learning_rate": self.image_rate, "momentum": self.image_momentum}
        make = {"sgd": optax.sgd, "per_class_sgd": lambda **rates: per_class_sgd(num_classes=num_classes, **rates)}
        optimizer = make[self.image_optimizer](**rates)
        return optax.chain(optimizer, keep_within(0, 1)) if self.image_space == "pixel" else optimizer
