"""From settings to the pure functions that do the work: the one place where a config is read by anything but the run."""

from typing import NamedTuple

import optax

import dcjax as dc
from dcjax.distances import of_convolutions
from dcjax.optimizers import keep_within, per_class_sgd
from experiments.config import Config
from experiments.idle import idle

NETWORKS = {
    "convnet": lambda config, num_classes: dc.networks.ConvNet(
        num_classes,
        width=config.width,
        depth=config.depth,
        norm=config.norm,
        activation=config.activation,
        pooling=config.pooling,
    ),
    "mlp": lambda config, num_classes: dc.networks.MLP(num_classes),
    "lenet": lambda config, num_classes: dc.networks.LeNet(num_classes),
    "alexnet": lambda config, num_classes: dc.networks.AlexNet(num_classes),
    "vgg11": lambda config, num_classes: dc.networks.VGG11(num_classes),
    "resnet18": lambda config, num_classes: dc.networks.ResNet18(num_classes),
}
DISTANCES = {
    "filterwise_cosine": dc.distances.filterwise_cosine,
    "squared_error": dc.distances.squared_error,
    "cosine": dc.distances.cosine,
    "convolution_squared_error": of_convolutions(dc.distances.squared_error),
    "convolution_absolute_error": of_convolutions(dc.distances.absolute_error),
}
AUGMENTS = {
    "none": dc.augment.identity,
    "dc_digits": dc.augment.dc_digits(),
    "dsa": dc.augment.dsa(),
    "dsa_digits": dc.augment.dsa_digits(),
    "idc": dc.augment.idc(),
    "idc_digits": dc.augment.idc_digits(),
    "idc_digits_cutout": dc.augment.idc_digits_cutout(),
    "color_crop": dc.augment.color_crop(),
    "color_crop_cutout": dc.augment.color_crop_cutout(),
}
MIXES = {"none": dc.augment.no_mixing, "cutmix": dc.augment.cutmix()}
PARAMETERIZATIONS = {
    "pixels": lambda config, start: dc.pixels(config.ipc, start),
    "multi_formation": lambda config, start: dc.multi_formation(config.ipc, config.factor, start),
    "multi_scale_formation": lambda config, start: dc.multi_scale_formation(config.ipc, config.factor, start),
    "bounded_formation": lambda config, start: dc.bounded_formation(config.ipc, config.factor, config.bound, start),
}
OBJECTIVES = {
    "gradient_matching": lambda config, net: dc.gradient_matching(
        net, distance=DISTANCES[config.distance], augment=AUGMENTS[config.augment]
    ),
    "distribution_matching": lambda config, net: dc.distribution_matching(net, augment=AUGMENTS[config.augment]),
}
TRAJECTORIES = {
    "fresh": lambda config, net: dc.fresh(net),
    "on_synthetic": lambda config, net: dc.on_synthetic(
        net, network_optimizer(config), epochs=config.inner_epochs, restart_every=config.matches, **training(config)
    ),
    "on_real": lambda config, net: dc.on_real(
        net,
        network_optimizer(config),
        steps=config.network_steps,
        restart_every=config.matches,
        warm_up_epochs=config.warm_up_epochs,
        **training(config),
    ),
}
RECIPES = {
    "dc": lambda config: dc.dc_recipe(config.eval_epochs, AUGMENTS[config.eval_augment])._replace(
        mix=MIXES[config.eval_mix]
    ),
    "idc": lambda config: dc.idc_recipe(config.eval_epochs, AUGMENTS[config.eval_augment], MIXES[config.eval_mix]),
}


class Method(NamedTuple):
    net: dc.Network
    parameterization: dc.Parameterization
    decoder: dict  # what decodes the parameters, for the artefact
    condenser: dc.Condenser | None  # None where real images are chosen
    recipe: dc.Recipe


def build(config: Config, data: dc.data.Dataset, pool: dc.base.Params = None) -> Method:
    """The method of a config. With a `pool` of trained weights, the networks that it compares on are drawn from it."""
    net = dc.network(NETWORKS[config.network](config, data.num_classes), data.image_shape)
    images = _images(config, data)
    objective = OBJECTIVES[config.objective](config, net)
    if config.syn_batch or draw_size(config, data.num_classes) > config.real_batch:
        objective = dc.on_minibatch(objective, syn=config.syn_batch, real=config.real_batch)
    trajectory = TRAJECTORIES[config.trajectory](config, net if pool is None else dc.from_pool(net, pool))
    condenser = dc.condenser(images, objective, trajectory, _image_optimizer(config, data.num_classes))
    return Method(
        net, images, _decoder(config), condenser if config.condenses else None, RECIPES[config.eval_recipe](config)
    )


def draw_size(config: Config, num_classes: int) -> int:
    """Real images of each class that a step needs: those that it compares, and those that the network trains on."""
    trains = config.trajectory == "on_real" and "network_steps" not in idle(config)
    trained_on = config.network_steps * config.network_batch if trains else 0
    return max(config.real_batch, -(-trained_on // num_classes))


def _images(config, data):
    factor = 1 if config.parameterization == "pixels" else config.factor
    is_pixel = config.image_space == "pixel"
    if not is_pixel and any(side % factor for side in data.image_shape[:2]):
        raise dc.InputError(
            f"--factor {factor} does not divide images of {' x '.join(map(str, data.image_shape[:2]))}: what is filled up is grey "
            "only in pixels, so give --image-space pixel, or a factor that divides them."
        )
    starts = {"noise": dc.from_grey_noise if is_pixel else dc.from_noise, "real": dc.from_mixed(factor)}
    images = PARAMETERIZATIONS[config.parameterization](config, starts[config.start])
    return dc.in_pixel_space(images, data.mean, data.std) if is_pixel else images


def _decoder(config):
    names = {
        "multi_formation": ("factor",),
        "multi_scale_formation": ("factor",),
        "bounded_formation": ("factor", "bound"),
    }
    arguments = {name: getattr(config, name) for name in ("ipc", *names.get(config.parameterization, ()))}
    return {"name": config.parameterization, "arguments": arguments, "image_space": config.image_space}


def _image_optimizer(config, num_classes):
    rates = {"learning_rate": config.image_rate, "momentum": config.image_momentum}
    optimizer = (
        per_class_sgd(num_classes=num_classes, **rates)
        if config.image_optimizer == "per_class_sgd"
        else optax.sgd(**rates)
    )
    return optax.chain(optimizer, keep_within(0, 1)) if config.image_space == "pixel" else optimizer


def network_optimizer(config: Config) -> optax.GradientTransformation:
    """Of the networks that are compared on."""
    optimizer = optax.sgd(config.network_rate, momentum=config.network_momentum or None)
    return (
        optax.chain(optax.add_decayed_weights(config.network_decay), optimizer) if config.network_decay else optimizer
    )


def training(config: Config) -> dict:
    """How else those networks are trained, as keywords of what trains them."""
    augment = config.augment if config.network_augment == "same" else config.network_augment
    return {"batch_size": config.network_batch, "augment": AUGMENTS[augment], "mix": MIXES[config.network_mix]}
