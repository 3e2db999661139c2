"""Holds the settings of gradient matching: DC's objective, and with an augmentation DSA's."""

import dataclasses
from typing import Annotated, Any, Literal

import jax

import dcjax as dc
from experiments.parts.choices import DISTANCES, Strategy, augmentation, idle_strategy, strategic
from experiments.parts.part import Context, ObjectivePart
from experiments.parts.values import POSITIVE, Size, at_most


@dataclasses.dataclass(frozen=True)
class Matching(ObjectivePart):
    """The settings shared by all objectives that match class by class."""

    augment: Literal["none", "dsa", "dsa_digits", "color_crop", "color_crop_cutout"] = "none"
    """Siamese augmentation: one draw for the condensed and the real images of a class; dsa_digits does not flip."""
    dsa_strategy: Strategy = ()
    """Operators that DSA's augmentation draws from; all when not given, but for dsa_digits, which does not flip."""
    settle_images: Size = 16
    """Real images of each class, of those that are compared, whose statistics a network with batch norm is frozen at."""
    settle_momentum: Annotated[float, *POSITIVE, at_most(1)] = 0.1
    """How far these statistics go from mean 0 and variance 1 to those of the images; 1 is all the way, 0.1 where DC's program stops for a new network."""

    def idle(self, settings: Any) -> dict[str, str]:
        idle = idle_strategy("augment", "dsa_strategy", self.augment)
        if settings.values().get("norm") == "batch":
            return idle
        return idle | dict.fromkeys(("settle_images", "settle_momentum"), "a network without batch norm")

    @property
    def settle(self) -> dc.settling.Settling:
        return dc.settling.on_real(self.settle_images, self.settle_momentum)

    @property
    def augmentation(self) -> str:
        return strategic(self.augment, self.dsa_strategy)


@dataclasses.dataclass(frozen=True)
class GradientMatching(Matching):
    """Compares the gradients of the loss on condensed and on real images (DC)."""

    distance: Literal[
        "filterwise_cosine", "squared_error", "cosine", "convolution_squared_error", "convolution_absolute_error"
    ] = "filterwise_cosine"
    """Distance of two gradients; the convolution_ ones compare convolution kernels alone."""

    def build(self, context: Context) -> dc.Objective:
        distance = DISTANCES[self.distance]
        gradient = jax.eval_shape(context.net.init, jax.random.key(0))
        try:
            jax.eval_shape(distance, gradient, gradient)
        except dc.InputError as error:  # a network with nothing to compare
            raise dc.InputError(f"--distance {self.distance} does not go with the --network: {error}") from None
        packing = dc.packing.as_bytes(context.data.train.normalisation)
        how = {"augment": augmentation(self.augmentation), "settle": self.settle, "packing": packing}
        return dc.gradient_matching(context.net, distance=distance, **how)
