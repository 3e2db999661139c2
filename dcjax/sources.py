"""Sources are pytrees whose `draw(key)` gives all that one step sees from outside, a `Draw`.

    source = dcjax.source(data.train, real_per_class=256)
    source = dcjax.with_pool(source, pool)                 # and trained weights that a network may begin with

A source is an argument of the compiled program, never one of its constants. Whatever else a step needs from outside (a segment of an
expert's trajectory, say) is one more pytree that wraps a source and fills in more of its draw.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import struct

from dcjax.base import Draw, InputError, Key, Params
from dcjax.data.split import Split


class Source(Protocol):
    """Describes what every source has; a source is a pytree."""

    def draw(self, key: Key) -> Draw: ...


@struct.dataclass
class RealImages:
    """Draws the same number of real images of every class."""

    split: Split
    real_per_class: int = struct.field(pytree_node=False)

    def draw(self, key: Key) -> Draw:
        return Draw(self.split.sample(key, self.real_per_class))


@struct.dataclass
class WithPool:
    """Adds one network of a pool to what another source draws."""

    source: Source
    pool: Params  # weights of P networks, stacked along a first axis

    def draw(self, key: Key) -> Draw:
        pool_key = jax.random.fold_in(key, 1)  # the real images are those that are drawn without a pool
        chosen = jax.random.randint(pool_key, (), 0, jax.tree.leaves(self.pool)[0].shape[0])
        return self.source.draw(key)._replace(start=jax.tree.map(lambda x: jnp.asarray(x)[chosen], self.pool))


@struct.dataclass
class WithSegments:
    """Adds one segment of an expert's training to what another source draws."""

    source: Source
    starts: Params  # weights at the start of S segments, stacked along a first axis
    targets: Params  # the same experts' weights some epochs later

    def draw(self, key: Key) -> Draw:
        segment_key = jax.random.fold_in(key, 2)  # the real images are those that are drawn without segments
        chosen = jax.random.randint(segment_key, (), 0, jax.tree.leaves(self.starts)[0].shape[0])
        start, target = (jax.tree.map(lambda x: jnp.asarray(x)[chosen], tree) for tree in (self.starts, self.targets))
        return self.source.draw(key)._replace(start=start, target=target)


def source(split: Split, *, real_per_class: int) -> RealImages:
    """Makes the source that every method needs: random real images, `real_per_class` of every class, in each step.

    Args:
        split: the training images.
        real_per_class: N, images of every class in a draw; at most as many as the smallest class has.
    """
    if real_per_class < 1:
        raise InputError(f"A step compares with at least one real image of each class, not {real_per_class}.")
    return RealImages(split, real_per_class)


def with_pool(source: Source, pool: Params) -> WithPool:
    """Adds a pool of P networks to a source: every draw brings one, at random, for new networks that begin as `drawn`.

    Args:
        source: draws the real images.
        pool: weights of P networks, stacked along a first axis, for instance each trained for a few epochs.
    """
    if isinstance(source, WithSegments):
        raise InputError("A network of a pool cannot begin a segment, whose target is another's: leave the pool out.")
    return WithPool(source, pool)


def with_segments(source: Source, starts: Params, targets: Params) -> WithSegments:
    """Adds S segments of experts' training to a source: every draw brings one, at random, for the trajectory `expert`.

    Args:
        source: draws the real images.
        starts: weights at the start of each segment, stacked along a first axis.
        targets: the same experts' weights at its end.
    """
    return WithSegments(source, starts, targets)
