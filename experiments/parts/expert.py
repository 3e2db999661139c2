"""Holds the settings of MTT's trajectory: segments of the training of experts, which `python -m experiments.experts` makes."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import dcjax as dc
from dcjax import InputError
from dcjax.experts import NOTE, Experts, ahead
from dcjax.sharding import replicate
from experiments.parts.part import Context, Pretrain, Supply, TrajectoryPart
from experiments.parts.values import Count, flag

_NOTED = "experts"  # the name under which a run notes them


@dataclasses.dataclass(frozen=True)
class Expert(TrajectoryPart):
    """Compares with the training of experts, networks trained on the real images (MTT)."""

    experts: str | None = None
    """Directory of the experts, which experiments.experts makes; runs/experts-DATASET when not given."""
    max_start: Count = 20
    """Epochs of an expert's training below which a segment begins."""
    span: Count = 2
    """Epochs of an expert's training in a segment."""

    def check(self, settings: Any) -> None:
        if settings.tasks > 1:
            raise InputError(
                f"--tasks {settings.tasks} would compare with one segment of one expert {settings.tasks} times: leave it out, or compare with "
                "more in an iteration by --matches."
            )

    def build(self, context: Context) -> dc.Trajectory:
        return dc.expert()

    def taken(self, settings: Any) -> dict[str, Any]:
        return {_NOTED: _noted(Experts(self._place(settings.dataset)))}

    def _place(self, dataset: str) -> Path:
        return Path(self.experts or default_place(dataset)).expanduser()

    def source(self, context: Context, pretrain: Pretrain) -> Supply:
        experts = opened(self._place(context.made_on["dataset"]), context)
        experts.check(self.max_start, self.span)
        number = _number(context.taken.get(_NOTED, _noted(experts)), experts)
        read = ahead(lambda t: experts.segments(context.seed, t, context.matches, self.max_start, self.span, number))

        def supply(source, t):
            return dc.with_segments(source, *replicate(read(t)))

        return supply


def _noted(experts):
    return {"number": experts.about["number"], "training": experts.about.get("training")}


def _number(before, experts):
    """Gives the number of experts that a run began with, whatever was added since; they must still be those that are there."""
    now = _noted(experts)
    number = before.get("number") if isinstance(before, dict) else None
    if type(number) is not int or not 0 < number <= now["number"] or before.get("training") != now["training"]:
        raise InputError(
            f"The experts in {experts.directory} are not those that this run was begun with, which its data.json notes: resume it with the "
            "earlier ones."
        )
    return number


def default_place(dataset: str) -> str:
    return f"runs/experts-{dataset.replace('/', '-').replace(':', '-')}"


def opened(directory: Path, context: Context) -> Experts:
    """Opens a directory of experts, which must have been made on the data and the network of a run."""
    if not (directory / NOTE).is_file():
        raise InputError(f"There are no experts in {directory}: make them by {made_by(directory, context)}.")
    experts = Experts(directory)
    made_on, theirs = context.made_on, experts.about.get("made_on", {})
    different = [
        f"{flag(name)} was {theirs.get(name)}, is {made_on.get(name)}"
        for name in {**theirs, **made_on}
        if theirs.get(name) != made_on.get(name)
    ]
    if different:
        raise InputError(
            f"The experts in {directory} are not of this network and data ({'; '.join(different)}): give other --experts, or make some by "
            f"{made_by(directory, context)} in another directory."
        )
    return experts


def made_by(directory: Path, context: Context) -> str:
    """Gives the command that makes experts for a run."""
    dataset = context.made_on["dataset"]
    words = ["python", "-m", "experiments.experts", "--dataset", dataset]
    words += [] if str(directory) == default_place(dataset) else ["--workdir", str(directory)]
    words += [] if context.data_dir is None else ["--data-dir", context.data_dir]
    return f"`{shlex.join(words)}{context.passed and ' -- ' + context.passed}`"
