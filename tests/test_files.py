"""Artefacts and checkpoints: what is written is read back, and damage is named."""

import json
import shutil
import subprocess
import sys

import chex
import jax
import numpy as np
import optax
import pytest
from helpers import small_data, small_net

import dcjax as dc
from dcjax.base import Draw
from dcjax.checkpoint import Checkpoints
from dcjax.files import WriteError

DATA = small_data(channels=3)
NET = small_net(DATA, width=4)
CONDENSER = dc.condenser(
    dc.pixels(2),
    dc.gradient_matching(NET),
    dc.on_synthetic(NET, optax.sgd(0.01), epochs=1, restart_every=2),
    optax.sgd(0.1, momentum=0.5),
)


@pytest.fixture(name="state", scope="module")
def _state():
    return jax.jit(CONDENSER.init)(jax.random.key(0), Draw(DATA.sample(jax.random.key(1), 3)))


@pytest.fixture(name="artifact")
def _artifact(tmp_path, state):
    path = tmp_path / "condensed.npz"
    dc.save_condensed(path, dc.pixels(2).decode(state.syn), state.learned, DATA, {"method": "dc", "seed": 3})
    return path


def test_a_condensed_set_comes_back(artifact, state):
    loaded = dc.load_condensed(artifact)
    chex.assert_trees_all_close(loaded.batch, dc.pixels(2).decode(state.syn), atol=1e-5)
    chex.assert_trees_all_equal(loaded.compact, {"image": np.asarray(state.syn["image"])})
    np.testing.assert_allclose(loaded.pixels.reshape(-1, 8, 8, 3), np.load(artifact)["images"], atol=1e-6)
    assert loaded.class_names == DATA.class_names
    assert loaded.meta["method"] == "dc"
    size = 3 * 2 * 8 * 8 * 3 * 4
    assert loaded.meta["bytes"] == {"compact": size, "decoded": size}


def test_a_condensed_set_needs_only_numpy(artifact, state):
    code = (
        "import numpy as np, sys, json\n"
        f"z = np.load({str(artifact)!r})\n"
        "x = (z['images'] - z['mean']) / z['std']\n"
        "print(json.dumps([x.tolist(), z['labels'].argmax(1).tolist(), json.loads(str(z['meta']))['seed'], "
        "'dcjax' in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    images, labels, seed, has_dcjax = json.loads(out.stdout)
    np.testing.assert_allclose(images, np.asarray(state.syn["image"]).reshape(6, 8, 8, 3), atol=1e-5)
    assert (labels, seed, has_dcjax) == ([0, 0, 1, 1, 2, 2], 3, False)


def load_error(path):
    with pytest.raises(dc.InputError) as caught:
        dc.load_condensed(path)
    return str(caught.value)


def test_a_bad_artefact_is_named(artifact, tmp_path):
    assert "There is no file" in load_error(tmp_path / "none.npz")
    content = dict(np.load(artifact))
    artifact.write_bytes(artifact.read_bytes()[:-400])
    assert "is damaged or no .npz file" in load_error(artifact)
    np.savez(artifact, images=content["images"])
    assert "is not a condensed set of dcjax: it has no labels" in load_error(artifact)
    for wrong in (
        {"labels": content["labels"][:-1]},
        {"mean": np.zeros(2)},
        {"meta": np.array("{")},
        {"meta": np.array("[]")},
        {"class_names": np.array("one"), "labels": content["labels"][:, :1]},
        {"class_names": content["class_names"][:0], "labels": content["labels"][:, :0]},
        {"images": content["images"][:0], "labels": content["labels"][:0]},
    ):
        np.savez(artifact, **{**content, **wrong})
        assert "parts of it do not fit" in load_error(artifact)
    for name in ("images", "mean"):
        wrong = np.where(np.arange(content[name].size) == 0, np.nan, content[name].ravel())
        np.savez(artifact, **{**content, name: wrong.reshape(content[name].shape).astype(np.float32)})
        assert "values that are not finite" in load_error(artifact)


def save(directory, state, *iterations):
    with Checkpoints(directory) as checkpoints:
        for iteration in iterations:
            checkpoints.save(iteration, state, {"seed": 0})


def test_a_state_comes_back_bit_for_bit(tmp_path, state):
    save(tmp_path, state, 1, 2, 3)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 3
        iteration, restored, config, damaged = checkpoints.restore(jax.tree.map(np.zeros_like, state))
    assert (iteration, config, damaged) == (3, {"seed": 0}, {})
    chex.assert_trees_all_equal(restored, state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["2", "3"]


def cut(place):
    for path in place.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, state):
    save(tmp_path, state, 1, 2)
    cut(tmp_path / "2")
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(state)
        assert (found.iteration, [*found.damaged], checkpoints.latest) == (1, [2], 1)
        chex.assert_trees_all_equal(found.state, state)
        checkpoints.save(2, state, {"seed": 0})
    cut(tmp_path / "2")
    cut(tmp_path / "1")
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(dc.InputError) as caught:
        checkpoints.restore(state)
    assert f"No checkpoint in {tmp_path} is whole (iteration 2: " in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["1", "2"], "nothing is removed"


@pytest.mark.slow
def test_a_flipped_bit_never_restores_another_state(tmp_path, state):
    save(tmp_path / "whole", state, 1)
    arrays = sorted(file for file in (tmp_path / "whole/1/state").rglob("d/*") if file.is_file())
    generator, outcomes = np.random.default_rng(0), []
    for number in range(36):
        place = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", place)
        file = place / arrays[number % len(arrays)].relative_to(tmp_path / "whole")
        content = bytearray(file.read_bytes())
        content[generator.integers(len(content))] ^= 1 << generator.integers(8)
        file.write_bytes(content)
        outcomes.append(restored_or_refused(place, state))
    assert outcomes.count("refused") > 2, "most of the others are bits that nothing is read from"


def restored_or_refused(place, state):
    with Checkpoints(place) as checkpoints:
        try:
            restored = checkpoints.restore(state).state
        except dc.InputError:
            return "refused"
    chex.assert_trees_all_equal(restored, state)
    return "restored"


def test_a_state_that_cannot_be_saved_is_one_sentence(tmp_path, state):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"No checkpoint can be saved in .*/file/checkpoints"):
        Checkpoints(tmp_path / "file" / "checkpoints")
    with Checkpoints(tmp_path / "run") as checkpoints:
        (tmp_path / "run").rmdir()
        (tmp_path / "run").write_text("")
        with pytest.raises(WriteError, match=r"No checkpoint can be saved in .*/run \(Not a directory\): make room"):
            save_and_wait(checkpoints, state)


def save_and_wait(checkpoints, state):
    checkpoints.save(1, state, {})
    checkpoints.wait()


def test_a_save_cut_off_in_the_middle_is_passed_over(tmp_path, state):
    save(tmp_path, state, 1)
    leftover = tmp_path / "2.orbax-checkpoint-tmp"
    leftover.mkdir()
    (leftover / "half").write_bytes(b"x")
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest == 1
        chex.assert_trees_all_equal(checkpoints.restore(state).state, state)


def test_restoring_from_nothing_says_so(tmp_path, state):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(dc.InputError, match="There is no checkpoint in"):
        checkpoints.restore(state)
