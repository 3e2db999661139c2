"""Trains experts, networks on the real images whose weights are kept after every epoch, for MTT, TESLA and HaBa.

python -m experiments.experts --dataset digits
python -m experiments.experts --dataset cifar10 --stored float16 -- --width 64

Flags after `--` are those of experiments.run that say which data and which network, such as --zca, --image-size or --width; a run needs
experts of its own network and data. A command that was stopped goes on when it is given again, and a larger --number adds experts.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import jax
import optax

import dcjax as dc
from dcjax import InputError, experts, sharding
from dcjax.files import read_json
from experiments.parts.choices import Strategy, augmentation, idle_strategy, strategic
from experiments.parts.expert import default_place
from experiments.parts.values import MaybeCount, MaybeRate, Seed, Share, check_ranges, flag
from experiments.pipeline import lock, schooling, show
from experiments.pipeline.build import made_on, of_experts
from experiments.pipeline.endings import exit_code
from experiments.pipeline.job import load_data
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.stop import StopRequest
from experiments.settings.flags import flags_in, read
from experiments.settings.parse import parse

_PUBLISHED = {"number": 100, "epochs": 50, "rate": 0.01, "batch": 256}
_QUICK = {"number": 20, "epochs": 20, "rate": 0.05, "batch": 64}  # so that it takes a minute


@dataclasses.dataclass(frozen=True)
class Schooled:
    """Trains experts on the real images and keeps their weights after every epoch."""

    dataset: str = "digits"
    """Data set to train on, named as for experiments.run."""
    workdir: str | None = None
    """Directory of the experts; runs/experts-DATASET when not given."""
    number: MaybeCount = None
    """Experts; 100 as published when not given, on digits 20."""
    epochs: MaybeCount = None
    """Epochs that each is trained for; 50 as published when not given, on digits 20."""
    rate: MaybeRate = None
    """Learning rate of the experts; 0.01 as published when not given, on digits 0.05."""
    momentum: Share = 0.0
    """Momentum of the experts."""
    decay: Share = 0.0
    """Weight decay of the experts."""
    batch: MaybeCount = None
    """Images in each training step; 256 as published when not given, on digits 64."""
    augment: Literal["same", "none", "dsa", "dsa_digits", "color_crop", "color_crop_cutout"] = "same"
    """Augmentation of the images; same takes that of MTT on this data set."""
    dsa_strategy: Strategy = ()
    """Operators that DSA's augmentation draws from; all when not given, but for dsa_digits, which does not flip."""
    stored: Literal["float32", "float16"] = "float32"
    """Precision of the weights on disk."""
    at_once: MaybeCount = None
    """Experts that are trained together; one on each device when not given."""
    seed: Seed = 0
    """Seed of all random numbers."""
    data_dir: str | None = None
    """Directory of prepared data sets."""
    devices: MaybeCount = None
    """Number of devices that experts are divided among; all when not given."""

    def __post_init__(self):
        check_ranges(self)

    def resolved(self) -> "Schooled":
        """Gives the data set's own values to what was not given."""
        own = _QUICK if self.dataset == "digits" else _PUBLISHED
        return dataclasses.replace(self, **{name: value for name, value in own.items() if getattr(self, name) is None})


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(train, argv)


def train(argv: list[str]) -> None:
    at = argv.index("--") if "--" in argv else len(argv)
    wanted, rest = read(Schooled, argv[:at]).resolved(), argv[at + 1 :]
    configure_jax()
    settings = _of_run(wanted.dataset, rest)
    wanted = dataclasses.replace(wanted, augment=settings.augment) if wanted.augment == "same" else wanted
    for reason in idle_strategy("augment", "dsa_strategy", wanted.augment).values() if wanted.dsa_strategy else ():
        raise InputError(f"--dsa-strategy changes nothing with {reason}: leave it out.")
    place = Path(wanted.workdir or default_place(wanted.dataset)).expanduser()
    with StopRequest() as stop, sharding.across(wanted.devices):
        data = load_data(settings, wanted.data_dir).replicated()
        noted = _noted(place)
        at_once = wanted.at_once or noted.get("training", {}).get("at_once") or sharding.device_count()
        school = _school(wanted, settings, data, at_once)
        about = {"made_on": made_on(settings, data), "training": _training(wanted, at_once)}
        _check_alike(place, noted, about)
        schooling.check_room(school, place)
        with lock.held(place):
            _check_alike(place, noted := _noted(place), about)  # again, as another command may have made some meanwhile
            stop.advice = "The experts are kept as far as they are: give the same command again."
            schooling.train(school, place, about, noted.get("number", 0), stop)
    show.say(f"{wanted.number} experts are in {place}")


def _of_run(dataset, words):
    """Gives the settings of a run that takes these experts; `words` say which data and network, and nothing else."""
    settings = parse(["--method", "mtt", "--dataset", dataset, *words])
    known = {flag(prefix + name) for name in of_experts(settings) for prefix in ("", "no_")}
    for name in flags_in(words):
        if name not in known:
            raise InputError(
                f"{name} says nothing about the data or the network of experts: leave it out behind --, where {', '.join(sorted(known))} may be."
            )
    return settings


def _school(wanted, settings, data, at_once):
    net = dc.network(settings.parts["network"].build(data.num_classes), data.image_shape)
    optimizer = optax.sgd(wanted.rate, momentum=wanted.momentum or None)
    if wanted.decay:
        optimizer = optax.chain(optax.add_decayed_weights(wanted.decay), optimizer)
    return schooling.School(
        net,
        data.train,
        jax.random.key(wanted.seed),
        wanted.number,
        wanted.epochs,
        optimizer,
        wanted.batch,
        augmentation(strategic(wanted.augment, wanted.dsa_strategy)),
        at_once=at_once,
        stored=wanted.stored,
    )


def _training(wanted, at_once):
    """Gives what experts of one directory have in common; their number may grow."""
    names = ("epochs", "rate", "momentum", "decay", "batch", "stored", "seed")
    augment = strategic(wanted.augment, wanted.dsa_strategy)
    return {name: getattr(wanted, name) for name in names} | {"augment": augment, "at_once": at_once}


def _noted(place):
    """Gives what is noted of experts that are there or were begun; nothing where there are none."""
    return read_json(place / experts.NOTE, "give another --workdir") if (place / experts.NOTE).is_file() else {}


def _check_alike(place, noted, about):
    """Refuses to go on among experts that were made otherwise."""
    for group in ("made_on", "training") if noted else ():
        for name, value in about[group].items():
            found = noted.get(group, {}).get(name)
            if found != value:
                raise InputError(
                    f"The experts in {place} were made with {flag(name)} {found}, not {value}: give another --workdir."
                )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
