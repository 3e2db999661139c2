"""Makes what stands for the whole training set in a search: condensed sets, and real images chosen by some rule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import dcjax as dc
from dcjax import InputError, foreign
from dcjax.files import read_json
from dcjax.sharding import replicate
from dcjax.training import flatten
from experiments.methods import METHODS
from experiments.pipeline import sets
from experiments.pipeline.job import prepare
from experiments.pipeline.record import EARLY, WHOLE
from experiments.pipeline.rivals import known
from experiments.pipeline.select import select
from experiments.pipeline.stop import StopRequest
from experiments.settings.parse import parse

SELECTIONS = tuple(method.name for method in METHODS.values() if not method.condenses and not method.takes_all)


class Proxy(NamedTuple):
    """A set that networks are trained on in place of the whole training set."""

    name: str
    batch: dc.Batch  # [B, ...], on every device
    stored_bytes: int
    digest: str
    made_seconds: float | None  # that making it took, as far as that is noted

    @property
    def images(self) -> int:
        return self.batch.image.shape[0]


def condensed_sets(paths: list[Path], data: dc.data.Dataset, factor: int | None) -> tuple[list[Proxy], dict[str, Any]]:
    """Reads condensed sets; gives them, and what is known of the first, with its images per class as `ipc`.

    The factor is that of bare pairs, which do not say it themselves. Each set is named by its method where that is no other's name, and by its path elsewhere.

    Raises:
        InputError: two sets have one name, or one has that of something else that networks are trained on; or no set takes the factor.
    """
    found = [(path, index, each) for path in paths for index, each in enumerate(foreign.read(path, data, factor))]
    sets.check_told(factor, (each for *_, each in found))
    methods = [each.meta.get("method") for _, _, each in found]
    proxies = []
    for method, (path, index, each) in zip(methods, found):
        is_its_own = method and methods.count(method) == 1 and method not in SELECTIONS
        name = method if is_its_own else f"{path}-{index}" if index else str(path)
        proxies.append(_condensed(name, path, each))
    _check_names([proxy.name for proxy in proxies])
    return proxies, known(found[0][2])


def _check_names(names):
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"{twice} is given twice: give every set once.")
    taken = next((name for name in names if name in (*SELECTIONS, EARLY, WHOLE)), None)
    if taken:
        raise InputError(f"The set {taken} has the name of something else that networks are trained on: rename it.")


def _condensed(name, path, found):
    batch = replicate(flatten(foreign.real_rows(found.batch)))
    stored = sum(x.nbytes for x in found.compact.values()) or batch.image.nbytes
    return Proxy(name, batch, stored, sets.digest(found), _condensing_seconds(path))


def _condensing_seconds(path):
    result = (path if path.is_dir() else path.parent) / "result.json"
    return read_json(result, "remove it").get("condense_seconds") if result.is_file() else None


def selection(method: str, ipc: int, data: dc.data.Dataset, seed: int, stop: StopRequest) -> Callable[[], Proxy]:
    """Prepares to choose real images of the training set; gives the function that does."""
    job = prepare(parse(["--method", method, "--dataset", data.name, "--ipc", str(ipc), "--seed", str(seed)]), data)

    def chosen():
        made = select(job, stop)
        batch = replicate(flatten(jax.jit(job.decoded)(made.learned.syn)))
        name = f"{method} {ipc} {seed}"  # all that the choice depends on beside the data
        return Proxy(method, batch, np.asarray(batch.image).nbytes, name, made.facts["choose_seconds"])

    return chosen
