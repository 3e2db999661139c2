"""The settings of a run: one frozen dataclass whose fields are the flags, and the one door through which they come."""

import argparse
import contextlib
import dataclasses
import difflib
import io
import json
import re
import shlex
from pathlib import Path
from typing import Literal, NoReturn

import tyro

from dcjax import InputError
from experiments.presets import paper_cell, preset

METHODS = ("dc",)


@dataclasses.dataclass(frozen=True)
class Config:
    """Condenses a dataset. --method, --dataset and --ipc choose the paper's settings; every other flag overrides one."""

    method: str = "dc"
    """dc: condensation by gradient matching."""
    dataset: str = "digits"
    """digits, a TFDS name (mnist, fashion_mnist, svhn_cropped, cifar10, cifar100, ...), folder:PATH or npz:PATH."""
    ipc: int = 1
    """Condensed images per class."""
    workdir: str | None = None
    """Run directory; runs/METHOD-DATASET-IPC when not given."""
    resume: bool = False
    """Continue the run in the run directory: bit for bit on as many devices, up to rounding on others."""
    data_dir: str | None = None
    """Where TFDS datasets are prepared (or TFDS_DATA_DIR)."""
    image_size: int | None = None
    """Crop and resize images to this many pixels a side."""
    seed: int = 0
    """The one seed of the run."""

    network: Literal["convnet"] = "convnet"
    """Architecture that is matched and evaluated."""
    width: int = 128
    """Channels of the network."""
    depth: int | None = None
    """Blocks of the network; from the resolution when not given."""
    norm: Literal["instance", "group", "layer", "none"] = "instance"
    """Normalisation of the network."""
    activation: Literal["relu", "leaky_relu", "sigmoid", "swish"] = "relu"
    """Activation of the network."""
    pooling: Literal["avg", "max", "none"] = "avg"
    """Pooling of the network."""

    iterations: int = 1000
    """Outer iterations: fresh networks to match on."""
    matches: int = 1
    """Comparisons per network, each with one update of the images."""
    inner_epochs: int = 1
    """Epochs the network trains on the condensed images between two comparisons."""
    real_batch: int = 256
    """Real images per class in a comparison; at most the smallest class."""
    distance: Literal["filterwise_cosine", "squared_error", "cosine"] = "filterwise_cosine"
    """Between the two gradients."""
    start: Literal["noise", "real"] = "noise"
    """What condensed images start from."""
    image_rate: float = 0.1
    """Learning rate of the images."""
    image_momentum: float = 0.5
    """Momentum of the images."""
    network_rate: float = 0.01
    """Learning rate of the network between comparisons."""

    num_students: int = 20
    """Networks trained from scratch in an evaluation."""
    eval_epochs: int = 300
    """Epochs of each."""
    eval_augment: Literal["none", "dc_digits"] = "none"
    """Augmentation while they train."""
    eval_at: tuple[int, ...] = ()
    """Iterations to evaluate at besides the last."""
    whole: bool = False
    """Also evaluate the full training set."""
    checkpoint_every: int = 10
    """Iterations between checkpoints."""

    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    """Of matrix products and convolutions on a GPU or TPU; a CPU always computes in float32."""
    devices: str = "all"
    """Devices that share the classes and the students: all, or a number."""
    coordinator: str | None = None
    """Where several processes meet: HOST:PORT of the first, or auto for the cluster's own (Slurm, Open MPI, TPU pods)."""
    num_processes: int | None = None
    """How many processes, with --coordinator HOST:PORT."""
    process_id: int | None = None
    """Which of them this one is, from 0; only 0 writes."""

    def __post_init__(self):
        for name in ("ipc", "width", "iterations", "matches", "real_batch", "num_students", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{flag(name)} must be at least 1, not {getattr(self, name)}.")
        for name, limit in (("inner_epochs", 10**9), ("eval_epochs", 10**9), ("seed", 2**32), ("image_momentum", 1)):
            if not 0 <= getattr(self, name) < limit:
                raise InputError(f"{flag(name)} must be from 0 to below {limit}, not {getattr(self, name)}.")
        for name in ("image_rate", "network_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{flag(name)} must be a positive number, not {getattr(self, name)}.")
        if self.depth is not None and self.depth < 1:
            raise InputError(f"--depth must be at least 1, not {self.depth}.")
        self._check_launch()
        outside = [t for t in self.eval_at if not 1 <= t <= self.iterations]
        if outside:
            raise InputError(f"--eval-at names iteration {outside[0]}, but the run goes from 1 to {self.iterations}.")

    def _check_launch(self):
        if self.devices != "all" and not (self.devices.isdecimal() and int(self.devices) > 0):
            raise InputError(f"--devices is all or a number from 1, not {self.devices}.")
        if self.coordinator is None and (self.num_processes, self.process_id) != (None, None):
            raise InputError("--num-processes and --process-id go with --coordinator HOST:PORT, which is missing.")
        if self.coordinator == "auto" and (self.num_processes, self.process_id) != (None, None):
            raise InputError("--coordinator auto finds --num-processes and --process-id by itself: leave them out.")
        if self.coordinator in (None, "auto"):
            return
        if ":" not in self.coordinator or self.num_processes is None or self.process_id is None:
            raise InputError("--coordinator is auto, or HOST:PORT together with --num-processes and --process-id.")
        if not 0 <= self.process_id < self.num_processes:
            raise InputError(f"--process-id is from 0 to {self.num_processes - 1}, not {self.process_id}.")

    @property
    def device_count(self) -> int | None:
        return None if self.devices == "all" else int(self.devices)


# How a run is started; not part of what it is, so it is neither saved nor repeated by the next start.
_LAUNCH = {"resume": False, "devices": "all", "coordinator": None, "num_processes": None, "process_id": None}

# Fields that may differ when a run is resumed: they change what an iteration does to the images by rounding at most.
_FREE = {
    *("workdir", "data_dir", "iterations", "num_students", "eval_epochs", "eval_augment", "eval_at", "whole"),
    "checkpoint_every",
    *_LAUNCH,
}


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def parse(argv: list[str]) -> Config:
    """Command line -> config. A resumed run starts from its own saved settings, any other from the preset.

    Raises:
        InputError: names the choices, and the nearest where something was misspelt.
    """
    _check_flags(argv)
    chosen = _choose(argv)
    defaults = Config(**preset(chosen.method, chosen.dataset, chosen.ipc))
    if chosen.coordinator and not chosen.workdir:
        raise InputError("Several processes need one --workdir that all of them see: give it.")
    workdir = chosen.workdir or default_workdir(chosen)
    saved = Path(workdir, "config.json")
    if chosen.resume and saved.is_file():
        defaults = load(saved)
    return dataclasses.replace(_tyro(argv, defaults), workdir=workdir)


def default_workdir(chosen: argparse.Namespace) -> str:
    """The first free `runs/METHOD-DATASET-IPC`, or the last taken one when that is to be resumed."""
    kind, _, path = chosen.dataset.partition(":")
    name = f"{kind}-{Path(path).stem}" if path else kind.replace("/", "-")
    base = Path("runs") / f"{chosen.method}-{name}-{chosen.ipc}"
    candidates = [base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 10_000))]
    taken = next(i for i, path in enumerate(candidates) if not path.exists())
    return str(candidates[max(taken - 1, 0) if chosen.resume else taken])


