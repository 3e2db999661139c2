"""Defines what networks are made of: layers as PyTorch initialises them, norms, and a linear classifier."""

import math
from collections.abc import Callable, Container

import flax.linen as nn
import jax
import jax.numpy as jnp

from dcjax.base import Array, InputError
from dcjax.convolution import convolve
from dcjax.group_norm import group_norm
from dcjax.networks.batch_norm import BatchNorm


def torch_uniform(fan_in: int) -> Callable:
    """Makes PyTorch's default initialiser of kernels and biases: uniform within 1/sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


class Conv(nn.Module):
    """Convolves with a square kernel and adds a bias."""

    features: int
    window: int = 3
    padding: int = 1
    stride: int = 1
    use_bias: bool = True
    kernel_init: Callable | None = None  # PyTorch's default when None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = torch_uniform(self.window**2 * x.shape[-1])
        kernel = self.param("kernel", self.kernel_init or init, (self.window, self.window, x.shape[-1], self.features))
        x = convolve(x, kernel, self.padding, self.stride)
        return x + jnp.expand_dims(self.param("bias", init, (self.features,)), (0, 1, 2)) if self.use_bias else x


class Dense(nn.Module):
    """Multiplies by a matrix and adds a bias."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = torch_uniform(x.shape[-1])
        kernel = self.param("kernel", init, (x.shape[-1], self.features))
        return x @ kernel + jnp.expand_dims(self.param("bias", init, (self.features,)), 0)


class GroupNorm(nn.Module):
    """Normalises each image over height, width and groups of channels, with PyTorch's epsilon.

    With one group per channel it is instance norm, with a single group layer norm.
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


class Classifier(nn.Module):
    """Classifies in two parts: `body` turns images [B, H, W, C] into features [B, D], a linear layer turns those into logits.

    Attributes:
        num_classes: K.
        body: calls layers, as the inside of a compact method does; comparable, where networks are to be.
    """

    num_classes: int
    body: Callable[[Array], Array]

    def __call__(self, image: Array) -> Array:
        """Computes logits: [B, H, W, C] -> [B, K]."""
        return self._forward(image, self.body)[1]

    def features(self, image: Array) -> Array:
        """Computes features: [B, H, W, C] -> [B, D]; maps are flattened in H, W, C order."""
        return self._forward(image, self.body)[0]

    def classify(self, features: Array) -> Array:
        """Computes logits of features: [B, D] -> [B, K]."""
        return self._forward(features, lambda features: features)[1]

    @nn.compact
    def _forward(self, x, body):
        features = body(x)
        return features, Dense(self.num_classes, name="dense")(features)


def margin(image: Array) -> int:
    """Gives the pixels a side that a first convolution adds to its own padding: 28x28 images get maps of 32x32."""
    return 2 if image.shape[1:3] == (28, 28) else 0


def padded_size(image: Array) -> int:
    """Gives the pixels a side of the maps that a network makes of these images when its first convolution keeps sizes."""
    return min(image.shape[1:3]) + 2 * margin(image)


def require_size(name: str, image: Array, least: int) -> None:
    """Refuses images that a network would pool or normalise to nothing."""
    if padded_size(image) < least:
        raise InputError(
            f"{name} needs images of {least}x{least} pixels or more, but these are {image.shape[1]}x{image.shape[2]}: "
            "give a larger --image-size or another network."
        )


NORMS: dict[str, Callable[[int, str], Callable]] = {  # (channels, module name) -> layer
    "instance": lambda channels, name: GroupNorm(channels, name=name),
    "group": lambda channels, name: GroupNorm(4, name=name),
    "layer": lambda channels, name: GroupNorm(1, name=name),
    "batch": lambda channels, name: BatchNorm(name=name),
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


def check_choice(kind: str, name: str, choices: Container[str]) -> None:
    """Refuses a name that a setting of a network does not know."""
    if name not in choices:
        raise InputError(f"There is no {kind} {name!r}: choose among {', '.join(choices)}.")


def check_size(kind: str, size: int | None) -> None:
    """Refuses a number of channels or blocks below one."""
    if size is not None and size < 1:
        raise InputError(f"The {kind} of a network is at least 1, not {size}.")


def _pool(combine: Callable, x: Array) -> Array:
    """Combines windows of 2x2: [B, H, W, C] -> [B, H/2, W/2, C]; an odd last row or column is left out.

    Strided slices are combined in pairs, because a CPU is slow at reductions over windows.
    """
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    rows = combine(x[:, 0:height:2], x[:, 1:height:2])
    return combine(rows[:, :, 0:width:2], rows[:, :, 1:width:2])
