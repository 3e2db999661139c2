"""Keeps a run's state on disk, by Orbax: written beside the old one and renamed, so that a kill in mid-save loses nothing."""

from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from dcjax.base import CondenserState, InputError


class Checkpoints:
    """Keeps the newest `keep` states of one run; leaving its context waits for the last save."""

    def __init__(self, directory: Path, keep: int = 2):
        self.directory = Path(directory).resolve()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()

    @property
    def latest(self) -> int | None:
        """Gives the newest saved iteration, None where there is none."""
        return self._manager.latest_step()

    def save(self, iteration: int, state: CondenserState, config: dict) -> None:
        """Saves a state in the background; one that is already there is kept."""
        if iteration == self.latest:
            return
        content = ocp.args.Composite(state=ocp.args.StandardSave(state), config=ocp.args.JsonSave(config))
        self._manager.save(iteration, args=content)

    def wait(self) -> None:
        """Waits until everything is on disk."""
        self._manager.wait_until_finished()

    def restore(self, like: CondenserState) -> CondenserState:
        """Gives the newest state, in the structure, types and placement of `like`."""
        iterations = sorted(self._manager.all_steps())
        if not iterations:
            raise InputError(f"There is no checkpoint in {self.directory}: start again without --resume.")
        content = ocp.args.Composite(state=ocp.args.StandardRestore(like))
        try:
            return self._manager.restore(iterations[-1], args=content).state
        except Exception as error:  # whatever a damaged file makes Orbax and its storage raise
            reason = str(error).splitlines()[0][:120] if str(error) else ""
            remedy = (
                f"remove {self.directory / str(iterations[-1])} to resume from iteration {iterations[-2]}"
                if len(iterations) > 1
                else "start again without --resume in another --workdir"
            )
            raise InputError(
                f"The checkpoint of iteration {iterations[-1]} is corrupt ({type(error).__name__}: {reason}): {remedy}."
            ) from error
