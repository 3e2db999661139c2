"""Several devices: classes and students are divided among them, on a CPU the mini-batches of a network in training too.

    with dcjax.sharding.across(4):
        state, metrics = run(key, state, data.train, t)

Inside, JAX's ambient mesh has one axis. `over_devices` and `sum_over_devices` give every device its share of a leading axis;
everything else, the condensed data among it, is kept whole on every device, so that any part of the library works unchanged. What
is called on such a share is on one device, and divides nothing further. With several processes
(`jax.distributed.initialize`) the mesh spans the devices of all, and every process makes the same calls.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from dcjax.base import InputError

_AXIS = "devices"
_WHOLE, _PART = PartitionSpec(), PartitionSpec(_AXIS)


def across(count: int | None = None) -> AbstractContextManager:
    """Makes the first `count` devices, or all of them, the ambient mesh; one device needs none."""
    devices = jax.devices()
    count = len(devices) if count is None else count
    if not 1 <= count <= len(devices):
        more = "; JAX_NUM_CPU_DEVICES makes a CPU as many as you like" if devices[0].platform == "cpu" else ""
        raise InputError(
            f"{count} devices are asked for, but JAX sees {len(devices)} ({devices[0].platform}): ask for 1 to {len(devices)}, "
            f"or all{more}."
        )
    if count < len(devices) and jax.process_count() > 1:
        raise InputError(f"{count} of {len(devices)} devices are asked for, but several processes use all of theirs.")
    if count == 1:
        return nullcontext()
    return jax.set_mesh(jax.make_mesh((count,), (_AXIS,), (AxisType.Auto,), devices=devices[:count]))


def device_count() -> int:
    """Devices that `over_devices` divides work among here: those of the ambient mesh, one where there is none."""
    mesh = jax.sharding.get_abstract_mesh()
    is_ours = not mesh.empty and mesh.axis_names == (_AXIS,) and mesh.axis_types == (AxisType.Auto,)
    return mesh.shape[_AXIS] if is_ours else 1


def over_devices(function: Callable) -> Callable:
    """Divides the rows of `function(shared, *rows)` among the devices; its results are whole on each.

    `function` maps arrays [K, ...] to arrays [K, ...], row by row, and is called on a part of the rows with all of `shared`;
    it must not close over arrays. Where K is no multiple of the number of devices, the last row is computed more than once
    and the copies are left out. A single row is left to all devices: what it does inside may be divided.
    """
    devices = device_count()
    if devices == 1:
        return function

    def sharded(shared, *rows):
        count = jax.tree.leaves(rows)[0].shape[0]
        if count == 1:
            return function(shared, *rows)
        filled = np.minimum(np.arange(-(-count // devices) * devices), count - 1)
        if len(filled) > count:
            rows = jax.tree.map(lambda x: x[filled], rows)
        specs = (_WHOLE, *[_PART] * len(rows))
        out = jax.shard_map(function, in_specs=specs, out_specs=_PART, check_vma=False)(shared, *rows)
        return jax.tree.map(lambda x: x[:count], whole(out))

    return sharded


def sum_over_devices(function: Callable) -> Callable:
    """Divides the rows of `function(shared, *rows)`, a sum over rows, among the devices and adds up what they give.

    `function` maps arrays [B, ...] to a tree of sums over B, and is called on a part of the rows with all of `shared`; it must
    not close over arrays. B must be a multiple of `device_count()`: the caller knows which rows add nothing.
    """
    if device_count() == 1:
        return function

    def of_part(shared, *rows):
        return lax.psum(function(shared, *rows), _AXIS)

    def summed(shared, *rows):
        specs = (_WHOLE, *[_PART] * len(rows))
        return jax.shard_map(of_part, in_specs=specs, out_specs=_WHOLE, check_vma=False)(shared, *rows)

    return summed


def whole(tree: Any) -> Any:
    """In a compiled function: the values are to be whole on every device."""
    return tree if device_count() == 1 else lax.with_sharding_constraint(tree, _WHOLE)


def replicate(tree: Any) -> Any:
    """Outside one: puts values, the same in every process, on every device of the mesh."""
    if device_count() == 1:
        return tree
    sharding = NamedSharding(jax.sharding.get_mesh(), _WHOLE)
    return jax.jit(lambda tree: tree, out_shardings=sharding)(tree)  # device_put refuses the devices of other processes
