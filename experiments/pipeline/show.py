"""Prints progress while a command works, and tables at the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from experiments.pipeline.endings import Diverged
from experiments.pipeline.processes import is_first
from experiments.settings.settings import Settings, published

console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console.width = 160  # in a file or a pipe, tables need not be squeezed


def say(text: str, style: str | None = None) -> None:
    """Prints one line as it is (brackets in a path are no markup), in the first process alone."""
    if is_first():
        console.print(text, style=style, markup=False)


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator:
    """Shows a bar with rate and time left on a terminal, a line every tenth elsewhere; gives `advance(note, count=1)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not (console.is_terminal and is_first())) as bar:
        task = bar.add_task(title, total=total, completed=done, note="", rate="")

        def advance(note: str, count: int = 1) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, advance=count, note=note, rate=f"{speed:.2f}/s" if speed else "")
            completed = int(bar.tasks[task].completed)
            if not console.is_terminal and completed * 10 // total != (completed - count) * 10 // total:
                say(f"{title} {completed}/{total}  {note}")

        yield advance


@contextmanager
def student_progress(title: str, total: int, done: int = 0) -> Iterator:
    """Shows the progress of students; gives the `on_scores` that `dcjax.evaluate` calls with the accuracies so far."""
    with progress(title, total, done) as advance:

        def on_scores(scores: np.ndarray) -> None:
            nonlocal done
            advance(f"accuracy {100 * scores.mean():.1f} %", len(scores) - done)
            done = len(scores)

        yield on_scores


def summary(scores: np.ndarray) -> dict:
    """Summarises accuracies in [0, 1] in percent: mean and deviation over the students whose training did not diverge."""
    percent = 100 * np.asarray(scores, float)
    finite = percent[np.isfinite(percent)]
    if not len(finite):
        raise Diverged(
            f"The training of all {len(percent)} students diverged: the set or the rate is not fit for them."
        )
    lost = len(percent) - len(finite)
    return {
        "mean": round(float(finite.mean()), 2),
        "std": round(float(finite.std()), 2),
        "students": len(finite),
        **({"diverged": lost} if lost else {}),
        "values": [round(float(value), 2) for value in finite],
    }


def table(settings: Settings, accuracy: dict[str, dict]) -> Table:
    """Tabulates mean and deviation of every evaluated set beside the paper's."""
    paper = published(settings)
    title = f"{settings.method} on {settings.dataset}: test accuracy (%), {settings.ipc} image(s) per class"
    out = Table(title=escape(title))
    for name in ("training set", "accuracy", "students", "paper", "difference"):
        out.add_column(name, justify="left" if name == "training set" else "right")
    verb = "condensed" if settings.about.condenses else "chosen"
    labels = {"condensed": f"{verb} ({settings.method})", "random": "random real images"}
    for name, score in accuracy.items():
        label = whole("whole training set", score) if name == "whole" else labels[name]
        reference = _reference(score, *paper[name]) if name in paper else ("", "")
        out.add_row(label, f"{score['mean']:.1f} ± {score['std']:.1f}", str(score["students"]), *reference)
    return out


def whole(name: str, score: dict) -> str:
    """Names the whole training set as an upper bound, with the epochs that its students were trained for."""
    return f"{name}, {score['epochs']} epochs" if "epochs" in score else name


def subject(settings: Settings) -> str:
    """Names the set of a run at the beginning of a sentence."""
    return "Condensed" if settings.about.condenses else f"Chosen ({settings.about.title})"


def _reference(score, mean, deviation):
    return f"{mean:.1f}" + ("" if deviation is None else f" ± {deviation:.1f}"), f"{score['mean'] - mean:+.1f}"


def in_words(rival: str, scores: list[dict]) -> str:
    """Names the column of a rival; that of the whole set says the epochs that its students were trained for."""
    if rival != "whole":
        return rival.replace("_", " ")
    epochs = [str(number) for number in dict.fromkeys(score.get("epochs") for score in scores) if number]
    return f"whole, {' or '.join(epochs)} epochs" if epochs else "whole"


def left_out(rows: list[dict]) -> list[str]:
    """Lists the sentences on what is left out of some rows, each once."""
    return list(dict.fromkeys(row["left_out"] for row in rows if row.get("left_out")))


def rivals_table(name: str, rows: list[dict]) -> Table:
    """Tabulates the set, its rivals and the scores for every network and recipe."""
    out = Table(title=escape(f"{name}: test accuracy (%)"))
    rivals = list(dict.fromkeys(rival for row in rows for rival in row["accuracy"]))
    scores = [
        name for name in ("relative", "hlr", "ior", "lrs", "ars") if any(row.get(name) is not None for row in rows)
    ]
    for column in ("network", "recipe"):
        out.add_column(column)
    for column in (*rivals, *scores):
        found = [row["accuracy"][column] for row in rows if column in row["accuracy"]]
        out.add_column(in_words(column, found), justify="right")
    for row in rows:
        accuracies = [row["accuracy"].get(rival) for rival in rivals]
        texts = [f"{score['mean']:.1f} ± {score['std']:.1f}" if score else "" for score in accuracies]
        texts += ["" if row.get(score) is None else f"{row[score]:.3f}" for score in scores]
        out.add_row(row["network"], row["recipe"] + ("" if row["augmented"] else ", no augmentation"), *texts)
    return out
