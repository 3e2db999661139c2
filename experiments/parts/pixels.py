"""Holds the parameterization that needs no settings: images as they are."""

import dataclasses

import dcjax as dc
from experiments.parts.part import ParameterizationPart


@dataclasses.dataclass(frozen=True)
class Pixels(ParameterizationPart):
    """Learns the images themselves."""

    decoder = staticmethod(dc.pixels)
