"""Why a run ends before it is done."""

import signal


class Stopped(Exception):
    """A signal came and the run has come to a place where it may end."""

    def __init__(self, number: int, advice: str):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.advice = advice


class Diverged(RuntimeError):
    """The loss is no longer a number."""
