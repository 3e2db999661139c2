"""Holds the parts that a run is put together from: one file for each, with its settings and how it is built from them.

A new part is a frozen dataclass in a file of its own and a line here. Its fields are its flags, with their defaults and help texts;
`--help`, the saved config, the check on resume, the shortest command and the artefact's decoder follow from them.
"""

from experiments.parts.addressable_memory import AddressableMemory, GrownMemory
from experiments.parts.distribution_matching import DistributionMatching
from experiments.parts.expert import Expert
from experiments.parts.formation import BoundedFormation, MultiFormation, MultiScaleFormation
from experiments.parts.fresh import Fresh
from experiments.parts.gradient_matching import GradientMatching
from experiments.parts.hallucinated import Hallucinated
from experiments.parts.networks import NETWORKS as NETWORKS
from experiments.parts.on_real import OnReal
from experiments.parts.on_synthetic import OnSynthetic
from experiments.parts.part import Axis
from experiments.parts.pixels import Pixels
from experiments.parts.recipes import RECIPES as RECIPES
from experiments.parts.trajectory_matching import Tesla, TrajectoryMatching
from experiments.parts.unrolled import Unrolled

PARAMETERIZATIONS = Axis(
    "parameterization",
    "What is learned: the images, images that are each cut into several, bases that images are recalled from, or bases and networks that restyle them.",
    pixels=Pixels,
    multi_formation=MultiFormation,
    multi_scale_formation=MultiScaleFormation,
    bounded_formation=BoundedFormation,
    addressable_memory=AddressableMemory,
    grown_memory=GrownMemory,
    hallucinated=Hallucinated,
)
OBJECTIVES = Axis(
    "objective",
    "What is compared between condensed and real images: gradients, mean features, what a network trained on the one makes of the other, or where training on both leads.",
    gradient_matching=GradientMatching,
    distribution_matching=DistributionMatching,
    unrolled=Unrolled,
    trajectory_matching=TrajectoryMatching,
    tesla=Tesla,
)
TRAJECTORIES = Axis(
    "trajectory",
    "Networks that the comparison is made on: never trained, or trained between two comparisons on condensed or on real images, or experts trained beforehand.",
    fresh=Fresh,
    on_synthetic=OnSynthetic,
    on_real=OnReal,
    expert=Expert,
)
AXES = {axis.name: axis for axis in (NETWORKS, PARAMETERIZATIONS, OBJECTIVES, TRAJECTORIES, RECIPES)}
