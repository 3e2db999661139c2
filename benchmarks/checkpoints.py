"""Times what a checkpoint adds to a run: its digest, and the save itself.

python -m benchmarks.checkpoints                            # the default command
python -m benchmarks.checkpoints --method dc --dataset mnist --ipc 10
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import dcjax as dc
from dcjax import sharding
from dcjax.checkpoint import Checkpoints, digest
from experiments.pipeline.job import load_data, prepare
from experiments.pipeline.machine import configure_jax
from experiments.settings.parse import parse
from experiments.settings.saved import dump

TIMES = 20


def median_seconds(action, times: int = TIMES) -> float:
    """Runs an action several times and gives the median of its seconds."""
    seconds = []
    for number in range(times):
        began = time.perf_counter()
        action(number)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main(argv: list[str]) -> None:
    settings = parse(argv)
    configure_jax()
    with sharding.across(), tempfile.TemporaryDirectory() as place:
        job = prepare(settings, load_data(settings).replicated())
        source = job.sources(None)(job.draw, 0)
        state = jax.jit(job.initial_state)(job.sources(None)(job.first_draw, 0))
        run = dc.iteration(job.method.condenser, steps=settings.matches)
        run = run.lower(job.keys.step, state, source, np.int32(0)).compile()
        iteration = median_seconds(lambda t: jax.block_until_ready(run(job.keys.step, state, source, np.int32(t))))
        config = dump(settings)
        digesting = median_seconds(lambda _: digest(state, config))
        with Checkpoints(Path(place) / "checkpoints") as checkpoints:

            def save(number):
                checkpoints.save(number + 1, state, config)
                checkpoints.wait()

            saving = median_seconds(save)
    between = settings.checkpoint_every * iteration
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    print(
        f"state {size / 2**20:.2f} MiB, {settings.checkpoint_every} iterations of {1000 * iteration:.1f} ms between saves"
    )
    print(f"digest {1000 * digesting:.2f} ms: {100 * digesting / between:.2f} % of the iterations between two saves")
    print(f"save with its digest, waited for, {1000 * saving:.1f} ms: {100 * saving / between:.1f} %")


if __name__ == "__main__":
    main(sys.argv[1:])
