"""Chooses real images: the coresets that condensed ones are compared with."""

import time

import jax
import numpy as np

from dcjax import coresets
from experiments.job import Job, Made
from experiments.stop import StopRequest
from experiments.studying import studied


def choose(job: Job, stop: StopRequest) -> Made:
    """The images of a coreset, as `pixels` has them."""
    began = time.perf_counter()
    data, config = job.data.train, job.config
    if config.method == "random":
        batch = data.sample(job.keys.draw, config.ipc)
    else:
        memory = studied(job, job.config.coreset_epochs, stop)
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
