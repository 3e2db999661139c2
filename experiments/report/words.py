"""Writes names and numbers as a reader wants them."""

import dataclasses
from pathlib import PurePath

from experiments.methods import METHODS
from experiments.parts.networks import NETWORKS

_DATASETS = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "svhn_cropped": "SVHN",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "digits": "scikit-learn's digits",
}
_NETWORKS = {
    "convnet": "ConvNet",
    "mlp": "MLP",
    "lenet": "LeNet",
    "alexnet": "AlexNet",
    "vgg11": "VGG-11",
    "resnet18": "ResNet-18",
    "resnet10": "ResNet-10",
}


def dataset(name: str) -> str:
    """Names a data set; one of the user's own by its file or folder."""
    kind, _, path = name.partition(":")
    return PurePath(path).name if kind in ("npz", "folder") and path else _DATASETS.get(name, name)


def method(name: str) -> str:
    return METHODS[name].title if name in METHODS else name


def network(name: str, width: int | None) -> str:
    kind, _, settings = name.partition(":")
    own = f"-{width}" if kind == "convnet" and width and "width=" not in settings else ""
    parts = [
        _NETWORKS.get(kind, kind) + own,
        *(each.replace("=", " ").replace("_", " ") for each in settings.split(",") if each),
    ]
    return ", ".join(parts)


def machine(result: dict) -> str:
    """Names the machine of a result file, and dcjax where one of its devices was all cores of a CPU; empty if it is not known."""
    version = result.get("versions", {}).get("dcjax", "")
    return ", ".join(filter(None, [result.get("hardware"), f"dcjax {version}" if version.startswith("0.1.") else ""]))


def condensing_network(config: dict) -> str:
    """Names the network that a run's settings describe, with those that are unusual, and the width of every ConvNet."""
    name, width = config.get("network", ""), config.get("width")
    fields = dataclasses.fields(NETWORKS.members[name]) if name in NETWORKS.members else ()
    usual = {field.name: field.default for field in fields if (name, field.name) != ("convnet", "width")}
    unusual = [f"{each}={config[each]}" for each in usual if config.get(each, usual[each]) != usual[each]]
    return network(f"{name}:{','.join(unusual)}", width)


def recipe(name: str, augmented: bool) -> str:
    return (f"{METHODS[name].title}'s" if name in METHODS else name) + ("" if augmented else ", no augmentation")


def accuracy(score: dict | None) -> str:
    """Writes mean and deviation in percent: no deviation if it is unknown or of one student, nothing without a score.

    A deviation that a decimal would make 0.0 has two.
    """
    if not score:
        return ""
    is_spread = "std" in score and score.get("students") != 1
    digits = 2 if is_spread and 0.005 <= score["std"] < 0.05 else 1
    return f"{score['mean']:.{digits}f}" + (f" ± {score['std']:.{digits}f}" if is_spread else "")


def signed(value: float) -> str:
    """Writes one decimal with its sign; zero has none."""
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else minus(text)


def minus(text: str) -> str:
    """Gives a number a minus sign in place of a hyphen."""
    return text.replace("-", "\N{MINUS SIGN}")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(number: int) -> str:
    """Writes bytes in a unit of thousands."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
