"""Defines how a command ends early: by a signal, by a loss that is no number, or by input that cannot be used."""

import os
import signal
import sys
from collections.abc import Callable

from jax.errors import JaxRuntimeError

from dcjax import InputError
from dcjax.files import first_line

_CLOSED = 141  # what a shell gives for a program whose output nobody reads


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
        try:
            command(argv)
        finally:
            sys.stdout.flush()  # here, so that a closed pipe is met here
    except BrokenPipeError:  # whoever read the output has gone; what the interpreter still holds of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED
    except (InputError, Diverged, OSError) as error:  # of the last kind: a disk that is full, above all
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, Diverged) else 2
    except (MemoryError, JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and not str(error).startswith("RESOURCE_EXHAUSTED"):
            raise
        print(
            f"error: There is not enough memory ({first_line(error)}): give smaller numbers or images.", file=sys.stderr
        )
        return 2
    except Stopped as stopped:
        print(f"Stopped by {stopped}. {stopped.advice}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:  # before there was anything to save, or a second time
        return 130
    return 0
