"""Data sets that are damaged, or that cannot be: each brings one sentence, at once; a damaged cache is made again."""

import importlib
import os
import socket
import time

import jax
import numpy as np
import pytest
from PIL import Image

import dcjax as dc
from dcjax.data import cache, pictures, resize, sources

GENERATOR = np.random.default_rng(0)
IMAGE, LABEL = GENERATOR.integers(0, 256, (12, 8, 8, 3), np.uint8), np.arange(12) % 3
FLOAT = IMAGE / 255


def sentence(name, **options):
    before = time.perf_counter()
    with pytest.raises(dc.InputError) as caught:
        dc.data.load(str(name), **options)
    assert time.perf_counter() - before < 10
    assert len(str(caught.value).splitlines()) == 1
    str(caught.value).encode()  # it can be shown
    return str(caught.value)


def pictures_in(root, classes=("cat", "dog"), count=3):
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(IMAGE[i]).save(root / name / f"{i}.png")
    return root


def not_utf8(root):
    os.rename(root / "dog", os.fsencode(root) + b"/d\xf6g")


def bound_socket(root):
    here = os.getcwd()
    os.chdir(root / "dog")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("x.png")
    os.chdir(here)


def large(root):
    Image.new("1", (2**14, 2**12 + 1)).save(root / "dog" / "x.png")


def postscript(root):
    Image.fromarray(IMAGE[0]).save(root / "dog" / "x.eps")
    (root / "dog" / "x.eps").rename(root / "dog" / "x.png")


LIKE = "x.png is named like an image but is "
FOLDERS = {
    "dangling link": (
        lambda root: (root / "dog/x.png").symlink_to("nothing"),
        f"{LIKE}a link that leads nowhere (No such",
    ),
    "looping link": (
        lambda root: (root / "dog/x.png").symlink_to("x.png"),
        f"{LIKE}a link that leads nowhere (Too many",
    ),
    "pipe": (lambda root: os.mkfifo(root / "dog/x.png"), f"{LIKE}a pipe: repair or remove it."),
    "socket": (bound_socket, f"{LIKE}a socket: repair or remove it."),
    "device": (lambda root: (root / "dog/x.png").symlink_to("/dev/zero"), f"{LIKE}a device: repair or remove it."),
    "folder": (lambda root: (root / "dog/x.png").mkdir(), f"{LIKE}a folder: repair or remove it."),
    "dangling class": (lambda root: (root / "cow").symlink_to("nothing"), "cow is a link that leads nowhere (No such"),
    "looping class": (lambda root: (root / "cow").symlink_to("cow"), "cow is a link that leads nowhere (Too many"),
    "not UTF-8": (not_utf8, r"d\udcf6g is named in another encoding than UTF-8: rename it, as it names a class."),
    "large": (large, f"x.png has more than {2**26} pixels: make it smaller or remove it."),
    "another program's": (postscript, "x.png cannot be read as an image (cannot identify image file"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", FOLDERS)
def test_a_damaged_folder_is_one_sentence(case, tmp_path):
    damage, expected = FOLDERS[case]
    root = pictures_in(tmp_path / "images")
    damage(root)
    assert expected in sentence(f"folder:{root}", image_size=8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [2, 8])
def test_a_picture_that_pillow_calls_a_bomb_is_named_without_its_warning(factor, tmp_path):
    root = pictures_in(tmp_path / "images")
    Image.new("1", (2**14, factor * 2**12)).save(root / "cat" / "x.png")
    assert f"x.png has more than {pictures.MAX_PIXELS} pixels" in sentence(f"folder:{root}", image_size=8)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root = pictures_in(tmp_path / "images")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(root), "iterdir", refuse)  # tests may run as root, who may list all
    assert "images cannot be listed (Permission denied): give yourself the right to." in sentence(f"folder:{root}")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("stamp", "has vanished (No such file or directory)"), ("cached", "cannot be read as an image (No such file or")],
)
def test_a_file_that_vanishes_is_named(moment, expected, tmp_path, monkeypatch):
    root = pictures_in(tmp_path / "images")
    folder = importlib.import_module("dcjax.data.folder")  # the package has a function of this name
    after = getattr(folder, moment)

    def vanishing(*given):
        (root / "dog" / "1.png").unlink(missing_ok=True)
        return after(*given)

    monkeypatch.setattr(folder, moment, vanishing)
    given = sentence(f"folder:{root}")
    assert f"1.png {expected}" in given


