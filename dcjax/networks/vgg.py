"""Makes VGG11 for small images."""

import dataclasses

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import NORMS, POOLINGS, Classifier, Conv, check_choice, check_size, margin, require_size

_CHANNELS = (1, 2, 4, 4, 8, 8, 8, 8)  # in those of the first convolution
_POOLED = (0, 1, 3, 5, 7)  # the last convolution of every stage


def VGG11(num_classes: int, width: int = 64, norm: str = "instance") -> Classifier:
    """Makes VGG11: eight 3x3 convolutions with norm and ReLU in five stages, each closed by 2x2 max-pooling, then a linear layer.

    It is that of Simonyan & Zisserman (2015, arXiv:1409.1556) without hidden dense layers, as DC's paper takes it; 28x28 images are
    padded to 32x32.

    Args:
        num_classes: K, the number of classes.
        width: channels of the first convolution; 64 as published, the last have eight times as many.
        norm: a key of `NORMS`.
    """
    check_size("width", width)
    check_choice("norm", norm, NORMS)
    return Classifier(num_classes, _VGG11(width, norm))


@dataclasses.dataclass(frozen=True)
class _VGG11:
    width: int
    norm: str

    def __call__(self, x: Array) -> Array:
        require_size("VGG11", x, 32)
        first_padding = 1 + margin(x)
        for i, times in enumerate(_CHANNELS):
            channels = times * self.width
            x = Conv(channels, padding=first_padding if i == 0 else 1, name=f"conv{i}")(x)
            x = nn.relu(NORMS[self.norm](channels, f"norm{i}")(x))
            x = POOLINGS["max"](x) if i in _POOLED else x
        return x.reshape(x.shape[0], -1)
