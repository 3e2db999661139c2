"""Defines how a command ends early: by a signal, by a loss that is no number, or by input that cannot be used."""

import signal
import sys
from collections.abc import Callable

from dcjax import InputError


class Stopped(Exception):
    """A signal came, and the run has reached a place where it can end."""

    def __init__(self, number: int, advice: str):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.advice = advice


class Diverged(RuntimeError):
    """The loss is no longer a number."""


def exit_code(command: Callable[[list[str]], None], argv: list[str]) -> int:
    """Runs a command and gives its exit code; an early end prints one sentence and has a code of its own."""
    try:
        command(argv)
    except (InputError, Diverged, OSError) as error:  # of the last kind: a disk that is full, above all
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, Diverged) else 2
    except Stopped as stopped:
        print(f"Stopped by {stopped}. {stopped.advice}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:  # before there was anything to save, or a second time
        return 130
    return 0
