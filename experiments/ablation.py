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

from dcjax import InputError
from experiments import cli, grid
from experiments.command_line import parse

_OWN = (*grid.OWN, "parameterization", "trajectory", "inner_epochs")


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
    cells = [*_cells(wanted, place, passed)]
    config = parse(cells[0].arguments)
    evaluation = {"eval_epochs": config.eval_epochs, "eval_augment": config.eval_augment, "eval_recipe": "idc"}
    facts = {"command": grid.command("ablation", argv), "dataset": wanted.dataset, "evaluation": evaluation}
    note = (
        f"{config.iterations * config.matches} steps of the images in each, on {config.iterations} networks trained for "
        f"{config.network_steps} steps between two of them; the bytes are those of {wanted.ipc} image(s) per class."
    )
    grid.fill(place, cells, {**facts, "note": note})


def _cells(wanted, place, passed):
    """On condensed images, a network takes as many steps as passes: one for up to as many images as a step has."""
    for images, trajectory, seed in itertools.product(
        ("pixels", "multi_formation"), ("on_synthetic", "on_real"), wanted.seeds
    ):
        settings = {"method": "idc", "dataset": wanted.dataset, "ipc": wanted.ipc, "seed": seed}
        settings |= {"parameterization": images, "trajectory": trajectory}
        settings["workdir"] = place / f"{images}-{trajectory}-{seed}"
        words = [*grid.words_of(settings), "--no-baseline", *passed]
        if trajectory == "on_synthetic":
            words += ["--inner-epochs", str(parse(words).network_steps)]
        yield grid.Cell(f"{images}, {trajectory}", wanted.ipc, words)


if __name__ == "__main__":
    sys.exit(cli.exit_code(ablation, sys.argv[1:]))
