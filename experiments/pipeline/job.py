"""Puts a run's settings, data and method together, and checks them before anything is computed."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax

import dcjax as dc
from dcjax.base import Learned
from dcjax.normalisation import Fit
from dcjax.sharding import replicate
from experiments.parts.part import Pretrain
from experiments.pipeline.build import Method, build, context_of, draw_size
from experiments.pipeline.memory import check_memory
from experiments.pipeline.rundir import noted
from experiments.settings.settings import Settings


class Keys(NamedTuple):
    """The random keys of a run, all from one seed; a step folds in its iteration, so no key is stored."""

    init: dc.Key
    draw: dc.Key
    step: dc.Key
    evaluate: dc.Key


class Job(NamedTuple):
    """A run's settings, data, method and keys, for all its stages."""

    settings: Settings
    data: dc.data.Dataset
    method: Method
    keys: Keys
    draw: int  # real images of each class in a step: as many as it needs, at most the smallest class

    def sources(self, pretrain: Pretrain) -> Callable[[int, int], dc.Source]:
        """Gives the function that makes an iteration's source from a number of real images per class and the iteration."""
        context = context_of(self.settings, self.data, self.method.net)
        before = noted(Path(self.settings.workdir)) if self.settings.workdir else None
        context = context._replace(taken=before or {})
        supply = self.settings.parts["trajectory"].source(context, pretrain)
        return lambda count, t: supply(dc.source(self.data.train, real_per_class=count), t)

    def initial_state(self, source: dc.Source) -> dc.CondenserState:
        return self.method.condenser.init(self.keys.init, source.draw(self.keys.draw))

    def described_start(self) -> dc.CondenserState:
        """Gives the shapes of the first state without computing it."""
        source = self.sources(_untrained(self.method.net))(self.first_draw, 0)
        return jax.eval_shape(self.initial_state, source)

    @property
    def first_draw(self) -> int:
        """Counts the real images of each class in the first draw, which condensed ones may start from."""
        return max(self.draw, started_from(self.settings, self.data.num_classes))

    def decoded(self, syn: dc.Syn) -> dc.Batch:
        """Gives what students are trained on."""
        return self.method.decode(syn)


class Made(NamedTuple):
    """The images that a run learned or chose (None for the whole data), and the time that it took."""

    learned: Learned | None
    facts: dict
    iterations: int | None = None  # that were made; None where there are none


def load_data(settings: Settings, data_dir: str | None = None) -> dc.data.Dataset:
    """Loads the data set that settings name, normalised as they say."""
    fit = dc.normalisation.zca(settings.zca_epsilon) if settings.zca else statistics(settings.statistics)
    shape = {"image_size": settings.image_size, "channels": settings.channels}
    data = dc.data.load(settings.dataset, data_dir=data_dir or settings.data_dir, normalisation=fit, **shape)
    return data.only(settings.only_classes) if settings.only_classes else data


def statistics(name: str) -> Fit | None:
    """Gives the fit that `--statistics` names; None for a data set's own."""
    return None if name == "own" else dc.data.published_statistics(name)


def started_from(settings: Settings, num_classes: int) -> int:
    """Counts the real images of each class that condensed ones start from."""
    if not settings.about.condenses or settings.start != "real":
        return 0
    return settings.parts["parameterization"].real_needed(settings.ipc, num_classes)


def prepare(settings: Settings, data: dc.data.Dataset) -> Job:
    """Builds the method and checks that the data hold enough images for it, before anything is computed."""
    check_images(settings, data)
    smallest = min(data.train.counts)
    keys = Keys(*replicate(jax.random.split(jax.random.key(settings.seed), 4)))
    method = build(settings, data)
    network = jax.eval_shape(method.net.init, keys.init)
    check_memory(network=network, gradient_of_the_network=network)
    if method.condenser is None:
        return Job(settings, data, method, keys, draw=0)
    job = Job(settings, data, method, keys, draw=min(draw_size(settings, data.num_classes), smallest))
    state = job.described_start()
    images = jax.eval_shape(job.decoded, state.syn)
    check_memory(state_of_the_run=state, condensed_images=images, gradient_of_the_images=images)
    return job


def check_images(settings: Settings, data: dc.data.Dataset) -> None:
    """Refuses data with fewer images of a class than a set takes or starts from."""
    smallest = min(data.train.counts)
    if settings.ipc > smallest and not settings.about.takes_all:
        name = data.class_names[data.train.counts.index(smallest)]
        raise dc.InputError(
            f"--ipc {settings.ipc} asks for more images than there are: class {name!r} has {smallest} to train on."
        )
    needed = started_from(settings, data.num_classes)
    if needed > smallest:
        raise dc.InputError(
            f"--ipc {settings.ipc} with --parameterization {settings.parameterization} starts from {needed} real "
            f"images of every class, but the smallest has {smallest} to train on: learn fewer or smaller ones, or give --start noise."
        )


def _untrained(net):
    """Gives a stand-in for `Pretraining`, whose networks have the same shapes but no values."""

    def pretrain(networks, training, augment):
        del training, augment
        return jax.eval_shape(jax.vmap(net.init), jax.eval_shape(lambda: jax.random.split(jax.random.key(0), networks)))

    return pretrain
