"""Comparisons of methods and of their parts: which runs they make, how all are judged, and what the table says."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dcjax as dc
from experiments.compare import compare
from experiments.compare import main as compare_main
from experiments.methods import MATCHING_EXPERTS, METHODS
from experiments.pipeline import combinations, grid
from experiments.pipeline.job import prepare
from experiments.settings.parse import parse
from experiments.settings.saved import dump


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    """A directory of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="filled")
def _filled(monkeypatch):
    """Collects the cells of comparisons, which are not run, and the facts about them."""
    cells, facts = [], {}

    def fill(run, place, found, about):
        cells.extend(found)
        facts.update(about)
        return []

    monkeypatch.setattr(grid, "fill", fill)
    return cells, facts


def test_comparing_runs_every_cell_once(capsys, monkeypatch):
    words = ["--methods", "random,whole", "--ipc", "1,2", "--seeds", "0,1", "--workdir", "here", "--eval-epochs", "1"]
    words += ["--", "--network", "mlp", "--num-students", "2"]
    compare(words)
    table = capsys.readouterr().out
    noted = json.loads(Path("here/comparison.json").read_text())
    judged = {"eval_recipe": "dc", "eval_epochs": 1, "eval_augment": "none", "eval_mix": "none"}
    assert noted["evaluation"] == {**judged, "eval_views": "all"}
    rows = noted["rows"]
    assert [(row["method"], row["ipc"], row["students"]) for row in rows] == [
        ("random", 1, 4),
        ("random", 2, 4),
        ("whole", None, 4),
    ]
    values = [
        json.loads(Path(f"here/random-2-{seed}/result.json").read_text())["accuracy"]["condensed"] for seed in (0, 1)
    ]
    assert rows[1]["mean"] == pytest.approx(np.mean([value["mean"] for value in values]), abs=0.01)
    assert rows[1]["std"] == pytest.approx(np.std(values[0]["values"] + values[1]["values"]), abs=0.01)
    assert "| random |" in table
    monkeypatch.setattr("experiments.compare.run", None)
    compare(words)  # all is there
    with pytest.raises(dc.InputError, match="here/random-1-0 holds a run with other settings"):
        compare([*words, "--precision", "bfloat16"])
    with pytest.raises(dc.InputError, match="--coreset-epochs belongs to --method herding"):
        compare([*words, "--coreset-epochs", "3"])


def test_a_flag_goes_to_the_methods_that_have_it(filled):
    passed = ["--coreset-epochs", "2", "--image-rate=0.3", "--num-students", "1"]
    compare(["--methods", "random,herding,dc", "--ipc", "1", "--seeds", "0", "--", *passed])
    found = {cell.row: cell.settings.values() for cell in filled[0]}
    assert [*found] == ["random", "herding", "dc"]
    assert [(each.get("coreset_epochs"), each.get("image_rate")) for each in found.values()] == [
        (None, None),
        (2, None),
        (None, 0.3),
    ]
    assert {each["num_students"] for each in found.values()} == {1}


def test_the_settings_of_a_cell_are_what_its_arguments_say(filled, monkeypatch):
    read = []
    monkeypatch.setattr(combinations, "parse", lambda words: read.append(words) or parse(words))
    compare(["--methods", "random,dc", "--ipc", "1,2", "--seeds", "0,3,7", "--", "--width", "32"])
    assert len(filled[0]) == 12
    for cell in filled[0]:
        assert cell.settings == parse(cell.arguments)
    assert len(read) == 4  # not once for every seed


def test_all_methods_of_a_comparison_are_judged_alike(filled):
    compare(["--dataset", "mnist", "--ipc", "1", "--seeds", "0"])
    runs = [cell.settings for cell in filled[0]]
    assert [run.method for run in runs] == [name for name in METHODS if name not in MATCHING_EXPERTS]
    assert {(run.eval_recipe, run.eval_epochs, run.eval_augment, run.eval_mix) for run in runs} == {
        ("dc", 1000, "dc_digits", "none")
    }


