"""Loads real images, all through one door, `load(name)`.

data = dcjax.data.load("mnist")
data.train.batch()                    # everything, flat
data.sample(key, 256)                 # 256 of every class, [K, 256, H, W, C], inside jit
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

from dcjax.base import Batch, InputError, Key
from dcjax.data import sources
from dcjax.data.folder import folder
from dcjax.data.resize import check_size, recoloured
from dcjax.data.split import Split as Split
from dcjax.data.split import group_by_class
from dcjax.normalisation import Fit, MeanStd, channel_statistics, mean_std
from dcjax.sharding import replicate

# The papers' mean and deviation of each channel, of the training split's values in [0, 1], because their learning rates go with
# them. CIFAR's deviations are, as published, the ones of all pixels; other datasets are measured.
PAPER_STATISTICS = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2861,), (0.3530,)),
    "svhn_cropped": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
}
NAMES = ("digits", *PAPER_STATISTICS)


@dataclass(frozen=True)
class Dataset:
    """Holds two splits, on the device, that share classes, image shape and normalisation."""

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]

    @property
    def mean(self) -> tuple[float, ...]:
        """Gives the mean of every channel of the training set, of pixels in [0, 1]."""
        return self.train.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Gives the deviation of every channel of the training set."""
        return self.train.std

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.train.image_shape

    @property
    def num_classes(self) -> int:
        return self.train.num_classes

    def replicated(self) -> "Dataset":
        """Puts the data on every device of the mesh that `dcjax.sharding.across` made."""
        return replace(self, train=replicate(self.train), test=replicate(self.test))

    def fingerprint(self) -> str:
        """Gives a text that two runs share if they see the same training data, normalised in the same way."""
        digest = hashlib.sha256(np.ascontiguousarray(self.train.image))
        facts = (self.train.image.shape, self.train.counts, *self.train.normalisation.identity)
        digest.update(repr(facts).encode())
        return digest.hexdigest()

    def only(self, classes: Sequence[int]) -> "Dataset":
        """Gives the data of some classes alone, numbered anew in the order given, normalised as before."""
        if len(classes) < 2 or len({*classes}) < len(classes) or not all(0 <= k < self.num_classes for k in classes):
            raise InputError(
                f"{', '.join(map(str, classes)) or 'None'} are no classes of {self.name} to tell apart: give at least two different numbers from "
                f"0 to {self.num_classes - 1}."
            )
        names = tuple(self.class_names[k] for k in classes)
        return replace(self, train=self.train.only(classes), test=self.test.only(classes), class_names=names)

    def sample(self, key: Key, n: int) -> Batch:
        """Draws `n` training images of every class without replacement: [K, n, ...]."""
        return self.train.sample(key, n)


def load(
    name: str,
    *,
    data_dir: str | None = None,
    image_size: int | None = None,
    channels: int | None = None,
    normalisation: Fit | None = None,
) -> Dataset:
    """Loads a dataset by name.

    Args:
        name: `digits` (scikit-learn's, embedded), a TFDS image classification dataset (`mnist`, `cifar10`, ...),
            `folder:PATH` (one subfolder per class, or `train/` and `test/`) or `npz:PATH`.
        data_dir: the folder in which TFDS datasets are prepared; `$TFDS_DATA_DIR` or TFDS's own default when None.
        image_size: pixels a side that images are cropped and resized to, from 4 to 4096; as they are when None.
        channels: 1 makes images grey, 3 repeats grey ones in every channel; as they are when None.
        normalisation: measures on the training images how all are normalised, such as `dcjax.normalisation.zca()`; when None, the
            papers' mean and deviation of every channel, or measured ones where no paper gives any.

    Raises:
        InputError: says in one sentence what is wrong with what was given.
    """
    check_size(image_size)
    if not name:
        raise InputError(
            f"The dataset has no name: choose {', '.join(NAMES)}, another TFDS name, folder:PATH or npz:PATH."
        )
    kind, _, path = name.partition(":")
    if kind in ("folder", "npz") and not path:
        raise InputError(f"{name!r} names no path: write {kind}:PATH.")
    place = os.path.expanduser(
        path if kind in ("folder", "npz") else name
    )  # `os.path` takes any text, `Path` has errors for some
    if kind == "folder":
        arrays = folder(Path(place), image_size)
    elif kind == "npz":
        arrays = sources.resize_all(sources.npz(Path(place)), image_size)
    elif name == "digits":
        arrays = sources.resize_all(sources.digits(), image_size)
    elif name not in NAMES and os.path.exists(place):
        raise InputError(f"{name!r} is a path: write {'folder' if os.path.isdir(place) else 'npz'}:{name}.")
    else:
        arrays = sources.tfds(name, data_dir, image_size, NAMES)
    if channels not in (None, arrays.train_image.shape[-1]):
        images = {part: recoloured(getattr(arrays, part), channels) for part in ("train_image", "test_image")}
        return _dataset(name, arrays._replace(**images), normalisation, None)
    published = PAPER_STATISTICS.get(name)
    return _dataset(name, arrays, normalisation, published and MeanStd(*published))


def published_statistics(name: str) -> Fit:
    """Makes the fit that normalises any data set by the published mean and deviation of every channel of another.

    IDC's program, for one, takes CIFAR-10's for CIFAR-100: `load("cifar100", normalisation=published_statistics("cifar10"))`.
    """
    if name not in PAPER_STATISTICS:
        raise InputError(f"{name!r} has no published statistics: choose {', '.join(PAPER_STATISTICS)}.")
    return mean_std(*PAPER_STATISTICS[name])


def from_arrays(
    train, test=None, *, class_names=None, name: str = "arrays", normalisation: Fit | None = None
) -> Dataset:
    """Makes a dataset of (images, labels) pairs; without `test`, a seeded fifth of every class is set aside.

    Args:
        train: images uint8, or float in [0, 1], [T, H, W] or [T, H, W, C]; labels [T], integers from 0.
        test: a pair like `train`.
        class_names: a name for every class; its number when None.
        name: what messages and files call the dataset.
        normalisation: as in `load`.
    """
    arrays = sources.from_arrays(train, test, class_names)
    # Copied, because their owner may write into them, and JAX leaves arrays that are aligned as it likes where they are.
    images = {each: getattr(arrays, each).copy() for each in ("train_image", "test_image")}
    return _dataset(name, arrays._replace(**images), normalisation, None)


def _dataset(name, arrays, fit, published):
    num_classes = len(arrays.class_names)
    if num_classes < 2:
        raise InputError(f"{name} has {num_classes} class: at least two are needed.")
    splits = [
        group_by_class(arrays.train_image, arrays.train_label, num_classes),
        group_by_class(arrays.test_image, arrays.test_label, num_classes),
    ]
    for part, (_, counts) in zip(("training", "test"), splits):
        empty = [name for name, count in zip(arrays.class_names, counts) if not count]
        if empty:
            raise InputError(f"{name} has no {part} image of class {empty[0]!r}: every class needs at least one.")
    if fit:
        normalisation = fit(arrays.train_image / np.float32(255))
    else:
        normalisation = published or channel_statistics(arrays.train_image, 255)
    channels, given = arrays.train_image.shape[-1], len(normalisation.channels.mean)
    if channels != given:
        raise InputError(
            f"{name} has images of {channels} channel(s), but is normalised by statistics of {given}: give statistics of as many, or none "
            "for those of the images themselves (--statistics own)."
        )
    # By `jnp.asarray`, images would be copied twice.
    train, test = (Split(jax.device_put(image), counts, normalisation) for image, counts in splits)
    return Dataset(name, train, test, arrays.class_names)
