"""Describes DC: dataset condensation with gradient matching."""

import numpy as np

from experiments.methods.method import CONDENSES, Method, cells, dc_evaluation

# Images per class -> (comparisons per network, epochs of inner training between them), as published.
_LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}


def loops(ipc: int) -> tuple[int, int]:
    """Gives the comparisons per network and the inner epochs between them, published at 1, 10, 20, 30, 40 and 50 images per class.

    In between, both are interpolated linearly and rounded; above 50 they are those of 50.
    """
    matches, epochs = zip(*_LOOPS.values())
    return tuple(round(float(np.interp(ipc, list(_LOOPS), values))) for values in (matches, epochs))


def matching(dataset: str, ipc: int, network: str) -> dict:
    """Gives the settings of gradient matching that DC and DSA share."""
    matches, inner_epochs = loops(ipc)
    own = {"matches": matches, "inner_epochs": inner_epochs, "image_rate": 0.01 if network == "mlp" else 0.1}
    return own | (_quick(ipc, own) if dataset == "digits" else {})


def _quick(ipc, own):
    """Gives digits fewer and longer steps, so that a run takes minutes on a CPU; these settings are ours."""
    length = {"iterations": 300 if ipc == 1 else 100, "inner_epochs": min(own["inner_epochs"], 10)}
    return length | {"real_batch": 64, "image_rate": 2 * ipc * own["image_rate"]}


def _settings(dataset, ipc, network):
    return matching(dataset, ipc, network) | dc_evaluation(dataset)


DC = Method(
    name="dc",
    title="DC",
    about="Images whose gradients match those of real images, class by class.",
    source="Zhao, Mopuri & Bilen, Dataset Condensation with Gradient Matching, ICLR 2021 (arXiv:2006.05929)",
    kind=CONDENSES,
    settings=_settings,
    learned="`pixels`",
    compared="`gradient_matching`",
    where="`on_synthetic`",
    recipe="dc",
    numbers={
        "mnist": cells((91.7, 0.5), (97.4, 0.2), (98.8, 0.2)),
        "fashion_mnist": cells((70.5, 0.6), (82.3, 0.4), (83.6, 0.4)),
        "svhn_cropped": cells((31.2, 1.4), (76.1, 0.6), (82.3, 0.3)),
        "cifar10": cells((28.3, 0.5), (44.9, 0.5), (53.9, 0.5)),
        "cifar100": cells((12.8, 0.3), (25.2, 0.3), None),
    },
    numbers_source="Table 1 of the paper; CIFAR-100's means of the authors' README, its deviations of later papers that list them",
)
