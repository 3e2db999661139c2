"""Builds the pure functions of a run from its settings: each part builds its own, and they are joined here."""

import shlex
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

import dcjax as dc
from experiments.parts import AXES
from experiments.parts.part import Context
from experiments.settings.flags import words_of
from experiments.settings.settings import Settings, paper_settings


class Method(NamedTuple):
    """The functions that a run is made of."""

    net: dc.Network
    parameterization: dc.Parameterization  # as it is condensed
    decode: Callable[[dc.Syn], dc.Batch]  # what is learned -> what students are trained on
    decoder: dict  # what decodes the parameters, for the artefact
    condenser: dc.Condenser | None  # None where real images are chosen
    recipe: dc.Recipe


def build(settings: Settings, data: dc.data.Dataset) -> Method:
    """Builds the functions of a run."""
    parts = settings.parts
    net = dc.network(parts["network"].build(data.num_classes), data.image_shape)
    if not settings.about.condenses:
        recipe = parts["eval_recipe"].build()
        decoder = {"name": "pixels", "arguments": {"ipc": settings.ipc}, "image_space": "normalised"}
        chosen = dc.pixels(settings.ipc)
        return Method(net, chosen, chosen.decode, decoder, None, recipe)
    recipe = parts["eval_recipe"].build(parts["parameterization"].views)
    context = context_of(settings, data, net)
    learned, shown = parts["parameterization"], parts["parameterization"].for_students(settings)
    images = _kept(learned, context, settings)
    decode = images.decode if shown is learned else _kept(shown, context, settings).decode
    objective = parts["objective"].build(context)
    if settings.syn_batch or draw_size(settings, data.num_classes) > settings.real_batch:
        objective = dc.on_minibatch(objective, syn=settings.syn_batch, real=settings.real_batch)
    if settings.classes:
        objective = dc.on_classes(objective, settings.classes)
    drawn = min(draw_size(settings, data.num_classes), min(data.train.counts))
    trajectory = _starting_from(parts["trajectory"].build(context), drawn)
    objective, trajectory = _contested(learned, objective, trajectory, net)
    if settings.tasks > 1:
        objective, trajectory = dc.with_tasks(objective, trajectory, settings.tasks)
    condenser = dc.condenser(images, objective, trajectory, _optimizer(parts, data.num_classes))
    return Method(net, images, decode, _decoder(shown, context, settings), condenser, recipe)


def context_of(settings: Settings, data: dc.data.Dataset, net: dc.Network) -> Context:
    """Gives the facts of a run that its parts are built from."""
    images, augment = settings.parts["images"], settings.parts["objective"].augmentation
    return Context(
        settings.ipc,
        settings.matches,
        data,
        net,
        augment,
        start=lambda factor: images.begin(data, factor),
        seed=settings.seed,
        views=settings.parts["parameterization"].views,
        made_on=made_on(settings, data),
        passed=shlex.join(words_of(unusual(settings))),
        data_dir=settings.data_dir,
        taken={},
    )


def made_on(settings: Settings, data: dc.data.Dataset) -> dict[str, Any]:
    """Names the data and the network of a run, which those of its experts must be."""
    said = {name: getattr(settings, name) for name in of_experts(settings)}
    idle = {"zca_epsilon": settings.zca, "channels": settings.channels, "only_classes": settings.only_classes}
    idle |= {"statistics": settings.statistics != "own"}
    said = {
        name: [*value] if isinstance(value, tuple) else value for name, value in said.items() if idle.get(name, True)
    }
    return {"dataset": settings.dataset, **said, "training_data": data.fingerprint()}


def unusual(settings: Settings) -> dict[str, Any]:
    """Gives the settings of experts' data and network that a command with --dataset alone would not have."""
    usual = paper_settings("mtt", settings.dataset, 1, {"network": settings.network}).values()
    usual |= {"network": paper_settings("mtt", settings.dataset, 1, {}).network}
    return {
        name: value
        for name, value in settings.values().items()
        if name in of_experts(settings) and value != usual[name]
    }


def of_experts(settings: Settings) -> tuple[str, ...]:
    """Names the settings that say on which data and which network experts are trained, beside the data set."""
    data = ("image_size", "channels", "only_classes", "statistics", "zca", "zca_epsilon")
    return (*data, "network", *vars(settings.parts["network"]))


def draw_size(settings: Settings, num_classes: int) -> int:
    """Counts the real images of each class that a step needs: to compare with, and to train its network on."""
    return max(settings.real_batch, settings.parts["trajectory"].real_needed(settings, num_classes))


def _kept(part, context, settings):
    """Builds a parameterization with its images and labels kept as the run's settings say."""
    return settings.parts["images"].kept(part.build(context), context.data)


def _decoder(part, context, settings):
    kept = {"image_space": settings.image_space, "labels": settings.labels}
    return {"name": AXES["parameterization"].name_of(part), "arguments": part.arguments(context), **kept}


def _contested(part, objective, trajectory, net):
    """Sets an adversary against the views of a parameterization that asks for one."""
    if not part.contrast:
        return objective, trajectory
    diverse = dc.with_diversity(objective, net, part.views, part.contrast)
    return diverse, dc.with_adversary(trajectory, net, part.views)


def _starting_from(trajectory, count):
    """Shows a run's first network as many real images as any other: the first draw may have more, for condensed ones to start from."""

    def init(key, draw):
        return trajectory.init(key, draw._replace(real=jax.tree.map(lambda x: x[:, :count], draw.real)))

    return trajectory._replace(init=init)


def _optimizer(parts, num_classes):
    images = parts["parameterization"].optimizers(parts["images"].optimizer(num_classes))
    images |= parts["images"].label_optimizers()
    hyper = parts["objective"].optimizers()
    both = images.keys() & hyper.keys()
    if both:
        raise ValueError(
            f"{', '.join(both)} is learned by the parameterization and by the objective: rename one of them."
        )
    return parts["images"].clipped(dc.optimizers.by_name(images | hyper))
