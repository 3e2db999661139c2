"""One run's settings, data and method together, checked before anything is computed."""

from typing import NamedTuple

import jax

import dcjax as dc
from dcjax.sharding import replicate
from experiments.build import Method, build, draw_size
from experiments.config import Config

_POOL_BYTES = 2**28


class Keys(NamedTuple):
    """The run's randomness, all from one seed; a step folds in its iteration, so nothing of it is stored."""

    init: dc.Key
    draw: dc.Key
    step: dc.Key
    evaluate: dc.Key


class Job(NamedTuple):
    config: Config
    data: dc.data.Dataset
    method: Method
    keys: Keys
    draw: int  # real images of each class in a step: what it needs, or the smallest class

    def initial_state(self, real: dc.data.Split) -> dc.CondenserState:
        draw = max(self.draw, _started_from(self.config))
        return self.method.condenser.init(self.keys.init, real.sample(self.keys.draw, draw))

    def decoded(self, syn: dc.Syn) -> dc.Batch:
        return self.method.parameterization.decode(syn)


class Made(NamedTuple):
    """What a run has made: the learned parameters or the chosen images, and what it took."""

    syn: dc.Syn
    facts: dict


def _started_from(config):
    """Real images of each class that condensed ones start from."""
    cells = 1 if config.parameterization == "pixels" else config.factor**2
    return config.ipc * cells if config.condenses and config.start == "real" else 0


def prepare(config: Config, data: dc.data.Dataset) -> Job:
    """Builds the method and checks that the data can give what is asked, before anything is computed."""
    smallest = min(data.train.counts)
    if config.ipc > smallest and config.method != "whole":
        name = data.class_names[data.train.counts.index(smallest)]
        raise dc.InputError(
            f"--ipc {config.ipc} asks for more images than there are: class {name!r} has {smallest} to train on."
        )
    if _started_from(config) > smallest:
        raise dc.InputError(
            f"--ipc {config.ipc} with --factor {config.factor} starts from {_started_from(config)} real images of every class, "
            f"but the smallest has {smallest} to train on: lower one of them, or give --start noise."
        )
    _check_pool(config, data)
    keys = Keys(*replicate(jax.random.split(jax.random.key(config.seed), 4)))
    job = Job(config, data, build(config, data), keys, draw=min(draw_size(config, data.num_classes), smallest))
    jax.eval_shape(job.initial_state if job.method.condenser else lambda _: job.method.net.init(keys.init), data.train)
    return job


def _check_pool(config, data):
    """Its weights are constants of the compiled programs."""
    net = build(config, data).net
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0))))
    if config.pool * size > _POOL_BYTES:
        raise dc.InputError(
            f"--pool {config.pool} asks for {config.pool * size / 2**20:.0f} MiB of weights, which become part of the compiled "
            f"program: at most {_POOL_BYTES // size} such networks fit into {_POOL_BYTES // 2**20} MiB."
        )
