"""Condenses a dataset and says what it is worth.

python -m experiments.run                                   # DC on scikit-learn's digits
python -m experiments.run --method dc --dataset mnist --ipc 10 --workdir runs/dc-mnist-10
python -m experiments.run --dataset folder:path/to/images --image-size 32 --ipc 5
"""

import contextlib
import dataclasses
import os
import shlex
import sys

import jax

import dcjax as dc
from dcjax import sharding
from dcjax.checkpoint import Checkpoints
from dcjax.chunks import device_memory
from dcjax.data.cache import cache_dir
from experiments import cli, evaluation, output, processes, saving, workdir
from experiments import config as configs
from experiments.build import build
from experiments.choosing import choose
from experiments.command_line import parse
from experiments.condensing import condense
from experiments.job import Job, Made, prepare
from experiments.output import console, say
from experiments.stop import StopRequest
from experiments.studying import pool

# XLA ends the process where the cores of a CPU are done with their shares, students say, over a minute apart.
PATIENCE = {
    "xla_cpu_collective_call_warn_stuck_timeout_seconds": 3600,
    "xla_cpu_collective_call_terminate_timeout_seconds": 10**6,
}
MOST_CPU_DEVICES = 8  # each keeps a copy of the data set, and there are seldom more than ten classes to divide


def main(argv: list[str]) -> int:
    """Runs a command line; gives the exit code."""
    return cli.exit_code(run, argv)


def run(argv: list[str]) -> None:
    config = parse(argv)
    configure_jax(config.precision)
    processes.connect(config)
    with StopRequest() as stop, sharding.across(config.device_count):  # connecting takes SIGTERM for itself
        processes.on_first(lambda: workdir.check(config))
        make_and_evaluate(config, stop)


def make_and_evaluate(config: configs.Config, stop: StopRequest) -> None:
    data = dc.data.load(config.dataset, data_dir=config.data_dir, image_size=config.image_size).replicated()
    stop.check()
    job = prepare(config, data)
    directory = workdir.RunDirectory(config.workdir)
    processes.check_same(
        {
            "their settings": configs.dump(config),
            "the training data": data.fingerprint(),
            "what --workdir holds": directory.checkpoint_names(),
            "their devices": (jax.local_devices()[0].device_kind, device_memory()),
        }
    )
    processes.on_first(lambda: workdir.open_run(directory, config, data))
    stop.advice = f"Continue with: python -m experiments.run --resume --workdir {shlex.quote(config.workdir)}"
    say(f"{config.method} on {config.dataset}, {config.ipc} image(s) per class, in {directory.path}")
    say("  ".join(f"{name}={value}" for name, value in dataclasses.asdict(config).items()), style="dim")
    made = make(job, directory, stop)
    if made.syn is not None:
        saving.save_condensed(job, directory, made.syn)
    for accuracy, is_all in evaluation.evaluate_all(job, directory, made.syn, stop):
        saving.save_result(job, directory, made, accuracy, is_all)
    if processes.is_first():
        console.print(output.table(config, accuracy))
    took = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in made.facts.items())
    say(f"{took}. All that the run leaves is in {directory.path}".lstrip(". "))


def make(job: Job, directory: workdir.RunDirectory, stop: StopRequest) -> Made:
    """The condensed set, or the chosen one; with `whole`, nothing is made. What was chosen before is not chosen again."""
    if job.method.condenser:
        if job.config.pool:
            job = job._replace(method=build(job.config, job.data, pool(job, stop)))
        with Checkpoints(directory.checkpoints) as checkpoints:
            return condense(job, directory, checkpoints, stop)
    directory.write_json("config.json", configs.dump(job.config))
    chosen = directory.path / "condensed.npz"
    if job.config.resume and chosen.is_file():
        return Made({"image": dc.load_condensed(chosen).compact["image"]}, {})
    return Made(None, {}) if job.config.method == "whole" else choose(job, stop)


def configure_jax(precision: str = "float32") -> None:
    """A device for each core, matrix products as precise as asked for, and compiled programs kept on disk for the next run."""
    _divide_cpu()
    jax.config.update("jax_default_matmul_precision", precision)
    jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _divide_cpu() -> None:
    """Makes a CPU one device per core, unless JAX was told how many: cores that share every operation wait for each other's data."""
    flags = os.environ.get("XLA_FLAGS", "")
    patience = (f"--{flag}={seconds}" for flag, seconds in PATIENCE.items() if flag not in flags)
    os.environ["XLA_FLAGS"] = " ".join([flags, *patience]).strip()
    if jax.config.jax_num_cpu_devices >= 0 or "host_platform_device_count" in flags:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(RuntimeError):  # in a notebook JAX is in use already, and keeps the devices it has
        jax.config.update("jax_num_cpu_devices", min(cores, MOST_CPU_DEVICES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
