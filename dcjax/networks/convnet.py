"""The ConvNet that the papers condense on."""

import math

from dcjax.base import Array, InputError
from dcjax.networks.layers import ACTIVATIONS, NORMS, POOLINGS, Classifier, Conv, margin, padded_size


def default_depth(size: int) -> int:
    """Blocks for images of this many pixels a side: 8 and 16 -> 2, 28 and 32 -> 3, 64 -> 4, 128 -> 5."""
    return max(2, math.ceil(math.log2(size)) - 2)


def ConvNet(
    num_classes: int,
    width: int = 128,
    depth: int | None = None,
    norm: str = "instance",
    activation: str = "relu",
    pooling: str = "avg",
) -> Classifier:
    """The papers' ConvNet: `depth` blocks of 3x3 convolution, norm, activation and 2x2 pooling, then a linear layer.

    As published: width 128, instance norm, ReLU, average pooling, three blocks for 28- and 32-pixel images; 28x28 inputs
    are padded to 32x32 by the first convolution (Gidaris & Komodakis 2018; Zhao et al. 2021, section 3).

    Args:
        num_classes: K.
        width: channels of every convolution.
        depth: number of blocks; from the resolution when None (`default_depth`).
        norm: a key of `NORMS`.
        activation: a key of `ACTIVATIONS`.
        pooling: a key of `POOLINGS`.
    """

    def body(x: Array) -> Array:
        blocks = depth or default_depth(min(x.shape[1:3]))
        if POOLINGS[pooling] is not POOLINGS["none"] and padded_size(x) < 2**blocks:
            raise InputError(f"{blocks} blocks pool {x.shape[1]}x{x.shape[2]} images to nothing: lower the depth.")
        first_padding = 1 + margin(x)
        for i in range(blocks):
            x = Conv(width, padding=first_padding if i == 0 else 1, name=f"conv{i}")(x)
            x = NORMS[norm](width, f"norm{i}")(x)
            x = POOLINGS[pooling](ACTIVATIONS[activation](x))
        return x.reshape(x.shape[0], -1)

    return Classifier(num_classes, body)
