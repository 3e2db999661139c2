"""Holds the settings of IDC's formations: several images from the bytes of one (Kim et al., ICML 2022)."""

import dataclasses
from typing import Any

import dcjax as dc
from dcjax import InputError
from experiments.parts.part import Context, ParameterizationPart
from experiments.parts.values import Count, Size


@dataclasses.dataclass(frozen=True)
class MultiFormation(ParameterizationPart):
    """Learns images that are each cut into a grid of smaller ones, which are enlarged (IDC)."""

    factor: Size = 2
    """Cells along each side of a stored image."""

    decoder = staticmethod(dc.multi_formation)

    def check(self, settings: Any) -> None:
        if settings.syn_batch is not None and settings.syn_batch < self.factor**2:
            raise InputError(
                f"--syn-batch {settings.syn_batch} is less than the {self.factor**2} images that one is cut into by --factor "
                f"{self.factor}: give at least {self.factor**2}."
            )

    def real_needed(self, ipc: int, num_classes: int) -> int:
        return ipc * self.factor**2

    def build(self, context: Context) -> dc.Parameterization:
        return self.decoder(**self.arguments(context), start=context.start(self.factor))


@dataclasses.dataclass(frozen=True)
class MultiScaleFormation(MultiFormation):
    """Learns images that are cut at every factor from 1 to the given one (IDC's alternative)."""

    decoder = staticmethod(dc.multi_scale_formation)


@dataclasses.dataclass(frozen=True)
class BoundedFormation(MultiFormation):
    """Learns images of which only so many are cut that the decoded ones stay within a bound (IDC's alternative).

    The bound spares memory while images are compared. As published, students are trained on every cell of all images; where labels are
    learned, which are those of the images that were compared, on these.
    """

    bound: Count = 128
    """Most images of a class after decoding."""

    decoder = staticmethod(dc.bounded_formation)

    def for_students(self, settings: Any) -> ParameterizationPart:
        return MultiFormation(self.factor) if settings.labels == "hard" else self
