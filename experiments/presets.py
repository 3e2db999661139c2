"""The papers' settings and numbers: method x dataset x images per class -> what to run and what came out.

DC: Zhao, Mopuri & Bilen, "Dataset Condensation with Gradient Matching", ICLR 2021, Table 1 and its published code.
"""

import numpy as np

# Table 1: test accuracy in percent, ConvNet, mean and deviation of condensed and of random real images, by ipc.
PAPER = {
    ("dc", "mnist"): {1: ((91.7, 0.5), (64.9, 3.5)), 10: ((97.4, 0.2), (95.1, 0.9)), 50: ((98.8, 0.2), (97.9, 0.2))},
    ("dc", "fashion_mnist"): {
        1: ((70.5, 0.6), (51.4, 3.8)),
        10: ((82.3, 0.4), (73.8, 0.7)),
        50: ((83.6, 0.4), (82.5, 0.7)),
    },
    ("dc", "svhn_cropped"): {
        1: ((31.2, 1.4), (14.6, 1.6)),
        10: ((76.1, 0.6), (35.1, 4.1)),
        50: ((82.3, 0.3), (70.9, 0.9)),
    },
    ("dc", "cifar10"): {1: ((28.3, 0.5), (14.4, 2.0)), 10: ((44.9, 0.5), (26.0, 1.2)), 50: ((53.9, 0.5), (43.4, 1.0))},
    ("dc", "cifar100"): {1: ((12.8, 0.3), (4.2, 0.3)), 10: ((25.2, 0.3), (14.6, 0.5))},
}
_WHOLE = {  # the whole training set
    "mnist": (99.6, 0.0),
    "fashion_mnist": (93.5, 0.1),
    "svhn_cropped": (95.4, 0.1),
    "cifar10": (84.8, 0.1),
    "cifar100": (56.2, 0.3),
}

# DC's loops: images per class -> comparisons per network, inner epochs between them.
_DC_LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}

# Departures from a method's own settings. Digits are 8x8: a narrow network and fewer iterations make the first run short.
_BY_DATASET = {
    "mnist": {"eval_epochs": 1000, "eval_augment": "dc_digits"},
    "digits": {"iterations": 300, "width": 64},
}


def dc_loops(ipc: int) -> tuple[int, int]:
    """Comparisons per network and inner epochs between them: published at 1, 10, 20, 30, 40 and 50 images per class.

    Between those, both are interpolated linearly and rounded; above 50 they stay what they are at 50.
    """
    matches, epochs = zip(*_DC_LOOPS.values())
    return tuple(round(float(np.interp(ipc, list(_DC_LOOPS), values))) for values in (matches, epochs))


def preset(method: str, dataset: str, ipc: int) -> dict:
    """The settings that differ from the defaults of `Config`; datasets without published ones take the method's."""
    matches, inner_epochs = dc_loops(ipc)
    return {
        "method": method,
        "dataset": dataset,
        "ipc": ipc,
        "matches": matches,
        "inner_epochs": inner_epochs,
        **_BY_DATASET.get(dataset, {}),
    }


def paper_cell(method: str, dataset: str, ipc: int) -> dict[str, tuple[float, float]]:
    """Accuracies in percent (mean, deviation) that the paper reports for `condensed`, `random` and `whole`, where it does."""
    cell = PAPER.get((method, dataset), {}).get(ipc)
    return dict(zip(("condensed", "random", "whole"), (*cell, _WHOLE[dataset]))) if cell else {}