ARRAYS = {
    "NaN": ({"images": np.where(np.arange(3) == 1, np.nan, FLOAT)}, "finite, but 12 of 12 hold NaN or infinity"),
    "infinite": ({"images": np.where(np.arange(12)[:, None, None, None] == 3, np.inf, FLOAT)}, "1 of 12 hold NaN or"),
    "no side": ({"images": IMAGE[:, :0]}, "at least one pixel high and wide, not 0 by 8"),
    "negative": ({"labels": LABEL - 1}, "Labels must count classes from 0, but go from -1 to 1."),
    "absurd": ({"labels": LABEL + 10**18}, "Labels must count classes from 0, but go from 1000000000000000000 to"),
    "wrapping": ({"labels": LABEL.astype(np.uint64) + np.uint64(2**64 - 3)}, "but go from 18446744073709551613 to"),
    "twice": ({"class_names": ["a", "a", "b"]}, "Two classes have the name 'a': give every class a name of its own."),
    "one name": ({"class_names": "a"}, "Class names must be a list, one a class, not of shape ()"),
    "no names": ({"class_names": np.zeros((0,), "U3")}, "Class names must be a list, one a class, not of shape (0,)"),
    "no test image": ({"x_test": IMAGE[:2], "y_test": LABEL[:2]}, "has no test image of class '2'"),
    "absurd test": ({"x_test": IMAGE[:3], "y_test": LABEL[:3] + 10**18}, "but go from 1000000000000000000 to"),
    "wrapping test": (
        {"x_test": IMAGE[:3], "y_test": LABEL[:3].astype(np.uint64) + np.uint64(2**64 - 3)},
        "but go from 18446744073709551613 to",
    ),
    "test no number": ({"x_test": FLOAT[:3] * np.nan, "y_test": LABEL[:3]}, "3 of 3 hold NaN or infinity"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_damaged_arrays_are_one_sentence(case, tmp_path):
    change, expected = ARRAYS[case]
    np.savez(tmp_path / "x.npz", **{"images": IMAGE, "labels": LABEL, **change})
    assert expected in sentence(f"npz:{tmp_path / 'x.npz'}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (([[1, 2], [3]], LABEL), "Images must be an array, or lists of one length"),
        ((IMAGE, [[1, 2], [3]]), "Labels must be an array, or lists of one length"),
    ],
)
def test_lists_that_are_no_arrays_are_named(given, expected):
    with pytest.raises(dc.InputError, match=expected):
        dc.data.from_arrays(given)


NAMES = {
    "": "The dataset has no name: choose digits, mnist, fashion_mnist",
    "x" * 300: "There is no dataset 'xxx",
    "~nobody-of-this-name/x": "There is no dataset '~nobody",
    "folder:" + "x" * 300: "There is no folder xxx",
    "folder:~nobody-of-this-name": "There is no folder ~nobody-of-this-name",
    "npz:" + "x" * 300: "cannot be the path of an .npz file (File name too long)",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_cannot_be_are_one_sentence(name, tmp_path):
    assert NAMES[name] in sentence(name, data_dir=str(tmp_path))


def test_sizes_that_cannot_be_are_one_sentence(tmp_path, monkeypatch):
    for size in (-1, 2, 100000, 10**20):
        given = sentence("digits", image_size=size)
        assert given == f"The image size is in pixels, at most {resize.LARGEST} and at least 4, not {size}."
    monkeypatch.setattr(resize.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 2**30}))
    monkeypatch.setattr(sources, "resized", None)  # which it must not come to
    assert "1797 images of 1024x1024x1 take 2 GiB, but this machine has 1 GiB" in sentence("digits", image_size=1024)


def test_pictures_that_do_not_fit_are_refused_after_the_first(tmp_path, monkeypatch):
    root = pictures_in(tmp_path / "images", count=5)
    monkeypatch.setattr(resize.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 2**20}))
    read, seen = pictures._read, []
    monkeypatch.setattr(pictures, "_read", lambda file: seen.append(file) or read(file))
    assert "10 images of 256x256x3 take 0 GiB, but" in sentence(f"folder:{root}", image_size=256)
    assert len(seen) == 1


CACHES = {
    "other names": lambda content: {"pictures": content["train_image"]},
    "another name too": lambda content: {**content, "more": np.zeros(3)},
    "text": lambda content: {**content, "train_image": np.array("text")},
    "floats": lambda content: {**content, "train_image": content["train_image"] / 255},
    "fewer": lambda content: {**content, "train_image": content["train_image"][:-1]},
    "another size": lambda content: {**content, "train_image": content["train_image"][:, :5]},
    "other channels": lambda content: {**content, "train_image": content["train_image"][..., :2]},
    "other labels": lambda content: {**content, "train_label": content["train_label"][::-1]},
    "labels of another type": lambda content: {**content, "train_label": content["train_label"].astype(np.uint8)},
    "a flat label": lambda content: {**content, "train_label": np.int64(0)},
    "rank": lambda content: {**content, "train_image": content["train_image"][..., 0]},
}


