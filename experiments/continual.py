"""Trains networks on classes, or whole data sets, that come one after the other, with condensed or chosen images as memories.

python -m experiments.continual --data digits --steps 5 --methods random,herding,dm --ipc 10
python -m experiments.continual --data mnist --steps 5 --methods herding,idc --recipe idc --training distilled -- --width 32
python -m experiments.continual --sequence mnist,digits --image-size 28 --methods herding,dc -- --width 32

In every step some classes of `--data` come, in an order drawn with each of `--orders`; they are condensed, or chosen from, alone. The
networks are trained on all memories so far, from scratch unless `--training` says otherwise, and tested on all classes that have come. With
`--sequence` every step brings a whole data set of the same classes, which the networks go on to learn from beside the memories of those
before, held to their earlier answers (distilled) or not (onward); the accuracy is the mean over the tasks that have come. Forgetting is
the mean over all tasks but the last of their best accuracy after an earlier step, minus that after the last (`dcjax.continual.forgetting`).

Flags after `--` go to every run that makes a memory and has them; those of the network hold for the networks that are tested, too. A
command that was stopped goes on when it is given again.
"""

import dataclasses
import itertools
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import dcjax as dc
from dcjax import InputError, continual, sharding
from dcjax.checkpoint import digest
from experiments.experts import train
from experiments.methods import MATCHING_EXPERTS
from experiments.parts.choices import AUGMENTS
from experiments.parts.values import (
    MOST,
    Count,
    MaybeChannels,
    MaybeCount,
    MaybeSide,
    Rate,
    Steps,
    at_least,
    at_most,
    below,
    check_once,
    check_ranges,
    flag,
)
from experiments.pipeline import lock, outcomes, scores, sets, show
from experiments.pipeline.endings import exit_code
from experiments.pipeline.lessons import TRAININGS, Course, Lessons
from experiments.pipeline.machine import configure_jax
from experiments.pipeline.recipes import PAPERS, recipe
from experiments.pipeline.step import MEMORIES, source_of
from experiments.pipeline.step_memories import OWN, StepMemories
from experiments.pipeline.stop import StopRequest
from experiments.pipeline.streams import Classes, Sets
from experiments.settings import passed_on
from experiments.settings.flags import flags_in, read, words_of
from experiments.settings.parse import parse, safe_name

_WHOLE_EPOCHS = 20  # of a whole data set, where no number is given


