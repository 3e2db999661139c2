"""Three networks without norms: a perceptron, LeNet and AlexNet, as DC's paper compares them (Zhao et al. 2021, section 4.1)."""

import flax.linen as nn

from dcjax.base import Array
from dcjax.networks.layers import POOLINGS, Classifier, Conv, Dense, margin, require_size


def MLP(num_classes: int) -> Classifier:
    """Two hidden layers of 128 with ReLU, for images of any size."""

    def body(x: Array) -> Array:
        x = x.reshape(x.shape[0], -1)
        for i in range(2):
            x = nn.relu(Dense(128, name=f"dense{i}")(x))
        return x

    return Classifier(num_classes, body)


def LeNet(num_classes: int) -> Classifier:
    """Two unpadded 5x5 convolutions, 6 and 16 channels, each with ReLU and 2x2 max-pooling, then hidden layers of 120 and 84.

    28x28 images are padded to 32x32 (LeCun et al. 1998); the features are the 84.
    """

    def body(x: Array) -> Array:
        require_size("LeNet", x, 16)
        for i, (channels, padding) in enumerate([(6, margin(x)), (16, 0)]):
            x = POOLINGS["max"](nn.relu(Conv(channels, 5, padding, name=f"conv{i}")(x)))
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate([120, 84]):
            x = nn.relu(Dense(width, name=f"dense{i}")(x))
        return x

    return Classifier(num_classes, body)


def AlexNet(num_classes: int) -> Classifier:
    """Five convolutions with ReLU, max-pooled after the first, the second and the last.

    Krizhevsky et al. (2012) made small, without hidden dense layers; 28x28 images are padded to 32x32.
    """

    def body(x: Array) -> Array:
        require_size("AlexNet", x, 8)
        extra = margin(x)
        for i, (channels, window) in enumerate([(128, 5), (192, 5), (256, 3), (192, 3), (192, 3)]):
            padding = window // 2 + (extra if i == 0 else 0)
            x = nn.relu(Conv(channels, window, padding, name=f"conv{i}")(x))
            x = POOLINGS["max"](x) if i in (0, 1, 4) else x
        return x.reshape(x.shape[0], -1)

    return Classifier(num_classes, body)