IDC = ("--methods", "idc", "--judge", "idc", "--parameterizations", "pixels,multi_formation")
IDC += ("--trajectories", "on_synthetic,on_real")
DIGITS = (*IDC, "--dataset", "digits", "--seeds", "0", "--workdir", "here")


@pytest.mark.slow
def test_parameterizations_in_several_methods_are_drawn_with_what_they_store_and_the_steps_they_took(
    tmp_path, monkeypatch, no_pictures
):
    monkeypatch.chdir(tmp_path)
    words = ("--methods", "dc,dm", "--ipc", "1", "--seeds", "0", "--parameterizations", "pixels,addressable_memory")
    quick = ("--network", "mlp", "--minutes", "0.001", "--num-students", "1", "--image-rate", "1e-3")
    compare([*words, "--eval-epochs", "1", "--", *quick])
    found = json.loads(Path("runs/compare-digits/comparison.json").read_text())
    assert found["note"].startswith("0.001 minute(s) of steps of what is learned in each cell")
    assert [row["bytes"] for row in found["rows"]] == 2 * [4 * 640, 4 * (16 * 16 + 2 * 10 * 16)]
    assert all(row["steps"] >= 1 for row in found["rows"])
    assert Path("runs/compare-digits/comparison.png").stat().st_size > 1000


def test_what_diverges_is_left_out_and_named(capsys, no_pictures):
    words = ("--methods", "dc,random", "--ipc", "1", "--seeds", "0", "--eval-epochs", "1", "--workdir", "here", "--")
    quick = ("--network", "mlp", "--iterations", "3", "--num-students", "1", "--image-rate", "1e36")
    for _ in range(2):
        compare([*words, *quick])
        assert "Not in the table: here/dc-1-0. The loss or the images stopped being finite" in capsys.readouterr().out
        assert [row["method"] for row in json.loads(Path("here/comparison.json").read_text())["rows"]] == ["random"]


def test_hallucinated_bases_take_no_more_than_their_bytes_and_are_judged_as_is_asked(filled):
    words = ("--dataset", "mnist", "--methods", "haba", "--parameterizations", "pixels,hallucinated", "--ipc", "2")
    compare([*words, "--seeds", "0", "--judge", "haba"])
    for cell, views, bases in zip(filled[0], ("all", "one"), (None, "None")):
        given = dict(zip(cell.arguments, cell.arguments[1:]))
        assert (given["--eval-views"], given.get("--base-images")) == (views, bases)


def test_the_parts_of_a_method_are_compared_at_equal_bytes(filled):
    compare([*DIGITS, "--ipc", "1"])
    cells, facts = filled
    names = [f"{images}, {where}" for images in ("pixels", "multi_formation") for where in ("on_synthetic", "on_real")]
    assert [cell.row for cell in cells] == names
    assert facts["note"] == "1000 steps of what is learned in each cell, from the same bytes."
    digits = dc.data.load("digits")
    for cell, images in zip(cells, [1, 1, 4, 4]):
        job = prepare(cell.settings, digits)
        syn = job.described_start().syn
        assert jax.tree.map(jnp.shape, syn) == {"image": (10, 1, 8, 8, 1)}
        assert jax.eval_shape(job.decoded, syn).image.shape[:2] == (10, images)


