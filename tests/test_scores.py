"""The store of accuracies: what is noted is kept, and nothing is taken for what it is not."""

import json

import numpy as np
import pytest

import dcjax as dc
from experiments.pipeline import scores

SETTINGS = {"eval_epochs": 3}


def evaluation(students, trained):
    """Makes the evaluation of a number of students, in which the i-th reaches i / 10; notes in `trained` who are trained."""

    def run(finished, note):
        accuracies = list(finished)
        for student in range(len(finished), students):
            trained.append(student)
            accuracies.append(student / 10)
            note(np.array(accuracies))
        return np.array(accuracies)

    return run


def test_a_stopped_evaluation_goes_on_with_the_next_student(tmp_path):
    path, trained = tmp_path / "scores.json", []
    scores.resumed(path, SETTINGS).measure("condensed", evaluation(2, trained))
    summary = scores.resumed(path, SETTINGS).measure("condensed", evaluation(4, trained))
    assert trained == [0, 1, 2, 3]
    assert (summary["mean"], summary["students"], summary["values"]) == (15, 4, [0, 10, 20, 30])
    content = json.loads(path.read_text())
    assert (content["settings"], content["scores"]) == (SETTINGS, {"condensed": [0, 0.1, 0.2, 0.3]})


def test_accuracies_that_were_changed_are_measured_again(tmp_path, capsys):
    path, trained = tmp_path / "scores.json", []
    scores.resumed(path, SETTINGS).measure("condensed", evaluation(1, trained))
    path.write_text(path.read_text().replace("0.0", "0.9"))
    assert scores.resumed(path, SETTINGS).measure("condensed", evaluation(1, trained))["mean"] == 0
    assert trained == [0, 0]
    assert "scores.json is damaged: its accuracies are measured again" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"settings": {"eval_epochs": 4}, "scores": {"condensed": [0.9]}}),
        json.dumps({"settings": SETTINGS, "scores": [0.9]}),
        json.dumps([]),
        "{",
    ],
)
def test_a_run_measures_anew_what_was_measured_under_other_settings_or_cannot_be_read(content, tmp_path):
    (tmp_path / "scores.json").write_text(content)
    trained = []
    scores.resumed(tmp_path / "scores.json", SETTINGS).measure("condensed", evaluation(1, trained))
    assert trained == [0]


def test_accuracies_under_other_settings_are_set_aside_and_taken_up_when_these_return(tmp_path):
    path, trained = tmp_path / "scores.json", []
    for settings in (SETTINGS, {"eval_epochs": 4}, SETTINGS, {"eval_epochs": 4}):
        scores.resumed(path, settings).measure("condensed", evaluation(1, trained))
        assert json.loads(path.read_text())["settings"] == settings
    assert trained == [0, 0]
    assert len([*tmp_path.iterdir()]) == 2


@pytest.mark.parametrize("changed", ["settings", "depends"])
def test_a_setting_that_chooses_nothing_any_more_is_another(changed, tmp_path):
    path, trained = tmp_path / "scores.json", []
    for chosen in (("flip",), (), ()):
        given = {"eval_dsa_strategy": chosen}
        store = scores.resumed(path, SETTINGS | (given if changed == "settings" else {}))
        store.measure("condensed", evaluation(1, trained), given if changed == "depends" else {})
    assert trained == [0, 0]


@pytest.mark.parametrize("between", [None, {"eval_epochs": 4}])
def test_a_file_of_an_earlier_version_that_noted_more_settings_is_gone_on_with(between, tmp_path):
    content = {"settings": {**SETTINGS, "baseline": True}, "scores": {"condensed": [0.9]}}
    path, trained = tmp_path / "scores.json", []
    path.write_text(json.dumps(content))
    if between:
        scores.resumed(path, between).measure("condensed", evaluation(1, []))
    assert scores.resumed(path, SETTINGS).measure("condensed", evaluation(1, trained))["mean"] == 90
    assert not trained


def test_what_was_set_aside_takes_the_place_of_a_damaged_file(tmp_path):
    path, trained = tmp_path / "scores.json", []
    for settings in (SETTINGS, {"eval_epochs": 4}):
        scores.resumed(path, settings).measure("condensed", evaluation(1, []))
    path.write_text("{")
    scores.resumed(path, SETTINGS).measure("condensed", evaluation(1, trained))
    assert not trained


@pytest.mark.parametrize("noted_by", ["this version", "an earlier one, which noted all settings in one"])
def test_a_case_that_depends_on_more_is_measured_anew_alone(noted_by, tmp_path):
    path, trained = tmp_path / "scores.json", []
    if noted_by == "this version":
        store = scores.resumed(path, SETTINGS)
        store.measure("condensed", evaluation(2, []), {"iterations": 5})
        store.measure("random", evaluation(2, []))
    else:
        content = {"settings": {**SETTINGS, "iterations": 5}, "scores": {"condensed": [0, 0.1], "random": [0, 0.1]}}
        path.write_text(json.dumps(content))
    for iterations, expected in ((5, []), (6, [0, 1]), (6, [0, 1])):
        store = scores.resumed(path, SETTINGS)
        store.measure("random", evaluation(2, trained))
        store.measure("condensed", evaluation(2, trained), {"iterations": iterations})
        assert trained == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"settings": {"eval_epochs": 4}, "scores": {}, "rows": []}, "holds an evaluation under other settings"),
        ({"settings": SETTINGS, "scores": {}}, "is damaged or no evaluation of ours"),
        ("text", "is damaged or no evaluation of ours"),
    ],
)
def test_a_file_that_the_user_named_is_not_overwritten(content, message, tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(content))
    with pytest.raises(dc.InputError, match=message):
        scores.opened(path, SETTINGS)
    assert json.loads(path.read_text()) == content


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(dc.InputError, match="cannot be written: give another --workdir"):
        scores.opened(tmp_path / "none" / "evaluation.json", SETTINGS)
    with pytest.raises(dc.InputError, match="cannot be written: give another --workdir"):
        scores.opened(tmp_path, SETTINGS)


def test_an_evaluation_of_ours_is_gone_on_with(tmp_path):
    path, trained = tmp_path / "evaluation.json", []
    scores.opened(path, SETTINGS).measure("mlp/dc/condensed", evaluation(1, trained))  # stopped before its first row
    scores.opened(path, SETTINGS).measure("mlp/dc/condensed", evaluation(2, trained))
    assert trained == [0, 1]


@pytest.mark.parametrize("how", [scores.resumed, scores.opened])
def test_settings_of_several_values_are_those_that_were_noted(how, tmp_path):
    """JSON has lists alone; and where nothing is chosen, earlier versions had no such setting."""
    path, trained = tmp_path / "scores.json", []
    settings = {**SETTINGS, "eval_dsa_strategy": ("color", "crop"), "none": ()}
    for _ in range(2):
        store = how(path, settings)
        store.content["rows"] = []
        store.measure("condensed", evaluation(1, trained))
    assert trained == [0]
    assert "none" not in json.loads(path.read_text())["settings"]
