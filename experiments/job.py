"""One run's settings, data and method together, checked before anything is computed."""

from typing import NamedTuple

import jax

import dcjax as dc
from dcjax.sharding import replicate
from experiments.build import Method, build, draw_size
from experiments.config import Config


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
        config = self.config  # a start from real images takes one for everything that is decoded
        draw = max(self.draw, config.ipc if config.parameterization == "pixels" else config.factor**2 * config.ipc)
        return self.method.condenser.init(self.keys.init, real.sample(self.keys.draw, draw))

    def decoded(self, syn: dc.Syn) -> dc.Batch:
        return self.method.parameterization.decode(syn)


class Made(NamedTuple):
    """What a run has made: the learned parameters or the chosen images, and what it took."""

    syn: dc.Syn
    facts: dict


def prepare(config: Config, data: dc.data.Dataset) -> Job:
    """Builds the method and checks that the data can give what is asked, before anything is computed."""
    smallest = min(data.train.counts)
    if config.ipc > smallest and config.method != "whole":
        name = data.class_names[data.train.counts.index(smallest)]
        raise dc.InputError(
            f"--ipc {config.ipc} asks for more images than there are: class {name!r} has {smallest} to train on."
        )
    keys = Keys(*replicate(jax.random.split(jax.random.key(config.seed), 4)))
    job = Job(config, data, build(config, data), keys, draw=min(draw_size(config, data.num_classes), smallest))
    jax.eval_shape(job.initial_state if job.method.condenser else lambda _: job.method.net.init(keys.init), data.train)
    return job
