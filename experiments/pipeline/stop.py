"""Stops a run when asked to: Ctrl-C and SIGTERM end it at the next safe moment, with its work saved."""

import signal
import sys
from types import FrameType

from dcjax.files import WriteError
from experiments.pipeline.endings import Stopped
from experiments.pipeline.processes import any_of


class StopRequest:
    """A block in which the first SIGINT or SIGTERM is only noted; a second one acts as it always does."""

    def __init__(self):
        self.number: int | None = None
        self.advice = "Nothing was begun; run the same command again."
        self._previous = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, *_: object) -> None:
        if isinstance(error, WriteError):
            error.args = (f"{error} {self.advice}",)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.number = number
        print(
            f"{signal.Signals(number).name}: stopping at the next safe moment; once more stops at once.",
            file=sys.stderr,
        )
        signal.signal(number, self._previous[number])

    @property
    def requested(self) -> bool:
        """Tells whether a signal has come, here or in another process of the run; all processes must ask."""
        return any_of(self.number is not None)

    def check(self) -> None:
        """Raises `Stopped` once a signal has come."""
        if self.requested:
            raise Stopped(self.number or signal.SIGTERM, self.advice)
