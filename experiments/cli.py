"""Command lines: flags are the fields of a dataclass, and whatever is wrong with them is one sentence."""

import contextlib
import dataclasses
import difflib
import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, get_origin

import tyro

from dcjax import InputError
from experiments.endings import Diverged, Stopped

Kind = TypeVar("Kind")


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def nearest(word: str, choices: Sequence[str]) -> str:
    """' Did you mean ...?' where a choice is close, else nothing."""
    close = difflib.get_close_matches(word, choices, 1)
    return f" Did you mean {close[0]}?" if close else ""


def read(kind: type[Kind], argv: list[str], defaults: Kind | None = None) -> Kind:
    """Command line -> an instance of the dataclass `kind`. Several values are separated by spaces or commas.

    Raises:
        InputError: names the flag, and the nearest where one was misspelt.
    """
    check_flags(kind, argv)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(kind, args=_spread(kind, argv), default=defaults, prog=_prog(), description=kind.__doc__)
    except SystemExit as end:
        if not end.code:
            raise
        text = re.sub(r"\x1b\[[0-9;]*m|[╭╮╰╯│─]|-{3,}", " ", errors.getvalue())
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        body = " ".join(line for line in lines[1:] if "--help" not in line)
        raise InputError(f"The command line cannot be read: {' '.join(body.split())}") from None


def check_flags(kind: type, argv: list[str]) -> None:
    """Refuses a flag that is no field of `kind`."""
    fields = dataclasses.fields(kind)
    known = {flag(field.name) for field in fields} | {"--help", "-h"}
    known |= {flag(f"no_{field.name}") for field in fields if field.type is bool}
    for argument in argv:
        name = argument.split("=")[0].replace("_", "-")
        if argument.startswith("--") and name not in known:
            close = difflib.get_close_matches(name, sorted(known), 1)
            hint = f"did you mean {close[0]}? All" if close else "all"
            raise InputError(f"There is no flag {name}: {hint} flags are listed by --help.")


def _prog():
    """What to type, for --help."""
    path = Path(sys.argv[0])
    return f"python -m experiments.{path.parent.name if path.stem == '__main__' else path.stem}"


def _spread(kind, argv):
    """`--ipc 1,10` is `--ipc 1 10`, where the field is a tuple."""
    several = {flag(field.name) for field in dataclasses.fields(kind) if get_origin(field.type) is tuple}
    words, current = [], None
    for word in argv:
        name, _, value = word.partition("=")
        current = name.replace("_", "-") if word.startswith("--") else current
        if current not in several:
            words.append(word)
        elif word.startswith("--"):
            words += [name, *value.split(",")] if value else [word]
        else:
            words += word.split(",")
    return words


def exit_code(command: Callable[[list[str]], None], argv: list[str]) -> int:
    """Runs a command; what ends it early is one sentence and a code of its own."""
    try:
        command(argv)
    except (InputError, Diverged) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except Stopped as stopped:
        print(f"Stopped by {stopped}. {stopped.advice}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:  # before there was anything to save, or a second time
        return 130
    return 0
