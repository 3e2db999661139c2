"""Handles command lines of the form `COMMAND FLAGS -- FLAGS`, whose last flags go to every run that the command makes."""

import itertools
from collections.abc import Iterable

from dcjax import InputError
from experiments.methods import METHODS
from experiments.parts.values import flag
from experiments.settings.flags import flags_in, known_flags
from experiments.settings.parse import chosen_members
from experiments.settings.settings import paper_settings

_ALONE = ("coordinator", "num_processes", "process_id")
OWN = ("method", "dataset", "ipc", "seed", "workdir", "resume", "baseline", "whole")


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Gives the words before `--`, and those behind it, which go to every run."""
    return (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])


def check_passed(words: list[str], own: Iterable[str]) -> None:
    """Refuses flags for all runs that the comparison sets itself, or that need several processes."""
    if words and not words[0].startswith("--"):
        raise InputError(
            f"{words[0]!r} behind -- belongs to no flag: what goes to every run are flags of experiments.run."
        )
    own = {flag(prefix + name) for name in own for prefix in ("", "no_")}
    for name in flags_in(words):
        if name in own:
            raise InputError(f"{name} is the command's own to set: leave it out, and choose by the flags before --.")
        if name in map(flag, _ALONE):
            raise InputError(
                f"{name} is for a run by several processes, but a comparison is made by one: leave it out."
            )


def without(words: list[str], flags: Iterable[str]) -> list[str]:
    """Removes flags and their values from a command line."""
    starts = [i for i, word in enumerate(words) if word.startswith("--")] + [len(words)]
    pairs = [words[begin:end] for begin, end in itertools.pairwise(starts)]
    return [word for pair in pairs if flags_in(pair[:1])[0] not in flags for word in pair]


def flags_of(method: str, dataset: str, ipc: int, names: dict[str, str], passed: list[str]) -> set[str]:
    """Gives all flags that a run has with some parts in place of its method's own, if flags of `passed` that name a part go to it."""
    axes = METHODS[method].kind.axes
    others = {axis: member for axis, member in chosen_members(passed).items() if axis in axes}
    parts = paper_settings(method, dataset, ipc, others | names).parts
    return {*map(flag, axes)}.union(*(known_flags(type(part)) for part in parts.values()))
