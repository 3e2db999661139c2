"""Describes the baselines of real images: coresets, and the whole training set."""

from collections.abc import Callable

import jax

from dcjax import coresets
from experiments.methods.method import CHOOSES, CHOOSES_AT_RANDOM, TAKES_ALL, Method, Selector, cells, dc_evaluation

_TABLE = "DC's Table 1; CIFAR-100 of later papers that list it"


def _settings(dataset, ipc, network):
    """Gives real images DC's evaluation."""
    del ipc, network
    return dc_evaluation(dataset)


def _whole(dataset, ipc, network):
    """Gives `whole` few students and epochs: its accuracy hardly varies, and one epoch has more steps than all of a condensed set's."""
    del ipc, network
    passes = {} if dataset == "digits" else {"eval_epochs": 30}
    return dc_evaluation(dataset) | {"num_students": 3} | passes


def _by_features(selection: Callable[[int], coresets.Selection]) -> Selector:
    """Makes a selector that goes by what the network's classifier sees; `selection` is made with the run's seed."""

    def selector(seed, net, memory, split):
        features = jax.jit(lambda params, split: coresets.features(net, params, split))
        return selection(seed), features(memory.params, split)

    return selector


def _by_events(seed, net, memory, split):
    """Goes by how often the network forgot each image."""
    del seed, net, split
    return coresets.most_forgotten, coresets.forgetting_events(memory)


RANDOM = Method(
    name="random",
    title="random",
    about="Real images drawn at random.",
    source="baseline",
    kind=CHOOSES_AT_RANDOM,
    settings=_settings,
    numbers={
        "mnist": cells((64.9, 3.5), (95.1, 0.9), (97.9, 0.2)),
        "fashion_mnist": cells((51.4, 3.8), (73.8, 0.7), (82.5, 0.7)),
        "svhn_cropped": cells((14.6, 1.6), (35.1, 4.1), (70.9, 0.9)),
        "cifar10": cells((14.4, 2.0), (26.0, 1.2), (43.4, 1.0)),
        "cifar100": cells((4.2, 0.3), (14.6, 0.5), (30.0, 0.4)),
    },
    numbers_source=_TABLE,
)
HERDING = Method(
    name="herding",
    title="herding",
    about="Real images whose mean feature stays nearest to that of the class.",
    source="Welling, Herding Dynamical Weights to Learn, ICML 2009; Rebuffi et al., iCaRL, CVPR 2017 (arXiv:1611.07725)",
    kind=CHOOSES,
    settings=_settings,
    selection=_by_features(lambda seed: coresets.herding),
    numbers={
        "mnist": cells((89.2, 1.6), (93.7, 0.3), (94.9, 0.2)),
        "fashion_mnist": cells((67.0, 1.9), (71.1, 0.7), (71.9, 0.8)),
        "svhn_cropped": cells((20.9, 1.3), (50.5, 3.3), (72.6, 0.8)),
        "cifar10": cells((21.5, 1.2), (31.6, 0.7), (40.4, 0.6)),
        "cifar100": cells((8.4, 0.3), (17.3, 0.3), (33.7, 0.5)),
    },
    numbers_source=_TABLE,
)
K_CENTER = Method(
    name="k_center",
    title="k-center",
    about="Real images chosen so that every image of the class has one of them nearby.",
    source="Sener & Savarese, Active Learning for Convolutional Neural Networks, ICLR 2018 (arXiv:1708.00489)",
    kind=CHOOSES,
    settings=_settings,
    selection=_by_features(lambda seed: coresets.k_center),
    numbers={
        "mnist": cells((89.3, 1.5), (84.4, 1.7), (97.4, 0.3)),
        "fashion_mnist": cells((66.9, 1.8), (54.7, 1.5), (68.3, 0.8)),
        "svhn_cropped": cells((21.0, 1.5), (14.0, 1.3), (20.1, 1.4)),
        "cifar10": cells((21.5, 1.3), (14.7, 0.9), (27.0, 1.4)),
    },
    numbers_source=_TABLE,
)
FORGETTING = Method(
    name="forgetting",
    title="forgetting",
    about="Real images that a network in training forgets most often.",
    source="Toneva et al., An Empirical Study of Example Forgetting, ICLR 2019 (arXiv:1812.05159)",
    kind=CHOOSES,
    settings=_settings,
    selection=_by_events,
    numbers={
        "mnist": cells((35.5, 5.6), (68.1, 3.3), (88.2, 1.2)),
        "fashion_mnist": cells((42.0, 5.5), (53.9, 2.0), (55.0, 1.1)),
        "svhn_cropped": cells((12.1, 1.7), (16.8, 1.2), (27.2, 1.5)),
        "cifar10": cells((13.5, 1.2), (23.3, 1.0), (23.3, 1.1)),
        "cifar100": cells((4.5, 0.2), (15.1, 0.3), (30.5, 0.3)),
    },
    numbers_source=_TABLE,
)
KMEANS = Method(
    name="kmeans",
    title="k-means",
    about="Real images nearest to the centres of clusters of the class.",
    source="Cui et al., DC-BENCH: Dataset Condensation Benchmark, NeurIPS 2022 (arXiv:2207.09639)",
    kind=CHOOSES,
    settings=_settings,
    selection=_by_features(coresets.k_means),
)
WHOLE = Method(
    name="whole",
    title="whole",
    about="The whole training set.",
    source="baseline",
    kind=TAKES_ALL,
    settings=_whole,
)

WHOLE_NUMBERS = {  # by DC's evaluation, from where `_TABLE` says
    "mnist": (99.6, 0.0),
    "fashion_mnist": (93.5, 0.1),
    "svhn_cropped": (95.4, 0.1),
    "cifar10": (84.8, 0.1),
    "cifar100": (56.2, 0.3),
}
