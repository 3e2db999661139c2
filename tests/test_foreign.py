"""Condensed sets of other people: one set in every format is read as one set, and what does not fit is named."""

import dataclasses
import json
import os
import sys

import chex
import jax
import numpy as np
import optax
import pytest
from helpers import small_data
from PIL import Image

import dcjax as dc
from dcjax import foreign
from dcjax.decoders import factor_of
from dcjax.normalisation import MeanStd, zca
from dcjax.training import cross_entropy, fit, flatten

DATA = dataclasses.replace(small_data(channels=3), class_names=("2", "10", "a/b"))
LABEL = np.array([2, 0, 1, 2, 0, 2])  # in no order, of no common number
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
NORMALISED = np.asarray(DATA.train.normalise(IMAGE))


def expected():
    """IMAGE by class, with padding at the end of the smaller ones."""
    image, label = np.zeros((3, 3, 8, 8, 3)), np.zeros((3, 3, 3))
    for k in range(3):
        members = NORMALISED[k == LABEL]
        image[k, : len(members)] = members
        label[k, : len(members), k] = 1
    return dc.Batch(image, label)


def save_folder(path, names, image=IMAGE, label=LABEL, mode="RGB"):
    for i, (picture, k) in enumerate(zip(image, label)):
        (path / names[k]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).convert(mode).save(path / names[k] / f"{i:04}.png")
    return path


def save_npz(path, **arrays):
    np.savez(path, **{"images": IMAGE, "labels": LABEL, **arrays})
    return path


def needs_torch(path):
    pytest.importorskip("torch")
    return path


def save_pt(path, content):
    pytest.importorskip("torch").save(content, path)
    return path


def pair(image=NORMALISED, label=LABEL):
    torch = pytest.importorskip("torch")
    return [torch.tensor(np.ascontiguousarray(np.moveaxis(image, -1, 1))), torch.tensor(label)]


SOURCES = {
    "bytes": lambda at: save_npz(at / "x.npz"),
    "floats": lambda at: save_npz(at / "x.npz", images=IMAGE / 255),
    "probabilities": lambda at: save_npz(at / "x.npz", labels=np.eye(3)[LABEL]),
    "other order": lambda at: save_npz(at / "x.npz", labels=np.array([2, 0, 1])[LABEL], class_names=["10", "a/b", "2"]),
    "folder": lambda at: save_folder(at / "x", ("2", "10", "a_b")),
    "split folder": lambda at: save_folder(at / "x" / "train", ("2", "10", "a_b")).parent,
    "pairs": lambda at: save_pt(at / "x.pt", [pair()]),
    "published": lambda at: save_pt(at / "x.pt", {"data": [pair()], "accs_all_exps": {}}),
}


@pytest.mark.parametrize("source", SOURCES)
def test_one_set_is_read_from_every_format(source, tmp_path):
    (condensed,) = foreign.read(SOURCES[source](tmp_path), DATA)
    chex.assert_trees_all_close(condensed.batch, expected(), atol=1e-6)
    assert (condensed.class_names, condensed.mean, condensed.std) == (DATA.class_names, DATA.mean, DATA.std)


def test_grey_images_need_no_channel_axis(tmp_path):
    data = small_data()
    image = IMAGE[..., 0]
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz", images=image), data)
    np.testing.assert_allclose(condensed.batch.image[2, 1], data.train.normalise(image[3][..., None]), atol=1e-6)


def test_soft_labels_are_kept_and_grouped_by_the_likeliest_class(tmp_path):
    label = np.array([[0.1, 0.9, 0], [0.6, 0, 0.4]])
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz", images=IMAGE[:2], labels=label), DATA)
    np.testing.assert_allclose(condensed.batch.label[:, 0], [label[1], label[0], np.zeros(3)], atol=1e-7)


@pytest.fixture(name="run")
def _run(tmp_path):
    batch = DATA.sample(jax.random.key(0), 2)
    learned = dc.Learned({"image": batch.image}, {"rate": np.float32(0.02)})
    dc.save_condensed(tmp_path / "run" / "condensed.npz", batch, learned, DATA, {"method": "dc"})
    return tmp_path / "run"


