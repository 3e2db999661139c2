"""Holds the settings that do not belong to one part of a method, in the groups that `--help` shows."""

import dataclasses
from typing import Annotated, Any, Literal

from dcjax import InputError
from dcjax.data import PAPER_STATISTICS
from experiments.parts.images import Images
from experiments.parts.part import Part, claim
from experiments.parts.values import (
    MOST,
    POSITIVE,
    Count,
    Mark,
    MaybeChannels,
    MaybeCount,
    MaybeRate,
    MaybeSide,
    Rate,
    Seed,
    Steps,
)

Free = Mark.FREE, Mark.ASIDE


@dataclasses.dataclass(frozen=True)
class Run(Part):
    """The run: its method, its data and its directory."""

    method: str = "dc"
    """Method that condenses images, or chooses real ones to compare with."""
    dataset: str = "digits"
    """Data set: digits, a TFDS name (mnist, fashion_mnist, svhn_cropped, cifar10, cifar100, ...), folder:PATH or npz:PATH."""
    ipc: Count = 1
    """Condensed images per class."""
    workdir: Annotated[str | None, *Free] = None
    """Run directory; runs/METHOD-DATASET-IPC when not given."""
    resume: Annotated[bool, *Free, Mark.LAUNCH] = False
    """Continue the run in the run directory: bit for bit on as many devices, up to rounding on another number."""
    data_dir: Annotated[str | None, *Free] = None
    """Folder of prepared TFDS datasets (or set TFDS_DATA_DIR)."""
    image_size: MaybeSide = None
    """Pixels along each side, to which images are cropped and resized."""
    channels: MaybeChannels = None
    """Channels of images: 1 makes them grey, 3 repeats grey ones; as they are when not given."""
    only_classes: tuple[int, ...] = ()
    """Classes to take, by their numbers, as if the data set had no others; all when not given."""
    statistics: Literal[("own", *PAPER_STATISTICS)] = "own"
    """Data set whose published mean and deviation of every channel normalise the images; own takes those of the data set itself."""
    zca: bool = False
    """Whiten images (ZCA, fitted on the training split) instead of normalising each channel."""
    zca_epsilon: Rate = 0.1
    """Number that ZCA adds to the variances (of pixels in [0, 1]) that it divides by."""
    seed: Annotated[Seed, Mark.ASIDE] = 0
    """Seed of all random numbers of the run."""

    def idle(self, settings: Any) -> dict[str, str]:
        whitening = {"statistics": "--zca"} if self.zca else {"zca_epsilon": "--no-zca"}
        is_elsewhere = self.dataset == "digits" or self.dataset.partition(":")[0] in ("folder", "npz")
        return whitening | ({"data_dir": f"--dataset {self.dataset}"} if is_elsewhere else {})


@dataclasses.dataclass(frozen=True)
class Loop(Part):
    """The outer loop: how many comparisons it makes, and of how many images."""

    iterations: Annotated[Count, Mark.FREE] = 1000
    """Outer iterations, each of which compares on a network of its own."""
    minutes: Annotated[MaybeRate, *Free] = None
    """Minutes of iterations to make instead, compiling apart; the result says how many those were."""
    matches: Steps = 1
    """Comparisons per network, each with one update of what is learned."""
    real_batch: Count = 256
    """Real images per class in a comparison; at most as many as the smallest class has."""
    syn_batch: MaybeCount = None
    """Most condensed images per class in a comparison; all when not given."""
    classes: MaybeCount = None
    """Classes in a comparison, drawn anew in each; all when not given."""
    tasks: Steps = 1
    """Networks that every comparison is made on, divided among the devices; its loss is their mean."""
    checkpoint_every: Annotated[Count, *Free] = 10
    """Iterations between checkpoints."""
    eval_at: Annotated[tuple[int, ...], *Free] = ()
    """Iterations after which the set is evaluated besides the last, 0 for none; a quarter and a half of 100 or more when not given, each by a
    tenth of the students."""
    eval_minutes: Annotated[tuple[float, ...], *POSITIVE, *Free] = ()
    """Minutes after which the set of a run of --minutes is evaluated besides the end."""

    def idle(self, settings: Any) -> dict[str, str]:
        return {} if self.minutes else {"eval_minutes": "a run without --minutes"}

    def check(self, settings: Any) -> None:
        late = [each for each in self.eval_minutes if self.minutes and each >= self.minutes]
        if late:
            raise InputError(
                f"--eval-minutes names {late[0]:g}, but the run ends after --minutes {self.minutes:g}, when it is evaluated anyway: give fewer."
            )
        last = MOST if self.minutes else self.iterations
        if self.eval_at == (0,):
            return
        outside = [t for t in self.eval_at if not 1 <= t <= last]
        if outside:
            raise InputError(f"--eval-at names iteration {outside[0]}, but the run goes from 1 to {last}.")


@dataclasses.dataclass(frozen=True)
class Selection(Part):
    """The choice of real images."""

    coreset_epochs: Annotated[Count, Mark.ASIDE] = 20
    """Epochs that the network which chooses images is trained for, on the whole training set."""


@dataclasses.dataclass(frozen=True)
class Evaluation(Part):
    """The evaluation of the set."""

    num_students: Annotated[Steps, *Free] = 20
    """Students (networks trained from scratch on the set) in an evaluation."""


@dataclasses.dataclass(frozen=True)
class Rivals(Part):
    """The real images that the set is compared with."""

    baseline: Annotated[bool, *Free] = True
    """Also evaluate as many random real images, a fresh draw for every student."""
    whole: Annotated[bool, *Free] = False
    """Also evaluate the whole training set."""


@dataclasses.dataclass(frozen=True)
class Launch(Part):
    """The devices and processes that the run is computed on."""

    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    """Precision of matrix products and convolutions on a GPU or TPU; a CPU always computes in float32."""
    devices: Annotated[str, *Free, Mark.LAUNCH] = "all"
    """Number of devices that classes and students are divided among, or all."""
    coordinator: Annotated[str | None, *Free, Mark.LAUNCH] = None
    """Address where several processes meet: HOST:PORT of the first, or auto for the cluster's own (Slurm, Open MPI, TPU pods)."""
    num_processes: Annotated[int | None, *Free, Mark.LAUNCH] = None
    """Number of processes, with --coordinator HOST:PORT."""
    process_id: Annotated[int | None, *Free, Mark.LAUNCH] = None
    """Number of this process, from 0; process 0 alone writes."""

    @property
    def device_count(self) -> int | None:
        """Gives the number of devices; None for all."""
        return None if self.devices == "all" else int(self.devices)

    def check(self, settings: Any) -> None:
        if self.devices != "all" and not (self.devices.isdecimal() and 0 < float(self.devices) <= MOST):
            raise InputError(f"--devices is all or a number from 1 to {MOST}, not {self.devices}.")
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


GROUPS = {
    "run": Run,
    "loop": Loop,
    "images": Images,
    "selection": Selection,
    "evaluation": Evaluation,
    "rivals": Rivals,
    "launch": Launch,
}
for _name, _group in GROUPS.items():
    claim(_name, _group)
