"""Runs one side of a comparison in a process of its own: `python -m benchmarks.worker ours|peer WORKLOAD`.

The process does the work once for every line it reads and answers each with a line of JSON. So the sides take turns on a machine whose
speed drifts, and each has its own allocator and its own peak of memory.
"""

import importlib
import json
import resource
import sys

from benchmarks.workload import Workload


def main(side: str, description: str) -> None:
    program = importlib.import_module(f"benchmarks.{side}")
    work = Workload(**json.loads(description))
    run = program.prepare(work)
    limit = program.matmul() if side == "ours" and work.kind != "start" else None
    for _ in sys.stdin:
        facts = {"seconds": run(), "peak_bytes": program.peak_device_bytes() or peak_host_bytes()}
        answer(**facts, **({"limit": limit()} if limit else {}))


def answer(**facts) -> None:
    print(json.dumps(facts), flush=True)


def peak_host_bytes() -> int:
    """Gives the most memory that the process was resident in."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
