"""Networks trained on the whole training set, kept on disk: coresets are chosen by one, and a pool is made of several."""

import jax
import numpy as np

from dcjax import coresets
from dcjax.base import Params
from dcjax.data.cache import cached
from dcjax.recipes import sgd
from experiments import output
from experiments.endings import Diverged
from experiments.idle import network_fields
from experiments.job import Job
from experiments.stop import StopRequest


def studied(job: Job, epochs: int, stop: StopRequest, number: int = 0) -> coresets.Memory:
    """The `number`-th network trained on the whole training set, with what it forgot meanwhile; from disk if it is there."""
    config, study = job.config, coresets.study(job.method.net, sgd(0.01))
    keys = (job.keys.init, job.keys.step)
    init_key, step_key = (jax.random.fold_in(key, number) for key in keys) if number else keys
    shape = jax.eval_shape(study.init, init_key, job.data.train)

    def train():
        epoch, memory = jax.jit(study.epoch), jax.jit(study.init)(init_key, job.data.train)
        with output.progress("training on the whole set", epochs) as advance:
            for t in range(epochs):
                memory = jax.block_until_ready(epoch(jax.random.fold_in(step_key, t), memory, job.data.train))
                advance("")
                stop.check()
        return {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(memory))}

    names = ("seed", "network", *network_fields(config.network))
    what = [epochs, *(getattr(config, name) for name in names), *([number] if number else [])]
    arrays = cached(("study", job.data.fingerprint(), jax.__version__, *what), train)
    memory = jax.tree.unflatten(jax.tree.structure(shape), [arrays[str(i)] for i in range(len(arrays))])
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(memory.params)):
        raise Diverged("A network diverged while it was trained on the whole training set: take another --network.")
    return memory


def pool(job: Job, stop: StopRequest) -> Params:
    """Weights of `--pool` networks, stacked, each trained for `--pool-epochs`."""
    config = job.config
    networks = [studied(job, config.pool_epochs, stop, number).params for number in range(1, 1 + config.pool)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
