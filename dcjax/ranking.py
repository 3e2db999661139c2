"""Computes what a set is worth from accuracies: DD-Ranking's scores, and how far two rankings of networks agree.

DD-Ranking asks what a set is worth apart from the recipe it is judged by (Li et al. 2025, arXiv:2505.13300). Its accuracies are fractions
in [0, 1]. The two robust scores are mapped by  x -> (e^x - e^-1) / (e - e^-1)  from [-1, 1] to [0, 1]; more is better, and a set that is as
good as its random rival and as far from the whole set as can be has a low one.
"""

import math
from collections.abc import Callable

import jax
import numpy as np

from dcjax.base import Key


def hard_label_recovery(whole: float, condensed: float) -> float:
    """Computes HLR, what training on the set, with hard labels, lacks of training on the whole data. Less is better."""
    return whole - condensed


def improvement_over_random(condensed: float, random: float) -> float:
    """Computes IOR, what the set gains over random real images under one recipe. More is better."""
    return condensed - random


def label_robust_score(hlr: float, ior: float, weight: float = 0.5) -> float:
    """Computes LRS, the map of  weight * IOR - (1 - weight) * HLR."""
    return _normalised(weight * ior - (1 - weight) * hlr)


def augmentation_robust_score(augmented_gain: float, plain_gain: float, weight: float = 0.5) -> float:
    """Computes ARS, the map of  weight * augmented + (1 - weight) * plain,  the gains over random with augmentation and without."""
    return _normalised(weight * augmented_gain + (1 - weight) * plain_gain)


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks values from 1 for the smallest; equal ones share the mean of the ranks that they take together."""
    _, place, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Computes Spearman's rank correlation, Pearson's of the two rankings; NaN where one of them holds NaN or ranks nothing before anything."""
    if np.isnan(first).any() or np.isnan(second).any():
        return math.nan
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    scale = math.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else math.nan


def bootstrap_interval(
    key: Key,
    statistic: Callable[..., float],
    *samples: np.ndarray,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Computes the percentile interval of a statistic of paired samples [N], whose pairs are drawn anew with replacement.

    Args:
        key: draws; consumed.
        statistic: takes as many samples of N as are given; where it is NaN, a draw counts nothing.
        samples: the i-th value of each belongs to the same case.
        draws: how often N cases are drawn.
        level: share of the statistics that lies in the interval.

    Returns:
        The ends of the interval; NaN where every statistic is.
    """
    count = len(samples[0])
    chosen = np.asarray(jax.random.randint(key, (draws, count), 0, count))
    found = np.array([statistic(*(np.asarray(sample)[rows] for sample in samples)) for rows in chosen])
    found = found[np.isfinite(found)]
    if not len(found):
        return math.nan, math.nan
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _normalised(value):
    return (math.exp(value) - math.exp(-1)) / (math.e - math.exp(-1))
