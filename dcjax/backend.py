"""Answers what a backend likes, for the whole library: the backend of this machine, or one that is not there.

    with dcjax.backend.answering_for("tpu", memory=16 * 2**30):
        lowered = jax.jit(run).lower(*args)

The answers decide how a program is traced, never what it computes. A program can therefore be traced, tested and compiled for a device
that is not there. The answers take part in the keys of JAX's caches: a function that is called under two backends is traced for each.
"""

from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import jax


class Backend(NamedTuple):
    """Holds the answers for one platform."""

    platform: str  # as `jax.default_backend()` names it
    convolves_well: bool  # XLA's own convolution is the fastest; otherwise patches and Winograd's filtering are
    rows_at_once: int | None  # classes or students that one device computes together; None: as many as its memory holds
    memory: int | None  # bytes that JAX may take of one device; None: unknown
    micro_batch: int | None  # images of a mini-batch whose gradients are computed together; None: all
    forward_batch: int  # images that go forward together where no gradient is taken
    shares_memory: bool  # devices are cores of one memory, so that dividing a mini-batch costs no sending of gradients


_CPU = Backend(
    platform="cpu",
    convolves_well=False,
    rows_at_once=1,  # because a batch of small matrix products is slower than their sequence
    memory=None,
    micro_batch=8,  # because their activations stay in the cache
    forward_batch=8,
    shares_memory=True,
)
_ACCELERATOR = Backend(
    platform="gpu",
    convolves_well=True,
    rows_at_once=None,
    memory=None,
    micro_batch=None,
    forward_batch=500,
    shares_memory=False,
)
_told = jax.make_user_context(None)


def current() -> Backend:
    """Gives the answers for the backend that programs are traced for here: the machine's own, unless told otherwise."""
    return _told.value or _of_machine(jax.default_backend(), jax.process_count(), device_memory())


def answering_for(platform: str, **answers: Any) -> AbstractContextManager:
    """Makes this module answer for another backend.

    Args:
        platform: the backend's name: "cpu", or that of an accelerator.
        answers: fields of `Backend` that differ from the platform's usual ones, such as `memory` in bytes.
    """
    return _told(_usual(platform)._replace(**answers))


def device_memory() -> int | None:
    """Gives the bytes that JAX may take of one of this machine's devices, all being alike; None where it does not say."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def _usual(platform):
    return _CPU if platform == "cpu" else _ACCELERATOR._replace(platform=platform)


def _of_machine(platform, processes, memory):
    usual = _usual(platform)
    shares_memory = usual.shares_memory and processes == 1  # processes send each other what they share
    return usual._replace(memory=memory, shares_memory=shares_memory)
