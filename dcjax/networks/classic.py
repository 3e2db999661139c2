"""Makes three networks without norms, a perceptron, LeNet and AlexNet, as DC's paper compares them (arXiv:2006.05929)."""

import dataclasses

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import POOLINGS, Classifier, Conv, Dense, margin, require_size


def MLP(num_classes: int) -> Classifier:
    """Makes a perceptron: two hidden layers of 128 with ReLU, for images of any size."""
    return Classifier(num_classes, _MLP())


@dataclasses.dataclass(frozen=True)
class _MLP:
    def __call__(self, x: Array) -> Array:
        x = x.reshape(x.shape[0], -1)
        for i in range(2):
            x = nn.relu(Dense(128, name=f"dense{i}")(x))
        return x


def LeNet(num_classes: int) -> Classifier:
    """Makes LeNet: 5x5 convolutions of 6 and 16 channels with ReLU and 2x2 max-pooling, then hidden layers of 120 and 84.

    Only 28x28 images are padded, to 32x32 (LeCun et al. 1998); the features are the 84.
    """
    return Classifier(num_classes, _LeNet())


@dataclasses.dataclass(frozen=True)
class _LeNet:
    def __call__(self, x: Array) -> Array:
        require_size("LeNet", x, 16)
        for i, (channels, padding) in enumerate([(6, margin(x)), (16, 0)]):
            x = POOLINGS["max"](nn.relu(Conv(channels, 5, padding, name=f"conv{i}")(x)))
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate([120, 84]):
            x = nn.relu(Dense(width, name=f"dense{i}")(x))
        return x


def AlexNet(num_classes: int) -> Classifier:
    """Makes AlexNet: five convolutions with ReLU, max-pooled after the first, the second and the last.

    It is that of Krizhevsky et al. (2012) made small, without hidden dense layers; 28x28 images are padded to 32x32.
    """
    return Classifier(num_classes, _AlexNet())


@dataclasses.dataclass(frozen=True)
class _AlexNet:
    def __call__(self, x: Array) -> Array:
        require_size("AlexNet", x, 8)
        extra = margin(x)
        for i, (channels, window) in enumerate([(128, 5), (192, 5), (256, 3), (192, 3), (192, 3)]):
            padding = window // 2 + (extra if i == 0 else 0)
            x = nn.relu(Conv(channels, window, padding, name=f"conv{i}")(x))
            x = POOLINGS["max"](x) if i in (0, 1, 4) else x
        return x.reshape(x.shape[0], -1)
