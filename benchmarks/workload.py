"""Describes the work that is timed, for both sides to turn into a program, and counts its operations."""

import dataclasses
import json
from typing import Literal

from dcjax.networks import default_depth

SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3), "tiny_imagenet": (64, 64, 3)}
PRECISIONS = ("float32", "tensorfloat32")  # of matrix products and convolutions on a GPU
FACTOR, NETWORK_BATCH = 2, 64  # of IDC
BASES, DOWNSAMPLE, UNROLLED_BATCH = 16, 2, 32  # of Remember the Past: the last in every step, of each class
HALLUCINATORS, STUDENT_BATCH = 5, 256  # of HaBa; of MTT, in every step
PER_CLASS = 6000  # training images of a class, as MNIST has


@dataclasses.dataclass(frozen=True)
class Workload:
    """One piece of work on random images of a dataset's shape.

    `step`: one comparison of all classes and one update of the images. `outer`: `matches` comparisons, each but the last
    followed by `epochs` of training on the condensed images; with one match, that training follows it. `students`:
    `students` networks trained for `epochs` with the augmentation of digits, each tested on `test` images. `start`:
    loading the data and one step, from the start of the process. `idc`: one step of IDC with images cut into four, followed by
    `network_steps` of training on real images. `unrolled`: one step of Remember the Past, through `network_steps` of training on
    images recalled from a memory, on `tasks` networks. `trajectory`: one step of MTT, through `network_steps` of training on the
    condensed images. `hallucinated`: one of HaBa, `ipc` bases of each class seen through five hallucinators, and a step of its adversary.
    `dm`: one step of DM, which compares mean features under DSA's augmentation. A `step` or `dm` may compare a part of the classes.
    """

    kind: Literal["step", "outer", "students", "start", "idc", "unrolled", "trajectory", "hallucinated", "dm"]
    shape: str = "mnist"
    width: int = 128
    ipc: int = 1
    classes: int = 10
    real: int = 256
    matches: int = 1
    epochs: int = 0
    students: int = 0
    test: int = 0
    network_steps: int = 0
    tasks: int = 1
    compared: int | None = None  # classes in the comparison, drawn anew; all when None
    precision: str = PRECISIONS[0]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return SHAPES[self.shape]

    @property
    def name(self) -> str:
        size = f"{self.shape} ConvNet-{self.width} ipc {self.ipc}"
        if self.kind in ("step", "dm"):
            some = f"{self.compared} of " if self.compared else ""
            return f"{'DM ' if self.kind == 'dm' else ''}step, {size}, {some}{self.classes} classes x {self.real}"
        if self.kind == "idc":
            return f"IDC step, {size}, {self.classes} classes x {self.real}, {self.network_steps} network steps"
        if self.kind == "unrolled":
            tasks = f", {self.tasks} tasks" if self.tasks > 1 else ""
            return f"unrolled, {size}, {self.network_steps} steps of {self.classes} x {self.recalls_taken}{tasks}"
        if self.kind in ("trajectory", "hallucinated"):
            method = {"trajectory": "MTT", "hallucinated": "HaBa"}[self.kind]
            return f"{method} step, {size}, {self.network_steps} steps of {min(self.ipc * self.classes, STUDENT_BATCH)}"
        if self.kind == "outer":
            return f"outer, {size}, {self.matches} matches, {self.inner_epochs} epochs"
        if self.kind == "students":
            return f"students, {size}, {self.students} x {self.epochs} epochs, {self.test} tested"
        return f"start, {size}"

    @property
    def per_class(self) -> int:
        """Counts the training images of a class: as in MNIST if loading is part of the work, else no more than are drawn."""
        if self.kind == "start":
            return PER_CLASS
        return max(2 * self.real, -(-self.network_steps * NETWORK_BATCH // self.classes))

    @property
    def recalls(self) -> int:
        """Counts the images of each class that a memory recalls within the bytes of `ipc`."""
        height, width, channels = self.image_shape
        bases = BASES * height * width * channels // DOWNSAMPLE**2
        return (self.ipc * self.classes * height * width * channels - bases) // (self.classes * BASES)

    @property
    def recalls_taken(self) -> int:
        """Counts the images of each class in a step of unrolled training."""
        return min(UNROLLED_BATCH, self.recalls)

    @property
    def inner_epochs(self) -> int:
        return max(self.matches - 1, 1) * self.epochs

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self))


def gigaflops(work: Workload) -> float:
    """Counts the operations of the direct algorithm, in units of 1e9: what both sides would do without any shortcut.

    A convolution of `f` operations takes `f` forward and `f` for each of its two transposes; the first layer's image
    gradient is not needed for training. The image gradient of a distance between weight gradients takes about 7 `f`, and so does a step's
    share of a gradient through training; that of a distance between features, with its value, takes 2 `f`.
    """
    first, rest = _forward_flops(work)
    gradient = 3 * (first + rest) - first
    images = work.ipc * work.classes
    part = (work.compared or work.classes) / work.classes
    matching = part * (work.real * work.classes * gradient + images * 7 * (first + rest))
    inner = work.classes * work.recalls_taken * (gradient + 7 * (first + rest))
    formed = FACTOR**2 * images * 7 * (first + rest) + work.real * work.classes * gradient
    student = min(images, STUDENT_BATCH) * (gradient + 7 * (first + rest))
    adversary = 2 * images * (2 * (first + rest) + gradient)  # of two views: how alike they are, and its training
    total = {
        "trajectory": work.network_steps * student,
        "hallucinated": work.network_steps * student + adversary,
        "idc": formed + work.network_steps * NETWORK_BATCH * gradient,
        "unrolled": work.tasks * (work.network_steps * inner + work.real * work.classes * gradient),
        "step": matching,
        "dm": part * (work.real * work.classes + 2 * images) * (first + rest),
        "start": matching,
        "outer": work.matches * matching + work.inner_epochs * images * gradient,
        "students": work.students * (work.epochs * images * gradient + work.test * (first + rest)),
    }
    return total[work.kind] / 1e9


def _forward_flops(work: Workload) -> tuple[int, int]:
    """Counts the multiplications and additions of the first convolution and of the other layers, for one image."""
    channels, size = work.image_shape[-1], max(work.image_shape[0], 32)  # the first convolution pads MNIST's images
    depth = default_depth(size)
    first = 2 * size**2 * 9 * channels * work.width
    convolutions = sum(2 * (size // 2**i) ** 2 * 9 * work.width**2 for i in range(1, depth))
    return first, convolutions + 2 * (size // 2**depth) ** 2 * work.width * work.classes
