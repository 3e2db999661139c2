"""Lists the condensed sets that come with the package, each with the accuracy that was measured when it was made.

`dcjax.load_condensed("dc-mnist-1")` reads one by name. The commands that made them are in `experiments/results/NAME/result.json`; those of a
comparison's sets, of the first seed each, in the `result.json` of its runs there.
"""

import copy
import difflib
import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

from dcjax.base import InputError
from dcjax.files import read_npz

PLACE = Path(__file__).resolve().with_name("sets")


class Shipped(NamedTuple):
    """A condensed set that comes with the package: what it stands for, and what it is worth."""

    path: Path
    method: str
    dataset: str
    image_shape: tuple[int, ...]  # height, width, channels
    ipc: int
    bytes: int  # of what was learned
    network: dict[str, Any]  # that it was made with: its name and settings
    accuracy: dict[str, dict[str, Any]]  # of students, in percent, by what trained them: mean, std, students


def shipped() -> dict[str, Shipped]:
    """Gives all sets that come with the package, by name."""
    return {path.stem: copy.deepcopy(_described(path)) for path in sorted(PLACE.glob("*.npz"))}


def located(path: Path | str) -> Path:
    """Gives the path of the set that comes with the package under this name; any other path as it is.

    What lies in the working directory under the same name comes first.

    Raises:
        InputError: a bare word is neither the name of such a set nor that of a file or folder.
    """
    path = Path(path)
    if path.name != str(path) or path.suffix or path.exists():
        return path
    if path.name not in (names := [each.stem for each in PLACE.glob("*.npz")]):
        near = ", ".join(difflib.get_close_matches(path.name, sorted(names), 3, cutoff=0))
        raise InputError(
            f"There is no file {path}, and no set of this name comes with dcjax: give a run directory, the file of a condensed set, or a "
            f"name that dcjax.shipped() or `python -m experiments.sets` lists, such as {near}."
        )
    return PLACE / f"{path}.npz"


@functools.cache  # what comes with the package stays as it is
def _described(path):
    arrays = read_npz(path)
    meta = json.loads(str(arrays["meta"]))
    facts = (meta[name] for name in ("method", "dataset"))
    made = meta["ipc"], meta["bytes"]["compact"], meta["recipe"]["network"], meta["accuracy"]
    return Shipped(path, *facts, arrays["images"].shape[1:], *made)
