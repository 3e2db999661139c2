"""A saved set comes back whole: its images, what they were decoded from and by, and what was learned beside them."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc
from dcjax import decoders
from dcjax.artifact import DECODERS
from dcjax.normalisation import zca

PLAIN = small_data(channels=3)
WHITE = dc.data.from_arrays((np.asarray(PLAIN.train.image), PLAIN.train.label), normalisation=zca())
DATA = {"mean and deviation": PLAIN, "zca": WHITE}
ARGUMENTS = {  # of every decoder of the library: a new one is one line here
    "pixels": {"ipc": 2},
    "multi_formation": {"ipc": 2, "factor": 2},
    "multi_scale_formation": {"ipc": 1, "factor": 2},
    "bounded_formation": {"ipc": 2, "factor": 2, "bound": 5},
}


def noted(name, space="normalised", **arguments):
    return {"method": "any", "decoder": {"name": name, "arguments": arguments, "image_space": space}}


def save(path, images, data, meta, hyper=()):
    syn = images.init(jax.random.key(0), data.sample(jax.random.key(1), 8))
    batch = images.decode(syn)
    dc.save_condensed(path, batch, dc.Learned(syn, hyper), data, meta)
    return batch


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("space", ["normalised", "pixel"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_compact_parameters_decode_to_what_is_stored(name, space, data, tmp_path):
    images = DECODERS[name](**ARGUMENTS[name])
    if space == "pixel":
        images = dc.in_pixel_space(images, DATA[data].train.normalisation)
    batch = save(tmp_path / "x.npz", images, DATA[data], noted(name, space, **ARGUMENTS[name]))
    loaded = dc.load_condensed(tmp_path / "x.npz")
    decoded = loaded.decode()
    chex.assert_trees_all_close(decoded, batch, atol=1e-5)
    chex.assert_trees_all_close(decoded, loaded.batch, atol=1e-3 if data == "zca" else 1e-5)


def test_whitening_is_stored_and_images_are_pixels(tmp_path):
    real = WHITE.sample(jax.random.key(0), 2)
    dc.save_condensed(tmp_path / "x.npz", real, dc.Learned({"image": real.image}, ()), WHITE, {})
    loaded = dc.load_condensed(tmp_path / "x.npz")
    content = np.load(tmp_path / "x.npz")
    np.testing.assert_allclose(content["images"], WHITE.train.denormalise(real.image).reshape(-1, 8, 8, 3), atol=1e-5)
    assert -1e-4 < content["images"].min() < content["images"].max() < 1 + 1e-4
    np.testing.assert_allclose(loaded.batch.image, real.image, atol=1e-4)
    np.testing.assert_allclose(loaded.pixels.reshape(-1, 8, 8, 3), content["images"], atol=1e-5)
    np.testing.assert_allclose((loaded.mean, loaded.std), (WHITE.mean, WHITE.std), rtol=1e-6)
    assert content["zca/epsilon"] == loaded.normalisation.epsilon == 0.1
    rows = content["images"].reshape(6, -1) - content["zca/mean"]  # by hand, as the module says
    whitened = rows @ content["zca/basis"] / np.sqrt(content["zca/spectrum"] + 0.1) @ content["zca/basis"].T
    np.testing.assert_allclose(whitened.reshape(loaded.batch.image.shape), loaded.batch.image, atol=1e-3)


def test_learned_hyperparameters_come_back(tmp_path):
    hyper = {"rate": jnp.float32(0.03), "each": {"step": jnp.arange(3.0)}}
    save(tmp_path / "x.npz", dc.pixels(1), PLAIN, {}, hyper)
    loaded = dc.load_condensed(tmp_path / "x.npz")
    chex.assert_trees_all_equal(loaded.hyper, {"rate": np.float32(0.03), "each/step": np.arange(3, dtype=np.float32)})
    assert list(loaded.compact) == ["image"]
    assert loaded.meta["bytes"]["compact"] == loaded.compact["image"].nbytes


def test_sets_without_hyperparameters_have_none(tmp_path):
    save(tmp_path / "x.npz", dc.pixels(1), PLAIN, {})
    assert dc.load_condensed(tmp_path / "x.npz").hyper == {}


def memory(ipc, gain):
    """A parameterization of somebody's own, with parameters in branches."""

    def init(key, real):
        return {"memory": {"bases": real.image[:, :ipc], "shift": jnp.ones(())}, "label": real.label[:, :ipc]}

    def decode(syn):
        return dc.Batch(gain * syn["memory"]["bases"] + syn["memory"]["shift"], syn["label"])

    return dc.Parameterization(init, decode)


