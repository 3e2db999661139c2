"""Makes one figure of several that stand in one cell of a table: runs with other seeds, copies, shorter runs."""

import math
from collections.abc import Iterable

import numpy as np

from experiments.report.cells import Figure


def pooled(figures: Iterable[Figure]) -> Figure:
    """Gives one figure for several of a cell: of runs that differ in their seed alone all students together, else that of most students.

    Of as many students, those on more sets are taken. Runs that ended earlier than others are left out, and those that differ in what
    no label shows from the others, if these are more. The figure of random images is that of most students among those that are left.
    """
    figures = _runs(figures)
    longest = max(map(_made, figures))
    alike: dict[tuple, list[Figure]] = {}
    for each in figures:
        if _made(each) == longest:
            alike.setdefault(each.beside, []).append(each)
    figures = max(alike.values(), key=lambda group: sum(each.score.get("students", 0) for each in group))
    runs = [each for each in figures if each.score.get("values")]
    comparisons = [each for each in figures if not each.score.get("values")]  # of which the students are not known
    candidates = [*([_together(runs)] if runs else []), *comparisons]
    best = max(candidates, key=lambda each: (each.score.get("students", 0), each.sets))
    paper = best.paper or next((each.paper for each in figures if each.paper), None)
    return best._replace(paper=paper, random=of_most([each.random for each in figures]))


def _together(runs):
    """Gives one figure of all students of some runs."""
    if len(runs) == 1:
        return runs[0]
    values = [value for each in runs for value in each.score["values"]]
    score = {"mean": float(np.mean(values)), "std": float(np.std(values)), "students": len(values), "values": values}
    return runs[0]._replace(score=score, sets=len(runs), is_complete=all(each.is_complete for each in runs))


def of_most(scores: Iterable[dict | None]) -> dict | None:
    """Gives the accuracy of most students among those that were measured, the first of equals; None without any."""
    return max(filter(None, scores), key=lambda score: score.get("students", 0), default=None)


def _runs(figures):
    """Leaves one of several runs that share their seed, and so their first students: that of most. Several seeds may come to the same."""
    found = {}
    for each in figures:
        values = each.score.get("values")
        key = (tuple(values) if each.seed is None else each.seed, each.beside, _made(each)) if values else id(each)
        found[key] = max(found.get(key, each), each, key=lambda run: run.score.get("students", 0))
    return [*found.values()]


def _made(figure):
    return figure.shortened[0] if figure.shortened else math.inf
