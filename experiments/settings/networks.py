"""Reads the names of networks with settings of their own, as in `convnet:depth=4,norm=none`."""

import dataclasses
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dcjax import InputError
from experiments.parts.networks import NETWORKS
from experiments.parts.part import Part
from experiments.parts.values import check_ranges
from experiments.settings.words import nearest


def specifications(words: Iterable[str]) -> tuple[str, ...]:
    """Joins what a flag of several values took apart at commas: `convnet:depth=4`, `norm=none`, `mlp` are two networks."""
    found = []
    for word in words:
        if found and "=" in word and ":" not in word:
            found[-1] += f"{',' if ':' in found[-1] else ':'}{word}"
        else:
            found.append(word)
    return tuple(found)


def specified(text: str, **usual: Any) -> Part:
    """Makes the part of a network that is named with settings of its own, as in `convnet:depth=4,norm=none`.

    Args:
        text: the name and, behind a colon, settings that differ from the part's own.
        usual: settings that hold where the text says nothing and the network has them.

    Raises:
        InputError: there is no such network, setting or value.
    """
    name, colon, rest = text.partition(":")
    words = rest.split(",") if colon else []
    named = [word.partition("=")[0] for word in words]
    if len({*named}) < len(named):
        raise InputError(f"The network {text!r} names a setting twice: give each once.")
    if name not in NETWORKS.members:
        choices = [*NETWORKS.members]
        raise InputError(f"There is no network {name!r}: choose {', '.join(choices)}.{nearest(name, choices)}")
    kind = NETWORKS.members[name]
    hints = get_type_hints(kind)
    given = dict(_setting(text, kind, hints, word) for word in words)
    part = kind(**{setting: value for setting, value in usual.items() if setting in hints} | given)
    try:
        check_ranges(part)
    except InputError as error:
        raise InputError(f"The network {text!r} cannot be: {str(error).removeprefix('--')}") from None
    return part


def _setting(text, kind, hints, word):
    """Reads NAME=VALUE as a setting of a network."""
    name, _, value = word.partition("=")
    known = [field.name for field in dataclasses.fields(kind)]
    if name not in known:
        choices = f"it has {', '.join(known)}" if known else "it has none"
        raise InputError(f"The network {text!r} names a setting {name!r}, but {choices}.{nearest(name, known)}")
    of = hints[name]
    of = next(each for each in get_args(of) if each is not NoneType) if get_origin(of) is UnionType else of
    if get_origin(of) is Literal:
        return name, value
    try:
        return name, of(value)
    except ValueError:
        raise InputError(f"The network {text!r} needs a number for {name}, not {value!r}.") from None
