"""Between the command line of `experiments.run` and its settings."""

import argparse
import dataclasses
import shlex
from pathlib import Path
from typing import NoReturn, get_args

from dcjax import InputError
from experiments import cli
from experiments.config import LAUNCH, Config, defaults, load
from experiments.presets import METHODS


def parse(argv: list[str]) -> Config:
    """Command line -> config. A resumed run starts from its own saved settings, any other from the preset.

    Raises:
        InputError: names the choices, and the nearest where something was misspelt.
    """
    cli.check_flags(Config, argv)
    chosen = _choose(argv)
    start = defaults(chosen.method, chosen.dataset, chosen.ipc, chosen.network)
    if chosen.coordinator and not chosen.workdir:
        raise InputError("Several processes need one --workdir that all of them see: give it.")
    workdir = chosen.workdir or default_workdir(chosen)
    saved = Path(workdir, "config.json")
    if chosen.resume and saved.is_file():
        start = load(saved)
    return dataclasses.replace(cli.read(Config, argv, start), workdir=workdir)


def default_workdir(chosen: argparse.Namespace) -> str:
    """The first free `runs/METHOD-DATASET-IPC`, or the last taken one when that is to be resumed."""
    kind, _, path = chosen.dataset.partition(":")
    name = f"{kind}-{Path(path).stem}" if path else kind.replace("/", "-")
    base = Path("runs") / f"{chosen.method}-{name}-{chosen.ipc}"
    candidates = [base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 10_000))]
    taken = next(i for i, path in enumerate(candidates) if not path.exists())
    return str(candidates[max(taken - 1, 0) if chosen.resume else taken])


def command(config: Config) -> str:
    """The shortest command line that makes this run, however often it was stopped and resumed."""
    start = defaults(config.method, config.dataset, config.ipc, config.network)
    chosen = {"method", "dataset", "ipc", "network"}  # what the preset follows from
    words = ["python", "-m", "experiments.run"]
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        is_start = field.name not in chosen and value == getattr(start, field.name)
        is_convnet = (field.name, value) == ("network", field.default)
        if field.name in {"workdir", *LAUNCH} or is_start or is_convnet:
            continue
        if isinstance(value, bool):
            words.append(cli.flag(field.name if value else f"no_{field.name}"))
        else:
            words += [cli.flag(field.name), *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"The command line cannot be read: {message}.")


def _choose(argv):
    """What decides the preset, ahead of everything else."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--method", default="dc")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--ipc", type=int, default=1)
    parser.add_argument("--network", default=Config.network)
    parser.add_argument("--workdir")
    parser.add_argument("--coordinator")
    parser.add_argument("--resume", action="store_true")
    chosen, _ = parser.parse_known_args(argv)
    if chosen.method not in METHODS:
        hint = cli.nearest(chosen.method, METHODS)
        raise InputError(f"There is no method {chosen.method!r}: choose {', '.join(METHODS)}.{hint}")
    networks = get_args(Config.__annotations__["network"])
    if chosen.network not in networks:
        hint = cli.nearest(chosen.network, networks)
        raise InputError(f"There is no network {chosen.network!r}: choose {', '.join(networks)}.{hint}")
    if chosen.ipc < 1:
        raise InputError(f"--ipc is the number of images per class and at least 1, not {chosen.ipc}.")
    return chosen
