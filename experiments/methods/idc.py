"""Describes IDC: an efficient parameterization of condensed data, and networks trained on real data."""

from experiments.methods.method import CONDENSES, UNFLIPPED, Method, means

_ABSOLUTE = ("mnist", "fashion_mnist")  # data sets whose gradients are compared by absolute error


def _whole_images(dataset, ipc, network):
    """Gives the settings of IDC-I, which does not cut its images."""
    del network
    networks = {
        "trajectory": "on_real",
        "network_steps": 8 if dataset in (*_ABSOLUTE, "svhn_cropped", "digits") else 32,
    }
    networks |= {"network_batch": 64, "network_momentum": 0.9, "network_decay": 5e-4}
    networks |= {"network_augment": "color_crop", "network_mix": "cutmix"}
    images = {"image_space": "pixel", "start": "real", "image_optimizer": "per_class_sgd"}
    length = {"iterations": 10 if dataset == "digits" else 2000, "matches": 100, "real_batch": 64, "syn_batch": 128}
    # As released: its program has one pair of statistics for both CIFAR data sets.
    data = {"statistics": "cifar10"} if dataset == "cifar100" else {}
    return data | _comparison(dataset, ipc) | networks | images | length | _evaluation(dataset, ipc, factor=1)


def _comparison(dataset, ipc):
    """Gives the distance, and the image rate: published for ten images per class, it grows with their number."""
    augment = {"augment": "color_crop_cutout"}
    if dataset not in _ABSOLUTE:
        return augment | {"distance": "convolution_squared_error", "image_rate": 5e-3 * ipc / 10}
    rate = 1e-4 * ipc / 10
    if dataset == "fashion_mnist":  # the published rate is for 32 pixels a side
        rate *= (28 / 32) ** 2
    return augment | {"distance": "convolution_absolute_error", "image_rate": rate}


def _evaluation(dataset, ipc, factor):
    """Gives IDC's evaluation: CutMix, but none on MNIST cut into four, and cutout in its place on one whole image of SVHN."""
    augment, mix = "idc_digits" if dataset in UNFLIPPED else "idc", "cutmix"
    if dataset == "svhn_cropped" and factor * ipc == 1:
        augment, mix = "idc_digits_cutout", "none"
    if dataset == "mnist" and factor > 1:
        mix = "none"
    return {"eval_recipe": "idc", "eval_epochs": 1000, "eval_augment": augment, "eval_mix": mix}


def _cut_images(dataset, ipc, network):
    """Gives the settings of IDC, which cuts its images into four; on MNIST it has neither cutout nor CutMix."""
    own = _whole_images(dataset, ipc, network) | {"parameterization": "multi_formation", "factor": 2}
    own |= _evaluation(dataset, ipc, factor=2)
    return own | ({"augment": "color_crop", "network_mix": "none"} if dataset == "mnist" else {})


_SOURCE = "Kim et al., Dataset Condensation via Efficient Synthetic-Data Parameterization, ICML 2022 (arXiv:2205.14959)"
_MATCHING = "`gradient_matching(distance=of_convolutions(squared_error), augment=color_crop_cutout())`; on MNIST and FashionMNIST `absolute_error`"

IDC_I = Method(
    name="idc_i",
    title="IDC-I",
    about="IDC with whole images: none is cut into several.",
    source=_SOURCE,
    kind=CONDENSES,
    settings=_whole_images,
    learned="`pixels`",
    compared=_MATCHING,
    where="`on_real`",
    recipe="idc",
    numbers={
        "mnist": means(88.9, 98.0, 98.8),
        "fashion_mnist": means(70.7, 85.3, 89.1),
        "svhn_cropped": means(46.7, 77.0, 87.9),
        "cifar10": means(36.7, 58.3, 69.5),
        "cifar100": means(36.6, 41.5, ipc=(10, 20)),
    },
    numbers_source="the tables of the authors' README, which have no deviations",
)
IDC = Method(
    name="idc",
    title="IDC",
    about="Several images from the bytes of one, matched on networks trained on real images.",
    source=_SOURCE,
    kind=CONDENSES,
    settings=_cut_images,
    learned="`multi_formation`",
    compared=_MATCHING,
    where="`on_real`",
    recipe="idc",
    numbers={
        "mnist": means(94.2, 98.4, 99.1),
        "fashion_mnist": means(81.0, 86.0, 86.2),
        "svhn_cropped": means(68.5, 87.5, 90.1),
        "cifar10": means(50.6, 67.5, 74.5),
        "cifar100": means(45.1, 49.0, ipc=(10, 20)),
    },
    numbers_source="the tables of the authors' README, which have no deviations",
)
