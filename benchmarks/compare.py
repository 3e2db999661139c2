"""Runs the sides of a comparison in turn: A B C, A B C, ..."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.workload import Workload, gigaflops

TUNED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}  # no page faults of large temporaries
SHARED = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.4"}  # of a GPU's memory, since the peer needs some too
SIDES = {"ours": ("ours", SHARED), "peer": ("peer", {}), "tuned": ("peer", TUNED)}


class Worker:
    """A process that does one workload whenever it is told to, and once at its start to warm up."""

    def __init__(self, side: str, work: Workload, environment: dict | None = None, checkout: Path | None = None):
        program, settings = SIDES[side]
        command = [sys.executable, "-m", "benchmarks.worker", program, work.dump()]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **settings, **(environment or {})},
            cwd=checkout,
        )
        self.begin()

    def begin(self) -> None:
        """Asks for the work once, without waiting for the answer."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def run(self) -> dict:
        """Does the work once and gives seconds, peak bytes and, on our side, the rate of a large matrix product just after."""
        self.begin()
        return self.answer()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def answer(self) -> dict:
        """Waits for the earliest work without an answer, and gives what it took."""
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._process.args)} ended: its error is above.")
        return json.loads(line)


@contextmanager
def warm(workers: dict[str, Worker]) -> Iterator[None]:
    """Waits until workers have started and warmed up beside each other, and ends them with the block."""
    try:
        for worker in workers.values():
            worker.answer()
        yield
    finally:
        for worker in workers.values():
            worker.close()


def compare(work: Workload, seconds: float, against: Path | None = None) -> dict:
    """Lets every side do the work in turn, for about so many seconds: twice at least and five times at most.

    The sides are ours and the two peers, or ours and another checkout of this repository.
    """
    if against:
        workers = {"ours": Worker("ours", work), "other": Worker("ours", work, checkout=against)}
    else:
        workers = {side: Worker(side, work) for side in SIDES}
    answers = {side: [] for side in workers}
    with warm(workers):
        began = time.perf_counter()
        for turn in range(5):
            if turn >= 2 and time.perf_counter() - began > seconds:
                break
            for side, worker in workers.items():
                answers[side].append(worker.run())
    return summarise(work, answers)


def summarise(work: Workload, answers: dict[str, list[dict]]) -> dict:
    """Computes medians, ratios (of every round, then their median) and rates. Spreads are the least and the greatest."""
    seconds = {side: [answer["seconds"] for answer in found] for side, found in answers.items()}
    row = {"name": work.name, "gflop": round(gigaflops(work), 1), "rounds": len(seconds["ours"])}
    for side, values in seconds.items():
        peak = max(answer["peak_bytes"] for answer in answers[side])
        row[side] = {**_spread(values), "peak_gib": round(peak / 2**30, 2)}
    for side in [side for side in seconds if side != "ours"]:
        row[f"{side}/ours"] = _spread([theirs / ours for theirs, ours in zip(seconds[side], seconds["ours"])])
    limit = median(answer["limit"] for answer in answers["ours"])
    rate = gigaflops(work) / row["ours"]["median"]
    return {**row, "gflops": round(rate, 1), "matmul_gflops": round(limit, 1), "fraction": round(rate / limit, 2)}


def _spread(values):
    return {"median": round(median(values), 4), "least": round(min(values), 4), "greatest": round(max(values), 4)}
