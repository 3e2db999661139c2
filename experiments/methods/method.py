"""Defines how a method is described: its parts, the paper's settings and numbers, and its evaluation."""

from collections.abc import Callable
from typing import NamedTuple

import dcjax as dc
from dcjax.base import Array

# (dataset, images per class, network) -> settings that differ from the defaults
Settings = Callable[[str, int, str], dict]
Cell = tuple[float, float | None]  # an accuracy in percent: mean and deviation, None where the paper gives none
# (seed, network, what it remembers of its training, training set) -> a selection, and what it goes by for every image [T, ...]
Selector = Callable[[int, dc.Network, dc.coresets.Memory, dc.data.Split], tuple[dc.coresets.Selection, Array]]

UNFLIPPED = ("mnist", "svhn_cropped", "digits")  # a mirrored digit is another sign


class Kind(NamedTuple):
    """A kind of method: the axes along which its parts are chosen, and the groups of settings that it has beside them."""

    axes: tuple[str, ...]
    groups: tuple[str, ...]


CONDENSES = Kind(
    ("network", "parameterization", "objective", "trajectory", "eval_recipe"),
    ("loop", "images", "evaluation", "rivals"),
)
CHOOSES_AT_RANDOM = Kind(("network", "eval_recipe"), ("evaluation", "rivals"))
CHOOSES = Kind(("network", "eval_recipe"), ("selection", "evaluation", "rivals"))
TAKES_ALL = Kind(("network", "eval_recipe"), ("evaluation",))


class Method(NamedTuple):
    """A published method, or a baseline."""

    name: str  # as given to --method
    title: str  # in tables
    about: str  # one sentence
    source: str  # the paper
    kind: Kind
    settings: Settings  # as the published program sets them
    learned: str = ""  # what is learned, what is compared and where, in the library's words
    compared: str = ""
    where: str = ""
    selection: Selector | None = None  # of a coreset: chooses real images by what a trained network knows
    recipe: str = (
        ""  # name under which `experiments.evaluate --recipes` offers its evaluation, which methods of one paper share
    )
    numbers: dict[str, dict[int, Cell]] = {}  # dataset -> images per class -> the paper's accuracy
    numbers_source: str = ""

    @property
    def condenses(self) -> bool:
        """Tells whether the method learns images instead of choosing real ones."""
        return self.kind is CONDENSES

    @property
    def takes_all(self) -> bool:
        """Tells whether the method takes the whole training set, so that nothing is made and images per class mean nothing."""
        return self.kind is TAKES_ALL


def cells(*accuracies: Cell | None, ipc: tuple[int, ...] = (1, 10, 50)) -> dict[int, Cell]:
    """Maps 1, 10 and 50 images per class, or other numbers, to accuracies, without those that are None."""
    return {n: accuracy for n, accuracy in zip(ipc, accuracies) if accuracy}


def means(*accuracies: float, ipc: tuple[int, ...] = (1, 10, 50)) -> dict[int, Cell]:
    """Maps 1, 10 and 50 images per class, or other numbers, to mean accuracies, for a paper without deviations."""
    return cells(*((mean, None) for mean in accuracies), ipc=ipc)


def dc_evaluation(dataset: str) -> dict:
    """Gives the settings of DC's evaluation, which also judges real images."""
    return {"eval_epochs": 1000, "eval_augment": "dc_digits"} if dataset == "mnist" else {}


def dsa_evaluation(dataset: str) -> dict:
    """Gives the settings of DSA's evaluation, which is also DM's."""
    return {"eval_augment": siamese(dataset), "eval_epochs": 1000}


def siamese(dataset: str) -> str:
    """Names DSA's augmentation, without the flip where it would make another sign."""
    return "dsa_digits" if dataset in UNFLIPPED else "dsa"


def width(dataset: str, network: str) -> dict:
    """Gives a narrow ConvNet for 8x8 digits, so that the first run is short; elsewhere the default."""
    return {"width": 64} if network == "convnet" and dataset == "digits" else {}
