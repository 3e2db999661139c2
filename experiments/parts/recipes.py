"""Holds the recipes that students are trained by when a set is judged."""

import dataclasses
from typing import Annotated, Literal

import dcjax as dc
from experiments.parts.choices import AUGMENTS, MIXES
from experiments.parts.part import Axis, Part
from experiments.parts.values import Mark, below


@dataclasses.dataclass(frozen=True)
class DCRecipe(Part):
    """Trains students as DC does; DSA and DM do the same under an augmentation."""

    eval_epochs: Annotated[int, below(10**9), Mark.FREE] = 300
    """Epochs that every student is trained for."""
    eval_augment: Annotated[
        Literal["none", "dc_digits", "dsa", "dsa_digits", "idc", "idc_digits", "idc_digits_cutout"], Mark.FREE
    ] = "none"
    """Augmentation of the images that students are trained on."""
    eval_mix: Annotated[Literal["none", "cutmix"], Mark.FREE] = "none"
    """Mixing of the images that students are trained on."""

    schedule = staticmethod(dc.dc_recipe)

    def build(self) -> dc.Recipe:
        return self.schedule(self.eval_epochs, AUGMENTS[self.eval_augment])._replace(mix=MIXES[self.eval_mix])


@dataclasses.dataclass(frozen=True)
class IDCRecipe(DCRecipe):
    """Trains students as IDC does: with smaller batches, and two drops of the learning rate."""

    schedule = staticmethod(dc.idc_recipe)


RECIPES = Axis(
    "eval_recipe",
    "Schedule and batch size of the students' training: DC's (DSA's and DM's too) or IDC's.",
    dc=DCRecipe,
    idc=IDCRecipe,
)