@dataclasses.dataclass(frozen=True)
class Continual:
    """Trains networks on classes, or data sets, that come one after the other, with memories of those before."""

    data: str | None = None
    """Data set whose classes come in steps, named as --dataset of experiments.run; digits when not given."""
    steps: MaybeCount = None
    """Steps in which the classes come, as many in each; 5 when not given."""
    sequence: tuple[str, ...] = ()
    """Data sets of the same classes that come one after the other instead of the classes of one."""
    ipc: Count = 10
    """Images per class in a memory, or the bytes of so many."""
    methods: tuple[Literal[(*MEMORIES,)], ...] = ("random", "herding", "dm")
    """Methods that make memories (--method of experiments.run), separated by commas."""
    orders: Annotated[tuple[int, ...], below(2**32)] = (0, 1, 2)
    """Seeds, each of an order of the classes, of memories and of networks."""
    training: tuple[Literal[TRAININGS], ...] = ()
    """How networks are trained in a step: from scratch, onward from their weights, or so and distilled from what they answered before;
    when not given, from scratch for classes, both other ways for a sequence."""
    networks: Steps = 3
    """Networks that are trained and tested for each order."""
    recipe: Literal[(*PAPERS,)] = "dsa"
    """Method whose published recipe all networks are trained by; DM's is that of dsa."""
    epochs: MaybeCount = None
    """Epochs in every step; the recipe's own number when not given, for a sequence 20."""
    augment: Literal[("recipe", *AUGMENTS)] = "recipe"
    """Augmentation of the images that networks are trained on; recipe takes its own for the data set."""
    temperature: Rate = 2.0
    """Number that logits are divided by in distillation."""
    image_size: MaybeSide = None
    """Pixels along each side, to which all images are cropped and resized."""
    channels: MaybeChannels = None
    """Channels of images: 1 makes them grey, 3 repeats grey ones; as they are when not given."""
    data_dir: str | None = None
    """Folder of prepared TFDS datasets (or set TFDS_DATA_DIR)."""
    experts: Annotated[int, at_least(1), at_most(MOST)] = 10
    """Experts of every step, for methods that match some."""
    expert_epochs: Count = 20
    """Epochs that each of them is trained for."""
    workdir: str | None = None
    """Folder for the memories and the results; runs/continual-DATA when not given."""
    devices: MaybeCount = None
    """Number of devices that networks are divided among; all when not given."""

    def __post_init__(self):
        check_ranges(self)
        for name in ("methods", "orders"):
            if not getattr(self, name):
                raise InputError(f"{flag(name)} names nothing: give each once.")
        check_once(self, "methods", "orders")
        if len(self.sequence) == 1:
            raise InputError(f"--sequence {self.sequence[0]} is one data set: give two or more, or --data.")
        for name in ("data", "steps"):
            if self.sequence and getattr(self, name) is not None:
                raise InputError(
                    f"{flag(name)} changes nothing with --sequence, whose data sets are the steps: leave it out."
                )
        if len({*self.sequence}) < len(self.sequence):
            raise InputError("--sequence names a data set twice: give each once.")

    def resolved(self) -> "Continual":
        """Gives what follows from the others to what was not given."""
        training = self.training or (("onward", "distilled") if self.sequence else ("scratch",))
        epochs = self.epochs or (_WHOLE_EPOCHS if self.sequence else None)
        others = {} if self.sequence else {"data": self.data or "digits", "steps": self.steps or 5}
        workdir = self.workdir or f"runs/continual-{safe_name('-'.join(self.sequence) or others['data'])}"
        return dataclasses.replace(self, training=training, epochs=epochs, workdir=workdir, **others)

    @property
    def names(self) -> tuple[str, ...]:
        """Names the data sets."""
        return self.sequence or (self.data,)

    @property
    def source(self) -> dict:
        """Gives the settings that say how data are read."""
        return {name: getattr(self, name) for name in ("image_size", "channels", "data_dir")}


def main(argv: list[str]) -> int:
    """Runs a command line and gives the exit code."""
    return exit_code(learn, argv)


def learn(argv: list[str]) -> None:
    own, passed = passed_on.split(argv)
    wanted = read(Continual, own).resolved()
    passed_on.check_passed(passed, OWN)
    configure_jax()
    place = Path(wanted.workdir).expanduser()
    command = shlex.join(["python", "-m", "experiments.continual", *argv])
    with StopRequest() as stop, sharding.across(wanted.devices):
        streams = _streams(wanted)
        memories = _memories(wanted, place, passed, stop)
        memories.check(streams, wanted.orders)
        with lock.held(place):
            stop.advice = "What was done is kept: give the same command again."
            lessons, facts = _lessons(wanted, place, passed, streams[0], stop)
            outcomes.write(place, {"command": command, **facts}, _courses(wanted, streams), memories, lessons)
            lessons.forget_weights()


def _courses(wanted, streams):
    """Gives the courses of every row of the table: a kind of memory and a way to train, in every order."""
    return [
        [Course(method, order, training, stream) for order, stream in zip(wanted.orders, streams)]
        for method, training in itertools.product(wanted.methods, wanted.training)
    ]


