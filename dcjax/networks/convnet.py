"""Makes the ConvNet that the papers condense on."""

import dataclasses
import math

from dcjax.base import Array, InputError
from dcjax.networks.layers import (
    ACTIVATIONS,
    NORMS,
    POOLINGS,
    Classifier,
    Conv,
    check_choice,
    check_size,
    margin,
    padded_size,
)


def default_depth(size: int) -> int:
    """Gives the number of blocks for images of `size` pixels a side: 8 and 16 -> 2, 28 and 32 -> 3, 64 -> 4, 128 -> 5."""
    return max(2, math.ceil(math.log2(size)) - 2)


def ConvNet(
    num_classes: int,
    width: int = 128,
    depth: int | None = None,
    norm: str = "instance",
    activation: str = "relu",
    pooling: str = "avg",
) -> Classifier:
    """Makes the papers' ConvNet: `depth` blocks of 3x3 convolution, norm, activation and 2x2 pooling, then a linear layer.

    As published, it has width 128, instance norm, ReLU, average pooling, and three blocks for 28- and 32-pixel images; its first
    convolution pads 28x28 inputs to 32x32 (Gidaris & Komodakis 2018, arXiv:1804.09458, as DC takes it).

    Args:
        num_classes: K, the number of classes.
        width: channels of every convolution.
        depth: number of blocks; `default_depth` of the image's size when None.
        norm: a key of `NORMS`.
        activation: a key of `ACTIVATIONS`.
        pooling: a key of `POOLINGS`.
    """
    check_size("width", width)
    check_size("depth", depth)
    for kind, name, choices in (
        ("norm", norm, NORMS),
        ("activation", activation, ACTIVATIONS),
        ("pooling", pooling, POOLINGS),
    ):
        check_choice(kind, name, choices)
    return Classifier(num_classes, _ConvNet(width, depth, norm, activation, pooling))


@dataclasses.dataclass(frozen=True)
class _ConvNet:
    width: int
    depth: int | None
    norm: str
    activation: str
    pooling: str

    def __call__(self, x: Array) -> Array:
        blocks = self.depth or default_depth(min(x.shape[1:3]))
        if POOLINGS[self.pooling] is not POOLINGS["none"] and padded_size(x) < 2**blocks:
            raise InputError(f"{blocks} blocks pool {x.shape[1]}x{x.shape[2]} images to nothing: lower the depth.")
        first_padding = 1 + margin(x)
        for i in range(blocks):
            x = Conv(self.width, padding=first_padding if i == 0 else 1, name=f"conv{i}")(x)
            x = NORMS[self.norm](self.width, f"norm{i}")(x)
            x = POOLINGS[self.pooling](ACTIVATIONS[self.activation](x))
        return x.reshape(x.shape[0], -1)
