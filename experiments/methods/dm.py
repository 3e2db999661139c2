"""Describes DM: dataset condensation with distribution matching."""

from experiments.methods.method import CONDENSES, Method, cells, dsa_evaluation, siamese

_LARGE = {100: (67.0, 0.3), 200: (71.2, 0.4), 500: (76.1, 0.3), 1000: (79.8, 0.3), 1250: (80.8, 0.3)}


def _settings(dataset, ipc, network):
    del network
    many = ipc >= 100 and dataset != "cifar100"
    length = {"iterations": 500 if dataset == "digits" else 20000, "checkpoint_every": 100}
    parts = {"objective": "distribution_matching", "trajectory": "fresh"}
    images = {"start": "real", "augment": siamese(dataset), "image_rate": 10.0 if many else 1.0}
    return length | parts | images | dsa_evaluation(dataset)


DM = Method(
    name="dm",
    title="DM",
    about="Images whose mean features match those of real images in networks that were never trained.",
    source="Zhao & Bilen, Dataset Condensation with Distribution Matching, WACV 2023 (arXiv:2110.04181)",
    kind=CONDENSES,
    settings=_settings,
    learned="`pixels`",
    compared="`distribution_matching(augment=dsa())`",
    where="`fresh`",
    numbers={
        "cifar10": cells((26.0, 0.8), (48.9, 0.6), (63.0, 0.4)) | _LARGE,
        "cifar100": cells((11.4, 0.3), (29.7, 0.3), (43.6, 0.4)),
    },
    numbers_source="later papers that list them, from 100 images per class the authors' README; those on MNIST are left out for want of a source",
)