@pytest.mark.parametrize(
    ("ipc", "passed", "passes"),
    [
        (1, ["--network-steps=14", "--factor", "4"], [(10, 14), (160, None)]),
        (1, ["--network-steps=15", "--factor", "4"], [(10, 15), (160, 5)]),
        (10, ["--network-steps", "14"], [(100, 7), (400, 2)]),
        (10, [], [(100, 4), (400, None)]),
    ],
)
def test_all_networks_of_a_comparison_are_trained_for_as_many_steps(ipc, passed, passes, filled):
    """Beside each number of condensed images, the passes over them that are as many steps as on real images."""
    words = [*DIGITS, "--ipc", str(ipc), "--", *passed]
    if None in dict(passes).values():
        with pytest.raises(dc.InputError, match=r"A network cannot train for .* steps on .* condensed images"):
            compare(words)
        return
    compare(words)
    runs = [cell.settings for cell in filled[0]]
    steps = {run.network_steps for run in runs if run.trajectory == "on_real"}
    assert [run.inner_epochs for run in runs if run.trajectory == "on_synthetic"] == [count for _, count in passes]
    assert {count * -(-images // 64) for images, count in passes} == steps


def test_a_method_that_trains_on_condensed_images_is_compared_fairly_too(filled):
    trajectories = ("--trajectories", "on_synthetic,on_real")
    compare(
        ["--methods", "dc", "--ipc", "1", "--seeds", "0", *trajectories, "--", "--matches", "3", "--network-steps", "5"]
    )
    on_synthetic, on_real = (cell.settings for cell in filled[0])
    assert (on_synthetic.inner_epochs, on_real.network_steps) == (5, 5)  # one step is a pass over ten images


def test_a_method_s_own_training_on_condensed_images_is_left_alone(filled):
    words = ["--methods", "dc", "--ipc", "1", "--seeds", "0", "--trajectories", "on_synthetic"]
    compare([*words, "--", "--matches", "3", "--inner-epochs", "4"])
    (cell,) = filled[0]
    assert cell.settings.inner_epochs == 4


@pytest.mark.parametrize(
    ("passed", "message"),
    [
        ("--trajectory fresh", "--trajectory is the command's own to set"),
        ("--inner-epochs 3", "--inner-epochs is the command's own to set"),
        ("--warm-up-epochs=3", "--warm-up-epochs is the command's own to set"),
        ("--matches 1", "--matches 1 trains no network"),
        ("--eval-epochs 3", "--eval-epochs is the command's own to set"),
    ],
)
def test_what_would_make_the_cells_unequal_is_refused(passed, message, filled):
    with pytest.raises(dc.InputError, match=message):
        compare([*DIGITS, "--ipc", "1", "--", *passed.split()])
    assert not filled[0]


def test_the_ablation_of_idc_is_the_one_that_was_measured(filled, monkeypatch):
    """These are the settings of `experiments.ablation`, whose results are in experiments/results/ablation-mnist-1."""
    label = np.repeat(np.arange(10), 70)
    data = dc.data.from_arrays((np.zeros((700, 28, 28, 1), np.uint8), label))
    monkeypatch.setattr("experiments.pipeline.passes.load_data", lambda settings: data)  # only its shapes matter
    words = ("--dataset", "mnist", *IDC, "--ipc", "1", "--seeds", "0,1,2")
    passed = "--width 32 --iterations 4 --matches 50 --image-rate 3e-4 --num-students 5 --data-dir ../shared/tfds"
    compare([*words, "--", *passed.split()])
    common = {
        **{"method": "idc", "dataset": "mnist", "ipc": 1, "image_size": None, "network": "convnet", "width": 32},
        **{"depth": None, "norm": "instance", "activation": "relu", "pooling": "avg", "image_space": "pixel"},
        **{"start": "real", "image_optimizer": "per_class_sgd", "image_rate": 3e-4, "image_momentum": 0.5},
        **{"objective": "gradient_matching", "iterations": 4, "matches": 50, "real_batch": 64, "syn_batch": 128},
        **{"distance": "convolution_absolute_error", "augment": "color_crop", "network_batch": 64},
        **{"network_rate": 0.01, "network_momentum": 0.9, "network_decay": 5e-4, "network_augment": "color_crop"},
        **{"network_mix": "none", "pool": 0, "pool_epochs": 2, "num_students": 5, "eval_epochs": 1000},
        **{"eval_recipe": "idc", "eval_augment": "idc_digits", "eval_mix": "none", "eval_at": (0,), "baseline": False},
        **{"whole": False, "checkpoint_every": 10, "precision": "float32", "data_dir": "../shared/tfds"},
    }
    images = {"pixels": {"parameterization": "pixels"}, "cut": {"parameterization": "multi_formation", "factor": 2}}
    networks = {
        "on_synthetic": {"trajectory": "on_synthetic", "inner_epochs": 8},
        "on_real": {"trajectory": "on_real", "network_steps": 8, "warm_up_epochs": 0},
    }
    expected = [
        common | images[cut] | networks[where] | {"seed": seed}
        for cut in images
        for where in networks
        for seed in (0, 1, 2)
    ]
    since = {  # settings that there were not then
        **{"zca": False, "zca_epsilon": 0.1, "classes": None, "tasks": 1, "halve_every": None, "clip": None},
        **{"labels": "hard", "label_rate": 0.1, "label_certainty": 0.9, "init_seed": None},
        **{"minutes": None, "eval_views": "all", "settle_images": 16, "settle_momentum": 0.1},
        **{"dsa_strategy": (), "network_dsa_strategy": (), "eval_dsa_strategy": ()},
        **{"channels": None, "only_classes": (), "statistics": "own", "eval_minutes": ()},
    }
    launched = {"resume": False, "devices": "all", "coordinator": None, "num_processes": None, "process_id": None}
    found = [cell.settings.values() for cell in filled[0]]
    places = {each.pop("workdir") for each in found}
    assert len(places) == 12
    assert found == [each | since | launched for each in expected]


def test_a_comparison_that_was_begun_with_other_evaluations_on_the_way_goes_on(tmp_path):
    words = ["--network", "mlp", "--workdir", str(tmp_path / "run")]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(dump(parse(words))))
    grid.check_place(parse([*words, "--eval-at", "0", "--num-students", "7"]))
    with pytest.raises(dc.InputError, match="holds a run with other settings"):
        grid.check_place(parse([*words, "--eval-at", "0", "--image-rate", "0.3"]))


BAD = {
    "not the runs' to say": ("-- --seed 3", "--seed is the command's own to set"),
    "processes": ("-- --coordinator auto", "a comparison is made by one"),
    "flag of the runs": ("--methods dc -- --iteratoins 3", "There is no flag --iteratoins"),
    "method": ("--methods herdng", "There is no method 'herdng': choose among dc, dsa"),
    "judge": ("--judge herdng", "There is no method 'herdng': choose among dc, dsa"),
    "part": (
        "--methods dc --trajectories fesh",
        "There is no trajectory 'fesh': choose among fresh, on_synthetic, on_real",
    ),
    "nothing": ("--seeds", "--seeds"),
    "no parts": (
        "--methods random,dc --objectives distribution_matching",
        "random chooses real images and has no parts",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence(case, capsys, tmp_path):
    words, message = BAD[case]
    assert compare_main(words.split()) == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) == 1
    assert message in err
    assert not list(tmp_path.iterdir())


def test_the_flags_of_a_part_that_is_passed_on_go_with_it(monkeypatch):
    filled = []
    monkeypatch.setattr(grid, "fill", lambda run, place, cells, facts: filled.extend(cells) or [])
    words = ["--methods", "dc,idc,random", "--ipc", "1", "--seeds", "0", "--"]
    compare([*words, "--parameterization", "multi_formation", "--factor", "4"])
    found = {cell.row: cell.settings.values().get("factor") for cell in filled}
    assert found == {"dc": 4, "idc": 4, "random": None}


@pytest.mark.slow
def test_settings_are_varied_in_rows_of_their_own_and_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--methods", "bptt", "--ipc", "1", "--seeds", "0", "--judge", "bptt", "--eval-epochs", "1")
    vary = ("--vary", "unroll_steps=1+2", "unroll_momentum=0+0.5")
    compare([*words, *vary, "--", *["--network", "mlp", "--iterations", "1", "--num-students", "1"]])
    with open("runs/compare-digits/comparison.json") as file:
        rows = json.load(file)["rows"]
    assert [row["method"] for row in rows] == [
        f"unroll steps {steps}, unroll momentum {momentum}" for steps in (1, 2) for momentum in ("0", "0.5")
    ]
    assert Path("runs/compare-digits/comparison.png").stat().st_size > 1000
    for wrong in ("steps=1", "unroll_steps", "seed=1+2"):
        with pytest.raises(dc.InputError, match=f"--vary {re.escape(wrong)} names no setting"):
            compare([*words, "--vary", wrong])
