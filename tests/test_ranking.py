"""DD-Ranking's scores at their ends and at one point worked out by hand."""

import math

import pytest

from dcjax import ranking


def test_scores_run_from_nothing_to_everything():
    assert ranking.label_robust_score(hlr=1, ior=-1) == 0
    assert ranking.label_robust_score(hlr=-1, ior=1) == 1
    assert ranking.augmentation_robust_score(-1, -1) == 0
    assert ranking.augmentation_robust_score(1, 1) == 1


def test_scores_of_a_set():
    hlr = ranking.hard_label_recovery(whole=0.9, condensed=0.6)
    ior = ranking.improvement_over_random(condensed=0.6, random=0.4)
    assert (hlr, ior) == (pytest.approx(0.3), pytest.approx(0.2))
    alpha = 0.5 * 0.2 - 0.5 * 0.3
    expected = (math.exp(alpha) - math.exp(-1)) / (math.exp(1) - math.exp(-1))
    assert ranking.label_robust_score(hlr, ior) == pytest.approx(expected)
    beta = 0.25 * 0.2 + 0.75 * 0.1
    expected = (math.exp(beta) - math.exp(-1)) / (math.exp(1) - math.exp(-1))
    assert ranking.augmentation_robust_score(0.2, 0.1, weight=0.25) == pytest.approx(expected)
