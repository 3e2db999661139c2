"""Holds the settings of DM's objective, distribution matching."""

import dataclasses

import dcjax as dc
from experiments.parts.choices import AUGMENTS
from experiments.parts.gradient_matching import Matching
from experiments.parts.part import Context


@dataclasses.dataclass(frozen=True)
class DistributionMatching(Matching):
    """Compares the mean features of condensed and of real images (DM)."""

    def build(self, context: Context) -> dc.Objective:
        return dc.distribution_matching(context.net, augment=AUGMENTS[self.augment])
