"""Chooses real images: the coresets that condensed ones are compared with."""

import time

import numpy as np

from dcjax import coresets
from dcjax.base import Learned
from experiments.pipeline.job import Job, Made
from experiments.pipeline.pretrain import Pretraining
from experiments.pipeline.stop import StopRequest


def select(job: Job, stop: StopRequest) -> Made:
    """Gives the images of a coreset as parameters of `pixels`."""
    began = time.perf_counter()
    data, settings, selector = job.data.train, job.settings, job.settings.about.selection
    pretraining = Pretraining(job, stop)
    if selector is None:
        batch = data.sample(job.keys.draw, settings.ipc)
    else:
        memory = pretraining.study(settings.coreset_epochs)
        selection, known = selector(settings.seed, job.method.net, memory, data)
        batch = data.take(coresets.select(selection, np.asarray(known), data.counts, settings.ipc))
    seconds = time.perf_counter() - began + pretraining.spared
    return Made(Learned({"image": batch.image}, ()), {"choose_seconds": round(seconds, 1)})
