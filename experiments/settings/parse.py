"""Reads settings from the command line of `experiments.run`, and writes them as one.

A command line is read twice: first for the method, the data set, the images per class and the names of the parts, which say what
flags there are; then all flags of that combination are read.
"""

import argparse
import dataclasses
import itertools
import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import tyro

from dcjax import InputError
from dcjax.files import first_line
from experiments.methods import METHODS
from experiments.parts import AXES
from experiments.parts.values import SHORT, Mark, flag
from experiments.settings import ownership
from experiments.settings.flags import check_known, flags_in, invoked, read, words_of
from experiments.settings.saved import check_method, check_resumable, load
from experiments.settings.settings import Settings, marked, paper_settings, resolve, unchecked
from experiments.settings.words import check_words, nearest


def parse(argv: list[str]) -> Settings:
    """Reads the settings of a run. A resumed run starts from its own saved ones, any other from the paper's.

    Raises:
        InputError: a flag or a choice is wrong; the message names the choices, and the nearest one if it was misspelt.
    """
    check_known(argv, ownership.all_flags())
    check_words(argv, ownership.all_types(), has_positional=False)
    chosen = _choose(argv)
    if chosen.coordinator and not chosen.workdir:
        raise InputError("Several processes need one --workdir that all of them see: give it.")
    method, dataset, ipc = chosen.method or "dc", chosen.dataset or "digits", chosen.ipc or 1
    if chosen.workdir is not None:
        _check_path(chosen.workdir)
    if chosen.ipc and METHODS[method].takes_all and not chosen.resume:
        raise InputError(f"--ipc changes nothing with --method {method}, which takes all images: leave it out.")
    workdir = os.path.expanduser(chosen.workdir or default_workdir(method, dataset, ipc, chosen.resume))
    explicit = {name: value for name, value in vars(chosen).items() if name in _DECIDES and value is not None}
    noted = Path(workdir, "config.json")
    if not (chosen.resume and noted.is_file()):
        start = paper_settings(method, dataset, ipc, {name: explicit[name] for name in AXES if name in explicit})
        return resolve({**_read(argv, start), "workdir": workdir})
    before = load(noted)
    check_method(before, explicit.get("method", before.method))
    found = {**_read(argv, unchecked({**before.values(), **explicit})), "workdir": workdir}
    check_resumable(unchecked(found), before)
    return resolve(found)


def _check_path(workdir):
    """Refuses a run directory whose name no file system takes."""
    if not workdir:
        raise InputError("The --workdir has no name: give one.")
    try:
        os.lstat(workdir)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise InputError(
            f"{SHORT.repr(workdir)} cannot be a run directory ({first_line(error)}): give another --workdir."
        ) from None


def chosen_members(argv: list[str]) -> dict[str, str]:
    """Gives the parts that a command line names: axis -> member."""
    return {axis: member for axis, member in vars(_choose(argv)).items() if axis in AXES and member is not None}


_LONGEST = 80  # characters of a data set's name in that of a run directory
_DECIDES = ("method", "dataset", "ipc", *AXES)


def default_workdir(method: str, dataset: str, ipc: int, resume: bool) -> str:
    """Names the first free `runs/METHOD-DATASET-IPC`, or the last taken one when that is to be resumed."""
    kind, _, path = dataset.partition(":")
    name = f"{kind}-{Path(path).stem}" if path else kind
    base = Path("runs") / f"{method}-{safe_name(name)}-{ipc}"

    def numbered(i):
        return base if i == 1 else base.with_name(f"{base.name}-{i}")

    free = next(i for i in itertools.count(1) if not numbered(i).exists())
    return str(numbered(max(free - 1, 1) if resume else free))


def safe_name(text: str) -> str:
    """Makes a part of a path of any text: short, and of characters that every file system takes."""
    return re.sub(r"[^\w.,+@=()\[\] -]", "-", text)[:_LONGEST]


