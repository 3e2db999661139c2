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
import itertools
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

from dcjax import InputError
from experiments.methods import MATCHING_EXPERTS, METHODS
from experiments.parts import AXES, RECIPES
from experiments.parts.part import known_settings
from experiments.parts.values import MOST, at_least, at_most, below, check_ranges, flag
from experiments.pipeline import figures, grid
from experiments.pipeline.endings import exit_code
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.passes import equal_passes
from experiments.report import times
from experiments.report.records import Comparison
from experiments.run import run
from experiments.settings import passed_on
from experiments.settings.flags import flags_in, read, words_of
from experiments.settings.parse import parse, safe_name
from experiments.settings.settings import Settings, paper_settings
from experiments.settings.words import nearest

_AXES = ("parameterization", "objective", "trajectory")
_UNEQUAL = ("inner_epochs", "warm_up_epochs")  # flags that would train the networks of some cells for longer


@dataclasses.dataclass(frozen=True)
class Compared:
    """Makes a run for every combination of method, parts, images per class and seed, and tabulates the accuracies."""

    dataset: str = "digits"
    """Data set to condense, named as for experiments.run."""
    methods: tuple[str, ...] = tuple(name for name in METHODS if name not in MATCHING_EXPERTS)
    """Methods to run (--method of experiments.run), separated by commas; unless given, all that need no experts."""
    ipc: Annotated[tuple[int, ...], at_least(1), at_most(MOST)] = (1, 10)
    """Images per class; every set may take the bytes of so many."""
    seeds: Annotated[tuple[int, ...], below(2**32)] = (0, 1, 2)
    """Seeds; every method makes one set with each."""
    parameterizations: tuple[str, ...] = ()
    """Parameterizations to try in place of each method's own."""
    objectives: tuple[str, ...] = ()
    """Objectives to try in place of each method's own."""
    trajectories: tuple[str, ...] = ()
    """Trajectories to try in place of each method's own; networks train for as many steps on condensed as on real images."""
    vary: tuple[str, ...] = ()
    """Settings to vary in every method, each with its values: unroll_steps=5+20+80 unroll_momentum=0+0.9."""
    judge: str = "dc"
    """Method whose evaluation judges all sets."""
    eval_epochs: Annotated[int | None, below(MOST)] = None
    """Epochs that every student is trained for; the judge's own for the dataset when not given."""
    eval_augment: str | None = None
    """Augmentation of the images that students are trained on; the judge's own for the dataset when not given."""
    workdir: str | None = None
    """Folder for the run directories and the table; runs/compare-DATASET when not given."""

    def __post_init__(self):
        for name in ("methods", "ipc", "seeds"):
            if not getattr(self, name):
                raise InputError(f"{flag(name)} names nothing: give at least one.")
        check_ranges(self)
        self.varied()
        for method in (*self.methods, self.judge):
            _check_choice("method", method, [*METHODS])
        for axis in _AXES:
            for member in self.members(axis):
                _check_choice(axis, member, [*AXES[axis].members])
        if any(map(self.members, _AXES)):
            fixed = [method for method in self.methods if not METHODS[method].condenses]
            if fixed:
                raise InputError(
                    f"{fixed[0]} chooses real images and has no parts to replace: leave it out of --methods."
                )

    def varied(self) -> dict[str, list[str]]:
        """Gives the settings to vary with their values, as they are on the command line."""
        found = {}
        for text in self.vary:
            name, _, values = text.partition("=")
            name = name.replace("-", "_")
            if not values or name not in known_settings() or name in passed_on.OWN:
                raise InputError(
                    f"--vary {text} names no setting of a run with values: give NAME=VALUE+VALUE, such as unroll_steps=5+20."
                )
            chosen = values.split("+")
            if name in found or len(set(chosen)) < len(chosen):
                raise InputError(f"--vary {text} names a setting or a value for a second time: give each once.")
            if any(
                name in map(lambda field: field.name, dataclasses.fields(part)) for part in RECIPES.members.values()
            ):
                raise InputError(
                    f"--vary {text} changes how sets are judged, which is the same for all: give --eval-epochs or --judge."
                )
            found[name] = chosen
        return found

    def members(self, axis: str) -> tuple[str, ...]:
        """Gives the parts of an axis that replace the methods' own."""
        plural = {"parameterization": "parameterizations", "objective": "objectives", "trajectory": "trajectories"}
        return getattr(self, plural[axis])


def _check_choice(kind, name, choices):
    if name not in choices:
        raise InputError(f"There is no {kind} {name!r}: choose among {', '.join(choices)}.{nearest(name, choices)}")


class Combination(NamedTuple):
    """A method, with the parts that replace some of its own."""

    method: str
    names: dict[str, str]
    varied: dict[str, str] = {}  # settings that differ from row to row

    @property
    def label(self) -> str:
        """Gives the name of its row in the table."""
        varied = [f"{name.replace('_', ' ')} {value}" for name, value in self.varied.items()]
        return ", ".join([*self.names.values(), *varied]) or self.method

    def flags(self, dataset: str, ipc: int, passed: list[str]) -> set[str]:
        """Gives all flags that its run has, if those of `passed` that name a part are passed on to it."""
        return passed_on.flags_of(self.method, dataset, ipc, self.names, passed)


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(compare, argv)


