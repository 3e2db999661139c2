"""Holds the settings that all trajectories share: how networks are trained, and the pool of those trained beforehand."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal

import optax

import dcjax as dc
from dcjax import InputError
from experiments.parts.choices import Strategy, augmenting, idle_strategy, strategic
from experiments.parts.part import Context, Pretrain, Supply, TrajectoryPart
from experiments.parts.values import Count, MaybeSeed, Rate, Share, below


@dataclasses.dataclass(frozen=True)
class Training(TrajectoryPart):
    """The settings of how networks are trained between comparisons, and of what a new one begins with."""

    network_batch: Count = 256
    """Images in each training step of the network."""
    network_rate: Rate = 0.01
    """Learning rate of the network."""
    network_momentum: Share = 0.0
    """Momentum of the network."""
    network_decay: Share = 0.0
    """Weight decay of the network."""
    network_augment: Literal[
        "same", "none", "dsa", "dsa_digits", "dsa_batch", "dsa_digits_batch", "color_crop", "color_crop_cutout"
    ] = "same"
    """Augmentation of every image the network trains on; same takes that of --augment. Those that end in _batch draw one operator for a whole
    mini-batch, as published."""
    network_dsa_strategy: Strategy = ()
    """Operators that a DSA augmentation of its own draws from; all when not given, but for dsa_digits, which does not flip."""
    network_mix: Literal["none", "cutmix"] = "none"
    """Mixing of the images the network trains on."""
    pool: Annotated[int, below(10**4)] = 0
    """Number of networks trained on the training set beforehand; a new network begins as one of them, or untrained at 0."""
    pool_epochs: Count = 2
    """Epochs that each network of the pool is trained for."""

    init_seed: MaybeSeed = None
    """Seed of the one network that every new network begins as; each begins as its own when not given."""

    def check(self, settings: Any) -> None:
        if self.pool and self.init_seed is not None:
            raise InputError(
                "A new network begins as one of the --pool or as that of --init-seed, not as both: leave one out."
            )

        if settings.tasks > 1 and (self.pool or self.init_seed is not None):
            raise InputError(
                f"--tasks {settings.tasks} compares on networks that begin apart, but --pool and --init-seed begin all as the same one: leave "
                "--tasks out."
            )

    def idle(self, settings: Any) -> dict[str, str]:
        idle = idle_strategy("network_augment", "network_dsa_strategy", self.network_augment)
        return idle if self.pool else idle | {"pool_epochs": "--pool 0"}

    def idle_untrained(self, settings: Any) -> dict[str, str]:
        """Names the settings without effect if every network has one comparison, after which it is not trained."""
        if settings.matches > 1:
            return {}
        own = {field.name for field in dataclasses.fields(self)} - {
            "pool",
            "pool_epochs",
            "init_seed",
            "warm_up_epochs",
        }
        kept = {field.name for field in dataclasses.fields(Training)} if self.pool else set()
        return dict.fromkeys(("trajectory", *sorted(own - kept)), "--matches 1")

    def optimizer(self) -> optax.GradientTransformation:
        optimizer = optax.sgd(self.network_rate, momentum=self.network_momentum or None)
        return (
            optax.chain(optax.add_decayed_weights(self.network_decay), optimizer) if self.network_decay else optimizer
        )

    def how(self, augment: str) -> dict[str, Any]:
        """Gives batch size, augmentation and mixing as keywords of training; `augment` names the comparison's augmentation."""
        own = strategic(self.network_augment, self.network_dsa_strategy)
        name = augment if self.network_augment == "same" else own
        return {"batch_size": self.network_batch, **augmenting(name, self.network_mix)}

    def begin(self, net: dc.Network) -> Callable:
        """Gives the function that begins a new network."""
        if self.init_seed is not None:
            return dc.known(net, self.init_seed)
        return dc.drawn if self.pool else dc.untrained(net)

    def source(self, context: Context, pretrain: Pretrain) -> Supply:
        if not self.pool:
            return super().source(context, pretrain)
        pool = pretrain(self.pool, self, context.augment)
        return lambda source, t: dc.with_pool(source, pool)
