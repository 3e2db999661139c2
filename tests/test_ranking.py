"""DD-Ranking's scores at their ends and at one point worked out by hand, and rank correlations likewise."""

import math

import jax
import numpy as np
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


def test_equal_values_share_their_ranks():
    np.testing.assert_array_equal(ranking.ranks([30, 10, 20, 20, 5]), [5, 2, 3.5, 3.5, 1])
    np.testing.assert_array_equal(ranking.ranks([7, 7, 7]), [2, 2, 2])


def test_rank_correlation_by_hand():
    assert ranking.rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert ranking.rank_correlation([1, 2, 3, 4], [9, 8, 7, 0]) == pytest.approx(-1)
    assert math.isnan(ranking.rank_correlation([1, math.nan, 3], [3, 2, 1]))
    # without ties it is 1 - 6 sum d^2 / (n (n^2 - 1)), here with d = 1, 1, 1, 1, 0
    assert ranking.rank_correlation([1, 2, 3, 4, 5], [0.2, 0.1, 0.4, 0.3, 0.5]) == pytest.approx(1 - 6 * 4 / 120)
    # ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: products 2.25 + 0.25 * 0 + 2.25 over sqrt(4.5 * 5)
    assert ranking.rank_correlation([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert math.isnan(ranking.rank_correlation([1, 1, 1], [1, 2, 3]))


def test_a_bootstrap_interval_draws_pairs():
    generator = np.random.default_rng(0)
    first = generator.normal(size=200)
    second = first + generator.normal(size=200)
    low, high = ranking.bootstrap_interval(jax.random.key(0), ranking.rank_correlation, first, second)
    assert low < ranking.rank_correlation(first, second) < high
    assert 0.05 < high - low < 0.25  # about 4 (1 - r^2) / sqrt(N) with r = 0.69
    assert ranking.bootstrap_interval(jax.random.key(0), np.mean, np.full(9, 2.0)) == (2, 2)
    found = ranking.bootstrap_interval(jax.random.key(0), ranking.rank_correlation, np.ones(5), np.arange(5))
    assert all(map(math.isnan, found))
