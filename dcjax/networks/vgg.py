"""VGG11 with a norm of single images."""

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import NORMS, POOLINGS, Classifier, Conv, margin, require_size

_CHANNELS = (64, 128, 256, 256, 512, 512, 512, 512)
_POOLED = (0, 1, 3, 5, 7)  # the last convolution of every stage


def VGG11(num_classes: int, norm: str = "instance") -> Classifier:
    """Eight 3x3 convolutions with norm and ReLU in five stages, each closed by 2x2 max-pooling, then a linear layer.

    The 11-layer network of Simonyan & Zisserman (2015) without its hidden dense layers, as DC's paper takes it (Zhao et al.
    2021, section 4.1); 28x28 images are padded to 32x32.

    Args:
        num_classes: K.
        norm: a key of `NORMS`.
    """

    def body(x: Array) -> Array:
        require_size("VGG11", x, 32)
        first_padding = 1 + margin(x)
        for i, channels in enumerate(_CHANNELS):
            x = Conv(channels, padding=first_padding if i == 0 else 1, name=f"conv{i}")(x)
            x = nn.relu(NORMS[norm](channels, f"norm{i}")(x))
            x = POOLINGS["max"](x) if i in _POOLED else x
        return x.reshape(x.shape[0], -1)

    return Classifier(num_classes, body)
