"""Computes DD-Ranking's scores, what a set is worth apart from the recipe it is judged by (Li et al. 2025, arXiv:2505.13300).

Accuracies are fractions in [0, 1]. The two robust scores are mapped by  x -> (e^x - e^-1) / (e - e^-1)  from [-1, 1] to [0, 1];
more is better, and a set that is as good as its random rival and as far from the whole set as can be has a low one.
"""

import math


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


def _normalised(value):
    return (math.exp(value) - math.exp(-1)) / (math.e - math.exp(-1))
