"""Several processes that do one run together: all compute, the first alone writes, and all stop together."""

import hashlib
from collections.abc import Callable

import jax
import numpy as np

from dcjax import InputError
from experiments.config import Config


def connect(config: Config) -> None:
    """Finds the other processes: where the flags say, or with `auto` in the cluster's own environment."""
    if config.coordinator is None:
        return
    where = {} if config.coordinator == "auto" else _address(config)
    try:
        jax.distributed.initialize(**where)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"The processes do not find each other at --coordinator {config.coordinator}: {reason}"
        ) from None


def _address(config):
    return {
        "coordinator_address": config.coordinator,
        "num_processes": config.num_processes,
        "process_id": config.process_id,
    }


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return jax.process_index() == 0


def on_first(action: Callable[[], None]) -> None:
    """Acts in the first process alone; where it fails, all fail."""
    refused = None
    if is_first():
        try:
            action()
        except Exception as error:  # of any kind: the others are waiting
            refused = error
    if any_of(refused is not None):
        raise refused or InputError("The first process cannot go on; it says why.")


def check_same(what: dict[str, object]) -> None:
    """All processes must see the same of everything in `what`: they compute one program together."""
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    digests = [int(hashlib.sha256(repr(value).encode()).hexdigest()[:7], 16) for value in what.values()]
    everywhere = multihost_utils.process_allgather(np.array(digests, np.int32))
    different = [name for name, seen in zip(what, everywhere.T) if len(set(seen.tolist())) > 1]
    if different:
        raise InputError(f"The processes differ in {', '.join(different)}: start all with the same.")


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in any process. All processes must ask."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))
