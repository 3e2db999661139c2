"""The papers' numbers: method x dataset x images per class -> the accuracy that came out.

DC and the coresets: Zhao, Mopuri & Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021, Table 1. DSA: Zhao & Bilen,
"Dataset Condensation with Differentiable Siamese Augmentation", ICML 2021. DM: Zhao & Bilen, "Dataset Condensation with
Distribution Matching", WACV 2023. DSA's means are those of its authors' table (but CIFAR-100 at 50), its deviations, DM's numbers
and all of CIFAR-100 those of later papers that list them. DM's on MNIST are left out for want of a source. IDC: Kim et al.,
"Dataset Condensation via Efficient Synthetic-Data Parameterization", ICML 2022; means by its authors' table, which has no
deviations.
"""

from experiments.presets import CORESETS

_IPC = (1, 10, 50)

# Test accuracy in percent, ConvNet: mean and deviation at 1, 10 and 50 images per class; None where there is no number.
PAPER = {
    ("dc", "mnist"): ((91.7, 0.5), (97.4, 0.2), (98.8, 0.2)),
    ("dc", "fashion_mnist"): ((70.5, 0.6), (82.3, 0.4), (83.6, 0.4)),
    ("dc", "svhn_cropped"): ((31.2, 1.4), (76.1, 0.6), (82.3, 0.3)),
    ("dc", "cifar10"): ((28.3, 0.5), (44.9, 0.5), (53.9, 0.5)),
    ("dc", "cifar100"): ((12.8, 0.3), (25.2, 0.3), None),
    ("dsa", "mnist"): ((88.7, 0.6), (97.8, 0.1), (99.2, 0.1)),
    ("dsa", "fashion_mnist"): ((70.6, 0.6), (84.6, 0.3), (88.7, 0.2)),
    ("dsa", "svhn_cropped"): ((27.5, 1.4), (79.2, 0.5), (84.4, 0.4)),
    ("dsa", "cifar10"): ((28.8, 0.7), (52.1, 0.5), (60.6, 0.5)),
    ("dsa", "cifar100"): ((13.9, 0.3), (32.3, 0.3), (42.8, 0.4)),
    ("dm", "cifar10"): ((26.0, 0.8), (48.9, 0.6), (63.0, 0.4)),
    ("dm", "cifar100"): ((11.4, 0.3), (29.7, 0.3), (43.6, 0.4)),
    ("idc_i", "mnist"): ((88.9, None), (98.0, None), (98.8, None)),
    ("idc_i", "fashion_mnist"): ((70.7, None), (85.3, None), (89.1, None)),
    ("idc_i", "svhn_cropped"): ((46.7, None), (77.0, None), (87.9, None)),
    ("idc_i", "cifar10"): ((36.7, None), (58.3, None), (69.5, None)),
    ("idc_i", "cifar100"): (None, (36.6, None), None),
    ("idc", "mnist"): ((94.2, None), (98.4, None), (99.1, None)),
    ("idc", "fashion_mnist"): ((81.0, None), (86.0, None), (86.2, None)),
    ("idc", "svhn_cropped"): ((68.5, None), (87.5, None), (90.1, None)),
    ("idc", "cifar10"): ((50.6, None), (67.5, None), (74.5, None)),
    ("idc", "cifar100"): (None, (45.1, None), None),
    ("random", "mnist"): ((64.9, 3.5), (95.1, 0.9), (97.9, 0.2)),
    ("random", "fashion_mnist"): ((51.4, 3.8), (73.8, 0.7), (82.5, 0.7)),
    ("random", "svhn_cropped"): ((14.6, 1.6), (35.1, 4.1), (70.9, 0.9)),
    ("random", "cifar10"): ((14.4, 2.0), (26.0, 1.2), (43.4, 1.0)),
    ("random", "cifar100"): ((4.2, 0.3), (14.6, 0.5), (30.0, 0.4)),
    ("herding", "mnist"): ((89.2, 1.6), (93.7, 0.3), (94.9, 0.2)),
    ("herding", "fashion_mnist"): ((67.0, 1.9), (71.1, 0.7), (71.9, 0.8)),
    ("herding", "svhn_cropped"): ((20.9, 1.3), (50.5, 3.3), (72.6, 0.8)),
    ("herding", "cifar10"): ((21.5, 1.2), (31.6, 0.7), (40.4, 0.6)),
    ("herding", "cifar100"): ((8.4, 0.3), (17.3, 0.3), (33.7, 0.5)),
    ("k_center", "mnist"): ((89.3, 1.5), (84.4, 1.7), (97.4, 0.3)),
    ("k_center", "fashion_mnist"): ((66.9, 1.8), (54.7, 1.5), (68.3, 0.8)),
    ("k_center", "svhn_cropped"): ((21.0, 1.5), (14.0, 1.3), (20.1, 1.4)),
    ("k_center", "cifar10"): ((21.5, 1.3), (14.7, 0.9), (27.0, 1.4)),
    ("forgetting", "mnist"): ((35.5, 5.6), (68.1, 3.3), (88.2, 1.2)),
    ("forgetting", "fashion_mnist"): ((42.0, 5.5), (53.9, 2.0), (55.0, 1.1)),
    ("forgetting", "svhn_cropped"): ((12.1, 1.7), (16.8, 1.2), (27.2, 1.5)),
    ("forgetting", "cifar10"): ((13.5, 1.2), (23.3, 1.0), (23.3, 1.1)),
    ("forgetting", "cifar100"): ((4.5, 0.2), (15.1, 0.3), (30.5, 0.3)),
}
_WHOLE = {  # the whole training set, by DC's evaluation
    "mnist": (99.6, 0.0),
    "fashion_mnist": (93.5, 0.1),
    "svhn_cropped": (95.4, 0.1),
    "cifar10": (84.8, 0.1),
    "cifar100": (56.2, 0.3),
}


def paper_cell(method: str, dataset: str, ipc: int) -> dict[str, tuple[float, float | None]]:
    """Accuracies in percent (mean, deviation) that the paper reports for `condensed`, `random` and `whole`, where it does.

    The last two are those of DC's table, measured by DC's evaluation.
    """
    condensed = _entry(method, dataset, ipc)
    if not condensed and method != "whole":
        return {}
    cell = {"condensed": condensed}
    if method in ("dc", *CORESETS):
        cell |= {"random": _entry("random", dataset, ipc), "whole": _WHOLE.get(dataset)}
    return {name: value for name, value in cell.items() if value}


def _entry(method, dataset, ipc):
    return dict(zip(_IPC, PAPER.get((method, dataset), ()))).get(ipc)
