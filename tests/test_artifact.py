"""A saved set comes back whole: its images, what they were decoded from and by, and what was learned beside them."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_data

import dcjax as dc
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
}


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
