"""Doing the same to many: as much at a time as a device likes and its memory holds, on as many devices as there are."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from dcjax.sharding import over_devices

_SHARE = (
    0.5  # of a device's memory that one chunk may take: the data set, the learned state and the results need some too
)


def map_in_chunks(function: Callable, shared: Any, *rows: Any) -> Any:
    """`function(shared, *row)` for every row of `rows`, divided among the devices and `chunk_size` at a time on each.

    The function must not close over arrays: what all rows need is `shared`.
    """

    def on_one_device(shared, *rows):
        chunk = chunk_size(function, shared, *rows)
        if chunk == jax.tree.leaves(rows)[0].shape[0] > 1:
            return jax.vmap(functools.partial(function, shared))(*rows)
        return lax.map(lambda row: function(shared, *row), rows, batch_size=chunk if chunk > 1 else None)

    return over_devices(on_one_device)(shared, *rows)


def chunk_size(function: Callable, shared: Any, *rows: Any, memory: int | None = None) -> int:
    """How many rows one device should take at a time; the same for the same program on the same machine.

    One on a CPU, where a batch of small matrix products is slower than their sequence. Elsewhere as many as fit, by
    `working_bytes`, into half of `memory` (bytes; the device's own when None), or somewhat fewer, down to half of that, where
    the chunks are then equal.
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    memory = memory or device_memory()
    if jax.default_backend() == "cpu":
        return 1
    if memory is None or count == 1:
        return count
    row = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), rows)
    fit = min(max(int(_SHARE * memory) // max(working_bytes(function, shared, *row), 1), 1), count)
    even = max(size for size in range(1, fit + 1) if count % size == 0)
    return even if 2 * even >= fit else fit


def working_bytes(function: Callable, *args: Any) -> int:
    """The most bytes alive at once in `function(*args)` if every operation wrote its result to memory.

    An estimate that needs no compilation: fusion makes do with less; what is given and a library's workspace are not counted.
    """
    return _most_alive(jax.make_jaxpr(function)(*args).jaxpr)


def _most_alive(jaxpr):
    last_use = {id(v): i for i, eqn in enumerate(jaxpr.eqns) for v in eqn.invars}
    last_use |= {id(v): len(jaxpr.eqns) for v in jaxpr.outvars}
    ending = [[] for _ in range(len(jaxpr.eqns) + 1)]
    alive = most = 0
    for i, eqn in enumerate(jaxpr.eqns):
        for v in eqn.outvars:
            alive += _bytes(v)
            ending[last_use.get(id(v), i)].append(v)
        inside = max((_most_alive(inner) for inner in _programs_in(eqn)), default=0)
        most = max(most, alive + inside)
        alive -= sum(map(_bytes, ending[i]))
    return most


def _programs_in(eqn):
    """The bodies of loops, branches and calls."""
    leaves = jax.tree.leaves(eqn.params, is_leaf=lambda x: hasattr(x, "jaxpr") or hasattr(x, "eqns"))
    return [getattr(x, "jaxpr", x) for x in leaves if hasattr(x, "jaxpr") or hasattr(x, "eqns")]


def _bytes(variable):
    return getattr(variable.aval, "size", 0) * getattr(getattr(variable.aval, "dtype", None), "itemsize", 0)


def device_memory() -> int | None:
    """Bytes that JAX may take of a device, all devices being alike; None where it does not say, as on a CPU."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