def compare(argv: list[str]) -> None:
    """Reads the command line, makes the runs and fills the table."""
    own, passed = passed_on.split(argv)
    wanted = read(Compared, own)
    configure_jax()  # before the first run is built, which starts JAX
    evaluation = _evaluation(wanted)
    passed_on.check_passed(
        passed, {*passed_on.OWN, *evaluation, *wanted.varied(), *(axis for axis in _AXES if wanted.members(axis))}
    )
    place = Path(wanted.workdir or f"runs/compare-{safe_name(wanted.dataset)}")
    command = shlex.join(["python", "-m", "experiments.compare", *argv])
    cells = [*_cells(wanted, place, evaluation, passed)]
    facts = {"command": command, "dataset": wanted.dataset, "evaluation": evaluation, **_note(wanted, cells)}
    rows = grid.fill(run, place, cells, facts)
    _draw(wanted, place / "comparison.png", cells, Comparison(place, {**facts, "rows": rows}))


def _draw(wanted, path, cells, found):
    """Draws the accuracies over minutes, over a setting, or by method and parameterization, whichever was asked for."""
    if times.is_timed(found):
        times.plot(path, [found])
    elif wanted.varied():
        labels = [(each.label, list(each.varied.values())) for each in _combinations(wanted)]
        figures.varied(path, list(wanted.varied()), labels, found.rows)
    elif len(wanted.methods) > 1 and wanted.members("parameterization"):
        title = f"Test accuracy (%), {wanted.ipc[0]} image(s) per class"
        figures.heat(path, title, wanted.parameterizations, wanted.methods, _squares(cells, found.rows))


def _squares(cells, rows):
    """Gives the rows by parameterization and method: the first of each, where there are several sizes or trajectories."""
    found = {}
    for cell in cells:
        settings = parse(cell.arguments)
        row = next((row for row in rows if (row["method"], row["ipc"]) == cell[:2]), None)
        if row:  # of what diverged there is none
            found.setdefault((settings.parameterization, settings.method), row)
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


def _combinations(wanted: Compared) -> list[Combination]:
    chosen = {axis: wanted.members(axis) for axis in _AXES if wanted.members(axis)}
    varied = wanted.varied()
    return [
        Combination(method, dict(zip(chosen, members)), dict(zip(varied, values)))
        for method in wanted.methods
        for members in itertools.product(*chosen.values())
        for values in itertools.product(*varied.values())
    ]


def _cells(wanted, place, evaluation, passed) -> Iterator[grid.Cell]:
    """Yields a cell for every run; `whole` has one per seed, as it does not depend on the number of images per class."""
    combinations = _combinations(wanted)
    somewhere = set().union(*(each.flags(wanted.dataset, wanted.ipc[0], passed) for each in combinations))
    for each, ipc in itertools.product(combinations, wanted.ipc):
        is_whole = METHODS[each.method].takes_all
        if is_whole and ipc != wanted.ipc[0]:
            continue
        words = _words(wanted, evaluation, passed, somewhere, each, ipc)
        if each.names.get("trajectory") == "on_synthetic":
            passes = equal_passes(words, _words(wanted, evaluation, passed, somewhere, _on_real(wanted, each), ipc))
            passed_on.check_passed(passed, _UNEQUAL if passes else ())
            words += passes
        for seed in wanted.seeds:
            varied = (f"{name}={value}" for name, value in each.varied.items())
            folder = place / "-".join(map(str, (each.method, *each.names.values(), *varied, ipc, seed)))
            own = words_of({"seed": seed, "workdir": folder})
            label = (
                each.label
                if len(wanted.methods) == 1 or not (each.names or each.varied)
                else f"{each.method}: {each.label}"
            )
            yield grid.Cell(label, None if is_whole else ipc, [*words, *own])


def _on_real(wanted, each):
    """Gives the cell beside it whose networks train on real images: one of the table, or else the method's own."""
    others = {axis: member for axis, member in each.names.items() if axis != "trajectory"}
    return each._replace(names=others | ({"trajectory": "on_real"} if "on_real" in wanted.trajectories else {}))


def _words(wanted, evaluation, passed, somewhere, each, ipc):
    """Gives the flags of a cell. A passed flag that only other cells have is left out; one that no cell has is for the run to refuse."""
    elsewhere = somewhere - each.flags(wanted.dataset, ipc, passed)
    size = {} if METHODS[each.method].takes_all else {"ipc": ipc, "baseline": False}
    settings = {"method": each.method, "dataset": wanted.dataset, **size, **each.names, **evaluation}
    settings |= _of_cell(settings, each.flags(wanted.dataset, ipc, passed), flags_in(passed))
    return [*words_of({**settings, **each.varied}), *passed_on.without(passed, elsewhere)]


def _of_cell(settings, known, passed):
    """Gives the settings that differ by what a cell learns: no more than the bytes of --ipc, and one view where there are several."""
    own = {"base_images": None} if flag("base_images") in known and flag("base_images") not in passed else {}
    own |= (
        {"eval_at": 0} if flag("eval_at") in known and flag("eval_at") not in passed else {}
    )  # no table shows what was on the way
    has_views = flag("hallucinators") in known
    return own | ({} if has_views or "eval_views" not in settings else {"eval_views": "all"})


def _note(wanted, cells) -> dict[str, str]:
    """Gives the note beside a table in which parts of a method were replaced: the steps that each cell took."""
    if not any(map(wanted.members, _AXES)):
        return {}
    runs: list[Settings] = [parse(cell.arguments) for cell in cells]
    if runs[0].minutes:
        return {
            "note": f"{runs[0].minutes:g} minute(s) of steps of what is learned in each cell, from the bytes that each may take."
        }
    steps = sorted({each.iterations * each.matches for each in runs})
    return {"note": f"{' or '.join(map(str, steps))} steps of what is learned in each cell, from the same bytes."}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
