"""The whole training set is an upper bound only where it was trained on for as many epochs as the papers do, and says its epochs."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

import dcjax as dc
from experiments.evaluate import evaluate
from experiments.pipeline import recipes, rivals, show
from experiments.settings.parse import parse
from experiments.settings.settings import published


def printed(table):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_its_published_figure_goes_with_the_published_epochs():
    usual = parse(["--method", "whole", "--dataset", "mnist"])
    assert (usual.eval_epochs, published(usual)) == (30, {})
    for epochs, figures in ((1000, {"whole": (99.6, 0.0)}), (999, {})):
        found = published(usual.replace(eval_epochs=epochs))
        assert {name: found[name] for name in found if name == "whole"} == figures


@pytest.mark.parametrize("words", [["--method", "whole"], ["--whole"]])
def test_the_table_of_a_run_says_its_epochs(words):
    settings = parse([*words, "--eval-epochs", "7"])
    score = {"mean": 99.0, "std": 0.1, "students": 3, "epochs": 7}
    assert "whole training set, 7 epochs" in printed(show.table(settings, {"whole": score}))


SCORE = {"mean": 90.0, "std": 0.0, "students": 2}


def scores(epochs, full):
    batch = dc.Batch(np.zeros((2, 1, 4, 4, 1), np.float32), np.eye(2)[:, None])
    condensed = dc.Condensed(batch, ("a", "b"), dc.normalisation.MeanStd((0.5,), (0.5,)), {}, {}, {})
    accuracy = {"condensed": {**SCORE, "mean": 60.0}, "random": {**SCORE, "mean": 40.0}}
    accuracy["whole"] = {**SCORE, "epochs": epochs}
    return rivals._scores(accuracy, condensed, full)


def test_scores_against_it_need_its_full_epochs():
    found = scores(300, 300)
    assert (found["relative"], found["hlr"], found["ior"]) == (pytest.approx(2 / 3, abs=1e-4), 0.3, 0.2)
    assert "left_out" not in found
    short = scores(20, 300)
    assert short.keys() == {"ior", "left_out"}
    assert "trained on for 20 epochs, as published they are 300 (--whole-epochs 300)" in short["left_out"]


def test_the_columns_and_the_reason_are_printed_once():
    row = {"network": "mlp", "recipe": "dc", "augmented": True, **scores(20, 300)}
    rows = [{**row, "accuracy": {"condensed": SCORE, "whole": {**SCORE, "epochs": 20}}}] * 2
    text = printed(show.rivals_table("set", rows))
    assert "whole, 20 epochs" in text
    assert "hlr" not in text
    assert show.left_out(rows) == [row["left_out"]]


def test_full_epochs_are_the_papers_however_few_a_run_gave_its_students():
    noted = {"schedule": "dc", "settings": {"eval_epochs": 5}}
    known = {"method": "dc", "dataset": "mnist", "ipc": 1, "recipe": noted}
    assert recipes.full_epochs("own", known, "mnist") == 1000
    assert recipes.full_epochs("own", {"recipe": noted}, "mnist") == 5  # nothing else is known of it
    assert recipes.full_epochs("own", {"method": "dc"}, "digits") == recipes.full_epochs("dc", known, "digits") == 300
    replay = {"method": "dd", "ipc": 1, "recipe": {"schedule": "replay", "settings": {"eval_passes": 3}}}
    assert recipes.full_epochs("own", replay, "mnist") is None


def test_a_set_is_tested_beside_the_whole_set_for_as_many_epochs_as_its_recipe_has(monkeypatch):
    """With `--whole-epochs None`; twenty otherwise, where nothing is scored against it."""
    digits, seen = dc.data.load("digits"), []
    batch = digits.sample(jax.random.key(0), 1)
    condensed = dc.Condensed(batch, digits.class_names, digits.train.normalisation, {}, {}, {"method": "dc"})

    class Store:
        def measure(self, case, evaluation):
            evaluation([], None)
            return {"mean": 50.0, "std": 0.0}

    def accuracies(*args, recipe, **how):
        seen.append(sum(phase.epochs for phase in recipe.phases))
        return np.array([0.5])

    monkeypatch.setattr(rivals, "accuracies", accuracies)
    for epochs, expected in ((None, 300), (20, 20)):
        terms = rivals.Terms(("mlp",), ("own",), (True,), ("whole",), 1, 1, epochs, 1, 0)
        stop = type("Stop", (), {"check": None})()
        (row,), _ = rivals.Tests(terms, stop).rows(rivals.Entry("set", condensed, digits, "", 128, Store()))
        assert row["accuracy"]["whole"]["epochs"] == expected
        assert abs(seen[-1] - expected) <= 1  # DC's schedule has one more
        assert ("relative" in row) == (expected == 300)


def test_it_is_left_out_where_the_steps_that_images_were_learned_for_are_replayed(tmp_path, monkeypatch, capsys):
    """DD's own recipe takes as many images of every class, in order."""
    monkeypatch.chdir(tmp_path)
    data = dc.data.load("digits")
    batch = data.sample(jax.random.key(0), 1)
    meta = {"method": "dd", "dataset": "digits", "ipc": 1}
    meta["recipe"] = {"schedule": "replay", "settings": {"eval_passes": 3, "eval_rate": 0.02}}
    dc.save_condensed(tmp_path / "dd.npz", batch, dc.Learned({"image": batch.image}, ()), data, meta)
    evaluate(["dd.npz", "--networks", "mlp", "--num-students", "1"])
    (row,) = json.loads((tmp_path / "dd.npz-evaluation.json").read_text())["rows"]
    assert row["accuracy"].keys() == {"condensed", "random"}
    assert "replays the steps" in row["left_out"]
    assert "replays the steps" in capsys.readouterr().out.replace("\n", " ")
