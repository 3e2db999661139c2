"""Measures the time from a command to its first step: cold, and with what an earlier run left on disk."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.compare import Worker, warm
from benchmarks.workload import Workload


def first_step(side: str, cache: str) -> float:
    """Measures the seconds from the start of a process to the end of its first step, with all of an MNIST-sized set loaded."""
    began = time.perf_counter()
    with warm({side: Worker(side, Workload("start", width=32), {"DCJAX_CACHE": cache})}):
        return time.perf_counter() - began


def first_iteration(cache: str) -> float:
    """Measures the seconds from typing the default command to the end of its first iteration."""
    with tempfile.TemporaryDirectory() as place:
        metrics = Path(place, "run", "metrics.jsonl")
        command = [sys.executable, "-m", "experiments.run", "--workdir", str(metrics.parent)]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "DCJAX_CACHE": cache})
        while not (metrics.exists() and metrics.stat().st_size):
            if process.poll() is not None:
                raise RuntimeError("The default command ended before its first iteration: its error is above.")
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        process.kill()
        process.wait()
    return seconds


def measure() -> dict[str, float]:
    """Measures each start cold, then again with the compilation cache that it left; the peer has none."""
    with tempfile.TemporaryDirectory() as cache:
        found = {
            "first step, cold": first_step("ours", cache),
            "first step, cached": first_step("ours", cache),
            "first step, peer": first_step("peer", cache),
            "default command, cold": first_iteration(cache),
            "default command, cached": first_iteration(cache),
        }
    return {name: round(seconds, 2) for name, seconds in found.items()}
