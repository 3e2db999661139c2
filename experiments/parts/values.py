"""Defines ranges and marks that stand beside the type of a setting, as in `width: Count = 128`."""

import dataclasses
import enum
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


def below(limit: float) -> Range:
    return Range(f"from 0 to below {limit}", lambda value: 0 <= value < limit)


Count = Annotated[int, at_least(1)]
MaybeCount = Annotated[int | None, at_least(1)]
Epochs = Annotated[int, below(10**9)]
Share = Annotated[float, below(1)]
Rate = Annotated[float, Range("a positive number", lambda value: 0 < value < float("inf"))]


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
            raise InputError(f"{flag(name)} must be {choices}, not {value!r}.")
    for name, beside in marks(type(part)):
        value = getattr(part, name)
        for range_ in (mark for mark in beside if isinstance(mark, Range)):
            if value is not None and not range_.holds(value):
                raise InputError(f"{flag(name)} must be {range_.words}, not {value}.")


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
