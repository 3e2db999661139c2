"""Makes the memory of every step of a stream: a run directory of its own, of the step's classes or data set alone."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dcjax as dc
from dcjax import InputError
from dcjax.experts import NOTE, Experts, check_segments
from experiments.methods import MATCHING_EXPERTS
from experiments.methods.unrolled import RTP
from experiments.parts import RECIPES
from experiments.parts.values import flag
from experiments.pipeline import grid
from experiments.pipeline.build import unusual
from experiments.pipeline.execute import make
from experiments.pipeline.job import check_images, load_data, prepare
from experiments.pipeline.machine import release_programs
from experiments.pipeline.rundir import RunDirectory
from experiments.pipeline.step import SHARED, Step, source_of
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.streams import Classes, Stream
from experiments.settings import passed_on
from experiments.settings.flags import flags_in, words_of
from experiments.settings.parse import parse
from experiments.settings.saved import load
from experiments.settings.settings import Settings

OWN = {*passed_on.OWN, "image_size", "channels", "only_classes", "data_dir", "experts", "grows", "devices", "precision"}
OWN |= {"num_students", "eval_at", "eval_recipe"}  # a memory is tested by other networks than those of a run
OWN |= {field.name for recipe in RECIPES.members.values() for field in dataclasses.fields(recipe)}
TrainExperts = Callable[[list[str]], None]  # runs a command line of experiments.experts


@dataclasses.dataclass(frozen=True)
class StepMemories:
    """Makes memories, or reads those that are there.

    Attributes:
        place: folder of the run directories, `METHOD-ORDER-STEP`.
        ipc: images of each class, or the bytes of so many.
        methods: methods that are compared; a flag that is passed on goes to those that have it.
        passed: words that are passed on to every run.
        source: settings that say how the data are read.
        experts: flags of `experiments.experts` for methods that match experts.
        train_experts: makes experts.
        stop: asked between iterations.
    """

    place: Path
    ipc: int
    methods: tuple[str, ...]
    passed: list[str]
    source: dict[str, Any]
    experts: dict[str, Any]
    train_experts: TrainExperts
    stop: StopRequest

    def check(self, streams: Sequence[Stream], orders: tuple[int, ...]) -> None:
        """Refuses whatever no memory can be made of, before the first is: too few images, flags that do not fit, other runs' places."""
        for method in self.methods:
            for stream, order in zip(streams, orders):
                steps = [Step(method, order, t, stream) for t in range(stream.memories(stream.steps - 1))]
                for step in steps:
                    grid.check_place(self._settings(step))
                    self._check_grown(step)
                    self._check_experts(step)
                for step in _tightest(steps) if order == orders[0] else ():
                    self._check(step)

    def of(self, step: Step) -> dc.Condensed:
        """Gives a step's memory, which is made, or gone on with, unless it is there."""
        settings = self._settings(step)
        directory = Path(settings.workdir)
        if not _is_made(settings):
            if step.parts:
                self.of(step._replace(number=step.number - 1))
            if step.method in MATCHING_EXPERTS:
                self._make_experts(settings)
            is_begun = (directory / "config.json").is_file()
            make(parse([*self._words(step), *(["--resume"] if is_begun else [])]), self.stop)
            release_programs()
        return dc.load_condensed(directory / "condensed.npz")

    def _check(self, step):
        """Refuses data that a step's memory cannot be made of; one that needs others, or experts, is not put together before they are there."""
        settings = self._settings(step)
        data = load_data(settings)
        if step.method in MATCHING_EXPERTS:
            check_images(settings, data)
            part = settings.parts["trajectory"]
            check_segments("the experts of every step", self.experts["epochs"], part.max_start, part.span)
            return
        prepare(self._settings(step._replace(name=step.method)), data)
        if step.name == SHARED:
            part = settings.parts["parameterization"]
            size = {"num_bases": part.bases, "downsample": part.downsample}
            last = step.stream.memories(step.stream.steps - 1) - 1
            dc.recalls_within(self.ipc, data.num_classes, data.image_shape, **size, known=last * part.bases)

    def _check_grown(self, step):
        """Refuses to make memories for longer from which others have grown already."""
        grown = self.place / step._replace(name=SHARED, number=max(step.number, 1)).directory
        if step.method != RTP.name or not (grown / "config.json").is_file():
            return
        begun, wanted = load(grown / "config.json").minutes, self._settings(step).minutes
        if begun != wanted:
            length = "by iterations, without --minutes" if begun is None else f"for --minutes {begun:g}"
            raise InputError(
                f"{grown} has grown from a memory that was made {length}: make it so, or give another --workdir."
            )

    def _check_experts(self, step):
        """Refuses a memory that was begun with other experts."""
        settings = self._settings(step)
        if step.method not in MATCHING_EXPERTS or not Path(settings.workdir, "config.json").is_file():
            return
        if Path(settings.experts, NOTE).is_file():  # what they made may be kept without them
            about = Experts(settings.experts).about
            theirs, ours = (tuple(facts[name] for name in ("number", "epochs")) for facts in (about, self.experts))
            if theirs != ours:
                raise InputError(
                    f"{settings.workdir} was begun with {theirs[0]} experts of {theirs[1]} epochs, not {ours[0]} of {ours[1]}: give another "
                    "--workdir."
                )

    def _settings(self, step) -> Settings:
        return parse(self._words(step))

    def _words(self, step):
        somewhere = set().union(*(self._flags(step._replace(name=name)) for name in self.methods))
        own = {"method": step.method, "dataset": step.dataset, "ipc": self.ipc, "seed": step.order}
        own |= source_of(step.dataset, self.source)
        own |= {"only_classes": step.classes} if step.classes else {}
        own |= {**step.parts, "workdir": self.place / step.directory}
        if step.parts:
            own["grows"] = self.place / step._replace(number=step.number - 1).directory
        if step.method in MATCHING_EXPERTS:
            own["experts"] = self.place / f"experts-{step.order}-{step.number + 1}"
        if flag("eval_at") in self._flags(step) - {*flags_in(self.passed)}:
            own["eval_at"] = 0  # a memory is not tested alone
        return [*words_of(own), *passed_on.without(self.passed, somewhere - self._flags(step))]

    def _flags(self, step):
        return passed_on.flags_of(step.method, step.dataset, self.ipc, step.parts, self.passed)

    def _make_experts(self, settings):
        """Trains experts on the step's classes, or goes on training them, as far as they are not there."""
        own = {"dataset": settings.dataset, "workdir": settings.experts, "seed": settings.seed, **self.experts}
        own |= {} if settings.data_dir is None else {"data_dir": settings.data_dir}
        self.train_experts([*words_of(own), "--", *words_of(unusual(settings))])


def _is_made(settings):
    """Tells whether a memory is there, made for as many minutes as are wanted now."""
    file = Path(settings.workdir, "condensed.npz")
    if not file.is_file():
        return False
    minutes = settings.values().get("minutes")
    if not minutes:
        return True
    seconds, iterations = RunDirectory(settings.workdir).seconds(), dc.load_condensed(file).meta.get("iterations", 0)
    return len(seconds) >= iterations and sum(seconds[:iterations]) >= 60 * minutes


def _tightest(steps):
    """Gives the step with the smallest class, which asks for most; all steps where each is a data set."""
    if not isinstance(steps[0].stream, Classes):
        return steps
    counts = steps[0].stream.data.train.counts
    return [min(steps, key=lambda step: min(counts[k] for k in step.classes))]
