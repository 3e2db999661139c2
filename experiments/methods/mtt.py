"""Describes the methods that match trajectories of experts: MTT, TESLA, and HaBa."""

from typing import NamedTuple

from experiments.methods.method import CONDENSES, Method, cells, siamese


class Cell(NamedTuple):
    """The settings that MTT has at some images per class of a data set."""

    unroll_steps: int
    span: int  # epochs of the expert in a segment
    max_start: int  # epoch below which a segment begins
    unroll_rate: float
    image_rate: float
    rate_rate: float  # of the rate itself
    zca: bool
    student_batch: int | None = None  # all images


# As the commands that DD-Ranking lists for MTT have them; of CIFAR-10 at ten other lists have 1e-4 for the rate, which starts at 0.01.
_MTT = {
    ("cifar10", 1): Cell(50, 2, 2, 0.01, 100.0, 1e-7, zca=True),
    ("cifar10", 10): Cell(30, 2, 20, 0.001, 100.0, 1e-5, zca=True),
    ("cifar10", 50): Cell(30, 2, 40, 0.001, 1000.0, 1e-5, zca=False),
    ("cifar100", 1): Cell(20, 3, 20, 0.01, 1000.0, 1e-5, zca=True),
    ("cifar100", 10): Cell(20, 2, 20, 0.01, 1000.0, 1e-5, zca=False),
    ("cifar100", 50): Cell(80, 2, 40, 0.01, 1000.0, 1e-5, zca=True, student_batch=125),
}
# As HaBa's scripts for CIFAR-10 have them, but for whitening, which is MTT's. The rate is released with a lower bound of 0.001; here it is the
# softplus of what is learned.
_HABA = {
    1: Cell(50, 2, 2, 0.01, 100.0, 1e-7, zca=True),
    10: Cell(30, 2, 20, 0.001, 100.0, 1e-5, zca=True),
    50: Cell(30, 2, 20, 0.01, 100.0, 1e-5, zca=False),
}
_SIZES = (1, 10, 50)


def _matched(dataset, ipc, network):
    """Gives MTT's settings; those of CIFAR-10, without whitening, for data sets that it has none for."""
    del network
    near = _near(ipc)
    cell = _MTT.get((dataset, near)) or _MTT["cifar10", near]._replace(zca=False)
    return _with(cell, dataset) | {"image_momentum": 0.5} | _quick(dataset)


def _near(ipc):
    return min(_SIZES, key=lambda known: abs(known - ipc))


def _with(cell, dataset):
    parts = {"objective": "trajectory_matching", "trajectory": "expert", "start": "real"}
    augment = {"augment": siamese(dataset), "eval_augment": siamese(dataset)}
    length = {"iterations": 5000, "matches": 1, "real_batch": 1, "checkpoint_every": 50}
    evaluation = {"eval_recipe": "learned", "eval_epochs": 1000}
    # What is learned is the rate's inverse softplus, which moves a small rate r by r^2 as much.
    return parts | augment | length | evaluation | cell._asdict() | {"rate_rate": cell.rate_rate / cell.unroll_rate**2}


def _quick(dataset):
    """Gives digits shorter training at larger rates, so that a run takes minutes on a CPU; these settings are ours."""
    if dataset != "digits":
        return {}
    training = {"unroll_steps": 20, "unroll_rate": 0.05, "max_start": 10, "augment": "none", "eval_augment": "none"}
    return training | {"iterations": 300, "image_rate": 10.0, "rate_rate": 0.001, "eval_epochs": 300}


def _tesla(dataset, ipc, network):
    return _matched(dataset, ipc, network) | {"objective": "tesla"}


def _factorised(dataset, ipc, network):
    """Gives HaBa as released for CIFAR-10, with as many bases as images per class; --base-images None takes those that the bytes hold.

    On CIFAR-100, for which no script is released, it has the segments of MTT.
    """
    del network
    near = _near(ipc)
    known = {"cifar10": _HABA[near], "cifar100": _MTT["cifar100", near]._replace(image_rate=100.0)}
    cell = known.get(dataset) or _HABA[near]._replace(zca=False)
    own = {"parameterization": "hallucinated", "image_momentum": 0.95, "iterations": 15_000, "eval_views": "one"}
    found = _with(cell, dataset) | own
    if dataset == "digits":
        return found | _quick(dataset) | {"image_rate": 0.3, "image_momentum": 0.5}
    return found | {"base_images": ipc}


MTT = Method(
    name="mtt",
    title="MTT",
    about="Images on which training goes where an expert's training on the real ones went.",
    source="Cazenavette et al., Dataset Distillation by Matching Training Trajectories, CVPR 2022 (arXiv:2203.11932)",
    kind=CONDENSES,
    settings=_matched,
    learned="`pixels`",
    compared="`trajectory_matching(rate=learned(...))`",
    where="`expert`",
    numbers={
        "cifar10": cells((46.2, 0.8), (65.4, 0.7), (71.6, 0.2)),
        "cifar100": cells((24.3, 0.3), (39.7, 0.4), (47.7, 0.2)),
    },
    numbers_source="later papers that list them",
)
TESLA = Method(
    name="tesla",
    title="TESLA",
    about="MTT with the memory of one step, by a gradient that leaves a part out.",
    source="Cui et al., Scaling Up Dataset Distillation to ImageNet-1K with Constant Memory, ICML 2023 (arXiv:2211.10586)",
    kind=CONDENSES,
    settings=_tesla,
    learned="`pixels`",
    compared="`trajectory_matching(scan=unlinked)`",
    where="`expert`",
)
HABA = Method(
    name="haba",
    title="HaBa",
    about="Bases and small networks that restyle them, kept diverse by an adversary.",
    source="Liu et al., Dataset Distillation via Factorization, NeurIPS 2022 (arXiv:2210.16774)",
    kind=CONDENSES,
    settings=_factorised,
    learned="`hallucinated`",
    compared="`with_diversity(trajectory_matching)`",
    where="`with_adversary(expert)`",
    numbers={
        "cifar10": cells((48.3, 0.8), (69.9, 0.4), (74.0, 0.2)),
        "cifar100": cells((33.4, 0.4), (40.2, 0.2), (47.0, 0.2)),
    },
    numbers_source="later papers that list them",
)
