"""A set is evaluated on the way: where it is asked for, and cheaply where it is not."""

import pytest

import dcjax as dc
from experiments.pipeline.score import due
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
        ("--iterations 3 --eval-at 2 --minutes 1", {2: 20}),
    ],
)
def test_what_is_due(words, expected):
    assert due(parse(words.split())) == expected


def test_no_evaluation_is_another_time_than_some():
    with pytest.raises(dc.InputError, match="--eval-at names iteration 0, but the run goes from 1 to 300"):
        parse(["--eval-at", "0", "5"])