def command(settings: Settings) -> str:
    """Writes the shortest command line that makes this run, however often it was stopped and resumed."""
    own = paper_settings(settings.method, settings.dataset, settings.ipc, {"network": settings.network})
    start = paper_settings(settings.method, settings.dataset, settings.ipc, settings.names).values() | own.names
    # What the paper's settings follow from is always written, but for the network that needs no flag.
    usual = paper_settings(settings.method, settings.dataset, settings.ipc, {}).network
    start |= {"method": None, "dataset": None, "ipc": None, "network": usual}
    left_out = {"workdir"} | marked(settings, Mark.LAUNCH) | ({"ipc"} if settings.about.takes_all else set())
    words = ["python", "-m", "experiments.run"]
    for name, value in settings.values().items():
        if name in left_out or value == start[name]:
            continue
        words += words_of({name: value})
    return shlex.join(words)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"The command line cannot be read: {message}.")


def _choose(argv):
    """Reads the flags that decide which other flags there are; one that is not given is None."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for name in ("method", "dataset", *AXES, "workdir", "coordinator"):
        parser.add_argument(flag(name))
    parser.add_argument("--ipc", type=int)
    parser.add_argument("--resume", action="store_true")
    words = [word.replace("_", "-", word.split("=")[0].count("_")) if word.startswith("--") else word for word in argv]
    chosen, _ = parser.parse_known_args(words)
    choices = {"method": METHODS, **{name: axis.members for name, axis in AXES.items()}}
    for name, members in choices.items():
        value = getattr(chosen, name)
        if value is not None and value not in members:
            hint = nearest(value, [*members])
            raise InputError(f"There is no {name.replace('_', ' ')} {value!r}: choose {', '.join(members)}.{hint}")
    if chosen.ipc is not None and chosen.ipc < 1:
        raise InputError(f"--ipc is the number of images per class and at least 1, not {chosen.ipc}.")
    return chosen


def _read(argv: list[str], start: Settings) -> dict[str, Any]:
    """Reads all flags that the parts of `start` have; gives every setting by its name."""
    names = [
        (axis, Annotated[Literal[(*AXES[axis].members,)], tyro.conf.arg(help=AXES[axis].about)]) for axis in start.names
    ]
    members = dataclasses.make_dataclass("Members", names, frozen=True)
    members.__doc__ = "The parts that the method is put together from; each has settings of its own, below."
    common = {name: part for name, part in start.parts.items() if name not in start.names}
    groups = {**common, "parts": members(**start.names)}
    groups |= {f"{axis} {start.names[axis]}": start.parts[axis] for axis in start.names}
    groups = {name: part for name, part in groups.items() if dataclasses.fields(part)}
    fields = [(name.replace(" ", "_"), type(part), part) for name, part in groups.items()]
    kind = dataclasses.make_dataclass("Flags", [(name, of) for name, of, _ in fields], frozen=True)
    kind.__doc__ = (
        "Condenses a dataset. --method, --dataset and --ipc choose the paper's settings; every other flag overrides one.\n\n"
        "Defaults follow method and data set: give yours beside --help. "
        f"Here: --method {start.method} --dataset {start.dataset} --ipc {start.ipc}."
    )
    default = kind(**{name: part for name, _, part in fields})
    try:
        found = read(kind, argv, default, explain=lambda name: ownership.explain(name, start), prog=invoked("run"))
    except SystemExit:  # --help
        print("methods:", *(f"{method.name}: {method.about}" for method in METHODS.values()), sep="\n  ")
        print("flags of parts that are not chosen:", *ownership.not_chosen(start), sep="\n  ")
        raise
    values = {name: value for part in vars(found).values() for name, value in vars(part).items()}
    if values.get("minutes") and flag("iterations") in flags_in(argv):
        remedy = "leave one of them out" if flag("minutes") in flags_in(argv) else "give --minutes None, too"
        raise InputError(
            f"--iterations changes nothing beside --minutes, which ends a run when its time is up: {remedy}."
        )
    return values
