"""A parameterization and a trajectory that are not of the library, each with its settings, as somebody would add them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

import dcjax as dc
from experiments.parts.part import Context, ParameterizationPart, Pretrain, Supply, TrajectoryPart
from experiments.parts.values import Count, Rate, Share


def tinted(ipc: int, views: int, tint_rate: float = 0.0, start: Any = dc.from_noise) -> dc.Parameterization:
    """Learns images and one tint for all of them: every image is seen `views` times, each time one pixel further to the left."""
    del tint_rate  # a setting of its optimizer

    def init(key, real):
        return {"image": start(key, real, ipc), "tint": jnp.zeros((1, 1, 1, 1, real.image.shape[-1]))}

    def decode(syn):
        image = jnp.concatenate([jnp.roll(syn["image"], -view, 3) for view in range(views)], 1) + syn["tint"]
        num_classes = image.shape[0]
        label = jnp.broadcast_to(jnp.eye(num_classes)[:, None], (*image.shape[:2], num_classes))
        return dc.Batch(image, label)

    return dc.Parameterization(init, decode)


@dataclasses.dataclass(frozen=True)
class Tinted(ParameterizationPart):
    """Images with one tint for all (a toy)."""

    views: Count = 2
    """How often every image is seen."""
    tint_rate: Rate = 0.01
    """Learning rate of the tint."""

    decoder = staticmethod(tinted)

    def optimizers(self, images: optax.GradientTransformation) -> dict[str, optax.GradientTransformation]:
        return {"image": images, "tint": optax.sgd(self.tint_rate)}


def between(net: dc.Network, progress: float) -> dc.Trajectory:
    """Compares on the way from the weights that a draw brings to those that are later."""
    del net

    def init(key, draw):
        del key
        return dc.Point(jax.tree.map(lambda a, b: a + progress * (b - a), draw.start, draw.target), draw.target)

    return dc.Trajectory(init, lambda key, point, syn, draw: init(key, draw))


@dataclasses.dataclass(frozen=True)
class Between(TrajectoryPart):
    """Comparisons are made between two networks (a toy)."""

    segments: Count = 3
    """Pairs of networks that a step draws from."""
    progress: Share = 0.5
    """How far from the first to the second, from 0 to below 1."""

    def build(self, context: Context) -> dc.Trajectory:
        return between(context.net, self.progress)

    def source(self, context: Context, pretrain: Pretrain) -> Supply:
        keys = jax.random.split(jax.random.key(0), (2, self.segments))
        starts, targets = (jax.vmap(context.net.init)(row) for row in keys)
        return lambda source, t: dc.with_segments(source, starts, targets)
