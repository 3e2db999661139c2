"""Maps a function over many rows: as many at a time as a device likes and its memory holds, on all devices."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from dcjax.backend import current
from dcjax.sharding import over_devices

_SHARE = 0.5  # of a device's memory for one chunk: the data set, the learned state and the results need some too


def map_in_chunks(function: Callable, shared: Any, *rows: Any) -> Any:
    """Computes `function(shared, *row)` for every row of `rows`, divided among the devices and `chunk_size` at a time on each.

    The function must not close over arrays: what all rows need is `shared`.
    """

    def on_one_device(shared, *rows):
        chunk = chunk_size(function, shared, *rows)
        if chunk == jax.tree.leaves(rows)[0].shape[0] > 1:
            return jax.vmap(functools.partial(function, shared))(*rows)
        return lax.map(lambda row: function(shared, *row), rows, batch_size=chunk if chunk > 1 else None)

    return over_devices(on_one_device)(shared, *rows)


def chunk_size(function: Callable, shared: Any, *rows: Any) -> int:
    """Tells how many rows one device takes at a time; the answer is the same for the same program on the same backend.

    The backend either names a number (a CPU: one) or takes as many rows as fit, by `working_bytes`, into half of its memory, or
    somewhat fewer, down to half of that, where the chunks are then equal. It takes all rows where it does not know its memory.
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    backend = current()
    if backend.rows_at_once is not None:
        return backend.rows_at_once
    if backend.memory is None or count == 1:
        return count
    row = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), rows)
    taken = max(working_bytes(function, shared, *row), 1)
    fit = min(max(int(_SHARE * backend.memory) // taken, 1), count)
    even = max(size for size in range(1, fit + 1) if count % size == 0)
    return even if 2 * even >= fit else fit


def working_bytes(function: Callable, *args: Any) -> int:
    """Estimates, without compiling, the most bytes alive at once in `function(*args)`.

    It is what would be alive if every operation wrote its result to memory: fusion makes do with less, and the arguments and a
    library's workspace are not counted.
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
    """Gives the bodies of loops, branches and calls."""
    leaves = jax.tree.leaves(eqn.params, is_leaf=lambda x: hasattr(x, "jaxpr") or hasattr(x, "eqns"))
    return [getattr(x, "jaxpr", x) for x in leaves if hasattr(x, "jaxpr") or hasattr(x, "eqns")]


def _bytes(variable):
    return getattr(variable.aval, "size", 0) * getattr(getattr(variable.aval, "dtype", None), "itemsize", 0)
