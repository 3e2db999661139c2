"""Holds the settings of `experiments.compare`."""

import dataclasses
from typing import Annotated

from dcjax import InputError
from experiments.methods import MATCHING_EXPERTS, METHODS
from experiments.parts import AXES, RECIPES
from experiments.parts.part import known_settings
from experiments.parts.values import MOST, at_least, at_most, below, check_once, check_ranges, flag
from experiments.settings import passed_on
from experiments.settings.words import nearest


@dataclasses.dataclass(frozen=True)
class Compared:
    """Makes a run for every combination of method, parts, images per class and seed, and tabulates the accuracies."""

    dataset: str = "digits"
    """Data set to condense, named as for experiments.run."""
    methods: tuple[str, ...] = tuple(name for name in METHODS if name not in MATCHING_EXPERTS)
    """Methods to run (--method of experiments.run), separated by commas; unless given, all that need no experts."""
    ipc: Annotated[tuple[int, ...], at_least(1), at_most(MOST)] = (1, 10)
    """Images per class; every set may take the bytes of so many."""
    seeds: Annotated[tuple[int, ...], below(2**32)] = (0, 1, 2)
    """Seeds; every method makes one set with each."""
    parameterizations: tuple[str, ...] = ()
    """Parameterizations to try in place of each method's own."""
    objectives: tuple[str, ...] = ()
    """Objectives to try in place of each method's own."""
    trajectories: tuple[str, ...] = ()
    """Trajectories to try in place of each method's own; networks train for as many steps on condensed as on real images."""
    vary: tuple[str, ...] = ()
    """Settings to vary in every method, each with its values: unroll_steps=5+20+80 unroll_momentum=0+0.9."""
    judge: str = "dc"
    """Method whose evaluation judges all sets."""
    eval_epochs: Annotated[int | None, below(MOST)] = None
    """Epochs that every student is trained for; the judge's own for the dataset when not given."""
    eval_augment: str | None = None
    """Augmentation of the images that students are trained on; the judge's own for the dataset when not given."""
    workdir: str | None = None
    """Folder for the run directories and the table; runs/compare-DATASET when not given."""

    def __post_init__(self):
        for name in ("methods", "ipc", "seeds"):
            if not getattr(self, name):
                raise InputError(f"{flag(name)} names nothing: give at least one.")
        check_ranges(self)
        check_once(self, "methods", "ipc", "seeds", "parameterizations", "objectives", "trajectories")
        self.varied()
        for method in (*self.methods, self.judge):
            _check_choice("method", method, [*METHODS])
        for axis, members in self.replaced().items():
            for member in members:
                _check_choice(axis, member, [*AXES[axis].members])
        if self.replaced():
            fixed = [method for method in self.methods if not METHODS[method].condenses]
            if fixed:
                raise InputError(
                    f"{fixed[0]} chooses real images and has no parts to replace: leave it out of --methods."
                )

    def varied(self) -> dict[str, list[str]]:
        """Gives the settings to vary with their values, as they are on the command line."""
        found = {}
        for text in self.vary:
            name, _, values = text.partition("=")
            name = name.replace("-", "_")
            if not values or name not in known_settings() or name in passed_on.OWN:
                raise InputError(
                    f"--vary {text} names no setting of a run with values: give NAME=VALUE+VALUE, such as unroll_steps=5+20."
                )
            chosen = values.split("+")
            if name in found or len(set(chosen)) < len(chosen):
                raise InputError(f"--vary {text} names a setting or a value for a second time: give each once.")
            if any(
                name in map(lambda field: field.name, dataclasses.fields(part)) for part in RECIPES.members.values()
            ):
                raise InputError(
                    f"--vary {text} changes how sets are judged, which is the same for all: give --eval-epochs or --judge."
                )
            found[name] = chosen
        return found

    def replaced(self) -> dict[str, tuple[str, ...]]:
        """Gives the parts to try in place of the methods' own, by axis; an axis that keeps its own is left out."""
        found = {
            "parameterization": self.parameterizations,
            "objective": self.objectives,
            "trajectory": self.trajectories,
        }
        return {axis: members for axis, members in found.items() if members}


def _check_choice(kind, name, choices):
    if name not in choices:
        raise InputError(f"There is no {kind} {name!r}: choose among {', '.join(choices)}.{nearest(name, choices)}")
