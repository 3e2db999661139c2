"""Defines ranges and marks that stand beside the type of a setting, as in `width: Count = 128`."""

import dataclasses
import enum
import reprlib
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from dcjax import InputError


class Range(NamedTuple):
    """A range of values that a setting may have, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


class Mark(enum.Enum):
    """A mark of a setting that something else does not depend on."""

    FREE = "a resumed run may have another value: an iteration does the same to the images, up to rounding"
    ASIDE = "a paper's accuracy holds for any value"
    LAUNCH = "it says how a run is started, and is neither saved nor repeated by the next start"


def at_least(least: int) -> Range:
    return Range(f"at least {least}", lambda value: value >= least)


def at_most(most: int) -> Range:
    return Range(f"at most {most}", lambda value: value <= most)


def below(limit: float) -> Range:
    return Range(f"from 0 to below {limit}", lambda value: 0 <= value < limit)


SHORT = reprlib.Repr()  # shows a value in a message, however long it is
SHORT.maxstring = SHORT.maxother = 60
MOST = 10**9  # of what is done one after the other, or is cut to what there is
MOST_AT_ONCE = 10**6  # of what is laid out in memory: the steps of a program, students
MOST_WIDE = 2**16  # of what an array has along one side

Count = Annotated[int, at_least(1), at_most(MOST)]
MaybeCount = Annotated[int | None, at_least(1), at_most(MOST)]
Steps = Annotated[int, at_least(1), at_most(MOST_AT_ONCE)]
MaybeSteps = Annotated[int | None, at_least(1), at_most(MOST_AT_ONCE)]
Size = Annotated[int, at_least(1), at_most(MOST_WIDE)]
MaybeSize = Annotated[int | None, at_least(1), at_most(MOST_WIDE)]
MaybeSide = Annotated[int | None, at_least(4), at_most(4096)]  # pixels of an image
MaybeChannels = Annotated[int | None, Range("1 or 3", lambda value: value in (1, 3))]
Epochs = Annotated[int, below(MOST)]
Seed = Annotated[int, below(2**32)]
MaybeSeed = Annotated[int | None, below(2**32)]
Share = Annotated[float, below(1)]
POSITIVE = (
    Range("a positive number", lambda value: 0 < value < float("inf")),
    Range("from 1e-38 to 1e38, as numbers of single precision are", lambda value: 1e-38 <= value <= 1e38),
)
Rate = Annotated[float, *POSITIVE]
MaybeRate = Annotated[float | None, *POSITIVE]


def flag(name: str) -> str:
    """Gives the flag of a setting: `--image-rate` for `image_rate`."""
    return "--" + name.replace("_", "-")


def marks(kind: type) -> Iterator[tuple[str, tuple]]:
    """Yields the name of every field of a dataclass, with the marks beside its type."""
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        yield field.name, getattr(hints[field.name], "__metadata__", ())


def check_ranges(part: Any) -> None:
    """Refuses a part with a value of another type, outside its range or not among its choices."""
    for name, of in get_type_hints(type(part)).items():
        value = getattr(part, name)
        if not _is_of(value, of):
            choices = (
                f"one of {', '.join(map(str, get_args(of)))}" if get_origin(of) is Literal else f"of type {_words(of)}"
            )
            raise InputError(f"{flag(name)} must be {choices}, not {SHORT.repr(value)}.")
    for name, beside in marks(type(part)):
        value = getattr(part, name)
        for range_ in (mark for mark in beside if isinstance(mark, Range)):
            for each in value if isinstance(value, tuple) else (value,):
                if each is not None and not range_.holds(each):
                    raise InputError(f"{flag(name)} must be {range_.words}, not {SHORT.repr(each)}.")


def check_once(part: Any, *names: str) -> None:
    """Refuses a part of which a value with several entries, by one of these names, has one twice."""
    for name in names:
        entries = getattr(part, name)
        if len({*entries}) < len(entries):
            raise InputError(f"{flag(name)} names one twice: give each once.")


def _is_of(value, of):
    """Tells whether a value is one of a type as settings have them: plain, optional, a tuple, or one of some choices."""
    if get_origin(of) is Literal:
        return value in get_args(of)
    if get_origin(of) is UnionType:
        return any(_is_of(value, kind) for kind in get_args(of))
    if get_origin(of) is tuple:
        return isinstance(value, tuple) and all(_is_of(item, get_args(of)[0]) for item in value)
    if of is bool or isinstance(value, bool):
        return of is bool and isinstance(value, bool)
    return isinstance(value, (int, float) if of is float else of)


def _words(of):
    return getattr(of, "__name__", str(of)).replace("NoneType", "none")
