"""Makes ResNet18 for small images."""

import dataclasses

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import NORMS, POOLINGS, Classifier, Conv, require_size

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, and the stride of the first of two blocks


def ResNet18(num_classes: int, norm: str = "instance", downsampling: str = "stride") -> Classifier:
    """Makes the 18-layer residual network for small images: a 3x3 stem, eight basic blocks, global average pooling.

    It is that of He et al. (2016, arXiv:1512.03385), as DC's paper takes it. DC condenses on one with batch norm in which 2x2 average
    pooling takes the place of strides, and the classifier sees the last maps whole.

    Args:
        num_classes: K, the number of classes.
        norm: a key of `NORMS`.
        downsampling: "stride", or "avg_pool".
    """
    return Classifier(num_classes, _ResNet18(norm, downsampling))


@dataclasses.dataclass(frozen=True)
class _ResNet18:
    norm: str
    downsampling: str

    def __call__(self, x: Array) -> Array:
        require_size("ResNet18", x, 9)  # at 8 the last norms would see a single pixel
        x = nn.relu(_normalised(_conv(x, 64, 3, 1, "_stem"), self.norm, "_stem"))
        for i, (channels, stride) in enumerate(_STAGES):
            for j in range(2):
                first = stride if j == 0 else 1
                x = BasicBlock(channels, first, self.norm, self.downsampling, name=f"block{2 * i + j}")(x)
        return x.mean((1, 2)) if self.downsampling == "stride" else x.reshape(x.shape[0], -1)


class BasicBlock(nn.Module):
    """Adds two 3x3 convolutions, each with a norm, to a shortcut: a 1x1 convolution where the shape changes.

    The first of each is strided, or pooled afterwards.
    """

    channels: int
    stride: int
    norm: str
    downsampling: str = "stride"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        pools = self.downsampling == "avg_pool" and self.stride == 2
        stride, pool = (1, POOLINGS["avg"]) if pools else (self.stride, POOLINGS["none"])
        out = pool(nn.relu(_normalised(_conv(x, self.channels, 3, stride, "0"), self.norm, "0")))
        out = _normalised(_conv(out, self.channels, 3, 1, "1"), self.norm, "1")
        if self.stride != 1 or x.shape[-1] != self.channels:
            x = _normalised(pool(_conv(x, self.channels, 1, stride, "_shortcut")), self.norm, "_shortcut")
        return nn.relu(out + x)


def _conv(x, channels, window, stride, suffix):
    """Convolves, without a bias because the norm behind would take it away."""
    return Conv(channels, window, window // 2, stride, use_bias=False, name=f"conv{suffix}")(x)


def _normalised(x, norm, suffix):
    return NORMS[norm](x.shape[-1], f"norm{suffix}")(x)
