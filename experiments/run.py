"""Condenses a dataset, and measures the accuracy of networks trained on the result.

python -m experiments.run                                   # DC on scikit-learn's digits
python -m experiments.run --method dc --dataset mnist --ipc 10 --workdir runs/dc-mnist-10
python -m experiments.run --dataset folder:path/to/images --image-size 32 --ipc 5
"""

import sys

from dcjax import sharding
from experiments.pipeline import processes
from experiments.pipeline.endings import exit_code
from experiments.pipeline.execute import execute
from experiments.pipeline.machine import check_precision, configure_jax
from experiments.pipeline.stop import StopRequest
from experiments.settings.parse import parse


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(run, argv)


def run(argv: list[str]) -> None:
    """Reads the command line, sets the machine up and runs."""
    settings = parse(argv)
    configure_jax(settings.precision)
    processes.connect(settings)
    check_precision(settings.precision)
    with (
        StopRequest() as stop,
        sharding.across(settings.parts["launch"].device_count),
    ):  # after connecting, which takes SIGTERM for itself
        execute(settings, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
