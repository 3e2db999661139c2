"""Learns all courses of a command, and writes down what came of it: a result file, a table and a plot."""

import functools
import json
import time
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import dcjax as dc
from dcjax.continual import forgetting
from experiments.methods.unrolled import RTP
from experiments.pipeline import figures, sets, show
from experiments.pipeline.endings import Diverged
from experiments.pipeline.lessons import Course, Lessons, Memory
from experiments.pipeline.machine import environment
from experiments.pipeline.rundir import write_text
from experiments.pipeline.step import SHARED, Step, stored_bytes
from experiments.pipeline.step_memories import StepMemories
from experiments.pipeline.streams import Stream
from experiments.report import markdown, words


def write(place: Path, facts: dict, courses: list[list[Course]], memories: StepMemories, lessons: Lessons) -> None:
    """Learns every course that is not learned yet, and writes `continual.json`, `.md` and `.png`; prints the table.

    Args:
        place: the folder.
        facts: goes into the result file.
        courses: the courses of every row of the table, one for each order.
        memories: makes what they remember.
        lessons: trains and tests.
    """
    began = time.perf_counter()
    is_whole = not any(place.glob("*/*"))  # neither a run nor weights were begun before
    rows, failures = [], {}
    for row in courses:
        try:
            rows.append(_row(row, memories, lessons))
        except Diverged as diverged:
            failures[f"{row[0].name}, {row[0].training}"] = str(diverged)
    if not rows:
        raise Diverged(next(iter(failures.values())))
    seconds = {"seconds": round(time.perf_counter() - began, 1)} if is_whole else {}  # a part of the time says nothing
    result = {**facts, "rows": rows, **seconds, **environment()}
    write_text(place / "continual.json", json.dumps(result, indent=2) + "\n")
    table = _table(rows, _labels(courses[0][0].stream, facts["data"]), facts["command"])
    write_text(place / "continual.md", table)
    lines = {_label(row): [(step["mean"], step["std"]) for step in row["accuracy"]] for row in rows}
    figures.steps(place / "continual.png", _labels(courses[0][0].stream, facts["data"]), lines)
    print(table)
    for name, sentence in failures.items():
        show.say(f"Not in the table: {name}. {sentence}")


def _row(courses, memories, lessons):
    """Gives the record of one kind of memory and one way to train, over all orders."""
    matrices, totals, stored = [], [], []
    for course in courses:
        stream, held = course.stream, functools.cache(functools.partial(_memory, memories, course))
        steps = range(stream.steps)
        found = lessons.accuracies(course, functools.partial(_remembered, held, stream))
        matrices.append(_mean(found))
        totals.append([100 * stream.weights(t) @ matrices[-1][t, : t + 1] for t in steps])
        stored.append([sum(stored_bytes(held(i)) for i in range(stream.memories(t))) for t in steps])
    return {
        "method": courses[0].name,
        "training": courses[0].training,
        "accuracy": [_spread(values) for values in zip(*totals)],
        "forgetting": _spread([100 * forgetting(matrix) for matrix in matrices]),
        "bytes": np.mean(stored, axis=0).round().astype(int).tolist(),
        "tasks": [[[_percent(value) for value in step[: t + 1]] for t, step in enumerate(m)] for m in matrices],
        "orders": len(courses),
        "networks": lessons.networks,
    }


def _memory(memories, course, t):
    return memories.of(Step(course.name, course.order, t, course.stream))


def _remembered(held, stream, t):
    """Gives the memories of a step as networks are tested: one may have been learned from images that were whitened."""
    return [Memory(_normalised(held(i), stream.data_of(i)), sets.digest(held(i))) for i in range(stream.memories(t))]


def _normalised(memory, data):
    image = data.train.normalisation.apply(memory.pixels)
    return dc.Batch(jnp.asarray(image, jnp.float32), memory.batch.label)


def _mean(accuracy):
    """Gives the mean over the networks whose training up to a step did not diverge, [T, T]; NaN for tasks that had not come."""
    have_come = np.tril(np.ones(accuracy.shape[:2], bool))
    if np.isnan(accuracy[have_come]).all(-1).any():
        raise Diverged("The training of all networks diverged: the memories or the rate are not fit for them.")
    is_good = np.isfinite(accuracy) & np.expand_dims(have_come, -1)
    total = np.where(is_good, accuracy, 0).sum(-1)
    return np.where(have_come, total / np.maximum(is_good.sum(-1), 1), np.nan)


def _percent(share):
    return round(100 * float(share), 2)


def _spread(values: Sequence[float]) -> dict:
    """Gives mean and deviation over orders, with the values."""
    mean, std = float(np.mean(values)), float(np.std(values))
    return {"mean": round(mean, 2), "std": round(std, 2), "values": [round(float(value), 2) for value in values]}


def _label(row):
    return f"{_method(row)}, {row['training']}"


def _method(row):
    return f"{RTP.title}, one memory" if row["method"] == SHARED else words.method(row["method"])


def _labels(stream: Stream, names: Sequence[str]) -> list[str]:
    if len(names) > 1:
        return [f"+ {words.dataset(name)}" if t else words.dataset(name) for t, name in enumerate(names)]
    return [f"{stream.seen(t)} classes" for t in range(stream.steps)]


def _table(rows, labels, command):
    heading = ["memory", "training", *labels, "forgetting", "bytes at the end"]
    lines = [
        [
            markdown.escape(_method(row)),
            row["training"],
            *(_cell(score, row) for score in row["accuracy"]),
            _cell(row["forgetting"], row),
            words.size(row["bytes"][-1]),
        ]
        for row in rows
    ]
    title = f"Test accuracy (%) after every step, mean and deviation over {words.count(rows[0]['orders'], 'order')}: {markdown.code(command)}"
    return f"{title}\n\n{markdown.table(heading, lines)}"


def _cell(score, row):
    return words.accuracy({**score, "students": row["orders"]})
