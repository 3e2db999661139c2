"""Holds the settings of DM's objective, distribution matching."""

import dataclasses
from typing import Annotated, Any

import dcjax as dc
from dcjax import InputError
from experiments.parts.choices import augmentation
from experiments.parts.gradient_matching import Matching
from experiments.parts.part import Context
from experiments.parts.values import POSITIVE, at_most


@dataclasses.dataclass(frozen=True)
class DistributionMatching(Matching):
    """Compares the mean features of condensed and of real images (DM)."""

    settle_momentum: Annotated[float, *POSITIVE, at_most(1)] = 1.0
    """How far these statistics go from mean 0 and variance 1 to those of the images; DM's program normalises by whole batches of them."""

    def check(self, settings: Any) -> None:
        super().check(settings)
        if settings.labels == "soft":
            raise InputError(
                "--labels soft learns labels, which --objective distribution_matching does not look at: give --labels hard."
            )

    def build(self, context: Context) -> dc.Objective:
        packing = dc.packing.as_bytes(context.data.train.normalisation)
        how = {"augment": augmentation(self.augmentation), "settle": self.settle, "packing": packing}
        return dc.distribution_matching(context.net, **how)