def test_others_add_decoders_with_parameters_in_branches(tmp_path, monkeypatch):
    batch = save(tmp_path / "x.npz", memory(2, 0.5), PLAIN, noted("memory", ipc=2, gain=0.5))
    loaded = dc.load_condensed(tmp_path / "x.npz")
    assert set(loaded.compact) == {"memory/bases", "memory/shift", "label"}
    with pytest.raises(dc.InputError, match=r"no decoder .memory.: choose pixels, multi_formation, .* or add it to"):
        loaded.decode()
    monkeypatch.setitem(DECODERS, "memory", memory)
    chex.assert_trees_all_close(loaded.decode(), batch, atol=1e-6)


BAD = {
    "no note": (lambda c: c._replace(meta={}), "but the set has None"),
    "half a note": (lambda c: c._replace(meta={"decoder": {"name": "pixels"}}), "but the set has {'name': 'pixels'}"),
    "space": (lambda c: c._replace(meta=noted("pixels", "hsv", ipc=2)), "('normalised' or 'pixel')"),
    "no parameters": (lambda c: c._replace(compact={}), "of which there are none"),
    "other parameters": (lambda c: c._replace(compact={"bases": c.compact["image"]}), "parameters, bases (KeyError"),
    "arguments": (lambda c: c._replace(meta=noted("pixels", ipc=2, factor=2)), "does not fit the set's parameters"),
    "huge factor": (lambda c: with_factor(c, 10**9), "(ValueError: its factor is beyond 8)"),
    "huge scales": (lambda c: with_factor(c, 10**9, "multi_scale_formation"), "(ValueError: its factor is beyond 8)"),
    "huge bound": (
        lambda c: with_factor(c, 2, "bounded_formation", bound=10**18),
        "(ValueError: its bound is beyond 1152)",
    ),
    "huge ipc": (lambda c: c._replace(meta=noted("pixels", ipc=10**400)), "(ValueError: its ipc is beyond 1152)"),
    "negative factor": (lambda c: with_factor(c, -2), "The factor of a multi-formation is the number of cells"),
    "negative scales": (lambda c: with_factor(c, -2, "multi_scale_formation"), "The factor of a multi-formation is"),
    "no cells": (lambda c: with_factor(c, 0), "does not fit the set's parameters"),
    "negative ipc": (lambda c: c._replace(meta=noted("pixels", ipc=-1)), "at least 1, not -1"),
    "a long note": (lambda c: c._replace(meta={"decoder": ["x" * 10**6] * 100}), "but the set has ['xxx"),
    "texts": (lambda c: c._replace(compact={"image": np.array(["a"])}), "does not fit the set's parameters"),
    "deep name": (lambda c: c._replace(compact={"a/" * 30000 + "b": np.zeros(5)}), "a parameter has too many branches"),
}


def with_factor(condensed, factor, name="multi_formation", **others):
    return condensed._replace(meta=noted(name, ipc=2, factor=factor, **others))


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_decoded_is_one_sentence(case, tmp_path):
    change, message = BAD[case]
    save(tmp_path / "x.npz", dc.pixels(2), PLAIN, noted("pixels", ipc=2))
    with pytest.raises(dc.InputError) as caught:
        change(dc.load_condensed(tmp_path / "x.npz")).decode()
    given = str(caught.value)
    assert message in given
    assert given.endswith("use the images as they are stored.")
    assert len(given.splitlines()) == 1
    assert len(given) < 1000


