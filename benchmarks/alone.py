"""Does one step on our side once, in a process of its own: `python -m benchmarks.alone WORKLOAD`.

It is for steps that are too large for a comparison: it tells what the program takes, as the compiler accounts for it, what the process took
at most, and the seconds of the step, compiling apart.
"""

import json
import subprocess
import sys
import time

import jax

import dcjax as dc
from benchmarks import ours
from benchmarks.worker import answer, peak_host_bytes
from benchmarks.workload import Workload
from dcjax import sharding
from experiments.pipeline.machine import configure_jax

BUILDERS = {"step": ours.matching, "dm": ours.distributions}


def measure(work: Workload) -> dict:
    """Does the work in another process and gives what it took."""
    command = [sys.executable, "-m", "benchmarks.alone", work.dump()]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {"name": work.name, **found}


def main(description: str) -> None:
    work = Workload(**json.loads(description))
    configure_jax(work.precision)
    with sharding.across():
        data = ours.random_data(work).replicated()
        condenser, source = BUILDERS[work.kind](work, data)
        args = ours.first_arguments(condenser, source)
        began = time.perf_counter()
        run = dc.iteration(condenser, steps=1).lower(*args).compile()
        compiled = time.perf_counter()
        jax.block_until_ready(run(*args))
        ended = time.perf_counter()
    memory = run.memory_analysis()
    answer(
        seconds=round(ended - compiled, 1),
        compile_seconds=round(compiled - began, 1),
        temporaries_gib=round(memory.temp_size_in_bytes / 2**30, 2),
        arguments_gib=round(memory.argument_size_in_bytes / 2**30, 2),
        devices=jax.device_count(),
        peak_gib=round((ours.peak_device_bytes() or peak_host_bytes()) / 2**30, 2),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
