"""The settings of a run: one frozen dataclass whose fields are the flags of `experiments.run`."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

from dcjax import InputError
from experiments.cli import flag
from experiments.idle import idle
from experiments.papers import paper_cell
from experiments.presets import CORESETS, preset

_COUNTS = (
    *("ipc", "width", "iterations", "matches", "factor", "bound", "real_batch", "network_batch", "network_steps"),
    *("num_students", "pool_epochs", "checkpoint_every", "coreset_epochs"),
)
_RANGES = (
    *(("inner_epochs", 10**9), ("warm_up_epochs", 10**9), ("eval_epochs", 10**9), ("pool", 10**4), ("seed", 2**32)),
    *(("image_momentum", 1), ("network_momentum", 1), ("network_decay", 1)),
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Condenses a dataset. --method, --dataset and --ipc choose the paper's settings; every other flag overrides one."""

    method: str = "dc"
    """dc: gradient matching; dsa: with siamese augmentation; dm: distribution matching; idc: several images from the bytes of
    one, matched on networks trained on real data; idc_i: the same with whole images. Real images to compare with: random,
    herding, k_center, forgetting, kmeans; whole: all of them."""
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

    network: Literal["convnet", "mlp", "lenet", "alexnet", "vgg11", "resnet18"] = "convnet"
    """Architecture that is matched and evaluated."""
    width: int = 128
    """Channels of the ConvNet."""
    depth: int | None = None
    """Blocks of the ConvNet; from the resolution when not given."""
    norm: Literal["instance", "group", "layer", "none"] = "instance"
    """Normalisation of the ConvNet."""
    activation: Literal["relu", "leaky_relu", "sigmoid", "swish"] = "relu"
    """Activation of the ConvNet."""
    pooling: Literal["avg", "max", "none"] = "avg"
    """Pooling of the ConvNet."""

    parameterization: Literal["pixels", "multi_formation", "multi_scale_formation", "bounded_formation"] = "pixels"
    """What is learned: the images, or images that are each cut into several."""
    factor: int = 2
    """Cells along each side of an image that is cut."""
    bound: int = 128
    """Most images of a class that are cut from what is learned, with bounded_formation."""
    image_space: Literal["normalised", "pixel"] = "normalised"
    """How images are kept: as networks see them, or as pixels that stay in [0, 1]."""
    start: Literal["noise", "real"] = "noise"
    """What condensed images start from."""
    image_optimizer: Literal["sgd", "per_class_sgd"] = "sgd"
    """Of the images; per_class_sgd moves them as far as IDC's one step for each class."""
    image_rate: float = 0.1
    """Learning rate of the images."""
    image_momentum: float = 0.5
    """Momentum of the images."""

    objective: Literal["gradient_matching", "distribution_matching"] = "gradient_matching"
    """What is compared."""
    iterations: int = 1000
    """Outer iterations: fresh networks to match on."""
    matches: int = 1
    """Comparisons per network, each with one update of the images."""
    real_batch: int = 256
    """Real images per class in a comparison; at most the smallest class."""
    syn_batch: int | None = None
    """At most so many condensed images per class in a comparison; all when not given."""
    distance: Literal[
        "filterwise_cosine", "squared_error", "cosine", "convolution_squared_error", "convolution_absolute_error"
    ] = "filterwise_cosine"
    """Between the two gradients; those of convolutions leave all other parameters out."""
    augment: Literal["none", "dsa", "dsa_digits", "color_crop", "color_crop_cutout"] = "none"
    """Siamese augmentation in comparisons; dsa_digits does not flip."""

    trajectory: Literal["fresh", "on_synthetic", "on_real"] = "on_synthetic"
    """The networks that are compared on: never trained, or trained between two comparisons on condensed or on real images."""
    inner_epochs: int = 1
    """Epochs the network trains on the condensed images between two comparisons, with on_synthetic."""
    network_steps: int = 8
    """Steps the network trains on real images between two comparisons, with on_real."""
    warm_up_epochs: int = 0
    """Passes over one draw of real images before the first comparison of every network but the run's first, with on_real."""
    network_batch: int = 256
    """Images in each step of the network."""
    network_rate: float = 0.01
    """Learning rate of the network between comparisons."""
    network_momentum: float = 0.0
    """Momentum of the network."""
    network_decay: float = 0.0
    """Weight decay of the network."""
    network_augment: Literal["same", "none", "dsa", "dsa_digits", "color_crop", "color_crop_cutout"] = "same"
    """Augmentation of every image the network trains on; same: as --augment."""
    network_mix: Literal["none", "cutmix"] = "none"
    """Mixing of the images the network trains on."""
    pool: int = 0
    """Networks trained on the training set beforehand that every new one is drawn from; 0: new ones are untrained."""
    pool_epochs: int = 2
    """Epochs that each of the pool is trained for."""

    num_students: int = 20
    """Networks trained from scratch in an evaluation."""
    eval_epochs: int = 300
    """Epochs of each."""
    eval_recipe: Literal["dc", "idc"] = "dc"
    """Schedule and batch size of their training: DC's (DSA's and DM's too) or IDC's."""
    eval_augment: Literal["none", "dc_digits", "dsa", "dsa_digits", "idc", "idc_digits", "idc_digits_cutout"] = "none"
    """Augmentation while they train."""
    eval_mix: Literal["none", "cutmix"] = "none"
    """Mixing while they train."""
    eval_at: tuple[int, ...] = ()
    """Iterations to evaluate at besides the last."""
    baseline: bool = True
    """Also evaluate as many random real images, a fresh draw for every network."""
    whole: bool = False
    """Also evaluate the full training set."""
    coreset_epochs: int = 20
    """Epochs of the network, trained on the whole training set, by which herding, k_center, forgetting and kmeans choose."""
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
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise InputError(f"{flag(name)} must be at least 1, not {getattr(self, name)}.")
        for name, limit in _RANGES:
            if not 0 <= getattr(self, name) < limit:
                raise InputError(f"{flag(name)} must be from 0 to below {limit}, not {getattr(self, name)}.")
        for name in ("image_rate", "network_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{flag(name)} must be a positive number, not {getattr(self, name)}.")
        for name in ("depth", "syn_batch"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{flag(name)} must be at least 1, not {getattr(self, name)}.")
        self._check_cells()
        self._check_launch()
        self._check_use()
        outside = [t for t in self.eval_at if not 1 <= t <= self.iterations]
        if outside:
            raise InputError(f"--eval-at names iteration {outside[0]}, but the run goes from 1 to {self.iterations}.")

    def _check_cells(self):
        """What one image is cut into must fit where a number of images is bounded."""
        if self.parameterization == "pixels" or self.syn_batch is None or self.syn_batch >= self.factor**2:
            return
        raise InputError(
            f"--syn-batch {self.syn_batch} is less than the {self.factor**2} images that one is cut into by --factor "
            f"{self.factor}: give at least {self.factor**2}."
        )

    def _check_use(self):
        """A flag that would change nothing is refused, not passed over."""
        own, unused = preset(self.method, self.dataset, self.ipc, self.network), idle(self)
        for field in dataclasses.fields(self):
            if field.name in unused and getattr(self, field.name) not in (field.default, own.get(field.name)):
                raise InputError(f"{flag(field.name)} changes nothing with {unused[field.name]}: leave it out.")

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
    def condenses(self) -> bool:
        """Whether images are learned, not chosen."""
        return self.method not in CORESETS

    @property
    def device_count(self) -> int | None:
        return None if self.devices == "all" else int(self.devices)


# How a run is started; not part of what it is, so it is neither saved nor repeated by the next start.
LAUNCH = {"resume": False, "devices": "all", "coordinator": None, "num_processes": None, "process_id": None}

# Fields that may differ when a run is resumed: they change what an iteration does to the images by rounding at most.
_FREE = {"workdir", "data_dir", "iterations", "checkpoint_every", "eval_at", "baseline", "whole", *LAUNCH}
_UNPUBLISHED = {"seed", "coreset_epochs", "num_students"}  # what a paper's figure is not of one value of
EVALUATION = ("num_students", "eval_recipe", "eval_epochs", "eval_augment", "eval_mix")
_FREE |= set(EVALUATION)


def defaults(method: str, dataset: str, ipc: int, network: str) -> Config:
    """The settings that a run has when nothing else is said: the paper's where there are some."""
    return Config(**preset(method, dataset, ipc, network))


def published(config: Config) -> dict[str, tuple[float, float | None]]:
    """The paper's accuracies for this cell; none when the run departs from the paper's settings."""
    paper = defaults(config.method, config.dataset, config.ipc, Config.network)
    matters = {field.name for field in dataclasses.fields(Config)} - _FREE | {"iterations", *EVALUATION}
    departs = any(getattr(config, name) != getattr(paper, name) for name in matters - _UNPUBLISHED)
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
    """A saved config; what it does not say yet is as its method has it."""
    try:
        fields = json.loads(path.read_text())
        own = preset(*(fields[name] for name in ("method", "dataset", "ipc", "network")))
        return Config(**{**own, **fields, "eval_at": tuple(fields["eval_at"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}): start the run again in another --workdir.") from None


def dump(config: Config) -> dict:
    return dataclasses.asdict(dataclasses.replace(config, **LAUNCH))
