"""Checks the words of a command line against the types of their flags, and says in plain words which does not fit."""

import difflib
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from dcjax import InputError
from experiments.parts.values import SHORT


def check_words(argv: list[str], types: Mapping[str, Any], has_positional: bool) -> None:
    """Refuses a flag without its value or with more than it takes, and a value that is not of the flag's type.

    Args:
        argv: words of the command line.
        types: type of the value of every flag that takes one, by the flag's name with hyphens; others are passed over.
        has_positional: the command takes words that belong to no flag, so that what follows a value may be one.
    """
    for name, values in _groups(argv):
        if name is None:
            if values and not has_positional:
                raise InputError(f"{SHORT.repr(values[0])} belongs to no flag: all flags are listed by --help.")
        elif name in types:
            _check(name, values, types[name], has_positional)


def nearest(word: str, choices: list[str]) -> str:
    """Gives ' Did you mean ...?' where a choice is close, else nothing."""
    close = difflib.get_close_matches(word, choices, 1)
    return f" Did you mean {close[0]}?" if close else ""


def _groups(argv):
    """Pairs every flag with the words up to the next one; the words before the first belong to None."""
    groups = [(None, [])]
    for word in argv:
        if word.startswith("--"):
            name, sign, value = word.partition("=")
            groups.append((name.replace("_", "-"), [value] if sign else []))
        else:
            groups[-1][1].append(word)
    return groups


def _check(name, values, of, has_positional):
    of, optional = _bare(of)
    if of is bool:
        if values and not has_positional:
            raise InputError(f"{name} takes no value, but {SHORT.repr(values[0])} follows it: leave that out.")
        return
    if get_origin(of) is tuple:
        of, optional = _bare(get_args(of)[0])
        values = [part for value in values for part in value.split(",") if part]
        values = values[:1] if has_positional else values
    elif not values:
        raise InputError(f"{name} needs {_words(of)}, but none follows it: give one.")
    elif len(values) > 1 and not has_positional:
        raise InputError(f"{name} takes one value, but {SHORT.repr(values[1])} follows it too: leave one of them out.")
    else:
        values = values[:1]
    for value in values:
        if not (_fits(value, of) or (optional and value == "None")):
            hint = nearest(value, [str(choice) for choice in get_args(of)])
            wanted = f"{_words(of)} or None" if optional and of in (int, float) else _words(of)
            raise InputError(f"{name} must be {wanted}, not {SHORT.repr(value)}.{hint}")


def _bare(of):
    """Gives a type without None, and whether that was one of its kinds."""
    kinds = [kind for kind in get_args(of) if kind is not NoneType] if get_origin(of) is UnionType else [of]
    return kinds[0], len(kinds) < len(get_args(of))


def _fits(value, of):
    if get_origin(of) is Literal:
        return value in map(str, get_args(of))
    return _reads(of, value) if of in (int, float) else True


def _reads(kind: Callable[[str], Any], value: str) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _words(of):
    if get_origin(of) is Literal:
        return f"one of {', '.join(map(str, get_args(of)))}"
    return {int: "a whole number", float: "a number"}.get(of, "a value")
