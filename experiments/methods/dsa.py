"""Describes DSA: DC under differentiable siamese augmentation."""

from experiments.methods.dc import matching
from experiments.methods.method import CONDENSES, Method, cells, dsa_evaluation, siamese


def _settings(dataset, ipc, network):
    return matching(dataset, ipc, network) | {"start": "real", "augment": siamese(dataset)} | dsa_evaluation(dataset)


DSA = Method(
    name="dsa",
    title="DSA",
    about="DC with one augmentation drawn for the condensed and the real images of a class.",
    source="Zhao & Bilen, Dataset Condensation with Differentiable Siamese Augmentation, ICML 2021 (arXiv:2102.08259)",
    kind=CONDENSES,
    settings=_settings,
    learned="`pixels`",
    compared="`gradient_matching(augment=dsa())`",
    where="`on_synthetic`",
    recipe="dsa",
    numbers={
        "mnist": cells((88.7, 0.6), (97.8, 0.1), (99.2, 0.1)),
        "fashion_mnist": cells((70.6, 0.6), (84.6, 0.3), (88.7, 0.2)),
        "svhn_cropped": cells((27.5, 1.4), (79.2, 0.5), (84.4, 0.4)),
        "cifar10": cells((28.8, 0.7), (52.1, 0.5), (60.6, 0.5)),
        "cifar100": cells((13.9, 0.3), (32.3, 0.3), (42.8, 0.4)),
    },
    numbers_source="means of the authors' README, all but CIFAR-100's at 50; that and all deviations of later papers that list them",
)
