"""Condenses a dataset and says what it is worth.

python -m experiments.run                                   # DC on scikit-learn's digits
python -m experiments.run --method dc --dataset mnist --ipc 10 --workdir runs/dc-mnist-10
python -m experiments.run --dataset folder:path/to/images --image-size 32 --ipc 5
"""

import dataclasses
import shlex
import sys

import jax

import dcjax as dc
from dcjax import sharding
from dcjax.checkpoint import Checkpoints
from dcjax.chunks import device_memory
from dcjax.data.cache import cache_dir
from experiments import config as configs
from experiments import job as jobs
from experiments import processes, report, workdir
from experiments.report import console, say
from experiments.stop import Stopped, StopRequest


def main(argv: list[str]) -> int:
    """Runs a command line; gives the exit code."""
    try:
        run(argv)
    except (dc.InputError, jobs.Diverged) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, dc.InputError) else 1
    except Stopped as stopped:
        print(f"Stopped by {stopped}. {stopped.advice}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:  # before there was anything to save, or a second time
        return 130
    return 0


def run(argv: list[str]) -> None:
    config = configs.parse(argv)
    configure_jax(config.precision)
    processes.connect(config)
    with StopRequest() as stop, sharding.across(config.device_count):  # connecting takes SIGTERM for itself
        processes.on_first(lambda: workdir.check(config))
        condense_and_evaluate(config, stop)


def condense_and_evaluate(config: configs.Config, stop: StopRequest) -> None:
    data = dc.data.load(config.dataset, data_dir=config.data_dir, image_size=config.image_size).replicated()
    stop.check()
    job = jobs.prepare(config, data)
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
    with Checkpoints(directory.checkpoints) as checkpoints:
        state, timing = jobs.condense(job, directory, checkpoints, stop)
    jobs.save_condensed(job, directory, state)
    for accuracy in jobs.evaluate_all(job, directory, state, stop):
        jobs.save_result(job, directory, state, accuracy, timing)
    if processes.is_first():
        console.print(report.table(config, accuracy))
    say(
        f"{timing['condense_seconds']} s of condensing ({timing['seconds_per_iteration']} s an iteration). Images, pictures "
        f"and figures are in {directory.path}: condensed.npz, condensed.png, curves.png, result.json"
    )


def configure_jax(precision: str = "float32") -> None:
    """Matrix products are as precise as asked for; compiled programs are kept on disk, so a second run starts at once."""
    jax.config.update("jax_default_matmul_precision", precision)
    jax.config.update("jax_compilation_cache_dir", str(cache_dir() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
