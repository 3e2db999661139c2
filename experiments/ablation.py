"""What IDC's two parts are worth: images of several from the same bytes, and networks trained on real data.

python -m experiments.ablation --dataset mnist --ipc 1 --seeds 0,1,2
python -m experiments.ablation --dataset digits -- --width 32 --iterations 4 --matches 50

Every cell of {pixels, multi_formation} x {on_synthetic, on_real} is IDC in all else: as many bytes, as many steps of the images
and of the networks, one evaluation. What follows `--` goes to every run. Stopped, it goes on where it was when started again.
"""

import dataclasses
import itertools
import sys
from pathlib import Path

import jax

import dcjax as dc
from dcjax import InputError
from dcjax.training import steps_per_epoch
from experiments import cli, grid
from experiments.command_line import parse
from experiments.config import EVALUATION
from experiments.job import prepare

_OWN = (*grid.OWN, "parameterization", "trajectory", "inner_epochs", "warm_up_epochs")
_NOT_OF = {"pixels": ("factor", "bound"), "on_synthetic": ("network_steps",)}  # what changes nothing in some cells


@dataclasses.dataclass(frozen=True)
class Ablation:
    """Runs IDC with and without each of its parts at equal bytes and steps, and tabulates the accuracies."""

    dataset: str = "mnist"
    """As of experiments.run."""
    ipc: int = 1
    """Images per class whose bytes each may take."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Each makes a set of its own."""
    workdir: str | None = None
    """Where the run directories and the table go; runs/ablation-DATASET-IPC when not given."""

    def __post_init__(self):
        if not self.seeds:
            raise InputError("--seeds names nothing: give at least one.")


def ablation(argv: list[str]) -> None:
    own, passed = grid.split(argv)
    wanted = cli.read(Ablation, own)
    grid.check_passed(passed, _OWN)
    name = wanted.dataset.replace(":", "-").replace("/", "-")
    place = Path(wanted.workdir or f"runs/ablation-{name}-{wanted.ipc}")
    config = parse([*grid.words_of(_settings(wanted)), *passed])
    if config.matches < 2:
        raise InputError("--matches 1 trains no network, so there is nothing to compare: give at least 2.")
    cells = [*_cells(wanted, place, passed, config.network_steps)]
    evaluation = {name: getattr(config, name) for name in EVALUATION if name != "num_students"}
    facts = {"command": grid.command("ablation", argv), "dataset": wanted.dataset, "evaluation": evaluation}
    note = (
        f"{config.iterations * config.matches} steps of the images in each, on {config.iterations} networks trained for "
        f"{config.network_steps} steps between two of them (on condensed images by an optimizer that starts afresh every time, as "
        f"in DC); the bytes are those of {wanted.ipc} image(s) per class."
    )
    grid.fill(place, cells, {**facts, "note": note})


def _settings(wanted):
    return {"method": "idc", "dataset": wanted.dataset, "ipc": wanted.ipc}


def _cells(wanted, place, passed, steps):
    """Every cell trains its networks for as many steps."""
    for images, trajectory in itertools.product(("pixels", "multi_formation"), ("on_synthetic", "on_real")):
        settings = _settings(wanted) | {"parameterization": images, "trajectory": trajectory}
        idle = (*_NOT_OF.get(images, ()), *_NOT_OF.get(trajectory, ()))
        words = [*grid.words_of(settings), "--no-baseline", *grid.without(passed, idle)]
        if trajectory == "on_synthetic":
            words += ["--inner-epochs", str(_passes(parse(words), steps))]
        for seed in wanted.seeds:
            own = {"seed": seed, "workdir": place / f"{images}-{trajectory}-{seed}"}
            yield grid.Cell(f"{images}, {trajectory}", wanted.ipc, [*words, *grid.words_of(own)])


def _passes(config, steps):
    """How many passes over the condensed images are `steps` steps."""
    data = dc.data.load(config.dataset, data_dir=config.data_dir, image_size=config.image_size)
    job = prepare(config, data)
    shape = jax.eval_shape(lambda: job.decoded(job.initial_state(data.train).syn).image).shape
    images = shape[0] * shape[1]
    in_a_pass = steps_per_epoch(images, config.network_batch)
    if steps % in_a_pass:
        raise InputError(
            f"A network cannot train for {steps} steps on {images} condensed images in whole passes of {in_a_pass}: give a "
            f"--network-steps that {in_a_pass} divides, or a larger --network-batch."
        )
    return steps // in_a_pass


if __name__ == "__main__":
    sys.exit(cli.exit_code(ablation, sys.argv[1:]))
