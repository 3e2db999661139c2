"""Trains networks on the whole training set and keeps them on disk: one chooses a coreset, several make a pool."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np

from dcjax import coresets
from dcjax.base import Params
from dcjax.data.cache import cached
from dcjax.recipes import sgd
from dcjax.sharding import replicate
from dcjax.training import cross_entropy, descend, steps_per_epoch
from experiments.parts.training import Training
from experiments.pipeline import show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.job import Job
from experiments.pipeline.stop import StopRequest

_SECONDS = "seconds"  # name of what a training took, beside its arrays


class Pretraining:
    """Trains networks for a job when a part asks for some, unless they are on disk.

    Attributes:
        spared: seconds that were not spent, because networks were on disk.
    """

    def __init__(self, job: Job, stop: StopRequest):
        self._job = job
        self._stop = stop
        self.spared = 0.0

    def __call__(self, networks: int, training: Training, augment: str) -> Params:
        """Gives the stacked weights of several networks, each trained for `pool_epochs` as networks are between comparisons."""
        job, net, optimizer = self._job, self._job.method.net, training.optimizer()
        loss, steps = cross_entropy(net), steps_per_epoch(sum(job.data.train.counts), training.network_batch)

        def init(key, split):
            del split
            params = net.init(key)
            return params, optimizer.init(params)

        def epoch(key, state, split):
            return descend(key, loss, *state, split.batch(), optimizer, steps=steps, **training.how(augment))

        how = {field.name: getattr(training, field.name) for field in dataclasses.fields(Training)}
        made_by = ("pool", *(value for name, value in how.items() if name not in ("pool", "pool_epochs")), augment)
        trained = []
        for number in range(networks):
            keys = (jax.random.fold_in(key, number) for key in (job.keys.init, job.keys.step))
            trained.append(self._trained((*made_by, number), *keys, (init, epoch), training.pool_epochs)[0])
        return replicate(jax.tree.map(lambda *leaves: jnp.stack(leaves), *trained))

    def study(self, epochs: int) -> coresets.Memory:
        """Gives a network trained on the whole training set, with a count of how often it forgot each image."""
        study = coresets.study(self._job.method.net, sgd(0.01))
        keys = self._job.keys
        return self._trained(("study",), keys.init, keys.step, (study.init, study.epoch), epochs)

    def _trained(self, what, init_key, step_key, how, epochs):
        """Gives the state after `epochs` of training; `how` is the pair `init(key, split)` and `epoch(key, state, split)`."""
        data, (init, epoch) = self._job.data.train, map(jax.jit, how)

        def train():
            nonlocal spent
            began = time.perf_counter()
            state = init(init_key, data)
            with show.progress("training on the whole set", epochs) as advance:
                for t in range(epochs):
                    state = jax.block_until_ready(epoch(jax.random.fold_in(step_key, t), state, data))
                    advance("")
                    self._stop.check()
            spent = time.perf_counter() - began
            arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
            return arrays | {_SECONDS: np.array(spent)}

        spent = 0.0
        expected, structure = jax.tree.flatten(jax.eval_shape(init, init_key, data))

        def fits(arrays):
            kinds = {name: (array.shape, array.dtype) for name, array in arrays.items()}
            like = {str(i): (leaf.shape, leaf.dtype) for i, leaf in enumerate(expected)}
            return kinds == like | {_SECONDS: ((), np.dtype(float))}

        identity = (*what, self._job.data.fingerprint(), jax.__version__, epochs, *self._made_by())
        arrays = cached(identity, train, fits)
        self.spared += float(arrays.pop(_SECONDS)) - spent
        leaves = [arrays[str(i)] for i in range(len(arrays))]
        if not all(np.isfinite(leaf).all() for leaf in leaves):
            raise Diverged("A network diverged while it was trained on the whole training set: take another --network.")
        return jax.tree.unflatten(structure, leaves)

    def _made_by(self):
        settings = self._job.settings
        return settings.seed, settings.network, *dataclasses.astuple(settings.parts["network"])
