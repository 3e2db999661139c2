"""Turns the settings of a comparison into the cells of its table, each with the command line of its run."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from experiments.methods import METHODS
from experiments.parts.values import flag
from experiments.pipeline import grid
from experiments.pipeline.passes import equal_passes
from experiments.settings import passed_on
from experiments.settings.compared import Compared
from experiments.settings.flags import flags_in, words_of
from experiments.settings.parse import parse

_UNEQUAL = ("inner_epochs", "warm_up_epochs")  # flags that would train the networks of some cells for longer


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


def combinations(wanted: Compared) -> list[Combination]:
    """Gives every method with every choice of the parts and settings that are tried in it."""
    chosen = wanted.replaced()
    varied = wanted.varied()
    return [
        Combination(method, dict(zip(chosen, members)), dict(zip(varied, values)))
        for method in wanted.methods
        for members in itertools.product(*chosen.values())
        for values in itertools.product(*varied.values())
    ]


def cells(wanted: Compared, place: Path, evaluation: dict[str, Any], passed: list[str]) -> Iterator[grid.Cell]:
    """Yields a cell for every run; `whole` has one per seed, as it does not depend on the number of images per class."""
    rows = combinations(wanted)
    somewhere = set().union(*(each.flags(wanted.dataset, wanted.ipc[0], passed) for each in rows))
    for each, ipc in itertools.product(rows, wanted.ipc):
        is_whole = METHODS[each.method].takes_all
        if is_whole and ipc != wanted.ipc[0]:
            continue
        words = _words(wanted, evaluation, passed, somewhere, each, ipc)
        if each.names.get("trajectory") == "on_synthetic":
            passes = equal_passes(words, _words(wanted, evaluation, passed, somewhere, _on_real(wanted, each), ipc))
            passed_on.check_passed(passed, _UNEQUAL if passes else ())
            words += passes
        where = _label(wanted, each), None if is_whole else ipc
        yield from _of_seeds(words, where, {seed: _folder(place, each, ipc, seed) for seed in wanted.seeds})


def _label(wanted, each):
    is_alone = len(wanted.methods) == 1 or not (each.names or each.varied)
    return each.label if is_alone else f"{each.method}: {each.label}"


def _folder(place, each, ipc, seed):
    """Names the run directory of a cell."""
    varied = (f"{name}={value}" for name, value in each.varied.items())
    return place / "-".join(map(str, (each.method, *each.names.values(), *varied, ipc, seed)))


def _of_seeds(words, where, folders):
    """Yields the cells of one row and column. Their command line is read once, as reading takes long and seeds differ in nothing else."""
    read = parse([*words, *words_of({"workdir": next(iter(folders.values()))})])
    for seed, folder in folders.items():
        own = {"seed": seed, "workdir": str(folder)}
        yield grid.Cell(*where, [*words, *words_of(own)], read.replace(**own))


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
