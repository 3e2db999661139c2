"""Which settings change nothing beside others, so that a flag is refused and not passed over."""

from experiments.presets import CORESETS

_CONVNET = ("width", "depth", "norm", "activation", "pooling")
TRAINING = ("network_batch", "network_rate", "network_momentum", "network_decay", "network_augment", "network_mix")
_CONDENSING = (
    *("parameterization", "factor", "bound", "image_space", "start", "image_optimizer", "image_rate", "image_momentum"),
    *("objective", "iterations", "matches", "real_batch", "syn_batch", "distance", "augment"),
    *("trajectory", "inner_epochs", "network_steps", "warm_up_epochs", *TRAINING, "pool", "pool_epochs"),
    *("eval_at", "checkpoint_every"),
)


def network_fields(network: str) -> tuple[str, ...]:
    """The fields that describe such a network."""
    return _CONVNET if network == "convnet" else ()


def idle_of(method: str) -> set[str]:
    """Fields that change nothing with a method, whatever the others are."""
    chooses = method in CORESETS and method not in ("random", "whole")
    return {*(_CONDENSING if method in CORESETS else ()), *(() if chooses else ("coreset_epochs",))}


def idle(config) -> dict[str, str]:
    """Fields of such a config that change nothing -> why."""
    method = f"--method {config.method}"
    fields = dict.fromkeys(_CONVNET, f"--network {config.network}") if config.network != "convnet" else {}
    if config.method not in CORESETS:
        fields |= _of_images(config) | _of_networks(config)
    fields |= dict.fromkeys(idle_of(config.method), method)
    if config.method == "whole":
        fields |= dict.fromkeys(("whole", "baseline"), method)
    return fields


def _of_images(config):
    fields = {"distance": f"--objective {config.objective}"} if config.objective != "gradient_matching" else {}
    kind = f"--parameterization {config.parameterization}"
    unused = {"pixels": ("factor", "bound"), "bounded_formation": ()}.get(config.parameterization, ("bound",))
    return fields | dict.fromkeys(unused, kind)


def _of_networks(config):
    training = () if config.pool else TRAINING  # a pool is trained by the same settings
    unused = {
        "fresh": (*training, "inner_epochs", "network_steps", "warm_up_epochs"),
        "on_synthetic": ("network_steps", "warm_up_epochs"),
        "on_real": ("inner_epochs",),
    }[config.trajectory]
    fields = dict.fromkeys(unused, f"--trajectory {config.trajectory}")
    if config.iterations == 1:
        fields["warm_up_epochs"] = "--iterations 1"  # the first network has none
    is_warm = config.warm_up_epochs and "warm_up_epochs" not in fields
    if config.matches == 1 and not is_warm:
        fields = dict.fromkeys((*training, "trajectory", "inner_epochs", "network_steps"), "--matches 1") | fields
    return fields | ({} if config.pool else {"pool_epochs": "--pool 0"})
