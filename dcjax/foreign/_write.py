"""Writes condensed sets for other programs. Each function writes all or nothing, and never over what is there."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dcjax.artifact import Condensed
from dcjax.base import InputError
from dcjax.decoders import factor_of
from dcjax.foreign._names import folder_names
from dcjax.normalisation import is_equal, renormalised

PLAIN = "dcjax-plain-1"  # the `format` of a written .npz: its learned pixels may leave [0, 1]
NOTED = ("method", "dataset", "ipc", "seed", "version", "recipe", "accuracy", "factor")  # in `about`


def write_npz(out: Path, condensed: Condensed) -> None:
    """Writes plain arrays: `images` [T, H, W, C] float32 in pixel space, `labels` [T], `mean` and `std` [C], `class_names` [K].

    Labels that are not hard are in `soft_labels` [T, K] besides, and what was learned beside the images in `hyper/NAME`. `about` is a JSON text: method, recipe, accuracy, what was
    learned beside the images, and the normalisation in which networks were trained on the set.
    """
    label = _rows(condensed, condensed.batch.label)
    arrays = {
        "images": _rows(condensed, condensed.pixels),
        "labels": label.argmax(1),
        **_soft_labels(label),
        "mean": np.array(condensed.mean, np.float32),
        "std": np.array(condensed.std, np.float32),
        "class_names": np.array(condensed.class_names),
        "about": np.array(json.dumps(_about(condensed))),
        "format": np.array(PLAIN),
        **{f"hyper/{name}": value for name, value in condensed.hyper.items()},
    }
    with _at_once(out) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def write_pt(out: Path, *sets: Condensed, accuracies: Mapping[str, Sequence[float]] = {}) -> None:
    """Writes what plain `torch.load` reads: as published, `data` [[images, labels], ...] with a pair for every set, and `accs_all_exps`.

    Beside them are `mean`, `std`, `class_names` and `about`. Images are [T, C, H, W] float32, normalised by `mean` and `std` as
    `images_are` says; whitened ones are written so too, for nobody could undo their whitening. Labels are [T] int64, and `soft_labels`
    [T, K] besides where they are not hard. Of several sets, `about` and `soft_labels` are lists.

    Args:
        out: where the file goes.
        sets: one or more, which share their classes and the normalisation of their channels.
        accuracies: shares of test images by the name of a network: those of the first set, then as many of the next.
    """
    try:
        import torch
    except ImportError:
        raise InputError("A .pt file can only be written with PyTorch: pip install torch.") from None
    _check_alike(out, sets)
    first, channels = sets[0], sets[0].normalisation.channels
    image = [_rows(each, renormalised(each.batch.image, each.normalisation, channels)) for each in sets]
    label = [_rows(each, each.batch.label) for each in sets]
    soft = [torch.tensor(x) for x in label] if any(map(_soft_labels, label)) else []
    content = {
        "data": [[torch.tensor(np.moveaxis(x, -1, 1)), torch.tensor(y.argmax(1))] for x, y in zip(image, label)],
        "accs_all_exps": {name: [float(value) for value in values] for name, values in accuracies.items()},
        **({"soft_labels": _alone(soft)} if soft else {}),
        "mean": list(first.mean),
        "std": list(first.std),
        "images_are": channels.description,
        "class_names": list(first.class_names),
        "about": _alone([_about(each) for each in sets]),
    }
    with _at_once(out) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def _check_alike(out, sets):
    first = sets[0]
    for each in sets[1:]:
        if each.class_names != first.class_names or not is_equal(
            each.normalisation.channels, first.normalisation.channels
        ):
            raise InputError(
                f"{out} cannot hold sets of other classes or another normalisation than the first: write each to a file of its own."
            )


def _alone(items):
    return items[0] if len(items) == 1 else items


def write_png(out: Path, condensed: Condensed) -> None:
    """Writes `CLASS/0000.png`, values clipped to [0, 1] and rounded to 8 bits, and `export.json` with all that images cannot hold.

    An image of soft labels is in the folder of its likeliest class, and `soft_labels` has their rows, folder by folder.
    """
    pixels = _rows(condensed, condensed.pixels)
    soft = _rows(condensed, condensed.batch.label)
    label = soft.argmax(1)
    order = np.argsort(label, kind="stable")
    empty = np.flatnonzero(np.bincount(label, minlength=len(condensed.class_names)) == 0)
    if len(empty):
        name = condensed.class_names[empty[0]]
        raise InputError(f"No image belongs to class {name!r} most of all, so folders lose it: choose npz or pt.")
    rounded = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
    folders = folder_names(condensed.class_names)
    note = {
        "folders": dict(zip(folders, condensed.class_names)),  # in the order of the labels
        "mean": condensed.mean,
        "std": condensed.std,
        "clipped": round(float(((pixels < 0) | (pixels > 1)).mean()), 4),  # the share of values outside [0, 1]
        **{name: np.asarray(rows).tolist() for name, rows in _soft_labels(soft[order]).items()},  # folder by folder
        "about": _about(condensed),
    }
    with _at_once(out) as temporary:
        for k, folder in enumerate(folders):
            (temporary / folder).mkdir(parents=True)
            for i, image in enumerate(rounded[label == k]):
                _picture(image).save(temporary / folder / f"{i:04}.png")
        (temporary / "export.json").write_text(json.dumps(note, indent=2) + "\n")


@contextmanager
def _at_once(out: Path) -> Iterator[Path]:
    """Gives a place to write that becomes `out` when all is written, and vanishes otherwise."""
    if out.exists():
        raise InputError(f"{out} is there already: give another path, or remove it.")
    temporary = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.rename(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror or error}): give another path.") from None
    finally:
        shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)


def _picture(image):
    """Makes a grey or a colour picture of uint8 [H, W, 1] or [H, W, 3]."""
    from PIL import Image

    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _rows(condensed, grouped):
    """Flattens [K, M, ...] to [T, ...] without padding."""
    is_real = np.asarray(condensed.batch.label).any(-1)
    return np.asarray(grouped)[is_real]


def has_soft_labels(condensed: Condensed) -> bool:
    """Tells whether some labels are not hard, which folders of pictures cannot hold."""
    return bool(_soft_labels(_rows(condensed, condensed.batch.label)))


def _soft_labels(label):
    is_hard = np.array_equal(label, np.eye(label.shape[1])[label.argmax(1)])
    return {} if is_hard else {"soft_labels": label}


def _about(condensed):
    meta = condensed.meta | ({"factor": factor_of(condensed.meta)} if "decoder" in condensed.meta else {})
    known = {name: meta[name] for name in NOTED if name in meta}
    hyper = {name: np.asarray(value).tolist() for name, value in condensed.hyper.items()}
    learned = {"learned": hyper} if hyper else {}
    return {**known, **learned, "normalisation": condensed.normalisation.description}
