"""Chooses real images: the coresets that condensed ones are compared with."""

import time

import jax
import numpy as np

from dcjax import coresets
from dcjax.data.cache import cached
from dcjax.recipes import sgd
from experiments import output
from experiments.config import network_fields
from experiments.endings import Diverged
from experiments.job import Job, Made
from experiments.stop import StopRequest


def choose(job: Job, stop: StopRequest) -> Made:
    """The images of a coreset, as `pixels` has them."""
    began = time.perf_counter()
    data, config = job.data.train, job.config
    if config.method == "random":
        batch = data.sample(job.keys.draw, config.ipc)
    else:
        memory = _studied(job, stop)
        selection, known = _SELECTIONS[config.method](job, memory)
        batch = data.take(coresets.select(selection, np.asarray(known), data.counts, config.ipc))
    return Made({"image": batch.image}, {"choose_seconds": round(time.perf_counter() - began, 1)})


def _features(job, memory):
    return jax.jit(lambda params, split: coresets.features(job.method.net, params, split))(
        memory.params, job.data.train
    )


_SELECTIONS = {  # method -> the selection and what it goes by
    "herding": lambda job, memory: (coresets.herding, _features(job, memory)),
    "k_center": lambda job, memory: (coresets.k_center, _features(job, memory)),
    "forgetting": lambda job, memory: (coresets.most_forgotten, coresets.forgetting_events(memory)),
    "kmeans": lambda job, memory: (coresets.k_means(job.config.seed), _features(job, memory)),
}


def _studied(job, stop):
    """A network trained on the whole training set, with what it forgot meanwhile; from disk if it was trained before."""
    config, study = job.config, coresets.study(job.method.net, sgd(0.01))
    shape = jax.eval_shape(study.init, job.keys.init, job.data.train)

    def train():
        leaves = jax.tree.leaves(_train(job, study, stop))
        return {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}

    names = ("coreset_epochs", "seed", "network", *network_fields(config.network))
    what = [getattr(config, name) for name in names]
    arrays = cached(("study", job.data.fingerprint(), jax.__version__, *what), train)
    memory = jax.tree.unflatten(jax.tree.structure(shape), [arrays[str(i)] for i in range(len(arrays))])
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(memory.params)):
        raise Diverged("The network that was to choose diverged while it was trained: take another --network.")
    return memory


def _train(job, study, stop):
    total = job.config.coreset_epochs
    epoch = jax.jit(study.epoch)
    memory = jax.jit(study.init)(job.keys.init, job.data.train)
    with output.progress("training on the whole set", total) as advance:
        for t in range(total):
            memory = jax.block_until_ready(epoch(jax.random.fold_in(job.keys.step, t), memory, job.data.train))
            advance("")
            stop.check()
    return memory
