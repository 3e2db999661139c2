"""Runs several methods, or one method with other parts, and tabulates their accuracies under one evaluation.

python -m experiments.compare --dataset digits --methods random,herding,dc,whole --ipc 1,10 --seeds 0,1,2
python -m experiments.compare --dataset mnist --methods random,dc --eval-epochs 300 --eval-augment none -- --num-students 5
python -m experiments.compare --dataset mnist --methods idc --ipc 1 --judge idc \
    --parameterizations pixels,multi_formation --trajectories on_synthetic,on_real

python -m experiments.compare --dataset digits --methods bptt --ipc 1 --judge bptt --vary unroll_steps=5+20+80 unroll_momentum=0+0.9
python -m experiments.compare --dataset mnist --methods random,dm,dc --ipc 1,10 --seeds 0 -- --minutes 15 --eval-minutes 2 5

The third command asks what each of IDC's two parts is worth: its runs are IDC in everything else. The fourth one does the same for two
settings, and draws `comparison.png`; so does the last, which asks what a given time is worth. Flags after `--` go to every run that has
them. A comparison that was stopped goes on when the same command is given again, and runs of some minutes go on for more.
"""

import dataclasses
import shlex
import sys
from pathlib import Path

from dcjax import InputError
from experiments.pipeline import combinations, figures, grid
from experiments.pipeline.endings import exit_code
from experiments.pipeline.machine import configure_jax
from experiments.report import times
from experiments.report.records import Comparison
from experiments.run import run
from experiments.settings import passed_on
from experiments.settings.compared import Compared
from experiments.settings.flags import read
from experiments.settings.parse import safe_name
from experiments.settings.settings import paper_settings


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(compare, argv)


def compare(argv: list[str]) -> None:
    """Reads the command line, makes the runs and fills the table."""
    own, passed = passed_on.split(argv)
    wanted = read(Compared, own)
    configure_jax()  # before the first run is built, which starts JAX
    evaluation = _evaluation(wanted)
    passed_on.check_passed(passed, {*passed_on.OWN, *evaluation, *wanted.varied(), *wanted.replaced()})
    place = Path(wanted.workdir or f"runs/compare-{safe_name(wanted.dataset)}").expanduser()
    command = shlex.join(["python", "-m", "experiments.compare", *argv])
    cells = [*combinations.cells(wanted, place, evaluation, passed)]
    facts = {"command": command, "dataset": wanted.dataset, "evaluation": evaluation, **_note(wanted, cells)}
    rows = grid.fill(run, place, cells, facts)
    _draw(wanted, place / "comparison.png", cells, Comparison(place, {**facts, "rows": rows}))


def _draw(wanted, path, cells, found):
    """Draws the accuracies over minutes, over a setting, or by method and parameterization, whichever was asked for."""
    if times.is_timed(found):
        times.plot(path, [found])
    elif wanted.varied():
        labels = [(each.label, list(each.varied.values())) for each in combinations.combinations(wanted)]
        figures.varied(path, list(wanted.varied()), labels, found.rows)
    elif len(wanted.methods) > 1 and wanted.parameterizations:
        title = f"Test accuracy (%), {wanted.ipc[0]} image(s) per class"
        figures.heat(path, title, wanted.parameterizations, wanted.methods, _squares(cells, found.rows))


def _squares(cells, rows):
    """Gives the rows by parameterization and method: the first of each, where there are several sizes or trajectories."""
    found = {}
    for cell in cells:
        row = next((row for row in rows if (row["method"], row["ipc"]) == cell[:2]), None)
        if row:  # of what diverged there is none
            found.setdefault((cell.settings.parameterization, cell.settings.method), row)
    return found


def _evaluation(wanted):
    """Gives the settings of the evaluation that judges every set."""
    own = paper_settings(wanted.judge, wanted.dataset, wanted.ipc[0], {})
    if own.eval_recipe == "replay":
        raise InputError(
            f"--judge {wanted.judge} makes the very steps that its own images were learned for, which judges no others: give another."
        )
    evaluation = {"eval_recipe": own.eval_recipe, **dataclasses.asdict(own.parts["eval_recipe"])}
    evaluation = {name: value for name, value in evaluation.items() if value != ()}  # a flag needs a value
    chosen = {"eval_epochs": wanted.eval_epochs, "eval_augment": wanted.eval_augment}
    return evaluation | {name: value for name, value in chosen.items() if value is not None}


def _note(wanted, cells) -> dict[str, str]:
    """Gives the note beside a table in which parts of a method were replaced: the steps that each cell took."""
    if not wanted.replaced():
        return {}
    runs = [cell.settings for cell in cells]
    if runs[0].minutes:
        return {
            "note": f"{runs[0].minutes:g} minute(s) of steps of what is learned in each cell, from the bytes that each may take."
        }
    steps = sorted({each.iterations * each.matches for each in runs})
    return {"note": f"{' or '.join(map(str, steps))} steps of what is learned in each cell, from the same bytes."}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
