"""Reads images from scikit-learn's digits, TFDS, an npz file or arrays. Each reader gives `Arrays`, checked by `dcjax.data.checks`."""

import difflib
import importlib.util
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dcjax.base import InputError
from dcjax.data.cache import cached
from dcjax.data.checks import check, class_list
from dcjax.data.listing import entries, stamp
from dcjax.data.resize import check_memory, resized
from dcjax.files import read_npz

TEST_FRACTION = 0.2  # of every class, where a source has no test split of its own


class Arrays(NamedTuple):
    """Holds decoded images [T, H, W, C] uint8 with labels [T] in 0..K-1, and the names of the classes."""

    train_image: np.ndarray
    train_label: np.ndarray
    test_image: np.ndarray
    test_label: np.ndarray
    class_names: tuple[str, ...]


def digits() -> Arrays:
    """Loads scikit-learn's 8x8 grey digits (1797 images), split by `stratified_split`."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    image = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return stratified_split(image, bunch.target, tuple(str(name) for name in bunch.target_names))


def stratified_split(image: np.ndarray, label: np.ndarray, class_names: tuple[str, ...]) -> Arrays:
    """Sets aside `TEST_FRACTION` of every class (at least one image), chosen with a fixed seed."""
    generator = np.random.default_rng(0)
    is_test = np.zeros(len(label), bool)
    for k, name in enumerate(class_names):
        members = np.flatnonzero(label == k)
        if len(members) < 2:
            raise InputError(
                f"Class {name!r} has {len(members)} image(s), but every class needs at least 2, one to train and one to "
                "test: add images or give a test split."
            )
        is_test[generator.choice(members, max(1, round(TEST_FRACTION * len(members))), replace=False)] = True
    return Arrays(image[~is_test], label[~is_test], image[is_test], label[is_test], class_names)


def resize_all(arrays: Arrays, size: int | None) -> Arrays:
    """Brings every image to `size` pixels a side, or leaves all as they are when None."""
    if size is None:
        return arrays
    images = arrays.train_image
    check_memory(len(images) + len(arrays.test_image), (size, size, images.shape[-1]))
    train, test = (np.stack([resized(i, size) for i in images]) for images in (arrays.train_image, arrays.test_image))
    return arrays._replace(train_image=train, test_image=test)


def npz(path: Path) -> Arrays:
    """Reads `x_train, y_train` with optional `x_test, y_test`, or `images, labels`; optional `class_names`."""
    content = read_npz(path)
    image, label = (content.get(a, content.get(b)) for a, b in (("x_train", "images"), ("y_train", "labels")))
    if image is None or label is None:
        raise InputError(f"{path} needs x_train and y_train (or images and labels), but holds {', '.join(content)}.")
    if ("x_test" in content) != ("y_test" in content):
        raise InputError(f"{path} has only one of x_test and y_test: give both or neither.")
    test = (content["x_test"], content["y_test"]) if "x_test" in content else None
    return from_arrays((image, label), test, content.get("class_names"))


def from_arrays(train: tuple, test: tuple | None = None, class_names: Any = None) -> Arrays:
    """Checks pairs (images, labels); images are uint8 or float in [0, 1], [T, H, W] or [T, H, W, C]."""
    image, label = check(*train)
    named = None if class_names is None else class_list(class_names)
    if label.max() >= len(label):
        raise InputError(f"Labels must count from 0, but {len(label)} images have labels up to {label.max()}.")
    names = named or tuple(map(str, range(int(label.max()) + 1)))
    num_classes = len(names)
    if label.max() >= num_classes:
        raise InputError(f"Labels go up to {label.max()}, but there are {num_classes} class names: name every class.")
    if test is None:
        return stratified_split(image, label, names)
    test_image, test_label = check(*test)
    if test_image.shape[1:] != image.shape[1:] or test_label.max() >= num_classes:
        raise InputError(
            f"Training images are {image.shape[1:]} in {num_classes} classes, but test images are {test_image.shape[1:]} "
            f"with labels up to {test_label.max()}: give both in one shape and one set of classes."
        )
    return Arrays(image, label, test_image, test_label, names)


def tfds(name: str, data_dir: str | None, image_size: int | None, known: tuple[str, ...]) -> Arrays:
    """Reads any image classification dataset of TFDS, which is prepared first where TensorFlow is there to do it."""
    root = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser().resolve()
    is_there = os.path.isdir(root / name)  # takes any text
    prepared = sorted(path.parent for path in (root / name).glob("**/dataset_info.json")) if is_there else []
    if prepared:
        files = [stamp(file) for place in prepared for file in entries(place)]
        identity = ("tfds", files, image_size)
        arrays = cached(
            identity, lambda: _decode_tfds(name, root, image_size)._asdict(), lambda x: _fits(x, image_size)
        )
        return Arrays(**{**arrays, "class_names": tuple(str(n) for n in arrays["class_names"])})
    return _decode_tfds(name, root, image_size, known)


def _fits(arrays, image_size):
    """Tells whether arrays by name are `Arrays` of images of that size."""
    if set(arrays) != set(Arrays._fields):
        return False
    pairs = [(arrays[f"{part}_image"], arrays[f"{part}_label"]) for part in ("train", "test")]
    try:
        read = from_arrays(*pairs, arrays["class_names"])
    except InputError:
        return False
    kinds = [array.dtype for pair in pairs for array in pair]
    size = read.train_image.shape[1:3] if image_size is None else (image_size, image_size)
    return kinds == [np.uint8, np.int64] * 2 and read.train_image.shape[1:3] == size


def _decode_tfds(name, root, image_size, known=()):
    try:
        builder = _tfds_builder(name, root, known)
        return _decode(builder, name, image_size)
    except InputError:
        raise
    except NotImplementedError:
        raise InputError(
            f"{name} in {root} was prepared in a format that cannot be read without TensorFlow: prepare it again with "
            "file_format='array_record'."
        ) from None
    except Exception as error:  # whatever TFDS raises for an unknown version or config, or a damaged file
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        raise InputError(
            f"Dataset {name} in {root} cannot be read ({reason}): check its name or prepare it again."
        ) from None


def _decode(builder, name, image_size):
    features = dict(builder.info.features.items())
    keys = builder.info.supervised_keys or ("image", "label")
    kinds = [type(features[key]).__name__ for key in keys if key in features]
    if kinds != ["Image", "ClassLabel"]:
        raise InputError(
            f"{name} is not an image classification dataset: choose one whose features are image and label."
        )
    test_name = next((s for s in ("test", "validation") if s in builder.info.splits), None)
    train, test = (
        _read_source(builder.as_data_source(split), keys, image_size) if split else None
        for split in ("train", test_name)
    )
    return from_arrays(train, test, features[keys[1]].names)


def _read_source(source, keys, image_size):
    images, labels = [], []
    for row in source:
        image = row[keys[0]]
        images.append(image if image_size is None else resized(image, image_size))
        labels.append(row[keys[1]])
        if len(images) == 1:
            check_memory(len(source), images[0].shape)
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise InputError(
            f"Images have several sizes, {sorted(shapes)[:2]} among them: give an image size (--image-size)."
        )
    return np.stack(images), np.array(labels)


def _tfds_builder(name, root, known):
    import tensorflow_datasets as tfds

    names = tfds.list_builders(with_community_datasets=False)
    if name.split("/")[0].split(":")[0] not in names and not os.path.isdir(root / name):
        close = difflib.get_close_matches(name, [*known, *names], 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise InputError(
            f"There is no dataset {name!r}: choose {', '.join(known)}, another TFDS name, folder:PATH or npz:PATH.{hint}"
        )
    builder = tfds.builder(name, data_dir=root)
    if Path(builder.data_dir).is_dir():
        return builder
    advice = (
        f"Dataset {name} is not prepared in {root}: point --data-dir (or TFDS_DATA_DIR) to where it is, or install what "
        "prepares it (pip install 'dcjax[prepare]') and run again with network access"
    )
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(f"{advice}; TensorFlow is not installed.")
    builder = tfds.builder(name, data_dir=root, file_format="array_record")
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its downloader met
        raise InputError(
            f"{advice}; preparing it failed ({type(error).__name__}: {str(error).splitlines()[0]})."
        ) from None
    return builder
