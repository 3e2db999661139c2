"""The condensed sets that come with the package: found by name, described, and worth what is stated."""

import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

import dcjax as dc
from experiments.export import main as export_main
from experiments.parts.networks import NETWORKS
from experiments.pipeline import sets
from experiments.pipeline.recipes import recipe
from experiments.sets import main as list_main

NAMES = [*dc.shipped()]


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_loaded_by_name_as_from_its_file(name):
    described = dc.shipped()[name]
    chex.assert_trees_all_equal(dc.load_condensed(name).batch, dc.load_condensed(described.path).batch)
    classes, count, *shape = dc.load_condensed(name).batch.image.shape
    assert (classes, tuple(shape)) == (10, described.image_shape)
    assert count % described.ipc == 0  # several from the bytes of one, where it is factorised


def test_what_is_done_to_a_description_is_not_done_to_the_next():
    dc.shipped()["dc-mnist-1"].network.clear()
    assert dc.shipped()["dc-mnist-1"].network["width"] == 128


def test_a_name_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(dc.InputError, match=r"There is no file dc-mnst-1, .*dc-mnist-1"):
        dc.load_condensed("dc-mnst-1")


def test_a_file_of_the_working_directory_comes_before_a_shipped_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dc-mnist-1").write_bytes(dc.shipped()["dc-digits-1"].path.read_bytes())
    assert dc.load_condensed("dc-mnist-1").meta["dataset"] == "digits"


def test_a_resized_set_is_tested_on_data_of_its_size():
    path = sets.found("dc-digits16-10")
    assert sets.source(path, None, None, None).load().image_shape == (16, 16, 1)
    assert sets.source(path, "digits", None, 8).load().image_shape == (8, 8, 1)
    assert sets.source(path, "mnist", None, None).image_size is None  # so that a set of other data is found to be one


def test_results_without_their_set_name_the_one_that_comes_with_the_package():
    with pytest.raises(dc.InputError, match="or dc-digits-1, which comes with dcjax"):
        sets.source(Path("experiments/results/dc-digits-1"), None, None, None)


def test_the_list_states_accuracies_and_bytes(capsys):
    assert list_main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)
    assert "88.9 ± 1.5" in printed
    assert "102400" in printed


@pytest.mark.parametrize("path", ["dc-digits-1", str(dc.shipped()["dc-digits-1"].path)])
def test_a_shipped_set_is_exported_to_the_working_directory(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export_main([path, "--format", "npz"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["dc-digits-1-images.npz"]


@pytest.mark.parametrize("name", NAMES)
def test_the_results_say_how_a_set_was_made_and_what_it_is_worth(name):
    own = Path(f"experiments/results/{name}/result.json")
    noted = [own] if own.exists() else Path("experiments/results").glob("*/*/result.json")  # the runs of a comparison
    results = [json.loads(path.read_text()) for path in noted]
    (command,) = {result["command"] for result in results if result["accuracy"] == dc.shipped()[name].accuracy}
    assert f"--ipc {dc.shipped()[name].ipc}" in command


def test_sets_of_a_comparison_are_the_first_of_its_rows():
    found = [*Path("experiments/results").glob("*/*-0/result.json")]
    compared = [path for path in found if (path.parents[1] / "comparison.json").exists()]
    assert len(compared) > 10
    for path in compared:
        config, mean = (json.loads(path.read_text())[name] for name in ("config", "accuracy"))
        rows = json.loads((path.parents[1] / "comparison.json").read_text())["rows"]
        named = [row for row in rows if row["method"] in (config["method"], config["parameterization"])]
        (row,) = [row for row in named if row["ipc"] == config["ipc"]]
        assert row["set_means"][0] == mean["condensed"]["mean"], path


def cost(name):
    """Tells how long a student takes: about a ten millionth of this, in seconds on a core."""
    described, condensed = dc.shipped()[name], dc.load_condensed(name)
    width = described.network["width"] if described.network["network"] == "convnet" else 1000
    epochs = sum(phase.epochs for phase in recipe("own", condensed.meta, described.dataset, None)[1].phases)
    return condensed.batch.label[..., 0].size * math.prod(described.image_shape[:2]) * width * epochs


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in NAMES if cost(name) < 5e8 or name == "dc-mnist-1"]
)  # others take minutes
def test_students_meet_the_stated_accuracy(name, optimized):
    described, condensed = dc.shipped()[name], dc.load_condensed(name)
    settings = dict(described.network)
    if condensed.meta["dataset"] == "mnist" and not Path("../shared/tfds").exists():
        pytest.skip("MNIST is not on this machine")
    data = sets.source(described.path, None, "../shared/tfds", None).load()
    net = dc.network(NETWORKS.members[settings.pop("network")](**settings).build(10), data.image_shape)
    judged_by = recipe("own", condensed.meta, data.name, None)[1]
    students = 2 if cost(name) < 5e7 else 1
    how = {"recipe": judged_by, "hyper": condensed.hyper, "num_students": students}
    scores = dc.evaluate(jax.random.key(7), net, condensed.batch, data.test, **how)
    stated = described.accuracy["condensed"]
    assert abs(100 * np.mean(scores) - stated["mean"]) < 3 * stated["std"]


@pytest.mark.slow
def test_a_wheel_holds_the_sets(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, "."]
    subprocess.run(build, check=True)
    held = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {f"dcjax/sets/{name}.npz" for name in NAMES} <= {*held}


def test_a_wrong_name_is_told_the_nearest_ones_and_where_all_are_listed():
    with pytest.raises(dc.InputError, match=r"`python -m experiments\.sets` lists, such as dc-mnist-1") as caught:
        dc.load_condensed("dc-mnst-1")
    assert len(str(caught.value)) < 400
