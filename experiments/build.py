"""From settings to the pure functions that do the work: the one place where a config is read by anything but the run."""

from typing import NamedTuple

import optax

import dcjax as dc
from experiments.config import Config

DISTANCES = {
    "filterwise_cosine": dc.distances.filterwise_cosine,
    "squared_error": dc.distances.squared_error,
    "cosine": dc.distances.cosine,
}
STARTS = {"noise": dc.from_noise, "real": dc.from_real}
AUGMENTS = {"none": dc.augment.identity, "dc_digits": dc.augment.dc_digits()}


class Method(NamedTuple):
    net: dc.Network
    parameterization: dc.Parameterization
    decoder: dict  # what decodes the parameters, for the artefact
    condenser: dc.Condenser
    recipe: dc.Recipe


def build(config: Config, data: dc.data.Dataset) -> Method:
    net = dc.network(
        dc.networks.ConvNet(
            data.num_classes,
            width=config.width,
            depth=config.depth,
            norm=config.norm,
            activation=config.activation,
            pooling=config.pooling,
        ),
        data.image_shape,
    )
    images = dc.pixels(config.ipc, STARTS[config.start])
    objective = dc.gradient_matching(net, distance=DISTANCES[config.distance])
    trajectory = dc.on_synthetic(
        net, optax.sgd(config.network_rate), epochs=config.inner_epochs, restart_every=config.matches
    )
    optimizer = optax.sgd(config.image_rate, momentum=config.image_momentum)
    recipe = dc.dc_recipe(config.eval_epochs, AUGMENTS[config.eval_augment])
    decoder = {"name": "pixels", "arguments": {"ipc": config.ipc}}
    return Method(net, images, decoder, dc.condenser(images, objective, trajectory, optimizer), recipe)
