"""Says whether a set is above random real images beyond the noise of both."""

import math
from typing import Any

import numpy as np

LEVEL = 0.05  # least p value at which two means are not told apart
_TEST = "Welch's t test"


def verdict(accuracy: dict[str, dict], subject: str = "Condensed") -> dict[str, Any] | None:
    """Compares the accuracies of students on the set and on random images by Welch's t test, which lets their deviations differ.

    Students of one set share that set, so the p value is that of this set: it says nothing of other sets of the method.

    Args:
        accuracy: summaries by name, with the `values` of every student in percent.
        subject: what the set is called in the sentence.

    Returns:
        `difference` in points, `p` (None without a test), `outcome` (above, below or not told apart) and `sentence`; None unless both
        the set and random images were evaluated.
    """
    if not {"condensed", "random"} <= accuracy.keys():
        return None
    ours, theirs = (np.asarray(accuracy[name]["values"], float) for name in ("condensed", "random"))
    difference, p = float(ours.mean() - theirs.mean()), _p_value(ours, theirs)
    is_apart = p is not None and p < LEVEL
    outcome = ("above" if difference > 0 else "below") if is_apart else "not told apart"
    beside = f"{_TEST} over {len(ours)} and {len(theirs)} students of this set, {_in_words(p)}"
    if p is None:
        beside = f"{_TEST} needs several students of each that differ; here are {len(ours)} and {len(theirs)}"
    points = f"{abs(difference):.1f} points"
    sentence = f"{subject} is {outcome} random by {points} ({beside})."
    if not is_apart:
        sentence = f"{subject} and random are not told apart: {points} lie between them ({beside})."
    return {
        "difference": round(difference, 2),
        "test": f"{_TEST} over students of this set",
        "p": p,
        "outcome": outcome,
        "sentence": sentence,
    }


def _p_value(ours, theirs):
    """Gives the p value; None where there is no deviation to compare a difference with."""
    if min(len(ours), len(theirs)) < 2 or np.ptp(ours) + np.ptp(theirs) == 0:
        return None
    from scipy.stats import ttest_ind  # here, as it takes long to import and few commands come this far

    p = float(ttest_ind(ours, theirs, equal_var=False).pvalue)
    return p if math.isfinite(p) else None


def _in_words(p):
    return "" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
