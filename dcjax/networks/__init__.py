"""Makes the networks that data are condensed on and for.

They are initialised as PyTorch initialises them, so that the papers' learning rates mean what they meant, and they keep no
mutable state: normalisation is per image (instance, group, layer) or absent. Each is a Linen module with `__call__` (logits)
and `features` (what its linear classifier sees); `network` closes one over an image shape.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from dcjax.base import Array, InputError, Key, Network, Params
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
from dcjax.networks.resnet import ResNet18 as ResNet18
from dcjax.networks.vgg import VGG11 as VGG11


def network(module: nn.Module, image_shape: tuple[int, int, int]) -> Network:
    """Closes a Linen module over its input shape (H, W, C). The module has `__call__` (logits) and `features`, and for an adversary `classify`.

    Equal modules make equal networks: `jax.jit` compiles a function that takes one as a static argument once for all of them.
    """
    return Network(_Initialiser(module, tuple(image_shape)), _Logits(module), _Features(module), _Classify(module))


@dataclasses.dataclass(frozen=True)
class _Initialiser:
    module: nn.Module
    image_shape: tuple[int, int, int]

    def __call__(self, key: Key) -> Params:
        return self.module.init(key, jnp.zeros((1, *self.image_shape)))["params"]


@dataclasses.dataclass(frozen=True)
class _Logits:
    module: nn.Module

    def __call__(self, params: Params, image: Array) -> Array:
        return self.module.apply({"params": params}, image)


@dataclasses.dataclass(frozen=True)
class _Features:
    module: nn.Module

    def __call__(self, params: Params, image: Array) -> Array:
        return self.module.apply({"params": params}, image, method="features")


@dataclasses.dataclass(frozen=True)
class _Classify:
    module: nn.Module

    def __call__(self, params: Params, features: Array) -> Array:
        if not hasattr(self.module, "classify"):
            raise InputError(
                f"{type(self.module).__name__} does not say how it classifies features, as an adversary needs it: give it a method `classify`."
            )
        return self.module.apply({"params": params}, features, method="classify")
