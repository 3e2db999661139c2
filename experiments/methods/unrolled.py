"""Describes the methods that unroll the training of a network: DD, learned labels, BPTT, and Remember the Past."""

from experiments.methods.method import CONDENSES, Method, cells

_UNROLLED = {"objective": "unrolled", "trajectory": "fresh"}
_BATCH = 1024  # real images in DD's comparisons
_TRAINING_IMAGES = {
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "svhn_cropped": 73_257,
    "cifar10": 50_000,
    "cifar100": 50_000,
}


def _backpropagated(dataset, ipc, network):
    """Gives the settings that BPTT on pixels and Remember the Past share."""
    del ipc, network
    images = {"start": "glorot", "image_rate": 0.1, "image_momentum": 0.5, "clip": 2.0}
    training = {"unroll_steps": 150, "unroll_rate": 0.01, "unroll_momentum": 0.9}
    many = {"classes": 10} if dataset == "cifar100" else {}
    length = {"iterations": 500_000, "real_batch": 64, "checkpoint_every": 100}
    return _UNROLLED | images | training | many | length | {"eval_recipe": "constant", "eval_epochs": 300}


def _quick(dataset):
    """Gives digits shorter training at a larger rate, so that a run takes minutes on a CPU; these settings are ours."""
    return (
        {"iterations": 300, "unroll_steps": 20, "unroll_rate": 0.05, "eval_rate": 0.05} if dataset == "digits" else {}
    )


def _pixels(dataset, ipc, network):
    return _backpropagated(dataset, ipc, network) | {"unroll_batch": 10, "zca": dataset != "digits"} | _quick(dataset)


def _memories(dataset, ipc, network):
    own = {"parameterization": "addressable_memory", "bases": 16, "downsample": 2, "address_decay": 1e-4}
    return _backpropagated(dataset, ipc, network) | own | {"unroll_batch": 32} | _quick(dataset)


def _labels(dataset, ipc, network):
    """Gives images that stay the real ones that they are, and learned labels."""
    own = {"start": "real", "image_optimizer": "fixed", "labels": "soft", "label_rate": 1.0, "unroll_batch": 10}
    return _backpropagated(dataset, ipc, network) | own | {"clip": None} | _quick(dataset)


def _distilled(dataset, ipc, network):
    """Gives DD: every step has images and a rate of its own, and all are taken three times over."""
    del network
    epoch = -(-_TRAINING_IMAGES.get(dataset, 50_000) // _BATCH)
    images = {"image_optimizer": "adam", "image_rate": 0.01, "image_momentum": 0.5, "halve_every": 40 * epoch}
    rate = {"learned_rate": "each", "unroll_rate": 0.001 if dataset == "cifar10" else 0.02, "rate_rate": 0.01}
    training = {"unroll_steps": 3 * ipc, "unroll_batch": 1, "unroll_order": "in_order", "unroll_momentum": 0.0}
    length = {
        "iterations": 400 * epoch,
        "real_batch": _BATCH // (100 if dataset == "cifar100" else 10),
        "checkpoint_every": 100,
    }
    own = _UNROLLED | images | rate | training | length | {"eval_recipe": "replay"}
    if dataset == "digits":
        own |= {"iterations": 500, "real_batch": 102, "unroll_rate": 0.1, "image_rate": 0.05, "halve_every": None}
    return own | ({"network": "lenet"} if dataset == "mnist" else {})


def _known(dataset, ipc, network):
    """Gives DD for one known network, which students begin as too."""
    return _distilled(dataset, ipc, network) | {"init_seed": 0, "eval_start": 0}


_DD = "Wang et al., Dataset Distillation, 2018 (arXiv:1811.10959)"
_RTP = "Deng & Russakovsky, Remember the Past: Distilling Datasets into Addressable Memories for Neural Networks, NeurIPS 2022 (arXiv:2206.02916)"
_TABLES = "later papers that list them"

DD = Method(
    name="dd",
    title="DD",
    about="Images with which a few gradient steps at learned rates train a network.",
    source=_DD,
    kind=CONDENSES,
    settings=_distilled,
    learned="`pixels`",
    compared="`unrolled(order=in_order(1), rate=learned(...))`",
    where="`fresh`",
    numbers={"mnist": cells((79.5, 8.1), ipc=(10,))},
    numbers_source="Table 3 of DC's paper, on LeNet",
)
DD_KNOWN = Method(
    name="dd_known",
    title="DD, known network",
    about="DD for one network whose first weights are known.",
    source=_DD,
    kind=CONDENSES,
    settings=_known,
    learned="`pixels`",
    compared="`unrolled(order=in_order(1), rate=learned(...))`",
    where="`fresh(begin=known(net, seed))`",
)
LD = Method(
    name="ld",
    title="LD",
    about="Learned labels for real images that stay as they are.",
    source="Bohdal, Yang & Hospedales, Flexible Dataset Distillation: Learn Labels Instead of Images, 2020 (arXiv:2006.08572)",
    kind=CONDENSES,
    settings=_labels,
    learned="`soft_labels(pixels)`",
    compared="`unrolled`",
    where="`fresh`",
)
BPTT = Method(
    name="bptt",
    title="BPTT",
    about="Images on which a network trained with momentum for many steps classifies real images.",
    source=_RTP,
    kind=CONDENSES,
    settings=_pixels,
    learned="`pixels`",
    compared="`unrolled(optimizer=sgd(momentum))`",
    where="`fresh`",
    numbers={
        "cifar10": cells((49.1, 0.6), (62.4, 0.4), (70.5, 0.4)),
        "cifar100": cells((21.3, 0.6), (34.7, 0.5), None),
    },
    numbers_source=_TABLES,
)
RTP = Method(
    name="rtp",
    title="RTP",
    about="Bases that all classes share, from which many images of each class are recalled, learned as BPTT's.",
    source=_RTP,
    kind=CONDENSES,
    settings=_memories,
    learned="`addressable_memory`",
    compared="`unrolled(optimizer=sgd(momentum))`",
    where="`fresh`",
    numbers={
        "cifar10": cells((66.4, 0.4), (71.2, 0.4), (73.6, 0.5)),
        "cifar100": cells((34.0, 0.4), (42.9, 0.7), None),
    },
    numbers_source=_TABLES,
)
