"""Lets several processes do one run together: all compute, the first alone writes, and all stop together."""

import hashlib
from collections.abc import Callable

import jax
import numpy as np

from dcjax import InputError
from experiments.settings.settings import Settings


def connect(settings: Settings) -> None:
    """Connects to the other processes: at the address in the flags, or with `auto` as the cluster's environment says."""
    if settings.coordinator is None:
        return
    where = {} if settings.coordinator == "auto" else _address(settings)
    try:
        jax.distributed.initialize(**where)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The processes do not find each other at --coordinator {settings.coordinator}: {reason}"
        ) from None


def _address(settings):
    return {
        "coordinator_address": settings.coordinator,
        "num_processes": settings.num_processes,
        "process_id": settings.process_id,
    }


def is_first() -> bool:
    """Tells whether this process is the one that writes."""
    return jax.process_index() == 0


def on_first(action: Callable[[], None]) -> None:
    """Calls `action` in the first process alone; if that fails, all processes fail."""
    refused = None
    if is_first():
        try:
            action()
        except Exception as error:  # of any kind, since the others wait to hear of it
            refused = error
    if any_of(refused is not None):
        raise refused or InputError("The first process cannot go on; it says why.")


def check_same(what: dict[str, object]) -> None:
    """Refuses processes that differ in anything of `what`, since they compute one program together."""
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    digests = [int(hashlib.sha256(repr(value).encode()).hexdigest()[:7], 16) for value in what.values()]
    everywhere = multihost_utils.process_allgather(np.array(digests, np.int32))
    different = [name for name, seen in zip(what, everywhere.T) if len(set(seen.tolist())) > 1]
    if different:
        raise InputError(f"The processes differ in {', '.join(different)}: start all with the same.")


def of_first(value: float) -> float:
    """Gives what the first process has, to all. All processes must ask."""
    if jax.process_count() == 1:
        return value
    from jax.experimental import multihost_utils

    return float(multihost_utils.broadcast_one_to_all(np.array(value, np.float64)))


def any_of(flag: bool) -> bool:
    """Tells whether `flag` is true in any process. All processes must ask."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))