@pytest.fixture(name="place")
def _place(tmp_path, monkeypatch):
    monkeypatch.setenv("DCJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(("case", "size"), [*((case, 8) for case in CACHES), ("other channels", None), ("rank", None)])
def test_a_cache_of_something_else_is_made_again(case, size, place, tmp_path):
    root = pictures_in(tmp_path / "images")
    first = dc.data.load(f"folder:{root}", image_size=size)
    (kept,) = (place / "data").iterdir()
    content = dict(np.load(kept))
    np.savez(kept, **CACHES[case](content))
    np.testing.assert_array_equal(dc.data.load(f"folder:{root}", image_size=size).train.image, first.train.image)
    again = dict(np.load(kept))
    assert set(again) == set(content)
    assert all(np.array_equal(again[name], x) and again[name].dtype == x.dtype for name, x in content.items())


@pytest.mark.parametrize("change", [{"class_names": np.array(["a", "a"])}, {"train_label": np.full(6, 7)}, {"more": 1}])
def test_a_cache_of_another_tfds_dataset_is_made_again(change, place, tmp_path, monkeypatch):
    (tmp_path / "anything").mkdir()
    (tmp_path / "anything" / "dataset_info.json").touch()
    arrays = sources.Arrays(IMAGE[:6], np.arange(6) % 2, IMAGE[:2], LABEL[:2], ("a", "b"))
    made = []
    monkeypatch.setattr(sources, "_decode_tfds", lambda *given: made.append(given) or arrays)
    for _ in range(2):
        dc.data.load("anything", data_dir=str(tmp_path))
    (kept,) = (place / "data").iterdir()
    np.savez(kept, **{**np.load(kept), **change})
    data = dc.data.load("anything", data_dir=str(tmp_path))
    assert (data.class_names, data.train.counts, len(made)) == (("a", "b"), (3, 3), 2)


def as_file(place):
    place.write_text("no folder")


def as_pipes(place):
    for path in (place / "data").iterdir():
        path.unlink()
        os.mkfifo(path)


@pytest.mark.parametrize("damage", [as_file, as_pipes])
def test_a_cache_that_cannot_be_used_costs_only_time(damage, place, tmp_path, monkeypatch):
    if damage is as_pipes:
        cache.cached(("x",), lambda: {"a": np.zeros(2)}, lambda arrays: True)
    damage(place)
    made = cache.cached(("x",), lambda: {"a": np.ones(2)}, lambda arrays: True)
    np.testing.assert_array_equal(made["a"], np.ones(2))


@pytest.mark.parametrize("place", ["x" * 300, "/dev/null/x"])
def test_a_cache_whose_path_cannot_be_costs_only_time(place, monkeypatch):
    monkeypatch.setenv("DCJAX_CACHE", place)
    made = cache.cached(("x",), lambda: {"a": np.ones(2)}, lambda arrays: True)
    np.testing.assert_array_equal(made["a"], np.ones(2))


def test_networks_in_the_cache_of_another_shape_are_trained_again(place):
    from experiments.parts.networks import MLP
    from experiments.pipeline.pretrain import Pretraining

    class Job:
        """As much of a job as training a network on the whole set asks for."""

        data = dc.data.from_arrays((IMAGE, LABEL))
        settings = type("Settings", (), {"seed": 0, "network": "mlp", "parts": {"network": MLP()}})

    def init(key, split):
        return {"weight": jax.numpy.zeros((2, 3)), "bias": jax.numpy.zeros(3)}

    def epoch(key, state, split):
        return jax.tree.map(lambda x: x + 1, state)

    stop = type("Stop", (), {"check": lambda self: None})()
    train = Pretraining(Job(), stop)._trained
    first = train(("x",), jax.random.key(0), jax.random.key(1), (init, epoch), 2)
    (kept,) = (place / "data").iterdir()
    for wrong in ({"0": np.zeros(3)}, {"0": np.zeros(3, np.float32)}, {str(i): np.zeros((2, 3)) for i in range(3)}):
        np.savez(kept, **wrong)
        again = train(("x",), jax.random.key(0), jax.random.key(1), (init, epoch), 2)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), again, first))


def test_networks_in_the_cache_say_what_training_them_took(place):
    from experiments.pipeline.job import prepare
    from experiments.pipeline.pretrain import Pretraining
    from experiments.pipeline.select import select
    from experiments.pipeline.stop import StopRequest
    from experiments.settings.parse import parse

    settings = parse(["--method", "herding", "--network", "mlp", "--coreset-epochs", "3"])
    job, stop = prepare(settings, dc.data.load("digits")), StopRequest()
    first, again = (Pretraining(job, stop) for _ in range(2))
    first.study(3)
    assert first.spared == 0
    again.study(3)
    assert again.spared > 0
    assert select(job, stop).facts["choose_seconds"] >= round(again.spared, 1)
