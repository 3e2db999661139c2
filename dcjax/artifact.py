"""Saves a condensed set as one file that explains itself and loads without dcjax.

`condensed.npz` holds `images` [T, H, W, C] float32 in pixel space (real images fill [0, 1]; learned ones are not clipped),
`labels` [T, K] float32, `class_names` [K], `mean` and `std` [C], the compact parameters as `compact/NAME`, hyperparameters that were
learned with them as `hyper/NAME`, and `meta`, a JSON text: method, dataset, ipc, seed, version, what decodes the parameters, bytes of
each form, and how to train on it. Where networks see whitened images, `zca/mean`, `zca/basis`, `zca/spectrum` and `zca/epsilon` say how:
(x - mean) U diag(1 / sqrt(l + epsilon)) U^T of an image x as [H W C] values, with U the basis and l the spectrum.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dcjax._content import FORMAT, branch, check_content
from dcjax.base import Batch, InputError, Learned
from dcjax.data import Dataset
from dcjax.decoders import DECODERS as DECODERS
from dcjax.decoders import decoded
from dcjax.files import read_npz, write_npz
from dcjax.normalisation import Normalisation, restored
from dcjax.shipped import located

REQUIRED = ("images", "labels", "class_names", "mean", "std", "meta")


class Condensed(NamedTuple):
    """Holds a loaded set, whose `batch` is normalised and grouped by class [K, M, ...], ready for `evaluate`."""

    batch: Batch
    class_names: tuple[str, ...]
    normalisation: Normalisation  # the one that `batch` is in
    compact: dict[str, np.ndarray]  # what was learned, by name: "a/b" is leaf b of branch a
    hyper: dict[str, np.ndarray]  # what was learned beside it: the learning rate of students, for most that learn any
    meta: dict[str, Any]

    @property
    def mean(self) -> tuple[float, ...]:
        """Gives the mean of every channel of the real images, in pixel space."""
        return self.normalisation.channels.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Gives the deviation of every channel of the real images."""
        return self.normalisation.channels.std

    @property
    def pixels(self) -> np.ndarray:
        """Gives the images in pixel space, [K, M, H, W, C]; learned ones may leave [0, 1]."""
        return np.asarray(self.normalisation.invert(np.asarray(self.batch.image)))

    def decode(self) -> Batch:
        """Makes the images [K, M, ...] again, from the compact parameters and by the decoder that `meta` notes.

        Raises:
            InputError: the file has no parameters, or no known decoder that takes them.
        """
        return decoded(self.compact, self.meta.get("decoder"), self.normalisation)


def save_condensed(path: Path, batch: Batch, learned: Learned, data: Dataset, meta: dict[str, Any]) -> None:
    """Writes a condensed set.

    Args:
        path: where the file goes.
        batch: the decoded images and labels, [K, M, ...].
        learned: what the images were decoded from, and the hyperparameters that were learned beside it.
        data: the dataset that the set stands for.
        meta: other facts by name, such as the method and the seed.
    """
    images = np.asarray(data.train.denormalise(batch.image), np.float32)
    images = images.reshape(-1, *data.image_shape)
    compact, hyper = _named("compact", learned.syn), _named("hyper", learned.hyper)
    sizes = {"compact": sum(x.nbytes for x in compact.values()), "decoded": images.nbytes}
    meta = {"format": FORMAT, **meta, "bytes": sizes, "range": [float(images.min()), float(images.max())]}
    arrays = {
        "images": images,
        "labels": np.asarray(batch.label, np.float32).reshape(len(images), -1),
        "class_names": np.array(data.class_names),
        "meta": np.array(json.dumps(meta)),
        **data.train.normalisation.stored(),
        **compact,
        **hyper,
    }
    write_npz(Path(path), arrays)


def load_condensed(path: Path | str) -> Condensed:
    """Reads what `save_condensed` wrote, or a set that comes with the package.

    Args:
        path: the file, or one of the names that `shipped` lists, such as "dc-mnist-1".

    Raises:
        InputError: the file is missing, damaged or not a condensed set, or holds what no run writes, such as values that are not finite.
    """
    path = located(path)
    arrays = read_npz(path)
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        raise InputError(
            f"{path} is not a condensed set of dcjax: it has no {', '.join(missing)}; give a file that a run has written."
        )
    meta = check_content(path, arrays)
    compact, hyper = (branch(arrays, name) for name in ("compact", "hyper"))
    names = tuple(str(name) for name in arrays["class_names"])
    normalisation = restored(arrays)
    image, label = (arrays[name].astype(np.float32) for name in ("images", "labels"))
    with np.errstate(all="ignore"):  # named below
        image = np.asarray(normalisation.apply(image))
    if not np.isfinite(image).all():
        raise InputError(f"{path} holds a normalisation that makes its images infinite: make it again.")
    grouped = (jnp.asarray(x).reshape(len(names), -1, *x.shape[1:]) for x in (image, label))
    return Condensed(Batch(*grouped), names, normalisation, compact, hyper, meta)


def _named(branch: str, tree: Any) -> dict[str, np.ndarray]:
    """Names every leaf of a tree of dicts: `branch/outer/inner`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {f"{branch}/{jax.tree_util.keystr(where, simple=True, separator='/')}": np.asarray(x) for where, x in leaves}
