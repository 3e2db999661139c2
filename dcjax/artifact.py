"""A condensed set as one file that explains itself and loads without dcjax.

`condensed.npz` holds `images` [T, H, W, C] float32 in pixel space (real images fill [0, 1]; learned ones are not clipped),
`labels` [T, K] float32, `class_names` [K], `mean` and `std` [C], the compact parameters as `compact/NAME`, and `meta`, a JSON
text: method, dataset, ipc, seed, version, what decodes the parameters, bytes of each form, and how to train on it.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dcjax.base import Batch, InputError, Syn
from dcjax.data import Dataset
from dcjax.data.cache import read_npz, write_npz

FORMAT = "dcjax-condensed-1"
REQUIRED = ("images", "labels", "class_names", "mean", "std", "meta")


class Condensed(NamedTuple):
    """A loaded set; `batch` is normalised and grouped by class [K, M, ...], ready for `evaluate`."""

    batch: Batch
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    compact: dict[str, np.ndarray]
    meta: dict[str, Any]

    @property
    def pixels(self) -> np.ndarray:
        """The images in pixel space, [K, M, H, W, C]; learned ones may leave [0, 1]."""
        mean, std = (np.array(x, np.float32) for x in (self.mean, self.std))
        return np.asarray(self.batch.image) * std + mean


def save_condensed(path: Path, batch: Batch, syn: Syn, data: Dataset, meta: dict[str, Any]) -> None:
    """Writes a decoded batch [K, M, ...] with the parameters `syn` that it was decoded from."""
    images = np.asarray(data.train.denormalise(batch.image), np.float32)
    images = images.reshape(-1, *data.image_shape)
    leaves, _ = jax.tree_util.tree_flatten_with_path(syn)
    compact = {
        f"compact/{jax.tree_util.keystr(where, simple=True, separator='/')}": np.asarray(x) for where, x in leaves
    }
    sizes = {"compact": sum(x.nbytes for x in compact.values()), "decoded": images.nbytes}
    meta = {"format": FORMAT, **meta, "bytes": sizes, "range": [float(images.min()), float(images.max())]}
    arrays = {
        "images": images,
        "labels": np.asarray(batch.label, np.float32).reshape(len(images), -1),
        "class_names": np.array(data.class_names),
        "mean": np.array(data.mean, np.float32),
        "std": np.array(data.std, np.float32),
        "meta": np.array(json.dumps(meta)),
        **compact,
    }
    write_npz(Path(path), arrays)


def load_condensed(path: Path) -> Condensed:
    """Reads what `save_condensed` wrote.

    Raises:
        InputError: the file is missing, damaged, not a condensed set, or holds values that are not finite.
    """
    path = Path(path)
    arrays = read_npz(path)
    missing = [name for name in REQUIRED if name not in arrays]
    if missing:
        raise InputError(f"{path} is not a condensed set of dcjax: it has no {', '.join(missing)}.")
    meta = _check_content(path, arrays)
    if not all(np.isfinite(arrays[name]).all() for name in ("images", "labels", "mean", "std")):
        raise InputError(f"{path} holds values that are not finite: the run that made it diverged, make it again.")
    names = tuple(str(name) for name in arrays["class_names"])
    image = (arrays["images"] - arrays["mean"]) / arrays["std"]
    grouped = (jnp.asarray(x).reshape(len(names), -1, *x.shape[1:]) for x in (image, arrays["labels"]))
    compact = {name.removeprefix("compact/"): x for name, x in arrays.items() if name.startswith("compact/")}
    statistics = (tuple(map(float, arrays[name])) for name in ("mean", "std"))
    return Condensed(Batch(*grouped), names, *statistics, compact, meta)


def _check_content(path, arrays):
    """Gives the meta data of a file whose arrays fit together."""
    try:
        meta = json.loads(str(arrays["meta"]))
    except ValueError:
        meta = None
    images, labels, classes = arrays["images"], arrays["labels"], arrays["class_names"].size
    fits = (
        (images.ndim, labels.shape) == (4, (len(images), classes))
        and arrays["class_names"].shape == (classes,)
        and min(len(images), classes) > 0
        and len(images) % classes == 0
        and arrays["mean"].shape == arrays["std"].shape == images.shape[-1:]
        and all(np.issubdtype(arrays[name].dtype, np.floating) for name in ("images", "labels", "mean", "std"))
    )
    if not fits or not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(
            f"{path} is not a condensed set of dcjax ({FORMAT}), or parts of it do not fit: make it again."
        )
    return meta
