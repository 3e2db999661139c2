"""Makes ResNet18 with a norm of single images."""

import dataclasses

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import NORMS, Classifier, Conv, require_size

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, and the stride of the first of two blocks


def ResNet18(num_classes: int, norm: str = "instance") -> Classifier:
    """Makes the 18-layer residual network for small images: a 3x3 stem, eight basic blocks, global average pooling.

    It is that of He et al. (2016, arXiv:1512.03385), as DC's paper takes it.

    Args:
        num_classes: K, the number of classes.
        norm: a key of `NORMS`.
    """
    return Classifier(num_classes, _ResNet18(norm))


@dataclasses.dataclass(frozen=True)
class _ResNet18:
    norm: str

    def __call__(self, x: Array) -> Array:
        require_size("ResNet18", x, 9)  # at 8 the last norms would see a single pixel
        x = nn.relu(_conv_norm(x, 64, 3, 1, self.norm, "_stem"))
        for i, (channels, stride) in enumerate(_STAGES):
            for j in range(2):
                x = BasicBlock(channels, stride if j == 0 else 1, self.norm, name=f"block{2 * i + j}")(x)
        return x.mean((1, 2))


class BasicBlock(nn.Module):
    """Adds two 3x3 convolutions, each with a norm, to a shortcut: a strided 1x1 convolution where the shape changes."""

    channels: int
    stride: int
    norm: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        out = nn.relu(_conv_norm(x, self.channels, 3, self.stride, self.norm, "0"))
        out = _conv_norm(out, self.channels, 3, 1, self.norm, "1")
        if self.stride != 1 or x.shape[-1] != self.channels:
            x = _conv_norm(x, self.channels, 1, self.stride, self.norm, "_shortcut")
        return nn.relu(out + x)


def _conv_norm(x, channels, window, stride, norm, suffix):
    """Convolves, without a bias because the norm would take it away, and normalises."""
    x = Conv(channels, window, window // 2, stride, use_bias=False, name=f"conv{suffix}")(x)
    return NORMS[norm](channels, f"norm{suffix}")(x)
