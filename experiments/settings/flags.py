"""Reads command lines: flags are the fields of dataclasses, and every error in them is one sentence."""

import contextlib
import dataclasses
import difflib
import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

import tyro

from dcjax import InputError
from experiments.parts.values import flag
from experiments.settings.words import check_words

Kind = TypeVar("Kind")
_EARLIER = {"--out": "--workdir", "--place": "--workdir"}  # names that flags had in earlier versions
_WIDTH = 120  # columns of --help


def known_flags(kind: type) -> set[str]:
    """Lists the flags of a dataclass and of the dataclasses in its fields."""
    known = {"--help", "-h"}
    for name, of in _fields(kind):
        known |= {flag(name)} | ({flag(f"no_{name}")} if of is bool else set())
    return known


def flag_types(kind: type) -> dict[str, Any]:
    """Gives the type of the value of every flag of a dataclass and of the dataclasses in its fields."""
    types = {flag(name): of for name, of in _fields(kind)}
    return types | {flag(f"no_{name}"): of for name, of in _fields(kind) if of is bool}


def has_positional(kind: type) -> bool:
    """Tells whether a command takes words that belong to no flag."""
    hints = get_type_hints(kind, include_extras=True)
    return any(tyro.conf.Positional in getattr(hint, "__metadata__", ()) for hint in hints.values())


def read(
    kind: type[Kind],
    argv: list[str],
    default: Kind | None = None,
    *,
    explain: Callable[[str], str | None] = lambda name: None,
    prog: str | None = None,
) -> Kind:
    """Reads a command line into an instance of a dataclass. Several values are separated by spaces or commas.

    Args:
        kind: the dataclass; fields of the dataclasses in its fields are flags too, without a prefix.
        argv: words of the command line.
        default: instance with the values that are not on the command line.
        explain: gives the message for a flag that `kind` lacks, or None if there is no such flag at all.
        prog: command to type, for `--help`.

    Raises:
        InputError: a flag or a value is wrong; the message names the flag, and the nearest one if it was misspelt.
    """
    check_known(argv, known_flags(kind), explain)
    check_words(argv, flag_types(kind), has_positional(kind))
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), _one_column():
            return tyro.cli(
                kind,
                args=_spread(kind, argv),
                default=default,
                prog=prog or invoked(),
                description=kind.__doc__,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.HelptextFromCommentsOff),
            )
    except SystemExit as end:
        if not end.code:
            raise
        sentence = _sentence(errors.getvalue())
        own = sentence.removeprefix(f"Error parsing {kind.__name__}: ")  # raised by the dataclass itself
        raise InputError(own if own != sentence else f"The command line cannot be read: {sentence}") from None


def check_known(argv: list[str], known: set[str], explain: Callable[[str], str | None] = lambda name: None) -> None:
    """Refuses a flag that is not known, and says whose it is or which one is near."""
    for name in flags_in(argv):
        if name in known:
            continue
        if _EARLIER.get(name) in known:
            raise InputError(
                f"There is no flag {name}: the directory that a command writes to is named by {_EARLIER[name]} everywhere."
            )
        close = difflib.get_close_matches(name, sorted(known), 1)
        hint = f"did you mean {close[0]}? All" if close else "all"
        raise InputError(explain(name) or f"There is no flag {name}: {hint} flags are listed by --help.")


def flags_in(argv: list[str]) -> list[str]:
    """Lists the flags of a command line, spelt with hyphens."""
    return [word.split("=")[0].replace("_", "-") for word in argv if word.startswith("--")]


@contextlib.contextmanager
def _one_column() -> Iterator[None]:
    """Keeps tyro from filling a wide terminal with several columns, in which groups of flags change their order."""
    given = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(min(shutil.get_terminal_size().columns, _WIDTH))
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        os.environ |= {} if given is None else {"COLUMNS": given}


def _fields(kind: type) -> Iterator[tuple[str, Any]]:
    """Yields the name and the bare type of every flag."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        of = hints[field.name]
        yield from _fields(of) if dataclasses.is_dataclass(of) else [(field.name, of)]


def words_of(settings: dict[str, Any]) -> list[str]:
    """Writes settings as flags."""
    words = []
    for name, value in settings.items():
        if isinstance(value, bool):
            words.append(flag(name if value else f"no_{name}"))
        else:
            words += [flag(name), *map(str, value if isinstance(value, tuple) else [value])]
    return words


def invoked(command: str | None = None) -> str:
    """Names a command, or the one that was typed, as it was typed: `dcjax run` or `python -m experiments.run`."""
    path = Path(sys.argv[0])
    name = path.parent.name if path.stem == "__main__" else path.stem
    if name in ("dcjax", "experiments"):
        return " ".join(["dcjax", *([command] if command else sys.argv[1:2])])
    return f"python -m experiments.{command or name}"


def _spread(kind, argv):
    """Splits the values of tuples at commas: `--ipc 1,10` becomes `--ipc 1 10`."""
    several = {flag(name) for name, of in _fields(kind) if get_origin(of) is tuple}
    words, current = [], None
    for word in argv:
        name, _, value = word.partition("=")
        current = name.replace("_", "-") if word.startswith("--") else current
        if current not in several:
            words.append(word)
        elif word.startswith("--"):
            words += [name, *_parts(value)] if value else [word]
        else:
            words += _parts(word)
    return words


def _parts(text):
    return [part for part in text.split(",") if part]  # a space may follow a comma


def _sentence(printed):
    """Turns the box that tyro prints into one line."""
    text = re.sub(r"\x1b\[[0-9;]*m|[╭╮╰╯│─]|-{3,}", " ", printed)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(" ".join(line for line in lines[1:] if "--help" not in line).split())