def _streams(wanted):
    """Gives the stream of every order."""
    loaded = [dc.data.load(name, **source_of(name, wanted.source)).replicated() for name in wanted.names]
    if wanted.sequence:
        _check_alike(wanted.sequence, loaded)
        return [Sets(tuple(loaded))] * len(wanted.orders)
    (data,) = loaded
    if data.num_classes % wanted.steps or data.num_classes < 2 * wanted.steps:
        fit = [steps for steps in range(1, data.num_classes // 2 + 1) if data.num_classes % steps == 0]
        raise InputError(
            f"--steps {wanted.steps} does not divide the {data.num_classes} classes of {data.name} into groups of two or more: give "
            f"{', '.join(map(str, fit))}."
        )
    orders = (continual.class_order(seed, data.num_classes) for seed in wanted.orders)
    return [Classes(data, order, wanted.steps) for order in orders]


def _check_alike(names, sets):
    """Refuses data sets of other classes or shapes than the first."""
    for name, data in itertools.islice(zip(names, sets), 1, None):
        for what, theirs, ours, remedy in (
            ("classes", data.class_names, sets[0].class_names, "give data sets of the same classes, in one order"),
            ("images", data.image_shape, sets[0].image_shape, "give --image-size, and --channels if those differ"),
        ):
            if theirs != ours:
                raise InputError(
                    f"{name} has the {what} {_short(theirs)}, but {names[0]} has {_short(ours)}: {remedy}."
                )


def _short(values):
    shown = " x ".join(map(str, values)) if isinstance(values[0], int) else ", ".join(values[:10])
    return shown + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def _memories(wanted, place, passed, stop):
    experts = {"number": wanted.experts, "epochs": wanted.expert_epochs}
    experts |= {} if wanted.devices is None else {"devices": wanted.devices}
    return StepMemories(place, wanted.ipc, wanted.methods, passed, wanted.source, experts, train, stop)


def _lessons(wanted, place, passed, stream, stop):
    """Gives what trains and tests networks, and the facts about it for the result file."""
    words = ["--method", "random", "--dataset", wanted.names[0], *words_of(source_of(wanted.names[0], wanted.source))]
    known = passed_on.flags_of("random", wanted.names[0], wanted.ipc, {}, passed)
    settings = parse([*words, *passed_on.without(passed, {*flags_in(passed)} - known)])
    network = {"network": settings.network, **dataclasses.asdict(settings.parts["network"])}
    net = dc.network(settings.parts["network"].build(stream.num_classes), stream.image_shape)
    _, trained = recipe(wanted.recipe, {"ipc": wanted.ipc}, wanted.names[0], wanted.epochs)
    augment = {} if wanted.augment == "recipe" else {"augment": AUGMENTS[wanted.augment]}
    names = ("ipc", "recipe", "epochs", "augment", "temperature")
    about = {name: getattr(wanted, name) for name in names} | {"training_of_networks": trained.description}
    about |= {name: getattr(wanted, name) for name in ("experts", "expert_epochs") if _matches_experts(wanted)}
    seen = [sets.fingerprint(stream.data_of(step)) for step in range(len(wanted.names))]
    same = (
        "ipc",
        "recipe",
        "epochs",
        "augment",
        "training_of_networks",
    )  # a lesson tells memories apart by what they hold
    depends = {name: about[name] for name in same} | {"steps": stream.steps, "network": network, "data": seen}
    store = scores.resumed(place / "scores.json", depends)
    _forget(store)
    weights = place / "weights" / digest({}, depends)[:12]
    lessons = Lessons(net, trained._replace(**augment), wanted.temperature, wanted.networks, weights, store, stop)
    show.say("  ".join(f"{name}={value}" for name, value in network.items()) + f"; {trained.description}", style="dim")
    return lessons, {"data": [*wanted.names], "steps": stream.steps, **about, "network": network}


def _forget(store):
    """Leaves out accuracies of an earlier version, which do not say what memories they are of."""
    told = {case: values for case, values in store.content["scores"].items() if "/memories " in case}
    if len(told) < len(store.content["scores"]):
        show.say("An earlier version did not note the memories of its accuracies: networks are trained again.")
    store.content["scores"] = told


def _matches_experts(wanted):
    return any(method in MATCHING_EXPERTS for method in wanted.methods)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
