"""The papers' settings: method x dataset x images per class -> what to run.

Each as its published code sets it: DC (Zhao, Mopuri & Bilen, ICLR 2021), DSA (Zhao & Bilen, ICML 2021), DM (Zhao & Bilen, WACV
2023), IDC (Kim et al., ICML 2022). What came out is in `papers`.
"""

import numpy as np

CORESETS = ("random", "herding", "k_center", "forgetting", "kmeans", "whole")
METHODS = ("dc", "dsa", "dm", "idc_i", "idc", *CORESETS)

# DC's loops: images per class -> comparisons per network, inner epochs between them.
_DC_LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}

UNFLIPPED = ("mnist", "svhn_cropped", "digits")  # a mirrored digit is another sign


def dc_loops(ipc: int) -> tuple[int, int]:
    """Comparisons per network and inner epochs between them: published at 1, 10, 20, 30, 40 and 50 images per class.

    Between those, both are interpolated linearly and rounded; above 50 they stay what they are at 50.
    """
    matches, epochs = zip(*_DC_LOOPS.values())
    return tuple(round(float(np.interp(ipc, list(_DC_LOOPS), values))) for values in (matches, epochs))


def preset(method: str, dataset: str, ipc: int, network: str = "convnet") -> dict:
    """The settings that differ from the defaults of `Config`; datasets without published ones take the method's."""
    chosen = {"method": method, "dataset": dataset, "ipc": ipc, "network": network}
    if network == "convnet" and dataset == "digits":
        chosen["width"] = 64  # digits are 8x8: a narrow network makes the first run short
    return chosen | _PRESETS.get(method, _coreset)(dataset, ipc, network)


def _coreset(dataset, ipc, network):
    """Coresets are judged as DC's sets are."""
    del ipc, network
    return {"eval_epochs": 1000, "eval_augment": "dc_digits"} if dataset == "mnist" else {}


def _whole(dataset, ipc, network):
    """Fewer students and passes: the accuracy hardly varies, and one pass has more steps than all of a condensed set's."""
    passes = {} if dataset == "digits" else {"eval_epochs": 30}
    return _coreset(dataset, ipc, network) | {"num_students": 3} | passes


def _matching(dataset, ipc, network):
    matches, inner_epochs = dc_loops(ipc)
    loops = {"matches": matches, "inner_epochs": inner_epochs, "image_rate": 0.01 if network == "mlp" else 0.1}
    return loops | (_quick_loops(ipc, loops) if dataset == "digits" else {})


def _quick_loops(ipc, loops):
    """Ours, for digits: fewer and longer steps, so that a run takes minutes on a CPU."""
    length = {"iterations": 300 if ipc == 1 else 100, "inner_epochs": min(loops["inner_epochs"], 10)}
    return length | {"real_batch": 64, "image_rate": 2 * ipc * loops["image_rate"]}


def _dc(dataset, ipc, network):
    return _matching(dataset, ipc, network) | _coreset(dataset, ipc, network)


def _dsa(dataset, ipc, network):
    return _matching(dataset, ipc, network) | _siamese(dataset)


def _dm(dataset, ipc, network):
    del network
    many = ipc >= 100 and dataset != "cifar100"
    length = {"iterations": 500 if dataset == "digits" else 20000, "checkpoint_every": 100}
    parts = {"objective": "distribution_matching", "trajectory": "fresh"}
    return length | parts | {"image_rate": 10.0 if many else 1.0} | _siamese(dataset)


def _siamese(dataset):
    augment = "dsa_digits" if dataset in UNFLIPPED else "dsa"
    return {"start": "real", "augment": augment, "eval_augment": augment, "eval_epochs": 1000}


_ABSOLUTE = ("mnist", "fashion_mnist")  # where IDC compares by absolute error


def _idc_i(dataset, ipc, network):
    """IDC of whole images."""
    del network
    squared = {"distance": "convolution_squared_error", "image_rate": _per_ipc(5e-3, ipc)}
    absolute = {"distance": "convolution_absolute_error", "image_rate": _per_ipc(1e-4, ipc)}
    if dataset == "fashion_mnist":  # the published rate is of 32 pixels a side
        absolute["image_rate"] *= (28 / 32) ** 2
    networks = {
        "trajectory": "on_real",
        "network_steps": 8 if dataset in (*_ABSOLUTE, "svhn_cropped", "digits") else 32,
    }
    networks |= {"network_batch": 64, "network_momentum": 0.9, "network_decay": 5e-4}
    networks |= {"network_augment": "color_crop", "network_mix": "cutmix"}
    images = {
        "image_space": "pixel",
        "start": "real",
        "image_optimizer": "per_class_sgd",
        "augment": "color_crop_cutout",
    }
    length = {"iterations": 10 if dataset == "digits" else 2000, "matches": 100, "real_batch": 64, "syn_batch": 128}
    comparing = absolute if dataset in _ABSOLUTE else squared
    return comparing | networks | images | length | _idc_evaluation(dataset, ipc, factor=1)


def _per_ipc(rate, ipc):
    """IDC's rate, given at ten images per class, grows with their number."""
    return rate * ipc / 10


def _idc_evaluation(dataset, ipc, factor):
    """CutMix, but on MNIST cut into four, and on one whole image of SVHN, which has cutout in its place."""
    augment, mix = "idc_digits" if dataset in UNFLIPPED else "idc", "cutmix"
    if dataset == "svhn_cropped" and factor * ipc == 1:
        augment, mix = "idc_digits_cutout", "none"
    if dataset == "mnist" and factor > 1:
        mix = "none"
    return {"eval_recipe": "idc", "eval_epochs": 1000, "eval_augment": augment, "eval_mix": mix}


def _idc(dataset, ipc, network):
    """IDC of images that are each cut into four; on MNIST, neither cutout nor CutMix."""
    own = _idc_i(dataset, ipc, network) | {"parameterization": "multi_formation", "factor": 2}
    own |= _idc_evaluation(dataset, ipc, factor=2)
    return own | ({"augment": "color_crop", "network_mix": "none"} if dataset == "mnist" else {})


_PRESETS = {"dc": _dc, "dsa": _dsa, "dm": _dm, "idc_i": _idc_i, "idc": _idc, "whole": _whole}
