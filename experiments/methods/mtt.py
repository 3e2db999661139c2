"""Describes the methods that match trajectories of experts: MTT, TESLA, and HaBa."""

from experiments.methods.method import CONDENSES, Method, cells, siamese

_START = {1: 2, 10: 20, 50: 20}  # epochs below which a segment begins, by images per class
_STEPS = {1: 50, 10: 30, 50: 30}
_TEACHER = {1: 0.01, 10: 0.001, 50: 0.01}
_OTHERWISE = {("cifar100", 1): {"unroll_steps": 20, "max_start": 20, "span": 3}}  # the one more cell that is known
_WHITENED = {("cifar10", 1), ("cifar10", 10), ("cifar100", 1), ("cifar100", 50)}


def _matched(dataset, ipc, network):
    del network
    parts = {"objective": "trajectory_matching", "trajectory": "expert"}
    images = {"start": "real", "image_rate": 1000.0, "image_momentum": 0.5}
    augment = {"augment": siamese(dataset), "eval_augment": siamese(dataset)}
    near = _near(ipc)
    training = {"unroll_steps": _STEPS[near], "unroll_rate": _TEACHER[near], "max_start": _START[near], "span": 2}
    training |= {"rate_rate": _rate_rate(1e-5, near)} | _OTHERWISE.get((dataset, near), {})
    length = {"iterations": 5000, "matches": 1, "real_batch": 1, "checkpoint_every": 50}
    evaluation = {"eval_recipe": "learned", "eval_epochs": 1000, "zca": (dataset, near) in _WHITENED}
    return parts | images | augment | training | length | evaluation | _quick(dataset)


def _near(ipc):
    return min(_STEPS, key=lambda known: abs(known - ipc))


def _rate_rate(published, near):
    """Turns a learning rate of the rate itself into that of its inverse softplus, which is learned and moves a small rate r by r^2 as much."""
    return published / _TEACHER[near] ** 2


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

    The learned rate, which is released with a lower bound of 0.001, is the softplus of what is learned.
    """
    own = {"parameterization": "hallucinated", "image_rate": 100.0, "image_momentum": 0.95, "iterations": 15_000}
    own |= {"eval_views": "one"}
    if dataset == "digits":
        own |= {"image_rate": 0.3, "image_momentum": 0.5, "iterations": 300}
    else:
        own |= {"base_images": ipc, "rate_rate": _rate_rate(1e-7 if _near(ipc) == 1 else 1e-5, _near(ipc))}
    return _matched(dataset, ipc, network) | own


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
