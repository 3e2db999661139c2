"""Defines the parts of a method, which own their settings, and the axes along which parts are chosen."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import optax

import dcjax as dc
from experiments.parts.values import flag

_OWNERS: dict[str, str] = {}  # the name of a setting -> the axis or group that it belongs to

Pretrain = Callable[[int, Any, str], Any]  # (networks, how they are trained, augmentation) -> their weights, stacked
Supply = Callable[[dc.Source, int], dc.Source]  # (source of the real images, iteration) -> what its steps draw from


class Context(NamedTuple):
    """The facts of a run that its parts are built from."""

    ipc: int
    matches: int  # comparisons on one network
    data: dc.data.Dataset
    net: dc.Network
    augment: str  # name of the comparison's augmentation in `choices.AUGMENTS`
    start: Any  # cells along each side of a stored image -> the `Start` of the images
    seed: int
    views: int  # images that are decoded of every source by as many networks
    made_on: dict[str, Any]  # the data and the network, by the names of their settings; experts are of the same
    passed: str  # the flags by which these differ from those of a command that names the data set alone
    data_dir: str | None  # of prepared data sets
    taken: dict[str, Any]  # what the run noted when it began; see `TrajectoryPart.taken`


class Part:
    """A part of a method with its settings; a subclass overrides the answers that differ for it."""

    def check(self, settings: Any) -> None:
        """Refuses settings that do not fit together, before anything is computed."""

    def idle(self, settings: Any) -> dict[str, str]:
        """Names the settings that have no effect beside the values of others, each with the reason."""
        return {}


class ParameterizationPart(Part):
    """A parameterization: what is learned. A subclass has `decoder(**arguments)`, which also rebuilds it from the artefact."""

    def arguments(self, context: Context) -> dict[str, Any]:
        """Gives the arguments of the decoder: images per class and all settings of the part, unless a subclass overrides this."""
        return {"ipc": context.ipc, **dataclasses.asdict(self)}

    def build(self, context: Context) -> dc.Parameterization:
        return self.decoder(**self.arguments(context), start=context.start(1))

    def real_needed(self, ipc: int, num_classes: int) -> int:
        """Counts the real images of each class that condensed ones start from."""
        return ipc

    def for_students(self, settings: Any) -> "ParameterizationPart":
        """Gives the part that decodes what is learned for students and in the set's file: itself, unless a subclass overrides this."""
        return self

    @property
    def views(self) -> int:
        """Counts the networks that each decode an image of every source; 1 where none do."""
        return 1

    @property
    def contrast(self) -> float:
        """Gives the weight of how alike an adversary sees two views; 0 where there is no adversary."""
        return 0.0

    def optimizers(self, images: optax.GradientTransformation) -> dict[str, optax.GradientTransformation]:
        """Gives an optimizer for each name in what is learned; `images` is the one that `--image-rate` and the like describe."""
        return {"image": images}


class ObjectivePart(Part):
    """An objective: what is compared. A subclass has `build(context)`."""

    @property
    def augmentation(self) -> str:
        """Names the augmentation of both sets in `choices.AUGMENTS`, which networks are trained under unless told otherwise."""
        return "none"

    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        """Gives an optimizer for each hyperparameter that the objective learns; most learn none."""
        return {}


class TrajectoryPart(Part):
    """A trajectory: where it is compared. A subclass has `build(context)`."""

    def real_needed(self, settings: Any, num_classes: int) -> int:
        """Counts the real images of each class that a step trains its network on."""
        return 0

    def taken(self, settings: Any) -> dict[str, Any]:
        """Says what a run takes from elsewhere that may change while it is stopped, by name.

        A run notes it when it begins, and `source` sees the note as `context.taken`.
        """
        return {}

    def source(self, context: Context, pretrain: Pretrain) -> Supply:
        """Gives a function that wraps the source of real images in one that draws all that the trajectory needs.

        It is asked before every iteration, so that the host may pick what is on the device then, and must give trees of the same
        shapes every time. `pretrain` trains networks beforehand, such as those of a pool.
        """
        return lambda source, t: source


class Axis:
    """An axis: the members, by name, among which one part of a method is chosen."""

    def __init__(self, name: str, about: str, **members: type):
        self.name = name
        self.about = about
        self.members: dict[str, type] = {}
        _own(name, name, f"the choice of the {name}")
        for member, part in members.items():
            self.register(member, part)

    def name_of(self, part: Any) -> str:
        """Gives the name of the member that a part is of."""
        return next(name for name, member in self.members.items() if type(part) is member)

    def register(self, name: str, part: type) -> None:
        """Adds a member; its settings become flags.

        Raises:
            ValueError: the name is taken, or a flag of the part belongs to another axis or group already.
        """
        if name in self.members:
            raise ValueError(f"{self.name} has a member {name} already: give {part.__name__} another name.")
        claim(self.name, part)
        self.members[name] = part
        if hasattr(part, "decoder"):
            dc.artifact.DECODERS[name] = part.decoder


def claim(owner: str, part: type) -> None:
    """Notes that the settings of `part` belong to an axis or a group, and refuses those that belong to another.

    Members of one axis may share a flag, as only one of them is chosen.
    """
    for field in dataclasses.fields(part):
        _own(field.name, owner, part.__name__)


def _own(setting, owner, whose):
    other = _OWNERS.setdefault(setting, owner)
    if other != owner:
        raise ValueError(f"{flag(setting)} of {whose} ({owner}) is a flag of {other} already: rename it.")


def known_settings() -> set[str]:
    """Names all settings, also those of parts that are not chosen."""
    return set(_OWNERS)