def command(config: Config) -> str:
    """The shortest command line that makes this run, however often it was stopped and resumed."""
    defaults = Config(**preset(config.method, config.dataset, config.ipc))
    chosen = {"method", "dataset", "ipc"}
    words = ["python", "-m", "experiments.run"]
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        if field.name in {"workdir", *_LAUNCH} or (field.name not in chosen and value == getattr(defaults, field.name)):
            continue
        values = [] if value is True else map(str, value) if isinstance(value, tuple) else [str(value)]
        words += [flag(field.name), *values]
    return shlex.join(words)


def published(config: Config) -> dict[str, tuple[float, float]]:
    """The paper's accuracies for this cell; none when the run departs from the paper's settings."""
    paper = Config(**preset(config.method, config.dataset, config.ipc))
    matters = {field.name for field in dataclasses.fields(Config)} - _FREE | {
        "iterations",
        "eval_epochs",
        "eval_augment",
    }
    departs = any(getattr(config, name) != getattr(paper, name) for name in matters - {"seed"})
    return {} if departs else paper_cell(config.method, config.dataset, config.ipc)


def check_resumable(config: Config, saved: Config) -> None:
    """A resumed run must be the run that was started."""
    different = [
        f"{flag(field.name)} was {getattr(saved, field.name)}, is {getattr(config, field.name)}"
        for field in dataclasses.fields(Config)
        if field.name not in _FREE and getattr(saved, field.name) != getattr(config, field.name)
    ]
    if different:
        raise InputError(f"This run was started with other settings ({'; '.join(different)}): resume it with its own.")


def load(path: Path) -> Config:
    try:
        fields = json.loads(path.read_text())
        return Config(**{**fields, "eval_at": tuple(fields["eval_at"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}): start the run again in another --workdir.") from None


def dump(config: Config) -> dict:
    return dataclasses.asdict(dataclasses.replace(config, **_LAUNCH))


def _check_flags(argv):
    known = {flag(field.name) for field in dataclasses.fields(Config)}
    known |= {"--no-resume", "--no-whole", "--help", "-h"}
    for argument in argv:
        name = argument.split("=")[0].replace("_", "-")
        if argument.startswith("--") and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}? All" if close else "all"
            raise InputError(f"There is no flag {name}: {hint} flags are listed by --help.")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"The command line cannot be read: {message}.")


def _choose(argv):
    """What decides the preset, ahead of everything else."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--method", default="dc")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--workdir")
    parser.add_argument("--coordinator")
    parser.add_argument("--resume", action="store_true")
    chosen, _ = parser.parse_known_args(argv)
    if chosen.method not in METHODS:
        close = difflib.get_close_matches(chosen.method, METHODS, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise InputError(f"There is no method {chosen.method!r}: choose {', '.join(METHODS)}.{hint}")
    if chosen.ipc < 1:
        raise InputError(f"--ipc is the number of images per class and at least 1, not {chosen.ipc}.")
    return chosen


def _tyro(argv, defaults):
    """tyro, with its framed error reduced to the sentence inside."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(Config, args=argv, default=defaults, description=Config.__doc__)
    except SystemExit as end:
        if not end.code:
            raise
        text = re.sub(r"\x1b\[[0-9;]*m|[╭╮╰╯│─]", " ", errors.getvalue())
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        body = " ".join(line for line in lines[1:] if "--help" not in line)
        raise InputError(f"The command line cannot be read: {' '.join(body.split())}") from None
