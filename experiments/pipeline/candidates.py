"""Lists the architectures of a search: a grid of ConvNets, or a seeded sample of it."""

import itertools
import zlib
from typing import NamedTuple

import jax

import dcjax as dc
from dcjax import InputError
from experiments.parts.networks import ConvNet
from experiments.pipeline.memory import check_memory


class Candidate(NamedTuple):
    """An architecture under its name, which is what `--networks` of experiments.evaluate takes."""

    name: str
    net: dc.Network
    parameters: int


def grid(**axes: tuple) -> list[ConvNet]:
    """Gives a ConvNet for every combination of some of its settings."""
    return [ConvNet(**dict(zip(axes, values))) for values in itertools.product(*axes.values())]


def name(convnet: ConvNet) -> str:
    """Writes a ConvNet with the settings that a search varies."""
    settings = ("depth", "width", "activation", "pooling", "norm")
    return "convnet:" + ",".join(f"{setting}={getattr(convnet, setting)}" for setting in settings)


def drawn(convnets: list[ConvNet], count: int, seed: int) -> list[ConvNet]:
    """Draws some: a larger count only adds to them, and whether one is drawn before another does not depend on what else there is."""
    return sorted(convnets, key=lambda convnet: zlib.crc32(f"{seed} {name(convnet)}".encode()))[:count]


def built(convnets: list[ConvNet], data: dc.data.Dataset) -> tuple[list[Candidate], dict[str, str]]:
    """Builds all that can take images of these data; gives them, and for the others by name why they cannot."""
    candidates, refused = [], {}
    for convnet in convnets:
        try:
            net = dc.network(convnet.build(data.num_classes), data.image_shape)
            weights = jax.eval_shape(net.init, jax.random.key(0))
        except InputError as error:
            refused[name(convnet)] = str(error)
            continue
        check_memory(network=weights, gradient_of_the_network=weights)
        candidates.append(Candidate(name(convnet), net, sum(leaf.size for leaf in jax.tree.leaves(weights))))
    return candidates, refused
