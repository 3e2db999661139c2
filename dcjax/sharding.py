"""Divides work among devices: classes and students, and on a CPU the mini-batches of a network in training too.

    with dcjax.sharding.across(4):
        state, metrics = run(key, state, source, t)

Inside, JAX's ambient mesh has one axis; a program with a mesh of its own gives that, and the name of one of its axes, instead.
`over_devices` and `summed_over_devices` give every device its share of a leading axis, and `by_rows` says that an array is already laid out
so. Everything else, the condensed data among it, is kept whole on every device, so that any part of the library works unchanged. What
is called on such a share is on one device, and divides nothing further. With several processes
(`jax.distributed.initialize`) the mesh spans the devices of all, and every process makes the same calls.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from dcjax.backend import current
from dcjax.base import Array, InputError

_AXIS = "devices"
_axis = jax.make_user_context(_AXIS)  # the axis of the ambient mesh that work is divided along; a key of JAX's caches
_WHOLE = PartitionSpec()


def across(count: int | None = None, *, mesh: Mesh | None = None, axis: str = _AXIS) -> AbstractContextManager:
    """Makes the first `count` devices, or all of them, the ambient mesh; one device needs none.

    Args:
        count: number of devices; all when None.
        mesh: a mesh of the caller's own instead. Work is divided along one axis; along the others every device does the same.
        axis: the name of that axis, which must be of type Auto.
    """
    if mesh is not None:
        return _along(_checked(mesh, axis), axis)
    devices = jax.devices()
    count = len(devices) if count is None else count
    _check_count(count, devices)
    if count == 1:
        return nullcontext()
    return _along(jax.make_mesh((count,), (axis,), (AxisType.Auto,), devices=devices[:count]), axis)


@contextmanager
def _along(mesh: Mesh, axis: str) -> Iterator[None]:
    with jax.set_mesh(mesh), _axis(axis):
        yield


def _check_count(count, devices):
    if not 1 <= count <= len(devices):
        more = "; JAX_NUM_CPU_DEVICES makes a CPU as many as you like" if devices[0].platform == "cpu" else ""
        raise InputError(
            f"{count} devices are asked for, but JAX sees {len(devices)} ({devices[0].platform}): ask for 1 to {len(devices)}, "
            f"or all{more}."
        )
    if count < len(devices) and jax.process_count() > 1:
        raise InputError(
            f"{count} of {len(devices)} devices are asked for, but several processes use all of theirs: ask for all."
        )


def _checked(mesh, axis):
    types = dict(zip(mesh.axis_names, mesh.axis_types))
    if axis not in types:
        raise InputError(
            f"Work is to be divided along a mesh's axis {axis!r}, but its axes are {list(types)}: name one of them with `axis`."
        )
    if types[axis] != AxisType.Auto:
        raise InputError(
            f"Work is divided along an axis of type Auto, but the mesh's axis {axis!r} is {types[axis].name}: "
            "make the mesh with axis_types=(jax.sharding.AxisType.Auto, ...)."
        )
    return mesh


def device_count() -> int:
    """Counts the devices that `over_devices` divides work among here: those along the ambient mesh's axis, one without a mesh."""
    types = _axis_types()
    is_ours = types.get(_axis.value) == AxisType.Auto and AxisType.Manual not in types.values()
    return devices_at_work() if is_ours else 1


def devices_at_work() -> int:
    """Counts the devices along the ambient mesh's axis, also where work is divided already, so that they do the same at once."""
    return jax.sharding.get_abstract_mesh().shape[_axis.value] if _axis.value in _axis_types() else 1


def _axis_types():
    mesh = jax.sharding.get_abstract_mesh()
    return {} if mesh.empty else dict(zip(mesh.axis_names, mesh.axis_types))


def over_devices(function: Callable) -> Callable:
    """Divides the rows of `function(shared, *rows)` among the devices; its results are whole on each.

    `function` maps arrays [K, ...] to arrays [K, ...], row by row, and is called on a part of the rows with all of `shared`;
    it must not close over arrays. Where K is no multiple of the number of devices, rows of zeros are computed too and their results
    left out. A single row is left to all devices: what it does inside may be divided.
    """
    devices = device_count()
    if devices == 1:
        return function

    def sharded(shared, *rows):
        count = jax.tree.leaves(rows)[0].shape[0]
        if count == 1:
            return function(shared, *rows)
        missing = -count % devices
        filled = jax.tree.map(lambda x: _with_zeros(x, missing), rows) if missing else rows
        part = PartitionSpec(_axis.value)
        specs = (_WHOLE, *[part] * len(filled))
        out = jax.shard_map(function, in_specs=specs, out_specs=part, check_vma=False)(shared, *filled)
        return jax.tree.map(lambda x: x[:count], whole(out))

    return sharded


def _with_zeros(x: Array, count: int) -> Array:
    """Appends rows of zeros by padding, the one way that XLA takes on each device by itself, sending nothing."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):  # no number, so that it cannot be padded, and small
        return jnp.concatenate([x, jnp.zeros((count, *x.shape[1:]), x.dtype)])
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, count, 0)] + [(0, 0, 0)] * (x.ndim - 1))


def summed_over_devices(function: Callable) -> Callable:
    """Divides the rows of `function(shared, *rows)`, a pair `(sums, rows)`, among the devices: adds up the first, joins the second.

    `function` maps arrays [B, ...] to a tree of sums over B and a tree of arrays [B, ...], and is called on a part of the rows with all
    of `shared`; it must not close over arrays. B must be a multiple of `device_count()`: the caller knows which rows add nothing.
    """
    if device_count() == 1:
        return function

    def of_part(shared, *rows):
        sums, rows = function(shared, *rows)
        return lax.psum(sums, _axis.value), rows

    def summed(shared, *rows):
        part = PartitionSpec(_axis.value)
        specs = (_WHOLE, *[part] * len(rows))
        sums, rows = jax.shard_map(of_part, in_specs=specs, out_specs=(_WHOLE, part), check_vma=False)(shared, *rows)
        return sums, whole(rows)

    return summed


def by_rows(tree: Any) -> Any:
    """Lays every leaf's leading axis out as `over_devices` divides it, so that each device computes only the rows it needs.

    A single row is left on all devices, as `over_devices` leaves it to all.
    """
    if device_count() == 1 or jax.tree.leaves(tree)[0].shape[0] == 1:
        return tree
    # Compiled, because only there may a number of rows be no multiple of the devices.
    return jax.jit(lambda tree: lax.with_sharding_constraint(tree, PartitionSpec(_axis.value)))(tree)


def whole(tree: Any) -> Any:
    """Makes values whole on every device, in a compiled function."""
    return tree if device_count() == 1 else lax.with_sharding_constraint(tree, _WHOLE)


def replicate(tree: Any) -> Any:
    """Puts values, the same in every process, on every device of the mesh, outside of a compiled function.

    Devices that are cores of one memory share one copy: nothing that is computed ever writes into it.
    """
    if device_count() == 1:
        return tree
    sharding = NamedSharding(jax.sharding.get_mesh(), _WHOLE)
    if current().shares_memory:
        return jax.device_put(jax.tree.map(_seen_by_host, tree), sharding)
    return jax.jit(lambda tree: tree, out_shardings=sharding)(tree)  # device_put refuses the devices of other processes


def _seen_by_host(x):
    """Gives a view of an array on the device, which other devices of the same memory take as it is."""
    if not isinstance(x, jax.Array):
        x = jnp.array(x)  # a copy, because its owner may write into his own
    return x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x)