def test_a_run_and_its_file_are_one_set(run):
    own = dc.load_condensed(run / "condensed.npz")
    for path in (run, str(run / "condensed.npz")):
        (condensed,) = foreign.read(path, DATA)
        chex.assert_trees_all_equal(condensed.batch, own.batch)
        chex.assert_trees_all_equal(condensed.compact, own.compact)
        assert (condensed.meta["method"], condensed.hyper) == ("dc", {"rate": np.float32(0.02)})


def test_a_run_is_brought_to_the_order_and_the_statistics_of_the_data(run):
    pixels = dc.load_condensed(run / "condensed.npz").pixels
    train = DATA.train.replace(normalisation=MeanStd((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))
    (condensed,) = foreign.read(run, dataclasses.replace(DATA, train=train, class_names=("a/b", "2", "10")))
    np.testing.assert_allclose(condensed.batch.image, train.normalise(255 * pixels[[2, 0, 1]]), atol=1e-5)
    np.testing.assert_array_equal(condensed.batch.label, np.eye(3)[:, None].repeat(2, 1))
    np.testing.assert_allclose(condensed.pixels, pixels[[2, 0, 1]], atol=1e-6)
    assert condensed.compact == {}  # they decode to the order and the statistics of the file


def test_a_published_file_holds_a_set_for_every_experiment(tmp_path):
    accuracies = {"ConvNet": [np.float64(0.5), np.float32(0.25), 0.125]}
    content = {"data": [pair(), pair(NORMALISED[::-1].copy())], "accs_all_exps": accuracies}
    first, second = foreign.read(save_pt(tmp_path / "res_DC.pt", content), DATA)
    chex.assert_trees_all_close(first.batch, expected(), atol=1e-6)
    np.testing.assert_allclose(second.batch.image[1, 0], NORMALISED[3], atol=1e-6)
    assert second.meta == {"experiment": 1, "accuracies": {"ConvNet": []}}  # three cannot be divided among two


def test_a_file_with_statistics_of_its_own_is_brought_to_those_of_the_data(tmp_path):
    content = {"data": [pair(IMAGE / np.float32(255) / 2 - 1)], "mean": [2.0] * 3, "std": [2.0] * 3}
    (condensed,) = foreign.read(save_pt(tmp_path / "x.pt", content), DATA)
    chex.assert_trees_all_close(condensed.batch, expected(), atol=1e-5)


def test_a_published_file_without_statistics_has_those_of_the_papers(tmp_path):
    """Whatever the dataset that it is read for is normalised by."""
    pixels = IMAGE / np.float32(255)
    mean, std = (np.array(values, np.float32) for values in dc.data.PAPER_STATISTICS["cifar10"])
    data = dataclasses.replace(WHITE, name="cifar10")
    (condensed,) = foreign.read(save_pt(tmp_path / "x.pt", {"data": [pair((pixels - mean) / std)]}), data)
    np.testing.assert_allclose(condensed.pixels[2, 1], pixels[3], atol=1e-4)


PAIRS = [(np.asarray(split.image), split.label) for split in (DATA.train, DATA.test)]
WHITE = dc.data.from_arrays(*PAIRS, class_names=DATA.class_names, normalisation=zca())


@pytest.mark.parametrize("source", SOURCES)
def test_sets_are_whitened_for_data_that_are(source, tmp_path):
    (condensed,) = foreign.read(SOURCES[source](tmp_path), WHITE)
    np.testing.assert_allclose(condensed.batch.image[2, 1], WHITE.train.normalise(IMAGE[3]), atol=1e-4)
    np.testing.assert_allclose(condensed.pixels[2, 1], IMAGE[3] / 255, atol=1e-4)


@pytest.mark.parametrize("form", ["npz", "pt", "png"])
def test_a_whitened_set_is_written_as_pixels_or_normalised_and_never_whitened(form, tmp_path):
    if form == "pt":
        pytest.importorskip("torch")
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz"), WHITE)
    out = tmp_path / f"out.{form}" if form != "png" else tmp_path / "out"
    getattr(foreign, f"write_{form}")(out, condensed)
    for data in (WHITE, DATA):
        (again,) = foreign.read(out, data)
        np.testing.assert_allclose(again.pixels[2, 1], IMAGE[3] / 255, atol=1e-4)
    if form == "npz":
        about = json.loads(str(np.load(out)["about"]))
        assert about["normalisation"] == "ZCA whitening of pixels in [0, 1] with epsilon 0.1"


def test_the_statistics_of_a_pt_file_undo_its_normalisation(tmp_path):
    torch = pytest.importorskip("torch")
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz"), WHITE)
    foreign.write_pt(tmp_path / "out.pt", condensed)
    content = torch.load(tmp_path / "out.pt")
    mean, std = (torch.tensor(content[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
    pixels = (content["data"][0][0] * std + mean).movedim(1, -1).numpy()
    np.testing.assert_allclose(pixels, IMAGE[np.argsort(LABEL, kind="stable")] / 255, atol=1e-4)
    assert content["images_are"] == "(pixels - mean) / std for every channel"
    assert "ZCA" in content["about"]["normalisation"]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = error(save_pt(tmp_path / "x.pt", {"data": [pair()], "accs_all_exps": Harmful()}))
    assert "or holds more than tensors and numbers (it asks for" in message
    assert not (tmp_path / "harmed").exists()


def test_without_pytorch_one_is_told_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "x.pt").touch()
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "can only be read with PyTorch: pip install torch" in error(tmp_path / "x.pt")


def error(path, data=DATA):
    with pytest.raises(dc.InputError) as caught:
        foreign.read(path, data)
    return str(caught.value)


def cut(path):
    path.write_bytes(path.read_bytes()[:-300])
    return path


def with_text(path):
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    return path


NAN = np.where(np.arange(3) == 1, np.nan, NORMALISED)
BAD = {
    "nothing": (lambda at: at / "x.npz", "There is no file"),
    "another kind": (lambda at: with_text(at / "x.txt"), "give a run directory, a folder of images, an .npz or a .pt"),
    "unfinished": (lambda at: with_text(at / "run" / "config.json").parent, "has no condensed.npz yet"),
    "cut npz": (lambda at: cut(save_npz(at / "x.npz")), "is damaged or no .npz file"),
    "other npz": (lambda at: save_npz(at / "x.npz", labels=LABEL[:-1]), "has labels of int64, (5,), but 6 images"),
    "no images": (lambda at: save_npz(at / "x.npz", images=IMAGE[:0]), "needs images [T, H, W, C], not (0, 8, 8, 3)"),
    "no rank": (lambda at: save_npz(at / "x.npz", images=IMAGE[0, 0]), "needs images [T, H, W, C], not (8, 3)"),
    "integers": (lambda at: save_npz(at / "x.npz", images=IMAGE.astype(int)), "not int64"),
    "normalised": (
        lambda at: save_npz(at / "x.npz", images=NORMALISED),
        "undo their normalisation (images * std + mean), and clip",
    ),
    "channels": (
        lambda at: save_npz(at / "x.npz", images=IMAGE[..., :1]),
        "has images of 8x8x1 (height, width, channels), but arrays has 8x8x3",
    ),
    "size": (lambda at: save_npz(at / "x.npz", images=IMAGE[:, 1:]), "has images of 7x8x3"),
    "label": (lambda at: save_npz(at / "x.npz", labels=LABEL + 1), "labels from 1 to 3, but arrays has 3 classes"),
    "negative": (lambda at: save_npz(at / "x.npz", labels=LABEL - 1), "labels from -1 to 1"),
    "absent": (lambda at: save_npz(at / "x.npz", labels=LABEL // 2), "has no image of class 'a/b'"),
    "classes": (lambda at: save_npz(at / "x.npz", labels=np.eye(4)[LABEL]), "probabilities (6, 3)"),
    "logits": (lambda at: save_npz(at / "x.npz", labels=np.eye(3)[LABEL] - 1 / 3), "that are no probabilities"),
    "no number": (
        lambda at: save_npz(at / "x.npz", images=np.full((6, 8, 8, 3), np.nan)),
        "has pixels that are not finite numbers",
    ),
    "names": (lambda at: save_npz(at / "x.npz", class_names=["2", "10", "c"]), "'a/b' is in only one of them"),
    "folders": (
        lambda at: save_folder(at / "x", ("0", "1", "2")),
        "has 3 classes and arrays has 3, and '0' is in only",
    ),
    "folder missing": (lambda at: save_folder(at / "x", ("2", "10", "10")), "has 2 classes and arrays has 3"),
    "grey folder": (lambda at: save_folder(at / "x", ("2", "10", "a_b"), mode="L"), "has images of 8x8x1"),
    "one folder": (lambda at: save_folder(at / "x", ("2", "2", "2")), "has one class"),
    "cut pt": (lambda at: cut(save_pt(at / "x.pt", pair())), "is damaged, or holds more than"),
    "no pt": (lambda at: with_text(needs_torch(at / "x.pt")), "is damaged, or holds more than"),
    "weights": (lambda at: save_pt(at / "x.pt", {"weight": pair()[0]}), "holds no condensed images: it needs"),
    "no pair": (lambda at: save_pt(at / "x.pt", {"data": [pair()[:1]]}), "holds no condensed images: it needs"),
    "number": (lambda at: save_pt(at / "x.pt", 3), "holds no condensed images: it needs"),
    "pt channels": (lambda at: save_pt(at / "x.pt", {"data": [pair(NORMALISED[..., :1])]}), "has images of 8x8x1"),
    "pt label": (lambda at: save_pt(at / "x.pt", {"data": [pair(label=LABEL * 2)]}), "labels from 0 to 4"),
    "pt no number": (lambda at: save_pt(at / "x.pt", {"data": [pair(NAN)]}), "has pixels that are not finite numbers"),
    "pt notes": (
        lambda at: save_pt(at / "x.pt", {"data": [pair()], "accs_all_exps": [1]}),
        "something beside its images that does not fit",
    ),
    "pt pair of numbers": (
        lambda at: save_pt(at / "x.pt", {"data": [pair()], "accs_all_exps": {"a": [pair()[1]]}}),
        "something beside its images that does not fit",
    ),
    "pt accuracies in percent": (
        lambda at: save_pt(at / "x.pt", beside(accs_all_exps={"ConvNet": [91.7]})),
        "accuracies must be from 0 to 1",
    ),
    "pt notes of no method": (
        lambda at: save_pt(at / "x.pt", beside(about={"method": 3})),
        "beside its images that does not fit (its method is 3 instead of a text)",
    ),
    "pt soft labels of one": (
        lambda at: save_pt(at / "x.pt", {"data": [pair(), pair()], "soft_labels": [pair()[1]]}),
        "beside its images that does not fit (there are 2 sets, but soft labels of 1)",
    ),
    "pt mean": (lambda at: save_pt(at / "x.pt", {"data": [pair()], "mean": [0.5]}), "mean and std need 3 numbers"),
    "pt std": (lambda at: save_pt(at / "x.pt", beside(std=[0.5, 0, 0.5])), "must be finite, and std positive"),
    "pt mean of NaN": (
        lambda at: save_pt(at / "x.pt", beside(mean=[0.5, float("nan"), 1])),
        "mean and std must be finite",
    ),
    "pt complex": (
        lambda at: save_pt(at / "x.pt", beside(soft_labels=nan((6, 3)).to(torch().complex64))),
        "has labels of complex64, but they must be numbers",
    ),
    "pt class names": (
        lambda at: save_pt(at / "x.pt", beside(class_names=["2", "2", "10"])),
        "two classes of the name '2'",
    ),
    "pt learned NaN": (
        lambda at: save_pt(at / "x.pt", beside(about={"learned": {"rate": float("nan")}})),
        "has a learned 'rate' that is no finite number",
    ),
    "pt expanded": (
        lambda at: save_pt(at / "x.pt", [torch().zeros(1).expand(10**8, 3, 64, 64), pair()[1]]),
        "of shape (100000000, 3, 64, 64) that claims 4915200000000 bytes but stores 4: save a contiguous copy",
    ),
    "pt expanded labels": (
        lambda at: save_pt(at / "x.pt", [pair()[0], torch().zeros(1, dtype=int).expand(10**12)]),
        "of shape (1000000000000,) that claims 8000000000000 bytes but stores 8",
    ),
    "pt expanded mean": (
        lambda at: save_pt(at / "x.pt", beside(mean=torch().zeros(1).expand(10**12))),
        "of shape (1000000000000,) that claims",
    ),
    "pt expanded accuracy": (
        lambda at: save_pt(at / "x.pt", beside(accs_all_exps={"a": torch().zeros(1).expand(10**12)})),
        "of shape (1000000000000,) that claims",
    ),
    "pt sparse": (
        lambda at: save_pt(at / "x.pt", [pair()[0], torch().eye(3).to_sparse()]),
        "holds a tensor that is sparse, quantized or of another device: save it dense.",
    ),
    "pt lists of lists": (lambda at: save_pt(at / "x.pt", beside(about=lists(60))), "lists of more than 1000000 items"),
    "pt list in itself": (
        lambda at: save_pt(at / "x.pt", beside(about=in_itself())),
        "lists of more than 1000000 items",
    ),
    "pt flipped": (lambda at: flipped(save_pt(at / "x.pt", pair())), "(its contents do not go with its checksums)"),
    "pt claims": (lambda at: claiming(save_pt(at / "x.pt", pair())), "claims to hold more than it can"),
    "pt pipe": (lambda at: pipe(at / "x.pt"), "is no regular file, as a folder, a pipe or a broken link is none"),
    "long path": (lambda at: at / ("x" * 300 + ".npz"), "(File name too long): give another."),
    "npz pipe": (lambda at: pipe(at / "x.npz"), "is no regular file, as a folder, a pipe or a broken link is none"),
    "text labels": (
        lambda at: save_npz(at / "x.npz", labels=np.full((6, 3), "a")),
        "has labels of <U1, but they must be",
    ),
    "complex labels": (
        lambda at: save_npz(at / "x.npz", labels=np.eye(3)[LABEL] * 1j),
        "has labels of complex128, but they must be numbers",
    ),
    "learned text": (
        lambda at: save_npz(at / "x.npz", **{"hyper/rate": "x"}),
        "has a learned 'rate' that is no finite number",
    ),
    "two of one name": (
        lambda at: save_npz(at / "x.npz", class_names=["2", "2", "10"]),
        "has two classes of the name '2': give every class a name of its own.",
    ),
    "pipe in a folder": (
        lambda at: pipe(save_folder(at / "x", ("2", "10", "a_b")) / "2" / "x.png").parents[1],
        "x.png is named like an image but is a pipe",
    ),
}


def torch():
    return pytest.importorskip("torch")


def beside(**facts):
    return {"data": [pair()], **facts}


def nan(shape):
    return torch().full(shape, float("nan"))


def lists(depth):
    """Lists of the same list twice: small in a file, with 2^depth items."""
    return [] if depth == 0 else [lists(depth - 1)] * 2


def in_itself():
    content = []
    content.append(content)
    return content


def flipped(path):
    """Flips a bit of the first image."""
    content = bytearray(path.read_bytes())
    content[content.index(np.moveaxis(NORMALISED[0], -1, 0).tobytes())] ^= 1
    path.write_bytes(content)
    return path


def claiming(path):
    """Makes the first member of a zip file claim 4 GiB."""
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = b"\xf0\xff\xff\xff"
    path.write_bytes(content)
    return path


def pipe(path):
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case, tmp_path):
    make, message = BAD[case]
    given = error(make(tmp_path))
    assert message in given
    assert len(given.splitlines()) == 1


def test_a_run_on_other_data_is_refused(run):
    assert "has images of 8x8x3" in error(run, dataclasses.replace(small_data(), class_names=DATA.class_names))
    assert "has 3 classes and arrays has 4" in error(run, small_data(num_classes=4, channels=3))
    content = dict(np.load(run / "condensed.npz"))
    meta = json.loads(str(content["meta"]))
    np.savez(
        run / "condensed.npz", **{**content, "meta": np.array(json.dumps({**meta, "format": "dcjax-condensed-9"}))}
    )
    assert "is not a condensed set of dcjax" in error(run)


def test_padding_changes_no_training(tmp_path):
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz"), DATA)
    rows = foreign.real_rows(condensed.batch)
    chex.assert_shape(rows.image, (1, 6, 8, 8, 3))
    linear = dc.Network(None, lambda params, image: image.reshape(len(image), -1) @ params, None)
    params = jax.random.normal(jax.random.key(0), (8 * 8 * 3, 3))
    with_padding, without = (
        fit(jax.random.key(1), cross_entropy(linear), params, flatten(batch), optax.sgd(0.1), epochs=2)
        for batch in (condensed.batch, rows)
    )
    np.testing.assert_allclose(with_padding, without, atol=1e-5)
    assert abs(without - params).max() > 0.01


def test_what_is_written_has_no_padding(tmp_path):
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz"), DATA)
    foreign.write_npz(tmp_path / "again.npz", condensed)
    content = np.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(content["labels"], sorted(LABEL))
    np.testing.assert_allclose(content["images"], IMAGE[np.argsort(LABEL, kind="stable")] / 255, atol=1e-6)


def test_folders_are_named_as_classes_where_a_file_system_allows_it():
    names = ("cat", "Cat", "a/b", "a:b", ".hidden", "", "..", "nul", "con.x", "été")
    folders = foreign.folder_names(names)
    assert folders == ("cat", "Cat_2", "a_b", "a_b_2", "hidden", "_", "__2", "_nul", "_con.x", "été")
    assert foreign.folder_names([str(i) for i in range(100)]) == tuple(str(i) for i in range(100))


def test_what_was_learned_beside_the_images_is_exported_and_read_back(run, tmp_path):
    condensed = dc.load_condensed(run / "condensed.npz")
    foreign.write_npz(tmp_path / "plain.npz", condensed)
    (read,) = foreign.read(tmp_path / "plain.npz", DATA)
    assert read.hyper == {"rate": np.float32(0.02)}
    with np.load(tmp_path / "plain.npz") as file:
        assert json.loads(str(file["about"]))["learned"] == {"rate": pytest.approx(0.02)}


def test_what_was_learned_beside_the_images_is_in_a_file_for_pytorch_too(run, tmp_path):
    pytest.importorskip("torch")
    foreign.write_pt(tmp_path / "images.pt", dc.load_condensed(run / "condensed.npz"))
    (read,) = foreign.read(tmp_path / "images.pt", DATA)
    assert read.hyper == {"rate": np.float32(0.02)}


def test_a_set_that_is_brought_to_other_statistics_cannot_be_decoded_into_the_old_ones(run):
    train = DATA.train.replace(normalisation=MeanStd((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))
    (condensed,) = foreign.read(run, dataclasses.replace(DATA, train=train))
    assert (condensed.compact, "decoder" in condensed.meta) == ({}, False)


@pytest.mark.parametrize("names", [("2", "10", "a/b"), ("a", "a", "b")])
def test_classes_whose_names_agree_in_order_are_matched_by_position(names, tmp_path):
    data = dataclasses.replace(DATA, class_names=names)
    (condensed,) = foreign.read(save_npz(tmp_path / "x.npz", class_names=names), data)
    chex.assert_trees_all_close(condensed.batch, expected(), atol=1e-6)


def enlarged(stored, factor):
    """Images [M, H, W, C] as IDC's test reads them, by PyTorch: padded with grey, cut, enlarged, the cell outermost."""
    grid = torch().tensor(np.moveaxis(stored, -1, 1))
    side = grid.shape[-1]
    cell = -(-side // factor)
    grid = torch().nn.functional.pad(grid, (0, factor * cell - side, 0, factor * cell - side), value=0.5)
    cells = [grid[..., i : i + cell, j : j + cell] for i, j in cell * np.array([*np.ndindex(factor, factor)])]
    out = torch().nn.functional.interpolate(torch().cat(cells), size=(side, side), mode="bilinear")
    return np.moveaxis(out.numpy(), 1, -1)


STORED = IMAGE / np.float32(255)
EVEN = np.array([2, 0, 1, 2, 0, 1])


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("data", ["DATA", "WHITE"])
def test_a_bare_pair_is_read_as_idc_s_grids_of_pixels_once_its_factor_is_given(factor, data, tmp_path):
    data = globals()[data]
    (condensed,) = foreign.read(save_pt(tmp_path / "data.pt", pair(STORED, EVEN)), data, factor=factor)
    for k in range(3):
        np.testing.assert_allclose(condensed.pixels[k], enlarged(STORED[k == EVEN], factor), atol=2e-5)
    np.testing.assert_array_equal(condensed.batch.label, np.eye(3)[:, None].repeat(2 * factor**2, 1))
    np.testing.assert_array_equal(condensed.compact["image"], np.stack([STORED[k == EVEN] for k in range(3)]))
    assert sum(x.nbytes for x in condensed.compact.values()) == STORED.nbytes
    chex.assert_trees_all_close(condensed.decode(), condensed.batch, atol=1e-6)
    assert (condensed.meta["method"], condensed.meta["ipc"]) == ("idc_i" if factor == 1 else "idc", 2)


def test_a_bare_pair_whose_factor_is_not_given_is_refused(tmp_path):
    said = error(save_pt(tmp_path / "data.pt", pair(STORED, EVEN)))
    assert "is a bare pair of images and labels, which does not say what the images are: give the factor" in said
    assert "--factor" in said
    assert len(said.splitlines()) == 1


def test_the_factor_is_for_bare_pairs_alone(tmp_path):
    for source in ("bytes", "published"):
        (condensed,) = foreign.read(SOURCES[source](tmp_path), DATA, factor=2)
        chex.assert_trees_all_close(condensed.batch, expected(), atol=1e-6)


NO_GRIDS = {
    "as many": (pair, (STORED, LABEL), 2, "needs as many images of every class as of the others, with integer labels"),
    "soft labels": (pair, (STORED, np.eye(3)[EVEN]), 2, "of every class as of the others, with integer labels"),
    "rows of integers": (
        pair,
        (STORED, np.eye(3, dtype=int)[EVEN]),
        2,
        "of every class as of the others, with integer labels",
    ),
    "normalised": (pair, (NORMALISED, EVEN), 1, "too far outside [0, 1] to be the pixels of IDC's data.pt"),
    "no cells": (pair, (STORED, EVEN), 5, "Images of side 8 cannot be cut into 5 cells"),
    "below one": (
        pair,
        (STORED, EVEN),
        0,
        "The factor of a grid is the number of cells along a side, at least 1, not 0",
    ),
    "not finite": (pair, (np.where(STORED > 0.9, np.nan, STORED), EVEN), 2, "pixels that are not finite numbers"),
    "other class": (pair, (STORED, EVEN + 1), 2, "has labels from 1 to 3"),
}


@pytest.mark.parametrize("case", NO_GRIDS)
def test_what_is_no_set_of_idc_s_is_not_read_as_one(case, tmp_path):
    make, arguments, factor, message = NO_GRIDS[case]
    path = save_pt(tmp_path / "data.pt", make(*arguments))
    with pytest.raises(dc.InputError) as caught:
        foreign.read(path, DATA, factor=factor)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


KIP = np.eye(3, dtype=np.float32)[LABEL] - np.float32(1 / 3)


def test_the_sets_of_kip_are_refused_for_what_they_do_not_say(tmp_path):
    """Images normalised or whitened, which the file does not say, and labels for a regression."""
    for label in (KIP, 1.5 * KIP + 0.1):
        said = error(save_npz(tmp_path / "kip.npz", images=NORMALISED, labels=label))
        assert "has soft labels that are no probabilities" in said
        assert "as those of KIP are not" in said
        assert "images in [0, 1]" in said
    channels_last = [torch().tensor(NORMALISED), torch().tensor(KIP)]  # as in IDC's copy
    assert "which does not say what the images are" in error(save_pt(tmp_path / "kip.pt", channels_last))


def test_every_experiment_of_a_published_file_keeps_its_own_accuracies(tmp_path):
    content = {"data": [pair(), pair()], "accs_all_exps": {"ConvNet": [0.5, 0.25, 0.75, 1.0], "MLP": [0.5, 0.0]}}
    first, second = foreign.read(save_pt(tmp_path / "x.pt", content), DATA)
    assert first.meta["accuracies"] == {"ConvNet": [0.5, 0.25], "MLP": [0.5]}
    assert second.meta["accuracies"] == {"ConvNet": [0.75, 1.0], "MLP": [0.0]}


@pytest.mark.parametrize(
    "name", ["res_DC_MNIST_ConvNet_1ipc.pt", "res_DSA_CIFAR10_ConvNet_50ipc.pt", "res_MNIST_ConvNet_1ipc.pt"]
)
def test_the_name_of_a_published_file_says_the_method(name, tmp_path):
    (condensed,) = foreign.read(save_pt(tmp_path / name, {"data": [pair()], "accs_all_exps": {}}), DATA)
    said = {"res_DC_": "dc", "res_DSA": "dsa"}.get(name[:7])
    assert condensed.meta.get("method") == said


NOTES = {"method": "idc", "dataset": "arrays", "ipc": 1, "recipe": {"schedule": "idc", "settings": {}, "views": 1}}
NOTES |= {"decoder": {"name": "multi_formation", "arguments": {"ipc": 1, "factor": 2}, "image_space": "pixel"}}


@pytest.mark.parametrize("form", ["npz", "pt"])
def test_what_a_set_notes_of_itself_is_exported_and_read_back(form, tmp_path):
    if form == "pt":
        torch()
    batch = DATA.sample(jax.random.key(0), 4)
    dc.save_condensed(tmp_path / "own.npz", batch, dc.Learned({}, {}), DATA, NOTES)
    getattr(foreign, f"write_{form}")(tmp_path / f"x.{form}", dc.load_condensed(tmp_path / "own.npz"))
    (condensed,) = foreign.read(tmp_path / f"x.{form}", DATA)
    assert {name: condensed.meta[name] for name in ("method", "dataset", "ipc", "recipe")} == {
        name: NOTES[name] for name in ("method", "dataset", "ipc", "recipe")
    }
    assert factor_of(condensed.meta) == 2


def test_a_set_brought_to_other_statistics_keeps_its_factor(tmp_path):
    dc.save_condensed(tmp_path / "own.npz", DATA.sample(jax.random.key(0), 4), dc.Learned({}, {}), DATA, NOTES)
    train = DATA.train.replace(normalisation=MeanStd((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))
    (condensed,) = foreign.read(tmp_path / "own.npz", dataclasses.replace(DATA, train=train))
    assert ("decoder" in condensed.meta, factor_of(condensed.meta)) == (False, 2)


@pytest.mark.parametrize(
    "odd", [{}, {"decoder": {}}, {"decoder": {"arguments": [2]}}, {"decoder": {"arguments": {"factor": "2"}}}]
)
def test_a_set_that_notes_no_factor_has_one_cell(odd):
    assert factor_of(odd) == 1


@pytest.mark.parametrize("certain", [1.0, 0.8])
def test_several_sets_are_written_as_the_experiments_of_one_file(certain, tmp_path):
    pytest.importorskip("torch")
    label = certain * np.eye(3, dtype=np.float32)[LABEL] + (1 - certain) / 3
    sets = [
        foreign.read(save_npz(tmp_path / f"{i}.npz", images=image, labels=label), DATA)[0]
        for i, image in enumerate((IMAGE, IMAGE[::-1]))
    ]
    sets[1] = sets[1]._replace(hyper={"rate": np.float32(0.5)}, meta={"method": "dm"})
    foreign.write_pt(tmp_path / "x.pt", *sets, accuracies={"ConvNet": [0.5, 0.25, 0.75, 1.0]})
    content = torch().load(tmp_path / "x.pt")
    assert content["accs_all_exps"] == {"ConvNet": [0.5, 0.25, 0.75, 1.0]}
    assert [[x.dtype for x in each] for each in content["data"]] == [[torch().float32, torch().int64]] * 2
    again = foreign.read(tmp_path / "x.pt", DATA)
    for read, given in zip(again, sets, strict=True):
        chex.assert_trees_all_close(read.batch, given.batch, atol=1e-6)
    assert [read.meta["accuracies"] for read in again] == [{"ConvNet": [0.5, 0.25]}, {"ConvNet": [0.75, 1.0]}]
    assert [read.hyper for read in again] == [{}, {"rate": np.float32(0.5)}]
    assert [read.meta.get("method") for read in again] == [None, "dm"]


def test_sets_of_other_classes_are_not_written_into_one_file(tmp_path):
    pytest.importorskip("torch")
    (one,) = foreign.read(save_npz(tmp_path / "x.npz"), DATA)
    with pytest.raises(
        dc.InputError, match=r"x.pt cannot hold sets of other classes or another normalisation than the first"
    ):
        foreign.write_pt(tmp_path / "x.pt", one, one._replace(class_names=("a", "b", "c")))
    assert not (tmp_path / "x.pt").exists()
