"""From settings to the pure functions that do the work: the one place where a config is read by anything but the run."""

from typing import NamedTuple

import optax

import dcjax as dc
from experiments.config import Config

NETWORKS = {
    "convnet": lambda config, num_classes: dc.networks.ConvNet(
        num_classes,
        width=config.width,
        depth=config.depth,
        norm=config.norm,
        activation=config.activation,
        pooling=config.pooling,
    ),
    "mlp": lambda config, num_classes: dc.networks.MLP(num_classes),
    "lenet": lambda config, num_classes: dc.networks.LeNet(num_classes),
    "alexnet": lambda config, num_classes: dc.networks.AlexNet(num_classes),
    "vgg11": lambda config, num_classes: dc.networks.VGG11(num_classes),
    "resnet18": lambda config, num_classes: dc.networks.ResNet18(num_classes),
}
DISTANCES = {
    "filterwise_cosine": dc.distances.filterwise_cosine,
    "squared_error": dc.distances.squared_error,
    "cosine": dc.distances.cosine,
}
STARTS = {"noise": dc.from_noise, "real": dc.from_real}
AUGMENTS = {
    "none": dc.augment.identity,
    "dc_digits": dc.augment.dc_digits(),
    "dsa": dc.augment.dsa(),
    "dsa_digits": dc.augment.dsa_digits(),
}


class Method(NamedTuple):
    net: dc.Network
    parameterization: dc.Parameterization
    decoder: dict  # what decodes the parameters, for the artefact
    condenser: dc.Condenser | None  # None where real images are chosen
    recipe: dc.Recipe


def build(config: Config, data: dc.data.Dataset) -> Method:
    net = dc.network(NETWORKS[config.network](config, data.num_classes), data.image_shape)
    images = dc.pixels(config.ipc, STARTS[config.start])
    compare = _COMPARISONS.get(config.method)
    optimizer = optax.sgd(config.image_rate, momentum=config.image_momentum)
    condenser = compare and dc.condenser(images, *compare(config, net), optimizer)
    recipe = dc.dc_recipe(config.eval_epochs, AUGMENTS[config.eval_augment])
    return Method(net, images, {"name": "pixels", "arguments": {"ipc": config.ipc}}, condenser, recipe)


def _gradients(config, net):
    augment = AUGMENTS[config.augment]
    trajectory = dc.on_synthetic(
        net,
        optax.sgd(config.network_rate),
        epochs=config.inner_epochs,
        restart_every=config.matches,
        augment=augment,
    )
    return dc.gradient_matching(net, distance=DISTANCES[config.distance], augment=augment), trajectory


def _distributions(config, net):
    return dc.distribution_matching(net, augment=AUGMENTS[config.augment]), dc.fresh(net)


_COMPARISONS = {"dc": _gradients, "dsa": _gradients, "dm": _distributions}  # method -> its objective and trajectory
