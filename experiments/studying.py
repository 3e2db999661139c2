"""Networks trained on the whole training set, kept on disk: coresets are chosen by one, and a pool is made of several."""

import jax
import numpy as np

from dcjax import coresets
from dcjax.base import Params
from dcjax.data.cache import cached
from dcjax.recipes import sgd
from dcjax.training import cross_entropy, descend, steps_per_epoch
from experiments import output
from experiments.build import network_optimizer, training
from experiments.endings import Diverged
from experiments.idle import TRAINING, network_fields
from experiments.job import Job
from experiments.stop import StopRequest


def studied(job: Job, epochs: int, stop: StopRequest) -> coresets.Memory:
    """A network trained on the whole training set, with what it forgot meanwhile; from disk if it is there."""
    study = coresets.study(job.method.net, sgd(0.01))
    return _trained(job, ("study",), job.keys.init, job.keys.step, (study.init, study.epoch), epochs, stop)


def pool(job: Job, stop: StopRequest) -> Params:
    """Weights of `--pool` networks, stacked, each trained for `--pool-epochs` as one is between comparisons; from disk."""
    config, loss, optimizer = job.config, cross_entropy(job.method.net), network_optimizer(job.config)
    steps = steps_per_epoch(sum(job.data.train.counts), config.network_batch)

    def init(key, split):
        del split
        params = job.method.net.init(key)
        return params, optimizer.init(params)

    def epoch(key, state, split):
        return descend(key, loss, *state, split.batch(), optimizer, steps=steps, **training(config))

    made_by = ("pool", *(getattr(config, name) for name in (*TRAINING, "augment")))
    networks = []
    for number in range(config.pool):
        init_key, step_key = (jax.random.fold_in(key, number) for key in (job.keys.init, job.keys.step))
        networks.append(
            _trained(job, (*made_by, number), init_key, step_key, (init, epoch), config.pool_epochs, stop)[0]
        )
    return jax.tree.map(lambda *leaves: np.stack(leaves), *networks)


def _trained(job, what, init_key, step_key, how, epochs, stop):
    """What `epochs` of training on the whole training set leave; `how`: `init(key, split)` and `epoch(key, state, split)`."""
    config, (init, epoch) = job.config, map(jax.jit, how)

    def train():
        state = init(init_key, job.data.train)
        with output.progress("training on the whole set", epochs) as advance:
            for t in range(epochs):
                state = jax.block_until_ready(epoch(jax.random.fold_in(step_key, t), state, job.data.train))
                advance("")
                stop.check()
        return {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}

    settings = (getattr(config, name) for name in ("seed", "network", *network_fields(config.network)))
    arrays = cached((*what, job.data.fingerprint(), jax.__version__, epochs, *settings), train)
    leaves = [arrays[str(i)] for i in range(len(arrays))]
    if not all(np.isfinite(leaf).all() for leaf in leaves):
        raise Diverged("A network diverged while it was trained on the whole training set: take another --network.")
    return jax.tree.unflatten(jax.tree.structure(jax.eval_shape(init, init_key, job.data.train)), leaves)
