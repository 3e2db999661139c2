"""Reads condensed sets that other programs made, and writes ours for them.

`read(path, data)` understands

- a run directory of dcjax, or its `condensed.npz`;
- another `.npz` file: `images` uint8 or float in [0, 1], [T, H, W] or [T, H, W, C], and `labels`, integers [T] or
  probabilities [T, K];
- a folder of images with one subfolder per class, named as the dataset's classes are;
- a `.pt` file as published with DC, DSA and DM: `{"data": [[images, labels], ...], "accs_all_exps": {network: accuracies}}` with one
  pair for every experiment, or that list alone; images [T, C, H, W] normalised by the `mean` and `std` beside them, else by the
  published ones of the dataset, and never whitened; labels [T];
- IDC's `data.pt`, if its factor is given: one pair of images [T, C, H, W] in [0, 1], not yet cut into cells, and labels [T]. Without the
  factor a bare pair is refused, for nothing in it says what it is.

KIP's files are refused: they do not say whether images are whitened, and their labels are no probabilities.

`write_npz`, `write_png` and `write_pt` make such files. PyTorch is needed for `.pt` files alone.
"""

import os
from pathlib import Path

import jax
import numpy as np

from dcjax.artifact import REQUIRED, Condensed
from dcjax.base import Batch, InputError
from dcjax.data import Dataset
from dcjax.files import check_regular, read_npz
from dcjax.foreign._adopt import adopt, adopt_own
from dcjax.foreign._grids import adopt_grids
from dcjax.foreign._names import folder_names as folder_names
from dcjax.foreign._published import is_pair, pair, pt
from dcjax.foreign._read import folder, npz
from dcjax.foreign._torch import load
from dcjax.foreign._write import has_soft_labels as has_soft_labels
from dcjax.foreign._write import write_npz as write_npz
from dcjax.foreign._write import write_png as write_png
from dcjax.foreign._write import write_pt as write_pt
from dcjax.training import flatten


def read(path: Path, data: Dataset, factor: int | None = None) -> list[Condensed]:
    """Reads condensed sets: one, or as many as a `.pt` file has experiments.

    Args:
        path: a run directory, a folder of images, an `.npz` or a `.pt` file.
        data: what the set is to be evaluated on; the set must have its classes and image shape.
        factor: cells along each side of the images of a bare pair, 1 where they are whole (IDC-I); other files say it themselves.

    Returns:
        Sets whose `batch` [K, M, H, W, C] is normalised as the test images of `data` are, and grouped by class (the likeliest one,
        where labels are soft) in the order of `data.class_names`. Where classes have unequal numbers of images, the smaller
        ones end in padding rows, which `real_rows` leaves out. `meta` holds what the file says of itself, and `told` what it was told.

    Raises:
        InputError: says in one sentence what does not fit.
    """
    path = Path(os.path.expanduser(path))  # `os.path` takes any text, `Path` has errors for some
    if os.path.isfile(path / "condensed.npz"):
        return [adopt_own(path / "condensed.npz", data)]
    if os.path.isfile(path / "config.json"):
        raise InputError(f"{path} is a run that has no condensed.npz yet: let it finish first.")
    if os.path.isdir(path):
        return [adopt(path, folder(path, data), data)]
    if path.suffix.lower() not in (".npz", ".pt", ".pth"):
        raise InputError(
            f"{path} is no condensed set: give a run directory, a folder of images, an .npz or a .pt file."
        )
    check_regular(path, "a condensed set")
    if path.suffix.lower() != ".npz":
        content = load(path)
        if is_pair(content):
            return [adopt_grids(path, pair(content), factor, data)]
        return [adopt(path, found, data) for found in pt(path, content, data)]
    arrays = read_npz(path)
    return [adopt_own(path, data) if set(REQUIRED) <= set(arrays) else adopt(path, npz(path, arrays), data)]


def real_rows(batch: Batch) -> Batch:
    """Leaves padding out: [K, M, ...] -> [1, T, ...], which `evaluate` takes just as well because it flattens what it is given.

    `fit` counts padding rows as images when it cuts an epoch into mini-batches. Up to its batch size that changes nothing;
    above it, a set with padding would take more steps an epoch than its images ask for.
    """
    rows = flatten(batch)
    is_real = np.asarray(rows.label).any(-1)
    return jax.tree.map(lambda x: x[is_real][None], rows)
