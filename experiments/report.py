"""What a run says of itself: progress while it works, a table and a result file at the end."""

import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import jax
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dcjax.sharding import device_count
from experiments.config import Config, published
from experiments.processes import is_first

console = Console(highlight=False, soft_wrap=True)


def say(text: str, style: str | None = None) -> None:
    """Prints one line as it is: brackets in a path are no markup. Of several processes the first speaks."""
    if is_first():
        console.print(text, style=style, markup=False)


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator:
    """Gives `advance(note, count=1)`: a bar with rate and time left on a terminal, a line every tenth elsewhere."""
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


def summary(scores: np.ndarray) -> dict:
    """Accuracies in [0, 1] -> percent: mean and deviation over students."""
    percent = 100 * np.asarray(scores, float)
    return {
        "mean": round(float(percent.mean()), 2),
        "std": round(float(percent.std()), 2),
        "students": len(percent),
        "values": [round(float(value), 2) for value in percent],
    }


def table(config: Config, accuracy: dict[str, dict]) -> Table:
    """Mean and deviation of every evaluated set beside the paper's."""
    paper = published(config)
    title = f"{config.method} on {config.dataset}: test accuracy (%), {config.ipc} image(s) per class"
    out = Table(title=escape(title))
    for name in ("training set", "accuracy", "students", "paper", "difference"):
        out.add_column(name, justify="left" if name == "training set" else "right")
    labels = {
        "condensed": f"condensed ({config.method})",
        "random": "random real images",
        "whole": "whole training set",
    }
    for name, score in accuracy.items():
        mean = paper.get(name)
        reference = (f"{mean[0]:.1f} ± {mean[1]:.1f}", f"{score['mean'] - mean[0]:+.1f}") if mean else ("", "")
        out.add_row(labels[name], f"{score['mean']:.1f} ± {score['std']:.1f}", str(score["students"]), *reference)
    return out


def environment() -> dict:
    """Versions, hardware and peak memory, for a result file."""
    device = jax.local_devices()[0]
    memory = device.memory_stats() or {}
    return {
        "versions": {name: metadata.version(name) for name in ("dcjax", "jax", "jaxlib", "flax", "optax")},
        "python": platform.python_version(),
        "hardware": f"{device_count()} x {device.device_kind} ({cpu_name()})",
        "processes": jax.process_count(),
        "peak_memory_gib": round(memory.get("peak_bytes_in_use", _peak_host_bytes()) / 2**30, 2),
    }


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return f"{len(names)} x {names[0]}"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _peak_host_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
