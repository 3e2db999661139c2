"""Makes the networks that data are condensed on and for.

They are initialised as PyTorch initialises them, so that the papers' learning rates mean what they meant, and they keep no
mutable state: normalisation is per image (instance, group, layer), over the batch, or absent. Each is a Linen module with `__call__`
(logits) and `features` (what its linear classifier sees); `network` closes one over an image shape.

A network with batch norm normalises by the statistics of the batch it is given, as networks in training do, until `settle` has frozen
them: from then on it treats every image by itself.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from dcjax.base import Array, InputError, Key, Network, Params
from dcjax.networks.batch_norm import STATISTICS, among
from dcjax.networks.batch_norm import Settled as Settled
from dcjax.networks.batch_norm import weights as weights
from dcjax.networks.classic import MLP as MLP
from dcjax.networks.classic import AlexNet as AlexNet
from dcjax.networks.classic import LeNet as LeNet
from dcjax.networks.convnet import ConvNet as ConvNet
from dcjax.networks.convnet import default_depth as default_depth
from dcjax.networks.layers import ACTIVATIONS as ACTIVATIONS
from dcjax.networks.layers import NORMS as NORMS
from dcjax.networks.layers import POOLINGS as POOLINGS
from dcjax.networks.layers import Classifier as Classifier
from dcjax.networks.layers import Conv as Conv
from dcjax.networks.layers import Dense as Dense
from dcjax.networks.layers import GroupNorm as GroupNorm
from dcjax.networks.layers import torch_uniform as torch_uniform
from dcjax.networks.resnet import ResNet10 as ResNet10
from dcjax.networks.resnet import ResNet18 as ResNet18
from dcjax.networks.vgg import VGG11 as VGG11


def network(module: nn.Module, image_shape: tuple[int, int, int]) -> Network:
    """Closes a Linen module over its input shape (H, W, C). The module has `__call__` (logits) and `features`, and for an adversary `classify`.

    Equal modules make equal networks: `jax.jit` compiles a function that takes one as a static argument once for all of them.
    """
    if len(image_shape) != 3:
        raise InputError(f"Images have height, width and channels, not the shape {tuple(image_shape)}: give all three.")
    init = _Initialiser(module, tuple(image_shape))
    if not _keeps_statistics(init):
        return Network(init, _Logits(module), _Features(module), _Classify(module))
    return Network(init, _Logits(module), _Features(module), _Classify(module), per_image=False, settle=_Settle(module))


@dataclasses.dataclass(frozen=True)
class _Initialiser:
    module: nn.Module
    image_shape: tuple[int, int, int]

    def __call__(self, key: Key) -> Params:
        return self.variables(key)["params"]

    def variables(self, key: Key) -> dict:
        return self.module.init(key, jnp.zeros((1, *self.image_shape)))


@functools.cache
def _keeps_statistics(init: _Initialiser) -> bool:
    found = jax.eval_shape(init.variables, jax.random.key(0)).keys()
    if others := found - {"params", STATISTICS}:
        raise InputError(
            f"{type(init.module).__name__} keeps {', '.join(sorted(others))} beside its weights, which would be lost: its layers may keep "
            "nothing, but for `dcjax.networks.batch_norm.BatchNorm`."
        )
    return STATISTICS in found


def _variables(params: Params) -> dict:
    if isinstance(params, Settled):
        return {"params": params.params, STATISTICS: params.statistics}
    return {"params": params}


@dataclasses.dataclass(frozen=True)
class _Logits:
    module: nn.Module

    def __call__(self, params: Params, image: Array, present: Array | None = None) -> Array:
        with among(present):
            return self.module.apply(_variables(params), image)


@dataclasses.dataclass(frozen=True)
class _Features:
    module: nn.Module

    def __call__(self, params: Params, image: Array) -> Array:
        return self.module.apply(_variables(params), image, method="features")


@dataclasses.dataclass(frozen=True)
class _Settle:
    module: nn.Module

    def __call__(self, params: Params, image: Array, momentum: float = 1.0, present: Array | None = None) -> Settled:
        params = weights(params)
        with among(present):
            found = self.module.apply({"params": params}, image, mutable=[STATISTICS])[1][STATISTICS]
        start = {"mean": 0.0, "var": 1.0}  # of a network that has seen nothing
        moved = jax.tree_util.tree_map_with_path(
            lambda path, x: momentum * x + (1 - momentum) * start[path[-1].key], found
        )
        return Settled(params, moved)


@dataclasses.dataclass(frozen=True)
class _Classify:
    module: nn.Module

    def __call__(self, params: Params, features: Array) -> Array:
        if not hasattr(self.module, "classify"):
            raise InputError(
                f"{type(self.module).__name__} does not say how it classifies features, as an adversary needs it: give it a method `classify`."
            )
        return self.module.apply(_variables(params), features, method="classify")
