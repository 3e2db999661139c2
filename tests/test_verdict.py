"""Whether a set is above random images is told by Welch's t test, and not without one."""

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from experiments.pipeline.show import summary
from experiments.pipeline.verdict import verdict


def of(ours, theirs):
    return verdict({"condensed": summary(np.array(ours) / 100), "random": summary(np.array(theirs) / 100)})


def test_the_p_value_is_welch_s():
    """By its formulas: t = difference / s with s^2 = v1/n1 + v2/n2, and degrees s^4 / sum (v/n)^2 / (n - 1)."""
    ours, theirs = np.array([70.0, 71.0, 73.0, 72.0]), np.array([68.0, 74.0, 62.0])
    shares = [values.var(ddof=1) / len(values) for values in (ours, theirs)]
    degrees = sum(shares) ** 2 / sum(share**2 / (n - 1) for share, n in zip(shares, (4, 3)))
    statistic = (ours.mean() - theirs.mean()) / math.sqrt(sum(shares))
    found = of(ours, theirs)
    assert found["p"] == pytest.approx(2 * student_t.sf(abs(statistic), degrees))
    assert (found["difference"], found["outcome"]) == (3.5, "not told apart")


def test_a_difference_is_told_only_beyond_the_noise_of_both():
    many = [80 + (i % 5) for i in range(20)]
    assert of(many, [value - 21.3 for value in many])["sentence"] == (
        "Condensed is above random by 21.3 points (Welch's t test over 20 and 20 students of this set, p < 0.001)."
    )
    assert of([value - 2.0 for value in many], many)["sentence"] == (
        "Condensed is below random by 2.0 points (Welch's t test over 20 and 20 students of this set, p < 0.001)."
    )
    noisy = of([50.0, 60.0], [49.0, 58.0])
    assert noisy["outcome"] == "not told apart"
    assert noisy["sentence"].startswith("Condensed and random are not told apart: 1.5 points lie between them (Welch's")
    assert "p = 0.84)" in noisy["sentence"]


@pytest.mark.parametrize(("ours", "theirs"), [([80.0], [60.0, 61.0]), ([80.0, 80.0], [60.0, 60.0])])
def test_without_a_deviation_there_is_no_test(ours, theirs):
    found = of(ours, theirs)
    assert (found["p"], found["outcome"]) == (None, "not told apart")
    assert "needs several students of each that differ" in found["sentence"]


def test_students_that_are_equal_up_to_rounding_have_no_deviation():
    assert of([95.9] * 20, [80.1] * 20)["p"] is None


def test_a_set_without_its_rival_has_no_verdict():
    assert verdict({"condensed": summary(np.array([0.5, 0.6]))}) is None
