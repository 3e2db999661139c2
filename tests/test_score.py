"""A set is evaluated on the way: where it is asked for, and cheaply where it is not."""

import json

import numpy as np
import pytest

import dcjax as dc
from experiments.pipeline.execute import _as_made
from experiments.pipeline.job import Made, prepare
from experiments.pipeline.rundir import evaluation, under
from experiments.pipeline.score import _depends_on, _set_depends_on, due
from experiments.pipeline.scores import resumed
from experiments.settings import saved
from experiments.settings.parse import parse


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {75: 2, 150: 2}),  # of 300, by a tenth of 20 students
        ("--dataset mnist --num-students 35", {250: 3, 500: 3}),
        ("--iterations 99", {}),
        ("--num-students 9", {}),
        ("--minutes 3", {}),
        ("--eval-at 0", {}),
        ("--eval-at 7 70 --num-students 5", {7: 5, 70: 5}),
        ("--eval-at 2 --minutes 1", {2: 20}),
    ],
)
def test_what_is_due(words, expected):
    assert due(parse(words.split())) == expected


@pytest.mark.parametrize(("named", "reached"), [("50 900", (50,)), ("900", (0,)), ("0", (0,)), (None, ())])
def test_a_run_by_time_ends_well_before_an_iteration_that_is_to_be_evaluated(named, reached):
    settings = parse(["--minutes", "1", *(["--eval-at", *named.split()] if named else [])])
    made = _as_made(settings, Made(None, {}, iterations=60))
    assert (made.iterations, made.minutes, made.eval_at) == (60, None, reached)


def test_accuracies_on_the_way_of_other_students_are_left_out():
    few, many = (parse(["--eval-epochs", number]).values() for number in ("1", "200"))
    row = {"iteration": 5, "accuracy": 60.0, "deviation": 1.0, "students": 2}
    of_few, older, loss = {**row, "evaluation": evaluation(few)}, row, {"iteration": 5, "loss": 1.0}
    assert under([of_few, older, loss], few) == [of_few, older, loss]
    assert under([of_few, older, loss], many) == [older, loss]
    assert evaluation(saved.dump(parse(["--eval-epochs", "1", "--eval-at", "7"]))) == evaluation(few)


def test_no_evaluation_is_another_time_than_some():
    with pytest.raises(dc.InputError, match="--eval-at names iteration 0, but the run goes from 1 to 300"):
        parse(["--eval-at", "0", "5"])


@pytest.mark.parametrize(
    ("parameterization", "seen"), [("bounded_formation", "multi_formation"), ("multi_formation", None)]
)
def test_accuracies_of_other_images_are_not_gone_on_with(parameterization, seen):
    """Those that a version noted whose students saw what a bounded formation compares, for instance."""
    words = f"--method dm --parameterization {parameterization} --ipc 2 --network mlp --image-space pixel".split()
    noted = _set_depends_on(prepare(parse(words), dc.data.load("digits")))
    assert noted.get("decoder", {}).get("name") == seen


@pytest.mark.parametrize(("note", "start"), [({}, "uniform"), ({"statistics": "own"}, "noise")])
def test_noise_in_pixel_space_is_what_it_was_when_a_run_began(note, start, tmp_path):
    settings = saved.dump(parse(["--image-space", "pixel", "--start", "noise"]))
    (tmp_path / "config.json").write_text(
        json.dumps({**{k: v for k, v in settings.items() if k != "statistics"}, **note})
    )
    assert saved.load(tmp_path / "config.json").start == start


def test_students_are_added_to_those_that_a_run_was_tested_by(tmp_path):
    """A later command trains those alone that are lacking, and one for fewer loses none."""
    depends, trained = [], []

    def train(students, finished, note):
        trained.append(students - len(finished))
        scores = np.array([*finished, *np.arange(len(finished), students) / 10])
        if len(finished) < students:
            note(scores)
        return scores

    for students, expected in ((2, [0, 10]), (3, [0, 10, 20]), (1, [0])):
        words = ["--network", "mlp", "--num-students", str(students)]
        depends.append(_depends_on(prepare(parse(words), dc.data.load("digits"))))
        store = resumed(tmp_path / "scores.json", depends[-1])
        found = store.measure("condensed", lambda finished, note, s=students: train(s, finished[:s], note))
        assert found["values"] == expected
    assert trained == [2, 1, 0]
    assert resumed(tmp_path / "scores.json", depends[0]).content["scores"] == {"condensed": [0, 0.1, 0.2]}
