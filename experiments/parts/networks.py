"""Holds the architectures that images are condensed on and judged by."""

import dataclasses
from typing import Literal

import dcjax as dc
from dcjax.networks import Classifier
from experiments.parts.part import Axis, Part
from experiments.parts.values import MaybeSize, Size

Norm = Literal["instance", "group", "layer", "batch", "none"]


@dataclasses.dataclass(frozen=True)
class ConvNet(Part):
    """The papers' ConvNet: blocks of convolution, norm, activation and pooling."""

    width: Size = 128
    """Channels of every convolution."""
    depth: MaybeSize = None
    """Number of blocks; follows from the image size when not given."""
    norm: Norm = "instance"
    """Normalisation layer of every block."""
    activation: Literal["relu", "leaky_relu", "sigmoid", "swish"] = "relu"
    """Activation function of every block."""
    pooling: Literal["avg", "max", "none"] = "avg"
    """Pooling at the end of every block."""

    def build(self, num_classes: int) -> Classifier:
        return dc.networks.ConvNet(num_classes, **dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class MLP(Part):
    """A perceptron with two hidden layers of 128 units."""

    build = staticmethod(dc.networks.MLP)


@dataclasses.dataclass(frozen=True)
class LeNet(Part):
    """LeNet with ReLU."""

    build = staticmethod(dc.networks.LeNet)


@dataclasses.dataclass(frozen=True)
class AlexNet(Part):
    """AlexNet for small images."""

    build = staticmethod(dc.networks.AlexNet)


@dataclasses.dataclass(frozen=True)
class VGG11(Part):
    """VGG11."""

    width: Size = 64
    """Channels of the first convolution."""
    norm: Norm = "instance"
    """Normalisation layer behind every convolution; DC condenses with batch."""

    def build(self, num_classes: int) -> Classifier:
        return dc.networks.VGG11(num_classes, **dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class ResNet18(Part):
    """ResNet18."""

    width: Size = 64
    """Channels of the stem."""
    norm: Norm = "instance"
    """Normalisation layer behind every convolution; DC condenses with batch."""
    downsampling: Literal["stride", "avg_pool"] = "stride"
    """What halves the maps: strides, or average pooling instead, without a global one at the end, as DC condenses."""

    def build(self, num_classes: int) -> Classifier:
        return dc.networks.ResNet18(num_classes, **dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class ResNet10(Part):
    """ResNet10 as IDC tests on, or its ResNetAP-10."""

    width: Size = 64
    """Channels of the first convolutions; IDC takes 32 on CIFAR."""
    norm: Norm = "instance"
    """Normalisation layer behind every convolution."""
    downsampling: Literal["stride", "avg_pool"] = "stride"
    """What halves the maps: strides, or average pooling instead, as in ResNetAP-10."""

    def build(self, num_classes: int) -> Classifier:
        return dc.networks.ResNet10(num_classes, **dataclasses.asdict(self))


NETWORKS = Axis(
    "network",
    "Architecture that images are condensed on and evaluated with.",
    convnet=ConvNet,
    mlp=MLP,
    lenet=LeNet,
    alexnet=AlexNet,
    vgg11=VGG11,
    resnet18=ResNet18,
    resnet10=ResNet10,
)
