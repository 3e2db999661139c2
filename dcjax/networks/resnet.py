"""Makes residual networks of basic blocks for small images."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import NORMS, POOLINGS, Classifier, Conv, check_choice, check_size, require_size

_STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))  # channels, in those of the stem, and the stride of the first block
DOWNSAMPLING = {  # what halves maps: the stride of a convolution, and what follows it
    "stride": (2, POOLINGS["none"]),
    "avg_pool": (1, POOLINGS["avg"]),
}
_HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def ResNet18(num_classes: int, width: int = 64, norm: str = "instance", downsampling: str = "stride") -> Classifier:
    """Makes the 18-layer residual network for small images: a 3x3 stem, eight basic blocks, global average pooling.

    It is that of He et al. (2016, arXiv:1512.03385), as DC's paper takes it. DC condenses on one with batch norm in which 2x2 average
    pooling takes the place of strides, and the classifier sees the last maps whole.

    Args:
        num_classes: K, the number of classes.
        width: channels of the stem; 64 as published, the last blocks have eight times as many.
        norm: a key of `NORMS`.
        downsampling: a key of `DOWNSAMPLING`.
    """
    _check(width, norm, downsampling)
    return Classifier(
        num_classes, _ResNet("ResNet18", 2, width, norm, downsampling, sees_maps=downsampling == "avg_pool")
    )


def ResNet10(num_classes: int, width: int = 64, norm: str = "instance", downsampling: str = "stride") -> Classifier:
    """Makes the 10-layer residual network that IDC tests on (arXiv:2205.14959), for images of up to 64 pixels: four basic blocks.

    With "avg_pool" it is IDC's ResNetAP-10, whose classifier also sees the last maps averaged. Kernels start as He et al. (2015) draw
    them, from a normal distribution by the fan-out, which all other networks here do not.

    Args:
        num_classes: K, the number of classes.
        width: channels of the stem; 64, but on CIFAR IDC takes 32.
        norm: a key of `NORMS`.
        downsampling: a key of `DOWNSAMPLING`.
    """
    _check(width, norm, downsampling)
    return Classifier(num_classes, _ResNet("ResNet10", 1, width, norm, downsampling, kernel_init=_HE))


@dataclasses.dataclass(frozen=True)
class _ResNet:
    name: str
    blocks: int  # of each stage
    width: int
    norm: str
    downsampling: str
    sees_maps: bool = False  # the classifier sees the last maps whole instead of their average
    kernel_init: Callable | None = None

    def __call__(self, x: Array) -> Array:
        least = 9 if self.downsampling == "stride" else 16  # with fewer the last norms would see a single pixel
        require_size(self.name, x, least)
        x = nn.relu(_normalised(_conv(x, self.width, 3, 1, "_stem", self.kernel_init), self.norm, "_stem"))
        for i, (times, stride) in enumerate(_STAGES):
            for j in range(self.blocks):
                shape = times * self.width, stride if j == 0 else 1
                name = f"block{self.blocks * i + j}"
                x = BasicBlock(*shape, self.norm, self.downsampling, self.kernel_init, name=name)(x)
        return x.reshape(x.shape[0], -1) if self.sees_maps else x.mean((1, 2))


class BasicBlock(nn.Module):
    """Adds two 3x3 convolutions, each with a norm, to a shortcut: a 1x1 convolution where the shape changes.

    The first of each is strided, or pooled afterwards.
    """

    channels: int
    stride: int
    norm: str
    downsampling: str = "stride"
    kernel_init: Callable | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        stride, pool = DOWNSAMPLING[self.downsampling] if self.stride == 2 else (1, POOLINGS["none"])
        out = pool(nn.relu(_normalised(_conv(x, self.channels, 3, stride, "0", self.kernel_init), self.norm, "0")))
        out = _normalised(_conv(out, self.channels, 3, 1, "1", self.kernel_init), self.norm, "1")
        if self.stride != 1 or x.shape[-1] != self.channels:
            x = _normalised(
                pool(_conv(x, self.channels, 1, stride, "_shortcut", self.kernel_init)), self.norm, "_shortcut"
            )
        return nn.relu(out + x)


def _check(width, norm, downsampling):
    check_size("width", width)
    check_choice("norm", norm, NORMS)
    check_choice("downsampling", downsampling, DOWNSAMPLING)


def _conv(x, channels, window, stride, suffix, kernel_init):
    """Convolves, without a bias because the norm behind would take it away."""
    return Conv(channels, window, window // 2, stride, False, kernel_init, name=f"conv{suffix}")(x)


def _normalised(x, norm, suffix):
    return NORMS[norm](x.shape[-1], f"norm{suffix}")(x)
