"""Finds the condensed sets that a command names, and the data that they are to be tested on."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import dcjax as dc
from dcjax.files import read_npz
from dcjax.normalisation import ZCA, restored
from dcjax.shipped import located
from experiments.pipeline.job import statistics
from experiments.settings import saved


class Source(NamedTuple):
    """The data that a set is tested on."""

    name: str
    data_dir: str | None
    image_size: int | None
    channels: int | None
    only_classes: tuple[int, ...]
    statistics: str  # as `--statistics` of the run
    whitened: Path | None  # the file of a set that was learned from whitened images, as test images are to be whitened

    def load(self) -> dc.data.Dataset:
        """Loads the data, on every device."""
        fit = (lambda pixels: restored(read_npz(self.whitened))) if self.whitened else statistics(self.statistics)
        shape = {"image_size": self.image_size, "channels": self.channels}
        data = dc.data.load(self.name, data_dir=self.data_dir, normalisation=fit, **shape)
        return (data.only(self.only_classes) if self.only_classes else data).replicated()


def found(path: str) -> Path:
    """Gives the path of a set that is there, or that comes with the package under this name."""
    place = located(Path(path).expanduser())
    if not place.exists():
        raise dc.InputError(f"There is no {place}: give a run directory or the file of a condensed set.")
    return place


def source(path: Path, dataset: str | None, data_dir: str | None, image_size: int | None) -> Source:
    """Gives the data to test a set on: as the arguments say, else as the set's run had them, else as its images are."""
    config = (path if path.is_dir() else path.parent) / "config.json"
    own = {"dataset": None, "data_dir": None, "image_size": None, "channels": None, "only_classes": ()}
    own |= {"statistics": "own"}
    described = _described(path)
    if dataset in (None, described.get("dataset")):
        own |= described
    if (path.is_dir() or path.name == "condensed.npz") and config.is_file():
        settings = saved.load(config)
        own = {name: getattr(settings, name) for name in own}
    given = {"dataset": dataset, "data_dir": data_dir, "image_size": image_size}
    chosen = own | {name: value for name, value in given.items() if value}
    if not chosen["dataset"]:
        known = f", or {path.name}, which comes with dcjax" if path.is_dir() and path.name in dc.shipped() else ""
        raise dc.InputError(f"{path} does not say what it was made from: give --dataset{known}.")
    return Source(*chosen.values(), _whitened(path))


def check_told(factor: int | None, found: Iterable[dc.Condensed]) -> None:
    """Refuses a factor that no set was read by, for all but bare pairs say themselves what they are."""
    if factor and not any("told" in each.meta for each in found):
        raise dc.InputError(
            "--factor is for a bare pair of images and labels, IDC's data.pt, but no set is one: leave it out."
        )


def fingerprint(data: dc.data.Dataset) -> str:
    """Digests all images of a data set, those of the test among them."""
    return data.fingerprint() + hashlib.sha256(np.asarray(data.test.image).tobytes()).hexdigest()


def digest(condensed: dc.Condensed) -> str:
    """Digests the parameters that a set stores, if it does: normalised images differ in their last bits between machines."""
    says = [condensed.meta[name] for name in ("ipc", "recipe", "decoder") if name in condensed.meta]
    made = hashlib.sha256(repr(says).encode())
    for array in (*(condensed.compact.values() or condensed.batch), *condensed.hyper.values()):
        made.update(np.asarray(array).tobytes())
    return made.hexdigest()


def _described(path):
    """Gives what a set that `experiments.run` wrote says of its data: images that are square may have been resized."""
    own = _own_set(path)
    if not own:
        return {}
    condensed = dc.load_condensed(own)
    height, width, channels = condensed.batch.image.shape[-3:]
    return {
        "dataset": condensed.meta.get("dataset"),
        "image_size": height if height == width else None,
        "channels": channels,
        "statistics": condensed.meta.get("statistics", "own"),  # older files were made with those
    }


def _whitened(path):
    """Gives the file of a set learned from whitened images; None for other sets."""
    own = _own_set(path)
    return own if own and isinstance(dc.load_condensed(own).normalisation, ZCA) else None


def _own_set(path):
    """Gives the file of a set that `experiments.run` wrote; None for sets made elsewhere."""
    file = path / "condensed.npz" if path.is_dir() else path
    return file if file.is_file() and file.suffix == ".npz" and "meta" in read_npz(file) else None
