"""Makes one figure of several that stand in one cell of a table: runs with other seeds, copies, shorter runs."""

import math
from collections.abc import Iterable

import numpy as np

from experiments.report.cells import Figure


def pooled(figures: Iterable[Figure]) -> Figure:
    """Gives one figure for several of a cell: that of all students of runs that differ in their seed alone, else that of most students.

    Of as many students, those on more sets are taken. Runs that ended earlier than others are left out, and those that differ in what no label shows from the others, if these are more.
    """
    distinct = {tuple(each.score.get("values", [id(each)])): each for each in figures}  # not two copies of one run
    longest = max(map(_made, distinct.values()))
    alike: dict[tuple, list[Figure]] = {}
    for each in distinct.values():
        if _made(each) == longest:
            alike.setdefault(each.beside, []).append(each)
    figures = max(alike.values(), key=lambda group: sum(each.score.get("students", 0) for each in group))
    values = [value for each in figures for value in each.score.get("values", [])]
    if len(figures) > 1 and all(each.score.get("values") for each in figures):
        score = {
            "mean": float(np.mean(values)),
            "std": float(np.std(values)),
            "students": len(values),
            "values": values,
        }
        is_complete = all(each.is_complete for each in figures)
        return figures[0]._replace(score=score, sets=len(figures), is_complete=is_complete)
    best = max(figures, key=lambda each: (each.score.get("students", 0), each.sets))
    return best._replace(paper=next((each.paper for each in figures if each.paper), None))


def _made(figure):
    return figure.shortened[0] if figure.shortened else math.inf