def test_what_would_not_fit_into_memory_is_not_decoded(tmp_path, monkeypatch):
    save(tmp_path / "x.npz", dc.pixels(2), PLAIN, noted("pixels", ipc=2))
    loaded = dc.load_condensed(tmp_path / "x.npz")
    monkeypatch.setattr(decoders.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 1000}))
    with pytest.raises(dc.InputError, match=r"it makes 0 GiB, more than this machine's memory"):
        loaded.decode()


def labels(change):
    return {"labels": change(np.eye(3, dtype=np.float32).repeat(2, 0))}


def meta(**facts):
    return {"meta": np.array(json.dumps({"format": "dcjax-condensed-1", **facts}))}


def width(value):
    return meta(recipe={"network": {"network": "convnet", "width": value}})


FIT = "is not a condensed set of dcjax (dcjax-condensed-1), or parts of it do not fit ("
HOLDS = "holds values that no run writes ("
DAMAGED = {  # what is changed in a file -> what is said of it
    "deep meta": ({"meta": np.array("[" * 100000)}, f"{FIT}its meta is no JSON object of at most 20 levels): make it"),
    "deep dicts": ({"meta": np.array('{"a":' * 100000)}, f"{FIT}its meta is no JSON object of at most 20 levels)"),
    "rather deep": (meta(a=json.loads("[" * 100 + "]" * 100)), f"{FIT}its meta is no JSON object of at most 20 levels"),
    "half a character": (meta(dataset="\ud800"), f"{FIT}its meta is no JSON object"),
    "number as meta": ({"meta": np.array(3)}, f"{FIT}its meta is no JSON object"),
    "another format": (meta(format=[1]), f"{FIT}its format is [1])"),
    "recipe": (meta(recipe=["dc"]), f"{FIT}its recipe is ['dc'] instead of facts by name)"),
    "network": (meta(recipe={"network": "convnet"}), f"{FIT}the network of its recipe is 'convnet' instead of facts"),
    "decoder": (meta(decoder="pixels"), f"{FIT}its decoder is 'pixels' instead of facts by name)"),
    "accuracy": (meta(accuracy=0.5), f"{FIT}its accuracy is 0.5 instead of facts by name)"),
    "bytes": (meta(bytes=3), f"{FIT}its bytes is 3 instead of facts by name)"),
    "dataset": (meta(dataset=3), f"{FIT}its dataset is 3 instead of a text)"),
    "method": (meta(method=None), f"{FIT}its method is None instead of a text)"),
    "version": (meta(version=[0, 2]), f"{FIT}its version is [0, 2] instead of a text)"),
    "ipc": (meta(ipc="1"), f"{FIT}its ipc is '1' instead of an integer from 1 to 1000000000)"),
    "no ipc": (meta(ipc=0), f"{FIT}its ipc is 0 instead of"),
    "true ipc": (meta(ipc=True), f"{FIT}its ipc is True instead of"),
    "absurd ipc": (meta(ipc=10**18), f"{FIT}its ipc is 1000000000000000000 instead of"),
    "width": (width("128"), f"{FIT}its width is '128' instead of an integer from 1 to"),
    "float width": (width(1e300), f"{FIT}its width is 1e+300 instead of"),
    "absurd width": (width(10**9), f"{FIT}its width is 1000000000 instead of"),
    "negative": (labels(lambda x: 1.5 * x - 0.25), f"{HOLDS}labels go down to -0.25): make it again."),
    "no sum": (labels(lambda x: 0.5 * x), f"{HOLDS}labels of an image sum to 0.5 instead of one)"),
    "large sum": (labels(lambda x: 1.01 * x), f"{HOLDS}labels of an image sum to 1.01 instead of one)"),
    "no label": (labels(np.zeros_like), f"{HOLDS}no image of class '0' has a label)"),
    "no deviation": ({"std": np.array([0.5, 0, 0.5])}, f"{HOLDS}std has a deviation of 0 or below)"),
    "negative deviation": ({"std": np.array([0.5, -1, 0.5])}, f"{HOLDS}std has a deviation of 0 or below)"),
    "tiny deviation": ({"std": np.array([0.5, 1e-300, 0.5])}, f"{HOLDS}std has a deviation of 0 or below)"),
    "small deviation": ({"std": np.full(3, 1e-42)}, "a normalisation that makes its images infinite: make it again."),
    "infinite in single": ({"mean": np.array([0.5, 1e300, 0.5])}, "holds values that are not finite"),
    "twice": ({"class_names": np.array(["a", "b", "a"])}, f"{FIT}two classes have the name 'a')"),
    "numbers as names": ({"class_names": np.arange(3)}, f"{FIT}class_names are no list of texts)"),
    "bytes as names": ({"class_names": np.array([b"a", b"b", b"c"])}, f"{FIT}class_names are no list of texts)"),
    "integers": ({"images": np.zeros((6, 8, 8, 3), int)}, f"{FIT}images are int64 instead of floats)"),
    "no side": ({"images": np.zeros((6, 0, 8, 3))}, f"{FIT}images are (6, 0, 8, 3) instead of [T, H, W, C]"),
    "fields": ({"images": np.zeros((6, 8, 8, 3), [("a", "f4")])}, f"{FIT}images are [('a', '<f4')] instead of floats)"),
    "learned text": ({"hyper/rate": np.array("fast")}, f"{FIT}'hyper/rate' holds no numbers)"),
    "parameters of text": ({"compact/image": np.array(["a"])}, f"{FIT}'compact/image' holds no numbers)"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_set_is_one_sentence(case, tmp_path):
    change, expected = DAMAGED[case]
    path = tmp_path / "x.npz"
    save(path, dc.pixels(2), PLAIN, {"ipc": 2})
    np.savez(path, **{**np.load(path), **change})
    with pytest.raises(dc.InputError) as caught:
        dc.load_condensed(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_labels_may_be_soft_rounded_or_padding(tmp_path):
    path = tmp_path / "x.npz"
    save(path, dc.pixels(2), PLAIN, {"ipc": 2, "decoder": {}, "recipe": {}})
    given = np.eye(3, dtype=np.float32).repeat(2, 0)
    given[0], given[3], given[5] = (0.25, 0.5, 0.25), (0.0005, 1, 0), 0
    np.savez(path, **{**np.load(path), "labels": given})
    np.testing.assert_array_equal(dc.load_condensed(path).batch.label, given.reshape(3, 2, 3))


def test_damaged_whitening_is_named(tmp_path):
    path = tmp_path / "x.npz"
    save(path, dc.pixels(1), WHITE, {})
    content = dict(np.load(path))
    for wrong in ({"zca/mean": np.zeros(3)}, {"zca/basis": np.eye(192, dtype=int)}, {"zca/epsilon": np.zeros(2)}):
        np.savez(path, **{**content, **wrong})
        with pytest.raises(dc.InputError, match="parts of it do not fit"):
            dc.load_condensed(path)
    np.savez(path, **{name: x for name, x in content.items() if name != "zca/basis"})
    with pytest.raises(dc.InputError, match="parts of it do not fit"):
        dc.load_condensed(path)
    np.savez(path, **{**content, "zca/spectrum": np.full(192, np.nan, np.float32)})
    with pytest.raises(dc.InputError, match="values that are not finite"):
        dc.load_condensed(path)


def test_a_file_of_before_loads(tmp_path):
    image = np.asarray(PLAIN.sample(jax.random.key(0), 2).image)
    decoder = {"name": "pixels", "arguments": {"ipc": 2}}  # without the space, which was always the same
    statistics = {name: np.array(getattr(PLAIN, name), np.float32) for name in ("mean", "std")}
    np.savez(
        tmp_path / "x.npz",
        images=np.asarray(PLAIN.train.denormalise(image)).reshape(-1, 8, 8, 3),
        labels=np.eye(3, dtype=np.float32).repeat(2, 0),
        class_names=np.array(PLAIN.class_names),
        meta=np.array(json.dumps({"format": "dcjax-condensed-1", "decoder": decoder})),
        **statistics,
        **{"compact/image": image},
    )
    loaded = dc.load_condensed(tmp_path / "x.npz")
    np.testing.assert_allclose(loaded.batch.image, image, atol=1e-5)
    chex.assert_trees_all_close(loaded.decode(), loaded.batch, atol=1e-5)
