"""The networks that data are condensed on and for.

They are initialised as PyTorch initialises them, so that the papers' learning rates mean what they meant, and they keep no
mutable state: normalisation is per image (instance, group, layer) or absent.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from dcjax.base import Array, InputError, Network
from dcjax.convolution import convolve
from dcjax.normalization import group_norm


def network(module: nn.Module, image_shape: tuple[int, int, int]) -> Network:
    """Closes a Linen module over its input shape (H, W, C). The module has `__call__` (logits) and `features`."""
    example = jnp.zeros((1, *image_shape))
    return Network(
        init=lambda key: module.init(key, example)["params"],
        apply=lambda params, image: module.apply({"params": params}, image),
        features=lambda params, image: module.apply({"params": params}, image, method="features"),
    )


def torch_uniform(fan_in: int) -> Callable:
    """PyTorch's default for kernels and biases: uniform within 1/sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


class Conv(nn.Module):
    """A stride-1 square convolution with bias."""

    features: int
    window: int = 3
    padding: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = torch_uniform(self.window**2 * x.shape[-1])
        kernel = self.param("kernel", init, (self.window, self.window, x.shape[-1], self.features))
        bias = self.param("bias", init, (self.features,))
        return convolve(x, kernel, self.padding) + jnp.expand_dims(bias, (0, 1, 2))


class Dense(nn.Module):
    """A linear layer with bias."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = torch_uniform(x.shape[-1])
        kernel = self.param("kernel", init, (x.shape[-1], self.features))
        return x @ kernel + jnp.expand_dims(self.param("bias", init, (self.features,)), 0)


class GroupNorm(nn.Module):
    """Normalises each image over height, width and groups of channels; epsilon as in PyTorch.

    One group per channel is instance norm, a single group is layer norm.
    """

    groups: int
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        if channels % self.groups:
            raise InputError(
                f"{channels} channels do not divide into {self.groups} groups: change the width or the norm."
            )
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        return group_norm(x, scale, bias, self.groups, self.epsilon)


NORMS: dict[str, Callable[[int, str], Callable]] = {  # (channels, module name) -> layer
    "instance": lambda channels, name: GroupNorm(channels, name=name),
    "group": lambda channels, name: GroupNorm(4, name=name),
    "layer": lambda channels, name: GroupNorm(1, name=name),
    "none": lambda channels, name: lambda x: x,
}
ACTIVATIONS = {
    "relu": nn.relu,
    "leaky_relu": lambda x: nn.leaky_relu(x, 0.01),
    "sigmoid": nn.sigmoid,
    "swish": nn.swish,
}
POOLINGS = {
    "avg": lambda x: _pool(jnp.add, x) / 4,
    "max": lambda x: _pool(jnp.maximum, x),
    "none": lambda x: x,
}


def _pool(combine: Callable, x: Array) -> Array:
    """[B, H, W, C] -> [B, H/2, W/2, C]; an odd last row or column is left out.

    Strided slices combined in pairs: a CPU is slow at reductions over windows.
    """
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    rows = combine(x[:, 0:height:2], x[:, 1:height:2])
    return combine(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


def default_depth(size: int) -> int:
    """Blocks for images of this many pixels a side: 8 and 16 -> 2, 28 and 32 -> 3, 64 -> 4, 128 -> 5."""
    return max(2, math.ceil(math.log2(size)) - 2)


class ConvNet(nn.Module):
    """The papers' ConvNet: `depth` blocks of 3x3 convolution, norm, activation and 2x2 pooling, then a linear layer.

    As published: width 128, instance norm, ReLU, average pooling, three blocks for 28- and 32-pixel images; 28x28 inputs
    are padded to 32x32 by the first convolution (Gidaris & Komodakis 2018; Zhao et al. 2021, section 3).

    Attributes:
        num_classes: K.
        width: channels of every convolution.
        depth: number of blocks; from the resolution when None (`default_depth`).
        norm: a key of `NORMS`.
        activation: a key of `ACTIVATIONS`.
        pooling: a key of `POOLINGS`.
    """

    num_classes: int
    width: int = 128
    depth: int | None = None
    norm: str = "instance"
    activation: str = "relu"
    pooling: str = "avg"

    def __call__(self, image: Array) -> Array:
        """[B, H, W, C] -> logits [B, K]."""
        return self._forward(image)[1]

    def features(self, image: Array) -> Array:
        """[B, H, W, C] -> [B, D], flattened in H, W, C order."""
        return self._forward(image)[0]

    @nn.compact
    def _forward(self, x):
        depth = self.depth or default_depth(min(x.shape[1:3]))
        size = 32 if x.shape[1:3] == (28, 28) else min(x.shape[1:3])
        if POOLINGS[self.pooling] is not POOLINGS["none"] and size < 2**depth:
            raise InputError(f"{depth} blocks pool {x.shape[1]}x{x.shape[2]} images to nothing: lower the depth.")
        first_padding = 3 if x.shape[1:3] == (28, 28) else 1
        for i in range(depth):
            x = Conv(self.width, padding=first_padding if i == 0 else 1, name=f"conv{i}")(x)
            x = NORMS[self.norm](self.width, f"norm{i}")(x)
            x = POOLINGS[self.pooling](ACTIVATIONS[self.activation](x))
        features = x.reshape(x.shape[0], -1)
        return features, Dense(self.num_classes, name="dense")(features)
